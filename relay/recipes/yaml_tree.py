"""YAML with places: a tree in which every node knows its line and column, read by YAML 1.2's rules.

Differs from PyYAML on purpose: `no`, `on`, `0123`, `18:30`, `+44…` and dates stay text; a key written twice is refused
and so are aliases and tags. What commonly goes wrong is explained in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from relay.errors import ConfigError, Place
from relay.model import JSON
from relay.recipes import yaml_traps
from relay.recipes.look_alikes import look_alike
from relay.recipes.yaml_traps import QUOTE_IT

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"^-?(?:0|[1-9][0-9]*)$")
_BASE = re.compile(r"^0(?:o[0-7]+|x[0-9a-fA-F]+)$")
_FLOAT = re.compile(r"^-?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")

#: Python refuses to read longer integers (CVE-2020-10735); they stay text, which loses nothing.
_MAX_INT_DIGITS = 4000


@dataclass(slots=True)
class Node:
    place: Place


@dataclass(slots=True)
class Scalar(Node):
    """One value. `text` is what it says, `value` what it means, `raw` how the file spells it."""

    text: str
    value: JSON
    raw: str = field(repr=False)

    def at(self, offset: int) -> Place:
        """The place of the character `offset` of `text`; the scalar's own where the spelling hides it."""
        position = _align(self.text, self.raw, offset)
        before = self.raw[:position]
        lines = before.count("\n")
        if not lines:
            return Place(self.place.file, self.place.line, self.place.column + position)
        return Place(self.place.file, self.place.line + lines, position - before.rindex("\n"))


@dataclass(slots=True)
class Mapping(Node):
    """Keys in the order they were written; a key's own node tells where it stands."""

    keys: dict[str, Scalar]
    values: dict[str, Node]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str) -> Node | None:
        return self.values.get(key)

    def items(self) -> Iterator[tuple[str, Scalar, Node]]:
        for key, value in self.values.items():
            yield key, self.keys[key], value


@dataclass(slots=True)
class Sequence(Node):
    items: list[Node]


def plain(node: Node) -> JSON:
    """The tree without its places."""
    match node:
        case Scalar():
            return node.value
        case Mapping():
            return {key: plain(value) for key, value in node.values.items()}
        case Sequence():
            return [plain(item) for item in node.items]
    raise AssertionError(node)


def parse(text: str, file: str) -> Node:
    """The one document of a file. Raises ConfigError with a place and a remedy."""
    text = text.removeprefix("\ufeff")
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        raise yaml_traps.forbidden(error, text, file) from None
    except yaml.MarkedYAMLError as error:
        raise yaml_traps.explained(error, text, file) from None
    except RecursionError:
        raise ConfigError("the file is nested too deeply", Place(file)) from None
    if root is None:
        raise ConfigError("the file is empty", Place(file))
    return _Builder(text, file).build(root, ())


