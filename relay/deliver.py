"""Deliver: render a step, call its connector once, record the attempt. What becomes of a failure is the policy's."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay import log
from relay.clock import isoformat, now_ms
from relay.connections import INCOMPLETE, INCOMPLETE_CAUSE, Connections
from relay.connector import Call, Connector, Outgoing
from relay.errors import (
    BodyError,
    ConfigError,
    DeliveryError,
    HoldError,
    RecipeError,
    RetryableError,
    UnknownOutcomeError,
)
from relay.memory import DecodedEvents
from relay.messages import DeliverJob
from relay.model import JSON, Attempt, Fate, Outcome, Reply, Status
from relay.prepare import Preparer, scope_of, single_needs, skip_reason, step_of
from relay.recipes import Recipe, Scope, Step, Workspace
from relay.retry import DEFAULT_POLICY, INTERNAL_ERROR, Dead, Hold, RetryAt, RetryPolicy, decide
from relay.store import BreakerNews, Ended, Settled, Store, StoredDelivery

#: A connector keeps its own time; one that does not is stopped this much later.
_GRACE_SECONDS = 5.0

ENDED = (Status.DELIVERED, Status.SKIPPED, Status.DISCARDED)

#: After so many workers died while they held it, it is the message that kills them.
MOST_TAKEN_BACK = 5


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that did not deliver, with all that the retry policy needs to decide what becomes of it."""

    job: DeliverJob
    attempt: Attempt
    attempts_made: int
    policy: RetryPolicy
    on_unknown: str = "retry"
    on_fail: str = "dead_letter"
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """A delivery with everything that its attempt needs."""

    job: DeliverJob
    delivery: StoredDelivery
    recipe: Recipe
    step: Step
    scope: Scope


