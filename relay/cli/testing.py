"""relay test"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from relay.cli.check import Folder
from relay.cli.common import WRONG, AsJson, err, json_line, not_known, out, the_workspace
from relay.errors import ConfigError
from relay.jsontext import clean
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import TestResult, Workspace
    from relay.recipes.trying.comparing import Difference


def add_to(app: typer.Typer) -> None:
    app.command("test")(run_tests)


def run_tests(
    folder: Folder = None,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="Only this recipe's tests.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write what came into `expect` and `answer`, where you agree.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --update: don't ask, write all of it.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --update: show what would be written, and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the recipes' own tests. Nothing is sent. Exit 1 where one fails.

    [bold]relay test[/]
    [bold]relay test --recipe low-rated-chats[/]
    [bold]relay test --recipe low-rated-chats --update[/]
    """
    from relay import recipes

    if (yes or dry_run) and not update:
        raise ConfigError(f"{'--yes' if yes else '--dry-run'} goes with --update")
    settings = Settings.read({"recipes": folder})
    workspace = the_workspace(settings)
    only = set(map(_stem, recipe)) if recipe else None
    for name in only or ():
        if name not in workspace.recipes and name not in workspace.broken:
            raise not_known("recipe", name, sorted([*workspace.recipes, *workspace.broken]), "--recipe")
    results = recipes.run_tests(workspace, only)
    if update:
        from relay.cli import updating

        done = updating.update(workspace, results, yes=yes, dry_run=dry_run, as_json=as_json)
        workspace, results = done.workspace, done.results
    if not dry_run:
        for result in results:
            _tell(result, as_json=as_json)
    failed = sum(1 for result in results if not result.passed) + _tell_broken(workspace, only)
    if not as_json:
        passed = sum(1 for result in results if result.passed)
        out.print(f"{passed} passed, {failed} failed")
    if failed:
        raise typer.Exit(WRONG)


def _stem(recipe: str) -> str:
    """`low-rated-chats` may be given as its file, too."""
    return Path(recipe).stem if recipe.endswith(".yaml") else recipe


def _tell(result: TestResult, *, as_json: bool) -> None:
    if as_json:
        json_line(_row(result))
        return
    style, word = ("green", "passed") if result.passed else ("bold red", "failed")
    out.print(Text.assemble((word, style), f"  {result.recipe}: {clean(result.name)}"))
    for difference in result.differences:
        show_difference(difference, "        ")


def _tell_broken(workspace: Workspace, only: Iterable[str] | None) -> int:
    broken = [name for name in workspace.broken if only is None or name in only]
    for name in broken:
        err.print(f"[bold red]broken[/]  {name}: see relay check")
    return len(broken)


def show_difference(difference: Difference, margin: str) -> None:
    """Its place, and below it what was expected above what came."""
    out.print(Text(clean(f"{margin}{difference.place}: {difference.about}")))
    for line in difference.lines:
        body = line.lstrip()
        style = "green" if body.startswith(("expected ", "- ")) else "red" if body.startswith(("got ", "+ ")) else ""
        out.print(Text(clean(f"{margin}    {line}"), style))


def _row(result: TestResult) -> dict[str, Any]:
    return {
        "name": f"{result.recipe}: {result.name}",
        "status": "passed" if result.passed else "failed",
        "recipe": result.recipe,
        "passed": result.passed,
        "diff": result.diff,
        "place": str(result.place),
        "differences": [
            {"place": str(one.place), "about": one.about, "lines": list(one.lines)} for one in result.differences
        ],
    }
