"""Values as XML, by the conventions that XML is read with (relay.sources.xml_body): what was read can be written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from relay.recipes.filters.registry import filter_of
from relay.recipes.operators import MAX_TEXT, to_text
from relay.recipes.words import kind_of, shown

#: As deep as XML is read.
_MAX_DEPTH = 100

# https://www.w3.org/TR/xml/#NT-Name; one colon, for a prefix.
_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_PART = f"[{_START}][{_START}\\-.0-9\u00b7\u0300-\u036f\u203f\u2040]*"
_NAME = re.compile(f"{_PART}(?::{_PART})?")

# https://www.w3.org/TR/xml/#NT-Char: the rest can't be written at all, not even as a reference.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A carriage return as such would be read as a line feed.
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def _check(root: Any = None) -> None:
    if root is not None:
        _check_name(root)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} can't be the name of an element or attribute of XML: it begins with a letter or `_`, "
            "and goes on with letters, digits, `-`, `_` and `.`"
        )


@filter_of(
    "Encoding",
    "The value as XML text, in an element of the name you give; without one, the value is an object of one key, which "
    "is the element. A key `@name` is an attribute and `#text` the text beside it; a list is one element after "
    "another, called `item` where it has no key; null is left out. A character that XML can't hold is written �.",
    (
        '$.order | xml("order")',
        {"order": {"@id": 7, "name": "Fish & chips", "line": ["A", "B"], "note": None}},
        '<order id="7"><name>Fish &amp; chips</name><line>A</line><line>B</line></order>',
    ),
    ("$ | xml", {"a": {"b": {"@unit": "kg", "#text": "5"}, "c": ""}}, '<a><b unit="kg">5</b><c/></a>'),
    ('$.tags | xml("tags")', {"tags": ["red", "green"]}, "<tags><item>red</item><item>green</item></tags>"),
    check=_check,
)
def xml(value: Any, root: str | None = None) -> str:
    if root is None:
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(
                f'XML has one element around all: name it, as in xml("order"), for {shown(value)} has none of its own'
            )
        ((root, value),) = value.items()
    if isinstance(value, list):
        value = {"item": value}
    elif value is None:
        value = ""
    pieces: list[str] = []
    size = 0
    for piece in _element(str(root), value, 1):
        size += len(piece)
        if size > MAX_TEXT:
            raise ValueError(f"the text gets longer than {MAX_TEXT} characters")
        pieces.append(piece)
    return "".join(pieces)


def _element(name: str, value: Any, depth: int) -> Iterator[str]:
    """The pieces of an element; of as many as a list has items, and of none for null."""
    if value is None:
        return
    if depth > _MAX_DEPTH:
        raise ValueError(f"the value is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, list):
        for item in value:
            yield from _element(name, {"item": item} if isinstance(item, list) else item, depth)
        return
    _check_name(name)
    if not isinstance(value, dict):
        text = _written(value, _IN_TEXT)
        yield f"<{name}>{text}</{name}>" if text else f"<{name}/>"
        return
    yield f"<{name}{''.join(_attributes(value))}"
    is_empty = True
    for piece in _content(value, depth):
        if is_empty:
            yield ">"
            is_empty = False
        yield piece
    yield "/>" if is_empty else f"</{name}>"


def _attributes(value: dict[str, Any]) -> Iterator[str]:
    for key, one in value.items():
        if key.startswith("@") and one is not None:
            _check_name(key[1:])
            if isinstance(one, (dict, list)):
                raise ValueError(f"the attribute {key} is text or a number, and this is {kind_of(one)}")
            yield f' {key[1:]}="{_written(one, _IN_ATTRIBUTE)}"'


def _content(value: dict[str, Any], depth: int) -> Iterator[str]:
    for key, one in value.items():
        if key == "#text":
            if isinstance(one, (dict, list)):
                raise ValueError(f"#text is text or a number, and this is {kind_of(one)}")
            if text := _written(one, _IN_TEXT):
                yield text
        elif not key.startswith("@"):
            yield from _element(key, one, depth + 1)


def _written(value: Any, signs: dict[int, str]) -> str:
    return _IMPOSSIBLE.sub("\ufffd", to_text(value)).translate(signs)
