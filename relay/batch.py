"""Batch: one outgoing call for many deliveries, each of which keeps its own end.

A row that can't be rendered is a dead letter by itself, and the others go without it. Where the destination refuses a
call because of what is in it, the batch is sent again in two halves, until the row that it doesn't take stands alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relay import log
from relay.clock import from_ms, isoformat, now_ms, to_ms
from relay.connections import Connections
from relay.connector import Call, Connector
from relay.deliver import ENDED, hold_state, outcome_of, saved_of, send_once, tell_breaker
from relay.errors import BodyError, ConfigError, DeliveryError, PermanentError, RecipeError, StoreError
from relay.jsontext import dumps
from relay.messages import BATCH_ID, BatchJob
from relay.model import JSON, Attempt, Fate, Outcome, Status
from relay.prepare import Preparer, fits, scope_of, single_needs, skip_reason, step_of
from relay.recipes import Recipe, Scope, Step, Workspace
from relay.retry import DEFAULT_POLICY, Dead, Hold, RetryAt, decide
from relay.route import row_of
from relay.store import (
    ClosedBatch,
    Settled,
    SettledBatch,
    Store,
    StoredDelivery,
    close_batch,
    connection_lane,
    load_batch,
    open_batches,
    settle_batch,
)

#: What a destination answers when it is the content of the call that it doesn't take: some row of it.
_CONTENT_REFUSED = (400, 413, 422)

#: After so many rows others have their turn: rendering thousands of them would stop the event loop.
_ROWS_AT_ONCE = 50


@dataclass(slots=True)
class _Row:
    """A delivery of the batch, with what it is rendered from; or with its end, where it can't be."""

    delivery: StoredDelivery
    step: Step | None = None
    scope: Scope | None = None
    fields: dict[str, Any] | None = None
    sent: Mapping[str, Any] | None = None
    end: Settled | None = None


@dataclass(frozen=True, slots=True)
class _Sending:
    """A closed batch on its way."""

    job: BatchJob
    batch: ClosedBatch
    rows: list[_Row]
    started_ms: int
    clock: float

    @property
    def living(self) -> list[_Row]:
        return [row for row in self.rows if row.end is None]

    @property
    def ended(self) -> list[tuple[str, Settled]]:
        return [(row.delivery.id, row.end) for row in self.rows if row.end is not None]


