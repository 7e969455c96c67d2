"""Seconds from `relay up` to the first 202, with a workspace of 50 recipes.

References: the bare Starlette server, and Node-RED with one flow, from their start to their first 202.
"""

from __future__ import annotations

import contextlib
import time

from bench import workspace
from bench.nodered import command, node_red
from bench.processes import bare_server, eventually, folder, relay_up, sink
from bench.report import Bench, Goal, Row
from bench.transcript import event_id
from bench.wire import Line, Requests

RECIPES = 50


def measure(bench: Bench) -> list[Row]:
    ours, theirs, others = [], [], []
    for _ in range(bench.rounds):
        started = time.monotonic()
        with bare_server() as port:
            theirs.append(_first_202(port, "", started))
        if command():
            with sink() as there, folder() as home:
                started = time.monotonic()
                with node_red(home, there, ready=False) as other:
                    others.append(_first_202(other.port, "", started))
        with folder() as home:
            # Nothing listens on port 9: what is routed is of no interest here.
            relay_yaml = {"sources": {"chat": workspace.source()}, "connections": {"sink": workspace.connection(9)}}
            recipes = {f"forward_{number}": workspace.recipe("chat", "sink") for number in range(RECIPES)}
            workspace.write(home, relay_yaml, recipes)
            with relay_up(home, ready=False) as relay:
                ours.append(_first_202(relay.port, workspace.KEY, relay.started))
        bench.say(f"bare {theirs[-1]:.2f} s, relay {ours[-1]:.2f} s")
    what = f"up to the first 202, {RECIPES} recipes"
    return [
        Row("start", what, "s", ours, "bare Starlette", theirs, Goal("figure", "<=", 3, 1)),
        Row("start", what, "s", ours, "Node-RED", others),
    ]


def _first_202(port: int, key: str, started: float) -> float:
    request = Requests(port, "/in/chat", key).of(event_id("start", 0))

    def accepted() -> bool:
        try:
            with contextlib.closing(Line(port)) as line:
                return line.post(request) == 202
        except OSError:
            return False

    eventually(accepted, 60, "the first 202", pause=0.01)
    return time.monotonic() - started
