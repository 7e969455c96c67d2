"""What one of all workers does once a minute: write what ended long ago into the archive, and forget it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from relay import log
from relay.clock import now_ms
from relay.errors import StoreError
from relay.keeping.archive import Archive
from relay.keeping.archived import audit_line, line_of
from relay.settings import Settings
from relay.store import HANDSHAKE, History, Keeping, Store

EVERY_SECONDS = 60.0
_FORGET_SECONDS = 3600.0

#: How long one worker has its turn. It asks again with each page, so nobody takes it over while it is at work.
_TURN_MS = 45_000

#: Of one page: events, and bytes of their lines, after which they are written. A line may be longer by itself.
_PAGE_EVENTS = 200
_PAGE_BYTES = 4_000_000

_AUDITED = "archived audit"
_AUDIT_PAGE = 500


class Housekeeper:
    """One worker's."""

    def __init__(self, store: Store, settings: Settings, worker: str) -> None:
        """`worker` is who it is, among those who take turns."""
        self._store = store
        self._keeping = Keeping(store)
        self._settings = settings
        self._worker = worker
        self._archive = Archive(Path(settings.archive)) if settings.archive else None
        self._log = log.get()
        self._stands_back = False

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.forget_versions()
                await self.sweep()
            except OSError as error:
                # What is not in the archive stays in the store.
                self._log.error("events.not_archived", folder=self._settings.archive, why=str(error))
            except StoreError as error:
                self._log.warning("events.not_swept", why=str(error))

    async def forget_versions(self) -> None:
        if await self._store.only_one("forget versions", _FORGET_SECONDS):
            # A day more than what ended is kept: by then nothing but dead letters can name them.
            grace = self._settings.keep + timedelta(days=1)
            await History(self._store).forget_versions(round(grace.total_seconds() * 1000))

    async def sweep(self) -> int:
        """Forget what ended more than `keep` ago. How many events. Raises StoreError, OSError (of the archive)."""
        if await self._stand_back() or not await self._my_turn():
            return 0
        before_ms = now_ms() - round(self._settings.keep.total_seconds() * 1000)
        swept = 0
        if self._archive is not None:
            await self._keeping.archives()
            await self._archive_audit(self._archive)
        while await self._my_turn():
            if self._archive is not None:
                some = await self._archive_page(self._archive, before_ms)
            else:
                some = await self._store.sweep(before_ms, _PAGE_EVENTS)
            swept += some
            if not some:
                break
        if swept:
            archive = {"archive": str(self._archive.folder)} if self._archive is not None else {}
            self._log.info("events.swept", events=swept, **archive)
        return swept

    async def _my_turn(self) -> bool:
        return await self._keeping.turn("sweep", self._worker, _TURN_MS)

    async def _stand_back(self) -> bool:
        """A worker without an archive forgets nothing where another has one: it would be missing there."""
        stands_back = self._archive is None and await self._keeping.is_archived()
        if stands_back and not self._stands_back:
            self._log.warning("events.left_to_others", why="another worker has RELAY_ARCHIVE, this one has not")
        self._stands_back = stands_back
        return stands_back

    async def _archive_page(self, archive: Archive, before_ms: int) -> int:
        """First on disk in the archive, then out of the store: a kill between them writes twice, and loses nothing."""
        ids = await self._keeping.ended(before_ms, _PAGE_EVENTS)
        lines: list[bytes] = []
        taken = 0
        for event_id in ids:
            kept = await self._keeping.whole(event_id)
            taken += 1
            if kept is not None and kept.fields.get(b"st") != HANDSHAKE.encode():
                lines.append(line_of(kept))
            if sum(map(len, lines)) >= _PAGE_BYTES:
                break
        if lines:
            # In a thread: an fsync may take long, and this loop delivers.
            await asyncio.to_thread(archive.append, lines)
        await self._keeping.forget(ids[:taken], before_ms)
        return taken

    async def _archive_audit(self, archive: Archive) -> None:
        place = (await self._store.remembered([_AUDITED]))[0] or ""
        while entries := await self._keeping.audit_after(place, _AUDIT_PAGE):
            await asyncio.to_thread(archive.append, [audit_line(*entry) for entry in entries])
            place = entries[-1][0]
            await self._store.remember({_AUDITED: place})