class Batcher:
    """Sends batches that are due."""

    def __init__(self, preparer: Preparer, connections: Connections, store: Store, worker: str) -> None:
        self._preparer = preparer
        self._connections = connections
        self._store = store
        self._worker = worker
        self._log = log.get()

    async def send(self, job: BatchJob) -> bool:
        """One attempt. True where the message was settled, False where it only needs to be acknowledged."""
        version, closes_ms = await self._due(job)
        if closes_ms is None:
            return False
        if closes_ms > now_ms():
            await self._settle(job, SettledBatch("wait", due_ms=closes_ms))
            return True
        batch = await close_batch(self._store, self._worker, job.lane, job.batch, version)
        if batch is None:
            return True
        found = await self._store.deliveries(batch.rows)
        rows = [_Row(one) for one in found if one is not None and one.status not in (*ENDED, Status.DEAD)]
        sending = _Sending(job, batch, rows, now_ms(), time.perf_counter())
        try:
            await self._send(sending)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - nobody foresaw it; it must be seen, and end as other failures do
            self._log.error("batch.mistake", batch_id=job.batch, exc_info=error)
            await self._fail(sending, error)
        return True

    async def give_up(self, job: BatchJob, times: int) -> None:
        """The workers that tried this batch died, time after time: some row of it is to blame."""
        batch = await close_batch(self._store, self._worker, job.lane, job.batch, "")
        if batch is None:
            return
        summary = f"the worker died {times} times while it sent this batch"
        self._log.error("batch.gave_up", batch_id=job.batch, lane=job.lane, rows=len(batch.rows), times=times)
        if len(batch.rows) > 1:
            halves = _halved(batch.rows)
            rows = [(row, Settled(f"to {part}", summary)) for row, part in zip(batch.rows, halves, strict=True)]
            await self._settle(job, SettledBatch("done", rows, parts=self._parts(job, 2)))
        else:
            rows = [(row, Settled("dead", summary, "worker died")) for row in batch.rows]
            await self._settle(job, SettledBatch("done", rows))

    async def _due(self, job: BatchJob) -> tuple[str, int | None]:
        """The version of the recipe that is in force, with which a batch is closed, and when that is.

        None where there is no such batch any more.
        """
        stored = await load_batch(self._store, job.batch)
        if stored is None:
            return "", None
        recipe = self._preparer.workspace.recipes.get(job.recipe)
        step = recipe.steps.get(job.step) if recipe is not None else None
        if recipe is None or step is None or step.batch is None:
            # The recipe doesn't batch any more: what had gathered goes now, each row by its own version.
            return "", 0
        # What was gathered for another connection goes there: by the version that says so.
        version = recipe.version if connection_lane(step.to) == job.lane else ""
        if stored.closed or stored.at_once:
            return version, 0
        return version, to_ms(step.batch.closes(from_ms(stored.opened_ms), recipe.tzinfo))

    # -- rendering

    async def _send(self, sending: _Sending) -> None:
        await self._render(sending)
        living = sending.living
        if not living:
            await self._settle(sending.job, SettledBatch("done", sending.ended))
            return
        step = living[0].step
        assert step is not None
        try:
            connector = self._connections.get(step.to)
            await self._check(sending, connector)
            living = sending.living
            calls = _calls(connector, step, living)
            if max(calls, default=1) > 1:
                await self._split(sending, calls)
            elif living:
                await self._call(sending, connector, step)
            else:
                await self._settle(sending.job, SettledBatch("done", sending.ended))
        except (DeliveryError, ConfigError) as error:
            await self._fail(sending, error)

    async def _render(self, sending: _Sending) -> None:
        """What each row sends. Once more without those that can't be made, where they made `$batch.count` wrong."""
        while True:
            living = sending.living
            batch: dict[str, JSON] = {"time": isoformat(sending.batch.closed_ms), "count": len(living)}
            for start in range(0, len(living), _ROWS_AT_ONCE):
                await self._render_some(sending, living[start : start + _ROWS_AT_ONCE], batch)
            if len(sending.living) == len(living) or not any(_counts(row.step) for row in living if row.step):
                return

    async def _render_some(self, sending: _Sending, rows: Sequence[_Row], batch: Mapping[str, JSON]) -> None:
        """Their events are read, decoded and let go: those of a whole batch may be more than there is room for."""
        cached = {row.delivery.event_id: self._preparer.cached(row.delivery.event_id) for row in rows}
        missing = [event for event, view in cached.items() if view is None]
        stored = dict(zip(missing, await self._store.events(missing), strict=True))
        needed = [need for row in rows for need in single_needs(row.delivery.needs)]
        ends = dict(zip(needed, await self._store.ends(needed), strict=True))
        for row in rows:
            delivery = row.delivery
            event = delivery.event_id
            try:
                recipe = await self._recipe(sending, delivery)
                step = row.step = step_of(recipe, delivery.step)
                view = await self._preparer.view(delivery, cached[event], stored.get(event))
                if not delivery.edits and not delivery.edited:
                    cached[event] = view
                before = await self._preparer.before(recipe, step, view, delivery, delivery.needs, ends)
                scope = scope_of(recipe, step, view, delivery, before, batch)
                reason = skip_reason(step, scope, before)
                if reason is not None:
                    row.end = Settled("skipped", reason, "when")
                else:
                    row.fields = step.render(scope)
                    # The reply is looked at with it.
                    row.scope = scope if step.save else None
            except (DeliveryError, RecipeError, BodyError, ConfigError) as error:
                row.end = _row_failed(sending, row, error)

    async def _recipe(self, sending: _Sending, delivery: StoredDelivery) -> Recipe:
        """The version that the batch was closed with, so that all its rows look alike.

        The row's own where that doesn't fit the row, or can't be read.
        """
        version = sending.batch.version
        if version and version != delivery.version:
            with contextlib.suppress(PermanentError, ConfigError):
                recipe = await self._preparer.recipe(delivery.recipe, version)
                if fits(recipe, step_of(recipe, delivery.step), delivery):
                    return recipe
        return await self._preparer.recipe(delivery.recipe, delivery.version)

    async def _check(self, sending: _Sending, connector: Connector[Any]) -> None:
        """Each row as a call of its own, never sent: what the connector refuses of one is that row's dead letter."""
        for number, row in enumerate(sending.living):
            await _let_others(number)
            assert row.step is not None
            assert row.fields is not None
            call = self._a_call(sending, row.step, row.delivery.id)
            try:
                row.sent = connector.outgoing(row.step.do, row.fields, call).preview()
            except (PermanentError, RecipeError) as error:
                row.end = _row_failed(sending, row, error)

    def _a_call(self, sending: _Sending, step: Step, key: str) -> Call:
        attempt, moment = sending.batch.attempts + 1, from_ms(sending.batch.closed_ms)
        return Call(key, key, attempt=attempt, timeout=step.timeout, moment=moment)

    # -- sending

    async def _call(self, sending: _Sending, connector: Connector[Any], step: Step) -> None:
        living = sending.living
        merged = connector.action_class(step.do).merged([row.fields or {} for row in living])
        keys = tuple(row.delivery.idempotency_key for row in living)
        call = replace(self._a_call(sending, step, sending.job.batch), rows=keys)
        reply, _ = await send_once(connector, step, connector.outgoing(step.do, merged, call), call)
        outcome = Outcome(Fate.DELIVERED, reply.summary, status=reply.status)
        rows = sending.ended
        for row in living:
            saved, note = saved_of(step, reply, row.scope) if row.scope is not None else ({}, "")
            attempt = _attempt(sending, row, replace(outcome, summary=reply.summary + note), reply.received)
            rows.append((row.delivery.id, Settled("delivered", reply.summary + note, attempt=attempt, saved=saved)))
        await self._settle(sending.job, SettledBatch("done", rows, outcome=outcome))
        self._tell(sending, step, outcome, "delivered")

    async def _split(self, sending: _Sending, parts: Sequence[int], outcome: Outcome | None = None) -> None:
        """Each living row into the new batch that `parts` says, counted from 1."""
        rows = sending.ended
        for row, part in zip(sending.living, parts, strict=True):
            attempt = _attempt(sending, row, outcome, {}) if outcome is not None else None
            summary = outcome.summary if outcome is not None else ""
            rows.append((row.delivery.id, Settled(f"to {part}", summary, attempt=attempt)))
        await self._settle(
            sending.job, SettledBatch("done", rows, parts=self._parts(sending.job, max(parts)), outcome=outcome)
        )

    async def _fail(self, sending: _Sending, error: Exception) -> None:
        """Record a failed attempt on every row, and carry out what the policy decides for the batch."""
        outcome = outcome_of(error)
        received = error.received if isinstance(error, DeliveryError) else {}
        living = sending.living
        step = next((row.step for row in living if row.step is not None), None)
        if outcome.fate is Fate.PERMANENT and outcome.status in _CONTENT_REFUSED and len(living) > 1:
            await self._split(sending, _halved(living), outcome)
            self._tell(sending, step, outcome, "halved")
            return
        decision = decide(
            (step.retry if step else None) or DEFAULT_POLICY,
            sending.batch.attempts + 1,
            outcome,
            now_ms(),
            on_unknown=step.on_unknown if step else "retry",
            spread=random.uniform(-1, 1),  # noqa: S311 - spreads retries, guards nothing
        )
        verdict, due_ms, hold, row_verdict, summary = "done", 0, ("", ""), "dead", outcome.summary
        match decision:
            case RetryAt(at_ms):
                verdict, due_ms, row_verdict = "retry", at_ms, "retrying"
            case Hold(reason):
                verdict, hold, row_verdict = "hold", (hold_state(outcome), reason), "waiting"
            case Dead(reason):
                row_verdict, summary = _dead(step, reason)
        rows = sending.ended
        for row in living:
            attempt = _attempt(sending, row, outcome, received)
            rows.append((row.delivery.id, Settled(row_verdict, summary, outcome.cause, attempt)))
        await self._settle(sending.job, SettledBatch(verdict, rows, due_ms=due_ms, hold=hold, outcome=outcome))
        self._tell(sending, step, outcome, row_verdict)
        if verdict == "hold":
            self._log.warning("lane.held", lane=sending.job.lane, state=hold[0], reason=hold[1])

    def _parts(self, job: BatchJob, number: int) -> list[bytes]:
        return [BatchJob(BATCH_ID, job.lane, job.recipe, job.step).payload()] * number

    async def _settle(self, job: BatchJob, settled: SettledBatch) -> None:
        held, news = await settle_batch(self._store, self._worker, job.lane, job.batch, settled)
        if not held:
            self._log.warning("batch.taken_back", batch_id=job.batch)
        tell_breaker(job.lane, news)

    def _tell(self, sending: _Sending, step: Step | None, outcome: Outcome, verdict: str) -> None:
        line = {
            "batch_id": sending.job.batch,
            "recipe": sending.job.recipe,
            "step": sending.job.step,
            "connection": step.to if step is not None else "",
            "rows": len(sending.rows),
            "left_out": len(sending.ended),
            "attempt": sending.batch.attempts + 1,
            "outcome": outcome.fate.value,
            "summary": outcome.summary,
            "took_ms": round((time.perf_counter() - sending.clock) * 1000, 1),
            "verdict": verdict,
        }
        (self._log.warning if verdict in ("dead", "waiting", "halved") else self._log.info)("batch.attempted", **line)


