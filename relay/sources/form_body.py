"""Form fields with brackets in their names, as nested values: `data[merges][EMAIL]=x`, `tag[]=a&tag[]=b`.

- `a[b]=1` is an object, `a[]=1` a list; the keys 0, 1, 2 … without a gap are a list too, any others are an object:
  `a[7]=x` is {"7": "x"}, for a number in brackets may well be somebody's id.
- A repeated field is a list of its values, in their order.
- Nothing is lost where a field is both a value and an object: `a=1&a[b]=2` is {"a": {"#text": "1", "b": "2"}}.
- A name whose brackets don't close is taken as it is.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Iterable
from typing import Any

from relay.errors import BodyError
from relay.sources.charset import to_text

#: More of any is an attack on memory, not a form.
MAX_FIELDS = 10_000
MAX_DEPTH = 32
MAX_KEYS = 100_000

_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def decode_form(body: bytes, charset: str = "") -> dict[str, Any]:
    """`application/x-www-form-urlencoded`. Raises BodyError."""
    if body.count(b"&") >= MAX_FIELDS:
        raise BodyError(f"the form has more than {MAX_FIELDS} fields")
    fields = []
    for number, field in enumerate(body.split(b"&"), 1):
        if field:
            name, _, value = field.partition(b"=")
            fields.append((_unquoted(name, charset, number), _unquoted(value, charset, number)))
    return nest(fields)


def nest(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by their bracketed names. Raises BodyError where there are too many, or too deep ones."""
    root = _Node()
    keys = 0
    for number, (name, value) in enumerate(fields, 1):
        if number > MAX_FIELDS:
            raise BodyError(f"the form has more than {MAX_FIELDS} fields")
        path = _path(name, number)
        keys += len(path)
        if keys > MAX_KEYS:
            raise BodyError(f"the names of the form's fields have more than {MAX_KEYS} keys")
        node = root
        for key in path:
            node = node.child(key)
        node.values.append(value)
    return {key: node.value() for key, node in root.children.items()}


def _unquoted(text: bytes, charset: str, number: int) -> str:
    text = text.replace(b"+", b" ")
    return to_text(_without_escapes(text) if b"%" in text else text, charset, f"the form's field {number}")


def _without_escapes(text: bytes) -> bytes:
    """`%41` as `A`, and a `%` that begins no escape as it is.

    By the decoder of quoted-printable, which is the same with another sign, in C. The standard library's for URLs makes
    an object of each escape: a field of 10 MB took 750 MB.
    """
    return a2b_qp(_LONE_PERCENT.sub(b"%25", text).replace(b"=", b"=3D").replace(b"%", b"="))


def _path(name: str, number: int) -> list[str | None]:
    """`a[b][]` as ["a", "b", None]: None is the next place of a list."""
    first, _, rest = name.partition("[")
    if not first or "]" in first or not rest.endswith("]"):
        return [name]
    inner = rest[:-1]
    between = inner.replace("][", "")
    if "[" in between or "]" in between:
        return [name]
    if inner.count("][") + 2 > MAX_DEPTH:
        raise BodyError(f"the form's field {number} is nested deeper than {MAX_DEPTH} levels")
    return [first, *(key or None for key in inner.split("]["))]


class _Node:
    """What one name holds: the values it was given, and what its brackets name."""

    __slots__ = ("children", "next_place", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.children: dict[str, _Node] = {}
        self.next_place = 0

    def child(self, key: str | None) -> _Node:
        if key is None:
            key = str(self.next_place)
        if key.isascii() and key.isdigit() and len(key) <= 9 and str(int(key)) == key:
            self.next_place = max(self.next_place, int(key) + 1)
        return self.children.setdefault(key, _Node())

    def value(self) -> Any:
        if not self.children:
            return self.values[0] if len(self.values) == 1 else self.values
        inner = {key: node.value() for key, node in self.children.items()}
        if all(str(place) in inner for place in range(len(inner))):
            return [*self.values, *(inner[str(place)] for place in range(len(inner)))]
        if self.values:
            own = [*self.values, inner.pop("#text")] if "#text" in inner else self.values
            return {"#text": own[0] if len(own) == 1 else own, **inner}
        return inner
