"""How the relay itself writes into a recipe: paths into a body, YAML's scalars, and blocks of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError
from relay.recipes.yaml_tree import Scalar, parse

_KEY = re.compile(r"[@#]?\w+")
_PLAIN = re.compile(r"[\w$/][\w $.,:/@+'\"()|?<>=!*%&;~^\[\]-]*")
#: What stands in a YAML file as it is; the rest is escaped. Line breaks of every kind are.
_PRINTABLE = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NAMED = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}

#: A line of a draft is kept within this, where what is in it allows.
WIDTH = 110


@dataclass(frozen=True, slots=True)
class Said:
    """Text that is written as it stands: an expression, or text with `{{ … }}`."""

    text: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with a comment behind it."""

    value: Any
    comment: str


def path_text(path: Sequence[str | int], root: str = "$") -> str:
    """`$.contact["first name"]`: the path as an expression."""
    pieces = [root]
    for step in path:
        if isinstance(step, int):
            pieces.append(f"[{step}]")
        elif _KEY.fullmatch(step):
            pieces.append(f".{step}")
        else:
            # With JSON's escapes; `{{` would begin a value within text, wherever it stands.
            quoted = json.dumps(step, ensure_ascii=False).replace("{{", r"\u007b\u007b")
            pieces.append(f"[{quoted}]")
    return "".join(pieces)


def scalar(value: Any) -> str:
    """A value on one line, that YAML reads as the same value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Said():
            return _text(value.text)
        case _:
            return _text(str(value))


def literal(value: str) -> str:
    """Text that stands for itself where an expression could stand."""
    return value.replace("$", "$$")


def _text(text: str) -> str:
    if _is_plain(text):
        return text
    if "\\" in text and not _PRINTABLE.search(text):
        return "'" + text.replace("'", "''") + "'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if '"' in text and not _PRINTABLE.search(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + _PRINTABLE.sub(lambda found: _NAMED.get(found[0]) or f"\\U{ord(found[0]):08x}", escaped) + '"'


def _is_plain(text: str) -> bool:
    """Whether YAML reads the bare text as this text, and as text."""
    if not _PLAIN.fullmatch(text) or text != text.strip() or re.search(r": | #|:$", text):
        return False
    try:
        node = parse(text, "")
    except ConfigError:
        return False
    return isinstance(node, Scalar) and node.value == text and isinstance(node.value, str)


def comment(text: str) -> str:
    """Text within a comment: one line of printable characters."""
    return _PRINTABLE.sub("·", " ".join(text.split()))


def flow(value: Any) -> str:
    """A value within `{ }` and `[ ]` on one line."""
    match value:
        case Noted():
            return flow(value.value)
        case Mapping():
            inside = ", ".join(f"{_flow_scalar(str(key))}: {flow(inner)}" for key, inner in value.items())
            return "{" + inside + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return _flow_scalar(value)


def _flow_scalar(value: Any) -> str:
    spelt = scalar(value)
    if spelt[:1] in "'\"" or not re.search(r"[,\[\]{}?:|]", spelt):
        return spelt
    return "'" + spelt.replace("'", "''") + "'"


def block(values: Mapping[str, Any], indent: int) -> Iterator[str]:
    """The lines of a mapping. A mapping inside is put on one line where it fits and has no comments."""
    margin = " " * indent
    for key, value in values.items():
        note = ""
        if isinstance(value, Noted):
            value, note = value.value, f"  # {comment(value.comment)}"
        head = f"{margin}{scalar(key)}:"
        line = f"{head} {flow(value) if isinstance(value, (Mapping, list, tuple)) else scalar(value)}"
        is_long = len(line) + len(note) > WIDTH or (isinstance(value, Mapping) and _has_notes(value))
        if isinstance(value, Mapping) and value and (is_long or len(value) > 4):
            yield head + note
            yield from block(value, indent + 2)
        elif note and is_long:
            yield f"{margin}# ↓ {note.removeprefix('  # ')}"
            yield line
        else:
            yield line + note


def _has_notes(value: Mapping[str, Any]) -> bool:
    return any(
        isinstance(inner, Noted) or (isinstance(inner, Mapping) and _has_notes(inner)) for inner in value.values()
    )
