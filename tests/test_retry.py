"""The retry policy is a pure function: every branch, and what holds for any policy and any outcome."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Fate, Outcome
from relay.retry import DEFAULT_POLICY, Dead, Health, Hold, RetryAt, RetryPolicy, asked_to_wait, decide, health

NOW_MS = 1_767_268_800_000
MINUTES = RetryPolicy((timedelta(minutes=1), timedelta(minutes=5)), jitter=0.0)

durations = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(days=30))
policies = st.builds(
    RetryPolicy,
    steps=st.lists(durations, min_size=1, max_size=10).map(tuple),
    jitter=st.floats(0, 1),
)


def retry(retry_after: timedelta | None = None) -> Outcome:
    return Outcome(Fate.RETRY, "503 Service Unavailable", "http 503", 503, retry_after)


def wait_ms(decision: object) -> int:
    assert isinstance(decision, RetryAt), decision
    return decision.at_ms - NOW_MS


def test_each_failed_attempt_waits_its_own_step() -> None:
    assert decide(MINUTES, 1, retry(), NOW_MS) == RetryAt(NOW_MS + 60_000)
    assert decide(MINUTES, 2, retry(), NOW_MS) == RetryAt(NOW_MS + 300_000)


def test_it_is_dead_when_the_steps_are_used_up_and_the_reason_counts_the_attempts() -> None:
    assert decide(MINUTES, 3, retry(), NOW_MS) == Dead("503 Service Unavailable, after 3 attempts")


def test_a_policy_without_steps_makes_one_attempt() -> None:
    decision = decide(RetryPolicy(()), 1, retry(timedelta(seconds=5)), NOW_MS)
    assert decision == Dead("503 Service Unavailable, after 1 attempt")


def test_what_will_not_get_better_is_dead_at_once() -> None:
    assert decide(MINUTES, 1, Outcome(Fate.PERMANENT, "404 Not Found"), NOW_MS) == Dead("404 Not Found")


def test_bad_credentials_hold_the_lane_even_after_the_last_step() -> None:
    for attempts in (1, 2, 3, 99):
        assert decide(MINUTES, attempts, Outcome(Fate.HOLD, "401 Unauthorized"), NOW_MS) == Hold("401 Unauthorized")


def test_an_unknown_outcome_is_retried_unless_the_step_says_hold() -> None:
    unknown = Outcome(Fate.UNKNOWN, "no answer within 30 s")
    assert decide(MINUTES, 1, unknown, NOW_MS) == RetryAt(NOW_MS + 60_000)
    held = decide(MINUTES, 1, unknown, NOW_MS, on_unknown="hold")
    assert isinstance(held, Dead)
    assert "on_unknown: hold" in held.reason
    assert "no answer within 30 s" in held.reason


def test_on_unknown_says_nothing_of_failures_that_are_known() -> None:
    assert decide(MINUTES, 1, retry(), NOW_MS, on_unknown="hold") == RetryAt(NOW_MS + 60_000)


def test_jitter_spreads_a_wait_by_its_share_either_way() -> None:
    policy = RetryPolicy((timedelta(seconds=100),), jitter=0.1)
    assert [wait_ms(decide(policy, 1, retry(), NOW_MS, spread=spread)) for spread in (-1, 0, 1)] == [
        90_000,
        100_000,
        110_000,
    ]


def test_retry_after_moves_an_attempt_later_never_earlier() -> None:
    assert wait_ms(decide(MINUTES, 1, retry(timedelta(minutes=3)), NOW_MS)) == 180_000
    assert wait_ms(decide(MINUTES, 1, retry(timedelta(seconds=1)), NOW_MS)) == 60_000


def test_a_destination_cannot_park_work_beyond_the_longest_step() -> None:
    assert wait_ms(decide(MINUTES, 1, retry(timedelta(days=365)), NOW_MS)) == 300_000


def test_the_default_policy_is_the_one_that_the_docs_name() -> None:
    waits = ["5s", "1m", "5m", "30m", "2h", "5h", "10h", "10h"]
    units = {"s": 1, "m": 60, "h": 3600}
    seconds = [int(wait[:-1]) * units[wait[-1]] for wait in waits]
    assert [step.total_seconds() for step in DEFAULT_POLICY.steps] == seconds
    assert sum(seconds) == pytest.approx(27.6 * 3600, rel=0.01), "from the first attempt to the last: 27 h 36 min"


@given(policy=policies, attempts=st.integers(1, 12), spread=st.floats(-1, 1), after=st.none() | durations)
def test_a_wait_is_never_shorter_than_its_step_less_jitter_and_retry_after_is_kept_up_to_the_longest_step(
    policy: RetryPolicy, attempts: int, spread: float, after: timedelta | None
) -> None:
    decision = decide(policy, attempts, retry(after), NOW_MS, spread=spread)
    if attempts > len(policy.steps):
        assert isinstance(decision, Dead)
        return
    step = policy.steps[attempts - 1]
    rounding = timedelta(milliseconds=1)
    wait = timedelta(milliseconds=wait_ms(decision))
    assert wait >= step * (1 - policy.jitter) - rounding
    if after is not None:
        assert wait >= min(after, policy.longest) - rounding
    assert wait <= max(step * (1 + policy.jitter), policy.longest) + rounding


@given(policy=policies, fate=st.sampled_from(Fate), attempts=st.integers(1, 12))
def test_the_same_question_has_the_same_answer(policy: RetryPolicy, fate: Fate, attempts: int) -> None:
    outcome = Outcome(fate, "as it was")
    assert decide(policy, attempts, outcome, NOW_MS) == decide(policy, attempts, outcome, NOW_MS)


@given(policy=policies)
def test_a_delivery_that_never_succeeds_is_dead_after_one_attempt_more_than_there_are_steps(
    policy: RetryPolicy,
) -> None:
    attempts = 1
    while isinstance(decide(policy, attempts, retry(), NOW_MS), RetryAt):
        attempts += 1
    assert attempts == len(policy.steps) + 1


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(Fate.DELIVERED, "200 OK", status=200), Health.WELL),
        (Outcome(Fate.SKIPPED, "when"), Health.UNSAID),
        (Outcome(Fate.RETRY, "no connection", "connection refused"), Health.UNWELL),
        (Outcome(Fate.UNKNOWN, "no answer within 30 s", "timeout"), Health.UNWELL),
        *((Outcome(Fate.RETRY, "", status=status), Health.UNWELL) for status in (408, 429, 500, 502, 503, 504)),
        (Outcome(Fate.RETRY, "", status=429, retry_after=MINUTE), Health.UNSAID),
        (Outcome(Fate.RETRY, "", status=503, retry_after=MINUTE), Health.UNWELL),
        # About the one record: others may go through.
        *((Outcome(Fate.RETRY, "", status=status), Health.UNSAID) for status in (200, 409, 423, 425)),
        *((Outcome(Fate.PERMANENT, "", status=status), Health.WELL) for status in (400, 404, 422)),
        (Outcome(Fate.PERMANENT, "the pick can't be made", "recipe error"), Health.UNSAID),
        (Outcome(Fate.HOLD, "401", status=401), Health.UNSAID),
        (Outcome(Fate.RETRY, "internal error: KeyError: 'x'", "internal error: KeyError"), Health.UNSAID),
    ],
)
def test_an_attempt_says_of_the_destination_only_what_is_not_about_the_delivery(outcome: Outcome, said: Health) -> None:
    assert health(outcome) is said


def test_only_what_is_asked_of_everybody_holds_a_lane() -> None:
    for status in (429, 503):
        assert asked_to_wait(Outcome(Fate.RETRY, "", status=status, retry_after=MINUTE)) == MINUTE
        assert asked_to_wait(Outcome(Fate.RETRY, "", status=status)) == timedelta()
    for outcome in (
        Outcome(Fate.RETRY, "", status=409, retry_after=MINUTE),
        Outcome(Fate.PERMANENT, "", status=503, retry_after=MINUTE),
    ):
        assert asked_to_wait(outcome) == timedelta()
