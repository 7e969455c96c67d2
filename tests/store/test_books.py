"""What disagrees in the store is found, and mended: each kind of it is made by hand, and the relay goes on from there.

The bench looks through the books after each of these tests, and after all others of the store.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from relay.clock import now_ms
from relay.model import Event, Status, delivery_id
from relay.recipes import Workspace
from relay.store import ROUTE_QUEUE
from tests.store.bench import DEAD, LANE, WORKER, Bench, Workspaces, chain, recipe

LINES = {
    "recipe": "Lines",
    "catch": "chat",
    "steps": {
        "lines": {"to": "sink", "foreach": "$.lines", "with": {"path": "/l"}},
        "total": {"to": "sink", "after": "lines", "with": {"path": "/t"}},
    },
}

ORDERED = {
    "recipe": "In order",
    "catch": "chat",
    "steps": {"post": {"to": "sink", "order_by": "$.id", "with": {"path": "/e"}}},
}


async def kinds(bench: Bench) -> list[str]:
    return [fault.kind for fault in await bench.faults()]


async def lanes(bench: Bench, *words: Any) -> Any:
    """A command on a key of the lanes."""
    return await bench.store.ask(words[0], bench.store.lanes.prefix + words[1], *words[2:])


async def kept(bench: Bench, *words: Any) -> Any:
    """A command on a key of the store."""
    return await bench.store.ask(words[0], bench.store.key(words[1]), *words[2:])


async def routed(bench: Bench, here: Workspace, body: bytes = b'{"id": 1}') -> Event:
    event = await bench.accept(body)
    await bench.route(here)
    return event


# -- nothing is lost that waits


async def test_an_event_that_no_lane_has_is_routed(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await bench.accept()
    await bench.store.run(bench.store.lanes.change("drop", LANE, [event.id]))
    assert await kinds(bench) == ["unrouted"]
    assert await bench.mend(here) == ["unrouted"]
    await bench.route(here)
    assert await bench.statuses(event) == {"post": "waiting"}
    await bench.settle(await bench.take())
    assert await bench.open(event) == 0


async def test_a_delivery_that_no_lane_has_is_made(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    id_ = delivery_id(event.id, "r", "post")
    await bench.store.run(bench.store.lanes.change("drop", "sink", [id_]))
    assert await kinds(bench) == ["stranded"]
    assert await bench.mend(here) == ["stranded"]
    lease = await bench.take()
    assert lease.id == id_
    await bench.settle(lease)
    assert await bench.statuses(event) == {"post": "delivered"}


async def test_a_delivery_whose_message_stands_nowhere_is_made(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    id_ = delivery_id(event.id, "r", "post")
    await lanes(bench, "ZREM", "d:sink", id_)
    assert await bench.fetch() == []
    assert await bench.mend(here) == ["astray"]
    assert (await bench.take()).id == id_


async def test_a_step_that_waits_for_what_has_ended_goes(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(c=chain())
    event = await routed(bench, here)
    a, b = (delivery_id(event.id, "c", step) for step in "ab")
    lease = await bench.take()
    await kept(bench, "HSET", f"d:{a}", "nx", "")
    await bench.settle(lease)
    assert await bench.fetch() == []
    assert await bench.mend(here) == ["stuck"]
    assert (await bench.take()).id == b


async def test_a_step_that_waits_for_items_which_have_all_ended_goes(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=LINES)
    event = await routed(bench, here, b'{"lines": [1, 2]}')
    first, second = await bench.fetch()
    group = delivery_id(event.id, "r", "lines")
    await bench.settle(first)
    await kept(bench, "HSET", f"g:{group}", first.id, "")
    await bench.settle(second)
    assert await bench.fetch() == []
    assert await bench.mend(here) == ["group", "stuck"]
    assert (await bench.take()).id == delivery_id(event.id, "r", "total")


async def test_rows_of_a_batch_that_no_lane_has_join_another(bench: Bench, workspace: Workspaces) -> None:
    step = {"to": "sink", "batch": {"max": 10, "every": "1h"}, "with": {"path": "/rows"}}
    here = workspace(r={"recipe": "Rows", "catch": "chat", "steps": {"rows": step}})
    event = await routed(bench, here)
    id_ = delivery_id(event.id, "r", "rows")
    batch = (await bench.delivery(id_)).batch
    await bench.store.run(bench.store.lanes.change("drop", "sink", [batch]))
    assert sorted(await kinds(bench)) == ["batch", "stranded"]
    await routed(bench, here, b'{"id": 2}')
    assert sorted(await bench.mend(here)) == ["batch", "stranded", "stranded"]
    again = (await bench.delivery(id_)).batch
    assert again not in ("", batch)
    assert await bench.is_queued(again)
    assert await kept(bench, "LLEN", f"br:{again}") == 2
    assert await bench.keys(f"b*:{batch}") == []


# -- leaked places


@pytest.mark.parametrize(
    "leak",
    [
        pytest.param(("HDEL", f"w:{WORKER}"), id="the worker does not know of it"),
        pytest.param(("ZREM", "workers", WORKER), id="nobody looks at the worker"),
    ],
)
async def test_a_place_that_nobody_would_give_back_is_free_again(
    bench: Bench, workspace: Workspaces, leak: tuple[str, ...]
) -> None:
    here = workspace(r=recipe())
    await routed(bench, here)
    lease = await bench.take()
    await lanes(bench, *leak, *([lease.id] if leak[0] == "HDEL" else []))
    assert await kinds(bench) == ["slot"]
    assert await bench.mend(here) == ["slot"]
    assert (await bench.take()).id == lease.id
    assert await lanes(bench, "HLEN", "f:sink") == 1


async def test_a_place_without_a_message_is_free_again(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    lease = await bench.take()
    await lanes(bench, "HDEL", "msg", lease.id)
    assert sorted(await kinds(bench)) == ["slot", "stranded"]
    assert await bench.mend(here) == ["slot", "stranded"]
    await bench.settle(await bench.take())
    assert await bench.statuses(event) == {"post": "delivered"}


async def test_what_waits_without_a_message_goes_and_what_stands_twice_stands_once(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(r=recipe())
    await lanes(bench, "ZADD", "d:sink", 1, "dlv_nothing")
    await routed(bench, here)
    lease = (await bench.fetch())[-1]
    await lanes(bench, "ZADD", "t:sink", 1, lease.id)
    await lanes(bench, "ZADD", "d:sink", 1, "dlv_nothing")
    assert sorted(await bench.mend(here)) == ["asleep", "double", "hollow"]
    assert await bench.fetch() == []


async def test_a_place_in_an_order_that_nobody_takes_is_given_up(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=ORDERED)
    first = await routed(bench, here)
    second = await routed(bench, here)
    lease = await bench.take()
    assert lease.id == delivery_id(first.id, "r", "post")
    for key in ("msg", "f:sink", f"w:{WORKER}"):
        await lanes(bench, "HDEL", key, lease.id)
    assert sorted(await kinds(bench)) == ["place", "stranded"]
    assert sorted(await bench.mend(here)) == ["place", "stranded"]
    taken = await bench.take()
    assert taken.id == delivery_id(second.id, "r", "post")
    await bench.settle(taken)
    assert (await bench.take()).id == lease.id


async def test_what_stands_behind_nobody_goes(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=ORDERED)
    await routed(bench, here)
    second = await routed(bench, here)
    lease = await bench.take()
    await lanes(bench, "HDEL", "o:sink", lease.id)
    await bench.settle(lease)
    assert await bench.fetch() == []
    assert await bench.mend(here) == ["place"]
    assert (await bench.take()).id == delivery_id(second.id, "r", "post")


async def test_a_lane_in_which_something_waits_is_where_workers_look(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    await routed(bench, here)
    await lanes(bench, "ZREM", "ready:deliver", "sink")
    await lanes(bench, "SREM", "lanes", "sink")
    assert await bench.fetch() == []
    assert await bench.mend(here) == ["lane", "asleep"]
    await bench.take()


# -- indexes and tallies


async def test_indexes_follow_what_is_there(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    await bench.settle(await bench.take(), DEAD)
    id_ = delivery_id(event.id, "r", "post")
    for index, gone in (("x:d", id_), ("x:dead", id_), ("x:e", event.id)):
        await kept(bench, "ZREM", index, gone)
    for index in ("x:e", "x:e:chat", "x:done"):
        await kept(bench, "ZADD", index, 5, "evt_nothing")
    for index in ("x:d", "x:dead"):
        await kept(bench, "ZADD", index, 5, "dlv_nothing")
    assert sorted(await bench.mend(here)) == ["index"] * 7 + ["unlisted event"]
    assert await kept(bench, "ZSCORE", "x:e", event.id) == await kept(bench, "ZSCORE", "x:e:chat", event.id)
    assert await bench.operators.count_dead() == 1


async def test_a_letter_that_was_mended_is_no_dead_letter_in_the_list(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    await bench.settle(await bench.take())
    await kept(bench, "ZADD", "x:dead", 5, delivery_id(event.id, "r", "post"))
    assert await bench.mend(here) == ["index"]
    assert await bench.operators.count_dead() == 0


@pytest.mark.parametrize("tally", [0, 7])
async def test_a_tally_is_what_is_open(bench: Bench, workspace: Workspaces, tally: int) -> None:
    here = workspace(r=recipe())
    event = await routed(bench, here)
    await kept(bench, "HSET", f"e:{event.id}", "open", tally)
    assert await bench.mend(here) == ["tally"]
    await bench.settle(await bench.take())
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 1


async def test_what_has_ended_is_forgotten_and_what_has_not_is_not(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    ended, waits = await routed(bench, here), await routed(bench, here)
    for lease in await bench.fetch():
        if lease.id == delivery_id(ended.id, "r", "post"):
            await bench.settle(lease)
    await kept(bench, "ZREM", "x:done", ended.id)
    await kept(bench, "ZADD", "x:done", 1, waits.id)
    assert await bench.mend(here) == ["end", "end"]
    assert await bench.store.sweep(now_ms() + 1) == 1
    assert await bench.store.event(waits.id) is not None


async def test_deliveries_whose_event_is_gone_go_too(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe(), c=chain())
    event = await routed(bench, here)
    await kept(bench, "DEL", f"e:{event.id}")
    assert set(await bench.mend(here)) == {"orphan", "index"}
    assert await bench.keys("d:*") == []
    assert (await bench.lane("sink")).waiting == 0


async def test_an_event_lists_its_deliveries_and_only_those_that_are_there(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe(), c=chain())
    event = await routed(bench, here)
    await kept(bench, "HSET", f"e:{event.id}", "ds", "dlv_nothing")
    assert await bench.mend(here) == ["unlisted", "delivery", "tally", "unlisted", "tally", "unlisted", "tally"]
    assert len(await bench.of(event)) == 3
    assert await bench.open(event) == 3


# -- what is no fault


async def test_what_is_being_forgotten_or_was_asked_by_a_vendor_is_left_alone(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(r=LINES)
    event = await routed(bench, here, b'{"lines": [1, 2, 3]}')
    for lease in await bench.fetch():
        await bench.settle(lease)
    await bench.settle(await bench.take())
    # As a sweep leaves it that stopped in the middle.
    at = await kept(bench, "ZSCORE", "x:done", event.id)
    first, *rest = (await bench.store.event(event.id)).deliveries  # type: ignore[union-attr]
    await kept(bench, "HSET", f"e:{event.id}", "ds", ",".join(rest), "sw", at)
    await kept(bench, "DEL", f"d:{first}")
    await kept(bench, "ZREM", "x:d", first)
    assert await kinds(bench) == []
    assert await bench.store.sweep(now_ms() + 1) == 1


async def test_a_look_changes_nothing_and_a_busy_relay_has_no_faults(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=ORDERED, c=chain(), l=LINES)
    done = asyncio.Event()

    async def work() -> None:
        for number in range(60):
            await routed(bench, here, b'{"id": %d, "lines": [1, 2]}' % (number % 3))
            for place, lease in enumerate(await bench.fetch(limit=20)):
                await bench.settle(lease, DEAD) if place % 7 == 6 else await bench.settle(lease)
        done.set()

    async def look() -> int:
        looks = 0
        while not done.is_set():
            assert await bench.faults() == []
            looks += 1
        return looks

    _, looks = await asyncio.gather(work(), look())
    assert looks > 3
    assert await bench.fetch(ROUTE_QUEUE) == []


async def test_a_duplicate_says_nothing_of_an_event_that_was_mended(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=recipe())
    event = await bench.accept(key="k", window=timedelta(hours=1))
    await bench.store.run(bench.store.lanes.change("drop", LANE, [event.id]))
    await bench.mend(here)
    await bench.route(here)
    assert (await bench.of(event))["r", "post"].status is Status.WAITING
