"""relay init | check | test | try | connectors"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from relay.cli.common import WRONG, AsJson, Recipes, err, json_line, many, not_known, out, the_workspace, wide
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Problem, TryResult

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The workspace. [dim]RELAY_RECIPES, recipes[/]")]


def add_to(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(check)
    app.command("test")(run_tests)
    app.command("try")(try_)
    app.command()(connectors)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write it.")] = Path("recipes"),
) -> None:
    """Write a starter workspace: an example that works as it is.

    [bold]relay init[/]
    """
    from relay import starter

    starter.write(folder, Settings.read().port)
    starter.ensure_key(folder)
    flag = "" if folder == Path("recipes") else f" --recipes {shlex.quote(str(folder))}"
    out.print(f"Wrote a starter workspace into [bold]{folder}/[/]. Run it with: relay up{flag}")


def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Find every mistake in a workspace: file, line, column, what is wrong, what to do. Exit 1 where there are errors.

    [bold]relay check[/]
    [bold]relay check my-recipes --json[/]
    """
    settings = Settings.read({"recipes": folder})
    try:
        workspace = the_workspace(settings)
    except ConfigError as error:
        if as_json:
            json_line({"name": str(error.place or settings.recipes), "status": "error", "message": error.message})
        else:
            err.print(f"{error}", markup=False)
        raise typer.Exit(WRONG) from None
    for problem in workspace.problems:
        if as_json:
            json_line(_problem_row(problem))
        else:
            style = "bold red" if problem.severity == "error" else "yellow"
            out.print(f"{problem.place}: ", end="", markup=False)
            out.print(f"[{style}]{problem.severity}:[/] ", end="")
            out.print(problem.message, markup=False)
    errors = len(workspace.errors)
    warnings = len(workspace.problems) - errors
    if not as_json:
        counts = f"{many(len(workspace.recipes) + len(workspace.broken), 'recipe')}, {many(errors, 'error')}"
        err.print(f"{settings.recipes}: {counts}, {many(warnings, 'warning')}")
    if errors:
        raise typer.Exit(WRONG)


def _problem_row(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "name": str(place),
        "status": problem.severity,
        "message": problem.message,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "recipe": problem.recipe,
    }


def run_tests(
    folder: Folder = None,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="Only this recipe's tests.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the recipes' own tests. Nothing is sent. Exit 1 where one fails.

    [bold]relay test[/]
    [bold]relay test --recipe low-rated-chats[/]
    """
    from relay import recipes

    settings = Settings.read({"recipes": folder})
    workspace = the_workspace(settings)
    for name in recipe or ():
        if name not in workspace.recipes and name not in workspace.broken:
            raise not_known("recipe", name, sorted([*workspace.recipes, *workspace.broken]), "--recipe")
    results = recipes.run_tests(workspace, set(recipe) if recipe else None)
    for result in results:
        if as_json:
            row = dataclasses.asdict(result) | {"place": str(result.place)}
            json_line(
                {"name": f"{result.recipe}: {result.name}", "status": "passed" if result.passed else "failed", **row}
            )
        elif result.passed:
            out.print(f"[green]passed[/]  {result.recipe}: {result.name}")
        else:
            out.print(f"[bold red]failed[/]  {result.recipe}: {result.name}")
            out.print("        " + result.diff.replace("\n", "\n        "), markup=False)
    broken = [name for name in workspace.broken if not recipe or name in recipe]
    for name in broken:
        err.print(f"[bold red]broken[/]  {name}: see relay check")
    failed = sum(1 for result in results if not result.passed) + len(broken)
    if not as_json:
        out.print(f"{len(results) + len(broken) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(WRONG)


def try_(
    recipe: Annotated[str, typer.Argument(help="The recipe: its file, or its file's name.")],
    event: Annotated[Path, typer.Option("--event", help="A file with a body, as the sender would post it.")],
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A header of the request, K:V; may be repeated.")
    ] = None,
    reply: Annotated[
        list[str] | None, typer.Option("--reply", help="What a step's destination answers, STEP=FILE.json.")
    ] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """Show what a recipe would send for an event: method, URL, headers with secrets hidden, body, rows. Sends nothing.

    [bold]relay try low-rated-chats --event recipes/samples/chat-closed.json[/]
    """
    from relay.recipes import sample_event, try_event

    settings = Settings.read({"recipes": recipes})
    workspace = the_workspace(settings)
    name = Path(recipe).stem
    if name in workspace.broken:
        for problem in workspace.broken[name].problems:
            err.print(str(problem), markup=False)
        raise typer.Exit(WRONG)
    found = workspace.recipes.get(name)
    if found is None:
        raise not_known("recipe", name, workspace.recipes)
    if not event.is_file():
        raise ConfigError(f"--event {event}: no such file")
    headers = dict(_pair(text, ":", "--header") for text in header or ())
    replies = {step: _json_file(path) for step, path in (_pair(text, "=", "--reply") for text in reply or ())}
    results = try_event(found, workspace, sample_event(found.catch, event, headers=headers), replies)
    for result in results:
        if as_json:
            json_line(_try_row(result))
        else:
            _print_try(result)
    if any(result.error for result in results):
        raise typer.Exit(WRONG)


def _try_row(result: TryResult) -> dict[str, Any]:
    status = "error" if result.error else "skipped" if result.skipped else "waits" if result.waits else "would send"
    row = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {"name": result.step, "status": status, **row, "place": str(result.place) if result.place else None}


def _print_try(result: TryResult) -> None:
    action = f" {result.do}" if result.do else ""
    out.print(f"[bold]{result.step}[/] → {result.connection} ({result.connector}{action})")
    for label, text, style in (
        ("error", result.error, "bold red"),
        ("skipped", result.skipped, "yellow"),
        ("waits", result.waits, "yellow"),
        ("held", result.held, "yellow"),
    ):
        if text:
            out.print(f"  [{style}]{label}:[/] ", end="")
            out.print(text, markup=False)
    if result.preview is not None:
        lines = orjson.dumps(result.preview, option=orjson.OPT_INDENT_2, default=str).decode()
        out.print("  " + lines.replace("\n", "\n  "), markup=False)


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


def connectors(
    name: Annotated[str | None, typer.Argument(help="One connector, whole.")] = None, as_json: AsJson = False
) -> None:
    """The destinations there are, or all that one understands.

    [bold]relay connectors[/]
    [bold]relay connectors http[/]
    """
    from relay.connector import connector_class, connector_names, describe

    if name is not None:
        wide(describe(name))
        return
    for each in connector_names():
        found = connector_class(each)
        actions = [action.name for action in found.actions]
        if as_json:
            json_line({"name": each, "status": "installed", "summary": found.summary, "actions": actions})
        else:
            out.print(f"[bold]{each:<12}[/] {found.summary}  [dim]{', '.join(actions)}[/]")
