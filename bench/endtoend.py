"""Events a second from the first post to the last arrival, through a recipe with three picks.

2,000 transcripts are posted on 64 connections and arrive at an HTTP sink, which counts different ids. Reference: the
same transcripts posted straight to the sink with httpx over httpx-aiohttp, 32 at once. With a sink that takes 200 ms
the rate is set by how many calls are under way at once, so there the relay stands twice: with its default limit for a
connection, and with the reference's 32.
"""

from __future__ import annotations

import contextlib

from bench import workspace
from bench.processes import BenchError, RelayHandle, SinkHandle, folder, load_relay, relay_up, run_module, sink
from bench.report import Bench, Row

UNIT = "events/s"
CONCURRENCY = 32
SLOW_MS = 200


def measure(bench: Bench) -> list[Row]:
    with contextlib.ExitStack() as running:
        there = running.enter_context(sink())
        relays = {}
        for name, concurrency in (("same", CONCURRENCY), ("default", None)):
            home = running.enter_context(folder())
            workspace.write_chat(home, there.port, concurrency)
            relays[name] = running.enter_context(relay_up(home))
            _through(relays[name], there, "warm", 200)
        quick = _compare(bench, there, relays["same"], bench.pick(2000, 500), 0, "q")
        few = bench.pick(1000, 200)
        slow = _compare(bench, there, relays["same"], few, SLOW_MS, "s")
        default = []
        for turn in range(max(1, bench.rounds // 2)):
            there.reset(SLOW_MS)
            default.append(_through(relays["default"], there, f"d{turn}", few))
            bench.say(f"sink of {SLOW_MS} ms, default limit: relay {default[-1]:,.0f}/s")
        there.reset()
    reference = f"posting directly, {CONCURRENCY} at once"
    return [
        Row("endtoend", "sink answers at once", UNIT, quick[1], reference, quick[0]),
        Row("endtoend", f"sink takes {SLOW_MS} ms, limit {CONCURRENCY}", UNIT, slow[1], reference, slow[0]),
        Row("endtoend", f"sink takes {SLOW_MS} ms, default limit", UNIT, default, reference, slow[0][: len(default)]),
    ]


def _compare(
    bench: Bench, there: SinkHandle, relay: RelayHandle, events: int, latency_ms: float, series: str
) -> tuple[list[float], list[float]]:
    theirs, ours = [], []
    for turn in range(bench.rounds):
        there.reset(latency_ms)
        first_ns = run_module("bench.direct", "--port", there.port, "--events", events)["first_ns"]
        theirs.append(_rate(there, events, first_ns))
        there.reset(latency_ms)
        ours.append(_through(relay, there, f"{series}{turn}", events))
        bench.say(f"sink of {latency_ms:g} ms: directly {theirs[-1]:,.0f}/s, relay {ours[-1]:,.0f}/s")
    return theirs, ours


def _through(relay: RelayHandle, there: SinkHandle, series: str, events: int) -> float:
    there.ask("/_reset")
    posted = load_relay(relay.port, "--events", events, "--series", series)
    return _rate(there, events, posted["first_ns"])


def _rate(there: SinkHandle, events: int, first_ns: int) -> float:
    stats = there.wait_for(events)
    if stats["unique"] != events or stats["twice"]:
        raise BenchError(f"{events} events were posted, the sink has {stats}")
    return events / ((stats["last_ns"] - first_ns) / 1e9)
