"""relay capture | new"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.common import (
    WRONG,
    AsJson,
    Data,
    Recipes,
    RedisUrl,
    Yes,
    err,
    json_line,
    many,
    not_known,
    out,
    the_workspace,
)
from relay.errors import BodyError, ConfigError
from relay.settings import Settings
from relay.units import parse_duration

if TYPE_CHECKING:
    from relay.model import Event
    from relay.recipes import Workspace

Mask = Annotated[bool, typer.Option("--mask", help="Put stand-ins in the place of personal data.")]
Header = Annotated[
    list[str] | None, typer.Option("--header", "-H", help="A header of the request, K:V; may be repeated.")
]


def add_to(app: typer.Typer) -> None:
    app.command()(capture)
    app.command()(new)


def capture(
    source: Annotated[str, typer.Argument(help="The source, as relay.yaml names it.")],
    event: Annotated[str | None, typer.Option("--event", help="One that was caught already, by its id.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest that was caught already.")] = False,
    file: Annotated[str | None, typer.Option("--file", help="A file with a body; - is standard input.")] = None,
    header: Header = None,
    name: Annotated[str | None, typer.Option("--as", help="The sample's name, such as closed or closed.json.")] = None,
    mask: Mask = False,
    timeout: Annotated[str | None, typer.Option("--timeout", help="Wait no longer than that: 30s, 10m.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Keep a real event as a sample: the next one that comes, one that was caught already, or a file.

    [bold]relay capture chat[/]
    [bold]relay capture chat --last --mask[/]
    [bold]relay capture chat --file export.json --as closed[/]
    """
    from relay.cli import taking
    from relay.cli.sampling import free, header_flags, named, quoted, recipes_flag, row_of, say_next, tell, write
    from relay.recipes.masking.keeping import kept

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    workspace = the_workspace(settings)
    _known_source(workspace, source)
    if sum((event is not None, last, file is not None)) > 1:
        raise ConfigError("--event, --last and --file: say one of them, or none to wait for the next event")
    if file is not None:
        found = taking.from_file(file, source, _headers(header))
    elif event is not None:
        found = taking.stored(settings, event)
        if found.source != source:
            raise ConfigError(f"{event} came in at the source {found.source}, not at {source}")
    elif last:
        newest = taking.latest(settings, source, 1)
        if not newest:
            err.print(f"No event of {source} is kept. `relay capture {source}` waits for the next one.")
            raise typer.Exit(WRONG)
        found = newest[0]
    else:
        found = taking.upcoming(settings, source, _duration(timeout))
    sample = kept(found, workspace.sources[source], mask=mask)
    name = named(name, sample) if name is not None else free(workspace, found, sample, file)
    path = settings.recipes / name
    write(path, sample, yes=yes)
    if as_json:
        json_line({"name": name, "status": "kept", "event": found.id, **row_of(sample)})
        return
    which = "" if file else f"{found.id} "
    out.print(f"Kept {which}as {path} ({many(len(sample.body), 'byte')}).", markup=False)
    tell(sample)
    flags = header_flags(sample) + recipes_flag(settings)
    say_next(f"relay new --source {source} --event {quoted(path)}{flags}")


