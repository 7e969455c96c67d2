"""A workspace: the folder with relay.yaml and one file per recipe, read as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from relay.errors import ConfigError, Place
from relay.recipes import yaml_tree
from relay.recipes.accounts import AccountReader, Connection, Source
from relay.recipes.advice import unused
from relay.recipes.check import check_recipe
from relay.recipes.clear_secrets import IN_RELAY_YAML, named_secrets, shaped_secrets
from relay.recipes.files import FILE, Files, read_files, recipe_file
from relay.recipes.hints import swallowed
from relay.recipes.ignoring import unignored
from relay.recipes.parse import broken, read_recipe
from relay.recipes.policies import read_policy
from relay.recipes.reader import Reader
from relay.recipes.recipe import BrokenRecipe, Problem, Recipe
from relay.recipes.tables import Table, read_tables
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain
from relay.retry import RetryPolicy

KEYS = ("sources", "connections", "retries", "alerts")


@dataclass(frozen=True, slots=True)
class Refused:
    """A file with an error, of which what was in force before still is.

    file     its path
    problem  the first of its errors
    errors   how many there are
    recipe   the recipe's id; None for other files
    version  the recipe's version that is in force
    """

    file: str
    problem: Problem
    errors: int
    recipe: str | None = None
    version: str = ""


@dataclass
class Workspace:
    """What a folder says.

    recipes   those that can be used, by id
    broken    those that can't
    problems  every error and warning, by place
    alerts    as they are written
    refused   files with errors, where something older is in force in their place
    tables    what `lookup` looks into, by name
    """

    folder: Path
    sources: dict[str, Source] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    broken: dict[str, BrokenRecipe] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    retries: dict[str, RetryPolicy] = field(default_factory=dict)
    alerts: list[Any] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    tables: Map[str, Table] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    def recipes_for(self, source: str) -> list[Recipe]:
        return [recipe for recipe in self.recipes.values() if recipe.catch == source]

    def broken_for(self, source: str) -> list[BrokenRecipe]:
        """Those that may want this source's events: their `catch` names it, or can't be read."""
        return [one for one in self.broken.values() if one.catch is None or one.catch == source]


@dataclass(frozen=True, slots=True)
class Setup:
    """What relay.yaml says. Each source and connection stands alone: what is wrong with one disables that one."""

    text: str
    sources: dict[str, Source]
    connections: dict[str, Connection]
    retries: dict[str, RetryPolicy]
    alerts: list[Any]
    problems: tuple[Problem, ...]
    tables: Map[str, Table] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe's file, read. `recipe` is None where it has an error."""

    id: str
    file: str
    text: str
    recipe: Recipe | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]


def load_workspace(folder: Path, env: Map[str, str] | None = None) -> Workspace:
    """Read a folder. Raises ConfigError where relay.yaml is missing or can't be read as a whole; nothing else does."""
    files = read_files(folder)
    setup = setup_of(files, env)
    return assembled(files, setup, [read_one(files, recipe, setup) for recipe in files.recipes])


def setup_of(files: Files, env: Map[str, str] | None = None) -> Setup:
    """All that recipes are checked against. Raises ConfigError where relay.yaml can't be read as a whole."""
    return replace(read_setup(files.folder, files.text(FILE), env), tables=read_tables(files))


def read_setup(folder: Path, text: str, env: Map[str, str] | None = None) -> Setup:
    """relay.yaml, with the secrets that it names. Raises ConfigError where it can't be read as a whole."""
    reader = Reader()
    root = _relay_yaml(text, str(folder / FILE), reader)
    accounts = AccountReader(reader, folder, os.environ if env is None else env)
    sources = accounts.sources(root.get("sources"))
    connections = accounts.connections(root.get("connections"))
    retries = _policies(reader, root.get("retries"))
    alerts = _alerts(reader, root.get("alerts"))
    _doubts(reader, root, text)
    return Setup(text, sources, connections, retries, alerts, tuple(reader.problems))


def read_one(files: Files, recipe_id: str, setup: Setup) -> RecipeFile:
    """One recipe's file, checked against what relay.yaml says."""
    file, text = str(files.path(recipe_file(recipe_id))), ""

    def check(reader: Reader, recipe: Recipe) -> None:
        check_recipe(reader, recipe, setup.sources, setup.connections)

    try:
        text = files.text(recipe_file(recipe_id))
        recipe, problems = read_recipe(recipe_id, text, file, setup.retries, also=check, tables=setup.tables)
    except ConfigError as error:
        recipe, problems = None, [Problem(error.place or Place(file), "error", error.message, recipe_id)]
    return RecipeFile(recipe_id, file, text, recipe, tuple(problems))


def _nothing(_: RecipeFile) -> Recipe | None:
    return None


