"""What an idle relay costs: CPU seconds a minute and memory (PSS: shared pages counted once), a process each.

Reference: Node-RED with the flow of `nodered`, idle in the same minute.
"""

from __future__ import annotations

import contextlib
import time

from bench import workspace
from bench.nodered import command, node_red
from bench.processes import folder, load, load_relay, relay_up, sink
from bench.report import Bench, Goal, Row

#: Of one core: 1 % is 0.6 s a minute.
CPU = Goal("figure", "<=", 0.6, 0.12)
MEMORY = Goal("figure", "<=", 250, 120)


def measure(bench: Bench) -> list[Row]:
    seconds = bench.pick(60, 15)
    with contextlib.ExitStack() as running:
        there = running.enter_context(sink())
        other = running.enter_context(node_red(running.enter_context(folder()), there)) if command() else None
        home = running.enter_context(folder())
        workspace.write_chat(home, there.port)
        relay = running.enter_context(relay_up(home))
        # Both have done everything once: what is loaded when it is first used, is loaded.
        load_relay(relay.port, "--events", 50, "--connections", 4)
        if other:
            load(other.port, "--events", 50, "--connections", 4, "--series", "n")
        there.wait_for(100 if other else 50)
        time.sleep(6)
        bench.say(f"{seconds} s of nothing")
        before, before_other = relay.cpu_seconds(), other.cpu_seconds() if other else 0.0
        started = time.monotonic()
        time.sleep(seconds)
        minute = 60 / (time.monotonic() - started)
        cpu = {name: (after - before[name]) * minute for name, after in relay.cpu_seconds().items()}
        memory = {name: p.memory_full_info().pss / 1e6 for name, p in relay.processes().items()}
        cpu_other = [(other.cpu_seconds() - before_other) * minute] if other else []
        memory_other = [other.memory_mb()] if other else []
    return [
        Row("idle", "CPU, all processes", "s/min", [sum(cpu.values())], "Node-RED", cpu_other, CPU),
        *(Row("idle", f"CPU, {name}", "s/min", [value]) for name, value in cpu.items()),
        Row("idle", "memory, all processes", "MB", [sum(memory.values())], "Node-RED", memory_other, MEMORY),
        *(Row("idle", f"memory, {name}", "MB", [value]) for name, value in memory.items()),
    ]
