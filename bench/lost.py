"""Accepted and lost: every process is killed (SIGKILL) the moment 2,000 events have been accepted, and started again.

The sink takes 200 ms, so that most of them are still on their way. Of the relay everything is killed, its store too.
Reference: Node-RED, in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bench import nodered, workspace
from bench.processes import SinkHandle, folder, load, relay_up, sink
from bench.report import Bench, Goal, Row

SLOW_MS = 200

#: Nothing has come for so long: nothing more will. A lease of the relay's is taken over well within it.
_QUIET_SECONDS = 20.0


class Running(Protocol):
    @property
    def port(self) -> int: ...

    def pids(self) -> list[int]: ...


#: Starts one side in a folder, and says when it is ready; or again, on what its folder holds.
Start = Callable[[Path, bool], AbstractContextManager[Running]]


def measure(bench: Bench) -> list[Row]:
    events = bench.pick(2000, 300)
    found: dict[str, list[tuple[int, int]]] = {"relay": [], "Node-RED": []}
    with sink() as there:

        def relay(home: Path, again: bool) -> AbstractContextManager[Running]:
            workspace.write_chat(home, there.port)
            return relay_up(home)

        def node_red(home: Path, again: bool) -> AbstractContextManager[Running]:
            return nodered.node_red(home, there, ready=not again)

        sides: dict[str, tuple[Start, str]] = {"relay": (relay, workspace.KEY)}
        if nodered.command():
            sides["Node-RED"] = (node_red, "")
        for turn in range(bench.rounds):
            for name, (start, key) in sides.items():
                lost, twice = _killed(there, start, key, f"k{turn}", events)
                found[name].append((lost, twice))
                bench.say(f"{name}: {lost} of {events} lost, {twice} came twice")
    ours, theirs = found["relay"], [lost for lost, _ in found["Node-RED"]]
    what = f"of {events:,} accepted, then killed"
    return [
        Row("lost", what, "events", [lost for lost, _ in ours], "Node-RED", theirs, Goal("figure", "<=", 0)),
        Row("lost", "of them, came twice", "events", [twice for _, twice in ours]),
    ]


def _killed(there: SinkHandle, start: Start, key: str, series: str, events: int) -> tuple[int, int]:
    """How many were lost, and how many came twice."""
    with folder() as home:
        with start(home, False) as running:
            there.reset()
            load(running.port, "--events", 200, "--series", "warm", key=key)
            there.wait_for(200)
            there.reset(SLOW_MS)
            kill = [word for pid in running.pids() for word in ("--kill", pid)]
            load(running.port, "--events", events, "--series", series, *kill, key=key)
        with start(home, True):
            _wait_until_quiet(there, events)
            ids = there.ask("/_arrivals")
            return events - sum(id_.startswith(series) for id_ in ids), there.ask("/_stats")["twice"]


def _wait_until_quiet(there: SinkHandle, events: int) -> None:
    """Until all have come, or nothing has for a while."""
    came, since = -1, time.monotonic()
    while came < events and time.monotonic() - since < _QUIET_SECONDS:
        now = there.ask("/_stats")["unique"]
        if now != came:
            came, since = now, time.monotonic()
        time.sleep(0.1)
