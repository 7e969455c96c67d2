"""relay events list|show|tail|replay"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import (
    WRONG,
    All,
    AsJson,
    Data,
    DryRun,
    Limit,
    Recipes,
    RedisUrl,
    Since,
    Until,
    Yes,
    cell,
    confirm,
    err,
    json_line,
    many,
    moment_ms,
    one_of,
    out,
    printable,
    progress,
    show,
    tell_counts,
    the_workspace,
    who,
    wide,
    with_operators,
)
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Workspace
    from relay.store import Operators, StoredEvent

app = typer.Typer(no_args_is_help=True, help="What was caught: list, show, tail, replay.")

COLUMNS = ("id", "status", "source", "type", "received_at", "bytes", "deliveries")

Source = Annotated[str | None, typer.Option("--source", help="Only this source's.")]
Status = Annotated[str | None, typer.Option("--status", help="caught, routed, skipped, undecodable or handshake.")]

STATUSES = ("caught", "routed", "skipped", "undecodable", "handshake")


@app.command("list")
def list_(
    source: Source = None,
    status: Status = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """The latest events.

    [bold]relay events list --source chat --since 2h[/]
    [bold]relay events list --json | jq -r .id[/]
    """
    from relay.store import Filter

    wanted = Filter(
        source=source,
        status=one_of(status, STATUSES, "--status"),
        since_ms=moment_ms(since, "--since"),
        until_ms=moment_ms(until, "--until"),
    )

    async def act(operators: Operators) -> list[dict[str, Any]]:
        rows = []
        async for stored in operators.list_events(wanted):
            rows.append(stored.as_json())
            if len(rows) >= limit:
                break
        return rows

    rows = with_operators(Settings.read({"data": data, "redis_url": redis_url}), act)
    show(rows, COLUMNS, as_json=as_json, empty="No events.")


@app.command("show")
def show_(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    body: Annotated[bool, typer.Option("--body", help="Only the body, byte for byte.")] = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """One event: its headers (secrets hidden), its body, its deliveries, and recipes that passed it over.

    [bold]relay events show evt_06a…[/]
    [bold]relay events show evt_06a… --body > event.json[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})

    async def act(operators: Operators) -> tuple[StoredEvent | None, list[dict[str, Any]], list[dict[str, str]]]:
        stored = await operators.store.event(event)
        ids = stored.deliveries if stored else ()
        found = [delivery.as_json() for delivery in await operators.store.deliveries(ids) if delivery is not None]
        taken = {delivery["recipe"] for delivery in found}
        passed = [one.as_json() for one in await operators.store.passed_over(event) if one.recipe not in taken]
        return stored, found, passed

    stored, found, passed_over = with_operators(settings, act)
    if stored is None:
        err.print(f"There is no event {event}.")
        raise typer.Exit(WRONG)
    if body:
        import sys

        sys.stdout.buffer.write(stored.event.body)
        return
    view = redacted(settings, stored)
    if as_json:
        json_line({**view, "deliveries": found, "passed_over": passed_over})
        return
    for name in ("id", "status", "source", "type", "received_at", "method", "path", "remote", "key"):
        out.print(f"[bold]{name.replace('_', ' '):<12}[/] {cell(view[name])}", markup=True)
    for title in ("headers", "query"):
        for name, value in dict(view[title]).items():
            out.print(printable(f"{title:<12} {name}: {value}"), markup=False, style="dim")
    out.print()
    wide(view["body"] or "(no body)")
    out.print()
    show(found, ("id", "status", "recipe", "step", "attempts", "summary"), as_json=False, empty="No deliveries.")
    if passed_over:
        out.print(f"\nPassed over by {many(len(passed_over), 'recipe')}:")
        show(passed_over, ("recipe", "why"), as_json=False, empty="")


