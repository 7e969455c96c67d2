"""relay recipes graph|clone"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from relay.cli.common import WRONG, AsJson, Recipes, err, json_line, not_known, out, the_workspace
from relay.errors import ConfigError
from relay.settings import Settings

Format = Literal["mermaid", "svg"]


def add_to(app: typer.Typer) -> None:
    app.command()(graph)
    app.command()(clone)


def graph(
    recipe: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]…", help="Only these, with what they touch; else all.")
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="mermaid, or svg; by the ending of --output where it isn't said, else mermaid."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else standard output.")] = None,
    recipes: Recipes = None,
) -> None:
    """Draw the workspace: sources, recipes, their steps and what waits for what, connections.

    [bold]relay recipes graph --output recipes.svg[/]
    [bold]relay recipes graph closed-chats --format mermaid[/]
    """
    from relay.recipes.drawing.diagram import drawing_of
    from relay.recipes.drawing.mermaid import MOST_CHARACTERS, MOST_EDGES, edges, mermaid
    from relay.recipes.drawing.svg import svg

    workspace = the_workspace(Settings.read({"recipes": recipes}))
    known = sorted([*workspace.recipes, *workspace.broken])
    for name in recipe or ():
        if name not in known:
            raise not_known("recipe", name, known)
    drawing = drawing_of(workspace, set(recipe or ()))
    form = form or ("svg" if output is not None and output.suffix.lower() == ".svg" else "mermaid")
    text = svg(drawing) if form == "svg" else mermaid(drawing)
    if form == "mermaid" and (edges(drawing) > MOST_EDGES or len(text) > MOST_CHARACTERS):
        err.print(
            f"Mermaid draws no more than {MOST_EDGES} lines and {MOST_CHARACTERS:,} characters by itself: "
            "name some recipes, or take --format svg."
        )
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror}") from None
    out.print(f"Wrote {output}: {drawing.title()}.", markup=False)


def clone(
    recipe: Annotated[str, typer.Argument(help="The recipe to copy: its file's name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The copy's name, and its file's.")],
    source: Annotated[str | None, typer.Option("--source", help="What the copy catches in the place of it.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Send to another connection: OLD=NEW; may be repeated."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="The copy's `recipe:` line.")] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """Copy a recipe under another name, comments and all, perhaps for another source and other connections.

    The copy is checked before it is written; nothing is overwritten.

    [bold]relay recipes clone closed-chats closed-chats-us[/]
    [bold]relay recipes clone closed-chats closed-chats-us --source inbox --to crm=drop[/]
    """
    from relay.recipes.drafting.copying import copied
    from relay.recipes.drafting.rehearsal import rehearsed

    settings = Settings.read({"recipes": recipes})
    workspace = the_workspace(settings)
    known = [*workspace.recipes, *workspace.broken]
    found = workspace.recipes.get(recipe) or workspace.broken.get(recipe)
    if found is None:
        raise not_known("recipe", recipe, sorted(known))
    if not re.fullmatch(r"\w[\w-]{0,99}", new):
        raise ConfigError(f"a recipe's name is letters, digits, `-` and `_`, and {new!r} isn't; it names the file too")
    path = settings.recipes / f"{new}.yaml"
    if new in {*known, "relay"} or path.exists():
        raise ConfigError(f"there is a {path.name} already: choose another name, or delete it first")
    if source is not None and source not in workspace.sources:
        raise not_known("source", source, workspace.sources, "--source")
    other = dict(_pair(text) for text in to or ())
    for connection in other.values():
        if connection not in workspace.connections:
            raise not_known("connection", connection, workspace.connections, "--to")
    about = workspace.recipes[recipe].name if recipe in workspace.recipes else recipe
    text = copied(found.text, str(path), title or f"{about} ({new})", source, other)
    problems = [problem for problem in rehearsed(settings.recipes, new, text).problems if problem.recipe == new]
    is_wrong = any(problem.severity == "error" for problem in problems)
    for problem in problems:
        err.print(f"{problem.place}: {problem.severity}: {problem.message}", markup=False)
    if is_wrong:
        err.print(f"Nothing was written: the copy would be broken. Mend {recipe} first, or change less.")
        raise typer.Exit(WRONG)
    with path.open("x", encoding="utf-8", newline="") as opened:
        opened.write(text)
    changed = [f"catches {source}"] if source is not None else []
    changed += [f"sends to {new_one} in the place of {old}" for old, new_one in other.items()]
    if as_json:
        json_line({"name": new, "status": "cloned", "file": str(path), "from": recipe, "source": source, "to": other})
    else:
        out.print(f"Wrote {path}, a copy of {recipe}" + "".join(f"; it {one}" for one in changed) + ".", markup=False)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old.strip() or not new.strip():
        raise ConfigError(f"--to {text!r}: write OLD=NEW")
    return old.strip(), new.strip()
