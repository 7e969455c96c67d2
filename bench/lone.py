"""One event at a time through an idle relay: milliseconds from its POST to its arrival at the sink.

Reference: the same POST straight to the sink; and, as the measure of the disk, one plain write to the relay's store.
"""

from __future__ import annotations

import contextlib
import statistics
import time

import redis

from bench import workspace
from bench.processes import SinkHandle, folder, relay_up, sink
from bench.report import Bench, Goal, Row
from bench.transcript import event_id
from bench.wire import Line, Requests
from relay import embedded

EVENTS = 50

#: Between two events: long enough for everything to be asleep again.
_PAUSE_SECONDS = 0.05


def measure(bench: Bench) -> list[Row]:
    medians, slowest, directly, writes = [], [], [], []
    events = bench.pick(EVENTS, 20)
    with contextlib.ExitStack() as running:
        there = running.enter_context(sink())
        home = running.enter_context(folder())
        workspace.write_chat(home, there.port)
        relay = running.enter_context(relay_up(home))
        store = running.enter_context(contextlib.closing(redis.Redis.from_url(embedded.url(home / "data"))))
        _one_by_one(there, relay.port, "/in/chat", workspace.KEY, "warm", 10)
        for turn in range(bench.rounds):
            direct = _one_by_one(there, there.port, "/chats", "", f"d{turn}", events)
            writes.append(statistics.median(_write(store, number) for number in range(events)))
            took = _one_by_one(there, relay.port, "/in/chat", workspace.KEY, f"r{turn}", events)
            directly.append(statistics.median(direct))
            medians.append(statistics.median(took))
            slowest.append(statistics.quantiles(took, n=100, method="inclusive")[98])
            bench.say(f"directly {directly[-1]:.2f} ms, relay {medians[-1]:.1f} ms, p99 {slowest[-1]:.1f} ms")
    return [
        Row("lone", f"median of {events}", "ms", medians, "directly", directly, Goal("figure", "<=", 15, 5)),
        Row("lone", f"median of {events}", "ms", medians, "one write to the store", writes),
        Row("lone", f"p99 of {events}", "ms", slowest, goal=Goal("figure", "<=", 40, 15)),
    ]


def _one_by_one(there: SinkHandle, port: int, path: str, key: str, series: str, events: int) -> list[float]:
    """Milliseconds from POST to arrival, an event."""
    there.ask("/_reset")
    requests = Requests(port, path, key)
    sent = {}
    with contextlib.closing(Line(port)) as line:
        for number in range(events):
            id_ = event_id(series, number)
            request = requests.of(id_)
            sent[id_.decode()] = time.monotonic_ns()
            line.post(request)
            time.sleep(_PAUSE_SECONDS)
    there.wait_for(events)
    arrivals = there.ask("/_arrivals")
    return [(arrivals[id_] - at_ns) / 1e6 for id_, at_ns in sent.items()]


def _write(store: redis.Redis, number: int) -> float:
    """Milliseconds of a SET of 2 KB, which is about what an event takes when it is packed."""
    started = time.perf_counter()
    store.set(f"bench:{number}", b"x" * 2048)
    return (time.perf_counter() - started) * 1000