def redacted(settings: Settings, stored: StoredEvent) -> dict[str, Any]:
    """An event as operators see it: what proves the sender is hidden."""
    from relay.sources.redact import redact_body, redact_headers, redact_path, redact_query

    try:
        source = the_workspace(settings).sources.get(stored.event.source)
    except ConfigError:
        source = None
    config = source.config if source is not None else None
    event = stored.event
    return {
        **stored.as_json(),
        "path": redact_path(event.path),
        "remote": event.remote,
        "key": event.key,
        "headers": redact_headers(event.headers, config.secret_headers if config else ()),
        "query": redact_query(event.query, config.secret_params if config else ()),
        "body": redact_body(event.body.decode(errors="replace"), config.secrets if config else ()),
    }


@app.command()
def tail(
    source: Source = None,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Print events as they come. Ctrl-C ends it.

    [bold]relay events tail --source chat[/]
    """
    import time

    from relay.store import Filter

    async def act(operators: Operators) -> None:
        since_ms, seen = time.time_ns() // 1_000_000, set[str]()
        while True:
            wanted = Filter(source=source, since_ms=since_ms)
            events = operators.list_events(wanted, oldest_first=True)
            fresh = [stored async for stored in events if stored.event.id not in seen]
            for stored in fresh:
                row = stored.as_json()
                if as_json:
                    json_line(row)
                else:
                    out.print(f"{row['received_at']}  {row['id']}  {row['source']}  {row['type']}  {row['bytes']} B")
            if fresh:
                newest = max(stored.event.received_ms for stored in fresh)
                # Another event of the same moment may still come.
                since_ms, seen = newest - 1000, {s.event.id for s in fresh} | seen
                seen = set(sorted(seen)[-5000:])
            await asyncio.sleep(0.5)

    try:
        with_operators(Settings.read({"data": data, "redis_url": redis_url}), act)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Events' ids.")] = None,
    source: Source = None,
    status: Status = None,
    since: Since = None,
    until: Until = None,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Route events again by the recipes as they are now. What is under way goes on; what has ended runs again.

    [bold]relay events replay evt_06a… evt_06b…[/]
    [bold]relay events replay --source shop --since 2h --dry-run[/]
    """
    from relay.replay import Replayer
    from relay.store import HANDSHAKE, Filter

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    if not ids and not every and not any((source, status, since, until)):
        raise ConfigError("say which: ids, a filter (--source, --status, --since, --until), or --all")
    wanted = Filter(
        source=source,
        status=one_of(status, STATUSES, "--status"),
        since_ms=moment_ms(since, "--since"),
        until_ms=moment_ms(until, "--until"),
    )
    workspace: Workspace = the_workspace(settings)

    async def find(operators: Operators) -> list[StoredEvent]:
        if ids:
            found = dict(zip(ids, await operators.store.events(ids), strict=True))
            for missing in (id_ for id_, stored in found.items() if stored is None):
                err.print(f"There is no event {missing}.")
            for question in (id_ for id_, stored in found.items() if stored is not None and stored.status == HANDSHAKE):
                err.print(f"{question} is a handshake, which has been answered: there is nothing to replay.")
            return [stored for stored in found.values() if stored is not None and stored.status != HANDSHAKE]
        return [one async for one in operators.list_events(wanted, oldest_first=True) if one.status != HANDSHAKE]

    found = with_operators(settings, find)
    if dry_run or not found:
        show([stored.as_json() for stored in found], COLUMNS, as_json=as_json, empty="No events.")
        err.print(f"{len(found)} would be replayed.")
        raise typer.Exit(WRONG if ids and len(found) < len(ids) else 0)
    confirm(f"Route {many(len(found), 'event')} again?", yes=yes or len(ids or ()) == 1)

    async def act(operators: Operators) -> dict[str, int]:
        replayer = Replayer(operators, workspace, who())
        with progress("replaying", len(found)) as bar:
            return dict(await replayer.events(found, lambda more: bar.advance(bar.task_ids[0], more)))

    tell_counts(with_operators(settings, act), as_json=as_json)
    if ids and len(found) < len(ids):
        raise typer.Exit(WRONG)