async def reschedule(workspace: Workspace, store: Store) -> None:
    """Open batches keep to what the recipes say now: their `every` or `at` may have been changed."""
    open_now = await open_batches(store)
    for recipe in workspace.recipes.values():
        for step in recipe.steps.values():
            batch = open_now.get(row_of(recipe, step, step.batch).step) if step.batch is not None else None
            stored = await load_batch(store, batch) if batch is not None else None
            if batch is None or stored is None or stored.at_once or step.batch is None:
                continue
            due = to_ms(step.batch.closes(from_ms(stored.opened_ms), recipe.tzinfo))
            await store.run(store.lanes.change("due", connection_lane(step.to), [batch], due * 1000))


async def _let_others(number: int) -> None:
    if number % _ROWS_AT_ONCE == 0:
        await asyncio.sleep(0)


def _counts(step: Step) -> bool:
    return any(ref.root == "batch" and ref.steps[:1] == ("count",) for ref in step.fields.refs)


def _common(connector: Connector[Any], step: Step, row: _Row) -> bytes:
    """What a row has to have in common with others to travel with them."""
    apart = connector.action_class(step.do).row_fields
    return dumps({key: value for key, value in (row.fields or {}).items() if key not in apart})


def _calls(connector: Connector[Any], step: Step, rows: Sequence[_Row]) -> list[int]:
    """For each row the call that it goes with, numbered from 1."""
    most = connector.action_class(step.do).max_rows or len(rows)
    calls: list[int] = []
    number = 0
    #: By what they have in common: the call that has room, and how many it holds.
    open_now: dict[bytes, tuple[int, int]] = {}
    for row in rows:
        common = _common(connector, step, row)
        call, held = open_now.get(common, (0, most))
        if held == most:
            number, held = number + 1, 0
            call = number
        open_now[common] = (call, held + 1)
        calls.append(call)
    return calls


