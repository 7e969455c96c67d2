"""Steps that run once per item, places in an order, and batches: what the store does with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from relay.clock import now_ms
from relay.lanes import Fetched, LaneLimits
from relay.lanes.connection import connect_async
from relay.messages import BATCH_ID, BatchJob, CaughtPayload
from relay.model import Attempt, Event, Fate, Outcome
from relay.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    ClosedBatch,
    Settled,
    SettledBatch,
    close_batch,
    load_batch,
    open_batches,
    settle_batch,
)
from tests.store.bench import DEAD, DELIVERED, LANE, OTHER, WORKER, Bench, Workspaces, event_of

LINES = {
    "recipe": "A post for each line",
    "catch": "chat",
    "steps": {
        "lines": {"to": "sink", "foreach": "$.lines", "with": {"path": "/l", "json": "$item"}},
        "total": {"to": "sink", "after": "lines", "with": {"path": "/t"}},
    },
}


def ordered(**more: Any) -> dict[str, Any]:
    """Step `b` in order by contact, after `a`."""
    a = {"to": "sink", "with": {"path": "/a"}}
    b = {"to": "sink", "after": "a", "order_by": "$.contact", "with": {"path": "/b"}, **more}
    return {"recipe": "In order", "catch": "chat", "steps": {"a": a, "b": b}}


def batched(**batch: Any) -> dict[str, Any]:
    step = {"to": "sink", "batch": batch or {"every": "1h", "max": 3}, "with": {"path": "/r", "json": {"id": "$.id"}}}
    return {"recipe": "Rows", "catch": "chat", "steps": {"rows": step}}


async def items_of(bench: Bench, event: Event) -> dict[str, str]:
    """Status by `step` and `step item`."""
    stored = await bench.store.event(event.id)
    assert stored is not None
    found = [await bench.delivery(id_) for id_ in stored.deliveries]
    return {f"{one.step} {one.item}".strip(): one.status.value for one in found}


def by_step(leases: list[Fetched], bench_names: dict[str, str]) -> list[str]:
    return [bench_names[lease.id] for lease in leases]


# -- foreach


async def test_a_successor_of_items_goes_when_the_last_of_them_has_ended(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(lines=LINES)
    event = await bench.accept(b'{"lines": [1, 2, 3]}')
    await bench.route(here)
    leases = await bench.fetch()
    assert len(leases) == 3
    await bench.settle(leases[0])
    await bench.settle(leases[0])
    await bench.settle(leases[1], DEAD)
    await bench.settle(leases[2], Settled("skipped", "when"))
    assert await bench.fetch() == []
    assert (await items_of(bench, event))["total"] == "waiting"
    dead = await bench.delivery(leases[1].id)
    assert await bench.replay(here, dead.id) == {"queued": 1}
    await bench.settle(await bench.take())
    total = await bench.take()
    assert (await bench.delivery(total.id)).step == "total"
    await bench.settle(total)
    assert await bench.open(event) == 0
    assert await bench.store.sweep(now_ms() + 1) == 1
    assert await bench.keys("g:*") == [], "a group goes with its event"


async def test_an_item_that_is_discarded_lets_the_others_go_on(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(lines=LINES)
    await bench.accept(b'{"lines": [1, 2]}')
    await bench.route(here)
    first, second = await bench.fetch()
    await bench.settle(first, DEAD)
    await bench.settle(second)
    assert await bench.operators.discard(first.id, who="ana", reason="no") == "discarded"
    assert (await bench.delivery((await bench.take()).id)).step == "total"


async def test_an_event_routed_again_waits_only_for_what_will_end_again(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(lines=LINES)
    event = await bench.accept(b'{"lines": [1, 2]}')
    await bench.route(here)
    first, second = await bench.fetch()
    await bench.settle(first, DEAD)
    await bench.settle(second)
    await bench.operators.discard(first.id, who="ana", reason="no")
    await bench.settle(await bench.take())
    assert await bench.open(event) == 0
    assert await bench.replay_event(here, event) == {"queued": 1}
    await bench.route(here)
    (again,) = await bench.fetch()
    assert again.id == second.id, "what was discarded stays so"
    await bench.settle(again)
    assert (await bench.delivery((await bench.take()).id)).step == "total"


async def test_an_event_whose_only_predecessor_was_discarded_does_not_wait_for_it(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(two={**ordered(), "steps": {**ordered()["steps"]}})
    event = await bench.accept(b'{"contact": 1}')
    await bench.route(here)
    await bench.settle(first := await bench.take(), DEAD)
    await bench.operators.discard(first.id, who="ana", reason="no")
    await bench.settle(await bench.take())
    await bench.replay_event(here, event)
    await bench.route(here)
    assert (await bench.delivery((await bench.take()).id)).step == "b"


# -- order


async def routed_in_order(bench: Bench, workspace: Workspaces, number: int, **more: Any) -> dict[str, str]:
    """Events of one contact; the name of each delivery, such as `a0`."""
    here = workspace(ordered=ordered(**more))
    events = [await bench.accept(b'{"contact": "c"}') for _ in range(number)]
    await bench.route(here)
    names = {}
    for index, event in enumerate(events):
        for (_, step), delivery in (await bench.of(event)).items():
            names[delivery.id] = f"{step}{index}"
    return names


async def test_a_place_in_the_order_is_taken_when_the_event_is_routed(bench: Bench, workspace: Workspaces) -> None:
    names = await routed_in_order(bench, workspace, 3)
    leases = await bench.fetch()
    assert by_step(leases, names) == ["a0", "a1", "a2"]
    await bench.settle(leases[2])
    await bench.settle(leases[1])
    assert await bench.fetch() == [], "b1 and b2 may go, but b0 comes before them"
    await bench.settle(leases[0])
    for expected in ("b0", "b1", "b2"):
        lease = await bench.take()
        assert names[lease.id] == expected
        await bench.settle(lease)


async def test_what_waits_for_a_dead_letter_holds_up_nobody(bench: Bench, workspace: Workspaces) -> None:
    names = await routed_in_order(bench, workspace, 2)
    first, second = await bench.fetch()
    await bench.settle(second)
    await bench.settle(first, DEAD)
    lease = await bench.take()
    assert names[lease.id] == "b1"
    here = workspace(ordered=ordered())
    assert await bench.replay(here, first.id) == {"queued": 1}
    await bench.settle(await bench.take())
    assert await bench.fetch() == [], "b0 is behind b1 now, which is in flight"
    await bench.settle(lease)
    assert names[(await bench.take()).id] == "b0"


async def test_a_blocked_delivery_that_is_discarded_gives_its_place_up(bench: Bench, workspace: Workspaces) -> None:
    names = await routed_in_order(bench, workspace, 2)
    first, second = await bench.fetch()
    await bench.settle(second)
    waits = next(id_ for id_, name in names.items() if name == "b0")
    assert await bench.operators.discard(waits, who="ana", reason="no") == "discarded"
    assert names[(await bench.take()).id] == "b1"
    await bench.settle(first)
    assert await bench.fetch() == []


async def gate(bench: Bench, size: int) -> None:
    await bench.store.run(bench.store.lanes.configure([LaneLimits(LANE, ROUTE_QUEUE, gate=size)]))


async def test_a_gated_lane_gives_the_next_only_when_all_are_settled(bench: Bench, workspace: Workspaces) -> None:
    await gate(bench, 3)
    events = [await bench.accept() for _ in range(7)]
    mine = await bench.fetch(ROUTE_QUEUE)
    assert [lease.id for lease in mine] == [event.id for event in events[:3]]
    assert await bench.fetch(ROUTE_QUEUE, OTHER) == []
    await bench.take_back(WORKER)
    back = [await bench.fetch(ROUTE_QUEUE, OTHER) for _ in range(2)]
    assert [lease.id for lease in back[0]] == [events[0].id], "one that a worker died over goes alone"
    assert back[1] == []
    await bench.store.run(bench.store.lanes.take_back(OTHER, died=False))
    order = []
    for _ in range(20):
        for lease in await bench.fetch(ROUTE_QUEUE):
            order.append(lease.id)
            await bench.store.run(bench.store.routed(WORKER, LANE, lease.id, lease.id, "", "skipped", []))
    assert order == [event.id for event in events]


# -- batches


async def full(bench: Bench, workspace: Workspaces, number: int = 3) -> tuple[Fetched, ClosedBatch]:
    """A batch with so many rows, taken and closed."""
    here = workspace(rows=batched(every="1h", max=number))
    for row in range(number):
        await bench.accept(b'{"id": %d}' % row)
    await bench.route(here)
    lease = await bench.take()
    closed = await close_batch(bench.store, WORKER, lease.lane, lease.id, "v")
    assert closed is not None
    return lease, closed


async def settle_rows(bench: Bench, lease: Fetched, settled: SettledBatch, worker: str = WORKER) -> bool:
    held, _ = await settle_batch(bench.store, worker, lease.lane, lease.id, settled)
    return held


async def test_rows_gather_until_the_batch_is_full_and_the_next_row_opens_another(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(rows=batched(every="1h", max=3))
    events = [await bench.accept(b'{"id": %d}' % n) for n in range(4)]
    await bench.route(here)
    lease = await bench.take()
    stored = await load_batch(bench.store, lease.id)
    assert stored is not None
    assert (stored.closed, stored.at_once) == (False, True)
    closed = await close_batch(bench.store, WORKER, lease.lane, lease.id, "v9")
    assert closed is not None
    assert [(await bench.delivery(row)).event_id for row in closed.rows] == [event.id for event in events[:3]]
    assert await close_batch(bench.store, WORKER, lease.lane, lease.id, "other") == closed, "closed is closed"
    assert await close_batch(bench.store, OTHER, lease.lane, lease.id, "v9") is None
    (step, other) = next(iter((await open_batches(bench.store)).items()))
    assert step == "rows:rows:sink"
    assert other != lease.id
    await settle_rows(bench, lease, SettledBatch("done", [(row, DELIVERED) for row in closed.rows]))
    assert await load_batch(bench.store, lease.id) is None
    assert await bench.statuses(events[0]) == {"rows": "delivered"}
    assert await bench.statuses(events[3]) == {"rows": "waiting"}


async def test_each_row_has_its_own_end_and_the_batch_is_tried_again_without_the_dead(
    bench: Bench, workspace: Workspaces
) -> None:
    lease, closed = await full(bench, workspace)
    attempt = Attempt(1, now_ms(), 1.0, Outcome(Fate.RETRY, "503"))
    rows = [(closed.rows[0], DEAD), *((row, Settled("retrying", "503", "", attempt)) for row in closed.rows[1:])]
    assert await settle_rows(bench, lease, SettledBatch("retry", rows, due_ms=now_ms() - 1))
    again = await bench.take()
    assert again.id == lease.id
    closed_again = await close_batch(bench.store, WORKER, lease.lane, lease.id, "v")
    assert closed_again == replace(closed, attempts=1, rows=closed.rows[1:])
    row = await bench.delivery(closed.rows[1])
    assert (row.status.value, row.attempts_made, len(row.attempts)) == ("retrying", 1, 1)
    # Its answer was lost: the same words once more change nothing.
    assert await settle_rows(bench, lease, SettledBatch("retry", rows, due_ms=now_ms() - 1))
    assert len((await bench.delivery(closed.rows[1])).attempts) == 1


async def test_what_lost_its_lease_settles_only_what_was_delivered(bench: Bench, workspace: Workspaces) -> None:
    lease, closed = await full(bench, workspace)
    await bench.take_back(WORKER)
    rows = [(closed.rows[0], DELIVERED), (closed.rows[1], DEAD)]
    assert not await settle_rows(bench, lease, SettledBatch("done", rows))
    statuses = [(await bench.delivery(row)).status.value for row in closed.rows]
    assert statuses == ["delivered", "waiting", "waiting"]
    (taken,) = await bench.fetch(worker=OTHER)
    again = await close_batch(bench.store, OTHER, taken.lane, taken.id, "v")
    assert again is not None
    assert again.rows == closed.rows[1:], "nobody sends a delivered row again"


async def test_a_batch_in_halves_is_two_batches_with_ids_of_their_own(bench: Bench, workspace: Workspaces) -> None:
    lease, closed = await full(bench, workspace)
    rows = [(row, Settled(f"to {1 if n < 1 else 2}", "422")) for n, row in enumerate(closed.rows)]
    payload = BatchJob(BATCH_ID, lease.lane, "rows", "rows").payload()
    assert await settle_rows(bench, lease, SettledBatch("done", rows, parts=[payload, payload]))
    halves = await bench.fetch()
    assert len({lease.id, *(half.id for half in halves)}) == 3
    found = [await close_batch(bench.store, WORKER, half.lane, half.id, "other") for half in halves]
    assert [(one.rows, one.version, one.closed_ms) for one in found if one] == [
        (closed.rows[:1], "v", closed.closed_ms),
        (closed.rows[1:], "v", closed.closed_ms),
    ]
    assert all(half.id.encode() in half.payload for half in halves)


async def test_a_row_that_is_discarded_is_left_out_and_one_that_is_replayed_hastens_its_batch(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(rows=batched(every="1h", max=10))
    events = [await bench.accept(b'{"id": %d}' % n) for n in range(3)]
    await bench.route(here)
    ids = [next(iter((await bench.of(event)).values())).id for event in events]
    assert await bench.fetch() == []
    assert await bench.operators.discard(ids[0], who="ana", reason="no") == "discarded"
    assert await bench.replay(here, ids[1]) == {"hastened": 1}
    lease = await bench.take()
    stored = await load_batch(bench.store, lease.id)
    assert stored is not None
    assert stored.at_once
    assert await bench.replay(here, ids[1]) == {"in_flight": 1}
    assert await bench.operators.discard(ids[1], who="ana", reason="no") == "in_flight"
    closed = await close_batch(bench.store, WORKER, lease.lane, lease.id, "v")
    assert closed is not None
    assert closed.rows == (ids[1], ids[2])


async def test_dead_rows_that_are_replayed_join_one_batch(bench: Bench, workspace: Workspaces) -> None:
    lease, closed = await full(bench, workspace)
    await settle_rows(bench, lease, SettledBatch("done", [(row, DEAD) for row in closed.rows]))
    here = workspace(rows=batched(every="1h", max=3))
    assert await bench.replay(here, *closed.rows) == {"queued": 3}
    again = await bench.take()
    assert again.id != lease.id, "another call: what the destination did not take before is new to it"
    rows = await close_batch(bench.store, WORKER, again.lane, again.id, "v")
    assert rows is not None
    assert set(rows.rows) == set(closed.rows)


async def test_a_batch_row_that_waits_for_a_step_joins_when_that_has_ended(bench: Bench, workspace: Workspaces) -> None:
    steps = {"a": {"to": "sink", "with": {"path": "/a"}}, "rows": {**batched()["steps"]["rows"], "after": "a"}}
    here = workspace(rows={**batched(), "steps": steps})
    event = await bench.accept()
    await bench.route(here)
    assert await open_batches(bench.store) == {}
    await bench.settle(await bench.take())
    assert len(await open_batches(bench.store)) == 1
    assert (await bench.of(event))["rows", "rows"].batch
    assert await bench.fetch() == []
    state = await bench.lane("sink")
    assert state.waiting == 1
    assert state.next_due_us is not None
    assert abs(state.next_due_us / 1000 - now_ms() - 3_600_000) < 60_000


async def test_the_sender_is_told_of_the_end_of_a_delivery_only_where_it_waits(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(lines=LINES)
    client = connect_async(bench.store.url)
    channel = client.pubsub()
    await channel.subscribe(bench.store.key("answers"))
    quiet, told = event_of(b'{"lines": [1]}'), event_of(b'{"lines": [1]}')
    for event in (quiet, told):
        payload = CaughtPayload(LANE).of(event.id)
        await bench.store.accept([(event, payload)], LANE, timedelta(hours=1), rings=event is told)
    await bench.route(here)
    for lease in await bench.fetch(DELIVER_QUEUE):
        await bench.settle(lease)
    heard = []
    for _ in range(8):
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=0.2)
        if message:
            heard.append(message["data"].decode())
    assert set(heard) == {told.id}
    await channel.aclose()
    await client.aclose()
