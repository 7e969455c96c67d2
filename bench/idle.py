"""What an idle relay costs: CPU seconds a minute and memory (PSS: shared pages counted once), a process each."""

from __future__ import annotations

import time

from bench import workspace
from bench.processes import folder, load_relay, relay_up, sink
from bench.report import Bench, Row


def measure(bench: Bench) -> list[Row]:
    seconds = bench.pick(60, 15)
    with sink() as there, folder() as home:
        workspace.write_chat(home, there.port)
        with relay_up(home) as relay:
            # It has done everything once: what is loaded when it is first used, is loaded.
            load_relay(relay.port, "--events", 50, "--connections", 4)
            there.wait_for(50)
            time.sleep(6)
            bench.say(f"{seconds} s of nothing")
            before, started = relay.cpu_seconds(), time.monotonic()
            time.sleep(seconds)
            minute = 60 / (time.monotonic() - started)
            cpu = {name: (after - before[name]) * minute for name, after in relay.cpu_seconds().items()}
            memory = {name: p.memory_full_info().pss / 1e6 for name, p in relay.processes().items()}
    return [
        Row("idle", "CPU, all processes", "s/min", [sum(cpu.values())], reach=("figure", "<=", 1)),
        *(Row("idle", f"CPU, {name}", "s/min", [value]) for name, value in cpu.items()),
        Row("idle", "memory, all processes", "MB", [sum(memory.values())], reach=("figure", "<=", 250)),
        *(Row("idle", f"memory, {name}", "MB", [value]) for name, value in memory.items()),
    ]
