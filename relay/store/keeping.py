"""How long things stay in the store: what ended long ago is forgotten, and may be brought back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from relay.lanes import Command
from relay.lanes.script import Argument
from relay.store.base import pairs, store_script
from relay.store.store import Store

_SWEEP = store_script("sweep")
_TURN = store_script("turn")
_BRING_BACK = store_script("bring_back")

#: Deliveries that one act forgets: some ten milliseconds, in which nobody else is served.
_DELIVERIES_AT_ONCE = 500

#: Deliveries that are read in one exchange, or brought back in one act.
_SLICE = 200

#: Who has the archive's turn holds it for a day: so long a worker without one leaves everything where it is.
_ARCHIVES_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """A delivery's fields as they are stored, by their short names: see lib.lua."""

    id: str
    fields: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event that has ended, as it is stored: when that was, its fields by their short names, its deliveries."""

    id: str
    ended_ms: int
    fields: Mapping[bytes, bytes]
    deliveries: Sequence[KeptDelivery]


class Keeping:
    """This side of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- forgetting

    async def ended(self, before_ms: int, limit: int) -> list[str]:
        """Events whose every delivery ended before then, those first that ended first."""
        index = self.store.key("x:done")
        reply = await self.store.ask("ZRANGE", index, "-inf", before_ms, "BYSCORE", "LIMIT", 0, limit)
        return [event.decode() for event in reply]

    async def forget(self, ids: Sequence[str], ended_before_ms: int) -> int:
        """Forget these, but for those that did not end before then after all. How many."""
        forgotten, more = 0, bool(ids)
        while more:
            words: list[Argument] = ["", ended_before_ms, len(ids), _DELIVERIES_AT_ONCE, *ids]
            some, more = await self.store.run(Command.call(_SWEEP, self.store.keys, *words, read=_as_is))
            forgotten += some
        return forgotten

    # -- turns

    async def turn(self, task: str, owner: str, ms: int) -> bool:
        """Whether it is this owner's turn at what many could do and one has to. Asked again, it has it longer."""
        return await self.store.run(Command.call(_TURN, self.store.keys, "", task, owner, ms, read=bool))

    async def archives(self) -> None:
        """Tell the workers that have no archive that somebody has one."""
        await self.turn("archive", "on", _ARCHIVES_MS)

    async def is_archived(self) -> bool:
        """Whether a worker with an archive was at work in the last day."""
        return bool(await self.store.ask("EXISTS", self.store.key("only:archive")))

    # -- reading whole, and bringing back

    async def whole(self, event_id: str) -> KeptEvent | None:
        """Everything there is of an event; None where it has not ended, or is half forgotten already."""
        commands: list[Command[Any]] = [
            Command(("HGETALL", self.store.key("e:", event_id)), pairs),
            Command(("ZSCORE", self.store.key("x:done"), event_id)),
        ]
        fields, ended = await self.store.run_many(commands)
        if ended is None or not fields or (b"sw" in fields and float(fields[b"sw"]) == float(ended)):
            return None
        ids = [id_ for id_ in fields.get(b"ds", b"").decode().split(",") if id_]
        deliveries: list[KeptDelivery] = []
        for start in range(0, len(ids), _SLICE):
            some = ids[start : start + _SLICE]
            found = await self.store.run_many([Command(("HGETALL", self.store.key("d:", id_)), pairs) for id_ in some])
            deliveries += [KeptDelivery(id_, kept) for id_, kept in zip(some, found, strict=True) if kept]
        return KeptEvent(event_id, int(float(ended)), fields, deliveries)

    async def are_there(self, ids: Sequence[str]) -> list[bool]:
        return await self.store.run_many([Command(("EXISTS", self.store.key("e:", id_)), bool) for id_ in ids])

    async def bring_back(self, kept: KeptEvent, source: str, received_ms: int) -> bool:
        """As one that has ended: nothing is queued. False where it is there already."""
        last = kept.deliveries[len(kept.deliveries) // _SLICE * _SLICE :]
        for start in range(0, len(kept.deliveries) - len(last), _SLICE):
            some = kept.deliveries[start : start + _SLICE]
            if not await self._bring_back(kept.id, "", 0, "", {}, some):
                return False
        made = "," + ",".join(f"{one.id}={one.fields.get(b'at', b'0').decode()}" for one in kept.deliveries)
        return await self._bring_back(kept.id, source, received_ms, made, kept.fields, last)

    async def _bring_back(
        self,
        event_id: str,
        source: str,
        received_ms: int,
        made: str,
        fields: Mapping[bytes, bytes],
        deliveries: Sequence[KeptDelivery],
    ) -> bool:
        words: list[Argument] = ["", event_id, source, received_ms, made, 2 * len(fields), *_flat(fields)]
        for delivery in deliveries:
            words += [delivery.id, 2 * len(delivery.fields), *_flat(delivery.fields)]
        return await self.store.run(Command.call(_BRING_BACK, self.store.keys, *words, read=bool))

    # -- who did what

    async def audit_after(self, place: str, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """Entries of the audit behind that place ('' = from the first), oldest first, each with its own place."""
        start = f"({place}" if place else "-"
        entries = await self.store.ask("XRANGE", self.store.key("audit"), start, "+", "COUNT", limit)
        return [(entry.decode(), orjson.loads(pairs(fields)[b"j"])) for entry, fields in entries]


def _flat(fields: Mapping[bytes, bytes]) -> list[bytes]:
    return list(chain.from_iterable(fields.items()))


def _as_is(reply: Any) -> Any:
    return reply
