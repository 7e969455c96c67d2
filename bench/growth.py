"""Does one more event cost more where many wait, or where there are many recipes?

Milliseconds of CPU an event, of all processes of a relay, from catching to recording the delivery, and the median time
of a lone event; beside the same with the fewest. Waiting events lie in a paused lane, or in the lane being worked;
recipes are of other sources, of the same one but of other types, or of the same one with a `when` that says no.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench import workspace
from bench.fill import fill
from bench.processes import RelayHandle, SinkHandle, folder, load_relay, relay_up, sink, valkey_in
from bench.report import Bench, Goal, Row
from relay.recipes import load_workspace

_FLAT = Goal("ratio", "<=", 1.3, 1.05)
_WARM = 300

OTHERS = ("of other sources", "of other types", "whose `when` says no")


def measure(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    with sink() as there:
        few, *more = (10, 1_000, bench.pick(100_000, 5_000))
        rows += _beside(bench, "a paused lane", few, more, lambda number: _waiting(bench, there, number, "parked"))
        few, *more = (bench.pick(4_000, 1_500), bench.pick(100_000, 5_000))
        rows += _beside(bench, "the lane being worked", few, more, lambda number: _working(bench, there, number))
        for which in OTHERS:
            few, *more = (1, 50, bench.pick(500, 100))
            rows += _beside(bench, which, few, more, partial(_recipes, bench, there, which))
    return rows


def _beside(
    bench: Bench, where: str, few: int, more: list[int], measured: Callable[[int], Mapping[str, float]]
) -> list[Row]:
    """A row for each larger number, beside the smallest, in turn."""
    found: dict[int, list[Mapping[str, float]]] = {}
    for _ in range(bench.rounds):
        for number in (few, *more):
            found.setdefault(number, []).append(measured(number))
            bench.say(f"{number:,} {where}: " + ", ".join(f"{k} {v:.2f} ms" for k, v in found[number][-1].items()))
    word = "recipes" if where in OTHERS else "events wait in"
    return [
        Row(
            "growth",
            f"{number:,} {word} {where}, {what}",
            "ms",
            [one[what] for one in found[number]],
            f"{few:,}",
            [one[what] for one in found[few]],
            _FLAT if what == "CPU an event" else None,
        )
        for number in more
        for what in found[few][0]
    ]


@contextlib.contextmanager
def _home(there: SinkHandle, recipes: Mapping[str, Any]) -> Iterator[Path]:
    names = {"chat", *(recipe["catch"] for recipe in recipes.values())}
    with folder() as home:
        relay = {
            "sources": {name: workspace.source() for name in sorted(names)},
            "connections": {name: workspace.connection(there.port, 32) for name in ("sink", "parked")},
        }
        workspace.write(home, relay, recipes)
        there.reset()
        yield home


def _spent(relay: RelayHandle) -> float:
    return sum(relay.cpu_seconds().values())


def _one_more(bench: Bench, relay: RelayHandle, events: int) -> dict[str, float]:
    """Of events that are caught, routed and delivered now."""
    load_relay(relay.port, "--events", _WARM, "--series", "warm")
    relay.wait_until_settled(_WARM)
    before = _spent(relay)
    posted = load_relay(relay.port, "--events", events, "--series", "more", "--connections", 8)
    relay.wait_until_settled(_WARM + events, 300)
    spent = (_spent(relay) - before) / events * 1000
    return {"CPU an event": spent, "median of an accept": posted["p50_ms"]}


def _waiting(bench: Bench, there: SinkHandle, number: int, lane: str) -> dict[str, float]:
    with _home(there, {"forward": workspace.recipe("chat", "sink")}) as home:
        _fill(home, number, lane, paused=True)
        with relay_up(home) as relay:
            return _one_more(bench, relay, bench.pick(2_000, 300))


def _working(bench: Bench, there: SinkHandle, number: int) -> dict[str, float]:
    """Of events that waited when the relay was started."""
    events = bench.pick(2_500, 800)
    with _home(there, {"forward": workspace.recipe("chat", "sink")}) as home:
        _fill(home, number, "sink", paused=False)
        with relay_up(home) as relay:
            relay.wait_until_settled(_WARM)
            done, before = relay.settled(), _spent(relay)
            relay.wait_until_settled(done + events, 300)
            return {"CPU an event": (_spent(relay) - before) / (relay.settled() - done) * 1000}


def _recipes(bench: Bench, there: SinkHandle, which: str, number: int) -> dict[str, float]:
    recipes = {"forward": workspace.recipe("chat", "sink")}
    for place in range(1, number):
        recipe = workspace.recipe("chat", "parked")
        if which == OTHERS[0]:
            recipe["catch"] = f"other-{place % 20}"
        elif which == OTHERS[1]:
            recipe["types"] = [f"other.type.{place}", f"other-{place}.*"]
        else:
            recipe["when"] = f"$.conversation.state == 'state {place}'"
        recipes[f"other-{place}"] = recipe
    events = bench.pick(1_500, 200)
    if which == OTHERS[2]:
        events = max(100, events // number)
    with _home(there, recipes) as home, relay_up(home) as relay:
        return _one_more(bench, relay, events)


def _fill(home: Path, number: int, lane: str, *, paused: bool) -> None:
    version = load_workspace(home / "recipes").recipes["forward"].version
    with valkey_in(home / "data") as url:
        asyncio.run(fill(url, number, lane=lane, version=version, paused=paused))