def assembled(
    files: Files,
    setup: Setup,
    read: Iterable[RecipeFile],
    problems: Iterable[Problem] | None = None,
    last: Callable[[RecipeFile], Recipe | None] = _nothing,
) -> Workspace:
    """The workspace of a folder, part by part.

    read      the recipes' files; of those that exclude each other, the first is right
    problems  of relay.yaml, where they aren't those of `setup`
    last      what is in force in place of a recipe's file with an error
    """
    workspace = Workspace(
        files.folder, setup.sources, setup.connections, retries=setup.retries, alerts=setup.alerts, tables=setup.tables,
        problems=[*(setup.problems if problems is None else problems)],
    )  # fmt: skip
    for path in files.misnamed:
        message = f"a recipe's file ends in .yaml: rename it to {path.stem}.yaml, or it isn't read"
        workspace.problems.append(Problem(Place(str(path)), "warning", message, path.stem, "not-read"))
    for table in setup.tables.values():
        workspace.problems.extend(Problem(place, "error", message) for place, message in table.problems)
    written = {str(files.path(FILE)): files.as_is(FILE)}
    answering: dict[str, str] = {}
    for one in read:
        written[one.file] = one.text
        one = _alone_in_answering(one, answering)
        workspace.problems.extend(one.problems)
        recipe = one.recipe or last(one)
        if recipe is None:
            workspace.broken[one.id] = _broken(one, setup)
            continue
        workspace.recipes[one.id] = recipe
        if one.recipe is None:
            workspace.refused.append(Refused(one.file, one.errors[0], len(one.errors), one.id, recipe.version))
        if recipe.respond is not None:
            answering.setdefault(recipe.catch, recipe.id)
    workspace.recipes = dict(sorted(workspace.recipes.items()))
    workspace.problems.extend(unused(workspace, files.tables))
    workspace.problems.sort(key=lambda one: (one.place.file, one.place.line, one.place.column))
    workspace.problems = unignored(workspace.problems, lambda file: written.get(file, ""))
    return workspace


def _alone_in_answering(read: RecipeFile, answering: Map[str, str]) -> RecipeFile:
    """A sender gets one answer: the second recipe of a source that gives one is a mistake."""
    recipe = read.recipe
    other = answering.get(recipe.catch) if recipe is not None and recipe.respond is not None else None
    if recipe is None or recipe.respond is None or other is None:
        return read
    message = f"the recipe `{other}` answers the senders of `{recipe.catch}` already: only one can"
    problem = Problem(recipe.respond.place, "error", message, read.id, "respond")
    return replace(read, recipe=None, problems=(*read.problems, problem))


def _broken(read: RecipeFile, setup: Setup) -> BrokenRecipe:
    one = broken(read.id, read.text, read.file, list(read.problems))
    if one.catch is not None and one.catch not in setup.sources:
        # A misspelt source: whose events it wants is not known, so none may pass it by.
        one = replace(one, catch=None)
    return one


def _relay_yaml(text: str, file: str, reader: Reader) -> Mapping:
    root = yaml_tree.parse(text, file)
    if not isinstance(root, Mapping):
        raise ConfigError("relay.yaml is written as `key: value`: sources, connections", root.place)
    reader.known_keys(root, KEYS)
    for key in ("sources", "connections"):
        node = root.get(key)
        if isinstance(node, Scalar) and node.value is None:
            del root.values[key]
        elif node is not None and not isinstance(node, Mapping):
            raise ConfigError(f"`{key}` is written as `name: settings`", node.place)
    return root


def _doubts(reader: Reader, root: Mapping, text: str) -> None:
    for place, message in swallowed(root, text):
        reader.warning(place, message, "comment")
    connections = root.get("connections")
    named = named_secrets(connections, IN_RELAY_YAML) if connections is not None else ()
    for place, message in (*named, *shaped_secrets(text, root.place.file, IN_RELAY_YAML)):
        if not any(one.code == "secret-in-clear" and one.place.line == place.line for one in reader.problems):
            reader.warning(place, message, "secret-in-clear")


def _policies(reader: Reader, node: Node | None) -> dict[str, RetryPolicy]:
    mapping = reader.mapping(node, "`retries`")
    policies = {}
    for name, _, value in mapping.items() if mapping is not None else ():
        policy = read_policy(reader, value, None)
        if policy is not None:
            policies[name] = policy
        elif isinstance(value, Scalar) and isinstance(value.value, str):
            reader.error(value.place, "a policy is {after: [5m, 1h]} or {times: 8, first: 30s}")
    return policies


def _alerts(reader: Reader, node: Node | None) -> list[Any]:
    if node is None:
        return []
    if not isinstance(node, Sequence):
        reader.error(node.place, "`alerts` is a list")
        return []
    reader.warning(node.place, "`alerts` is not supported yet by this version: nobody is told", "not-yet")
    raw = plain(node)
    assert isinstance(raw, list)
    return raw
