"""relay recipes list|show"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from relay.cli.common import AsJson, Recipes, err, json_line, not_known, show, the_workspace, wide
from relay.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The recipes of the workspace: list, show.")

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
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """A recipe's text, and what is wrong with it.

    [bold]relay recipes show closed-chats[/]
    """
    workspace = the_workspace(Settings.read({"recipes": recipes}))
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
