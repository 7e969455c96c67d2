"""Both ends of a store on a real Valkey, as a web process, a worker and an operator have them; and the books.

A delivery that has not ended is in a lane, in a batch, waits for a predecessor, or is dead; nothing else may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from dramatiq.message import Message

from relay.clock import now_ms
from relay.lanes import Fetched, LaneState
from relay.memory import DecodedEvents
from relay.messages import CaughtPayload, RouteJob
from relay.model import Event, Status, delivery_id, new_event_id
from relay.recipes import Workspace
from relay.replay import Replayer
from relay.route import Router
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    Books,
    Fault,
    Operators,
    Settled,
    Store,
    StoredDelivery,
    source_lane,
)

LEASE_US = 10_000_000
WORKER, OTHER = "host:1:a", "host:2:b"
LANE = source_lane("chat")
DELIVERED = Settled("delivered", "200 OK")
DEAD = Settled("dead", "422 Unprocessable", "http 422")


@dataclass
class Bench:
    """A store, and the two ends of it that a worker has."""

    store: Store
    operators: Operators
    folder: Path

    # -- what a web process does

    async def accept(self, body: bytes = b'{"id": 1}', key: str = "", window: timedelta | None = None) -> Event:
        event = event_of(body, key)
        assert await self.put(event, window) is None
        return event

    async def put(self, event: Event, window: timedelta | None = None) -> str | None:
        (earlier,) = await self.put_all([event], window)
        return earlier or None

    async def put_all(self, events: Sequence[Event], window: timedelta | None = None, mark: str = "") -> list[str]:
        paid = [(event, CaughtPayload(LANE).of(event.id)) for event in events]
        return await self.store.accept(paid, LANE, window or timedelta(hours=1), mark=mark)

    # -- what a worker does

    async def fetch(self, queue: str = DELIVER_QUEUE, worker: str = WORKER, limit: int = 500) -> list[Fetched]:
        command = self.store.lanes.fetch(queue, worker, limit, LEASE_US)
        return (await self.store.run(command))[1]

    async def route(self, workspace: Workspace, worker: str = WORKER) -> int:
        """Route what is due now, as a worker with these recipes would. How many."""
        router = Router(workspace, self.store, worker, DecodedEvents())
        fetched = await self.fetch(ROUTE_QUEUE, worker)
        if fetched:
            await router.route([RouteJob(*Message.decode(lease.payload).args) for lease in fetched])
        return len(fetched)

    async def settle(self, lease: Fetched, settled: Settled = DELIVERED, worker: str = WORKER) -> bool:
        held, _ = await self.store.settle(worker, lease.lane, lease.id, settled)
        return held

    async def take(self) -> Fetched:
        """The one delivery that is due."""
        (lease,) = await self.fetch()
        return lease

    async def take_back(self, worker: str = WORKER) -> int:
        return await self.store.run(self.store.lanes.take_back(worker, died=True))

    # -- what an operator does

    async def replay(self, workspace: Workspace, *ids: str, version: str = "newest") -> dict[str, int]:
        deliveries = [d for d in await self.store.deliveries(ids) if d is not None]
        return dict(await Replayer(self.operators, workspace, "ana", version).deliveries(deliveries))

    async def replay_event(self, workspace: Workspace, event: Event) -> dict[str, int]:
        stored = await self.store.event(event.id)
        assert stored is not None
        return dict(await Replayer(self.operators, workspace, "ana").events([stored]))

    async def resume(self, queue: str, lane: str) -> None:
        await self.store.run(self.store.lanes.resume(queue, lane))

    # -- what is there

    async def delivery(self, id_: str) -> StoredDelivery:
        found = await self.store.delivery(id_)
        assert found is not None
        return found

    async def of(self, event: Event) -> dict[tuple[str, str], StoredDelivery]:
        """An event's deliveries by recipe and step."""
        stored = await self.store.event(event.id)
        assert stored is not None
        found = [await self.delivery(id_) for id_ in stored.deliveries]
        return {(delivery.recipe, delivery.step): delivery for delivery in found}

    async def statuses(self, event: Event) -> dict[str, str]:
        return {step: delivery.status.value for (_, step), delivery in (await self.of(event)).items()}

    async def open(self, event: Event) -> int:
        return int(await self.store.ask("HGET", self.store.key("e:", event.id), "open"))

    async def lane(self, name: str) -> LaneState:
        return next(lane for lane in await self.operators.lanes() if lane.name == name)

    async def keys(self, pattern: str) -> list[str]:
        return sorted(key.decode() for key in await self.store.ask("KEYS", self.store.prefix + pattern))

    async def is_queued(self, id_: str) -> bool:
        return bool(await self.store.ask("HEXISTS", self.store.lanes.prefix + "msg", id_))

    async def faults(self) -> list[Fault]:
        return [fault async for fault in Books(self.store).look()]

    async def mend(self, workspace: Workspace) -> list[str]:
        """The kinds of what was mended."""
        replayer = Replayer(self.operators, workspace, "ana", "same")
        return [fault.kind for fault in await Books(self.store).mend(await self.faults(), replayer.stranded)]

    async def check_the_books(self) -> None:
        """Nothing is stranded, and every tally agrees with what is there; and Books finds no more than we do."""
        assert await self.faults() == []
        ids = [key.rpartition(":")[2] for key in await self.keys("d:*")]
        by_event: dict[str, int] = {}
        for delivery in [await self.delivery(id_) for id_ in ids]:
            has_ended = delivery.status in (Status.DELIVERED, Status.SKIPPED, Status.DISCARDED)
            by_event[delivery.event_id] = by_event.get(delivery.event_id, 0) + (not has_ended)
            stands = delivery.batch or delivery.id
            if delivery.batch and not has_ended:
                rows = await self.store.ask("LRANGE", self.store.key("br:", delivery.batch), 0, -1)
                assert delivery.id.encode() in rows, f"{delivery.id} is in no row of its batch"
            if delivery.status in (Status.WAITING, Status.RETRYING) and not await self.is_queued(stands):
                assert delivery.waits_for > 0, f"{delivery.recipe}/{delivery.step} waits for ever: {delivery.summary}"
                needs = [d for d in await self.store.deliveries(_all(delivery)) if d is not None]
                ended = (Status.DELIVERED, Status.SKIPPED, Status.DISCARDED)
                assert any(d.status not in ended for d in needs), f"{delivery.step} waits for what has ended"
        dead = await self.store.ask("ZRANGE", self.store.key("x:dead"), 0, -1)
        assert {id_.decode() for id_ in dead} == {
            id_ for id_ in ids if (await self.delivery(id_)).status is Status.DEAD
        }
        done = {id_.decode() for id_ in await self.store.ask("ZRANGE", self.store.key("x:done"), 0, -1)}
        for key in await self.keys("e:*"):
            event = key.rpartition(":")[2]
            stored = await self.store.event(event)
            assert stored is not None, f"{key} is no event: {await self.store.ask('HGETALL', key)}"
            tally = int(await self.store.ask("HGET", key, "open"))
            assert tally == by_event.get(event, 0) + (stored.status == "caught"), f"{event} has a wrong tally"
            assert (event in done) == (tally == 0)


