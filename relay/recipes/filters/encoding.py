"""Encodings, hashes and signatures."""

from __future__ import annotations

import base64 as codec
import binascii
import csv as csv_writer
import hashlib
import hmac as hmac_maker
import io
import json
from typing import Any
from urllib.parse import quote

from relay.recipes import operators
from relay.recipes.filters.registry import filter_of, want_list, want_text
from relay.recipes.operators import to_text
from relay.recipes.words import kind_of, listed, nearest, shown

_GROUP = "Encoding"
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")


def _check_algorithm(algorithm: Any = "sha256") -> None:
    if algorithm not in _ALGORITHMS:
        guess = nearest(str(algorithm), _ALGORITHMS)
        hint = f"did you mean `{guess}`? " if guess else ""
        raise ValueError(f"{shown(algorithm)} is not a hash that is known here; {hint}there are {listed(_ALGORITHMS)}")


@filter_of(
    _GROUP,
    "The value as JSON text.",
    ("$.answers | to_json", {"answers": {"q1": "yes", "n": 2}}, '{"q1":"yes","n":2}'),
)
def to_json(value: Any) -> str:
    return operators.to_json(value)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


@filter_of(
    _GROUP,
    "Reads JSON text.",
    ("$.payload | from_json", {"payload": '{"id": 7}'}, {"id": 7}),
)
def from_json(value: Any) -> Any:
    text = want_text(value)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {error}") from None


@filter_of(_GROUP, "Base64 of the text's UTF-8.", ("$.name | base64", {"name": "Zoë"}, "Wm/Dqw=="))
def base64(value: Any) -> str:
    return codec.b64encode(want_text(value).encode()).decode()


@filter_of(
    _GROUP,
    "Text out of base64, also of the kind used in web addresses.",
    ("$.data | from_base64", {"data": "Wm_Dqw"}, "Zoë"),
)
def from_base64(value: Any) -> str:
    text = "".join(want_text(value).split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return codec.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"{shown(value)} is not text in base64") from None


@filter_of(
    _GROUP,
    "Fit to be a part of a web address.",
    ("$.name | url_encode", {"name": "Zoë & co/1"}, "Zo%C3%AB%20%26%20co%2F1"),
)
def url_encode(value: Any) -> str:
    return quote(want_text(value), safe="")


@filter_of(
    _GROUP,
    "The hash of the text, in hexadecimal: `sha256` unless you name `sha512`, `sha384`, `sha1` or `md5`.",
    ("$.email | hash", {"email": "a@b.c"}, "d648b243a3e817eaa3309e00e183483f2867baadf522099f0c2121770536b25a"),
    ('$.email | hash("md5")', {"email": "a@b.c"}, "5d60d4e28066df254d5452f92c910092"),
    check=_check_algorithm,
    name="hash",
)
def hash_(value: Any, algorithm: str = "sha256") -> str:
    _check_algorithm(algorithm)
    return hashlib.new(algorithm, want_text(value).encode(), usedforsecurity=False).hexdigest()


@filter_of(
    _GROUP,
    "The HMAC signature of the text with a key, in hexadecimal.",
    ('$.text | hmac("key", "sha1")', {"text": "hello"}, "b34ceac4516ff23a143e61d79d0fa7a4fbe5f266"),
    check=lambda key, algorithm="sha256": _check_algorithm(algorithm),
)
def hmac(value: Any, key: str, algorithm: str = "sha256") -> str:
    _check_algorithm(algorithm)
    return hmac_maker.new(want_text(key).encode(), want_text(value).encode(), algorithm).hexdigest()


def _check_delimiter(delimiter: Any = ",") -> None:
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"the delimiter is one character, not {shown(delimiter)}")


@filter_of(
    _GROUP,
    "A list as one line of CSV; a list of lists or objects as lines, objects with a heading.",
    ("$.row | csv", {"row": ["Ana", 'said "hi"', 2]}, 'Ana,"said ""hi""",2'),
    ('$.rows | csv(";")', {"rows": [{"a": 1, "b": "x;y"}, {"a": 2}]}, 'a;b\r\n1;"x;y"\r\n2;'),
    check=_check_delimiter,
)
def csv(value: Any, delimiter: Any = ",") -> str:
    _check_delimiter(delimiter)
    rows = want_list(value)
    operators.measure(rows)
    if any(isinstance(row, dict) for row in rows):
        rows = _with_heading(rows)
    elif not any(isinstance(row, list) for row in rows):
        rows = [rows]
    lines = io.StringIO()
    writer = csv_writer.writer(lines, delimiter=delimiter, lineterminator="\r\n")
    for row in rows:
        if not isinstance(row, list):
            raise ValueError(f"a row is a list, not {kind_of(row)}")
        writer.writerow([to_text(cell) for cell in row])
        if lines.tell() > operators.MAX_TEXT:
            raise ValueError(f"the text gets longer than {operators.MAX_TEXT} characters")
    return lines.getvalue().removesuffix("\r\n")


def _with_heading(rows: list[Any]) -> list[list[Any]]:
    heading: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError(f"either all rows are objects or none; one is {kind_of(row)}")
        heading.update(dict.fromkeys(row))
    if len(heading) * len(rows) > operators.MAX_ITEMS * 4:
        raise ValueError("the table gets too large")
    return [list(heading), *([row.get(key) for key in heading] for row in rows)]
