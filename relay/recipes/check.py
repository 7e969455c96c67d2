"""A recipe against its workspace: is there such a source, such a connection, and would it take this `with`."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import Any

from relay.connector import Action, Connector
from relay.recipes.accounts import Connection, Source
from relay.recipes.advice import advise
from relay.recipes.reader import Reader
from relay.recipes.recipe import Recipe, Step
from relay.recipes.render import ROWS, is_dynamic, literal_text
from relay.recipes.settings_check import validate
from relay.recipes.words import listed, unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence


def check_recipe(reader: Reader, recipe: Recipe, sources: Map[str, Source], connections: Map[str, Connection]) -> None:
    """Notes every problem in `reader`. What is missing altogether has been noted already.

    Of a connection only its connector counts: where it is only set otherwise, a reload checks no recipe again.
    """
    if recipe.catch and recipe.catch not in sources:
        reader.error(recipe.catch_place, unknown("source", recipe.catch, sources), "unknown-source")
    for step in recipe.steps.values():
        connection = connections.get(step.to)
        if not step.to:
            continue
        if connection is None:
            reader.error(step.place, unknown("connection", step.to, connections), "unknown-connection")
            continue
        kind = connection.connector_class
        if kind is not None:
            check_step(reader, step, kind)
    source = sources.get(recipe.catch)
    if recipe.respond is not None and source is not None and source.declared is not None and source.declared.split:
        message = f"the source `{source.name}` splits a body into many events, and its sender gets but one answer"
        reader.error(recipe.respond.place, message, "respond")
    advise(reader, recipe, sources)


def check_step(reader: Reader, step: Step, kind: type[Connector[Any]]) -> None:
    action = _action(reader, step, kind)
    if action is None:
        return
    if step.batch_place is not None and not action.batchable:
        able = [one.name for one in kind.actions if one.batchable]
        there = f"; of {kind.name}'s actions {listed(able)} can" if able else ""
        reader.error(step.batch_place, f"`{action.name}` of {kind.name} can't send a batch{there}", "wrong-value")
    if any(one.code == "wrong-kind" and one.place == step.with_node.place for one in reader.problems):
        # A `with` that is no mapping was read as an empty one, which lacks everything.
        return
    given, whole = _fields(step.with_node, step.keep_empty), _fields(step.with_node, True)
    _, mistakes = validate(action.With, step.with_node, given, is_dynamic, whole if whole != given else None)
    for place, message in mistakes:
        reader.error(place, message, "wrong-setting")


def _action(reader: Reader, step: Step, kind: type[Connector[Any]]) -> type[Action[Any, Any, Any]] | None:
    names = [action.name for action in kind.actions]
    if step.do is not None and step.do not in names:
        reader.error(step.do_place, unknown("action", step.do, names, f"{kind.name} has"), "unknown-action")
        return None
    if step.do is None and len(names) > 1:
        reader.error(step.place, f"`do:` is missing: say what {kind.name} is to do, {listed(names)}", "unknown-action")
        return None
    return kind.action_class(step.do)


def _fields(node: Mapping, keep_empty: bool) -> dict[str, Any]:
    """A `with` as it would be rendered: what is null is left out, save for the cells of a row."""
    found = {}
    for key, value in node.values.items():
        given = _stand_in(value, keep_empty or key in ROWS)
        if given is not None or keep_empty:
            found[key] = given
    return found


def _stand_in(node: Node, keep_empty: bool) -> Any:
    """What a value says, an expression standing for its own value."""
    match node:
        case Scalar():
            return literal_text(node.text) if isinstance(node.value, str) and not is_dynamic(node) else node.value
        case Mapping():
            parts = {key: _stand_in(value, keep_empty) for key, value in node.values.items()}
            return {key: value for key, value in parts.items() if value is not None or keep_empty}
        case Sequence():
            return [_stand_in(item, keep_empty) for item in node.items]
    raise AssertionError(node)
