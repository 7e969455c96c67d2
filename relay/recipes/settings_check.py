"""A part of YAML against a pydantic model: every mistake at its own line, unknown keys with the nearest known one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from relay.errors import Place
from relay.recipes.words import unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence

#: Whether a node's value isn't known yet: an expression, or an unset secret.
Open = Callable[[Node], bool]


def validate(
    model: type[BaseModel], node: Node, data: Any, is_open: Open
) -> tuple[BaseModel | None, list[tuple[Place, str]]]:
    """(the instance, mistakes).

    data     what the node says, with a stand-in for what is open; complaints about a stand-in are not mistakes
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return None, [mistake for one in found if (mistake := _mistake(model, node, one, is_open)) is not None]


def _mistake(model: type[BaseModel], node: Node, error: Any, is_open: Open) -> tuple[Place, str] | None:
    location: tuple[str | int, ...] = error["loc"]
    kind = error["type"]
    if kind == "extra_forbidden":
        parent, _ = walk(node, location, stop_before_last=True)
        key = str(location[-1])
        place = parent.keys[key].place if isinstance(parent, Mapping) and key in parent else parent.place
        return place, unknown("key", key, keys_at(model, location[:-1]))
    if kind == "missing":
        parent, _ = walk(node, location, stop_before_last=True)
        if not isinstance(parent, Mapping):
            return None if is_open(parent) else (parent.place, f"`{location[-1]}:` is missing")
        return parent.place, f"`{location[-1]}:` is missing"
    found, key_place = walk(node, location)
    if location and is_open(found) and not isinstance(found, Mapping):
        return None
    if location and isinstance(found, Mapping | Sequence) and is_open(found) and kind not in _ABOUT_KEYS:
        return None
    message = _WORDS.get(kind) or error["msg"].removeprefix("Value error, ")
    name = next((step for step in reversed(location) if isinstance(step, str) and step in _keys(key_place)), None)
    return found.place, f"`{name}`: {message}" if name is not None else message


#: Pydantic's commonest complaints in the words of the docs.
_WORDS = {
    "string_type": "it has to be text: put it in quotes",
    "bool_type": "it is true or false",
    "bool_parsing": "it is true or false",
    "int_type": "it has to be a whole number",
    "int_parsing": "it has to be a whole number",
    "int_from_float": "it has to be a whole number",
    "float_type": "it has to be a number",
    "float_parsing": "it has to be a number",
    "dict_type": "it is written as `key: value`",
    "model_type": "it is written as `key: value`",
    "model_attributes_type": "it is written as `key: value`",
    "list_type": "it has to be a list",
    "tuple_type": "it has to be a list",
}

#: Pydantic's complaints that don't depend on a value inside.
_ABOUT_KEYS = frozenset({"dict_type", "list_type", "model_type", "union_tag_not_found"})


def _keys(parents: list[Mapping]) -> set[str]:
    return {key for parent in parents for key in parent.values}


def walk(node: Node, location: tuple[str | int, ...], *, stop_before_last: bool = False) -> tuple[Node, list[Mapping]]:
    """As far as pydantic's location leads, and the mappings passed. Names of models in a union lead nowhere."""
    passed: list[Mapping] = []
    for index, step in enumerate(location):
        is_last = index == len(location) - 1
        if is_last and stop_before_last:
            break
        if isinstance(node, Mapping) and isinstance(step, str) and step in node:
            # A union's member may be named like a key: one that holds a plain value leads no further.
            if not is_last and isinstance(node.values[step], Scalar):
                continue
            passed.append(node)
            node = node.values[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
    return node, passed


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside `Model`, `Model | None`, `list[Model]`, `Annotated[…]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def keys_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at a place of a model's input."""
    models = [model]
    for step in location:
        inner = [
            found
            for one in models
            for name, info in one.model_fields.items()
            if step in (name, info.alias)
            for found in models_in(info.annotation)
        ]
        models = inner or models
    return list(dict.fromkeys(info.alias or name for one in models for name, info in one.model_fields.items()))


def secrets_written(value: Any, node: Node) -> Iterator[Place]:
    """Where a secret of a validated config stands in the file as it is, not as ${NAME} or ${file:…}."""
    if isinstance(value, SecretStr) and isinstance(node, Scalar):
        if "${" not in node.text:
            yield node.place
        return
    for inner, inner_node in _pairs(value, node):
        yield from secrets_written(inner, inner_node)


def _pairs(value: Any, node: Node) -> Iterator[tuple[Any, Node]]:
    """The parts of a validated value, each with where it was written."""
    match value:
        case tuple() | list() if isinstance(node, Sequence):
            yield from zip(value, node.items, strict=False)
        case tuple() | list() if isinstance(node, Scalar):
            # One secret may stand for a list of one.
            yield from ((item, node) for item in value)
        case dict() if isinstance(node, Mapping):
            yield from ((item, node.values[key]) for key, item in value.items() if key in node)
        case BaseModel() if isinstance(node, Mapping):
            for name, info in type(value).model_fields.items():
                inner = node.get(info.alias or name) or node.get(name)
                if inner is not None:
                    yield getattr(value, name), inner
        case _:
            return
