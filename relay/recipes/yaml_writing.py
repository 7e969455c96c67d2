"""Values spelt in YAML, so that they read back as the same value of the same type, here and wherever YAML is read.

A text that another reader takes for something else (`no`, `0123`, `2026-01-01`) stands in quotes. Each spelling is read
back before it is used; where none reads back, there is a ConfigError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from relay.errors import ConfigError
from relay.jsontext import clean
from relay.model import JSON
from relay.recipes.look_alikes import INVISIBLE
from relay.recipes.words import shown
from relay.recipes.yaml_tree import parse, plain

#: What is longer is written over several lines, where it may be.
WIDTH = 110

_STEP = 2

#: Starts of text that no reader of YAML could take for anything else.
_STARTS = re.compile(r"[^\W\d_]|[$/(+]|\d")
_LETTER = re.compile(r"[^\W\d_]")
_NOT_PLAIN = re.compile(r":(?:\s|$)|#|\{\{|[\"'`\\]")
_NOT_IN_FLOW = re.compile(r"[,\[\]{}]")
#: A bool to some, though not to PyYAML.
_ONE_LETTER_BOOL = re.compile(r"[yYnN]")
_YAML_1_1: Any = yaml.SafeLoader("")
_TEXT_TAG = "tag:yaml.org,2002:str"

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def inline(value: JSON, *, flow: bool = False, like: str = "") -> str:
    """The value within a line. Raises ConfigError.

    flow  whether it stands within { } or [ ]
    like  the sign that the value in its place begins with: of the quotes that fit, those are taken
    """
    match value:
        case dict():
            return "{" + ", ".join(f"{key_of(key)}: {inline(one, flow=True)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(inline(one, flow=True) for one in value) + "]"
    for spelling in _text(value, like, flow=flow) if isinstance(value, str) else _scalar(value):
        if _reads_back(spelling, value, flow=flow):
            return spelling
    raise ConfigError(f"{clean(shown(value))} can't be written in YAML")


def block(value: JSON, indent: int, newline: str = "\n") -> str:
    """The value over lines, those after the first indented by so many columns. Raises ConfigError."""
    margin = newline + " " * indent
    match value:
        case dict() if value:
            return margin.join(
                f"{key_of(key)}:{behind(one, indent, len(key) + 1, newline)}" for key, one in value.items()
            )  # fmt: skip
        case list() if value:
            return margin.join(f"- {_item(one, indent, newline)}" for one in value)
        case _:
            return inline(value)


def behind(value: JSON, indent: int, taken: int, newline: str = "\n") -> str:
    """What follows a key's colon: the value in the same line, or below where it is too long for it.

    indent  of the key
    taken   how much of the line the key takes, from there
    """
    if isinstance(value, str) and (lines := literal(value, indent + _STEP, newline)):
        return f" {lines}"
    if not value or not isinstance(value, (dict, list)):
        return f" {inline(value)}"
    within = inline(value)
    if indent + taken + 1 + len(within) <= WIDTH:
        return f" {within}"
    deeper = indent + _STEP
    return newline + " " * deeper + block(value, deeper, newline)


def literal(text: str, indent: int, newline: str = "\n") -> str:
    """Text of several lines as it is, beneath a `|`; empty where that would not read back, or quotes are as good."""
    lines = text.removesuffix("\n").split("\n")
    fits = len(lines) > 1 and all(line == line.rstrip() and _is_visible(line) for line in lines)
    if not fits or not lines[0] or lines[0][0] == " " or not lines[-1]:
        return ""
    header = "|" if text.endswith("\n") else "|-"
    return header + "".join(newline + " " * indent + line if line else newline for line in lines)


def key_of(key: str) -> str:
    """A key. It is text however it is written."""
    bare = [key] if _ONE_LETTER_BOOL.fullmatch(key) else []
    for spelling in [*bare, *_text(key, "", flow=True)]:
        try:
            # A key that is too long to be one can be read as something else.
            if plain(parse(f"{{{spelling}: 1}}", "")) == {key: 1} and plain(parse(f"{spelling}: 1", "")) == {key: 1}:
                return spelling
        except ConfigError:
            continue
    raise ConfigError(f"the key {clean(shown(key))} can't be written in YAML")


def _item(value: JSON, indent: int, newline: str) -> str:
    if isinstance(value, str) and (lines := literal(value, indent + _STEP, newline)):
        return lines
    within = inline(value)
    if not isinstance(value, (dict, list)) or indent + _STEP + len(within) <= WIDTH:
        return within
    return block(value, indent + _STEP, newline)


def _scalar(value: JSON) -> Iterator[str]:
    try:
        yield json.dumps(value)
    except ValueError:
        # Python refuses to write an integer of more than 4,300 digits.
        return


def _text(text: str, like: str, *, flow: bool) -> Iterator[str]:
    """Spellings of a text, the one that is liked best first."""
    quoted = [_double(text)]
    if _is_visible(text):
        single = "'" + text.replace("'", "''") + "'"
        is_nicer = "'" not in text and ('"' in text or "\\" in text)
        quoted.insert(0 if is_nicer or like == "'" else 1, single)
    if like not in ("'", '"') and _is_plain(text, flow=flow):
        yield text
    yield from quoted


def _is_plain(text: str, *, flow: bool) -> bool:
    return (
        _STARTS.match(text) is not None
        and _LETTER.search(text) is not None
        and text == text.strip()
        and _is_visible(text)
        and not _NOT_PLAIN.search(text)
        and not (flow and _NOT_IN_FLOW.search(text))
        and not _ONE_LETTER_BOOL.fullmatch(text)
        and _YAML_1_1.resolve(yaml.ScalarNode, text, (True, False)) == _TEXT_TAG
    )


def _is_visible(text: str) -> bool:
    # U+200D joins emoji.
    return text.replace("\u200d", "").isprintable() and not any(character in INVISIBLE for character in text)


def _double(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if _is_visible(character):
        return character
    number = ord(character)
    return f"\\x{number:02X}" if number < 0x100 else f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"


def _reads_back(spelling: str, value: JSON, *, flow: bool) -> bool:
    text = f"{{a: {spelling}, b: 1}}" if flow else f"a: {spelling}\nb: 1\n"
    try:
        read = plain(parse(text, ""))
    except ConfigError:
        return False
    return identical(read, {"a": value, "b": 1})


def identical(one: JSON, other: JSON) -> bool:
    """The same values of the same types, with keys in the same order: 1 is neither true nor 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return one == other
