"""Route: decode an event, find what its recipes want of it, write the deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from relay import log
from relay.catch import one_word
from relay.errors import BodyError, RecipeError, StoreError
from relay.memory import DecodedEvents
from relay.messages import DeliverJob, RouteJob
from relay.model import ROUTE_STEP, Event, Status, delivery_id
from relay.recipes import EventView, Plan, Recipe, Scope, Workspace
from relay.sources.decode import decode_event
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    Edit,
    NewDelivery,
    Store,
    StoredDelivery,
    StoredEvent,
    connection_lane,
    recipe_lane,
)

#: The state of a lane whose events wait for a recipe to be mended.
BROKEN = "broken"


class Router:
    """Turns events into deliveries by the recipes of a workspace."""

    def __init__(self, workspace: Workspace, store: Store, worker: str, decoded: DecodedEvents) -> None:
        self.workspace = workspace
        self._store = store
        self._worker = worker
        self._decoded = decoded
        self._log = log.get()

    async def route(self, jobs: Sequence[RouteJob]) -> None:
        """Route each event and acknowledge its message, all in as few exchanges as there are steps to it."""
        events = await self._store.events([job.event for job in jobs])
        await asyncio.gather(*(self._safely(job, stored) for job, stored in zip(jobs, events, strict=True)))

    async def _safely(self, job: RouteJob, stored: StoredEvent | None) -> None:
        """A mistake of ours over one event is a dead letter of that event, and no matter of those beside it."""
        try:
            await self._route(job, stored)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - nobody foresaw it; it must be seen, and must not repeat for ever
            self._log.error("event.mistake", event_id=job.event, exc_info=error)
            cause = f"internal error: {type(error).__name__}"
            letter = _letter(job.event, job.recipe, Status.DEAD, f"{cause}: {error}"[:500], cause)
            await self._write(job, "", "routed", [letter])

    async def give_up(self, jobs: Sequence[RouteJob], times: int) -> None:
        """The workers that tried to route these events died, time after time: a dead letter each."""
        for job in jobs:
            summary = f"the worker died {times} times while it routed this event"
            await self._write(job, "", "routed", [_letter(job.event, job.recipe, Status.DEAD, summary, "worker died")])
            self._log.error("event.gave_up", event_id=job.event, times=times)

    async def _route(self, job: RouteJob, stored: StoredEvent | None) -> None:
        started = time.perf_counter()
        if stored is None:
            # Swept, or written by nobody: there is nothing to route, and the message has to go.
            await self._write(job, "", "skipped", [])
            self._log.warning("event.missing", event_id=job.event)
            return
        letter = await self._store.delivery(job.delivery) if job.delivery else None
        edit, holder = await latest_edit(self._store, letter) if letter is not None else (None, "")
        event = with_edit(stored.event, edit)
        status, kind, planned = self._plan(job, event)
        deliveries = [replace(delivery, edited=holder) for delivery in planned] if holder else planned
        deliveries += self._resolved(job, deliveries)
        if not await self._write(job, kind, status, deliveries):
            self._log.warning("event.taken_back", event_id=job.event)
            return
        if job.recipe in self.workspace.broken:
            # Somebody with a mended recipe resumed the lane, and we still have the broken one.
            broken = self.workspace.broken[job.recipe]
            await self._store.run(
                self._store.lanes.pause(ROUTE_QUEUE, recipe_lane(broken.id), broken.why, state=BROKEN)
            )
        took_ms = round((time.perf_counter() - started) * 1000, 1)
        made = sum(1 for delivery in deliveries if delivery.status is Status.WAITING)
        dead = sum(1 for delivery in deliveries if delivery.status is Status.DEAD)
        line: dict[str, Any] = {"event_id": job.event, "source": event.source, "deliveries": made, "took_ms": took_ms}
        if dead:
            line |= {"dead": dead, "why": next(d.summary for d in deliveries if d.status is Status.DEAD)}
        (self._log.warning if dead else self._log.info)("event.routed", **line)

    async def _write(self, job: RouteJob, kind: str, status: str, deliveries: Sequence[NewDelivery]) -> bool:
        return await self._store.routed(
            self._worker, job.lane, job.message_id, job.event, kind, status, deliveries, again=job.again
        )

    def _plan(self, job: RouteJob, event: Event) -> tuple[str, str, list[NewDelivery]]:
        """(the event's new status, its type, its deliveries)."""
        source = self.workspace.sources.get(event.source)
        wanted = [r for r in self.workspace.recipes_for(event.source) if job.recipe in ("", r.id)]
        broken = [b for b in self.workspace.broken_for(event.source) if job.recipe in ("", b.id)]
        waiting = [self._waits_for(job, event, b.id) for b in broken]
        if not wanted and not waiting and job.recipe and job.recipe not in self.workspace.recipes:
            why = f"there is no recipe {job.recipe} any more; put it back and replay, or discard"
            return "routed", event.type, [_letter(event.id, job.recipe, Status.DEAD, why, "recipe missing")]
        if not wanted:
            return ("routed" if waiting else "skipped"), event.type, waiting
        config = source.config if source is not None else None
        try:
            body = decode_event(event, config)
        except BodyError as error:
            why = f"the body can't be decoded: {error}"
            letter = _letter(event.id, job.recipe, Status.DEAD, why, "undecodable body")
            return "undecodable", event.type, [letter, *waiting]
        view = EventView(event, body)
        kind = event.type
        if source is not None and source.event_type is not None:
            kind = _kind(source.event_type, view)
            view = EventView(replace(event, type=kind), body)
        planned = [delivery for recipe in wanted for delivery in self._recipe(recipe, view)]
        if not job.delivery:
            self._decoded.put(view.event, body, sum(1 for d in planned if d.status is Status.WAITING))
        return "routed", kind, [*planned, *waiting]

    def _recipe(self, recipe: Recipe, view: EventView) -> list[NewDelivery]:
        try:
            plan = recipe.plan(view)
        except RecipeError as error:
            return [_letter(view.event.id, recipe.id, Status.DEAD, str(error), _cause(error), recipe.version)]
        if plan.skipped is not None:
            return [_letter(view.event.id, recipe.id, Status.SKIPPED, plan.skipped, "when", recipe.version)]
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
    return replace(event, body=edit.body, headers={**event.headers, "content-type": edit.content_type})


def planned_deliveries(recipe: Recipe, plan: Plan, event_id: str) -> list[NewDelivery]:
    """The deliveries of a plan. A step waits for its predecessors, unless a rule of the recipe skips it now."""
    ids = {step.step: delivery_id(event_id, recipe.id, step.step, step.item) for step in plan.steps}
    skipped = {step.step: step.skipped for step in plan.steps if step.skipped is not None}
    successors: dict[str, list[str]] = {}
    for step in plan.steps:
        if step.step not in skipped:
            for need in step.needs:
                successors.setdefault(need, []).append(ids[step.step])
    deliveries = []
    for step in plan.steps:
        connection = recipe.steps[step.step].to
        reason = skipped.get(step.step)
        needs = {need: ids[need] for need in step.needs}
        job = DeliverJob(ids[step.step], connection_lane(connection), event_id, needs)
        deliveries.append(
            NewDelivery(
                id=ids[step.step],
                recipe=recipe.id,
                version=recipe.version,
                step=step.step,
                item=step.item,
                connection=connection,
                status=Status.SKIPPED if reason else Status.WAITING,
                summary=reason or "",
                cause="when" if reason else "",
                needs=needs,
                waits_for=sum(1 for need in step.needs if need not in skipped),
                successors=tuple(successors.get(step.step, ())),
                queue=DELIVER_QUEUE,
                lane=connection_lane(connection),
                payload=b"" if reason else job.payload(),
            )
        )
    return deliveries


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


def _kind(expression: Any, view: EventView) -> str:
    try:
        return one_word(expression.evaluate(Scope(view)), 200)
    except RecipeError:
        return ""
