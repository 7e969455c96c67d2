"""relay recipes list|show; the others of the group are in files of their own"""

from __future__ import annotations

from typing import Annotated, Any

import typer

import relay.cli.graph as graph
import relay.cli.history as history
from relay.cli.common import AsJson, Data, Recipes, RedisUrl, err, json_line, not_known, show, the_workspace, wide
from relay.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The recipes of the workspace, and what they were.")
graph.add_to(app)
history.add_to(app)

COLUMNS = ("name", "status", "catch", "steps", "tests", "version", "about")


@app.command("list")
def list_(as_json: AsJson = False, recipes: Recipes = None) -> None:
    """Every recipe, and whether it can be used.

    [bold]relay recipes list[/]
    """
    workspace = the_workspace(Settings.read({"recipes": recipes}))
    rows: list[dict[str, Any]] = [
        {
            "name": recipe.id,
            "status": "valid",
            "about": recipe.name,
            "catch": recipe.catch,
            "steps": list(recipe.steps),
            "tests": len(recipe.tests),
            "version": recipe.version,
        }
        for recipe in workspace.recipes.values()
    ]
    rows += [
        {"name": broken.id, "status": "broken", "catch": broken.catch, "about": broken.why}
        for broken in workspace.broken.values()
    ]
    show(sorted(rows, key=lambda row: str(row["name"])), COLUMNS, as_json=as_json, empty="No recipes.")


@app.command("show")
def show_(
    recipe: Annotated[str, typer.Argument(help="The recipe's name: its file's.")],
    version: Annotated[
        str | None, typer.Option("--version", help="As it was: a version, or the beginning of one.")
    ] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """A recipe's text, and what is wrong with it.

    [bold]relay recipes show closed-chats[/]
    [bold]relay recipes show closed-chats --version 3f2a[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    if version is not None:
        _show_past(history.past_of(settings, recipe), version, as_json=as_json)
        return
    workspace = the_workspace(settings)
    valid, broken = workspace.recipes.get(recipe), workspace.broken.get(recipe)
    found = valid or broken
    if found is None:
        raise not_known("recipe", recipe, [*workspace.recipes, *workspace.broken])
    problems = [str(problem) for problem in workspace.problems if problem.recipe == recipe]
    if as_json:
        status = "valid" if valid else "broken"
        json_line({"name": recipe, "status": status, "catch": found.catch, "problems": problems, "text": found.text})
        return
    wide(found.text)
    for problem in problems:
        err.print(problem, markup=False)


def _show_past(past: history.Past, words: str, *, as_json: bool) -> None:
    version = past.one(words)
    if as_json:
        status = "in force" if version == past.in_force else "earlier"
        json_line({"name": past.recipe, "status": status, "version": version, "text": past.texts[version]})
    else:
        wide(past.texts[version])
