"""Respond: keep the sender waiting until the steps of a recipe's answer have been delivered, and answer from them.

The event is on disk before any of this begins. Whatever goes wrong here, the sender gets a 2xx: it must not send again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay import log
from relay.catch import Answer
from relay.errors import BodyError, RecipeError, StoreError
from relay.lanes.connection import CONNECTION_ERRORS, connect_async
from relay.model import Event, Status, delivery_id
from relay.prepare import together
from relay.recipes import EventView, Plan, Recipe, Respond, Scope, SenderAnswer, Workspace, decoded_view
from relay.store import Ended, Store

#: How often a waiting answer looks by itself: what rings may be lost.
_LOOK_SECONDS = 0.25

_RECONNECT_SECONDS = 0.5

#: Statuses after which nothing more comes without an operator.
_FINAL = (Status.DELIVERED, Status.SKIPPED, Status.DISCARDED, Status.DEAD)


class Responder:
    """Answers for the recipes of a workspace that say `respond`."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._store = store
        self._bell = _Bell(store)
        self._log = log.get()
        self._waits: set[asyncio.Future[str]] = set()
        self._stopping = False
        self.use(workspace)

    def use(self, workspace: Workspace) -> None:
        """Answer by these recipes from now on."""
        self._workspace = workspace
        self._recipes = {
            recipe.catch: (recipe, recipe.respond)
            for recipe in workspace.recipes.values()
            if recipe.respond is not None
        }  # fmt: skip

    def recipe(self, source: str) -> str | None:
        """The id of the recipe that answers for a source."""
        found = self._recipes.get(source)
        return found[0].id if found is not None else None

    def stop(self) -> None:
        """The process ends: whoever waits is answered now, and nobody is kept waiting any more."""
        self._stopping = True
        for wait in self._waits:
            _end(wait, "relay is stopping")

    async def respond(
        self, event: Event, event_id: str, accepted: Answer, gone: asyncio.Future[None] | None = None
    ) -> Answer:
        """The answer of the source's recipe for an event that has been accepted; `accepted` where it has none to give.

        event_id  of the event that this one is a repeat of, or its own
        gone      done when the sender has hung up
        """
        started = time.monotonic()
        recipe, respond = self._recipes[event.source]
        why = ""
        scope: Scope | None = None
        try:
            view = self._view(event)
            plan = recipe.plan(view)
            if plan.skipped is not None:
                return accepted
            scope = Scope(view, plan.picks)
            with self._kept_waiting(gone) as over:
                ends, why = await self._wait(recipe, respond, plan, event_id, started, over)
            if not why:
                saved = {step: dict(end.saved) for step, end in ends.items() if end.status is Status.DELIVERED}
                answer = respond.answer(Scope(view, plan.picks, saved=saved))
                self._tell(event_id, recipe, started, "")
                return _as_answer(answer)
        except (RecipeError, BodyError, StoreError) as error:
            why = str(error)
        self._tell(event_id, recipe, started, why)
        try:
            # What can't even be picked is a dead letter; the sender has nothing to do with that.
            return _as_answer(respond.late(scope)) if scope is not None else accepted
        except RecipeError as error:
            self._log.warning("answer.failed", event_id=event_id, recipe=recipe.id, why=str(error))
            return accepted

    def _view(self, event: Event) -> EventView:
        # Taken out of relay.yaml while this request was under way, perhaps.
        return decoded_view(event, self._workspace.sources.get(event.source))

    @contextlib.contextmanager
    def _kept_waiting(self, gone: asyncio.Future[None] | None) -> Iterator[asyncio.Future[str]]:
        """Gives what is done when there is nothing to wait for any longer; its result says why."""
        over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self._stopping:
            _end(over, "relay is stopping")
        if gone is not None:
            gone.add_done_callback(lambda _: _end(over, "the sender hung up"))
        self._waits.add(over)
        try:
            yield over
        finally:
            self._waits.discard(over)

    async def _wait(
        self, recipe: Recipe, respond: Respond, plan: Plan, event_id: str, started: float, over: asyncio.Future[str]
    ) -> tuple[dict[str, Ended], str]:
        """What became of the steps that the answer uses, and why it can't be made in time; "" where it can."""
        if not respond.uses:
            return {}, ""
        skipped = {step.step: step.skipped for step in plan.steps if step.skipped is not None}
        for step in respond.uses:
            if step in respond.hard and all(one.skipped for one in plan.steps if one.step == step):
                return {}, f"{step} was skipped: {skipped[step]}"
        ids = {
            step: [delivery_id(event_id, recipe.id, step, one.item) for one in plan.steps if one.step == step]
            for step in respond.uses
        }
        seen = _Seen(recipe, respond)
        # A task, for a store that is stuck must not keep the sender longer than was said.
        looking = asyncio.create_task(self._look(ids, event_id, seen))
        first: set[asyncio.Future[Any]] = {looking, over}
        try:
            left = started + respond.wait.total_seconds() - time.monotonic()
            await asyncio.wait(first, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
        if looking.done():
            looking.result()
            return seen.ends, seen.missing()
        end = over.result() if over.done() else "that is all the time it has"
        took = f"after {time.monotonic() - started:.3g} s"
        return seen.ends, "; ".join(part for part in (seen.missing(), seen.trouble, f"{end} {took}") if part)

    async def _look(self, ids: Mapping[str, Sequence[str]], event_id: str, seen: _Seen) -> None:
        """Until the answer can be made, or never can be. A store that is away may be back in time."""
        with self._bell.listening(event_id) as rung:
            while True:
                try:
                    seen.found = await self._ends(ids)
                    seen.trouble = ""
                except StoreError as error:
                    seen.trouble = str(error)
                else:
                    if seen.settled():
                        return
                await rung(_LOOK_SECONDS)

    async def _ends(self, ids: Mapping[str, Sequence[str]]) -> dict[str, list[Ended]]:
        flat = [id_ for some in ids.values() for id_ in some]
        ends = iter(await self._store.ends(flat, missing=Status.WAITING))
        return {step: [next(ends) for _ in some] for step, some in ids.items()}

    def _tell(self, event_id: str, recipe: Recipe, started: float, late: str) -> None:
        took_ms = round((time.monotonic() - started) * 1000, 1)
        self._log.info("event.answered", event_id=event_id, recipe=recipe.id, late=late, took_ms=took_ms)

    async def aclose(self) -> None:
        await self._bell.aclose()


@dataclass(slots=True)
class _Seen:
    """What was last seen of the deliveries that an answer waits for.

    trouble  why nothing could be seen this time
    """

    recipe: Recipe
    respond: Respond
    found: Mapping[str, list[Ended]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def ends(self) -> dict[str, Ended]:
        """By step; a step for each item of a list counts as one."""
        return {
            step: together(some) if self.recipe.steps[step].foreach is not None else some[0]
            for step, some in self.found.items()
        }

    def settled(self) -> bool:
        """Whether waiting on changes nothing: all have ended, or one that is needed has ended badly."""
        ended = {step for step, some in self.found.items() if all(end.status in _FINAL for end in some)}
        return ended == set(self.found) or any(step in ended for step in self._lacking())

    def missing(self) -> str:
        ends = self.ends
        return "; ".join(f"{step} is {ends[step].status.value}" for step in self._lacking())

    def _lacking(self) -> list[str]:
        needed = self.respond.hard
        return [step for step, end in self.ends.items() if step in needed and end.status is not Status.DELIVERED]


def _end(wait: asyncio.Future[str], why: str) -> None:
    if not wait.done():
        wait.set_result(why)


def _as_answer(answer: SenderAnswer) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, answer.content_type)


class _Bell:
    """Hears which events have had a delivery end. One connection for the process, made when it is first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listening(self, event_id: str) -> Any:
        """Gives a function that waits until something of the event has ended, or so many seconds."""
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        rung = asyncio.Event()
        self._waiting.setdefault(event_id, set()).add(rung)

        async def wait(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), seconds)
            rung.clear()

        try:
            yield wait
        finally:
            waiting = self._waiting[event_id]
            waiting.discard(rung)
            if not waiting:
                del self._waiting[event_id]

    async def _listen(self) -> None:
        client = connect_async(self._store.url)
        try:
            while True:
                with contextlib.suppress(*CONNECTION_ERRORS):
                    async with client.pubsub(ignore_subscribe_messages=True) as channel:
                        await channel.subscribe(self._store.key("answers"))
                        async for message in channel.listen():
                            for rung in self._waiting.get(message["data"].decode(), ()):
                                rung.set()
                await asyncio.sleep(_RECONNECT_SECONDS)
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
