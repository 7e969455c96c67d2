"""Route: decode an event, find what its recipes want of it, write the deliveries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from relay import log
from relay.clock import now, to_ms
from relay.errors import BodyError, RecipeError, StoreError
from relay.lanes import Claim, Command, Fetched
from relay.memory import DecodedEvents
from relay.messages import BATCH_ID, BatchJob, DeliverJob, RouteJob
from relay.model import ROUTE_STEP, Event, Status, delivery_id
from relay.recipes import Batch, EventView, Plan, PlannedStep, Recipe, Step, Workspace, decoded_view
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    Edit,
    NewDelivery,
    PassedOver,
    RowOf,
    Store,
    StoredDelivery,
    StoredEvent,
    connection_lane,
    recipe_lane,
)

#: The state of a lane whose events wait for a recipe to be mended.
BROKEN = "broken"

#: So many deliveries are written by one exchange: the store does nothing else meanwhile.
_MOST_WRITTEN = 2_000

#: More recipes than these that pass an event over are kept with it; fewer have a skipped delivery each.
_MOST_SKIPPED = 8

_CLOCKS_APART = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Routed:
    """An event as it was routed: its type, its new status, what is to be made of it."""

    job: RouteJob
    kind: str
    status: str
    deliveries: list[NewDelivery]
    passed_over: Sequence[PassedOver] = ()
    source: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class _Planned:
    """What recipes make of an event: its new status, its type, its deliveries, and the recipes whose `when` says no."""

    status: str
    kind: str
    deliveries: list[NewDelivery]
    unwanted: Sequence[PassedOver] = ()


class Deliveries(Protocol):
    """Who makes attempts in this process."""

    def claim(self) -> Claim | None:
        """The next fetch, where there is room for what it brings."""

    def begin_fetched(self, fetched: Sequence[Fetched], made: Mapping[str, StoredDelivery]) -> None:
        """Begin what it brought. `made`: deliveries that were written just before it."""


class Router:
    """Turns events into deliveries by the recipes of a workspace."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        worker: str,
        decoded: DecodedEvents,
        deliveries: Deliveries | None = None,
    ) -> None:
        self._deliveries = deliveries
        self.workspace = workspace
        self._store = store
        self._worker = worker
        self._decoded = decoded
        self._log = log.get()

    async def route(self, jobs: Sequence[RouteJob]) -> None:
        """Route each event and acknowledge its message, in as few exchanges as there are steps to it.

        The writes leave together and in order: what a gated lane gave out together is written as it was caught.
        """
        started = time.perf_counter()
        workspace = self.workspace
        events = await self._store.events([job.event for job in jobs])
        routed: list[_Routed] = []
        for job, stored in zip(jobs, events, strict=True):
            routed.append(await self._safely(workspace, job, stored))
            if sum(len(one.deliveries) for one in routed) >= _MOST_WRITTEN:
                await self._write(routed, started)
                routed.clear()
        await self._write(routed, started)

    async def give_up(self, jobs: Sequence[RouteJob], times: int) -> None:
        """The workers that tried to route these events died, time after time: a dead letter each."""
        for job in jobs:
            summary = f"the worker died {times} times while it routed this event"
            letter = _letter(job.event, job.recipe, Status.DEAD, summary, "worker died")
            await self._store.run(self._command(_Routed(job, "", "routed", [letter])))
            self._log.error("event.gave_up", event_id=job.event, times=times)

    async def _safely(self, workspace: Workspace, job: RouteJob, stored: StoredEvent | None) -> _Routed:
        """A mistake of ours over one event is a dead letter of that event, and no matter of those beside it."""
        try:
            return await self._route(workspace, job, stored)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - nobody foresaw it; it must be seen, and must not repeat for ever
            self._log.error("event.mistake", event_id=job.event, exc_info=error)
            cause = f"internal error: {type(error).__name__}"
            letter = _letter(job.event, job.recipe, Status.DEAD, f"{cause}: {error}"[:500], cause)
            return _Routed(job, "", "routed", [letter])

    async def _route(self, workspace: Workspace, job: RouteJob, stored: StoredEvent | None) -> _Routed:
        if stored is None:
            # Swept, or written by nobody: there is nothing to route, and the message has to go.
            self._log.warning("event.missing", event_id=job.event)
            return _Routed(job, "", "skipped", [], missing=True)
        letter = await self._store.delivery(job.delivery) if job.delivery else None
        edit, holder = await latest_edit(self._store, letter) if letter is not None else (None, "")
        event = with_edit(stored.event, edit)
        plan = self._plan(workspace, job, event)
        kept, skipped = _divided(plan.unwanted, stored)
        deliveries = plan.deliveries
        deliveries += [_letter(event.id, one.recipe, Status.SKIPPED, one.why, "when", one.version) for one in skipped]
        if holder:
            deliveries = [replace(delivery, edited=holder) for delivery in deliveries]
        deliveries += self._resolved(job, deliveries)
        return _Routed(job, plan.kind, plan.status, deliveries, kept, event.source)

    async def _write(self, routed: Sequence[_Routed], started: float) -> None:
        held = await self._written(routed)
        took_ms = round((time.perf_counter() - started) * 1000, 1)
        for one, written in zip(routed, held, strict=True):
            if not written:
                self._log.warning("event.taken_back", event_id=one.job.event)
            elif not one.missing:
                await self._pause_broken(one.job)
                self._tell(one, took_ms)

    async def _written(self, routed: Sequence[_Routed]) -> list[bool]:
        """Whether each was still ours to route. What is due now is leased by the same exchange, and begins at once."""
        commands: list[Command[Any]] = [self._command(one) for one in routed]
        claim = self._deliveries.claim() if self._deliveries is not None else None
        if claim is None or self._deliveries is None:
            return await self._store.run_many(commands)
        try:
            *held, fetch = await self._store.try_many([*commands, claim.command])
        except BaseException as error:
            claim.lost()
            if not isinstance(error, StoreError):
                raise
            # Those that were written without our hearing of it are written no second time.
            return await self._store.run_many(commands)
        fetched = claim.took(fetch)
        self._deliveries.begin_fetched(fetched, _made(routed, held))
        return held

    def _command(self, routed: _Routed) -> Command[bool]:
        job = routed.job
        words = job.lane, job.message_id, job.event, routed.kind, routed.status, routed.deliveries
        return self._store.routed(self._worker, *words, again=job.again, passed_over=routed.passed_over)

    async def _pause_broken(self, job: RouteJob) -> None:
        """Somebody with a mended recipe resumed the lane, and we still have the broken one."""
        broken = self.workspace.broken.get(job.recipe)
        if broken is not None:
            await self._store.run(
                self._store.lanes.pause(ROUTE_QUEUE, recipe_lane(broken.id), broken.why, state=BROKEN)
            )

    def _tell(self, routed: _Routed, took_ms: float) -> None:
        made = sum(1 for delivery in routed.deliveries if delivery.status is Status.WAITING)
        dead = [delivery for delivery in routed.deliveries if delivery.status is Status.DEAD]
        line: dict[str, Any] = {"event_id": routed.job.event, "source": routed.source, "deliveries": made}
        line["took_ms"] = took_ms
        if routed.passed_over:
            line["passed_over"] = len(routed.passed_over)
        if dead:
            line |= {"dead": len(dead), "why": dead[0].summary}
        (self._log.warning if dead else self._log.info)("event.routed", **line)

    def _plan(self, workspace: Workspace, job: RouteJob, event: Event) -> _Planned:
        source = workspace.sources.get(event.source)
        wanted = [r for r in workspace.recipes_for(event.source) if job.recipe in ("", r.id)]
        broken = [b for b in workspace.broken_for(event.source) if job.recipe in ("", b.id)]
        waiting = [self._waits_for(job, event, b.id) for b in broken]
        if not wanted and not waiting and job.recipe and job.recipe not in workspace.recipes:
            why = f"there is no recipe {job.recipe} any more; put it back and replay, or discard"
            letter = _letter(event.id, job.recipe, Status.DEAD, why, "recipe missing")
            return _Planned("routed", event.type, [letter])
        if not wanted:
            return _Planned("routed" if waiting else "skipped", event.type, waiting)
        try:
            view = decoded_view(event, source)
        except BodyError as error:
            why = f"the body can't be decoded: {error}"
            letter = _letter(event.id, job.recipe, Status.DEAD, why, "undecodable body")
            return _Planned("undecodable", event.type, [letter, *waiting])
        kind = view.event.type
        if not job.recipe:
            wanted = [recipe for recipe in wanted if recipe.wants(kind)]
        planned: list[NewDelivery] = []
        unwanted: list[PassedOver] = []
        for recipe in wanted:
            made = self._recipe(recipe, view)
            if isinstance(made, PassedOver):
                unwanted.append(made)
            else:
                planned += made
        if not job.delivery:
            self._decoded.put(view, sum(1 for d in planned if d.status is Status.WAITING))
        return _Planned("routed" if wanted or waiting else "skipped", kind, [*planned, *waiting], unwanted)

    def _recipe(self, recipe: Recipe, view: EventView) -> list[NewDelivery] | PassedOver:
        try:
            return self._planned(recipe, view)
        except RecipeError as error:
            return [_letter(view.event.id, recipe.id, Status.DEAD, str(error), _cause(error), recipe.version)]
        except Exception as error:  # noqa: BLE001 - nobody foresaw it, and it is no matter of the other recipes
            self._log.error("event.mistake", event_id=view.event.id, exc_info=error)
            cause = f"internal error: {type(error).__name__}"
            why = f"{cause}: {error}"[:500]
            return [_letter(view.event.id, recipe.id, Status.DEAD, why, cause, recipe.version)]

    def _planned(self, recipe: Recipe, view: EventView) -> list[NewDelivery] | PassedOver:
        plan = recipe.plan(view)
        if plan.skipped is not None:
            return PassedOver(recipe.id, recipe.version, plan.skipped)
        return planned_deliveries(recipe, plan, view.event.id)

    def _waits_for(self, job: RouteJob, event: Event, recipe: str) -> NewDelivery:
        """A broken recipe may want this event: it waits, and is routed when the recipe has been mended."""
        lane = recipe_lane(recipe)
        letter = delivery_id(event.id, recipe, ROUTE_STEP)
        payload = RouteJob(event.id, lane, letter, recipe, letter, again=job.again).payload()
        summary = f"waits for the recipe {recipe} to be mended; see relay check"
        waiting = _letter(event.id, recipe, Status.WAITING, summary, "")
        return replace(waiting, queue=ROUTE_QUEUE, lane=lane, payload=payload)

    def _resolved(self, job: RouteJob, deliveries: Sequence[NewDelivery]) -> list[NewDelivery]:
        """The letter that this routing was to resolve has ended, unless it was written anew."""
        if not job.delivery or any(delivery.id == job.delivery for delivery in deliveries):
            return []
        made = sum(1 for delivery in deliveries if delivery.step != ROUTE_STEP)
        status = Status.DELIVERED if made else Status.SKIPPED
        summary = f"routed: {made} deliveries" if made else "no recipe wants it"
        return [_letter(job.event, job.recipe, status, summary, "")]


