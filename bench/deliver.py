"""Deliveries a CPU-second of the worker process, routing and recording included.

Reference: httpx over httpx-aiohttp posting the same bodies to the same sink, 32 at once, in a process of its own. The
last rows say what one event costs each process of the relay, in CPU milliseconds, from catching to settling.
"""

from __future__ import annotations

import contextlib

from bench import workspace
from bench.processes import folder, load_relay, relay_up, run_module, sink
from bench.report import Bench, Goal, Row

UNIT = "deliveries/CPU-s"


def measure(bench: Bench) -> list[Row]:
    events = bench.pick(3000, 600)
    warm = 200
    theirs: list[float] = []
    spent: dict[str, list[float]] = {}
    with contextlib.ExitStack() as running:
        there = running.enter_context(sink())
        home = running.enter_context(folder())
        workspace.write_chat(home, there.port, 32)
        relay = running.enter_context(relay_up(home))
        load_relay(relay.port, "--events", warm, "--series", "warm")
        relay.wait_until_settled(warm)
        for turn in range(bench.rounds):
            direct = run_module("bench.direct", "--port", there.port, "--events", events, "--picked")
            theirs.append(events / direct["cpu_s"])
            before = relay.cpu_seconds()
            load_relay(relay.port, "--events", events, "--series", f"r{turn}")
            relay.wait_until_settled(warm + events * (turn + 1))
            for name, after in relay.cpu_seconds().items():
                spent.setdefault(name, []).append((after - before[name]) / events * 1000)
            bench.say(f"bare {theirs[-1]:,.0f}/CPU-s, worker {1000 / spent['worker'][-1]:,.0f}/CPU-s")
            there.reset()
    ours = [1000 / each for each in spent["worker"]]
    costs = [
        Row("deliver", f"CPU an event, {name}", "ms", each) for name, each in spent.items() if name != "supervisor"
    ]
    return [
        Row("deliver", "worker process", UNIT, ours, "bare httpx-aiohttp", theirs, Goal("ratio", ">=", 0.4, 0.7)),
        *costs,
    ]
