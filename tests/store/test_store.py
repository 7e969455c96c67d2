"""The store on a real Valkey: what is accepted, routed, settled, replayed, discarded, edited and forgotten.

After each test the books are checked.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop
from dramatiq.message import Message

from relay import embedded
from relay.clock import now_ms
from relay.errors import StoreError, StoreFullError, StoreUnavailableError
from relay.lanes import Fetched
from relay.messages import RouteJob
from relay.model import ROUTE_STEP, Attempt, Event, Fate, Outcome, Status, delivery_id, new_event_id
from relay.recipes import Workspace
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    Filter,
    History,
    NewDelivery,
    Operators,
    Settled,
    Store,
    recipe_lane,
)
from tests.store.bench import (
    BROKEN,
    DEAD,
    DELIVERED,
    IMPOSSIBLE,
    LANE,
    OTHER,
    WORKER,
    Bench,
    Workspaces,
    chain,
    event_of,
    recipe,
)

# -- accept


async def test_an_accepted_event_comes_back_as_it_was_and_waits_to_be_routed(bench: Bench) -> None:
    event = Event(
        new_event_id(),
        "chat",
        "PUT",
        "/in/chat",
        (("a", "1"), ("a", "ü")),
        {"content-type": "text/plain", "x-odd": "\xff"},
        bytes(range(256)) * 40,
        1_700_000_000_000,
        remote="10.0.0.1",
    )
    assert await bench.put(event) is None
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert (stored.event, stored.status, stored.deliveries) == (event, "caught", ())
    assert await bench.open(event) == 1
    (lease,) = await bench.fetch(ROUTE_QUEUE)
    assert (lease.lane, lease.id, lease.taken_back) == (LANE, event.id, 0)
    assert RouteJob(*Message.decode(lease.payload).args) == RouteJob(event.id, LANE, event.id)
    assert await bench.operators.counters() == {"caught:chat": 1}


async def test_a_body_of_ten_megabytes_is_kept_whole(bench: Bench) -> None:
    body = bytes(range(256)) * 40_000
    event = await bench.accept(body)
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert stored.event.body == body


async def test_a_key_that_came_before_names_the_first_event_and_keeps_no_second(bench: Bench) -> None:
    window = timedelta(hours=1)
    first = await bench.accept(key="k1", window=window)
    assert await bench.put(event_of(key="k1"), window) == first.id
    assert await bench.put(event_of(key="k1", source="other"), window) is None, "a key belongs to its source"
    assert await bench.put(event_of(key="k2"), window) is None
    assert await bench.put(event_of(), window) is None
    assert await bench.put(event_of(), window) is None, "without a key nothing is a repeat"
    assert len(await bench.fetch(ROUTE_QUEUE)) == 5
    assert (await bench.operators.counters())["duplicate:chat"] == 1


async def test_a_key_is_forgotten_after_its_window(bench: Bench) -> None:
    window = timedelta(milliseconds=40)
    await bench.accept(key="k", window=window)
    await asyncio.sleep(0.06)
    assert await bench.put(event_of(key="k"), window) is None


async def test_of_many_requests_with_one_key_at_the_same_moment_one_is_kept(bench: Bench) -> None:
    events = [event_of(key="same") for _ in range(50)]
    earlier = await asyncio.gather(*(bench.put(event, timedelta(hours=1)) for event in events))
    assert earlier.count(None) == 1
    assert len({*earlier} - {None}) == 1
    assert len(await bench.fetch(ROUTE_QUEUE)) == 1


# -- routed


def new_delivery(event: Event, step: str, **more: Any) -> NewDelivery:
    values: dict[str, Any] = {
        "id": delivery_id(event.id, "r", step),
        "recipe": "r",
        "version": "v1",
        "step": step,
        "item": "",
        "connection": "sink",
        "status": Status.WAITING,
        "queue": DELIVER_QUEUE,
        "lane": "sink",
        "payload": b"message",
    }
    return NewDelivery(**(values | more))


async def test_routing_queues_what_may_go_and_acknowledges_itself(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(c=chain(), skips=recipe(when="$.id == 2"))
    event = await bench.accept()
    assert await bench.route(here) == 1
    assert await bench.statuses(event) == {"a": "waiting", "b": "waiting", ROUTE_STEP: "skipped"}
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert stored.status == "routed"
    assert await bench.open(event) == 2
    (lease,) = await bench.fetch()
    assert lease.id == delivery_id(event.id, "c", "a")
    assert not await bench.is_queued(event.id)
    b = (await bench.of(event))["c", "b"]
    assert (b.waits_for, b.needs) == (1, {"a": lease.id})
    assert (await bench.of(event))["c", "a"].successors == (b.id,)


async def test_a_worker_that_lost_its_lease_writes_nothing_and_routing_twice_makes_nothing_twice(
    bench: Bench,
) -> None:
    event = await bench.accept()
    deliveries = [new_delivery(event, "a")]
    await bench.fetch(ROUTE_QUEUE, WORKER)
    await bench.take_back(WORKER)
    (lease,) = await bench.fetch(ROUTE_QUEUE, OTHER)
    assert lease.taken_back == 1
    assert not await bench.store.run(bench.store.routed(WORKER, LANE, event.id, event.id, "", "routed", deliveries))
    assert (await bench.store.event(event.id)).deliveries == ()  # type: ignore[union-attr]
    assert await bench.store.run(bench.store.routed(OTHER, LANE, event.id, event.id, "", "routed", deliveries))
    assert not await bench.store.run(bench.store.routed(OTHER, LANE, event.id, event.id, "", "routed", deliveries)), (
        "a reply was lost"
    )
    assert await bench.open(event) == 1
    assert (await bench.lane("sink")).waiting == 1
    counters = await bench.operators.counters()
    assert counters["waiting:sink"] == 1


async def test_an_event_nobody_wants_has_ended(bench: Bench, workspace: Workspaces) -> None:
    event = await bench.accept()
    await bench.route(workspace())
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert (stored.status, stored.deliveries) == ("skipped", ())
    assert await bench.open(event) == 0


async def test_ten_thousand_deliveries_of_one_event_are_routed_settled_and_forgotten(bench: Bench) -> None:
    event = await bench.accept()
    await bench.fetch(ROUTE_QUEUE)
    deliveries = [new_delivery(event, f"s{number}") for number in range(10_000)]
    assert await bench.store.run(bench.store.routed(WORKER, LANE, event.id, event.id, "", "routed", deliveries))
    assert (await bench.lane("sink")).waiting == 10_000
    assert await bench.open(event) == 10_000
    leases = await bench.fetch(limit=10_000)
    assert len(leases) == 10_000
    await asyncio.gather(*(bench.settle(lease) for lease in leases))
    assert await bench.open(event) == 0
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 1
    assert await bench.keys("[ed]:*") == []


# -- settle


async def one_waiting(bench: Bench, workspace: Workspaces, **recipes: Any) -> tuple[Event, Fetched, Workspace]:
    """An event routed to one delivery, which this worker holds."""
    here = workspace(**(recipes or {"r": recipe()}))
    event = await bench.accept()
    await bench.route(here)
    return event, await bench.take(), here


def attempt(number: int, fate: Fate = Fate.RETRY) -> Attempt:
    return Attempt(number, 1_700_000_000_000 + number, 1.5, Outcome(fate, f"attempt {number}"))


async def test_a_delivered_one_leaves_its_lane_and_closes_its_event(bench: Bench, workspace: Workspaces) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    settled = Settled("delivered", "201 Created", attempt=attempt(1, Fate.DELIVERED), saved={"id": 2**70})
    assert await bench.settle(lease, settled)
    delivery = await bench.delivery(lease.id)
    assert (delivery.status, delivery.summary, delivery.attempts_made) == (Status.DELIVERED, "201 Created", 1)
    assert delivery.saved == {"id": 2**70}
    assert [one["attempt"] for one in delivery.attempts] == [1]
    lane = await bench.lane("sink")
    assert (lane.waiting, lane.in_flight) == (0, 0)
    assert await bench.open(event) == 0
    assert (await bench.operators.counters())["delivered:sink"] == 1


async def test_a_retry_waits_for_its_moment_and_counts(bench: Bench, workspace: Workspaces) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    due = now_ms() + 60_000
    assert await bench.settle(lease, Settled("retry", "503", "http 503", attempt(1), due_ms=due))
    delivery = await bench.delivery(lease.id)
    assert (delivery.status, delivery.due_ms, delivery.attempts_made) == (Status.RETRYING, due, 1)
    assert await bench.fetch() == []
    assert (await bench.lane("sink")).next_due_us == due * 1000
    assert await bench.open(event) == 1


async def test_a_verdict_whose_answer_was_lost_is_recorded_once(bench: Bench, workspace: Workspaces) -> None:
    _, lease, _ = await one_waiting(bench, workspace)
    settled = Settled("retry", "503", "http 503", attempt(1), due_ms=now_ms() + 60_000)
    assert await bench.settle(lease, settled)
    assert await bench.settle(lease, settled), "it was done"
    delivery = await bench.delivery(lease.id)
    assert (len(delivery.attempts), delivery.attempts_made) == (1, 1)
    lane = await bench.lane("sink")
    assert (lane.waiting, lane.in_flight) == (1, 0)


async def test_a_verdict_that_comes_twice_does_not_end_a_later_lease(bench: Bench, workspace: Workspaces) -> None:
    """The answer to a retry is lost for so long that the next attempt has begun, in the same process."""
    _, lease, _ = await one_waiting(bench, workspace)
    settled = Settled("retry", "503", "http 503", attempt(1), due_ms=now_ms() - 1)
    assert await bench.settle(lease, settled)
    (again,) = await bench.fetch()
    assert again.id == lease.id
    await bench.settle(lease, settled)
    assert await bench.fetch() == [], "it is in flight: a second thread would send it a second time"
    assert await bench.settle(again)


async def test_a_hold_stops_the_lane_and_uses_up_no_try(bench: Bench, workspace: Workspaces) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    held = Settled("hold", "401", "http 401", attempt(1, Fate.HOLD), hold=("held", "bad token"))
    assert await bench.settle(lease, held)
    lane = await bench.lane("sink")
    assert (lane.state, lane.reason, lane.waiting) == ("held", "bad token", 1)
    assert (await bench.delivery(lease.id)).attempts_made == 0
    assert await bench.fetch() == []
    await bench.resume(DELIVER_QUEUE, "sink")
    assert await bench.settle(await bench.take())
    assert await bench.statuses(event) == {"post": "delivered"}


async def test_a_hold_leaves_the_reason_of_an_operators_pause(bench: Bench, workspace: Workspaces) -> None:
    _, lease, _ = await one_waiting(bench, workspace)
    await bench.store.run(bench.store.lanes.pause(DELIVER_QUEUE, "sink", "migration"))
    await bench.settle(lease, Settled("hold", "401", hold=("held", "bad token")))
    assert (await bench.lane("sink")).reason == "migration"


async def test_who_lost_the_lease_may_still_report_a_delivery_but_nothing_else(
    bench: Bench, workspace: Workspaces
) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    await bench.take_back(WORKER)
    (again,) = await bench.fetch(worker=OTHER)
    for verdict in ("retry", "dead", "hold"):
        assert not await bench.settle(lease, Settled(verdict, "late", hold=("held", "x")))
    assert (await bench.lane("sink")).state == "running"
    assert await bench.statuses(event) == {"post": "waiting"}
    assert not await bench.settle(lease, DELIVERED)
    assert await bench.statuses(event) == {"post": "delivered"}, "it is there: that is the truth"
    assert not await bench.settle(again, DEAD, OTHER), "an end stays the end that it is"
    assert await bench.statuses(event) == {"post": "delivered"}
    lane = await bench.lane("sink")
    assert (lane.waiting, lane.in_flight) == (0, 0)
    assert await bench.open(event) == 0


@pytest.mark.parametrize("verdict", ["delivered", "skipped"])
async def test_a_step_goes_when_its_predecessor_has_ended(bench: Bench, workspace: Workspaces, verdict: str) -> None:
    event, lease, _ = await one_waiting(bench, workspace, c=chain())
    await bench.settle(lease, Settled(verdict, "done"))
    second = await bench.take()
    assert second.id == delivery_id(event.id, "c", "b")
    await bench.settle(second)
    assert await bench.open(event) == 0


async def test_a_step_that_waits_for_two_goes_once_and_after_both(bench: Bench) -> None:
    event = await bench.accept()
    await bench.fetch(ROUTE_QUEUE)
    ids = {step: delivery_id(event.id, "r", step) for step in "abc"}
    deliveries = [
        new_delivery(event, "a", successors=(ids["c"],)),
        new_delivery(event, "b", successors=(ids["c"],)),
        new_delivery(event, "c", waits_on=(ids["a"], ids["b"]), needs={"a": ids["a"], "b": ids["b"]}),
    ]
    await bench.store.run(bench.store.routed(WORKER, LANE, event.id, event.id, "", "routed", deliveries))
    first, second = await bench.fetch()
    await bench.settle(first)
    await bench.settle(first)
    assert await bench.fetch() == [], "one that ended twice is one"
    await bench.settle(second)
    assert (await bench.take()).id == ids["c"]


# -- replay


async def test_a_dead_letter_is_replayed_with_its_own_key_and_a_run_of_its_own(
    bench: Bench, workspace: Workspaces
) -> None:
    event, lease, here = await one_waiting(bench, workspace)
    await bench.settle(lease, Settled("dead", "422", "http 422", attempt(1)))
    assert await bench.operators.count_dead() == 1
    assert await bench.replay(here, lease.id) == {"queued": 1}
    assert await bench.operators.count_dead() == 0
    delivery = await bench.delivery(lease.id)
    assert (delivery.status, delivery.attempts_made, len(delivery.attempts)) == (Status.WAITING, 0, 1)
    assert delivery.idempotency_key == lease.id, "the destination never had it: the same key"
    await bench.settle(await bench.take())
    assert await bench.statuses(event) == {"post": "delivered"}
    assert [entry["what"] for entry in await bench.operators.audit()] == ["replay"]


async def test_a_delivered_one_that_is_replayed_gets_another_key_and_opens_its_event(
    bench: Bench, workspace: Workspaces
) -> None:
    event, lease, here = await one_waiting(bench, workspace)
    await bench.settle(lease)
    assert await bench.replay(here, lease.id) == {"queued": 1}
    assert (await bench.delivery(lease.id)).idempotency_key == f"{lease.id}-r1"
    assert await bench.open(event) == 1
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 0, "an event with work under way is not forgotten"
    await bench.settle(await bench.take())
    assert await bench.open(event) == 0


async def test_what_is_in_flight_blocked_or_given_up_is_not_replayed(bench: Bench, workspace: Workspaces) -> None:
    event, lease, here = await one_waiting(bench, workspace, c=chain())
    second = delivery_id(event.id, "c", "b")
    assert await bench.replay(here, lease.id, second) == {"in_flight": 1, "blocked": 1}
    await bench.settle(lease, DEAD)
    assert await bench.operators.discard(lease.id, who="ana", reason="a test") == "discarded"
    assert await bench.replay(here, lease.id) == {"discarded": 1}


async def test_what_waits_for_its_next_attempt_is_hastened(bench: Bench, workspace: Workspaces) -> None:
    _, lease, here = await one_waiting(bench, workspace)
    await bench.settle(lease, Settled("retry", "503", due_ms=now_ms() + 3_600_000))
    assert await bench.replay(here, lease.id) == {"hastened": 1}
    assert (await bench.take()).id == lease.id


async def test_a_replay_of_a_first_step_does_not_run_its_successor_again(bench: Bench, workspace: Workspaces) -> None:
    event, lease, here = await one_waiting(bench, workspace, c=chain())
    await bench.settle(lease)
    await bench.settle(await bench.take())
    assert await bench.replay(here, lease.id) == {"queued": 1}
    await bench.settle(await bench.take())
    assert await bench.fetch() == []
    assert await bench.statuses(event) == {"a": "delivered", "b": "delivered"}


async def test_a_late_delivery_report_does_not_turn_a_replay_into_nothing(bench: Bench, workspace: Workspaces) -> None:
    """A worker that had lost its lease reports the delivery while the message waits again; then it is replayed."""
    event, lease, here = await one_waiting(bench, workspace)
    await bench.take_back(WORKER)
    await bench.settle(lease)
    assert await bench.statuses(event) == {"post": "delivered"}
    await bench.replay(here, lease.id)
    assert await bench.statuses(event) == {"post": "waiting"}, "the operator was told that it would run"


async def test_a_waiting_delivery_follows_its_connection_to_a_new_name(bench: Bench, workspace: Workspaces) -> None:
    """The connection was renamed in relay.yaml, and in the recipe with it; the old lane is held for good."""
    _, lease, _ = await one_waiting(bench, workspace)
    await bench.settle(lease, Settled("hold", "no connection sink", hold=("incomplete", "gone")))
    here = workspace(connections=["crm"], r=recipe("crm"))
    await bench.replay(here, lease.id)
    (moved,) = await bench.fetch()
    assert moved.lane == "crm"


async def test_a_late_delivery_report_finds_the_message_in_the_lane_it_was_moved_to(
    bench: Bench, workspace: Workspaces
) -> None:
    """Taken back, replayed to a renamed connection, and then reported as delivered through the old one."""
    _, lease, _ = await one_waiting(bench, workspace)
    await bench.take_back(WORKER)
    await bench.replay(workspace(connections=["crm"], r=recipe("crm")), lease.id)
    await bench.settle(lease)
    for moved in await bench.fetch():
        assert moved.payload is not None, "an id in a lane without its message: no worker can read it"


# -- replay of a whole event


async def test_an_event_routed_again_runs_what_ended_or_died_and_leaves_what_is_under_way(
    bench: Bench, workspace: Workspaces
) -> None:
    steps = {name: {"to": "sink", "with": {"path": f"/{name}"}} for name in ("dead", "done", "later", "now")}
    here = workspace(r={"recipe": "Four", "catch": "chat", "steps": steps})
    event = await bench.accept()
    await bench.route(here)
    by_id = {delivery.id: step for (_, step), delivery in (await bench.of(event)).items()}
    later = now_ms() + 3_600_000
    verdicts = {"dead": DEAD, "done": DELIVERED, "later": Settled("retry", "503", due_ms=later)}
    for lease in await bench.fetch():
        if by_id[lease.id] in verdicts:
            await bench.settle(lease, verdicts[by_id[lease.id]])
    assert await bench.replay_event(here, event) == {"queued": 1}
    assert await bench.replay_event(here, event) == {"in_flight": 1}
    await bench.route(here)
    assert sorted(by_id[lease.id] for lease in await bench.fetch()) == ["dead", "done"]
    assert await bench.statuses(event) == {"dead": "waiting", "done": "waiting", "later": "retrying", "now": "waiting"}
    assert await bench.open(event) == 4


async def test_an_event_routed_again_keeps_the_order_of_its_steps(bench: Bench, workspace: Workspaces) -> None:
    event, lease, here = await one_waiting(bench, workspace, c=chain())
    await bench.settle(lease)
    await bench.settle(await bench.take())
    await bench.replay_event(here, event)
    await bench.route(here)
    assert (await bench.take()).id == lease.id
    assert await bench.fetch() == []
    await bench.settle(lease)
    assert (await bench.take()).id == delivery_id(event.id, "c", "b")


async def test_a_step_goes_on_when_its_dead_predecessor_is_skipped_by_the_mended_recipe(
    bench: Bench, workspace: Workspaces
) -> None:
    event, lease, _ = await one_waiting(bench, workspace, c=chain())
    await bench.settle(lease, DEAD)
    here = workspace(c=chain({"when": "$.id == 2"}))
    await bench.replay_event(here, event)
    await bench.route(here)
    assert (await bench.of(event))["c", "a"].status is Status.SKIPPED
    assert [lease.id for lease in await bench.fetch()] == [delivery_id(event.id, "c", "b")]


# -- more recipes that pass an event over than would be worth a delivery each


def many_that_say_no(number: int) -> dict[str, Any]:
    return {f"no-{place}": recipe(when=f"$.id == {place + 100}") for place in range(number)}


async def test_recipes_beyond_some_that_pass_an_event_over_are_kept_with_it(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(c=recipe(), **many_that_say_no(9))
    event = await bench.accept()
    await bench.route(here)
    assert await bench.statuses(event) == {"post": "waiting"}
    passed = await bench.store.passed_over(event.id)
    assert [one.recipe for one in passed] == [f"no-{place}" for place in range(9)]
    assert passed[3].version == here.recipes["no-3"].version
    assert "$.id == 103" in passed[3].why
    assert await bench.store.ask("HGET", bench.store.key("stats"), "skipped:") == b"9"
    await bench.settle(await bench.take())
    assert await bench.store.sweep(now_ms() + 1) == 1


async def test_up_to_some_have_a_skipped_delivery_each(bench: Bench, workspace: Workspaces) -> None:
    event = await bench.accept()
    await bench.route(workspace(**many_that_say_no(8)))
    assert {d.status for d in (await bench.of(event)).values()} == {Status.SKIPPED}
    assert len(await bench.of(event)) == 8
    assert await bench.store.passed_over(event.id) == []


async def test_an_event_that_all_of_many_recipes_pass_over_has_ended(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(**many_that_say_no(9))
    event = await bench.accept()
    await bench.route(here)
    assert await bench.of(event) == {}
    assert await bench.open(event) == 0
    assert await bench.replay_event(here, event) == {"queued": 1}
    await bench.route(here)
    assert len(await bench.store.passed_over(event.id)) == 9
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 1


async def test_a_dead_letter_of_a_recipe_that_now_passes_the_event_over_ends_beside_many_others(
    bench: Bench, workspace: Workspaces
) -> None:
    event = await bench.accept()
    await bench.route(workspace(**{"no-3": IMPOSSIBLE}))
    assert await bench.statuses(event) == {ROUTE_STEP: "dead"}
    here = workspace(**many_that_say_no(12))
    await bench.replay_event(here, event)
    await bench.route(here)
    assert await bench.statuses(event) == {ROUTE_STEP: "skipped"}
    assert "no-3" not in [one.recipe for one in await bench.store.passed_over(event.id)]
    assert len(await bench.store.passed_over(event.id)) == 11
    assert await bench.open(event) == 0


async def test_an_event_that_is_replayed_is_not_swept_before_it_has_been_routed(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(r=recipe(when="$.id == 2"))
    event = await bench.accept()
    await bench.route(here)
    assert await bench.replay_event(here, event) == {"queued": 1}
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 0
    await bench.route(here)
    assert await bench.open(event) == 0


# -- letters: what died or waits before any step


async def test_a_letter_is_edited_replayed_and_resolved(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe(pick={"id": "$.id"}))
    event = await bench.accept(b'{"id": ')
    await bench.route(here)
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert stored.status == "undecodable"
    (letter,) = stored.deliveries
    edit = {"who": "ana", "note": "cut off", "content_type": "application/json"}
    assert await bench.operators.keep_edit(letter, body=b'{"id": 7}', **edit) == 1
    assert await bench.operators.keep_edit(letter, body=b'{"id": 8}', **edit) == 2
    assert [edit.body for edit in await bench.operators.edits(await bench.delivery(letter))] == [
        b'{"id": 7}',
        b'{"id": 8}',
    ]
    assert (await bench.store.event(event.id)).event.body == b'{"id": '  # type: ignore[union-attr]
    await bench.replay(here, letter)
    await bench.route(here)
    assert await bench.statuses(event) == {ROUTE_STEP: "delivered", "post": "waiting"}
    delivery = (await bench.of(event))["r", "post"]
    assert delivery.edited == letter
    await bench.settle(await bench.take())
    assert await bench.open(event) == 0


async def test_a_letter_routed_twice_by_a_take_back_makes_one_delivery(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=IMPOSSIBLE)
    event = await bench.accept()
    await bench.route(here)
    (letter,) = (await bench.store.event(event.id)).deliveries  # type: ignore[union-attr]
    mended = workspace(r=recipe())
    await bench.replay(mended, letter)
    await bench.fetch(ROUTE_QUEUE, OTHER)
    await bench.take_back(OTHER)
    assert await bench.route(mended) == 1
    assert await bench.statuses(event) == {ROUTE_STEP: "delivered", "post": "waiting"}
    assert len(await bench.fetch()) == 1


async def test_a_letter_of_an_edited_body_keeps_what_each_recipe_makes_of_it(
    bench: Bench, workspace: Workspaces
) -> None:
    """Undecodable for both; mended, one recipe can't be made from it and the other doesn't want it."""
    here = workspace(a=IMPOSSIBLE, b=recipe(when="$.id == 2"))
    event = await bench.accept(b'{"id": ')
    await bench.route(here)
    (letter,) = (await bench.store.event(event.id)).deliveries  # type: ignore[union-attr]
    await bench.operators.keep_edit(letter, who="ana", note="", body=b'{"id": 1}', content_type="application/json")
    await bench.replay(here, letter)
    await bench.route(here)
    dead = [delivery async for delivery in bench.operators.list_deliveries(Filter(status="dead"))]
    assert [delivery.recipe for delivery in dead] == ["a"], "what a could not be made of must not disappear"


async def broken_letter(bench: Bench, workspace: Workspaces) -> tuple[Event, Workspace]:
    """An event that waits for the recipe `r` to be mended."""
    broken = workspace(r=BROKEN)
    assert list(broken.broken) == ["r"]
    await bench.store.run(bench.store.lanes.pause(ROUTE_QUEUE, recipe_lane("r"), "broken", state="broken"))
    event = await bench.accept()
    await bench.route(broken)
    assert await bench.statuses(event) == {ROUTE_STEP: "waiting"}
    assert await bench.route(broken) == 0
    return event, broken


async def test_an_event_waits_for_a_broken_recipe_and_goes_when_it_is_mended(
    bench: Bench, workspace: Workspaces
) -> None:
    event, _ = await broken_letter(bench, workspace)
    mended = workspace(r=recipe())
    await bench.resume(ROUTE_QUEUE, recipe_lane("r"))
    assert await bench.route(mended) == 1
    assert await bench.statuses(event) == {ROUTE_STEP: "delivered", "post": "waiting"}


async def test_a_letter_taken_by_a_worker_that_still_has_the_broken_recipe_waits_on(
    bench: Bench, workspace: Workspaces
) -> None:
    """Two workers: one was restarted with the mended recipe and resumed the lane, the other was not."""
    event, broken = await broken_letter(bench, workspace)
    await bench.resume(ROUTE_QUEUE, recipe_lane("r"))
    await bench.route(broken, OTHER)
    await bench.check_the_books()
    mended = workspace(r=recipe())
    await bench.resume(ROUTE_QUEUE, recipe_lane("r"))
    await bench.route(mended)
    assert await bench.statuses(event) == {ROUTE_STEP: "delivered", "post": "waiting"}


async def test_a_dead_letter_replayed_while_its_recipe_is_broken_waits_for_it(
    bench: Bench, workspace: Workspaces
) -> None:
    event = await bench.accept()
    await bench.route(workspace(r=IMPOSSIBLE))
    (letter,) = (await bench.store.event(event.id)).deliveries  # type: ignore[union-attr]
    broken = workspace(r=BROKEN)
    await bench.store.run(bench.store.lanes.pause(ROUTE_QUEUE, recipe_lane("r"), "broken", state="broken"))
    await bench.replay(broken, letter)
    await bench.route(broken)
    assert await bench.statuses(event) == {ROUTE_STEP: "waiting"}
    await bench.check_the_books()


async def test_a_letter_whose_recipe_is_gone_waits_for_an_operator(bench: Bench, workspace: Workspaces) -> None:
    """The broken recipe's file was renamed, or is missing for a moment: no rule and no operator gave its events up."""
    event, _ = await broken_letter(bench, workspace)
    await bench.resume(ROUTE_QUEUE, recipe_lane("r"))
    await bench.route(workspace(other=recipe(when="$.id == 2")))
    assert (await bench.of(event))["r", ROUTE_STEP].status in (Status.DEAD, Status.WAITING)


