"""When a delivery is tried again: policy as a value, the decision as a pure function.

The edges act on what `decide` returns; nothing here reads a clock, draws a random number or opens anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from relay.model import Fate, Outcome

#: How the cause of an attempt begins that failed by a mistake of ours: nothing that a destination did.
INTERNAL_ERROR = "internal error"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each further attempt.

    steps    the wait after the 1st, 2nd, … failed attempt; one attempt more than there are steps
    jitter   each wait is spread by up to this share of itself, either way, so that retries don't march in step
    """

    steps: tuple[timedelta, ...]
    jitter: float = 0.1

    @property
    def longest(self) -> timedelta:
        return max(self.steps, default=timedelta())


#: Rides out a restart, a deploy, a night and most of a day: 27 h 36 min from first to last attempt.
DEFAULT_POLICY = RetryPolicy(
    steps=(
        timedelta(seconds=5),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=10),
    )
)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at this moment, in milliseconds since 1970."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt by itself; an operator decides."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The whole lane waits: every delivery of this connection would fail alike."""

    reason: str


Decision = RetryAt | Dead | Hold


class Health(StrEnum):
    """What an attempt says of its destination, whatever it says of the delivery."""

    WELL = "well"
    UNWELL = "unwell"
    UNSAID = ""


#: Statuses below 500 that are said of the destination, not of what was sent.
_UNWELL_STATUSES = (408, 429)

#: With these, Retry-After is asked of everybody who calls; with others it may be about the one record.
_ASKS_ALL = (429, 503)


def health(outcome: Outcome) -> Health:
    """For the lane's breaker. A destination that refuses a delivery in words is well.

    A 429 that says when to come back is no failure: the lane does as it asks (`asked_to_wait`).
    """
    match outcome.fate:
        case Fate.DELIVERED:
            return Health.WELL
        case Fate.UNKNOWN:
            return Health.UNWELL
        case Fate.PERMANENT if outcome.status is not None:
            return Health.WELL
        case Fate.RETRY if outcome.status is None:
            return Health.UNSAID if outcome.cause.startswith(INTERNAL_ERROR) else Health.UNWELL
        case Fate.RETRY if outcome.status == 429 and outcome.retry_after:
            return Health.UNSAID
        case Fate.RETRY if (outcome.status or 0) >= 500 or outcome.status in _UNWELL_STATUSES:
            return Health.UNWELL
        case _:
            return Health.UNSAID


def asked_to_wait(outcome: Outcome) -> timedelta:
    """How long the destination wants to be left alone; zero where it said nothing of the kind."""
    asks = outcome.fate is Fate.RETRY and outcome.status in _ASKS_ALL
    return outcome.retry_after or timedelta() if asks else timedelta()


def decide(
    policy: RetryPolicy,
    attempts: int,
    outcome: Outcome,
    now_ms: int,
    *,
    on_unknown: str = "retry",
    spread: float = 0.0,
) -> Decision:
    """What becomes of a delivery after a failed attempt.

    attempts    how many have been made, this one included (from 1)
    on_unknown  the recipe's word for an attempt that may have happened: `retry` or `hold`
    spread      a number from -1 to 1, drawn by the caller: where in the policy's jitter this wait falls

    The destination's Retry-After moves an attempt later, never earlier, and at most to the policy's longest step,
    so that no destination can park work for ever.
    """
    if outcome.fate is Fate.HOLD:
        return Hold(outcome.summary)
    if outcome.fate is Fate.PERMANENT:
        return Dead(outcome.summary)
    if outcome.fate is Fate.UNKNOWN and on_unknown == "hold":
        return Dead(f"it may have happened, and the step says on_unknown: hold ({outcome.summary})")
    if attempts > len(policy.steps):
        tries = "attempt" if attempts == 1 else "attempts"
        return Dead(f"{outcome.summary}, after {attempts} {tries}")
    step = policy.steps[attempts - 1]
    wait = step + step * (policy.jitter * spread)
    if outcome.retry_after is not None:
        wait = max(wait, min(outcome.retry_after, policy.longest))
    return RetryAt(now_ms + round(wait.total_seconds() * 1000))
