"""A recipe that has been changed meanwhile: what the old one routed is replayed, gathered and ordered by the new.

Nothing may wait for ever, go too early, or go twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from dramatiq.message import Message

from relay.batch import Batcher
from relay.clock import now_ms
from relay.connections import Connections
from relay.connector import Context
from relay.deliver import Deliverer, Failed
from relay.memory import DecodedEvents
from relay.messages import BatchJob, DeliverJob
from relay.model import Event
from relay.recipes import Workspace
from relay.store import Settled, SettledBatch, close_batch, settle_batch
from tests.store.bench import DEAD, WORKER, Bench, Workspaces

Steps = dict[str, dict[str, Any]]

RETRY = Settled("retry", "503", due_ms=now_ms() + 3_600_000)
A: dict[str, Any] = {"to": "sink", "with": {"path": "/a"}}
LINES: dict[str, Any] = {"to": "sink", "foreach": "$.lines", "with": {"path": "/l"}}


def of(steps: Steps) -> dict[str, Any]:
    return {"recipe": "A recipe", "catch": "chat", "steps": steps}


def after(step: str, path: str = "/t", **more: Any) -> dict[str, Any]:
    return {"to": "sink", "after": step, "with": {"path": path}, **more}


async def names(bench: Bench, settle: bool = False) -> list[str]:
    """The steps of what is due now."""
    leases = await bench.fetch()
    found = [(await bench.delivery(lease.id)).step for lease in leases]
    for lease in leases if settle else ():
        await bench.settle(lease)
    return found


async def replayed(bench: Bench, here: Workspace, event: Event) -> None:
    await bench.replay_event(here, event)
    await bench.route(here)


async def ids_of(bench: Bench, events: list[Event]) -> list[str]:
    return [next(iter((await bench.of(event)).values())).id for event in events]


# -- order


def in_order(by: str = "$.contact", **more: Any) -> dict[str, Any]:
    return of({"a": A, "b": after("a", "/b", order_by=by, **more)})


def alone_in_order() -> dict[str, Any]:
    return of({"b": {"to": "sink", "order_by": "$.contact", "with": {"path": "/b"}}})


async def test_a_blocked_step_whose_order_is_another_now_takes_its_place_there(
    bench: Bench, workspace: Workspaces
) -> None:
    here = workspace(o=in_order())
    event = await bench.accept(b'{"contact": "c", "x": "y"}')
    await bench.route(here)
    await bench.settle(first := await bench.take(), RETRY)
    here = workspace(o=in_order("$.x"))
    await replayed(bench, here, event)
    await bench.replay(here, first.id)
    assert await names(bench, settle=True) == ["a"]
    assert await names(bench) == ["b"]


async def test_a_blocked_step_that_goes_elsewhere_now_leaves_no_place_behind(
    bench: Bench, workspace: Workspaces
) -> None:
    two = ("sink", "other")
    here = workspace(two, o=in_order())
    event = await bench.accept(b'{"contact": "c"}')
    await bench.route(here)
    await bench.settle(first := await bench.take(), RETRY)
    moved = workspace(two, o=in_order(to="other"))
    await replayed(bench, moved, event)
    await bench.replay(moved, first.id)
    await bench.settle(await bench.take())
    await bench.settle(await bench.take())
    back = workspace(two, o=in_order())
    await bench.accept(b'{"contact": "c"}')
    await bench.route(back)
    assert await names(bench, settle=True) == ["a"]
    assert await names(bench) == ["b"]


async def test_what_is_replayed_goes_behind_those_of_its_order(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(o=alone_in_order())
    events = [await bench.accept(b'{"contact": "c"}') for _ in range(4)]
    await bench.route(here)
    ids = await ids_of(bench, events)
    for _ in range(2):
        await bench.settle(await bench.take(), DEAD)
    third = await bench.take()
    assert await bench.replay(here, ids[1], ids[0]) == {"queued": 2}
    assert await bench.fetch() == [], "the third of the contact is in flight"
    order = []
    await bench.settle(third)
    for _ in range(3):
        lease = await bench.take()
        order.append(ids.index(lease.id))
        await bench.settle(lease)
    assert order == [3, 0, 1]


async def test_what_waits_behind_another_of_its_order_is_not_hastened(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(o=alone_in_order())
    events = [await bench.accept(b'{"contact": "c"}') for _ in range(2)]
    await bench.route(here)
    ids = await ids_of(bench, events)
    await bench.settle(await bench.take(), RETRY)
    assert await bench.replay(here, ids[1]) == {"blocked": 1}
    assert await bench.fetch() == []
    assert await bench.replay(here, ids[0]) == {"hastened": 1}
    assert (await bench.take()).id == ids[0]


# -- successors


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_step_that_the_recipe_has_no_more_is_skipped_by_a_replay(
    bench: Bench, workspace: Workspaces, ordered: bool
) -> None:
    more = {"order_by": "$.contact"} if ordered else {}
    steps = {"a": A, "b": after("a", "/b", **more), "c": after("b", "/c")}
    here = workspace(r=of(steps))
    event = await bench.accept(b'{"contact": "c"}')
    await bench.route(here)
    await bench.settle(await bench.take(), DEAD)
    await replayed(bench, workspace(r=of({"a": A})), event)
    statuses = await bench.statuses(event)
    assert statuses == {"a": "waiting", "b": "skipped", "c": "skipped"}
    assert "no step b any more" in (await bench.of(event))["r", "b"].summary
    await bench.settle(await bench.take())
    await bench.accept(b'{"contact": "c"}')
    await bench.route(here)
    assert await names(bench, settle=True) == ["a"]
    assert await names(bench) == ["b"], "nobody stands in its way"


async def test_an_item_that_a_replay_skips_lets_its_successor_go(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=of({"lines": LINES, "total": after("lines")}))
    event = await bench.accept(b'{"lines": [1, 2]}')
    await bench.route(here)
    one, two = await bench.fetch()
    await bench.settle(one)
    await bench.settle(two, DEAD)
    here = workspace(r=of({"lines": {**LINES, "when": "$item < 2"}, "total": after("lines")}))
    await replayed(bench, here, event)
    assert await names(bench, settle=True) == ["lines"]
    assert await names(bench) == ["total"]


async def test_a_step_that_ran_once_per_item_is_waited_for_when_it_runs_once(
    bench: Bench, workspace: Workspaces
) -> None:
    event = await bench.accept(b'{"lines": [1, 2]}')
    await bench.route(workspace(r=of({"lines": LINES, "total": after("lines")})))
    assert await names(bench, settle=True) == ["lines", "lines"]
    assert await names(bench, settle=True) == ["total"]
    once = {key: value for key, value in LINES.items() if key != "foreach"}
    await replayed(bench, workspace(r=of({"lines": once, "total": after("lines")})), event)
    assert await names(bench, settle=True) == ["lines"]
    assert await names(bench) == ["total"]


async def test_a_successor_that_waits_for_another_step_now_waits_for_that_one(
    bench: Bench, workspace: Workspaces
) -> None:
    other = {"to": "sink", "with": {"path": "/o"}}
    event = await bench.accept(b'{"lines": [1]}')
    await bench.route(workspace(r=of({"lines": LINES, "other": other, "total": after("lines")})))
    await names(bench, settle=True)
    await names(bench, settle=True)
    here = workspace(r=of({"lines": LINES, "other": other, "total": after("other")}))
    await replayed(bench, here, event)
    leases = {(await bench.delivery(lease.id)).step: lease for lease in await bench.fetch()}
    await bench.settle(leases["lines"])
    assert await names(bench) == []
    await bench.settle(leases["other"])
    assert await names(bench) == ["total"]


async def test_a_replayed_event_has_keys_of_its_own_for_what_was_delivered(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(r=of({"a": A}))
    event = await bench.accept()
    await bench.route(here)
    await bench.settle(lease := await bench.take())
    assert (await bench.delivery(lease.id)).idempotency_key == lease.id
    await replayed(bench, here, event)
    assert (await bench.delivery(lease.id)).idempotency_key == f"{lease.id}-r1", "a second one is meant"


async def test_a_dead_letter_that_the_newest_recipe_does_not_fit_is_replayed_by_its_own(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    a = {"to": "sink", "with": {"path": "/a"}, "save": {"id": "$.id"}}
    b = {"to": "sink", "with": {"path": "/b", "json": "$a.id"}}
    here = workspace(r=of({"a": a, "b": b}))
    await bench.store.keep_versions({("r", here.recipes["r"].version): here.recipes["r"].text})
    await bench.accept(b'{"lines": [1]}')
    await bench.route(here)
    await bench.settle(await bench.take(), Settled("delivered", "ok", saved={"id": 5}))
    await bench.settle(letter := await bench.take(), DEAD)
    new = workspace(r=of({"a": {**a, "foreach": "$.lines"}, "b": b}))
    assert await bench.replay(new, letter.id) == {"queued": 1}
    job = DeliverJob(*Message.decode((await bench.take()).payload).args)
    connections = Connections(new, Context(data_dir=tmp_path))
    failed = await Deliverer(new, bench.store, WORKER, DecodedEvents(), connections).deliver(job)
    assert isinstance(failed, Failed), "nobody listens there, and nothing was skipped"
    assert failed.attempt.sent["json"] == 5
    await connections.aclose()


# -- batches


def rows(**more: Any) -> dict[str, Any]:
    step = {
        "to": "files",
        "do": "csv",
        "batch": {"every": "1h", "max": 3},
        "with": {"path": "a.csv", "row": {"id": "$.id"}},
    }
    return {**step, **more}


async def sent(bench: Bench, here: Workspace, folder: Path) -> None:
    connections = Connections(here, Context(data_dir=folder))
    deliverer = Deliverer(here, bench.store, WORKER, DecodedEvents(), connections)
    lease = await bench.take()
    await Batcher(deliverer.preparer, connections, bench.store, WORKER).send(
        BatchJob(*Message.decode(lease.payload).args)
    )
    await connections.aclose()


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": rows(foreach="$.id")},
        {"x": {"to": "sink", "with": {"path": "/x"}, "save": {"id": "$.id"}}, "rows": rows(after="x")},
        {"rows": {key: value for key, value in rows().items() if key != "batch"}},
        {"other": A},
    ],
)
async def test_rows_that_a_changed_recipe_does_not_fit_are_sent_by_their_own_version(
    bench: Bench, workspace: Workspaces, tmp_path: Path, changed: Steps
) -> None:
    both = ("sink", "files")
    here = workspace(both, r=of({"rows": rows()}))
    await bench.store.keep_versions({("r", here.recipes["r"].version): here.recipes["r"].text})
    events = [await bench.accept(b'{"id": %d}' % number) for number in range(3)]
    await bench.route(here)
    await sent(bench, workspace(both, r=of(changed)), tmp_path)
    statuses = [(await bench.delivery(id_)).status.value for id_ in await ids_of(bench, events)]
    assert statuses == ["delivered"] * 3
    assert (tmp_path / "outbox" / "a.csv").read_text().splitlines() == ["id", "0", "1", "2"]


async def test_a_row_whose_own_version_can_not_be_read_is_one_dead_letter(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    both = ("sink", "files")
    here = workspace(both, r=of({"rows": rows()}))
    await bench.store.keep_versions(
        {("r", here.recipes["r"].version): here.recipes["r"].text, ("r", "bad"): "recipe: ["}
    )
    events = [await bench.accept(b'{"id": %d}' % number) for number in range(3)]
    await bench.route(here)
    ids = await ids_of(bench, events)
    await bench.store.ask("HSET", bench.store.key("d:", ids[0]), "ver", "bad")
    await sent(bench, workspace(both, r=of({"other": A})), tmp_path)
    assert [(await bench.delivery(id_)).status.value for id_ in ids] == ["dead", "delivered", "delivered"]


async def test_what_was_gathered_for_one_connection_goes_there_though_the_recipe_names_another(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    three = ("sink", "files", "elsewhere")
    here = workspace(three, r=of({"rows": rows()}))
    await bench.store.keep_versions({("r", here.recipes["r"].version): here.recipes["r"].text})
    for number in range(3):
        await bench.accept(b'{"id": %d}' % number)
    await bench.route(here)
    await sent(bench, workspace(three, r=of({"rows": rows(to="elsewhere")})), tmp_path)
    assert (tmp_path / "outbox" / "a.csv").exists()
    assert (await bench.lane("files")).state == "running"


async def test_a_batch_that_gets_full_while_it_is_put_back_goes_at_once(bench: Bench, workspace: Workspaces) -> None:
    here = workspace(("files",), r=of({"rows": rows(batch={"every": "100ms", "max": 2})}))
    await bench.accept()
    await bench.route(here)
    await asyncio.sleep(0.15)
    lease = await bench.take()
    await bench.accept()
    await bench.route(here)
    wait = SettledBatch("wait", due_ms=now_ms() + 3_600_000)
    assert (await settle_batch(bench.store, WORKER, lease.lane, lease.id, wait))[0]
    assert (await bench.take()).id == lease.id


async def test_a_row_that_is_moved_there_and_back_is_in_its_batch_once(bench: Bench, workspace: Workspaces) -> None:
    three = ("sink", "files", "elsewhere")
    here = workspace(three, r=of({"rows": rows()}))
    event = await bench.accept()
    await bench.route(here)
    (row,) = await ids_of(bench, [event])
    assert await bench.replay(workspace(three, r=of({"rows": rows(to="elsewhere")})), row) == {"queued": 1}
    here = workspace(three, r=of({"rows": rows()}))
    assert await bench.replay(here, row) == {"queued": 1}
    assert await bench.replay(here, row) == {"hastened": 1}
    (lease,) = [lease for lease in await bench.fetch() if lease.lane == "files"]
    closed = await close_batch(bench.store, WORKER, lease.lane, lease.id, "v")
    assert closed is not None
    assert closed.rows == (row,)


async def test_a_step_may_be_called_as_the_mark_for_a_batch(bench: Bench, workspace: Workspaces) -> None:
    await bench.accept()
    await bench.route(workspace(("files",), r=of({"BATCH-ID": rows(batch={"every": "1h", "max": 1})})))
    lease = await bench.take()
    assert BatchJob(*Message.decode(lease.payload).args) == BatchJob(lease.id, "files", "r", "BATCH-ID")


# -- the sweep


async def test_an_event_of_many_deliveries_is_forgotten_in_parts(
    bench: Bench, workspace: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.store.store._SWEPT_AT_ONCE", 7)
    here = workspace(r=of({"lines": LINES}))
    for _ in range(3):
        await bench.accept(b'{"lines": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}')
    await bench.route(here)
    for lease in await bench.fetch():
        await bench.settle(lease)
    await asyncio.sleep(0.002)
    assert await bench.store.sweep(now_ms()) == 3
    assert await bench.keys("[edg]:*") == []
