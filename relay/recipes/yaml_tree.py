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
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"the file holds a character that YAML forbids: {error.reason}", Place(file, line)) from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error, text, file) from None
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
                "put text that starts with `*` in quotes",
                place,
            )
        self.seen.add(id(node))
        if len(path) > 60:
            raise ConfigError("the file is nested too deeply", place)
        match node:
            case yaml.ScalarNode():
                return self.scalar(node, place)
            case yaml.SequenceNode():
                self.refuse_tag(node, place)
                return Sequence(place, [self.build(item, (*path, "-")) for item in node.value])
            case yaml.MappingNode():
                self.refuse_tag(node, place)
                return self.mapping(node, place, path)
        raise AssertionError(node)

    def mapping(self, node: yaml.MappingNode, place: Place, path: tuple[str, ...]) -> Mapping:
        mapping = Mapping(place, {}, {})
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                where = self.place(key_node)
                if self.text[node.start_mark.index :].startswith("{{"):
                    raise ConfigError(f'{_BRACES_WORDS}: "{{{{ … }}}}"', place)
                raise ConfigError("a key has to be text", where)
            key = self.scalar(key_node, self.place(key_node))
            if key.text in mapping.keys:
                first = mapping.keys[key.text].place.line
                raise ConfigError(f"`{key.text}` is written twice here, first in line {first}: keep one", key.place)
            mapping.keys[key.text] = key
            mapping.values[key.text] = self.build(value_node, (*path, key.text))
        return mapping

    def scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar:
        raw = self.text[node.start_mark.index : node.end_mark.index]
        value: JSON = node.value
        if not node.style and not raw.startswith("!"):  # libyaml says "", PyYAML None
            value = _resolve(node.value)
        elif raw.startswith("!"):
            raise ConfigError(f"tags such as `{raw.split()[0]}` are not used here; put the text in quotes", place)
        return Scalar(place, node.value, value, raw)

    def refuse_tag(self, node: yaml.Node, place: Place) -> None:
        raw = self.text[node.start_mark.index : node.start_mark.index + 40]
        if raw.startswith("!"):
            raise ConfigError(f"tags such as `{raw.split()[0]}` are not used here", place)


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


_QUOTE_IT = "put the whole value in quotes"
_IN_QUOTES = "a value inside that holds , : { } [ ] or quotes has to be in quotes as a whole"
_UNFINISHED = {
    "while parsing a flow node": f"a `[` or `{{` above isn't closed properly; {_IN_QUOTES}",
    "while scanning a quoted scalar": "the quote that opens here is never closed",
    "while parsing a flow mapping": f"the `{{` here isn't closed properly; {_IN_QUOTES}",
    "while parsing a flow sequence": f"the `[` here isn't closed properly; {_IN_QUOTES}",
}


def _explained(error: yaml.MarkedYAMLError, text: str, file: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    if error.context_mark is not None and error.context == "while scanning an alias":
        mark = error.context_mark
    if mark is None:
        return ConfigError(f"this is not YAML: {error.problem}", Place(file))
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if braces := _BRACES.search(line):
        at = Place(file, mark.line + 1, braces.end() - 1)
        return ConfigError(f'{_BRACES_WORDS}: {_QUOTE_IT}, as in text: "{{{{ $name }}}} left"', at)
    message = _trap(error, line, mark.column)
    if message is None and error.context_mark is not None:
        # An open quote or bracket is noticed only where it should have ended: point at where it began.
        message = _UNFINISHED.get(error.context or "")
        if message:
            mark = error.context_mark
        else:
            message = f"this is not YAML: {error.problem} {error.context}; {_QUOTE_IT} where it is text"
    return ConfigError(message or f"this is not YAML: {error.problem}", Place(file, mark.line + 1, mark.column + 1))


_BRACES = re.compile(r"(?:[:\-\[,{]\s+|^\s*)\{\{")
_BRACES_WORDS = "text with {{ … }} has to be in quotes"
_AFTER_QUOTE = re.compile(r"""[:\-]\s+(?:"[^"]*"|'[^']*')\s*\S""")


def _trap(error: yaml.MarkedYAMLError, line: str, column: int) -> str | None:
    """The sentence for a mistake that is made often, or None."""
    problem = f"{error.context} {error.problem}"
    here = line[column : column + 1]
    if "\t" in line[: len(line) - len(line.lstrip())] or here == "\t":
        return "YAML is indented with spaces; this line has a tab"
    if here in "@`%" and here and "cannot start" in problem:
        return f"a value can't start with {'a backtick' if here == '`' else f'`{here}`'} in YAML: {_QUOTE_IT}"
    if "alias" in problem:
        return f"`*` at the start of a value means something else in YAML: {_QUOTE_IT}"
    if "anchor" in problem:
        return f"`&` at the start of a value means something else in YAML: {_QUOTE_IT}"
    if "mapping values are not allowed" in problem:
        return f"there is a second `: ` in this line, or the line is indented too far; if it is text, {_QUOTE_IT}"
    if "unknown escape" in problem:
        return "in double quotes a backslash is special in YAML: use single quotes, or write it twice"
    if "expected key" in problem and _AFTER_QUOTE.search(line):
        return f"there is more text after the closing quote: {_QUOTE_IT}"
    if "another document" in problem:
        return "`---` starts a second document; a file holds one"
    return None
