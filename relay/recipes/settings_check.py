"""A part of YAML against a pydantic model: every mistake at its own line, unknown keys with the nearest known one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from relay.errors import Place
from relay.recipes.words import kind_of, listed, missing_space, nearest, shown, unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain

#: Whether a node's value isn't known yet: an expression, or an unset secret.
Open = Callable[[Node], bool]


def validate(
    model: type[BaseModel], node: Node, data: Any, is_open: Open, whole: Any = None
) -> tuple[BaseModel | None, list[tuple[Place, str]]]:
    """(the instance, mistakes).

    data     what the node says, with a stand-in for what is open; complaints about a stand-in are not mistakes
    whole    the same with the keys that are null, where `data` lacks them: an unknown one is a mistake all the same
    """
    instance, found = _tried(model, data)
    if whole is not None:
        told = {one["loc"] for one in found}
        more = (one for one in _tried(model, whole)[1] if one["type"] == "extra_forbidden" and one["loc"] not in told)
        found = [*found, *more]
    if not found:
        return instance, []
    # A list whose items are wrong is not too short as well.
    deeper = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
    found = [one for one in found if one["type"] != "too_short" or one["loc"] not in deeper]
    mistakes = [mistake for one in found if (mistake := _mistake(model, node, one, is_open)) is not None]
    # A key that is misspelt isn't missing as well.
    meant = {(one.parent, one.meant) for one in mistakes if one.meant}
    return None, list(_told([one for one in mistakes if not one.missing or (one.parent, one.missing) not in meant]))


def _tried(model: type[BaseModel], data: Any) -> tuple[BaseModel | None, list[Any]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [*error.errors(include_url=False, include_input=False, include_context=False)]


@dataclass(frozen=True, slots=True)
class _Mistake:
    """What is wrong at one place.

    kind, found      what the value should have been, and what it is, where that is all that is wrong with it
    meant, missing   of an unknown key, the nearest known one; or the key that isn't there, in the mapping `parent`
    """

    place: Place
    message: str
    name: str = ""
    kind: str = ""
    found: str = ""
    example: str = ""
    parent: int = 0
    meant: str = ""
    missing: str = ""


def _told(mistakes: list[_Mistake]) -> Iterator[tuple[Place, str]]:
    """Each place's mistakes. What may be of several kinds is complained about once for each, and told once."""
    for place in dict.fromkeys(one.place for one in mistakes):
        here = [one for one in mistakes if one.place == place]
        kinds = list(dict.fromkeys(one.kind for one in here if one.kind))
        if kinds and len(here) == sum(1 for one in here if one.kind):
            first = here[0]
            remedy = ": put it in quotes" if "text" in kinds and first.found in _QUOTABLE else ""
            message = f"it has to be {' or '.join(kinds)}{first.example}, and this is {first.found}{remedy}"
            yield place, f"`{first.name}`: {message}" if first.name else message
            continue
        for message in dict.fromkeys(one.message for one in here if not one.kind):
            yield place, message


def _mistake(model: type[BaseModel], node: Node, error: Any, is_open: Open) -> _Mistake | None:
    location: tuple[str | int, ...] = error["loc"]
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(model, node, location)
    if kind == "missing":
        parent, _ = walk(node, location, stop_before_last=True)
        if not isinstance(parent, Mapping) and is_open(parent):
            return None
        return _Mistake(parent.place, _missing(model, location), parent=id(parent), missing=str(location[-1]))
    found, key_place = walk(node, location)
    if location and isinstance(found, Scalar) and is_open(found):
        return None
    if location and isinstance(found, Mapping | Sequence) and is_open(found) and kind not in _ABOUT_KINDS:
        return None
    name = next((step for step in reversed(location) if isinstance(step, str) and step in _keys(key_place)), "")
    message = _words(kind, error["msg"], found)
    return _Mistake(
        found.place,
        f"`{name}`: {message}" if name and not message.startswith(f"`{name}`") else message,
        name,
        _KINDS.get(kind, ""),
        kind_of(plain(found)),
        _example(model, location),
    )


def _example(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    field = fields_at(model, location[:-1]).get(str(location[-1])) if location else None
    examples = field.examples if field is not None else None
    return f", such as {examples[0]}" if examples and isinstance(examples[0], str) else ""


def _unknown(model: type[BaseModel], node: Node, location: tuple[str | int, ...]) -> _Mistake:
    parent, _ = walk(node, location, stop_before_last=True)
    key = str(location[-1])
    place = parent.keys[key].place if isinstance(parent, Mapping) and key in parent else parent.place
    known = fields_at(model, location[:-1])
    message = unknown("key", key, known) + missing_space(key, known)
    meant = key.partition(":")[0] if ":" in key else nearest(key, known)
    return _Mistake(place, message, parent=id(parent), meant=meant or "")


def _missing(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """With what the key is for, in the words of its declaration."""
    key = str(location[-1])
    field = fields_at(model, location[:-1]).get(key)
    about = (field.description or "").rstrip(".") if field is not None else ""
    if about[1:2].islower():
        about = about[0].lower() + about[1:]
    return f"`{key}:` is missing: {about}" if about else f"`{key}:` is missing"


def _words(kind: str, message: str, found: Node) -> str:
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", message)
        word = plain(found)
        guess = nearest(word, choices) if isinstance(word, str) else None
        hint = f"did you mean `{guess}`? " if guess else ""
        return f"it is one of {listed(choices)}; {hint}this is {shown(word)}" if choices else message
    if kind == "relay_verify" and isinstance(found, Mapping):
        ways = re.findall(r"\w+", message.partition("one way: ")[2])
        guess = next((near for key in found.values if (near := nearest(key, ways)) and near not in found.values), None)
        message += f"; did you mean `{guess}`?" if guess else ""
    if kind == "too_short":
        return "at least one is needed"
    message = message.removeprefix("Value error, ")
    for words, ours in _BOUNDS.items():
        message = message.replace(words, ours)
    return message.replace("Input should be", "it has to be")


#: Pydantic's commonest complaints: what kind of value it wants, in the words of the docs.
_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "dict_type": "`key: value`",
    "model_type": "`key: value`",
    "model_attributes_type": "`key: value`",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "null",
}
_BOUNDS = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
}

#: In quotes these are text.
_QUOTABLE = ("a number", "true or false", "null")

#: Complaints about what kind of thing a list or a mapping is: they don't depend on a value inside.
_ABOUT_KINDS = frozenset({*_KINDS, "union_tag_not_found"})


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


def fields_at(model: type[BaseModel], location: tuple[str | int, ...]) -> dict[str, FieldInfo]:
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
    return {info.alias or name: info for one in models for name, info in one.model_fields.items()}


def secrets_written(value: Any, node: Node) -> Iterator[Place]:
    """Where a secret of a validated config stands in the file as it is, not as ${NAME} or ${file:…}."""
    if isinstance(value, SecretStr) and isinstance(node, Scalar):
        # An empty one is none: some APIs take a key as the user name, and no password.
        if node.text and "${" not in node.text:
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
