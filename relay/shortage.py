"""What the store is short of, before it is at its end: memory, disk; or it is set up to throw events away.

Nothing new is caught while it is so. What is there goes on, for which some room is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from relay import log
from relay.errors import StoreError, StoreFullError
from relay.store import Store, Unkept, Vitals, promises, vitals

#: Writes are refused before the store itself would: routing and delivering what is there needs room too.
MEMORY_SHARE_LIMIT = 0.9

#: What there may be too little of; `eviction` is a setting of the store.
KINDS = ("memory", "disk", "eviction")

_LOOK_SECONDS = 1.0

#: With so much the store can be started: it has something to write before it may end again.
_START_BYTES = 32_000_000

#: A shortage is over when there is a little more room than it began with: else it would begin and end by the second.
_MEMORY_SHARE_AGAIN = 0.88
_DISK_AGAIN = 1.1


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the embedded store. `least_bytes` stay free."""

    folder: Path
    least_bytes: int

    def free_bytes(self) -> int:
        """0 where it can't be told: the folder is gone."""
        try:
            found = os.statvfs(self.folder)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    def wanted_bytes(self, store: Vitals | None) -> int:
        """What has to be free: writing the store's file anew takes as much again as it holds."""
        if store is None or store.rewriting:
            return self.least_bytes
        return max(self.least_bytes, store.used_bytes)

    def hinders_start(self) -> str:
        """Why a store that ended isn't started again yet: at its first write it would end again."""
        free, wanted = self.free_bytes(), min(self.least_bytes, _START_BYTES)
        return "" if free >= wanted else f"the disk of {self.folder} has {free:,} bytes free of the {wanted:,} it needs"

    def short(self, store: Vitals | None, times: float = 1.0) -> str | None:
        free, wanted = self.free_bytes(), self.wanted_bytes(store)
        if free >= wanted * times:
            return None
        return f"the disk of {self.folder} has {free:,} bytes free, and the store needs {wanted:,}"


def shortages(store: Vitals, disk: Disk | None = None, begun: Iterable[str] = ()) -> dict[str, str]:
    """By what is short (`memory`, `disk`, `eviction`), why. Of what has `begun`, a little more is asked."""
    found: dict[str, str] = {}
    share = _MEMORY_SHARE_AGAIN if "memory" in begun else MEMORY_SHARE_LIMIT
    if store.limit_bytes and store.used_bytes > store.limit_bytes * share:
        found["memory"] = f"the store uses {store.used_bytes:,} of {store.limit_bytes:,} bytes"
    if store.stuck:
        found["disk"] = "the store can't write to its append-only file; its log says why"
    elif disk is not None and (why := disk.short(store, _DISK_AGAIN if "disk" in begun else 1.0)) is not None:
        found["disk"] = why
    if store.limit_bytes and store.evicts:
        found["eviction"] = (
            f"the store throws away what it was given when it is full (maxmemory-policy {store.policy}); "
            "set `maxmemory-policy noeviction`"
        )
    return found


class StoreWatch:
    """One web process's. It looks once a second while requests come, and while something is short; an idle one asks
    nothing. When a shortage begins and when it is over, the log has one line.
    """

    def __init__(self, store: Store, disk: Disk | None = None) -> None:
        self.disk = disk
        self.vitals: Vitals | None = None
        self.unkept: tuple[Unkept, ...] = ()
        self._store = store
        self._look_at = 0.0
        #: What was short when it was last looked at, and why.
        self.short: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._watching: asyncio.Task[None] | None = None
        self._log = log.get()

    async def begin(self) -> None:
        """Tell what the store is short of already, and what it doesn't promise. A store that is away tells nothing."""
        with contextlib.suppress(StoreError):
            await self.look()
            await self.ask_promises()
            for one in self.unkept:
                (self._log.error if one.severity == "error" else self._log.warning)("store.unsafe", reason=one.message)

    async def ask_promises(self) -> None:
        """Raises StoreError."""
        if self.vitals is not None:
            self.unkept = tuple(await promises(self._store, self.vitals))

    async def check(self, until: float | None = None) -> None:
        """Raises StoreFullError while something is short; TimeoutError where the store says nothing `until` then."""
        if self._watching is None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            await self.look(until)
        if self.short:
            raise StoreFullError("; ".join(self.short.values()))

    def refused(self, error: StoreFullError) -> None:
        """The store was full between two looks."""
        if "memory" not in self.short:
            self._take(self.short | {"memory": str(error)})

    async def look(self, until: float | None = None) -> dict[str, str]:
        """What is short now, and why. Raises StoreError where the store is away."""
        self.vitals = await self._store.run(vitals(), until)
        found = shortages(self.vitals, self.disk, self.short)
        self._take(found)
        return found

    def _take(self, found: dict[str, str]) -> None:
        now = time.monotonic()
        for what, reason in found.items():
            if what not in self._since:
                self._since[what] = now
                self._log.error("store.short", what=what, reason=reason)
        for what in self._since.keys() - found.keys():
            self._log.info("store.room", what=what, lasted_s=round(now - self._since.pop(what), 1))
        self.short = found
        if found and self._watching is None:
            self._watching = asyncio.create_task(self._until_over())

    async def _until_over(self) -> None:
        while self.short:
            await asyncio.sleep(_LOOK_SECONDS)
            with contextlib.suppress(StoreError):
                await self.look()
        self._watching = None

    async def aclose(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