def new(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="The recipe's name, and its file's.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Whose events the recipe catches.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="A file, or the id of an event that was caught.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The connection to send to, as relay.yaml names it.")] = None,
    header: Header = None,
    mask: Mask = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Draft a recipe from an event: what is in it, under likely names, to a connection, with a test.

    Nothing is overwritten. Without --event, it is the newest event of the source that was caught, or the newest sample.

    [bold]relay new[/]
    [bold]relay new closed-chats --source chat --event recipes/samples/chat-closed.json --to drop[/]
    """
    from relay.cli import taking
    from relay.cli.sampling import as_tested, header_flags, quoted, recipes_flag, row_of, sample_of, say_next, tell
    from relay.recipes.drafting.draft import Order, draft
    from relay.recipes.drafting.rehearsal import rehearsed
    from relay.recipes.trying.testing import run_tests

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    workspace = the_workspace(settings)
    _has_both(workspace, settings)
    connection = _connection(workspace, to)
    found, file = _event(settings, workspace, source, event, _headers(header))
    recipe = _recipe_name(workspace, recipe, f"{found.source}-to-{connection}")
    try:
        name, sample = sample_of(settings, workspace, found, file, mask=mask)
        seen = taking.others(workspace, found, taking.latest_if_running(settings, found.source))
        beside = {"headers": sample.headers, "query": sample.query}
        tested = as_tested(settings.recipes / name, found, sample)
        text = draft(workspace, Order(recipe, name, tested, connection, seen, beside))
    except BodyError as error:
        err.print(f"No recipe can be drafted from this event: {error}", markup=False)
        raise typer.Exit(WRONG) from None
    path = settings.recipes / f"{recipe}.yaml"
    with path.open("x", encoding="utf-8") as opened:
        opened.write(text)
    checked = rehearsed(settings.recipes, recipe, text)
    failed = [result for result in run_tests(checked, {recipe}) if not result.passed]
    problems = [problem for problem in checked.problems if problem.recipe == recipe]
    if as_json:
        row = {"name": recipe, "status": "drafted", "file": str(path), "sample": name, "connection": connection}
        json_line({**row, "source": found.source, **row_of(sample)})
    else:
        out.print(f"Wrote {path}: what {found.source} sends, to {connection}, and a test with {name}.", markup=False)
        tell(sample, with_headers=False)
        beyond = recipes_flag(settings)
        folder = f" {quoted(settings.recipes)}" if beyond else ""
        say_next(
            f"relay try {recipe} --event {quoted(settings.recipes / name)}{header_flags(sample)}{beyond}",
            f"relay test{folder} --recipe {recipe}",
        )
    for problem in problems:
        err.print(f"{problem.place}: {problem.severity}: {problem.message}", markup=False)
    for result in failed:
        err.print(result.diff, markup=False)
    if failed or any(problem.severity == "error" for problem in problems):
        raise typer.Exit(WRONG)


# --- which source, event, connection, names ---


def _known_source(workspace: Workspace, source: str) -> None:
    if source not in workspace.sources:
        raise not_known("source", source, workspace.sources)


def _has_both(workspace: Workspace, settings: Settings) -> None:
    """Raises ConfigError that says what to write where relay.yaml has no source, or no connection."""
    file = settings.recipes / "relay.yaml"
    if not workspace.sources:
        example = 'sources: {chat: {verify: {header: X-Chat-Key, equals: "${file:secrets/chat-key}"}}}'
        raise ConfigError(f"{file} has no source yet, so no event can come: write one, such as {example}")
    if not workspace.connections:
        example = "connections: {drop: {connector: file, folder: outbox}}"
        raise ConfigError(f"{file} has no connection yet, so nothing can be sent: write one, such as {example}")


def _connection(workspace: Workspace, name: str | None) -> str:
    """The one that is named, or the first."""
    if name is None:
        return next(iter(workspace.connections))
    if name not in workspace.connections:
        raise not_known("connection", name, workspace.connections, "--to")
    return name


def _event(
    settings: Settings, workspace: Workspace, source: str | None, event: str | None, headers: dict[str, str]
) -> tuple[Event, str | None]:
    """(the event, the file that it is from)."""
    from relay.cli import taking

    if source is not None:
        _known_source(workspace, source)
    if event is not None and re.fullmatch(r"evt_\w+", event) and not Path(event).exists():
        found = taking.stored(settings, event)
        if source is not None and found.source != source:
            raise ConfigError(f"{event} came in at the source {found.source}, not at {source}")
        _known_source(workspace, found.source)
        return found, None
    if event is not None:
        return taking.from_file(event, source or _source_of(workspace, Path(event).name), headers), event
    for one in taking.latest_if_running(settings, source):
        if one.source in workspace.sources:
            return one, None
    for each in [source] if source is not None else workspace.sources:
        if files := taking.samples_of(workspace, each):
            return taking.from_file(str(files[0]), each, headers), str(files[0])
    name = source or next(iter(workspace.sources))
    raise ConfigError(
        f"there is no event to draft from: start the relay (`relay up`) and wait for one with `relay capture {name}`, "
        f"or give a file: `relay new --source {name} --event FILE`"
    )


def _source_of(workspace: Workspace, file: str) -> str:
    """The only source there is, or the one that a sample is named after."""
    named = [source for source in workspace.sources if file.startswith(f"{source}-") or Path(file).stem == source]
    if named:
        return max(named, key=len)
    if len(workspace.sources) == 1:
        return next(iter(workspace.sources))
    raise ConfigError(f"say whose event this is: --source {' or '.join(workspace.sources)}")


def _recipe_name(workspace: Workspace, name: str | None, otherwise: str) -> str:
    """A name that no file has. Raises ConfigError."""
    taken = {*workspace.recipes, *workspace.broken, "relay"}
    if name is None:
        numbered = (otherwise if number == 1 else f"{otherwise}-{number}" for number in range(1, len(taken) + 2))
        return next(each for each in numbered if each not in taken)
    name = name.removesuffix(".yaml")
    if not re.fullmatch(r"\w[\w-]{0,99}", name):
        raise ConfigError(f"a recipe's name is letters, digits, `-` and `_`, and {name!r} isn't; it names the file too")
    if name in taken:
        raise ConfigError(f"there is a {name}.yaml already: choose another name, or delete it first")
    return name


# --- flags ---


def _headers(texts: list[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"--header {text!r}: write NAME: VALUE")
        found[name.strip().lower()] = value.strip()
    return found


def _duration(text: str | None) -> timedelta | None:
    try:
        return parse_duration(text) if text is not None else None
    except ValueError as error:
        raise ConfigError(f"--timeout: {error}") from None
