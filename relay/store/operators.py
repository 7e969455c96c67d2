"""What operators ask of the store: lists, counts, replay, discard, edit, and the audit of who did what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from relay.clock import now_ms
from relay.lanes import Command, LaneState
from relay.model import Status
from relay.store.base import audit_entry, pairs, store_script
from relay.store.books import Fault
from relay.store.codec import pack
from relay.store.records import Edit, RowOf, StoredDelivery, StoredEvent
from relay.store.store import Store

_REPLAY = store_script("replay")
_REROUTE = store_script("reroute")
_DISCARD = store_script("discard")
_EDIT = store_script("edit")

#: How many entries of an index are read in one exchange while a list is filtered.
_PAGE = 200

#: How many lanes are looked at in one exchange: some two milliseconds.
_LANES_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events or deliveries; None is any. Times in milliseconds since 1970."""

    source: str | None = None
    recipe: str | None = None
    step: str | None = None
    connection: str | None = None
    status: str | None = None
    cause: str | None = None
    event: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def takes_event(self, stored: StoredEvent) -> bool:
        return (self.source is None or stored.event.source == self.source) and (
            self.status is None or stored.status == self.status
        )

    def takes(self, delivery: StoredDelivery) -> bool:
        return (
            (self.recipe is None or delivery.recipe == self.recipe)
            and (self.step is None or delivery.step == self.step)
            and (self.connection is None or delivery.connection == self.connection)
            and (self.status is None or delivery.status.value == self.status)
            and (self.event is None or delivery.event_id == self.event)
            and (self.cause is None or self.cause.lower() in f"{delivery.cause}\n{delivery.summary}".lower())
        )