class Deliverer:
    """Makes attempts, and settles those that delivered."""

    def __init__(
        self, workspace: Workspace, store: Store, worker: str, decoded: DecodedEvents, connections: Connections
    ) -> None:
        self.connections = connections
        self.preparer = Preparer(workspace, store, decoded)
        self._store = store
        self._worker = worker
        self._log = log.get()

    @property
    def workspace(self) -> Workspace:
        return self.preparer.workspace

    @workspace.setter
    def workspace(self, workspace: Workspace) -> None:
        self.preparer.workspace = workspace

    async def deliver(self, job: DeliverJob, made: StoredDelivery | None = None) -> bool | Failed:
        """One attempt. True where it was settled, False where the message only needs to be acknowledged.

        made  the delivery, where it was written by the exchange that leased it: then it need not be read
        """
        cached = self.preparer.cached(job.event)
        needs = job.predecessors
        delivery, stored = made, None
        ends: list[Ended] = []
        if made is None or cached is None or needs:
            wanted = None if cached else job.event
            delivery, stored, ends = await self._store.with_event(job.delivery, wanted, single_needs(needs))
        if delivery is None or delivery.status in ENDED:
            # Done already: an acknowledgement was lost in a kill. Nothing is sent twice.
            return False
        started_ms, clock = now_ms(), time.perf_counter()
        sent: Mapping[str, Any] = {}
        step: Step | None = None
        tags = {"recipe": delivery.recipe, "step": delivery.step, "connection": delivery.connection}
        try:
            recipe = await self.preparer.recipe(delivery.recipe, delivery.version)
            step = step_of(recipe, delivery.step)
            view = await self.preparer.view(delivery, cached, stored)
            ended = dict(zip(single_needs(needs), ends, strict=True))
            before = await self.preparer.before(recipe, step, view, delivery, needs, ended)
            # Replayed where its step is in no recipe any more: a batch of one.
            alone: dict[str, JSON] | None = (
                {"time": isoformat(started_ms), "count": 1} if step.batch is not None else None
            )
            scope = scope_of(recipe, step, view, delivery, before, alone)
            reason = skip_reason(step, scope, before)
            if reason is not None:
                return await self._skip(job, delivery, reason)
            reply, sent = await self._send(_Work(job, delivery, recipe, step, scope))
            if step.save and reply.partial:
                # Delivered, but the steps that use what it saves could never go.
                message = f"{reply.summary}: what the step saves is asked for again"
                broken = RetryableError(
                    message, status=reply.status, cause="reply broke off", received=dict(reply.received)
                )
                raise SentError(broken, sent)
        except (DeliveryError, RecipeError, BodyError, ConfigError) as error:
            attempt = _failed_attempt(delivery, error, started_ms, (time.perf_counter() - clock) * 1000)
            return Failed(
                job,
                attempt,
                delivery.attempts_made + 1,
                (step.retry if step else None) or DEFAULT_POLICY,
                step.on_unknown if step else "retry",
                step.on_fail if step else "dead_letter",
                tags,
            )
        took_ms = (time.perf_counter() - clock) * 1000
        saved, note = saved_of(step, reply, scope)
        outcome = Outcome(Fate.DELIVERED, reply.summary + note, status=reply.status)
        attempt = Attempt(len(delivery.attempts) + 1, started_ms, took_ms, outcome, sent, reply.received)
        settled = Settled("delivered", outcome.summary, attempt=attempt, saved=saved)
        _, news = await self._store.settle(self._worker, job.lane, job.delivery, settled)
        self._log.info("delivery.attempted", **_line(job, attempt, tags), verdict="delivered")
        tell_breaker(job.lane, news)
        return True

    async def fail(self, failed: Failed) -> None:
        """Record a failed attempt and carry out what the policy decides."""
        outcome = failed.attempt.outcome
        decision = decide(
            failed.policy,
            failed.attempts_made,
            outcome,
            now_ms(),
            on_unknown=failed.on_unknown,
            spread=random.uniform(-1, 1),  # noqa: S311 - spreads retries, guards nothing
        )
        settled = _settlement(failed, decision)
        job = failed.job
        held, news = await self._store.settle(self._worker, job.lane, job.delivery, settled)
        line = _line(job, failed.attempt, failed.tags or {})
        if not held:
            self._log.warning("delivery.attempted", **line, verdict="taken back")
        elif settled.verdict in ("retry", "skipped"):
            self._log.info("delivery.attempted", **line, verdict=settled.verdict, due_ms=settled.due_ms)
        else:
            self._log.warning("delivery.attempted", **line, verdict=settled.verdict)
        if settled.verdict == "hold":
            self._log.warning("lane.held", lane=job.lane, state=settled.hold[0], reason=settled.hold[1])
        tell_breaker(job.lane, news)

    async def mistake(self, job: DeliverJob, error: BaseException) -> None:
        """An error that nobody foresaw: a failed attempt under the default policy, and a traceback in the log."""
        self._log.error("delivery.mistake", delivery_id=job.delivery, exc_info=error)
        delivery = await self._store.delivery(job.delivery)
        made = delivery.attempts_made if delivery else 0
        attempt = Attempt(made + 1, now_ms(), 0.0, outcome_of(error))
        await self.fail(Failed(job, attempt, made + 1, DEFAULT_POLICY))

    async def give_up(self, job: DeliverJob, times: int) -> None:
        """The workers that tried this delivery died, time after time: it is the delivery."""
        summary = f"the worker died {times} times while it made this delivery"
        await self._store.settle(self._worker, job.lane, job.delivery, Settled("dead", summary, "worker died"))
        self._log.error("delivery.gave_up", delivery_id=job.delivery, lane=job.lane, times=times)

    async def _send(self, work: _Work) -> tuple[Reply, Mapping[str, Any]]:
        """Render and send. Raises a DeliveryError (with what was sent as its `sent`), or RecipeError."""
        step, delivery = work.step, work.delivery
        connector = self.connections.get(step.to)
        call = Call(
            delivery_id=delivery.id,
            idempotency_key=delivery.idempotency_key,
            attempt=delivery.attempts_made + 1,
            timeout=step.timeout,
            moment=work.scope.view.event.received_at,
        )
        outgoing = connector.outgoing(step.do, step.render(work.scope), call)
        return await send_once(connector, step, outgoing, call)

    async def _skip(self, job: DeliverJob, delivery: StoredDelivery, reason: str) -> bool:
        await self._store.settle(self._worker, job.lane, job.delivery, Settled("skipped", reason, "when"))
        self._log.info("delivery.skipped", delivery_id=delivery.id, recipe=delivery.recipe, step=delivery.step)
        return True


class SentError(DeliveryError):
    """A failed attempt's error, with what had been sent."""

    def __init__(self, error: DeliveryError, sent: Mapping[str, Any]) -> None:
        super().__init__(error.message, status=error.status, cause=error.cause, received=error.received)
        self.error = error
        self.sent = sent


