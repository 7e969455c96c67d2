"""The store's commands on the way of the data: accept, load, routed, settle. What operators ask is in operators.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

import orjson

from relay import jsontext
from relay.lanes import Command
from relay.model import Attempt, Event, Outcome, Status
from relay.retry import asked_to_wait, health
from relay.store.base import Base, pairs, store_script
from relay.store.codec import pack_event, pack_passed_over, unpack, unpack_event, unpack_passed_over
from relay.store.records import Edit, NewDelivery, PassedOver, StoredDelivery, StoredEvent

_ACCEPT = store_script("accept")
_ROUTED = store_script("routed")
_SETTLE = store_script("settle")
_SWEEP = store_script("sweep")
_REMEMBER = store_script("remember")
_ONLY_ONE = store_script("only_one")

#: Deliveries that one act of the sweep forgets: some ten milliseconds.
_SWEPT_AT_ONCE = 500

#: Which queue a lane belongs to: Dramatiq has one consumer for each.
ROUTE_QUEUE = "route"
DELIVER_QUEUE = "deliver"


def source_lane(source: str) -> str:
    """The lane in which a source's events wait to be routed: a flood on one source delays no other."""
    return f"in:{source}"


def recipe_lane(recipe: str) -> str:
    """The lane in which events wait for a recipe that is broken."""
    return f"recipe:{recipe}"


def connection_lane(connection: str) -> str:
    return connection


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt, for the one act that records it and moves its message.

    verdict   delivered, skipped, retry, dead, hold
    hold      the lane's new state (held, off) and the reason
    """

    verdict: str
    summary: str
    cause: str = ""
    attempt: Attempt | None = None
    due_ms: int | None = None
    saved: Mapping[str, Any] | None = None
    hold: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class BreakerNews:
    """What an attempt did to the breaker of its lane.

    opened  else it closed: what went out to probe came through
    times   how often it opened since the lane was whole
    """

    opened: bool
    reason: str = ""
    until_ms: int = 0
    times: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a successor wants to know of a delivery."""

    status: Status
    saved: Mapping[str, Any]


