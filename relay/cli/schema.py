"""relay schema"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.common import Recipes, not_known, out, the_workspace, wide
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Workspace

_WHAT = ("recipe", "workspace")


def add_to(app: typer.Typer) -> None:
    app.command("schema")(print_schema)


def print_schema(
    what: Annotated[
        str, typer.Argument(metavar="[recipe|workspace]", help="Of a recipe, or of relay.yaml.")
    ] = "recipe",
    write: Annotated[bool, typer.Option("--write", help="Write both into the workspace, where editors look.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write both into this folder.")] = None,
    general: Annotated[
        bool, typer.Option("--general", help="Of any workspace, not of this one's sources and connections.")
    ] = False,
    recipes: Recipes = None,
) -> None:
    """Print the JSON Schema by which an editor completes and checks recipes, or relay.yaml.

    A recipe's schema knows the workspace's sources, its connections, and what each of them takes.

    [bold]relay schema --write[/]
    [bold]relay schema workspace > relay-yaml.json[/]
    """
    from relay.recipes import schema

    if what not in _WHAT:
        raise not_known("schema", what, _WHAT)
    settings = Settings.read({"recipes": recipes})
    workspace = None if general else _workspace(settings)
    if write and workspace is None:
        raise ConfigError("--write is for a workspace's own schema; --output DIR takes the general one")
    folders = [output] if output is not None else []
    if write:
        folders.append(settings.recipes / schema.FOLDER)
    if not folders:
        wide(schema.texts(workspace)[f"{what}.json"])
        return
    for folder in folders:
        try:
            written = schema.write(folder, workspace)
        except OSError as error:
            raise ConfigError(f"the schema can't be written into {folder}: {error.strerror}") from None
        for path in written:
            out.print(f"Wrote [bold]{path}[/]")
        if not written:
            out.print(f"{folder} is up to date.")


def _workspace(settings: Settings) -> Workspace | None:
    """None where there is none: the general schema is of use then too."""
    if not (settings.recipes / "relay.yaml").exists():
        return None
    return the_workspace(settings)
