"""What is in force of a workspace whose files change: what is valid, and of the rest what was valid last.

    in force = f(the files, the last valid texts)

No memory of its own decides: processes that see the same files and are told the same texts agree, however many changes
each of them has missed, and a process that starts anew agrees with those that were there all along.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from relay.errors import ConfigError, Place
from relay.recipes.accounts import Connection, Source
from relay.recipes.files import FILE, Files, read_files, recipe_file, secrets_in, table_file
from relay.recipes.hints import looked_up
from relay.recipes.parse import parse_recipe, version_of
from relay.recipes.recipe import Problem, Recipe
from relay.recipes.tables import Table, read_tables, table_of
from relay.recipes.workspace import RecipeFile, Refused, Setup, Workspace, assembled, read_one, read_setup
from relay.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Kept:
    """The texts that were in force last.

    files    by path within the folder, of relay.yaml and tables: as they were when they had no error
    recipes  by id; of a recipe that is out of force there is none
    """

    files: Map[str, str] = field(default_factory=dict)
    recipes: Map[str, str] = field(default_factory=dict)


def with_kept(files: Files, kept: Kept) -> Files:
    """The files; where there is no relay.yaml, with the kept recipes among them.

    A folder without it isn't the one it was: a drive that isn't there (yet) takes no recipe out of force.
    """
    if FILE in files.contents:
        return files
    recipes = {recipe_file(name): text.encode() for name, text in kept.recipes.items()}
    return Files(files.folder, {**recipes, **files.contents})


class Loader:
    """Reads a workspace again and again. What hasn't changed since the last time isn't parsed again."""

    def __init__(
        self, folder: Path, env: Map[str, str] | None = None, breathe: Callable[[], None] = lambda: None
    ) -> None:
        """`breathe` is called after each recipe that was parsed: other threads may want to run."""
        self.folder = Path(folder)
        self._env = env
        self._breathe = breathe
        self._setups: dict[str, tuple[Any, Setup | ConfigError]] = {}
        self._read: dict[str, tuple[Any, RecipeFile]] = {}
        self._last: dict[str, tuple[Any, Recipe | None]] = {}
        self._tables: dict[str, Table] = {}

    def load(self, files: Files | None = None, kept: Kept | None = None) -> Workspace:
        """What is in force. Raises ConfigError where relay.yaml can't be read as a whole, and no other text is kept."""
        files = files if files is not None else read_files(self.folder)
        kept = kept if kept is not None else Kept()
        setup, problems, refused = self._setup(files, kept)
        # One that stands in for a file with errors tells of them: it isn't the one that the same text would be.
        known = {name: table for name, table in self._tables.items() if table.broken or not table.problems}
        self._tables = read_tables(files, known, kept.files)
        setup = replace(setup, tables=self._tables)
        read = [self._one(files, recipe, setup) for recipe in files.recipes]
        # What is in force already goes before what would take its place.
        read.sort(key=lambda one: kept.recipes.get(one.id) != one.text)
        workspace = assembled(files, setup, read, problems, lambda one: self._last_of(one, kept, setup))
        workspace.refused[:0] = [*refused, *_refused_tables(setup)]
        self._forget(files)
        return workspace

    def _setup(self, files: Files, kept: Kept) -> tuple[Setup, tuple[Problem, ...], list[Refused]]:
        """(what is in force of relay.yaml, the problems of the file, whether it is refused)."""
        file = str(files.path(FILE))
        found = self._read_setup("file", files, None)
        problems = found.problems if isinstance(found, Setup) else (_problem(found, file),)
        errors = [problem for problem in problems if problem.severity == "error"]
        last = kept.files.get(FILE)
        if errors and last is not None:
            before = self._read_setup("kept", files, last)
            # Else this version of the relay can't read what an older one could.
            if isinstance(before, Setup):
                return before, problems, [Refused(file, errors[0], len(errors), version=version_of(last))]
        if isinstance(found, ConfigError):
            raise found
        return found, problems, []

    def _read_setup(self, which: str, files: Files, text: str | None) -> Setup | ConfigError:
        try:
            text = files.text(FILE) if text is None else text
        except ConfigError as error:
            return error
        # Secrets are a part of what it says.
        secrets = {name: files.contents.get(name) for name in secrets_in(text.encode())}
        known = self._setups.get(which)
        if known is not None and known[0] == (text, secrets):
            return known[1]
        setup: Setup | ConfigError
        try:
            setup = read_setup(files.folder, text, self._env)
        except ConfigError as error:
            setup = error
        self._setups[which] = ((text, secrets), setup)
        return setup

    def _one(self, files: Files, recipe_id: str, setup: Setup) -> RecipeFile:
        content = files.contents.get(recipe_file(recipe_id))
        known = self._read.get(recipe_id)
        if known is not None:
            (before, depends), read = known
            if before == content and depends == _depends(setup, read.recipe):
                return read
        read = read_one(files, recipe_id, setup)
        self._read[recipe_id] = ((content, _depends(setup, read.recipe)), read)
        self._breathe()
        return read

    def _last_of(self, read: RecipeFile, kept: Kept, setup: Setup) -> Recipe | None:
        """The recipe as it was last valid; None where it never was, or this version of the relay can't read it."""
        text = kept.recipes.get(read.id)
        if text is None:
            return None
        gone = {path: last for path, last in kept.files.items() if path != FILE and _table(path) not in setup.tables}
        depends = (text, setup.retries, setup.tables, gone)
        known = self._last.get(read.id)
        if known is not None and known[0] == depends:
            return known[1]
        tables = {_table(path): table_of(_table(path), last, path) for path, last in gone.items()} | dict(setup.tables)
        recipe = None
        with contextlib.suppress(ConfigError):
            recipe = as_it_was(read.id, text, setup.retries, tables)
        self._last[read.id] = (depends, recipe)
        return recipe

    def _forget(self, files: Files) -> None:
        ids = set(files.recipes)
        for cache in (self._read, self._last):
            for gone in cache.keys() - ids:
                del cache[gone]


