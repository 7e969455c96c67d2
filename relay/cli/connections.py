"""relay connections list|test|host-key"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import (
    WRONG,
    All,
    AsJson,
    Data,
    Recipes,
    RedisUrl,
    json_line,
    not_known,
    out,
    printable,
    show,
    the_workspace,
    with_operators,
)
from relay.cli.host_key import Timeout, host_key, seconds
from relay.errors import ConfigError, StoreError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.connector import Check
    from relay.lanes import LaneState
    from relay.recipes import Connection, Workspace

app = typer.Typer(no_args_is_help=True, help="Where deliveries go: list, test, fetch a server's host key.")

COLUMNS = ("name", "status", "connector", "used_by", "reason")

_AT_ONCE = 8
#: What a check that hangs in spite of its own timeout is given beside that.
_GRACE_SECONDS = 5.0
_MARKS = {"ok": "green", "missing": "yellow", "incomplete": "yellow", "untested": "yellow", "failed": "bold red"}


@app.command("list")
def list_(
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1000,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Every connection: its connector, the state of its lane where a relay runs, and the recipes that use it.

    [bold]relay connections list[/]
    """
    del since  # every list takes it; a connection is as it is now
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    workspace = the_workspace(settings)
    lanes = _lanes(settings)
    rows = [_row(one, workspace, lanes) for one in workspace.connections.values()][:limit]
    columns = COLUMNS if any(row["reason"] for row in rows) else COLUMNS[:-1]
    show(
        rows if as_json else [{**row, "used_by": ", ".join(row["used_by"])} for row in rows],
        columns,
        as_json=as_json,
        empty="No connections: relay.yaml has none.",
    )


def _lanes(settings: Settings) -> dict[str, LaneState]:
    """By name; none where no relay can be reached."""
    try:
        return {lane.name: lane for lane in with_operators(settings, lambda operators: operators.lanes())}
    except StoreError:
        return {}


def _row(one: Connection, workspace: Workspace, lanes: dict[str, LaneState]) -> dict[str, Any]:
    from relay.store import DELIVER_QUEUE, connection_lane

    lane = lanes.get(connection_lane(one.name))
    if lane is not None and lane.queue != DELIVER_QUEUE:
        lane = None
    # What relay.yaml lacks is known without a lane; what stops a complete connection only with it.
    status = "incomplete" if one.held else lane.state if lane is not None else "ok"
    return {
        "name": one.name,
        "status": status,
        "connector": one.connector or None,
        "lane": lane.state if lane is not None else None,
        "waiting": lane.waiting if lane is not None else None,
        "used_by": _users(workspace, one.name),
        "reason": one.held or (lane.reason if lane is not None else "") or None,
    }


def _users(workspace: Workspace, connection: str) -> list[str]:
    recipes = workspace.recipes.values()
    return [recipe.id for recipe in recipes if any(step.to == connection for step in recipe.steps.values())]


@app.command("test")
def try_each(
    names: Annotated[list[str] | None, typer.Argument(help="Connections, as relay.yaml names them.")] = None,
    every: All = False,
    timeout: Timeout = "15s",
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
) -> None:
    """Make a harmless call with each connection's settings, and say what keeps deliveries from arriving.

    Nothing is written at the destination. Where it has no such call, that is said, and its host is connected to.

    [bold]relay connections test crm[/]
    [bold]relay connections test --all --timeout 30s[/]
    """
    if bool(names) == every:
        raise ConfigError("say which connections, or --all; `relay connections list` names them")
    settings = Settings.read({"recipes": recipes, "data": data})
    workspace = the_workspace(settings)
    for name in names or ():
        if name not in workspace.connections:
            raise not_known("connection", name, workspace.connections)
    chosen = [workspace.connections[name] for name in dict.fromkeys(names or workspace.connections)]
    rows = asyncio.run(_tested(settings, chosen, seconds(timeout)))
    if as_json:
        for row in rows:
            json_line(row)
    else:
        _tell(rows)
    if any(row["status"] in ("missing", "incomplete", "failed") for row in rows):
        raise typer.Exit(WRONG)


async def _tested(settings: Settings, chosen: Sequence[Connection], timeout: timedelta) -> list[dict[str, Any]]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(connection: Connection) -> dict[str, Any]:
        async with places:
            return await _tried(settings, connection, timeout)

    return await asyncio.gather(*map(one, chosen))


async def _tried(settings: Settings, connection: Connection, timeout: timedelta) -> dict[str, Any]:
    from relay.errors import DeliveryError

    def row(status: str, found: str = "", missing: Sequence[str] = (), cause: str | None = None) -> dict[str, Any]:
        said = {"found": found or None, "missing": list(missing), "cause": cause}
        return {"name": connection.name, "status": status, "connector": connection.connector or None, **said}

    if connection.held is not None or connection.config is None:
        return row("incomplete", missing=[connection.held or "it has no settings"])
    try:
        async with asyncio.timeout(timeout.total_seconds() + _GRACE_SECONDS):
            check = await _checked(settings, connection, timeout)
    except NotImplementedError:
        return row("untested", f"the connector {connection.connector} has no harmless call, so nothing was tried")
    except DeliveryError as error:
        return row("failed", missing=[error.message], cause=error.cause)
    except TimeoutError:
        return row("failed", missing=["there was no answer in time; --timeout gives it longer"], cause="no answer")
    except Exception as error:  # noqa: BLE001 - nobody foresaw it, and its words may hold a secret
        return row("failed", missing=[f"the connector {connection.connector} failed with {type(error).__name__}"])
    return row("missing" if check.missing else "ok", check.found, check.missing)


async def _checked(settings: Settings, connection: Connection, timeout: timedelta) -> Check:
    from relay.connector import Connector, Context, connector_class

    made: Connector[Any] = connector_class(connection.connector)(connection.config, Context(settings.data))
    try:
        return await made.check(timeout)
    finally:
        await made.aclose()


def _tell(rows: Sequence[dict[str, Any]]) -> None:
    """One line for each; those that lack several things have a line for each of them."""
    if not rows:
        out.print("[dim]No connections: relay.yaml has none.[/]")
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        style = _MARKS[row["status"]]
        first, *more = [row["found"], *row["missing"]] if row["found"] else row["missing"]
        out.print(f"{row['name']:<{width}}  [{style}]{row['status']:<10}[/]  ", end="")
        out.print(printable(first), markup=False)
        for line in more:
            out.print(" " * (width + 14) + printable(line), markup=False)


app.command("host-key")(host_key)
