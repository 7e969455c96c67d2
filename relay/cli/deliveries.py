"""relay deliveries list|show"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from relay.cli.common import (
    WRONG,
    AsJson,
    Data,
    Limit,
    RedisUrl,
    Since,
    Until,
    err,
    json_line,
    moment_ms,
    one_of,
    out,
    show,
    with_operators,
)
from relay.model import Status as DeliveryStatus
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.store import Edit, Filter, Operators, StoredDelivery

app = typer.Typer(no_args_is_help=True, help="What was made of events, and how each attempt went: list, show.")

COLUMNS = ("id", "status", "recipe", "step", "item", "connection", "attempts", "changed_at", "summary")

Recipe = Annotated[str | None, typer.Option("--recipe", help="Only this recipe's (its file's name).")]
Step = Annotated[str | None, typer.Option("--step", help="Only this step's.")]
Connection = Annotated[str | None, typer.Option("--connection", help="Only to this connection.")]
Cause = Annotated[str | None, typer.Option("--cause", help="Only where cause or summary has this text.")]
Event = Annotated[str | None, typer.Option("--event", help="Only this event's.")]


def wanted(**of: Any) -> Filter:
    from relay.store import Filter

    of["since_ms"] = moment_ms(of.pop("since", None), "--since")
    of["until_ms"] = moment_ms(of.pop("until", None), "--until")
    return Filter(**of)


async def collect(operators: Operators, filter_: Filter, limit: int | None = None) -> list[StoredDelivery]:
    found = []
    async for delivery in operators.list_deliveries(filter_):
        found.append(delivery)
        if limit is not None and len(found) >= limit:
            break
    return found


@app.command("list")
def list_(
    recipe: Recipe = None,
    step: Step = None,
    connection: Connection = None,
    status: Annotated[
        str | None, typer.Option("--status", help="waiting, retrying, delivered, skipped, dead or discarded.")
    ] = None,
    cause: Cause = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """The latest deliveries.

    [bold]relay deliveries list --status retrying[/]
    [bold]relay deliveries list --event evt_06a… --json[/]
    """
    filter_ = wanted(
        recipe=recipe,
        step=step,
        connection=connection,
        status=one_of(status, [each.value for each in DeliveryStatus], "--status"),
        cause=cause,
        event=event,
        since=since,
        until=until,
    )
    settings = Settings.read({"data": data, "redis_url": redis_url})
    found = with_operators(settings, lambda operators: collect(operators, filter_, limit))
    show([delivery.as_json() for delivery in found], COLUMNS, as_json=as_json, empty="No deliveries.")


@app.command("show")
def show_(
    delivery: Annotated[str, typer.Argument(help="The delivery's id.")],
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """One delivery: each attempt with what was sent and what came back, and the edits.

    [bold]relay deliveries show dlv_06a…[/]
    """
    show_delivery(delivery, as_json=as_json, settings=Settings.read({"data": data, "redis_url": redis_url}))


def show_delivery(delivery: str, *, as_json: bool, settings: Settings) -> StoredDelivery:
    async def act(operators: Operators) -> tuple[StoredDelivery | None, list[Edit]]:
        found = await operators.store.delivery(delivery)
        return found, await operators.edits(found) if found is not None else []

    found, edits = with_operators(settings, act)
    if found is None:
        err.print(f"There is no delivery {delivery}.")
        raise typer.Exit(WRONG)
    row = {**found.as_json(whole=True), "edits": [edit.as_json() for edit in edits]}
    if as_json:
        json_line(row)
        return found
    names = ["id", "status", "summary", "cause", "recipe", "version", "step", "connection", "event", "next_at"]
    names[7:7] = [name for name in ("item", "batch") if row[name]]
    for name in names:
        out.print(f"[bold]{name.replace('_', ' '):<12}[/] ", end="")
        out.print(str(row[name] or "–"), markup=False)
    for attempt in row["attempts"]:
        out.print(f"\n[bold]attempt {attempt['attempt']}[/]  {attempt['at']}  {attempt['took_ms']} ms", end="  ")
        out.print(f"{attempt['outcome']}: {attempt['summary']}", markup=False)
        for what in ("sent", "received"):
            if attempt[what]:
                text = orjson.dumps(attempt[what], option=orjson.OPT_INDENT_2).decode()
                out.print(f"[dim]{what}[/]")
                out.print(text, markup=False)
    for edit in row["edits"]:
        out.print(f"\n[bold]edit {edit['edit']}[/]  {edit['at']}  by {edit['by']}  {edit['note']}")
        out.print(edit["body"], markup=False)
    return found
