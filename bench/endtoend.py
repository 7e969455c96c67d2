"""Events a second from the first post to the last arrival, through a recipe with three picks.

2,000 transcripts are posted on 64 connections and arrive at an HTTP sink, which counts different ids. References: the
same posted to Node-RED, whose flow does the same work; and straight to the sink with httpx over httpx-aiohttp.

With a sink that takes 200 ms the rate is set by how many calls are under way at once. Node-RED has no limit of them,
the relay has 16 for a connection where nothing is said: it stands there with that, and with 512.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from bench import nodered, workspace
from bench.processes import (
    BenchError,
    RelayHandle,
    SinkHandle,
    folder,
    load,
    load_relay,
    relay_up,
    run_module,
    sink,
)
from bench.report import Bench, Goal, Row

UNIT = "events/s"
AT_ONCE = 32
MANY = 512
SLOW_MS = 200
_PAUSE_SECONDS = 0.5

#: One side of the comparison: posts so many events of a series through it, and says when it began.
Side = Callable[[str, int], int]


def measure(bench: Bench) -> list[Row]:
    events = bench.pick(2000, 500)
    rates: dict[tuple[str, int], list[float]] = {}
    with contextlib.ExitStack() as running:
        there = running.enter_context(sink())
        # The relay that may do most at once goes on beside the others, idle: its lane and its worker are its own.
        sides: dict[str, Side] = {
            "relay": _relay(_started(running, there, None)),
            "relay, 512": _relay(_started(running, there, MANY)),
            "direct": _direct(there, AT_ONCE),
            "direct, 512": _direct(there, MANY),
        }
        if nodered.command():
            sides["Node-RED"] = _posted(running.enter_context(nodered.node_red(running.enter_context(folder()), there)))
        for name, side in sides.items():
            if not name.startswith("direct"):
                _rate(there, side, f"w{name[-3:]}", 200)
        for turn in range(bench.rounds):
            for latency_ms in (0, SLOW_MS):
                for name, side in sides.items():
                    if name == ("direct" if latency_ms else "direct, 512"):
                        continue
                    # 2,000 of them, 16 at once, take 25 s: a quarter is as telling.
                    few = latency_ms and name == "relay"
                    there.reset(latency_ms)
                    rate = _rate(there, side, f"e{turn}{latency_ms}", events // 4 if few else events)
                    rates.setdefault((name, latency_ms), []).append(rate)
                    bench.say(f"sink of {latency_ms} ms, {name}: {rate:,.0f}/s")
                    # Arrived is not yet recorded.
                    time.sleep(_PAUSE_SECONDS)
            there.reset()
    quick, slow = Goal("ratio", ">=", 0.4, 1), Goal("ratio", ">=", 0.7, 1)

    def row(what: str, name: str, latency_ms: int, reference: str, other: str, goal: Goal | None = None) -> Row:
        theirs = rates.get((other, latency_ms), ())
        return Row("endtoend", what, UNIT, rates[name, latency_ms], reference, theirs, goal)

    late = f"sink takes {SLOW_MS} ms"
    return [
        row("sink answers at once", "relay", 0, "Node-RED", "Node-RED", quick),
        row("sink answers at once, limit 512", "relay, 512", 0, "Node-RED", "Node-RED"),
        row("sink answers at once", "relay", 0, f"posting directly, {AT_ONCE} at once", "direct"),
        row(f"{late}, default limit 16", "relay", SLOW_MS, "Node-RED", "Node-RED"),
        row(f"{late}, limit {MANY}", "relay, 512", SLOW_MS, "Node-RED", "Node-RED", slow),
        row(f"{late}, limit {MANY}", "relay, 512", SLOW_MS, f"posting directly, {MANY} at once", "direct, 512"),
    ]


def _started(running: contextlib.ExitStack, there: SinkHandle, concurrency: int | None) -> RelayHandle:
    home = running.enter_context(folder())
    workspace.write_chat(home, there.port, concurrency)
    # One lane never fills a worker: with room for twice as many, it may have all that its limit allows.
    more = {"RELAY_CONCURRENCY": str(2 * concurrency)} if concurrency else {}
    return running.enter_context(relay_up(home, more=more))


def _relay(relay: RelayHandle) -> Side:
    return lambda series, events: int(load_relay(relay.port, "--events", events, "--series", series)["first_ns"])


def _posted(other: nodered.NodeRed) -> Side:
    return lambda series, events: int(load(other.port, "--events", events, "--series", series)["first_ns"])


def _direct(there: SinkHandle, at_once: int) -> Side:
    def post(series: str, events: int) -> int:
        words = ("--port", there.port, "--events", events, "--series", series, "--connections", at_once)
        return int(run_module("bench.direct", *words)["first_ns"])

    return post


def _rate(there: SinkHandle, side: Side, series: str, events: int) -> float:
    there.ask("/_reset")
    first_ns = side(series, events)
    stats = there.wait_for(events)
    if stats["unique"] != events or stats["twice"]:
        raise BenchError(f"{events} events were posted, the sink has {stats}")
    return events / ((stats["last_ns"] - first_ns) / 1e9)
