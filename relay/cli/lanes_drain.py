"""relay lanes drain"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.common import WRONG, All, Data, DryRun, RedisUrl, Yes, confirm, err, many, out, show, who, with_operators
from relay.cli.lanes import COLUMNS, Names, named, row, who_and_when
from relay.errors import ConfigError
from relay.settings import Settings
from relay.units import parse_duration

if TYPE_CHECKING:
    from relay.lanes import LaneState
    from relay.store import Operators

_LOOK_SECONDS = 0.1


def add_to(group: typer.Typer) -> None:
    group.command()(drain)


def drain(
    names: Names = None,
    wait: Annotated[str, typer.Option("--wait", help="How long at most: 30s, 5m.")] = "1m",
    finish: Annotated[bool, typer.Option("--finish", help="Deliver first what waits and is due.")] = False,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Pause lanes and wait until nothing is under way. Events are caught as always, and wait; resume delivers them.

    With --finish the lanes go on until nothing waits in them that is due, and are paused then. Lanes that were stopped
    already stay as they are. Exit code 1 where time was up before: lanes that were still to finish run on.

    [bold]relay lanes drain crm --wait 30s[/]
    [bold]relay lanes drain --all --finish --wait 5m --yes[/]
    """
    try:
        seconds = parse_duration(wait).total_seconds()
    except ValueError as error:
        raise ConfigError(f"--wait: {error}") from None
    settings = Settings.read({"data": data, "redis_url": redis_url})
    lanes = named(settings, names, every)
    if dry_run:
        show([row(lane) for lane in lanes], COLUMNS, as_json=False, empty="No lanes.")
        err.print(f"{len(lanes)} would be drained.")
        return
    confirm(f"Drain {many(len(lanes), 'lane')}?", yes=yes or len(lanes) == 1)
    note = f"drained ({who_and_when()})"
    left = with_operators(
        settings, lambda operators: _drain(operators, lanes, note, seconds, finish=finish, every=every)
    )
    if left:
        waiting, flying = sum(lane.due for lane in left), sum(lane.in_flight for lane in left)
        names_left = ", ".join(lane.name for lane in left)
        err.print(f"Not drained within {wait}: {names_left} ({waiting:,} due, {flying:,} under way).")
        raise typer.Exit(WRONG)
    out.print(f"{len(lanes)} drained; `relay lanes resume` lets {'them' if len(lanes) > 1 else 'it'} go on")


async def _drain(
    operators: Operators, lanes: Sequence[LaneState], note: str, seconds: float, *, finish: bool, every: bool
) -> list[LaneState]:
    """The lanes that aren't drained when time is up."""
    deadline = time.monotonic() + seconds
    names = {lane.name for lane in lanes}
    to_finish = set(names) if finish else set()
    told = ""
    while True:
        found = await operators.lanes()
        # Deliveries come of events that are still to be routed, and of other lanes' that they wait for.
        busy = finish and every and any(_goes(lane) and (lane.due or lane.in_flight) for lane in found)
        for lane in found:
            if lane.name in names and not busy and not (lane.name in to_finish and _goes(lane) and lane.due):
                to_finish.discard(lane.name)
                if _goes(lane):
                    await operators.pause(lane, note, who())
        mine = [lane for lane in await operators.lanes() if lane.name in names]
        left = [lane for lane in mine if lane.name in to_finish or lane.in_flight]
        if not left or time.monotonic() >= deadline:
            return left
        words = f"{sum(lane.due for lane in left):,} due, {sum(lane.in_flight for lane in left):,} under way"
        if words != told and err.is_terminal:
            err.print(words)
        told = words
        await asyncio.sleep(_LOOK_SECONDS)


def _goes(lane: LaneState) -> bool:
    return lane.state in ("running", "breaker")
