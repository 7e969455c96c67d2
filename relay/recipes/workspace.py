"""A workspace: the folder with relay.yaml and one file per recipe, read as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from relay.errors import ConfigError, Place
from relay.recipes import yaml_tree
from relay.recipes.accounts import AccountReader, Connection, Source
from relay.recipes.check import check_recipe
from relay.recipes.parse import broken, read_recipe
from relay.recipes.policies import read_policy
from relay.recipes.reader import Reader
from relay.recipes.recipe import BrokenRecipe, Problem, Recipe
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain
from relay.retry import RetryPolicy

FILE = "relay.yaml"
KEYS = ("sources", "connections", "retries", "alerts")

#: A recipe is written by a person; what is longer was put there by mistake.
_MAX_BYTES = 1_000_000


@dataclass
class Workspace:
    """What a folder says.

    recipes   those that can be used, by id
    broken    those that can't
    problems  every error and warning, by place
    alerts    as they are written
    """

    folder: Path
    sources: dict[str, Source] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    broken: dict[str, BrokenRecipe] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    retries: dict[str, RetryPolicy] = field(default_factory=dict)
    alerts: list[Any] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    def recipes_for(self, source: str) -> list[Recipe]:
        return [recipe for recipe in self.recipes.values() if recipe.catch == source]

    def broken_for(self, source: str) -> list[BrokenRecipe]:
        """Those that may want this source's events: their `catch` names it, or can't be read."""
        return [one for one in self.broken.values() if one.catch is None or one.catch == source]


def load_workspace(folder: Path, env: Map[str, str] | None = None) -> Workspace:
    """Read a folder. Raises ConfigError where relay.yaml is missing or can't be read as a whole; nothing else does."""
    folder = Path(folder)
    workspace = Workspace(folder)
    reader = Reader()
    root = _relay_yaml(folder, reader)
    accounts = AccountReader(reader, folder, os.environ if env is None else env)
    workspace.sources = accounts.sources(root.get("sources"))
    workspace.connections = accounts.connections(root.get("connections"))
    workspace.retries = _policies(reader, root.get("retries"))
    workspace.alerts = _alerts(reader, root.get("alerts"))
    workspace.problems.extend(reader.problems)
    for path in _recipe_files(folder, workspace):
        _add_recipe(workspace, path)
    _warn_of_unused(workspace)
    workspace.problems.sort(key=lambda one: (one.place.file, one.place.line, one.place.column))
    return workspace


def _read(path: Path) -> str:
    """Raises ConfigError."""
    place = Place(str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file: `relay init` makes a starter workspace", place) from None
    except OSError as error:
        raise ConfigError(f"the file can't be read: {error.strerror}", place) from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"the file is larger than {_MAX_BYTES} bytes", place)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError("the file isn't UTF-8: save it with that encoding", Place(str(path), line)) from None


def _relay_yaml(folder: Path, reader: Reader) -> Mapping:
    path = folder / FILE
    root = yaml_tree.parse(_read(path), str(path))
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
    reader.warning(node.place, "`alerts` is not supported yet by this version: nobody is told")
    raw = plain(node)
    assert isinstance(raw, list)
    return raw


def _recipe_files(folder: Path, workspace: Workspace) -> list[Path]:
    paths = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "~", "#")) or path.name == FILE or not path.is_file():
            continue
        if path.suffix == ".yaml":
            paths.append(path)
        elif path.suffix == ".yml":
            message = f"a recipe's file ends in .yaml: rename it to {path.stem}.yaml, or it isn't read"
            workspace.problems.append(Problem(Place(str(path)), "warning", message, path.stem))
    return paths


def _add_recipe(workspace: Workspace, path: Path) -> None:
    recipe_id, file, text = path.stem, str(path), ""
    recipe = None

    def check(reader: Reader, recipe: Recipe) -> None:
        check_recipe(reader, recipe, workspace.sources, workspace.connections)

    try:
        text = _read(path)
        recipe, problems = read_recipe(recipe_id, text, file, workspace.retries, also=check)
    except ConfigError as error:
        problems = [Problem(error.place or Place(file), "error", error.message, recipe_id)]
    workspace.problems.extend(problems)
    if recipe is not None:
        workspace.recipes[recipe_id] = recipe
        return
    one = broken(recipe_id, text, file, problems)
    if one.catch is not None and one.catch not in workspace.sources:
        # A misspelt source: whose events it wants is not known, so none may pass it by.
        one = replace(one, catch=None)
    workspace.broken[recipe_id] = one


def _warn_of_unused(workspace: Workspace) -> None:
    # A broken recipe may well use them.
    if workspace.broken:
        return
    used = {step.to for recipe in workspace.recipes.values() for step in recipe.steps.values()}
    used |= {str(alert.get("to")) for alert in workspace.alerts if isinstance(alert, dict)}
    for name, connection in workspace.connections.items():
        if name not in used:
            message = f"nothing uses the connection `{name}`"
            workspace.problems.append(Problem(connection.place, "warning", message))