def _divided(unwanted: Sequence[PassedOver], stored: StoredEvent) -> tuple[Sequence[PassedOver], Sequence[PassedOver]]:
    """(those that are only kept with the event, those that get a skipped delivery each)."""
    if len(unwanted) <= _MOST_SKIPPED:
        return (), unwanted
    if not stored.deliveries:
        return unwanted, ()
    # A delivery that an earlier routing made has to end under its own name.
    made = set(stored.deliveries)
    has_one = {one.recipe for one in unwanted if delivery_id(stored.event.id, one.recipe, ROUTE_STEP) in made}
    return [one for one in unwanted if one.recipe not in has_one], [one for one in unwanted if one.recipe in has_one]


def _made(routed: Sequence[_Routed], held: Sequence[bool]) -> dict[str, StoredDelivery]:
    """The deliveries that were surely new: nobody else has touched them yet."""
    return {
        new.id: StoredDelivery.begun(new, one.job.event)
        for one, written in zip(routed, held, strict=True)
        if written and not (one.job.again or one.job.delivery)
        for new in one.deliveries
        if new.payload and new.batch is None
    }


async def latest_edit(store: Store, delivery: StoredDelivery) -> tuple[Edit | None, str]:
    """The body that stands in for the event's, and the delivery that holds it: itself, or the letter it came from."""
    holder: StoredDelivery | None = delivery
    if not delivery.edits:
        holder = await store.delivery(delivery.edited) if delivery.edited else None
    if holder is None or not holder.edits:
        return None, ""
    return await store.edit(holder.id, holder.edits), holder.id


