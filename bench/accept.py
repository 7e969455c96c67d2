"""Events accepted a second: verified by a header, deduplicated by their id, on disk before the 202.

References: Starlette under uvicorn that reads the body and answers 202; the same with one plain write a request to the
same kind of store; and Node-RED, which posts on what it takes. The relay stands there twice: its web process and store,
while nothing is routed (what the first two are to be compared with), and as `relay up`, with a worker routing and
delivering on the same two cores.
"""

from __future__ import annotations

import contextlib
from typing import Any

import redis

from bench import workspace
from bench.nodered import command, node_red
from bench.processes import SinkHandle, bare_server, folder, load, load_relay, relay_up, relay_web, sink, valkey
from bench.report import Bench, Goal, Row

UNIT = "events/s"

#: The share of the bare server's rate that is to be kept, by connections.
GOALS = {64: Goal("ratio", ">=", 0.3, 0.5), 1: Goal("ratio", ">=", 0.12, 0.2)}


def measure(bench: Bench) -> list[Row]:
    seconds = bench.pick(4, 1)
    rates: dict[tuple[str, int], list[float]] = {}
    slowest: dict[int, list[float]] = {64: [], 1: []}

    def note(name: str, connections: int, result: dict[str, Any]) -> None:
        rates.setdefault((name, connections), []).append(result["rate"])
        bench.say(f"{name}, {connections} connections: {result['rate']:,.0f}/s, p99 {result['p99_ms']:.1f} ms")

    with contextlib.ExitStack() as running:
        home = running.enter_context(folder())
        there = running.enter_context(sink())
        workspace.write_chat(home, there.port)
        store_url = running.enter_context(valkey(home))
        store = running.enter_context(contextlib.closing(redis.Redis.from_url(store_url)))
        bare = running.enter_context(bare_server())
        written = running.enter_context(bare_server(store_url))
        web = running.enter_context(relay_web(home, store_url))
        for turn in range(bench.rounds):
            for connections in (64, 1):
                words = ("--connections", connections, "--seconds", seconds, "--series", f"a{turn}c{connections}")
                note("bare", connections, load(bare, *words))
                note("one write", connections, load(written, *words))
                store.flushall()
                result = load_relay(web.port, *words)
                note("web", connections, result)
                slowest[connections].append(result["p99_ms"])
                store.flushall()
                with folder() as other:
                    workspace.write_chat(other, there.port)
                    with relay_up(other) as relay:
                        note("up", connections, load_relay(relay.port, *words))
                there.reset()
                if command():
                    note("node-red", connections, _node_red(there, *words))
    rows = []
    for connections in (64, 1):
        at = f"{connections} connection{'s' if connections > 1 else ''}"
        ours, up = rates["web", connections], rates["up", connections]
        bare_rates, write_rates = rates["bare", connections], rates["one write", connections]
        rows += [
            Row("accept", f"{at}, web process", UNIT, ours, "bare Starlette", bare_rates, GOALS[connections]),
            Row("accept", f"{at}, web process", UNIT, ours, "Starlette + one write", write_rates),
            Row("accept", f"{at}, worker busy too", UNIT, up, "bare Starlette", bare_rates),
            Row("accept", f"{at}, worker busy too", UNIT, up, "Node-RED", rates.get(("node-red", connections), ())),
            Row("accept", f"{at}, p99 of the accept", "ms", slowest[connections]),
        ]
    return rows


def _node_red(there: SinkHandle, *words: object) -> dict[str, Any]:
    with folder() as home, node_red(home, there) as running:
        result = load(running.port, *words)
        there.wait_for(result["sent"])
    there.reset()
    return result
