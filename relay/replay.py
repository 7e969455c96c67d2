"""Replay: run dead or finished deliveries, or whole events, again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.errors import ConfigError
from relay.messages import BATCH_ID, BatchJob, DeliverJob, RouteJob
from relay.model import ROUTE_STEP
from relay.prepare import fits
from relay.recipes import Recipe, Workspace, as_it_was
from relay.route import row_of
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    UNROUTED,
    Fault,
    Operators,
    RowOf,
    StoredDelivery,
    StoredEvent,
    connection_lane,
    source_lane,
)

#: How many replays travel in one exchange.
_BATCH = 200

NEWEST = "newest"
SAME = "same"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a delivery would be run again."""

    version: str
    connection: str
    queue: str
    lane: str
    payload: bytes
    batch: RowOf | None = None


class Replayer:
    """Replays by the recipes of a workspace.

    version  `newest`: the recipe as it is now, where it still has the step, and the delivery has what that takes; else,
             and with `same`, as the delivery was routed with
    """

    def __init__(self, operators: Operators, workspace: Workspace, who: str, version: str = NEWEST) -> None:
        self._operators = operators
        self._workspace = workspace
        self._who = who
        self._version = version
        self._versions: dict[tuple[str, str], Recipe | None] = {}

    async def keep_versions(self) -> None:
        """The workers may not have seen the newest recipes yet: they find their text in the store."""
        recipes = self._workspace.recipes.values()
        await self._operators.store.keep_versions({(r.id, r.version): r.text for r in recipes})

    async def deliveries(
        self, deliveries: Sequence[StoredDelivery], progress: Callable[[int], None] = lambda _: None
    ) -> Counter[str]:
        """How many were queued, hastened, in_flight, blocked, discarded, missing."""
        await self.keep_versions()
        results: Counter[str] = Counter()
        # By their events' time: what a recipe orders is replayed in that order.
        deliveries = sorted(deliveries, key=lambda one: one.event_id)
        for start in range(0, len(deliveries), _BATCH):
            batch = deliveries[start : start + _BATCH]
            results.update(await asyncio.gather(*(self._one(delivery) for delivery in batch)))
            progress(len(batch))
        return results

    async def events(
        self, events: Sequence[StoredEvent], progress: Callable[[int], None] = lambda _: None
    ) -> Counter[str]:
        """Route events again: what has ended runs again, what is under way goes on."""
        results: Counter[str] = Counter()
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            results.update(await asyncio.gather(*(self._event(stored) for stored in batch)))
            progress(len(batch))
        return results

    async def stranded(self, fault: Fault) -> None:
        """Run again what waits in no lane."""
        store = self._operators.store
        if fault.kind == UNROUTED:
            stored = await store.event(fault.id)
            if stored is not None:
                await self.events([stored])
        elif (delivery := await store.delivery(fault.id)) is not None:
            await self.deliveries([delivery])

    async def _event(self, stored: StoredEvent) -> str:
        event = stored.event
        job = RouteJob(event.id, source_lane(event.source), event.id, again=True)
        done = await self._operators.reroute(
            event.id, who=self._who, lane=job.lane, message_id=job.message_id, payload=job.payload()
        )
        return {1: "queued", 0: "in_flight"}.get(done, "missing")

    async def _one(self, delivery: StoredDelivery) -> str:
        plan = await (self._route_plan if delivery.step == ROUTE_STEP else self._step_plan)(delivery)
        if plan is None:
            return "missing"
        return await self._operators.replay(
            delivery,
            who=self._who,
            version=plan.version,
            connection=plan.connection,
            queue=plan.queue,
            lane=plan.lane,
            payload=plan.payload,
            batch=plan.batch,
        )

    async def _route_plan(self, delivery: StoredDelivery) -> Plan | None:
        """What died before any step is routed again."""
        stored = await self._operators.store.event(delivery.event_id)
        if stored is None:
            return None
        lane = source_lane(stored.event.source)
        job = RouteJob(delivery.event_id, lane, delivery.id, delivery.recipe, delivery.id, again=True)
        return Plan("", "", ROUTE_QUEUE, lane, job.payload())

    async def _step_plan(self, delivery: StoredDelivery) -> Plan:
        recipe = await self._recipe(delivery)
        step = recipe.steps.get(delivery.step) if recipe is not None else None
        if recipe is None or step is None or not fits(recipe, step, delivery):
            job = DeliverJob(delivery.id, delivery.lane, delivery.event_id, delivery.needs)
            return Plan("", delivery.connection, DELIVER_QUEUE, delivery.lane, job.payload())
        lane = connection_lane(step.to)
        if step.batch is not None:
            # It joins the step's next batch: five hundred replayed rows are one call, as they would have been.
            job_of_batch = BatchJob(BATCH_ID, lane, recipe.id, step.id)
            row = row_of(recipe, step, step.batch)
            return Plan(recipe.version, step.to, DELIVER_QUEUE, lane, job_of_batch.payload(), row)
        needs = {need: delivery.needs[need] for need in step.needs}
        job = DeliverJob(delivery.id, lane, delivery.event_id, needs)
        return Plan(recipe.version, step.to, DELIVER_QUEUE, lane, job.payload())

    async def _recipe(self, delivery: StoredDelivery) -> Recipe | None:
        """The version that is asked for; None where there is none that can be used."""
        if self._version == NEWEST:
            return self._workspace.recipes.get(delivery.recipe)
        key = (delivery.recipe, delivery.version)
        if key not in self._versions:
            text = await self._operators.store.version(*key)
            self._versions[key] = None
            if text is not None:
                with contextlib.suppress(ConfigError):
                    known = self._workspace
                    self._versions[key] = as_it_was(delivery.recipe, text, known.retries, known.tables)
        return self._versions[key]
