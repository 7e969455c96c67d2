"""A whole relay when the moment is bad: stopped workers, killed supervisors, a store that is full, busy or cut off."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import httpx
import psutil
import pytest
import redis
from dramatiq.asyncio import get_event_loop_thread, set_event_loop_thread
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message

from relay import embedded
from relay.lanes import Command, LaneBroker, NewMessage
from relay.messages import DeliverJob
from relay.settings import Settings
from relay.stages import Stages
from relay.testing import Answer, RecordingServer
from relay.worker import Process
from tests.flow.test_kills import post_all, workspace
from tests.harness import Relay, eventually, relay_up

HEADERS = {"X-Key": "k"}


def post(relay: Relay, id_: str) -> httpx.Response:
    return httpx.post(f"{relay.url}/in/chat", json={"id": id_}, headers=HEADERS, timeout=20)


def arrived(sink: RecordingServer) -> Counter[str]:
    return Counter(request.json()["id"] for request in list(sink.requests))


def workers(relay: Relay) -> list[psutil.Process]:
    return [child for child in psutil.Process(relay.process.pid).children() if "worker" in child.cmdline()]


@contextlib.contextmanager
def store_of(relay: Relay) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(embedded.url(relay.folder / "data"), decode_responses=True)
    yield client
    client.close()


def all_delivered(relay: Relay, number: int) -> bool:
    """Every delivery has ended well, and nothing is left in any lane, not even a lease."""
    with store_of(relay) as store:
        statuses = [store.hget(f"relay:d:{id_}", "status") for id_ in store.zrange("relay:x:d", 0, -1)]
        lanes = [store.hlen(f"relay:lanes:{kind}") for kind in ("msg", "f:sink", "f:in:chat")]
    return statuses == ["delivered"] * number and lanes == [0, 0, 0]


@pytest.mark.timeout(90)
def test_a_worker_stopped_for_longer_than_its_lease_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.4)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path, "--workers", "2") as relay:
            eventually(lambda: len(relay.log("worker.ready")) == 2)
            accepted: set[str] = set()
            asyncio.run(post_all(relay, 40, 16, accepted))
            eventually(lambda: sink.requests)
            slow = workers(relay)[0]
            slow.suspend()
            try:
                # The other takes its work back when the lease has run out, and ends it.
                eventually(lambda: set(arrived(sink)) == accepted, 25)
                eventually(lambda: all_delivered(relay, 40), 25)
            finally:
                slow.resume()
            assert len(accepted) == 40
            twice = sum(number - 1 for number in arrived(sink).values())
            assert twice <= 16, "at most what it had in flight on this lane"
            time.sleep(1)
            assert all_delivered(relay, 40), "what it brings home late changes nothing"
            assert post(relay, "after").status_code == 202
            eventually(lambda: all_delivered(relay, 41))
            assert arrived(sink)["after"] == 1


@pytest.mark.timeout(90)
def test_a_supervisor_that_was_killed_is_started_again_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.05)) as sink:
        workspace(tmp_path, sink)
        accepted: set[str] = set()
        with relay_up(tmp_path) as first:
            asyncio.run(post_all(first, 100, 32, accepted))
            family = psutil.Process(first.process.pid).children(recursive=True)
            first.process.kill()
            first.process.wait(10)
            # Its children are still there: the next one ends the store, the others end by themselves.
            with relay_up(tmp_path) as relay:
                assert post(relay, "after").status_code == 202
                eventually(lambda: set(arrived(sink)) == accepted | {"after"}, 30)
                eventually(lambda: all_delivered(relay, 101), 30)
                _, alive = psutil.wait_procs(family, 15)
                assert not alive, "nothing of the first relay is left"


@pytest.mark.timeout(90)
def test_a_stop_under_load_ends_what_is_under_way_and_sends_nothing_twice(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.1)) as sink:
        workspace(tmp_path, sink)
        accepted: set[str] = set()
        with relay_up(tmp_path) as relay:
            asyncio.run(post_all(relay, 150, 32, accepted))
            eventually(lambda: len(sink.requests) > 20)
            assert relay.stop() == 0
            assert len(arrived(sink)) < 150, "stopped while there was work"
            assert relay.log("process.killed") == []
        with relay_up(tmp_path) as relay:
            eventually(lambda: all_delivered(relay, 150), 30)
            counts = arrived(sink)
            assert set(counts) == accepted
            assert max(counts.values()) == 1


@pytest.mark.timeout(90)
def test_a_stop_that_can_not_wait_gives_its_work_back_at_once(tmp_path: Path) -> None:
    with RecordingServer(Answer(instead="hang")) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path, env={"RELAY_DRAIN": "1s"}) as relay:
            assert post(relay, "slow").status_code == 202
            eventually(lambda: sink.requests)
            began = time.monotonic()
            assert relay.stop() == 0
            assert time.monotonic() - began < 8
        sink.default = Answer(body={})
        with relay_up(tmp_path) as relay:
            # Not after a lease, not after a retry's wait.
            eventually(lambda: all_delivered(relay, 1), 4)


@pytest.mark.timeout(90)
def test_a_full_store_answers_503_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.3)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay, store_of(relay) as store:
            accepted = {f"before{number}" for number in range(8)}
            for id_ in sorted(accepted):
                assert post(relay, id_).status_code == 202
            room = store.config_get("maxmemory")["maxmemory"]
            store.config_set("maxmemory", 1)
            refused = post(relay, "full")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            eventually(lambda: httpx.get(f"{relay.url}/readyz").status_code == 503)
            time.sleep(1)
            store.config_set("maxmemory", room)

            def is_taken() -> bool:
                return post(relay, "room").status_code in (200, 202)

            eventually(is_taken, 5)
            eventually(lambda: all_delivered(relay, 9), 15)
            counts = arrived(sink)
            assert set(counts) == accepted | {"room"}
            assert max(counts.values()) == 1, "what was sent while the store was full is not sent again"


@pytest.mark.timeout(90)
def test_a_store_that_is_busy_with_somebody_elses_script_loses_no_delivery(tmp_path: Path) -> None:
    """Every command is refused with BUSY while it runs, also that which would record what was just sent."""
    with RecordingServer(Answer(body={}, delay_seconds=1.0)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay, store_of(relay) as store:
            store.config_set("busy-reply-threshold", 50)
            for number in range(4):
                assert post(relay, f"b{number}").status_code == 202
            eventually(lambda: len(sink.requests) == 4)

            def hog() -> None:
                with contextlib.suppress(redis.ResponseError), store_of(relay) as other:
                    other.eval("while true do end", 0)

            thread = threading.Thread(target=hog)
            thread.start()
            time.sleep(2)
            store.script_kill()
            thread.join(10)
            eventually(lambda: set(arrived(sink)) == {f"b{number}" for number in range(4)}, 20)
            eventually(lambda: all_delivered(relay, 4), 8)


# -- the worker and the lanes' broker, alone


@pytest.mark.parametrize("mistake", ["in its set-up", "when it records a failure"])
def test_a_worker_that_makes_a_mistake_never_acknowledges_what_it_did_not_do(
    valkey_url: str, prefix: str, tmp_path: Path, mistake: str
) -> None:
    """Dramatiq logs what a middleware raises, and goes on as if nothing had been."""
    process = Process(Settings(recipes=tmp_path, data=tmp_path, redis_prefix=prefix), valkey_url)
    broker = process.broker

    class Mistaken:
        async def deliver(self, job: DeliverJob) -> bool:
            raise ZeroDivisionError

        mistake = deliver

    async def set_up() -> None:
        if mistake == "in its set-up":
            raise ZeroDivisionError
        process.stages = Stages(None, None, Mistaken(), None)  # type: ignore[arg-type]

    process.set_up = set_up  # type: ignore[method-assign]
    payload = DeliverJob("dlv_1", "sink", "evt_1", {}).payload()
    broker.run(broker.lanes.enqueue([NewMessage("deliver", "sink", "dlv_1", payload)]))
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    try:
        with contextlib.suppress(ZeroDivisionError):
            worker.start()
        time.sleep(1)
        lane = broker.run(broker.lanes.stats(["sink"]))[0]
        assert lane.waiting + lane.in_flight == 1
    finally:
        broker.drain()
        worker.stop(timeout=2000)
        if (thread := get_event_loop_thread()) is not None:
            thread.stop()
            set_event_loop_thread(None)
        broker.close()


@pytest.fixture
def broker(valkey_url: str, prefix: str) -> Iterator[LaneBroker]:
    broker = LaneBroker(valkey_url, prefix=prefix, lease_seconds=1)
    broker.declare_queue("q")
    yield broker
    broker.close()


def test_messages_whose_fetch_was_never_answered_are_not_held_for_ever(broker: LaneBroker) -> None:
    """The script ran and the connection was lost: this process holds leases it does not know of, and renews them."""
    broker.enqueue_many([Message("q", "work", (n,), {}, {"lane": "l"}, f"id{n}") for n in range(5)])
    consumer = broker.consume("q", prefetch=10, timeout=50)
    run = broker.run

    def cut_off(command: Command[Any]) -> Any:
        run(command)
        broker.run = run  # type: ignore[method-assign]
        raise ConnectionClosed("the connection was lost after the script had run")

    broker.run = cut_off  # type: ignore[method-assign]
    with pytest.raises(ConnectionClosed):
        next(consumer)
    consumer.close()
    # As Dramatiq does it.
    consumer = broker.consume("q", prefetch=10, timeout=50)
    got: list[Any] = []

    def fetched() -> bool:
        if (message := next(consumer)) is not None:
            got.append(message)
        return len(got) == 5

    try:
        eventually(fetched, 4)
    finally:
        consumer.requeue(got)
        consumer.close()


def test_an_acknowledgement_refused_for_a_while_is_sent_again(broker: LaneBroker) -> None:
    """A store that fails over takes no writes for some seconds; the lease is renewed after it as before."""
    done: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work(number: int) -> None:
        done.append(number)

    run, refusals = broker.run, [2]

    def read_only(command: Command[Any]) -> Any:
        if command.script and command.script.name == "settle" and refusals[0]:
            refusals[0] -= 1
            raise redis.ReadOnlyError("You can't write against a read only replica.")
        return run(command)

    broker.run = read_only  # type: ignore[method-assign]
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        work.send(1)
        eventually(lambda: done == [1])
        eventually(lambda: broker.run(broker.lanes.stats(["q"]))[0].in_flight == 0, 4)
    finally:
        broker.drain()
        worker.stop(timeout=5000)


def test_a_message_that_can_not_be_read_takes_no_place_from_others(broker: LaneBroker) -> None:
    """A payload of a version that is no more, or a damaged one: the process goes on with the rest."""
    good = [Message[None]("q", "work", (n,), {}, {"lane": "good"}, f"id{n}") for n in range(6)]
    with contextlib.suppress(ConnectionClosed):
        for number in range(3):
            broker.client.hset(f"{broker.lanes.prefix}l:bad", "q", "q")
            broker.client.hset(f"{broker.lanes.prefix}msg", f"bad{number}", b"\x00 not a message")
            broker.client.zadd(f"{broker.lanes.prefix}d:bad", {f"bad{number}": 1})
        broker.run(broker.lanes.resume("q", "bad"))
    done: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work(number: int) -> None:
        done.append(number)

    # No more places than there are bad ones.
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    broker._capacity["q"] = 2
    worker.start()
    try:
        broker.enqueue_many(good)
        eventually(lambda: sorted(done) == list(range(6)), 3)
    finally:
        broker.drain()
        worker.stop(timeout=5000)
