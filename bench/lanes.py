"""The lanes' broker beside Dramatiq's own RedisBroker, on one Valkey with an fsync on every write.

No-op messages a second over 50 lanes (50 queues there), taken by one process on 8 and on 64 threads; and
milliseconds from `enqueue` to the start of the actor where nothing else is going on. Both brokers run without
middleware.
"""

from __future__ import annotations

from bench.processes import folder, run_module, valkey
from bench.report import Bench, Goal, Row


def measure(bench: Bench) -> list[Row]:
    messages = bench.pick(10_000, 2_000)
    found: dict[tuple[str, str], list[float]] = {}
    with folder() as home, valkey(home) as url:
        for _ in range(bench.rounds):
            for kind in ("redis", "lanes"):
                words = ("--url", url, "--broker", kind)
                for threads in (8, 64):
                    rate = run_module("bench.lanes_process", *words, "--threads", threads, "--messages", messages)
                    found.setdefault((kind, f"{threads} threads"), []).append(rate["rate"])
                    bench.say(f"{kind}, {threads} threads: {rate['rate']:,.0f}/s")
                idle = run_module("bench.lanes_process", *words, "--threads", 8, "--idle", bench.pick(100, 30))
                found.setdefault((kind, "idle"), []).append(idle["median_ms"])
                bench.say(f"{kind}, idle: {idle['median_ms']:.2f} ms")
    theirs = "Dramatiq's RedisBroker"
    throughput = [
        Row("lanes", name, "messages/s", found["lanes", name], theirs, found["redis", name], Goal("ratio", ">=", 1))
        for name in ("8 threads", "64 threads")
    ]
    idle_row = Row(
        "lanes",
        "enqueue to start, idle",
        "ms",
        found["lanes", "idle"],
        theirs,
        found["redis", "idle"],
        Goal("ratio", "<=", 1),
    )
    return [*throughput, idle_row]