def _all(delivery: StoredDelivery) -> list[str]:
    """Its predecessors' deliveries, each item's of a step that ran once per item."""
    event, recipe = delivery.event_id, delivery.recipe
    return [
        id_
        for step, need in delivery.needs.items()
        for id_ in (
            [need] if isinstance(need, str) else [delivery_id(event, recipe, step, str(n)) for n in range(need)]
        )
    ]


def event_of(body: bytes = b'{"id": 1}', key: str = "", source: str = "chat", at: int | None = None) -> Event:
    headers = {"content-type": "application/json"}
    at = now_ms() if at is None else at
    return Event(new_event_id(), source, "POST", f"/in/{source}", (), headers, body, at, key=key)


Workspaces = Callable[..., Workspace]


def recipe(to: str = "sink", **more: Any) -> dict[str, Any]:
    """One step, `post`."""
    steps = {"post": {"to": to, "with": {"path": "/e", "json": {"id": "$.id"}}}}
    return {"recipe": "One step", "catch": "chat", **more, "steps": steps}


def chain(first: Mapping[str, Any] | None = None, **second: Any) -> dict[str, Any]:
    """Two steps: `b` waits for `a`."""
    a = {"to": "sink", **(first or {}), "with": {"path": "/a"}}
    b = {"to": "sink", "after": "a", **second, "with": {"path": "/b"}}
    return {"recipe": "Two steps", "catch": "chat", "steps": {"a": a, "b": b}}


BROKEN = yaml.safe_dump(recipe()).replace("with:", "wiht:")
#: What asks for something that the event hasn't got: a dead letter before any step.
IMPOSSIBLE = recipe(pick={"x": "$.missing.y"})