def with_edit(event: Event, edit: Edit | None) -> Event:
    if edit is None:
        return event
    # What a person has written isn't packed, even where the sender's body was.
    headers = {name: value for name, value in event.headers.items() if name != "content-encoding"}
    return replace(event, body=edit.body, headers=headers | {"content-type": edit.content_type})


def planned_deliveries(recipe: Recipe, plan: Plan, event_id: str) -> list[NewDelivery]:
    """The deliveries of a plan. A step waits for its predecessors, unless a rule of the recipe skips it now."""
    return _Deliveries(recipe, plan, event_id).made()


class _Deliveries:
    """Of one recipe and one event.

    A step has one delivery, or one for each item: then they are a group, which has the id that the delivery would have.
    """

    def __init__(self, recipe: Recipe, plan: Plan, event_id: str) -> None:
        self.recipe = recipe
        self.plan = plan
        self.event_id = event_id
        self.whole = {step: delivery_id(event_id, recipe.id, step) for step in recipe.steps}
        self.items = Counter(step.step for step in plan.steps)
        self.successors: dict[str, list[str]] = {}
        self.open: set[str] = set()
        for step in plan.steps:
            if step.skipped is None:
                self.open.add(step.step)
                for need in step.needs:
                    self.successors.setdefault(need, []).append(self.id_of(step))

    def id_of(self, step: PlannedStep) -> str:
        return delivery_id(self.event_id, self.recipe.id, step.step, step.item) if step.item else self.whole[step.step]

    def made(self) -> list[NewDelivery]:
        return [self.delivery(step) for step in self.plan.steps]

    def delivery(self, planned: PlannedStep) -> NewDelivery:
        recipe, step = self.recipe, self.recipe.steps[planned.step]
        lane = connection_lane(step.to)
        own = self.id_of(planned)
        needs = {need: self.need(need) for need in planned.needs}
        row: RowOf | None = None
        payload = b""
        if planned.skipped is None and step.batch is not None:
            row = row_of(recipe, step, step.batch)
            payload = BatchJob(BATCH_ID, lane, recipe.id, step.id).payload()
        elif planned.skipped is None:
            payload = DeliverJob(own, lane, self.event_id, needs).payload()
        return NewDelivery(
            id=own,
            recipe=recipe.id,
            version=recipe.version,
            step=step.id,
            item=planned.item,
            connection=step.to,
            status=Status.SKIPPED if planned.skipped else Status.WAITING,
            summary=planned.skipped or (f"waits in a batch: {step.batch}" if step.batch is not None else ""),
            cause="when" if planned.skipped else "",
            needs=needs,
            waits_on=tuple(self.whole[need] for need in planned.needs if need in self.open),
            # The first item brings the successors of its group.
            successors=tuple(self.successors.get(step.id, ())) if planned.item in ("", "0") else (),
            queue=DELIVER_QUEUE,
            lane=lane,
            payload=payload,
            order_key=None if planned.order_key is None else f"{recipe.id}:{step.id}:{planned.order_key}",
            group=self.whole[step.id] if planned.item else "",
            batch=row,
        )

    def need(self, step: str) -> str | int:
        is_group = self.recipe.steps[step].foreach is not None
        return self.items[step] if is_group else self.whole[step]


def row_of(recipe: Recipe, step: Step, batch: Batch) -> RowOf:
    """Which batch a delivery of the step joins, and when a new one would be closed."""
    # The store's clock, which says when a batch was opened, may be a little behind ours: a row just before two o'clock
    # must not wait for the next day's. One that comes too soon is only looked at and put back.
    moment = now() - _CLOCKS_APART
    at_us = 0 if batch.every is not None else to_ms(batch.closes(moment, recipe.tzinfo)) * 1000
    return RowOf(f"{recipe.id}:{step.id}:{connection_lane(step.to)}", batch.most, batch.every, at_us)


def _letter(event_id: str, recipe: str, status: Status, summary: str, cause: str, version: str = "") -> NewDelivery:
    return NewDelivery(
        id=delivery_id(event_id, recipe, ROUTE_STEP),
        recipe=recipe,
        version=version,
        step=ROUTE_STEP,
        item="",
        connection="",
        status=status,
        summary=summary,
        cause=cause,
    )


def _cause(error: RecipeError) -> str:
    """Without what changes from event to event: the place tells one mistake from another."""
    return f"recipe error at {error.place}" if error.place else "recipe error"
