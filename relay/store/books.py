"""Whether what is kept agrees with its indexes, its tallies and the lanes; and mending what doesn't.

Every act on the store leaves all of them in agreement. What disagrees came of a mistake of ours, of an older version's,
or of somebody who wrote to the store by hand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from relay.lanes import Command
from relay.lanes.script import Argument
from relay.store.base import pairs, store_script
from relay.store.store import Store

_BOOKS = store_script("books")

#: Keys that the server gives in one exchange.
_PAGE = 500

#: Ids that one act looks at: some milliseconds, in which nobody else is served.
_AT_ONCE = 100

#: Mended first is what others rely on: rows that are run again must not join a batch that nobody sends.
_ORDER = ("lane", "message", "waiting", "place", "batch", "delivery", "group", "index", "event")

Seen = Callable[[int], None]

#: What only somebody who knows the recipes can mend: run it again.
UNROUTED, STRANDED = "unrouted", "stranded"

_UNLISTED = "unlisted event"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that disagrees.

    kind     unrouted, stranded, stuck, orphan, tally, slot, place …
    id       the event, delivery, message, lane or step
    message  what is wrong
    look     what was looked at: its kind, the index or lane, that lane's queue, the id
    """

    kind: str
    id: str
    message: str
    look: tuple[str, str, str, str]

    def as_json(self) -> dict[str, str]:
        return {"fault": self.kind, "id": self.id, "message": self.message}


class Books:
    """This side of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def size(self) -> int:
        """How many keys there are to look at, about."""
        return int(await self._store.ask("DBSIZE"))

    async def look(self, seen: Seen = lambda _: None) -> AsyncIterator[Fault]:
        """Look at everything; nothing is changed. The relay may run meanwhile.

        seen  is told how many keys more have been looked at
        """
        plain = {self._store.key("e:"): "event", self._store.key("d:"): "delivery", self._store.key("g:"): "group"}
        lanes: set[str] = {*await self._store.run(self._store.lanes.names())}
        indexes = ["x:e", "x:d", "x:dead", "x:done"]
        lane_key, index_key = self._store.lanes.prefix + "l:", self._store.key("x:e:")
        async for keys in self._scan("SCAN"):
            names = [key.decode() for key in keys]
            for prefix, what in plain.items():
                ids = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
                async for fault in self._looks(what, ids):
                    yield fault
            lanes.update(name.removeprefix(lane_key) for name in names if name.startswith(lane_key))
            indexes += ["x:e:" + name.removeprefix(index_key) for name in names if name.startswith(index_key)]
            seen(len(names))
        for index in dict.fromkeys(indexes):
            async for fault in self._in("ZSCAN", self._store.key(index), "index", index):
                yield fault
        async for fault in self._lanes(sorted(lanes)):
            yield fault
        async for fault in self._in("HSCAN", self._store.key("batches"), "batch", ""):
            yield fault

    async def _lanes(self, lanes: Sequence[str]) -> AsyncIterator[Fault]:
        prefix = self._store.lanes.prefix
        async for fault in self._looks("lane", lanes):
            yield fault
        for lane in lanes:
            for scan, name, what in (
                ("ZSCAN", "d:", "waiting"),
                ("ZSCAN", "t:", "waiting"),
                ("HSCAN", "b:", "waiting"),
                ("HSCAN", "o:", "place"),
            ):
                async for fault in self._in(scan, f"{prefix}{name}{lane}", what, lane):
                    yield fault
        async for page in self._scan("HSCAN", prefix + "msg"):
            couples = [(_home(payload), id_.decode()) for id_, payload in _couples(page)]
            homes = sorted((home, id_) for home, id_ in couples if home is not None)
            for (queue, lane), some in groupby(homes, key=lambda one: one[0]):
                async for fault in self._looks("message", [id_ for _, id_ in some], lane, queue):
                    yield fault

    async def _in(self, scan: str, key: str, what: str, where: str) -> AsyncIterator[Fault]:
        async for page in self._scan(scan, key):
            async for fault in self._looks(what, [id_.decode() for id_, _ in _couples(page)], where):
                yield fault

    async def _scan(self, *words: str) -> AsyncIterator[Any]:
        cursor = b"0"
        while True:
            cursor, page = await self._store.ask(*words[:1], *words[1:], cursor, "COUNT", _PAGE)
            yield page
            if cursor == b"0":
                return

    async def _looks(self, what: str, ids: Sequence[str], where: str = "", queue: str = "") -> AsyncIterator[Fault]:
        for start in range(0, len(ids), _AT_ONCE):
            for fault in await self._run(what, where, queue, ids[start : start + _AT_ONCE]):
                yield fault

    async def _run(self, what: str, where: str, queue: str, ids: Sequence[str], *, mend: bool = False) -> list[Fault]:
        words: list[Argument] = ["", int(mend), what, where, queue, *ids]
        found = await self._store.run(Command.call(_BOOKS, self._store.keys, *words, read=_texts))
        rows = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
        return [Fault(kind, id_, message, (what, where, queue, looked_at)) for looked_at, kind, id_, message in rows]

    async def mend(
        self, faults: Sequence[Fault], run_again: Callable[[Fault], Awaitable[None]], seen: Seen = lambda _: None
    ) -> list[Fault]:
        """Look at these once more, and mend what is still wrong. What was mended.

        run_again  has the event of an `unrouted` routed, the delivery of a `stranded` made again
        """
        mended: list[Fault] = []
        looks = dict.fromkeys(fault.look for fault in faults)
        for what, where, queue, id_ in sorted(looks, key=lambda look: _ORDER.index(look[0])):
            for fault in await self._run(what, where, queue, [id_], mend=True):
                if fault.kind in (UNROUTED, STRANDED):
                    await run_again(fault)
                elif fault.kind == _UNLISTED:
                    await self._list(fault.id)
                mended.append(fault)
            seen(1)
        return mended

    async def _list(self, event_id: str) -> None:
        stored = await self._store.event(event_id)
        if stored is not None:
            for index in ("x:e", "x:e:" + stored.event.source):
                await self._store.write("ZADD", self._store.key(index), stored.event.received_ms, event_id)


def _home(payload: bytes) -> tuple[str, str] | None:
    """(queue, lane) of a message; None where it says neither."""
    try:
        message = orjson.loads(payload)
        return message["queue_name"], message["options"]["lane"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _couples(page: Any) -> Iterator[tuple[bytes, Any]]:
    """Of HSCAN and ZSCAN, which RESP2 and RESP3 give alike: flat."""
    return iter(pairs(page).items())


def _texts(reply: Sequence[bytes]) -> list[str]:
    return [word.decode() for word in reply]
