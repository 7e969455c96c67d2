"""What a store that is set up otherwise than the embedded one doesn't promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from relay.errors import StoreError
from relay.store.base import Base
from relay.store.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Unkept:
    """A promise that this store doesn't keep: what is lost by it when, and the remedy."""

    severity: Literal["error", "warning"]
    message: str


async def promises(store: Base, vitals: Vitals) -> list[Unkept]:
    """Those that aren't kept, the worst first."""
    found = list(_unkept(vitals, await _fsync(store)))
    return sorted(found, key=lambda one: one.severity)


def _unkept(vitals: Vitals, fsync: str) -> Iterator[Unkept]:
    policy = vitals.policy
    if vitals.evicts:
        what = f"the store throws events away when it is full (maxmemory-policy {policy})"
        yield Unkept("error", f"{what}: set `maxmemory-policy noeviction`")
    elif policy.startswith("volatile"):
        what = f"when it is full the store forgets which events came before (maxmemory-policy {policy})"
        yield Unkept("warning", f"{what}, and takes repeats: set `maxmemory-policy noeviction`")
    if not vitals.appends:
        what = "the store writes no append-only file, and loses events that were answered 2xx when it ends"
        yield Unkept("error", f"{what}: set `appendonly yes` and `appendfsync always`")
    elif not fsync:
        yield Unkept("warning", "the store doesn't tell its `appendfsync`: a 2xx is on disk only with `always`")
    elif fsync != "always":
        time = "two seconds" if fsync == "everysec" else "half a minute"
        what = f"a machine that loses power loses up to {time} of events that were answered 2xx (appendfsync {fsync})"
        yield Unkept("warning", f"{what}: set `appendfsync always`")


async def _fsync(store: Base) -> str:
    """Empty where the store tells nobody. RESP3 gives a mapping, RESP2 a flat list."""
    try:
        reply = await store.ask("CONFIG", "GET", "appendfsync")
    except StoreError:
        return ""
    values = list(reply.values()) if isinstance(reply, dict) else list(reply)[1::2]
    return values[0].decode() if values else ""