class Operators:
    """The operators' side of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- looking

    async def list_events(self, wanted: Filter, *, oldest_first: bool = False) -> AsyncIterator[StoredEvent]:
        index = self.store.key("x:e:", wanted.source) if wanted.source else self.store.key("x:e")
        async for ids in self._index(index, wanted, oldest_first=oldest_first):
            for stored in await self.store.events(ids):
                if stored is not None and wanted.takes_event(stored):
                    yield stored

    async def list_deliveries(self, wanted: Filter, *, oldest_first: bool = False) -> AsyncIterator[StoredDelivery]:
        """Newest first. Dead letters come from an index of their own, by when they died."""
        if wanted.event is not None:
            stored = await self.store.event(wanted.event)
            pages = self._pages(stored.deliveries if stored else ())
        else:
            index = self.store.key("x:dead" if wanted.status == Status.DEAD else "x:d")
            pages = self._index(index, wanted, oldest_first=oldest_first)
        async for ids in pages:
            for delivery in await self.store.deliveries(ids):
                if delivery is not None and wanted.takes(delivery):
                    yield delivery

    async def count_dead(self) -> int:
        return await self.store.run(Command(("ZCARD", self.store.key("x:dead")), int))

    async def counters(self) -> dict[str, int]:
        """`caught:<source>`, `duplicate:<source>`, `delivered:<connection>`, `dead:<connection>` …, since the start."""
        reply = await self.store.ask("HGETALL", self.store.key("stats"))
        return {name.decode(): int(number) for name, number in pairs(reply).items()}

    async def lanes(self) -> list[LaneState]:
        names = await self.store.run(self.store.lanes.names())
        found: list[LaneState] = []
        # In parts: the store does nothing else while it looks at some.
        for start in range(0, len(names), _LANES_AT_ONCE):
            some: list[LaneState] = await self.store.run(self.store.lanes.stats(names[start : start + _LANES_AT_ONCE]))
            found += some
        return found

    async def edits(self, delivery: StoredDelivery) -> list[Edit]:
        """Oldest first."""
        edits = [await self.store.edit(delivery.id, number) for number in range(1, delivery.edits + 1)]
        return [edit for edit in edits if edit is not None]

    async def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first."""
        entries = await self.store.ask("XREVRANGE", self.store.key("audit"), "+", "-", "COUNT", limit)
        return [orjson.loads(fields[1]) for _, fields in entries]

    # -- acting

    async def replay(
        self,
        delivery: StoredDelivery,
        *,
        who: str,
        version: str,
        connection: str,
        queue: str,
        lane: str,
        payload: bytes,
        batch: RowOf | None = None,
    ) -> str:
        """queued, hastened, in_flight, blocked, discarded or missing: see replay.lua."""
        entry = orjson.dumps(audit_entry(who, "replay", delivery.id, status=delivery.status.value))
        row = batch.packed() if batch is not None else ""
        words = ("", delivery.id, entry, version, queue, lane, payload, connection, row)
        return await self.store.run(Command.call(_REPLAY, self.store.keys, *words, read=bytes.decode))

    async def reroute(self, event_id: str, *, who: str, lane: str, message_id: str, payload: bytes) -> int:
        """1 queued, 0 queued already, -1 no such event."""
        entry = orjson.dumps(audit_entry(who, "replay", event_id))
        words = ("", event_id, message_id, lane, payload, entry)
        return await self.store.run(Command.call(_REROUTE, self.store.keys, *words, read=int))

    async def discard(self, delivery_id: str, *, who: str, reason: str) -> str:
        """discarded, missing, in_flight, or `already` and the status that keeps it from being discarded."""
        entry = orjson.dumps(audit_entry(who, "discard", delivery_id, reason=reason))
        words = ("", delivery_id, f"discarded by {who}: {reason}", entry)
        return await self.store.run(Command.call(_DISCARD, self.store.keys, *words, read=bytes.decode))

    async def keep_edit(self, delivery_id: str, *, who: str, note: str, body: bytes, content_type: str) -> int:
        """The number of the edit, from 1; 0 where there is no such delivery."""
        head = orjson.dumps({"by": who, "at": now_ms(), "note": note})
        entry = orjson.dumps(audit_entry(who, "edit", delivery_id, note=note))
        words = ("", delivery_id, head, pack({"content_type": content_type}, body), entry)
        return await self.store.run(Command.call(_EDIT, self.store.keys, *words, read=int))

    async def pause(self, lane: LaneState, reason: str, who: str) -> bool:
        changed = await self.store.run(self.store.lanes.pause(lane.queue, lane.name, reason))
        await self._note(audit_entry(who, "pause", lane.name, reason=reason))
        return changed

    async def limit(
        self, lane: LaneState, concurrency: int | None, rate: tuple[int, timedelta] | None, how: str, who: str
    ) -> bool:
        """Limits that stand in for those of relay.yaml, until `unlimit`. None leaves one as it is."""
        limits = self.store.lanes.limit(lane.name, how, concurrency=concurrency, rate=rate)
        changed = await self.store.run(limits)
        said = {"concurrency": concurrency, "rate": rate and f"{rate[0]}/{rate[1].total_seconds():g}s"}
        await self._note(audit_entry(who, "limit", lane.name, **said))
        return changed

    async def unlimit(self, lane: LaneState, who: str) -> bool:
        changed = await self.store.run(self.store.lanes.unlimit(lane.name))
        await self._note(audit_entry(who, "unlimit", lane.name))
        return changed

    async def resume(self, lane: LaneState, who: str) -> bool:
        changed = await self.store.run(self.store.lanes.resume(lane.queue, lane.name))
        await self._note(audit_entry(who, "resume", lane.name))
        return changed

    async def note_mended(self, fault: Fault, who: str) -> None:
        await self._note(audit_entry(who, "mend", fault.id, fault=fault.kind, message=fault.message))

    async def _note(self, entry: dict[str, Any]) -> None:
        await self.store.write("XADD", self.store.key("audit"), "MAXLEN", "~", 100_000, "*", "j", orjson.dumps(entry))

    async def _index(self, index: str, wanted: Filter, *, oldest_first: bool) -> AsyncIterator[list[str]]:
        """An index by time, a page at a time, each from the score at which the last one ended.

        What is removed meanwhile may hide an entry: collect a list whole before acting on it.
        """
        low = "-inf" if wanted.since_ms is None else wanted.since_ms
        high: int | str = "+inf" if wanted.until_ms is None else wanted.until_ms
        offset, edge = 0, ""
        while True:
            span = (low, high) if oldest_first else (high, low)
            order = () if oldest_first else ("REV",)
            limit = ("LIMIT", offset, _PAGE, "WITHSCORES")
            flat = await self.store.ask("ZRANGE", index, *span, "BYSCORE", *order, *limit)
            page = [(id_.decode(), score) for id_, score in _scored(flat)]
            if not page:
                return
            yield [id_ for id_, _ in page]
            # The next page starts at the last score; those of that score already given are skipped by the offset.
            last = page[-1][1]
            same = sum(1 for _, score in page if score == last)
            offset = offset + same if last == edge else same
            edge = last
            bound = int(float(last))
            low, high = (bound, high) if oldest_first else (low, bound)

    async def _pages(self, ids: Sequence[str]) -> AsyncIterator[list[str]]:
        for start in range(0, len(ids), _PAGE):
            yield list(ids[start : start + _PAGE])


def _scored(flat: Any) -> list[tuple[bytes, str]]:
    """RESP2 gives a flat list, RESP3 pairs."""
    if flat and isinstance(flat[0], list):
        return [(id_, str(score)) for id_, score in flat]
    return [(id_, score.decode() if isinstance(score, bytes) else str(score)) for id_, score in _pairwise(flat)]


def _pairwise(flat: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