# -- discard


async def test_a_dead_letter_that_is_discarded_lets_its_successor_go(bench: Bench, workspace: Workspaces) -> None:
    event, lease, _ = await one_waiting(bench, workspace, c=chain())
    assert await bench.operators.discard("dlv_none", who="ana", reason="x") == "missing"
    assert await bench.operators.discard(lease.id, who="ana", reason="x") == "in_flight"
    await bench.settle(lease, DEAD)
    assert await bench.operators.discard(lease.id, who="ana", reason="test data") == "discarded"
    assert await bench.operators.discard(lease.id, who="ana", reason="again") == "already discarded"
    assert "ana: test data" in (await bench.delivery(lease.id)).summary
    assert (await bench.take()).id == delivery_id(event.id, "c", "b")
    assert await bench.operators.count_dead() == 0


async def test_what_waits_behind_a_connection_that_is_gone_for_good_can_be_discarded(
    bench: Bench, workspace: Workspaces
) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    await bench.settle(lease, Settled("hold", "no connection sink", hold=("incomplete", "gone")))
    assert await bench.operators.discard(lease.id, who="ana", reason="the system is gone") == "discarded"
    assert await bench.open(event) == 0
    assert not await bench.is_queued(lease.id)


# -- sweep


async def test_the_sweep_forgets_what_has_ended_and_nothing_else(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(c=chain())
    events = [await bench.accept() for _ in range(4)]
    await bench.route(here)
    done, dead, retrying, waiting = events
    by_id = {delivery_id(event.id, "c", "a"): event for event in events}
    later = now_ms() + 3_600_000
    for lease in await bench.fetch():
        event = by_id[lease.id]
        if event is done:
            await bench.settle(lease)
            await bench.settle(await bench.take())
        elif event is dead:
            await bench.settle(lease, DEAD)
        elif event is retrying:
            await bench.settle(lease, Settled("retry", "503", due_ms=later))
    before = now_ms()
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(before - 60_000) == 0, "not yet"
    assert await bench.store.sweep(now_ms()) == 1
    kept = await bench.store.events([event.id for event in events])
    assert [stored is not None for stored in kept] == [False, True, True, True]
    assert await bench.statuses(waiting) == {"a": "waiting", "b": "waiting"}
    listed = [stored.event.id async for stored in bench.operators.list_events(Filter(source="chat"))]
    assert sorted(listed) == sorted(event.id for event in (dead, retrying, waiting))
    assert len(await bench.keys("d:*")) == 6


async def test_a_late_delivery_report_takes_the_waiting_message_with_it(bench: Bench, workspace: Workspaces) -> None:
    _, lease, _ = await one_waiting(bench, workspace)
    await bench.take_back(WORKER)
    await bench.settle(lease)
    assert await bench.fetch() == [], "there is nothing left to do"
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 1


async def test_routing_an_event_that_is_no_longer_kept_leaves_nothing_behind(
    bench: Bench, workspace: Workspaces
) -> None:
    event = await bench.accept()
    await bench.store.ask("DEL", bench.store.key("e:", event.id))
    here = workspace(r=recipe())
    await bench.route(here)
    assert not await bench.is_queued(event.id)
    assert await bench.keys("e:*") == []
    assert await bench.mend(here) == ["index", "index"], "it was taken away by hand"


# -- lists


async def test_lists_page_through_equal_moments_in_both_directions(bench: Bench) -> None:
    for number in range(450):
        await bench.put(event_of(at=1_700_000_000_000 + number // 300, source="a" if number % 2 else "b"))
    newest = [stored.event.id async for stored in bench.operators.list_events(Filter())]
    oldest = [stored.event.id async for stored in bench.operators.list_events(Filter(), oldest_first=True)]
    assert len(newest) == len(set(newest)) == 450
    assert newest == oldest[::-1]
    of_a = [stored async for stored in bench.operators.list_events(Filter(source="a", since_ms=1_700_000_000_001))]
    assert len(of_a) == 75


async def test_deliveries_are_found_by_what_they_are(bench: Bench, workspace: Workspaces) -> None:
    event, lease, _ = await one_waiting(bench, workspace)
    await bench.settle(lease, DEAD)

    async def found(**wanted: Any) -> int:
        return len([one async for one in bench.operators.list_deliveries(Filter(**wanted))])

    assert await found(event=event.id) == await found(recipe="r") == await found(step="post") == 1
    assert await found(connection="sink", status="dead", cause="HTTP 422") == 1
    assert await found(status="delivered") == await found(cause="503") == await found(event="evt_none") == 0


# -- recipe versions, tasks and what is remembered


async def test_recipe_versions_tasks_and_values_are_remembered(bench: Bench) -> None:
    await bench.store.keep_versions({("r", "v1"): "recipe: One", ("r", "v2"): "recipe: Two"})
    await bench.store.keep_versions({("r", "v1"): "recipe: Other"})
    assert await bench.store.version("r", "v1") == "recipe: One"
    assert await bench.store.version("r", "v3") is None
    assert await bench.store.only_one("sweep", 60)
    assert not await bench.store.only_one("sweep", 60)
    assert await bench.store.remembered(["x"]) == [None]
    await bench.store.remember({"x": "1", "y": "1"})
    await bench.store.remember({"x": "2"})
    assert await bench.store.remembered(["x", "y", "z"]) == ["2", "1", None]


# -- a store that is full, away, or was cut off


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[tuple[Bench, redis.Redis]]]]:
    """A Valkey of the test's own, started and killed as it likes, on one data folder."""
    data = tmp_path / "data"
    data.mkdir()
    running: list[Any] = []
    stores: list[Any] = []

    async def start() -> tuple[Bench, redis.Redis]:
        process = embedded.start(data)
        url = embedded.url(data)
        running.append(process)
        embedded.wait_until_ready(url, process)
        store, client = Store(url, "own:"), redis.Redis.from_url(url)
        stores.extend((store, client))
        return Bench(store, Operators(store), tmp_path), client

    yield start
    for one in stores:
        await one.aclose() if isinstance(one, Store) else one.close()
    for process in running:
        process.kill()
        process.wait(10)


async def test_a_log_cut_off_in_the_middle_of_a_write_is_read_to_the_last_whole_one(
    own: Any, tmp_path: Path, workspace: Workspaces
) -> None:
    bench, client = await own()
    here = workspace(c=chain())
    events = [await bench.accept() for _ in range(20)]
    await bench.route(here)
    leases = await bench.fetch()
    for lease in leases[:10]:
        await bench.settle(lease)
    pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    (log,) = (tmp_path / "data" / "valkey").glob("appendonlydir/*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(whole[:-17])
    with pytest.raises(StoreUnavailableError):
        await bench.accept()
    bench, _ = await own()
    await bench.take_back(WORKER)
    await bench.check_the_books()
    while leases := await bench.fetch():
        for lease in leases:
            await bench.settle(lease)
    assert [await bench.open(event) for event in events] == [0] * 20


async def test_a_full_store_refuses_new_events_whole_and_takes_the_outcome_of_what_is_under_way(
    own: Any, workspace: Workspaces
) -> None:
    bench, client = await own()
    event, lease, _ = await one_waiting(bench, workspace)
    client.config_set("maxmemory", 1)
    with pytest.raises(StoreFullError):
        await bench.accept(key="k", window=timedelta(hours=1))
    assert await bench.keys("u:*") == []
    outcome = Settled("delivered", "200 OK", attempt=attempt(1, Fate.DELIVERED))
    try:
        assert await bench.settle(lease, outcome), "it has been sent: unless that is kept, it is sent again"
    finally:
        client.config_set("maxmemory", 0)
    await bench.accept(key="k", window=timedelta(hours=1))
    assert await bench.statuses(event) == {"post": "delivered"}


async def test_a_full_store_lets_operators_act_and_makes_room(own: Any, workspace: Workspaces) -> None:
    bench, client = await own()
    await one_waiting(bench, workspace)
    operators = Operators(bench.store)
    (lane,) = [one for one in await operators.lanes() if one.queue == DELIVER_QUEUE]
    await bench.store.keep_versions({("gone", "v1"): "recipe: Gone"})
    client.config_set("maxmemory", 1)
    try:
        assert await operators.pause(lane, "full", "ana")
        assert await operators.resume(lane, "ana")
        assert [entry["what"] for entry in await operators.audit()] == ["resume", "pause"]
        # Marked first, forgotten when the mark is old: the worker does it before it sweeps, and waits for neither.
        await History(bench.store).forget_versions(3_600_000)
        assert await History(bench.store).forget_versions(-1) == 1
    finally:
        client.config_set("maxmemory", 0)


async def test_a_command_that_can_not_be_written_fails_alone(bench: Bench) -> None:
    """Group commit: what one caller got wrong is no fault of those that travel with it."""
    event = event_of()
    results = await asyncio.gather(
        bench.put(event), bench.store.ask("SET", "x", "\udce4"), bench.store.ask("PING"), return_exceptions=True
    )
    assert isinstance(results[1], (UnicodeError, StoreError))
    assert (results[0], results[2]) == (None, b"PONG")


async def test_commands_that_travelled_together_and_were_lost_leave_no_unheard_error(tmp_path: Path) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    store = Store(f"unix://{tmp_path}/nobody.sock", "p:")
    with pytest.raises(StoreError):
        await store.run_many([store.lanes.stats(["a"]), store.lanes.stats(["b"]), store.lanes.stats(["c"])])
    await store.aclose()
    gc.collect()
    assert unheard == []


def test_a_connection_that_was_reset_while_nothing_was_under_way_is_a_store_that_is_away(valkey_url: str) -> None:
    """uvloop calls it a RuntimeError, which was taken for a mistake: what had been delivered was sent again."""

    async def scenario() -> None:
        store = Store(valkey_url, "p:")
        await store.ask("PING")
        connection: Any = store._pipeline._connection
        connection._writer.transport.abort()
        await asyncio.sleep(0.05)
        with pytest.raises(StoreUnavailableError):
            await store.ask("PING")
        assert await store.ask("PING")
        await store.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
