"""Two connections: does a destination of one that hangs slow the other?

Milliseconds from accept (its 202) to arrival for lane B, while A's destination answers at once (the reference) and
while it hangs for 10 s a call with hundreds of deliveries waiting. The traffic is the same in both halves: 300 events
for A at once, then one for A and one for B in turn.
"""

from __future__ import annotations

import contextlib
import statistics
import time

from bench import workspace
from bench.processes import RelayHandle, SinkHandle, folder, load_relay, relay_up, sink
from bench.report import Bench, Goal, Row
from bench.transcript import event_id
from bench.wire import Line, Requests

HANG_MS = 10_000
_WAITING = 300
_PAUSE_SECONDS = 0.03


def measure(bench: Bench) -> list[Row]:
    healthy, hanging = [], []
    with contextlib.ExitStack() as running:
        a, b = running.enter_context(sink()), running.enter_context(sink())
        home = running.enter_context(folder())
        workspace.write(
            home,
            {
                "sources": {"a": workspace.source(), "b": workspace.source()},
                "connections": {"sink_a": workspace.connection(a.port), "sink_b": workspace.connection(b.port)},
            },
            {"a": workspace.recipe("a", "sink_a"), "b": workspace.recipe("b", "sink_b")},
        )
        relay = running.enter_context(relay_up(home))
        _lane_b(relay, a, b, "warm", 10)
        events = bench.pick(150, 40)
        for turn in range(bench.rounds):
            a.reset()
            healthy.append(_lane_b(relay, a, b, f"h{turn}", events))
            a.reset(HANG_MS)
            hanging.append(_lane_b(relay, a, b, f"x{turn}", events))
            # Whoever hangs is let go, so that the next half starts with nothing waiting.
            a.ask("/_set?latency_ms=0")
            a.wait_for(_WAITING + events)
            bench.say(f"A healthy: {healthy[-1]:.2f} ms, A hanging: {hanging[-1]:.2f} ms")
    return [Row("isolation", "lane B, A hangs", "ms", hanging, "A healthy", healthy, Goal("ratio", "<=", 1.2))]


def _lane_b(relay: RelayHandle, a: SinkHandle, b: SinkHandle, series: str, events: int) -> float:
    """The median of B's milliseconds from accept to arrival."""
    b.ask("/_reset")
    load_relay(relay.port, "--path", "/in/a", "--events", _WAITING, "--series", f"{series}w")
    time.sleep(1.0)
    to_a, to_b = (Requests(relay.port, f"/in/{name}", workspace.KEY) for name in "ab")
    accepted = {}
    with contextlib.closing(Line(relay.port)) as line:
        for number in range(events):
            id_ = event_id(series, number)
            line.post(to_a.of(id_))
            time.sleep(_PAUSE_SECONDS)
            line.post(to_b.of(id_))
            accepted[id_.decode()] = time.monotonic_ns()
            time.sleep(_PAUSE_SECONDS)
    b.wait_for(events)
    arrivals: dict[str, int] = b.ask("/_arrivals")
    return statistics.median((arrivals[id_] - at_ns) / 1e6 for id_, at_ns in accepted.items())
