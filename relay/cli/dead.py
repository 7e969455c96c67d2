"""relay dead list|show|replay|edit|discard|export"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
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
    json_line,
    many,
    moment_ms,
    out,
    progress,
    show,
    tell_counts,
    who,
    with_operators,
)
from relay.cli.deliveries import Cause, Connection, Event, Recipe, Step, collect, show_delivery, wanted
from relay.errors import BodyError, ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.store import Operators, StoredDelivery, StoredEvent

app = typer.Typer(no_args_is_help=True, help="What could not be delivered: list, show, replay, edit, discard, export.")

COLUMNS = ("id", "status", "recipe", "step", "item", "connection", "attempts", "changed_at", "summary")

Ids = Annotated[list[str] | None, typer.Argument(help="Dead letters' ids.")]


@app.command("list")
def list_(
    recipe: Recipe = None,
    step: Step = None,
    connection: Connection = None,
    cause: Cause = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Count them by connection and cause.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Dead letters, the latest first.

    [bold]relay dead list --by-cause[/]
    [bold]relay dead list --connection crm --cause "http 404" --json[/]
    """
    filter_ = wanted(
        recipe=recipe,
        step=step,
        connection=connection,
        status="dead",
        cause=cause,
        event=event,
        since=since,
        until=until,
    )
    settings = Settings.read({"data": data, "redis_url": redis_url})
    found = with_operators(settings, lambda operators: collect(operators, filter_, None if by_cause else limit))
    empty = "No dead letters."
    if not by_cause:
        show([letter.as_json() for letter in found], COLUMNS, as_json=as_json, empty=empty)
        return
    groups = Counter((letter.recipe, letter.connection, letter.cause) for letter in found)
    rows = [
        {"name": why, "status": "dead", "recipe": whose, "connection": to, "count": number}
        for (whose, to, why), number in groups.most_common()
    ]
    show(rows, ("count", "name", "recipe", "connection"), as_json=as_json, empty=empty)


@app.command("show")
def show_(
    letter: Annotated[str, typer.Argument(help="The dead letter's id.")],
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """One dead letter: why it died, each attempt, its edits.

    [bold]relay dead show dlv_06a…[/]
    """
    found = show_delivery(letter, as_json=as_json, settings=Settings.read({"data": data, "redis_url": redis_url}))
    if not as_json and found.status.value == "dead":
        err.print(
            f"\n[dim]Its event: relay events show {found.event_id}\n"
            f"Mend the event's body: relay dead edit {letter}\n"
            f"Deliver it again: relay dead replay {letter}[/]"
        )


def _find(settings: Settings, ids: list[str] | None, filter_: dict[str, Any], every: bool) -> list[StoredDelivery]:
    """The deliveries meant by ids, a filter, or --all. Raises ConfigError where none of them is said."""
    if not ids and not every and not any(filter_.values()):
        raise ConfigError("say which: ids, a filter (--recipe, --connection, --cause, --since …), or --all")
    if ids:
        found = dict(zip(ids, with_operators(settings, lambda operators: operators.store.deliveries(ids)), strict=True))
        missing = [id_ for id_, letter in found.items() if letter is None]
        if missing:
            err.print(f"There is no delivery {', '.join(missing)}.")
            raise typer.Exit(WRONG)
        return [letter for letter in found.values() if letter is not None]
    return with_operators(settings, lambda operators: collect(operators, wanted(status="dead", **filter_)))


@app.command()
def replay(
    ids: Ids = None,
    recipe: Recipe = None,
    step: Step = None,
    connection: Connection = None,
    cause: Cause = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    every: All = False,
    version: Annotated[
        str, typer.Option("--version", help="`newest` takes the recipe as it is now, `same` as it was routed with.")
    ] = "newest",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Deliver dead letters again, with the idempotency key of their first attempt.

    A delivered one that is named by its id is sent a second time, with a key of its own; it is asked for first.

    [bold]relay dead replay dlv_06a…[/]
    [bold]relay dead replay --connection crm --cause "http 404" --yes[/]
    [bold]relay dead replay --all --dry-run[/]
    """
    from relay.reload import in_force
    from relay.replay import NEWEST, SAME, Replayer

    if version not in (NEWEST, SAME):
        raise ConfigError(f"--version is newest or same; this is {version!r}")
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    filter_ = _filter(recipe, step, connection, cause, event, since, until)
    found = _find(settings, ids, filter_, every)
    one = len(ids or ()) == 1
    # Oldest first: as they would have gone.
    found.reverse()
    if dry_run or not found:
        show([letter.as_json() for letter in found], COLUMNS, as_json=as_json, empty="No dead letters.")
        err.print(f"{len(found)} would be replayed.")
        return
    delivered = sum(1 for letter in found if letter.status.value == "delivered")
    note = f", {delivered} of them delivered already" if delivered else ""
    confirm(f"Deliver {many(len(found), 'delivery', 'deliveries')} again{note}?", yes=yes or (one and not delivered))

    async def act(operators: Operators) -> dict[str, int]:
        workspace = await in_force(settings.recipes, operators.store)
        replayer = Replayer(operators, workspace, who(), version)
        with progress("replaying", len(found)) as bar:
            return dict(await replayer.deliveries(found, lambda more: bar.advance(bar.task_ids[0], more)))

    tell_counts(with_operators(settings, act), as_json=as_json)


@app.command()
def discard(
    ids: Ids = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")] = "",
    recipe: Recipe = None,
    step: Step = None,
    connection: Connection = None,
    cause: Cause = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    every: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Give dead letters up: they will not be delivered. Who did it, when and why is kept.

    [bold]relay dead discard dlv_06a… --reason "test data"[/]
    """
    if not reason.strip():
        raise ConfigError('--reason is missing: say why, such as --reason "test data"')
    settings = Settings.read({"data": data, "redis_url": redis_url})
    found = _find(settings, ids, _filter(recipe, step, connection, cause, event, since, until), every)
    if dry_run or not found:
        show([letter.as_json() for letter in found], COLUMNS, as_json=False, empty="No dead letters.")
        err.print(f"{len(found)} would be discarded.")
        return
    confirm(f"Discard {many(len(found), 'dead letter')} for good?", yes=yes or len(ids or ()) == 1)

    async def act(operators: Operators) -> Counter[str]:
        results: Counter[str] = Counter()
        with progress("discarding", len(found)) as bar:
            for letter in found:
                results[await operators.discard(letter.id, who=who(), reason=reason.strip())] += 1
                bar.advance(bar.task_ids[0])
        return results

    results = with_operators(settings, act)
    done = results.pop("discarded", 0)
    out.print(f"{done} discarded")
    if results:
        kept = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in sorted(results.items()))
        err.print(f"Left as they are: {kept}.")
        raise typer.Exit(WRONG)


@app.command()
def edit(
    letter: Annotated[str, typer.Argument(help="The dead letter's id.")],
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="The new body; - is standard input. Without it $EDITOR opens.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why; it is kept with the edit.")] = "",
    content_type: Annotated[
        str | None, typer.Option("--content-type", help="Of the new body; as the original's where it isn't said.")
    ] = None,
    then_replay: Annotated[bool, typer.Option("--replay", help="Deliver it again at once.")] = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Mend the body of a dead letter's event. The original stays; the edit is kept beside it, with who and when.

    [bold]relay dead edit dlv_06a… --replay[/]              opens $EDITOR
    [bold]relay dead edit dlv_06a… --file mended.json[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})

    async def find(operators: Operators) -> tuple[StoredDelivery | None, StoredEvent | None, bytes]:
        found = await operators.store.delivery(letter)
        stored = await operators.store.event(found.event_id) if found is not None else None
        edits = await operators.edits(found) if found is not None else []
        return found, stored, edits[-1].body if edits else _unpacked_body(stored)

    found, stored, before = with_operators(settings, find)
    if found is None or stored is None:
        err.print(f"There is no delivery {letter}.")
        raise typer.Exit(WRONG)
    if found.status.value != "dead":
        raise ConfigError(f"{letter} is {found.status.value}; only a dead letter can be edited")
    kind = content_type or stored.event.content_type
    after = _new_body(before, kind, file)
    if after == before:
        err.print("The body is as it was; nothing was kept.")
        raise typer.Exit(0)
    _warn_undecodable(after, kind)

    async def act(operators: Operators) -> int:
        return await operators.keep_edit(letter, who=who(), note=note, body=after, content_type=kind)

    number = with_operators(settings, act)
    out.print(f"Kept edit {number} of {letter}.")
    if then_replay:
        replay([letter], yes=True, recipes=recipes, data=data, redis_url=redis_url)
    else:
        out.print(f"Deliver it with: relay dead replay {letter}")


