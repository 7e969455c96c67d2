"""relay archive list|show|restore"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
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
    confirm,
    err,
    many,
    moment_ms,
    progress,
    show,
    tell_counts,
    with_operators,
)
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.keeping import Archive
    from relay.store import Operators

app = typer.Typer(no_args_is_help=True, help="What was forgotten and written down first: list, show, restore.")

COLUMNS = ("id", "status", "source", "type", "received_at", "ended_at", "bytes", "deliveries")

Folder = Annotated[
    Path | None, typer.Option("--folder", help="The archive's folder. [dim]RELAY_ARCHIVE[/]", show_default=False)
]
Source = Annotated[str | None, typer.Option("--source", help="Only this source's.")]
Day = Annotated[str | None, typer.Option("--day", help="Only what was archived on that day (UTC), such as 2026-03-04.")]


@app.command("list")
def list_(
    source: Source = None,
    since: Since = None,
    until: Until = None,
    day: Day = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """The archived events, those archived last first. --since and --until are about when they were caught.

    [bold]relay archive list --source chat --since 30d[/]
    [bold]relay archive list --day 2026-03-04 --json[/]
    """
    archive = _archive(folder)
    found = _wanted(archive, source, since, until, day)
    show((_row(line) for line in islice(found, limit)), COLUMNS, as_json=as_json, empty="No archived events.")
    _tell_damages(archive)


@app.command("show")
def show_(
    event: Annotated[str, typer.Argument(help="The event's id.")],
    body: Annotated[bool, typer.Option("--body", help="Only the body, byte for byte.")] = False,
    folder: Folder = None,
    recipes: Recipes = None,
) -> None:
    """One archived event with its deliveries and their attempts, as JSON. Secrets are hidden.

    [bold]relay archive show evt_06a…[/]
    [bold]relay archive show evt_06a… --body > event.json[/]
    """
    import sys

    import orjson

    from relay.cli.common import wide
    from relay.cli.events import redacted
    from relay.keeping.archived import event_of
    from relay.store import StoredEvent

    archive = _archive(folder)
    line = next((line for line in archive.events() if line["id"] == event), None)
    _tell_damages(archive)
    if line is None:
        err.print(f"There is no event {event} in {archive.folder}.")
        raise typer.Exit(WRONG)
    caught = event_of(line)
    if body:
        sys.stdout.buffer.write(caught.body)
        return
    ids = tuple(delivery["id"] for delivery in line["deliveries"])
    view = redacted(Settings.read({"recipes": recipes}), StoredEvent(caught, line["status"], ids))
    deliveries = [{name: value for name, value in one.items() if name != "kept"} for one in line["deliveries"]]
    whole = {**view, "ended_at": line["ended_at"], "deliveries": deliveries}
    wide(orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode())


@app.command()
def restore(
    ids: Annotated[list[str] | None, typer.Argument(help="Events' ids.")] = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    day: Day = None,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    folder: Folder = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Put archived events back into the store, as ended: to be looked at and replayed. Nothing is sent by it.

    They are kept for RELAY_KEEP from then on. What is there already stays as it is.

    [bold]relay archive restore evt_06a… evt_06b…[/]
    [bold]relay archive restore --source shop --since 30d --dry-run[/]
    [bold]relay archive restore --day 2026-03-04 --yes[/]
    """
    if not ids and not every and not any((source, since, until, day)):
        raise ConfigError("say which: ids, a filter (--source, --since, --until, --day), or --all")
    archive = _archive(folder)
    found = [line["id"] for line in _wanted(archive, source, since, until, day, ids)]
    for missing in sorted(set(ids or ()) - set(found)):
        err.print(f"There is no event {missing} in {archive.folder}.")
    code = WRONG if set(ids or ()) - set(found) else 0
    settings = Settings.read({"data": data, "redis_url": redis_url})
    if dry_run or not found:
        rows = (_row(line) for line in _wanted(archive, source, since, until, day, ids))
        show(rows, COLUMNS, as_json=as_json, empty="No archived events.")
        err.print(f"{len(found)} would be restored.")
        _tell_damages(archive)
        raise typer.Exit(code)
    confirm(f"Restore {many(len(found), 'event')}?", yes=yes or len(ids or ()) == 1)

    async def act(operators: Operators) -> Counter[str]:
        from relay.keeping.archived import kept_of
        from relay.store import Keeping

        keeping = Keeping(operators.store)
        results: Counter[str] = Counter()
        with progress("restoring", len(found)) as bar:
            for line in _wanted(archive, source, since, until, day, ids):
                kept = kept_of(line)
                is_new = await keeping.bring_back(kept, line["source"], event_ms(line))
                results["restored" if is_new else "there_already"] += 1
                bar.advance(bar.task_ids[0])
        return results

    tell_counts(with_operators(settings, act), as_json=as_json)
    _tell_damages(archive)
    raise typer.Exit(code)


def event_ms(line: dict[str, Any]) -> int:
    """When it was caught."""
    from datetime import datetime

    from relay.clock import to_ms

    return to_ms(datetime.fromisoformat(line["received_at"]))


def _archive(folder: Path | None) -> Archive:
    from relay.keeping import Archive

    configured = Settings.read().archive
    if folder is None and not configured:
        raise ConfigError("name the archive's folder by --folder or RELAY_ARCHIVE; without one nothing is archived")
    return Archive(folder or Path(configured))


def _wanted(
    archive: Archive,
    source: str | None,
    since: str | None,
    until: str | None,
    day: str | None,
    ids: list[str] | None = None,
) -> Iterator[dict[str, Any]]:
    since_ms, until_ms = moment_ms(since, "--since"), moment_ms(until, "--until")
    try:
        of = date.fromisoformat(day) if day is not None else None
    except ValueError:
        raise ConfigError(f"--day {day!r}: write a day such as 2026-03-04") from None
    named = set(ids or ())
    for line in archive.events(of):
        if (
            (not named or line["id"] in named)
            and (source is None or line["source"] == source)
            and (since_ms is None or event_ms(line) >= since_ms)
            and (until_ms is None or event_ms(line) <= until_ms)
        ):
            yield line


def _row(line: dict[str, Any]) -> dict[str, Any]:
    """What a list tells of an event."""
    names = ("id", "source", "status", "type", "received_at", "ended_at", "method", "content_type", "bytes")
    return {**{name: line[name] for name in names}, "deliveries": [one["id"] for one in line["deliveries"]]}


def _tell_damages(archive: Archive) -> None:
    for damage in dict.fromkeys(archive.damages):
        err.print(
            f"[yellow]{damage.file}: {damage.bytes:,} bytes at {damage.at:,} can't be read and were passed over[/]"
        )
