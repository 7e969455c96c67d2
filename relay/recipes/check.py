"""A recipe against its workspace: is there such a source, such a connection, and would it take this `with`."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import Any

from relay.connector import Action, Connector
from relay.errors import ConfigError
from relay.recipes.accounts import Connection, Source
from relay.recipes.reader import Reader
from relay.recipes.recipe import Recipe, Step
from relay.recipes.render import is_dynamic, literal_text
from relay.recipes.settings_check import validate
from relay.recipes.words import unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence


def check_recipe(reader: Reader, recipe: Recipe, sources: Map[str, Source], connections: Map[str, Connection]) -> None:
    """Notes every problem in `reader`. What is missing altogether has been noted already."""
    if recipe.catch and recipe.catch not in sources:
        reader.error(recipe.catch_place, unknown("source", recipe.catch, sources))
    for step in recipe.steps.values():
        connection = connections.get(step.to)
        if not step.to:
            continue
        if connection is None:
            reader.error(step.place, unknown("connection", step.to, connections))
            continue
        kind = connection.connector_class
        if kind is not None:
            check_step(reader, step, kind)


def check_step(reader: Reader, step: Step, kind: type[Connector[Any]]) -> None:
    action = _action(reader, step, kind)
    if action is None:
        return
    data = {
        key: value for key, value in _stand_in(step.with_node).items() if value is not None or step.keep_empty
    }  # fmt: skip
    _, mistakes = validate(action.With, step.with_node, data, is_dynamic)
    for place, message in mistakes:
        reader.error(place, message)


def _action(reader: Reader, step: Step, kind: type[Connector[Any]]) -> type[Action[Any, Any, Any]] | None:
    names = [action.name for action in kind.actions]
    if step.do is not None and step.do not in names:
        reader.error(step.do_place, unknown(f"action of {kind.name}", step.do, names))
        return None
    try:
        return kind.action_class(step.do)
    except ConfigError as error:
        reader.error(step.place, error.message)
        return None


def _stand_in(node: Node) -> Any:
    """What `with` says, an expression standing for its own value."""
    match node:
        case Scalar():
            return literal_text(node.text) if isinstance(node.value, str) and not is_dynamic(node) else node.value
        case Mapping():
            return {key: _stand_in(value) for key, value in node.values.items()}
        case Sequence():
            return [_stand_in(item) for item in node.items]
    raise AssertionError(node)