@app.command()
def export(
    recipe: Recipe = None,
    step: Step = None,
    connection: Connection = None,
    cause: Cause = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Dead letters with their events as JSON Lines, on standard output. Secrets are hidden.

    [bold]relay dead export --connection crm > dead.jsonl[/]
    """
    from relay.cli.events import redacted

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    filter_ = wanted(status="dead", **_filter(recipe, step, connection, cause, event, since, until))

    async def act(operators: Operators) -> list[tuple[StoredDelivery, StoredEvent | None]]:
        letters = await collect(operators, filter_)
        events = await operators.store.events([letter.event_id for letter in letters])
        return list(zip(letters, events, strict=True))

    for letter, stored in with_operators(settings, act):
        whole = redacted(settings, stored) if stored is not None else None
        json_line({**letter.as_json(whole=True), "event": whole})


def _filter(
    recipe: str | None,
    step: str | None,
    connection: str | None,
    cause: str | None,
    event: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    moment_ms(since, "--since")
    moment_ms(until, "--until")
    return {
        "recipe": recipe,
        "step": step,
        "connection": connection,
        "cause": cause,
        "event": event,
        "since": since,
        "until": until,
    }


def _unpacked_body(stored: StoredEvent | None) -> bytes:
    """What an editor is given: not gzip, unless it is gzip that can't be unpacked."""
    from relay.sources.unpack import unpacked

    if stored is None:
        return b""
    try:
        return unpacked(stored.event).body
    except BodyError:
        return stored.event.body


def _new_body(before: bytes, content_type: str, file: Path | None) -> bytes:
    """From a file, from standard input, or from the operator's editor."""
    if file is not None:
        if str(file) == "-":
            return sys.stdin.buffer.read()
        try:
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(f"--file {file}: {error.strerror}") from None
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("body.json" if "json" in content_type else "body.txt")
        path.touch(mode=0o600)
        path.write_bytes(_pretty(before))
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the operator's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigError(f"the editor {editor!r} failed ({error}); set $EDITOR, or give --file") from None
        after = path.read_bytes()
    return before if after == _pretty(before) else after


def _pretty(body: bytes) -> bytes:
    """JSON spread over lines, so that it can be edited; anything else as it is."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2) + b"\n"
    except orjson.JSONDecodeError:
        return body


def _warn_undecodable(body: bytes, content_type: str) -> None:
    from relay.sources.decode import decode

    try:
        decode(body, content_type, (), "POST")
    except BodyError as error:
        err.print(f"[yellow]The new body still can't be decoded:[/] {error}")