async def send_once(
    connector: Connector[Any], step: Step, outgoing: Outgoing, call: Call
) -> tuple[Reply, Mapping[str, Any]]:
    """What came back, and what was sent. Raises SentError."""
    sent = outgoing.preview()
    try:
        async with asyncio.timeout(step.timeout.total_seconds() + _GRACE_SECONDS):
            return await connector.send(step.do, outgoing, call), sent
    except TimeoutError:
        raise SentError(UnknownOutcomeError(f"no answer within {step.timeout}", cause="timeout"), sent) from None
    except HoldError as error:
        if connector.outdated:
            # Refused with settings that are others by now: no reason to hold what would go with the new ones.
            summary = f"{error.message}; the connection's settings have changed since"
            again = RetryableError(summary, status=error.status, cause=error.cause, received=error.received)
            raise SentError(again, sent) from error
        raise SentError(error, sent) from error
    except DeliveryError as error:
        raise SentError(error, sent) from error


def tell_breaker(lane: str, news: BreakerNews | None) -> None:
    if news is None:
        return
    if news.opened:
        words = {"reason": news.reason, "until": isoformat(news.until_ms), "times": news.times}
        log.get().warning("lane.breaker_opened", lane=lane, **words)
    else:
        log.get().info("lane.breaker_closed", lane=lane)


def saved_of(step: Step, reply: Reply, scope: Scope) -> tuple[dict[str, JSON], str]:
    """What the recipe keeps of the reply. It has been delivered: a save that can't be made is told, not retried."""
    saved, wrong = step.saved(reply.body, scope)
    return saved, f"; but save failed: {wrong}" if wrong is not None else ""


def outcome_of(error: BaseException) -> Outcome:
    """An error as the retry policy sees it."""
    inner = error.error if isinstance(error, SentError) else error
    match inner:
        case RetryableError():
            return Outcome(Fate.RETRY, inner.message, inner.cause, inner.status, inner.retry_after)
        case HoldError():
            return Outcome(Fate.HOLD, inner.message, inner.cause, inner.status)
        case UnknownOutcomeError():
            return Outcome(Fate.UNKNOWN, inner.message, inner.cause, inner.status)
        case DeliveryError():
            return Outcome(Fate.PERMANENT, inner.message, inner.cause, inner.status)
        case RecipeError():
            place = f" at {inner.place}" if inner.place else ""
            return Outcome(Fate.PERMANENT, str(inner), f"recipe error{place}")
        case BodyError():
            return Outcome(Fate.PERMANENT, f"the body can't be decoded: {inner}", "undecodable body")
        case ConfigError():
            return Outcome(Fate.PERMANENT, str(inner), "configuration error")
        case _:
            # A mistake of ours or of a connector's: nothing is lost by it, and a new version may mend it.
            name = type(inner).__name__
            return Outcome(Fate.RETRY, f"{INTERNAL_ERROR}: {name}: {inner}"[:500], f"{INTERNAL_ERROR}: {name}")


def _failed_attempt(delivery: StoredDelivery, error: Exception, started_ms: int, took_ms: float) -> Attempt:
    sent = error.sent if isinstance(error, SentError) else {}
    received = error.received if isinstance(error, DeliveryError) else {}
    return Attempt(len(delivery.attempts) + 1, started_ms, took_ms, outcome_of(error), sent, received)


def _settlement(failed: Failed, decision: RetryAt | Dead | Hold) -> Settled:
    outcome = failed.attempt.outcome
    match decision:
        case RetryAt(at_ms):
            return Settled("retry", outcome.summary, outcome.cause, failed.attempt, due_ms=at_ms)
        case Hold(reason):
            return Settled("hold", outcome.summary, outcome.cause, failed.attempt, hold=(hold_state(outcome), reason))
        case Dead(reason) if failed.on_fail == "ignore":
            return Settled("skipped", f"on_fail: ignore ({reason})", outcome.cause, failed.attempt)
        case Dead(reason):
            return Settled("dead", reason, outcome.cause, failed.attempt)


def hold_state(outcome: Outcome) -> str:
    """What a lane is that an attempt with this outcome stops."""
    if outcome.cause == INCOMPLETE_CAUSE:
        return INCOMPLETE
    return "off" if outcome.status == 410 else "held"


def _line(job: DeliverJob, attempt: Attempt, tags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "delivery_id": job.delivery,
        "event_id": job.event,
        **tags,
        "attempt": attempt.number,
        "outcome": attempt.outcome.fate.value,
        "summary": attempt.outcome.summary,
        "took_ms": round(attempt.took_ms, 1),
    }