class Store(Base):
    """Events, deliveries and the lanes they travel in. Every write is one atomic call."""

    async def accept(
        self,
        events: Sequence[tuple[Event, bytes]],
        lane: str,
        duplicates: timedelta,
        *,
        rings: bool = False,
        mark: str = "",
        until: float | None = None,
    ) -> list[str]:
        """Keep the events of one request and queue their routing. For each, the id of the one it repeats, or "".

        events      with the payloads of their messages; all of one source
        duplicates  how long a key is remembered
        rings       somebody waits for the end of their deliveries: each is told on the channel `answers`
        mark        of the secret that the request was signed with: it is counted
        until       of the monotonic clock, in seconds: then it is a TimeoutError
        """
        window_ms = round(duplicates.total_seconds() * 1000)
        words: list[Any] = ["", events[0][0].source, lane, int(rings), mark]
        for event, payload in events:
            keyed = jsontext.clean(event.key) if event.key else ""
            words += (event.id, keyed, window_ms, event.received_ms, pack_event(event), payload)
        return await self.run(Command.call(_ACCEPT, self.keys, *words, read=_texts, promised=True), until)

    async def events(self, ids: Sequence[str]) -> list[StoredEvent | None]:
        return await self.run_many([self._load_event(event_id) for event_id in ids])

    async def event(self, event_id: str) -> StoredEvent | None:
        return await self.run(self._load_event(event_id))

    def _load_event(self, event_id: str) -> Command[StoredEvent | None]:
        def read(reply: Any) -> StoredEvent | None:
            packed, status, kind, deliveries = reply
            if packed is None:
                return None
            event = unpack_event(event_id, packed, (kind or b"").decode())
            return StoredEvent(event, status.decode(), tuple(filter(None, (deliveries or b"").decode().split(","))))

        return Command(("HMGET", self.key("e:", event_id), "x", "st", "ty", "ds"), read)

    def routed(
        self,
        worker: str,
        lane: str,
        message_id: str,
        event_id: str,
        event_type: str,
        status: str,
        deliveries: Iterable[NewDelivery],
        *,
        again: bool = False,
        passed_over: Sequence[PassedOver] = (),
    ) -> Command[bool]:
        """Write an event's deliveries and acknowledge its routing. False where the message had been taken back.

        passed_over  recipes that don't want it, in place of a skipped delivery each
        """
        words = chain.from_iterable(_delivery_words(delivery) for delivery in deliveries)
        return Command.call(
            _ROUTED,
            self.keys,
            "",
            worker,
            lane,
            message_id,
            event_id,
            jsontext.clean(event_type),
            status,
            int(again),
            len(passed_over),
            pack_passed_over(passed_over),
            *words,
            read=bool,
        )

    async def passed_over(self, event_id: str) -> list[PassedOver]:
        """The recipes that didn't want an event, where they were too many for a delivery each."""
        return unpack_passed_over(await self.ask("HGET", self.key("e:", event_id), "no"))

    def load_delivery(self, delivery_id: str) -> Command[StoredDelivery | None]:
        return Command(
            ("HGETALL", self.key("d:", delivery_id)),
            lambda reply: StoredDelivery.read(delivery_id, pairs(reply)) if reply else None,
        )

    async def delivery(self, delivery_id: str) -> StoredDelivery | None:
        return await self.run(self.load_delivery(delivery_id))

    async def deliveries(self, ids: Sequence[str]) -> list[StoredDelivery | None]:
        return await self.run_many([self.load_delivery(delivery_id) for delivery_id in ids])

    async def with_event(
        self, delivery_id: str, event_id: str | None, predecessors: Sequence[str]
    ) -> tuple[StoredDelivery | None, StoredEvent | None, list[Ended]]:
        """Everything one attempt needs, in one exchange. `event_id` is None where the caller has it already."""
        commands: list[Command[Any]] = [self.load_delivery(delivery_id), *map(self._load_end, predecessors)]
        if event_id is not None:
            commands.append(self._load_event(event_id))
        replies = await self.run_many(commands)
        event = replies.pop() if event_id is not None else None
        return replies[0], event, replies[1:]

    def _load_end(self, delivery_id: str, missing: Status = Status.DISCARDED) -> Command[Ended]:
        def read(reply: Any) -> Ended:
            status, saved = reply
            return Ended(Status(status.decode()) if status else missing, jsontext.loads(saved) if saved else {})

        return Command(("HMGET", self.key("d:", delivery_id), "status", "sv"), read)

    async def ends(self, ids: Sequence[str], missing: Status = Status.DISCARDED) -> list[Ended]:
        """What became of deliveries, and what they saved. One that was swept, or never made, counts as `missing`."""
        return await self.run_many([self._load_end(delivery_id, missing) for delivery_id in ids])

    async def settle(
        self, worker: str, lane: str, delivery_id: str, settled: Settled
    ) -> tuple[bool, BreakerNews | None]:
        """Record an attempt, move its message, and have the lane's breaker hear of it.

        False where the message had been taken back from this worker.
        """
        words = (
            "",
            worker,
            lane,
            delivery_id,
            settled.verdict,
            jsontext.dumps(settled.attempt.as_json()) if settled.attempt else "",
            (settled.due_ms or 0) * 1000,
            jsontext.clean(settled.summary),
            jsontext.clean(settled.cause),
            jsontext.dumps(settled.saved) if settled.saved else "",
            settled.hold[0],
            jsontext.clean(settled.hold[1]),
            *said_of_destination(settled.attempt.outcome if settled.attempt else None),
        )
        return await self.run(Command.call(_SETTLE, self.keys, *words, read=read_settled))

    async def edit(self, delivery_id: str, number: int) -> Edit | None:
        head, packed = await self.ask("HMGET", self.key("d:", delivery_id), f"edit:{number}", f"eb:{number}")
        return _read_edit(number, head, packed) if head else None

    async def keep_versions(self, versions: Mapping[tuple[str, str], str]) -> None:
        """Remember recipes' texts, by recipe and version: a delivery is rendered by the one it was routed with."""
        words = chain.from_iterable((f"{recipe}:{version}", text) for (recipe, version), text in versions.items())
        await self.run(Command.call(_REMEMBER, self.keys, "", "keep", "versions", *words, read=lambda _: None))

    async def version(self, recipe: str, version: str) -> str | None:
        text = await self.ask("HGET", self.key("versions"), f"{recipe}:{version}")
        return text.decode() if text is not None else None

    async def sweep(self, ended_before_ms: int, limit: int = 200) -> int:
        """Forget events whose every delivery ended before then. How many; as many as `limit` says there are more."""
        swept, more = 0, True
        while more:
            words = ("", ended_before_ms, limit - swept, _SWEPT_AT_ONCE)
            some, more = await self.run(Command.call(_SWEEP, self.keys, *words, read=lambda reply: reply))
            swept += some
            more = more and swept < limit
        return swept

    async def only_one(self, task: str, seconds: float) -> bool:
        """True for one caller in so many seconds: what many workers could do, and one has to."""
        return await self.run(Command.call(_ONLY_ONE, self.keys, "", task, round(seconds * 1000), read=bool))

    async def remembered(self, names: Sequence[str]) -> list[str | None]:
        values = await self.ask("HMGET", self.key("remembered"), *names) if names else []
        return [value.decode() if value is not None else None for value in values]

    async def remember(self, values: Mapping[str, str]) -> None:
        words = ("", "set", "remembered", *chain.from_iterable(values.items()))
        await self.run(Command.call(_REMEMBER, self.keys, *words, read=lambda _: None))


def _texts(reply: Sequence[bytes]) -> list[str]:
    return [text.decode() for text in reply]


def said_of_destination(outcome: Outcome | None) -> tuple[str, int]:
    """Words for `observe` of the lanes: its health, and how many microseconds it wants to be left alone."""
    if outcome is None:
        return "", 0
    return health(outcome).value, asked_to_wait(outcome) // timedelta(microseconds=1)


def read_settled(reply: Sequence[Any]) -> tuple[bool, BreakerNews | None]:
    held, *news = reply
    if not news:
        return bool(held), None
    if news[0] == b"closed":
        return bool(held), BreakerNews(opened=False)
    return bool(held), BreakerNews(True, news[1].decode(), int(news[2]), int(news[3]))


def _read_edit(number: int, head: bytes, packed: bytes) -> Edit:
    who = orjson.loads(head)
    meta, body = unpack(packed)
    return Edit(number, who["by"], who["at"], who["note"], body, meta["content_type"])


def _delivery_words(d: NewDelivery) -> tuple[Any, ...]:
    summary, cause = jsontext.clean(d.summary), jsontext.clean(d.cause)
    key = "" if d.order_key is None else "=" + d.order_key
    return (
        *(d.id, d.recipe, d.version, d.step, d.item, d.connection, d.status.value, summary, cause),
        *(",".join(d.waits_on), _successors(d), d.queue, d.lane, d.payload, key, d.edited),
        *(orjson.dumps(d.needs), d.group, d.batch.packed() if d.batch is not None else ""),
    )


def _successors(d: NewDelivery) -> str:
    """Those of a group come with its first item."""
    return ("=" if d.group and d.item == "0" else "") + ",".join(d.successors)
