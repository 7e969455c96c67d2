"""relay lanes list|pause|resume|limit"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import (
    WRONG,
    All,
    AsJson,
    Data,
    DryRun,
    RedisUrl,
    Yes,
    confirm,
    err,
    many,
    one_of,
    out,
    show,
    who,
    with_operators,
)
from relay.clock import isoformat
from relay.errors import ConfigError
from relay.settings import Settings
from relay.units import parse_rate

if TYPE_CHECKING:
    from relay.lanes import LaneState
    from relay.store import Operators

app = typer.Typer(no_args_is_help=True, help="The queues in front of connections: list, pause, resume, limit, drain.")

COLUMNS = ("name", "status", "waiting", "in_flight", "concurrency", "rate", "next_at", "reason")

STATES = ("running", "paused", "held", "off", "breaker", "incomplete", "broken")

Names = Annotated[list[str] | None, typer.Argument(help="Lanes: connections' names, in:<source>, recipe:<recipe>.")]


@app.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option("--status", help="running, paused, held, off, breaker, incomplete or broken.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1000,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Every lane: what waits, what is in flight, and what holds it.

    [bold]relay lanes list[/]
    [bold]relay lanes list --status held[/]
    """
    del since  # every list takes it; a lane is as it is now
    one_of(status, STATES, "--status")
    found = with_operators(Settings.read({"data": data, "redis_url": redis_url}), lambda ops: ops.lanes())
    rows = [row(lane) for lane in found if status is None or lane.state == status]
    show(rows[:limit], COLUMNS, as_json=as_json, empty="No lanes.")


def row(lane: LaneState) -> dict[str, Any]:
    seconds = lane.period.total_seconds()
    return {
        "name": lane.name,
        "status": lane.state,
        "reason": "; ".join(filter(None, _reasons(lane))),
        "since": isoformat(lane.since_us // 1000) if lane.since_us else None,
        "queue": lane.queue,
        "waiting": lane.waiting,
        "due": lane.due,
        "in_flight": lane.in_flight,
        "concurrency": lane.concurrency or None,
        "getting_on": lane.getting_on or None,
        "rate": f"{lane.rate}/{seconds:g}s" if lane.rate else None,
        "by_hand": lane.by_hand or None,
        "next_at": isoformat(lane.next_due_us // 1000) if lane.next_due_us else None,
    }


def _reasons(lane: LaneState) -> Iterator[str]:
    yield lane.reason
    if lane.state == "running" and lane.getting_on:
        yield f"getting on after a stop: {lane.getting_on} at once"
    if lane.by_hand:
        yield f"limited by hand ({lane.by_hand})"


@app.command()
def pause(
    names: Names = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to everybody.")] = "",
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Deliver nothing more through these lanes until they are resumed. What comes meanwhile waits; nothing is lost.

    [bold]relay lanes pause crm --reason "migration until noon"[/]
    """
    settings = Settings.read({"data": data, "redis_url": redis_url})
    lanes = named(settings, names, every)
    note = f"{reason.strip() or 'paused'} ({who_and_when()})"

    async def act(operators: Operators) -> int:
        return sum([await operators.pause(lane, note, who()) for lane in lanes])

    _change(settings, lanes, act, "Pause", "paused", yes=yes or len(lanes) == 1, dry_run=dry_run)


@app.command()
def resume(
    names: Names = None,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Let paused, held and switched-off lanes go on, and one whose breaker is open try at once.

    [bold]relay lanes resume crm[/]
    """
    settings = Settings.read({"data": data, "redis_url": redis_url})
    lanes = named(settings, names, every)

    async def act(operators: Operators) -> int:
        return sum([await operators.resume(lane, who()) for lane in lanes])

    _change(settings, lanes, act, "Resume", "resumed", yes=yes or len(lanes) == 1, dry_run=dry_run)


@app.command()
def limit(
    names: Names = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="At most so many deliveries at once.")
    ] = None,
    rate: Annotated[str | None, typer.Option("--rate", help="At most so many in a time: 60/min, 10/s.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to the limits of relay.yaml.")] = False,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Limit lanes by hand, in place of relay.yaml, until --reset. What is under way ends.

    [bold]relay lanes limit crm --concurrency 2 --rate 10/s[/]
    [bold]relay lanes limit crm --reset[/]
    """
    if reset == (concurrency is not None or rate is not None):
        raise ConfigError("say --concurrency, --rate or both; or --reset alone")
    try:
        count = parse_rate(rate) if rate is not None else None
    except ValueError as error:
        raise ConfigError(f"--rate: {error}") from None
    settings = Settings.read({"data": data, "redis_url": redis_url})
    lanes = named(settings, names, every)
    for lane in lanes:
        if lane.queue != "deliver":
            raise ConfigError(f"{lane.name} is not a connection's lane; only these have limits")
    how = who_and_when()

    async def act(operators: Operators) -> int:
        if reset:
            return sum([await operators.unlimit(lane, who()) for lane in lanes])
        return sum([await operators.limit(lane, concurrency, count, how, who()) for lane in lanes])

    verb, done = ("Reset", "reset") if reset else ("Limit", "limited")
    _change(settings, lanes, act, verb, done, yes=yes or len(lanes) == 1, dry_run=dry_run)


def who_and_when() -> str:
    return f"{who()}, {isoformat(time.time_ns() // 1_000_000)}"


def named(settings: Settings, names: list[str] | None, every: bool) -> list[LaneState]:
    if not names and not every:
        raise ConfigError("say which lanes, or --all; `relay lanes list` names them")
    known = {lane.name: lane for lane in with_operators(settings, lambda operators: operators.lanes())}
    if every:
        return [lane for lane in known.values() if lane.queue == "deliver"]
    for name in names or ():
        if name not in known:
            err.print(f"There is no lane {name}; there are {', '.join(known) or 'none yet'}.")
            raise typer.Exit(WRONG)
    return [known[name] for name in names or ()]


def _change(
    settings: Settings, lanes: list[LaneState], act: Any, verb: str, done: str, *, yes: bool, dry_run: bool
) -> None:
    if dry_run:
        show([row(lane) for lane in lanes], COLUMNS, as_json=False, empty="No lanes.")
        err.print(f"{len(lanes)} would be {done}.")
        return
    confirm(f"{verb} {many(len(lanes), 'lane')}?", yes=yes)
    changed = with_operators(settings, act)
    out.print(f"{changed} {done}" + ("" if changed == len(lanes) else f", {len(lanes) - changed} were already"))
