"""relay check"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.common import WRONG, AsJson, err, json_line, many, not_known, out, the_workspace, wide
from relay.errors import ConfigError, Place
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Problem, Workspace

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The workspace. [dim]RELAY_RECIPES, recipes[/]")]


def add_to(app: typer.Typer) -> None:
    app.command()(check)


def check(
    folder: Folder = None,
    as_json: AsJson = False,
    form: Annotated[
        str, typer.Option("--format", help="text, json (the same as --json), github (annotations), or sarif.")
    ] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where there are warnings, too.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="Leave out warnings of this code; may be repeated.")
    ] = None,
) -> None:
    """Find every mistake in a workspace: file, line, column, what is wrong, what to do. Exit 1 where there are errors.

    [bold]relay check[/]
    [bold]relay check my-recipes --format github --strict --ignore unset-secret[/]
    """
    from relay.cli import check_formats
    from relay.recipes.codes import WARNINGS

    if form not in check_formats.FORMATS:
        raise not_known("format", form, check_formats.FORMATS, "--format")
    for code in ignore or ():
        if code not in WARNINGS:
            raise not_known("warning", code, WARNINGS, "--ignore")
    form = "json" if as_json else form
    settings = Settings.read({"recipes": folder})
    workspace, found = _look(settings)
    problems = [one for one in found if one.severity == "error" or one.code not in (ignore or ())]
    if form == "sarif":
        json_line(check_formats.sarif(problems))
    for problem in problems:
        if form == "json":
            json_line(check_formats.row(problem))
        elif form == "github":
            wide(check_formats.github(problem))
        elif form == "text":
            _tell(problem, unreadable=workspace is None)
    errors, warnings = check_formats.counts(problems)
    if workspace is not None:
        _sum_up(settings, workspace, errors, warnings, quiet=form == "json")
    if errors or (strict and warnings):
        raise typer.Exit(WRONG)


def _look(settings: Settings) -> tuple[Workspace | None, Sequence[Problem]]:
    """The workspace and what is wrong with it; None where relay.yaml can't be read as a whole."""
    from relay.recipes import Problem

    try:
        workspace = the_workspace(settings)
    except ConfigError as error:
        return None, [Problem(error.place or Place(str(settings.recipes)), "error", error.message)]
    return workspace, workspace.problems


def _tell(problem: Problem, *, unreadable: bool) -> None:
    if unreadable:
        err.print(str(problem), markup=False)
        return
    style = "bold red" if problem.severity == "error" else "yellow"
    out.print(f"{problem.place}: ", end="", markup=False)
    out.print(f"[{style}]{problem.severity}:[/] ", end="")
    out.print(problem.message, markup=False)


def _sum_up(settings: Settings, workspace: Workspace, errors: int, warnings: int, *, quiet: bool) -> None:
    from relay.recipes import schema

    if quiet:
        return
    counts = f"{many(len(workspace.recipes) + len(workspace.broken), 'recipe')}, {many(errors, 'error')}"
    err.print(f"{settings.recipes}: {counts}, {many(warnings, 'warning')}")
    if schema.stale(workspace):
        err.print(f"{settings.recipes}/{schema.FOLDER} is out of date: `relay schema --write` renews it", markup=False)
