"""A workspace as it would be with one more recipe: `relay new` and `relay recipes clone` look before they write."""

from __future__ import annotations

from pathlib import Path

from relay.recipes.files import FILE, Files, read_files, recipe_file
from relay.recipes.workspace import Workspace, assembled, read_one, read_setup


def rehearsed(folder: Path, recipe: str, text: str) -> Workspace:
    """Nothing is written. Raises ConfigError as `load_workspace` does."""
    found = read_files(folder)
    files = Files(found.folder, {**found.contents, recipe_file(recipe): text.encode()})
    setup = read_setup(files.folder, files.text(FILE))
    return assembled(files, setup, [read_one(files, each, setup) for each in files.recipes])
