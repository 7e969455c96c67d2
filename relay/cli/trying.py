"""relay try"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from relay.cli.common import (
    WRONG,
    AsJson,
    Data,
    Recipes,
    RedisUrl,
    err,
    json_line,
    not_known,
    the_workspace,
)
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.model import Event
    from relay.recipes import Recipe, Trial, TryAnswer, TryResult, Workspace


def add_to(app: typer.Typer) -> None:
    app.command("try")(try_)


def try_(
    recipe: Annotated[str, typer.Argument(help="The recipe: its file, or its file's name.")],
    event: Annotated[
        str | None,
        typer.Option(
            "--event", help="A file with a body, or the id of an event that was caught. [dim]its first test's[/]"
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A header of the request, K:V; may be repeated.")
    ] = None,
    reply: Annotated[
        list[str] | None, typer.Option("--reply", help="What a step's destination answers, STEP=FILE.json.")
    ] = None,
    step: Annotated[str | None, typer.Option("--step", help="Only this step.")] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Have destinations check it that can do so without doing anything: ga4, azure_devops. "
            "[dim]Needs their secrets.[/]",
        ),
    ] = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Show what a recipe would send for an event: method, URL, headers with secrets hidden, body, rows. Sends nothing.

    With [bold]--live[/], Google Analytics' validation server and Azure DevOps (validateOnly) are asked what is wrong
    with it; no event is recorded and no work item made. Nothing is sent to other destinations.

    [bold]relay try low-rated-chats[/]
    [bold]relay try low-rated-chats --event recipes/samples/chat-closed.json --step ticket[/]
    [bold]relay try low-rated-chats --event evt_06a…[/]
    """
    from relay.recipes import try_event

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    workspace = the_workspace(settings)
    found = _recipe(workspace, recipe)
    if step is not None and step not in found.steps:
        raise not_known("step", step, found.steps, "--step")
    headers = {name.lower(): value for name, value in (_pair(text, ":", "--header") for text in header or ())}
    taken = _event(settings, workspace, found, event, headers)
    tried = replace(taken.event, headers={**taken.event.headers, **headers})
    given = {name: _json_file(path) for name, path in (_pair(text, "=", "--reply") for text in reply or ())}
    for name in given:
        if name not in found.steps:
            raise not_known("step", name, found.steps, "--reply")
    trial = try_event(found, workspace, tried, {**taken.replies, **given})
    if step is not None:
        only = [result for result in trial if result.step == step]
        trial = replace(trial, steps=only, answer=None)
    if live:
        from relay.cli.live import asked

        trial = asked(found, workspace, tried, trial)
    if as_json:
        for row in _rows(trial):
            json_line(row)
    else:
        from relay.cli import tried as words

        words.tell(found, trial, taken.about, whole=step is None)
    if any(result.error or result.found for result in trial) or (trial.answer is not None and trial.answer.error):
        raise typer.Exit(WRONG)


@dataclass(frozen=True, slots=True)
class _Taken:
    """The event that is tried. about: where it is from. replies: those of the test that it is from."""

    event: Event
    about: str
    replies: Mapping[str, Any]


def _recipe(workspace: Workspace, given: str) -> Recipe:
    name = Path(given).stem
    if name in workspace.broken:
        for problem in workspace.broken[name].problems:
            if problem.severity == "error":
                err.print(str(problem), markup=False)
        raise typer.Exit(WRONG)
    found = workspace.recipes.get(name)
    if found is None:
        raise not_known("recipe", name, workspace.recipes)
    return found


def _event(
    settings: Settings, workspace: Workspace, recipe: Recipe, given: str | None, headers: Mapping[str, str]
) -> _Taken:
    """A file, an event of a running relay, or that of the recipe's first test.

    headers  of the request: a content type among them says what a file is whose ending doesn't
    """
    from relay.clock import now_ms
    from relay.recipes import sample_event

    if given is None:
        if not recipe.tests:
            raise ConfigError(
                f"say which event: --event FILE or --event evt_…; {recipe.id} has no test to take one from"
            )
        test = recipe.tests[0]
        path = workspace.folder / test.event
        event = sample_event(
            recipe.catch, path, test.change, headers=test.headers, query=test.query, received_ms=now_ms()
        )
        changed = f", with {' and '.join(test.change)} changed" if test.change else ""
        replies = " and its replies" if test.replies else ""
        return _Taken(event, f"{path}{changed}{replies}, as in the test “{test.name}”", test.replies)
    if given.startswith("evt_") and not Path(given).exists():
        from relay.cli import taking

        event = taking.stored(settings, given)
        if event.source != recipe.catch:
            err.print(f"{given} came in at {event.source}, and the recipe catches {recipe.catch}.", style="yellow")
        received = event.received_at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        return _Taken(event, f"{given} of {event.source}, received {received} UTC", {})
    if not Path(given).is_file():
        raise ConfigError(f"--event {given}: no such file")
    return _Taken(sample_event(recipe.catch, Path(given), headers=headers, received_ms=now_ms()), given, {})


def _rows(trial: Trial) -> Sequence[dict[str, Any]]:
    rows = [_row(result) for result in trial]
    return rows if trial.answer is None else [*rows, _answer_row(trial.answer)]


def _row(result: TryResult) -> dict[str, Any]:
    status = "error" if result.error else "skipped" if result.skipped else "waits" if result.waits else "would send"
    row = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    place = str(result.place) if result.place else None
    return {"name": result.step, "status": status, "kind": "step", **row, "place": place}


def _answer_row(answer: TryAnswer) -> dict[str, Any]:
    status = "error" if answer.error else "skipped" if answer.skipped else "late" if answer.late else "would answer"
    sent = answer.sent
    return {
        "name": "answer",
        "status": status,
        "kind": "answer",
        "http_status": sent.status if sent is not None else None,
        "content_type": sent.content_type if sent is not None else None,
        "headers": dict(sent.headers) if sent is not None else None,
        "text": sent.body.decode(errors="replace") if sent is not None else None,
        "body": answer.body,
        "late": answer.late,
        "skipped": answer.skipped,
        "error": answer.error,
        "place": str(answer.place),
    }


def _pair(text: str, separator: str, flag: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise ConfigError(f"{flag} {text!r}: write NAME{separator}VALUE")
    return name.strip(), value.strip()


def _json_file(path: str) -> Any:
    try:
        return orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"--reply {path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"--reply {path}: not JSON ({error})") from None