def _halved(rows: Sequence[Any]) -> list[int]:
    return [1 if number < len(rows) / 2 else 2 for number in range(len(rows))]


def _dead(step: Step | None, reason: str) -> tuple[str, str]:
    """(the row's verdict, its summary): a dead letter, unless the recipe says to ignore it."""
    if step is not None and step.on_fail == "ignore":
        return "skipped", f"on_fail: ignore ({reason})"
    return "dead", reason


def _row_failed(sending: _Sending, row: _Row, error: Exception) -> Settled:
    outcome = outcome_of(error)
    verdict, summary = _dead(row.step, outcome.summary)
    return Settled(verdict, summary, outcome.cause, _attempt(sending, row, outcome, {}))


def _attempt(sending: _Sending, row: _Row, outcome: Outcome, received: Mapping[str, Any]) -> Attempt:
    """The row's own part of what was sent, and the call it was a part of."""
    where = {"batch": sending.job.batch, "rows": len(sending.rows)}
    if received and row is not sending.rows[0] and row.end is None:
        # Thousands of rows would keep the same reply.
        received = {"as": sending.rows[0].delivery.id}
    took_ms = (time.perf_counter() - sending.clock) * 1000
    number = len(row.delivery.attempts) + 1
    return Attempt(number, sending.started_ms, took_ms, outcome, {**(row.sent or {}), **where}, received)
