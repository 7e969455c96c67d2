"""The schema files of a workspace: `.schema/recipe.json` and `.schema/workspace.json`.

They lie beside the recipes because a recipe names its schema by a path relative to itself, and they are meant to be
committed: an editor needs them before any relay has been installed, let alone started. They hold names of sources and
connections, and no setting's value.
"""

from __future__ import annotations

import json
from pathlib import Path

from relay.recipes.schema.parts import Schema
from relay.recipes.schema.recipe import recipe_schema
from relay.recipes.schema.relay_yaml import workspace_schema
from relay.recipes.workspace import Workspace

FOLDER = ".schema"
RECIPE, WORKSPACE = "recipe.json", "workspace.json"

#: The first line of a file, by which an editor finds its schema.
MODELINES = {
    "recipe": f"# yaml-language-server: $schema={FOLDER}/{RECIPE}",
    "workspace": f"# yaml-language-server: $schema={FOLDER}/{WORKSPACE}",
}


def text(schema: Schema) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def texts(workspace: Workspace | None) -> dict[str, str]:
    """Both files by name; without a workspace, as they are for any."""
    return {RECIPE: text(recipe_schema(workspace)), WORKSPACE: text(workspace_schema())}


def write(folder: Path, workspace: Workspace | None) -> list[Path]:
    """Write what isn't there or has changed, into this folder; gives what was written. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / name, text) for name, text in texts(workspace).items() if _read(folder / name) != text]


def stale(workspace: Workspace) -> bool:
    """Whether the workspace has schema files that are no longer what they would be made to."""
    folder = workspace.folder / FOLDER
    return folder.is_dir() and any(_read(folder / name) != text for name, text in texts(workspace).items())


def refresh(workspace: Workspace) -> list[Path]:
    """Bring the workspace's schema files up to date, where it has any; gives what was written."""
    folder = workspace.folder / FOLDER
    if not folder.is_dir():
        return []
    try:
        return write(folder, workspace)
    except OSError:
        # A relay that may only read its recipes works without them.
        return []


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> Path:
    # Renamed into place: an editor that looks meanwhile finds the old one or the new one whole.
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)
    return path