class _Builder:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.seen: set[int] = set()

    def place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        place = self.place(node)
        if id(node) in self.seen:
            raise ConfigError(
                "`*name` repeats another part of a YAML file, which is not used here; "
                "text that starts with `*` is put in quotes",
                place,
            )
        self.seen.add(id(node))
        if len(path) > 60:
            raise ConfigError("the file is nested too deeply", place)
        match node:
            case yaml.ScalarNode():
                return self.scalar(node, place)
            case yaml.SequenceNode():
                self.refuse_properties(node, place)
                return Sequence(place, [self.build(item, (*path, "-")) for item in node.value])
            case yaml.MappingNode():
                self.refuse_properties(node, place)
                return self.mapping(node, place, path)
        raise AssertionError(node)

    def mapping(self, node: yaml.MappingNode, place: Place, path: tuple[str, ...]) -> Mapping:
        mapping = Mapping(place, {}, {})
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                where = self.place(key_node)
                if self.text[node.start_mark.index :].startswith("{{"):
                    raise ConfigError(yaml_traps.BRACES, place)
                raise ConfigError("a key has to be text", where)
            key = self.scalar(key_node, self.place(key_node))
            if key.text in mapping.keys:
                first = mapping.keys[key.text].place.line
                raise ConfigError(f"`{key.text}` is written twice here, first in line {first}: keep one", key.place)
            if node.flow_style:
                self.refuse_pieces(key, key_node, value_node)
            mapping.keys[key.text] = key
            mapping.values[key.text] = self.build(value_node, (*path, key.text))
        return mapping

    def refuse_pieces(self, key: Scalar, key_node: yaml.Node, value_node: yaml.Node) -> None:
        """`{Amount: 1,234}` is a key `Amount` and a key `234` to YAML."""
        if ":" not in key.text and value_node.start_mark.index == value_node.end_mark.index:
            between = self.text[key_node.end_mark.index : value_node.start_mark.index]
            if ":" not in between and not self.text.startswith(":", value_node.start_mark.index):
                message = f"`{key.text}` has no value: inside {{ }}, a value with a comma in it needs quotes around it"
                raise ConfigError(message, key.place)

    def scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar:
        raw = self.text[node.start_mark.index : node.end_mark.index]
        if raw[:1] in ("!", "&"):
            self.refuse_properties(node, place)
        if node.style:  # libyaml says "" where a scalar has no quotes, PyYAML None
            return Scalar(place, node.value, node.value, raw)
        if not raw.isascii() and (found := look_alike(raw)) is not None:
            offset, message = found
            raise ConfigError(message, Place(place.file, place.line, place.column + offset))
        return Scalar(place, node.value, _resolve(node.value), raw)

    def refuse_properties(self, node: yaml.Node, place: Place) -> None:
        """Tags and anchors: what starts with their signs was meant as text."""
        raw = self.text[node.start_mark.index : node.start_mark.index + 80]
        if raw[:1] == "!":
            raise ConfigError(f"`{raw.split()[0]}` is a tag, which is not used here; if it is text, {QUOTE_IT}", place)
        if raw[:1] == "&":
            raise ConfigError(f"`&` at the start of a value means something else in YAML: {QUOTE_IT}", place)


def _resolve(text: str) -> JSON:
    """A plain scalar by YAML 1.2's core schema, less what people mean as text: leading zeros and plus signs."""
    if _NULL.match(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text) and len(text) < _MAX_INT_DIGITS:
        return int(text)
    if _BASE.match(text) and len(text) < _MAX_INT_DIGITS:
        return int(text, 0)
    if _FLOAT.match(text):
        number = float(text)
        return number if number - number == 0 else text
    return text


def _align(text: str, raw: str, offset: int) -> int:
    """Where in `raw` the character `offset` of `text` is spelt, seen through quotes, escapes, folding and indents."""
    position = 0
    if raw[:1] in ("'", '"'):
        position = 1
    elif raw[:1] in ("|", ">"):
        position = raw.find("\n") + 1
    quoted = raw[:1] == '"'
    for character in text[:offset]:
        if quoted and raw[position : position + 1] == "\\" and character != "\\":
            position = _after_escape(raw, position)
        elif raw[position : position + 2] == {'"': "\\\\", "'": "''"}.get(raw[:1]):
            position += 2
        elif character.isspace():
            position = _after_space(raw, position)
        else:
            position = raw.find(character, position) + 1
            if not position:
                return 0
    if offset < len(text) and not text[offset].isspace():
        while position < len(raw) and raw[position].isspace():
            position += 1
    return min(position, len(raw))


def _after_escape(raw: str, position: int) -> int:
    width = {"x": 4, "u": 6, "U": 10}.get(raw[position + 1 : position + 2], 2)
    return position + width


def _after_space(raw: str, position: int) -> int:
    """One whitespace character of the text; a line break in the file also swallows the indent after it."""
    if raw[position : position + 1] != "\n":
        return position + 1
    position += 1
    while position < len(raw) and raw[position] == " ":
        position += 1
    return position
