"""What a process's own folder has that is news: not what other processes were told by folders of theirs.

A folder may lag behind another host's: what it still has of old, and what it doesn't have yet, is no news. News is only
what has changed in it since this process looked before.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Map
from dataclasses import dataclass

from relay.recipes.files import FILE, Files, recipe_file
from relay.recipes.parse import version_of
from relay.recipes.reload import valid_files
from relay.recipes.workspace import Workspace

#: A version and its text; both empty where there is none any more.
Text = tuple[str, str]

_NONE: Text = ("", "")


@dataclass(frozen=True, slots=True)
class Own:
    """What a folder has, by name: the version that was valid last, and empty where none was.

    recipes  by id
    files    relay.yaml, tables and others, by path within the folder
    """

    recipes: Map[str, str]
    files: Map[str, str]


@dataclass(frozen=True, slots=True)
class News:
    """What is to be told of recipes and of other files; and what the folder has, once that has been told."""

    recipes: dict[str, Text]
    files: dict[str, Text]
    own: Own


def news_of(workspace: Workspace, files: Files, before: Own | None, known: Own) -> News:
    """`files` are those of the folder; the workspace is what they make, with others where they have errors. `known` is
    what is in force as far as anybody was told.

    Without a `before` all that differs is news: a process that starts can't tell what changed while there was none.
    """
    own = _own_of(workspace, files)
    last = before or known
    recipes = {
        name: (version, workspace.recipes[name].text)
        for name, version in _changed(own.recipes, before.recipes if before else None, known.recipes)
    }
    texts = {
        name: (version, files.as_is(name))
        for name, version in _changed(own.files, before.files if before else None, known.files)
    }
    # It isn't the folder that it was: a drive that isn't there (yet) takes nothing out of force.
    is_there = FILE in files.contents
    gone = _gone(own.recipes, last.recipes) if is_there else ()
    # A recipe that is in force by an older text may still look into a table that is gone.
    gone_files = _gone(own.files, last.files) if is_there and not workspace.refused else ()
    recipes |= dict.fromkeys(known.recipes.keys() & gone, _NONE)
    texts |= dict.fromkeys(known.files.keys() & gone_files, _NONE)
    return News(recipes, texts, Own(_after(own.recipes, last.recipes, gone), _after(own.files, last.files, gone_files)))


def _own_of(workspace: Workspace, files: Files) -> Own:
    recipes = {name: version_of(files.as_is(recipe_file(name))) for name in files.recipes}
    valid = {recipe.id: recipe.version for recipe in workspace.recipes.values()}
    others = valid_files(workspace, files)
    return Own(
        {name: version if valid.get(name) == version else "" for name, version in recipes.items()},
        {name: others.get(name, "") for name in files.contents},
    )


def _changed(now: Map[str, str], before: Map[str, str] | None, known: Map[str, str]) -> list[tuple[str, str]]:
    return [
        (name, version)
        for name, version in now.items()
        if version and known.get(name) != version and (before is None or before.get(name) != version)
    ]


def _gone(now: Map[str, str], before: Map[str, str]) -> set[str]:
    return before.keys() - now.keys()


def _after(now: Map[str, str], before: Map[str, str], gone: Collection[str]) -> dict[str, str]:
    """What hasn't been told to be gone is remembered; of what has errors now, what was valid."""
    kept = {name: version for name, version in before.items() if name not in gone}
    return kept | {name: version or kept.get(name, "") for name, version in now.items()}
