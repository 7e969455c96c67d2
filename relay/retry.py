"""When a delivery is tried again: policy as a value, the decision as a pure function.

The edges act on what `decide` returns; nothing here reads a clock, draws a random number or opens anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from relay.model import Fate, Outcome


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