def as_it_was(recipe_id: str, text: str, retries: Map[str, RetryPolicy], tables: Map[str, Table]) -> Recipe:
    """A recipe by an older text of it. Raises ConfigError where it can't be read at all.

    It isn't checked against today's relay.yaml, for it was valid against another: a retry policy that is no more is the
    default one.
    """
    file = f"{recipe_id}@{version_of(text)}"
    try:
        return parse_recipe(recipe_id, text, file, retries, tables)
    except ConfigError:
        return parse_recipe(recipe_id, text, file, None, tables)


def _table(path: str) -> str:
    return Path(path).stem


def _refused_tables(setup: Setup) -> list[Refused]:
    """Those of which what their files held before is in force."""
    return [
        Refused(place.file, Problem(place, "error", message), len(table.problems), version=table.version)
        for table in setup.tables.values()
        if table.problems and not table.broken
        for place, message in table.problems[:1]
    ]


def _problem(error: ConfigError, file: str) -> Problem:
    return Problem(error.place or Place(file), "error", error.message)


def _depends(setup: Setup, recipe: Recipe | None) -> Any:
    """All beside its text that decides whether a recipe is valid, and what it does; where it isn't, what might make it
    so.
    """
    if recipe is None:
        return setup.retries, _declared(setup.sources), _connectors(setup.connections), dict(setup.tables)
    source = {recipe.catch: setup.sources.get(recipe.catch)}
    connections = {step.to: setup.connections.get(step.to) for step in recipe.steps.values()}
    return setup.retries, _declared(source), _connectors(connections), _tables(setup, recipe)


def _declared(sources: Map[str, Source | None]) -> dict[str, Any]:
    """Without their places: a line more above them changes nothing."""
    return {name: one.declared if one is not None else None for name, one in sources.items()}


def _connectors(connections: Map[str, Connection | None]) -> dict[str, str | None]:
    """A step is checked against the connector, not against how it is set."""
    return {name: one.connector if one is not None else None for name, one in connections.items()}


def _tables(setup: Setup, recipe: Recipe) -> dict[str, Table | None]:
    """Those that the recipe looks into; all, where it says by a value which, or has some of its own."""
    if "lookup" not in recipe.text and "tables" not in recipe.text:
        return {}
    names = looked_up([recipe.text]) if "tables" not in recipe.text else None
    return {name: setup.tables.get(name) for name in (names if names is not None else setup.tables)}


@dataclass(frozen=True, slots=True)
class Changes:
    """What is in force now and wasn't before, and the other way round: names."""

    recipes_added: list[str] = field(default_factory=list)
    recipes_changed: list[str] = field(default_factory=list)
    recipes_removed: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def named(self, most: int = 20) -> dict[str, list[str]]:
        """Those that are not empty, each cut after so many names."""
        every = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: _cut(names, most) for name, names in every.items() if names}

    def __bool__(self) -> bool:
        return bool(self.named())


def _cut(names: list[str], most: int) -> list[str]:
    return names if len(names) <= most else [*names[:most], f"and {len(names) - most} more"]


def changes_between(before: Workspace, after: Workspace) -> Changes:
    """A recipe that breaks, having never been valid, is added or changed too: its events wait."""
    old, new = _recipes(before), _recipes(after)
    return Changes(
        recipes_added=sorted(new.keys() - old.keys()),
        recipes_changed=_changed(old, new),
        recipes_removed=sorted(old.keys() - new.keys()),
        sources=_differing(_sources(before), _sources(after)),
        connections=_differing(_connections(before), _connections(after)),
        retries=_differing(before.retries, after.retries),
        tables=_differing(_held(before), _held(after)),
    )


def _recipes(workspace: Workspace) -> dict[str, Any]:
    broken = {name: (one.text, one.why) for name, one in workspace.broken.items()}
    return {**{name: one.version for name, one in workspace.recipes.items()}, **broken}


def _sources(workspace: Workspace) -> dict[str, Any]:
    return {name: (one.declared, one.config is None) for name, one in workspace.sources.items()}


def _connections(workspace: Workspace) -> dict[str, Any]:
    return {
        name: (one.connector, one.declared, one.config is None, one.limit, one.breaker)
        for name, one in workspace.connections.items()
    }


def _held(workspace: Workspace) -> dict[str, str]:
    return {name: table.version for name, table in workspace.tables.items()}


def _differing(old: Map[str, Any], new: Map[str, Any]) -> list[str]:
    return sorted([*(old.keys() ^ new.keys()), *_changed(old, new)])


def _changed(old: Map[str, Any], new: Map[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() & new.keys() if old[name] != new[name])


def valid_files(workspace: Workspace, files: Files) -> dict[str, str]:
    """The versions of relay.yaml and tables, of those that are in force as they are in the folder."""
    wrong = {problem.place.file for problem in workspace.errors}
    found = {table_file(name): table.version for name, table in workspace.tables.items()}
    found[FILE] = version_of(files.as_is(FILE))
    return {name: version for name, version in found.items() if str(files.path(name)) not in wrong}


def with_errors(workspace: Workspace) -> list[Refused]:
    """Each file that has an error, with what is in force in its place; nothing where it was never valid."""
    refused = {one.file: one for one in workspace.refused}
    found: dict[str, list[Problem]] = {}
    for problem in workspace.errors:
        found.setdefault(problem.place.file, []).append(problem)
    return [
        refused.get(file) or Refused(file, problems[0], len(problems), problems[0].recipe)
        for file, problems in found.items()
    ]
