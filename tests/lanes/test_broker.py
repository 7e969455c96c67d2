"""The lanes as a Dramatiq broker: actors, workers, and workers that die."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import dramatiq
import pytest
import redis
from dramatiq.errors import QueueNotFound
from dramatiq.message import Message

from relay.lanes import Fetched, LaneBroker, LaneLimits, LaneState
from relay.lanes.commands import NewMessage, Settlement
from tests.harness import eventually


@pytest.fixture
def broker(valkey_url: str, prefix: str) -> Iterator[LaneBroker]:
    broker = LaneBroker(valkey_url, prefix=prefix, lease_seconds=1)
    yield broker
    broker.close()


@contextlib.contextmanager
def working(broker: LaneBroker, threads: int = 4) -> Iterator[dramatiq.Worker]:
    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
    worker.start()
    try:
        yield worker
    finally:
        broker.drain()
        worker.stop(timeout=5000)


def state(broker: LaneBroker, lane: str) -> LaneState:
    found: LaneState = broker.run(broker.lanes.stats([lane]))[0]
    return found


def test_an_actor_gets_what_was_sent_and_the_lane_is_empty_then(broker: LaneBroker) -> None:
    got: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work(number: int) -> None:
        got.append(number)

    for number in range(50):
        work.send(number)
    with working(broker):
        broker.join("q", timeout=5000)
    assert sorted(got) == list(range(50))
    eventually(lambda: state(broker, "q").in_flight == 0)


def test_many_messages_travel_in_one_call_and_a_known_id_is_not_taken_twice(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    messages: list[Message[None]] = [Message("q", "work", (n,), {}, {"lane": "l"}, f"id{n}") for n in range(5)]
    assert broker.enqueue_many(messages) == [True] * 5
    assert broker.enqueue_many(messages[:2]) == [False, False]
    assert state(broker, "l").waiting == 5


def test_a_clock_that_is_set_back_turns_no_order_around_and_holds_nothing_up(broker: LaneBroker) -> None:
    lanes, ids = broker.lanes, [f"id{number}" for number in range(6)]
    ahead = time.time_ns() // 1000 + 20_000_000
    for id_ in ids[:3]:
        broker.run(lanes.enqueue([NewMessage("q", "l", id_, b"")], now_us=ahead))
    # From here on by the server's clock, as if it had been ahead by twenty seconds until now.
    for id_ in reversed(ids[3:]):
        broker.run(lanes.enqueue([NewMessage("q", "l", id_, b"")]))
    got = broker.run(lanes.fetch("q", "w", 10, 10_000_000))[1]
    assert [message.id for message in got] == [*ids[:3], *reversed(ids[3:])]


def test_a_clock_that_was_wrong_by_far_is_not_followed(broker: LaneBroker) -> None:
    ahead = time.time_ns() // 1000 + 3600_000_000
    broker.run(broker.lanes.enqueue([NewMessage("q", "l", "early", b"")], now_us=ahead))
    broker.run(broker.lanes.enqueue([NewMessage("q", "l", "now", b"")]))
    got = broker.run(broker.lanes.fetch("q", "w", 10, 10_000_000))[1]
    assert [message.id for message in got] == ["now"]


def test_a_message_with_a_delay_comes_when_it_is_due(broker: LaneBroker) -> None:
    came: list[float] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work() -> None:
        came.append(time.monotonic())

    with working(broker):
        sent = time.monotonic()
        work.send_with_options(delay=300)
        eventually(lambda: came)
    assert came[0] - sent >= 0.3


def test_an_idle_worker_hears_of_a_message_at_once(broker: LaneBroker) -> None:
    heard = threading.Event()

    @dramatiq.actor(broker=broker, queue_name="q")
    def work() -> None:
        heard.set()

    # The consumer sleeps for minutes: only the doorbell can wake it.
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=300)
    worker.start()
    time.sleep(0.5)
    work.send()
    assert heard.wait(5)
    broker.drain()
    worker.stop()


def test_a_bundle_is_one_call_for_many_messages(broker: LaneBroker) -> None:
    calls: list[list[list[int]]] = []

    @dramatiq.actor(broker=broker, queue_name="q", bundle=8)
    def work(bundle: list[list[int]]) -> None:
        calls.append(bundle)

    broker.enqueue_many([work.message(number) for number in range(20)])
    with working(broker, threads=8):
        broker.join("q", timeout=5000)
    assert sorted(args[0] for call in calls for args in call) == list(range(20))
    assert max(len(call) for call in calls) == 8


def test_a_message_of_no_known_actor_is_a_dead_letter_that_can_be_revived(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    broker.enqueue(Message("q", "nobody", (), {}, {}, "lost"))
    with working(broker):
        eventually(lambda: state(broker, "q").dead == 1)
    assert broker.run(broker.lanes.change("revive", "q", ["lost"])) == 1
    assert (state(broker, "q").waiting, state(broker, "q").dead) == (1, 0)


def test_a_paused_lane_waits_and_a_resumed_one_goes_on(broker: LaneBroker) -> None:
    got: list[str] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work(name: str) -> None:
        got.append(name)

    broker.run(broker.lanes.pause("q", "held", "a test"))
    with working(broker):
        work.send_with_options(args=("held",), lane="held")
        work.send_with_options(args=("free",), lane="free")
        eventually(lambda: got == ["free"])
        assert state(broker, "held").reason == "a test"
        broker.run(broker.lanes.resume("q", "held"))
        eventually(lambda: got == ["free", "held"])


def test_a_lane_never_runs_more_at_once_than_its_concurrency(broker: LaneBroker) -> None:
    running, most, lock = [0], [0], threading.Lock()

    @dramatiq.actor(broker=broker, queue_name="q")
    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    broker.configure([LaneLimits("q", "q", concurrency=2)])
    broker.enqueue_many([work.message() for _ in range(30)])
    with working(broker, threads=8):
        broker.join("q", timeout=5000)
    assert most[0] == 2


def test_messages_of_one_order_key_go_one_after_another_also_over_a_retry(broker: LaneBroker) -> None:
    got: list[int] = []

    @dramatiq.actor(broker=broker, queue_name="q")
    def work(number: int) -> None:
        got.append(number)

    broker.enqueue_many([work.message_with_options(args=(n,), order_key="k") for n in range(20)])
    with working(broker, threads=8):
        broker.join("q", timeout=5000)
    assert got == list(range(20))


def test_a_lane_with_one_message_does_not_wait_for_one_with_thousands(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    flood = [NewMessage("q", "flood", f"f{n}", b"{}") for n in range(5000)]
    broker.run(broker.lanes.enqueue(flood))
    broker.run(broker.lanes.enqueue([NewMessage("q", "single", "s", b"{}")]))
    _, fetched, _ = broker.run(broker.lanes.fetch("q", "w", 16, 1_000_000))
    assert "single" in [message.lane for message in fetched]
    assert len(fetched) == 16, "what a lane leaves of its share goes to the others"


def test_lanes_that_hang_leave_room_for_one_that_comes_after_them(broker: LaneBroker) -> None:
    """Twenty lanes with plenty waiting, none of which ever ends: a worker of 64 places still has some for the next."""
    broker.declare_queue("q")
    for lane in range(20):
        broker.run(broker.lanes.enqueue([NewMessage("q", f"hangs{lane}", f"h{lane}-{n}", b"{}") for n in range(50)]))
    free = 64
    for _ in range(100):
        _, fetched, _ = broker.run(broker.lanes.fetch("q", "w", free, 60_000_000, share=2))
        free -= len(fetched)
    assert 0 < free < 10
    broker.run(broker.lanes.enqueue([NewMessage("q", "healthy", "one", b"{}")]))
    _, fetched, _ = broker.run(broker.lanes.fetch("q", "w", free, 60_000_000, share=2))
    assert [message.id for message in fetched] == ["one"]
    broker.run(broker.lanes.settle("w", [Settlement("ack", "healthy", "one")]))


def test_a_lane_alone_gets_two_thirds_of_a_worker_and_goes_on_when_something_of_it_ends(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    broker.run(broker.lanes.enqueue([NewMessage("q", "l", f"m{n:03}", b"{}") for n in range(200)]))
    held: list[str] = []
    for _ in range(20):
        _, fetched, _ = broker.run(broker.lanes.fetch("q", "w", 63 - len(held), 60_000_000, share=2))
        held += [message.id for message in fetched]
    assert len(held) == 42
    wait, *_ = broker.run(broker.lanes.fetch("q", "w", 63 - len(held), 60_000_000, share=2))
    assert wait is None, "no reason to look again at once"
    broker.run(broker.lanes.settle("w", [Settlement("ack", "l", id_) for id_ in held[:6]]))
    _, fetched, _ = broker.run(broker.lanes.fetch("q", "w", 63 - 36, 60_000_000, share=2))
    assert len(fetched) == 6


def test_an_unknown_queue_is_refused(broker: LaneBroker) -> None:
    with pytest.raises(QueueNotFound):
        broker.consume("nothing")


def test_a_flush_drops_what_waits(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    broker.run(broker.lanes.enqueue([NewMessage("q", "l", f"m{n}", b"{}") for n in range(1500)]))
    broker.flush_all()
    assert state(broker, "l").waiting == 0


Spawn = Callable[[float], "subprocess.Popen[str]"]


@pytest.fixture
def spawn(valkey_url: str, prefix: str) -> Iterator[Spawn]:
    started: list[subprocess.Popen[str]] = []

    def start(seconds: float) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.lanes.worker_process", valkey_url, prefix, str(seconds)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def test_what_a_killed_worker_held_is_done_by_another(
    valkey: redis.Redis, broker: LaneBroker, prefix: str, spawn: Spawn
) -> None:
    broker.declare_queue("q")
    doomed = spawn(30)
    broker.enqueue_many([Message("q", "work", (n,), {}, {}) for n in range(12)])
    eventually(lambda: valkey.llen(prefix + "begun") == 4)
    doomed.kill()
    spawn(0)
    eventually(lambda: len(set(valkey.lrange(prefix + "done", 0, -1))) == 12, seconds=15)
    done = valkey.lrange(prefix + "done", 0, -1)
    assert len(done) == 12, "each once: the killed worker had done none"
    eventually(lambda: (state(broker, "q").waiting, state(broker, "q").in_flight) == (0, 0))


def test_a_worker_that_ends_in_order_leaves_nothing_leased(
    valkey: redis.Redis, broker: LaneBroker, prefix: str, spawn: Spawn
) -> None:
    broker.declare_queue("q")
    process = spawn(0.2)
    broker.enqueue_many([Message("q", "work", (n,), {}, {}) for n in range(40)])
    eventually(lambda: valkey.llen(prefix + "done") >= 4)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(20)
    assert state(broker, "q").in_flight == 0
    assert state(broker, "q").waiting + valkey.llen(prefix + "done") == 40


def test_what_is_handed_over_is_done_when_somebody_says_so(broker: LaneBroker) -> None:
    handed: list[Fetched] = []

    @dramatiq.actor(broker=broker, queue_name="q", bundle=8, hands_over=True)
    def work(jobs: list[list[int]], leases: Sequence[Fetched]) -> None:
        assert len(jobs) == len(leases)
        handed.extend(leases)

    broker.enqueue_many([work.message(number) for number in range(5)])
    with working(broker):
        eventually(lambda: len(handed) == 5)
        assert state(broker, "q").in_flight == 5, "the actor has returned, the work goes on"
        assert not broker.intake("q").room.wait_until_empty(0)
        for lease in handed:
            broker.done("q", lease, "ack")
        assert broker.intake("q").room.wait_until_empty(5)
        eventually(lambda: state(broker, "q").in_flight == 0)


def test_a_claimed_fetch_is_the_only_one_and_takes_what_there_is_room_for(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    broker.enqueue_many([Message("q", "work", (n,), {}, {}, f"id{n}") for n in range(3)])
    intake = broker.intake("q", 8)
    claim = intake.claim()
    assert claim is not None
    assert intake.claim() is None, "somebody is fetching"
    fetched = claim.took(broker.run(claim.command))
    assert sorted(lease.id for lease in fetched) == ["id0", "id1", "id2"]
    assert broker.held == {"id0", "id1", "id2"}
    again = intake.claim()
    assert again is not None
    assert len(again.took(broker.run(again.command))) == 0
    for lease in fetched:
        broker.done("q", lease, "ack")
    assert intake.room.wait_until_empty(5)


def test_what_a_lost_claim_was_leased_waits_again(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    broker.enqueue(Message("q", "work", (), {}, {}, "id"))
    intake = broker.intake("q", 8)
    claim = intake.claim()
    assert claim is not None
    broker.run(claim.command)
    claim.lost()
    assert intake.claim() is None, "first it has to be known what is held"
    (lease,) = intake.fetch()
    assert (lease.id, lease.taken_back) == ("id", 0)


def test_a_doorbell_that_rang_before_the_last_fetch_wakes_nobody(broker: LaneBroker) -> None:
    broker.declare_queue("q")
    intake = broker.intake("q", 8)
    claim = intake.claim()
    assert claim is not None
    fetch = broker.run(claim.command)
    claim.took(fetch)
    broker.enqueue(Message("q", "work", (), {}, {}, "later"))
    assert intake.fetch(fetch.at_us - 1) == [], "that ring has been answered"
    assert [lease.id for lease in intake.fetch(fetch.at_us + 1)] == ["later"]


def test_a_worker_looks_for_a_lost_store_again_after_a_quarter_of_a_second() -> None:
    """Dramatiq reads the delay when it is imported, whatever of the relay imports it first."""
    code = (
        "import relay.cli.processes, relay.family, relay.worker, dramatiq.worker;"
        "print(dramatiq.worker.CONSUMER_RESTART_DELAY)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "250"
