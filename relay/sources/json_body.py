"""JSON as it was meant: big integers exact, no NaN, bounded depth, and a place in every complaint.

Of keys that are there twice the last one wins, as in every browser. Half a surrogate pair (`"\\ud83d"`, an emoji cut in
two by the sender) becomes U+FFFD, for it can't be written in UTF-8 again.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any, NoReturn

import orjson

from relay.errors import BodyError
from relay.model import JSON
from relay.sources.charset import is_utf8, to_text

#: Deeper values can't be written again by every library they pass through (orjson stops at 254).
MAX_DEPTH = 128

#: Objects and lists together. Each takes 60 to 230 bytes of memory for as little as three of the body.
MAX_CONTAINERS = 500_000

#: Also one that doesn't end: looking for its end from each of its quotes would take for ever.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)

#: orjson makes a float of an integer beyond 64 bits; 19 digits in a row are the sign that there may be one.
_DIGITS_TO_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_NUMBER = b"0" * 19

#: Whole pairs are one character by the time it is looked for.
_HALF_OF_A_PAIR = re.compile("[\\ud800-\\udfff]")

_UTF16_OR_32_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def decode_json(body: bytes, charset: str = "") -> JSON:
    """Raises BodyError with line and column."""
    if not is_utf8(charset):
        body = to_text(body, charset).encode()
    elif body.startswith(codecs.BOM_UTF8):
        body = body[3:]
    elif body.startswith(_UTF16_OR_32_BOMS) or b"\0" in body[:4]:
        # RFC 4627: the zeros among the first four bytes tell UTF-16 and UTF-32 apart.
        body = to_text(body, json.detect_encoding(body)).encode()
    # Each object or list takes a bracket; most bodies have too few to be worth a look.
    brackets = _brackets(body)
    if brackets > MAX_CONTAINERS and brackets - sum(map(_brackets_of, _TEXT.finditer(body))) > MAX_CONTAINERS:
        raise BodyError(f"the body isn't usable JSON: it has more than {MAX_CONTAINERS} objects and lists")
    if _LONG_NUMBER in body.translate(_DIGITS_TO_ZERO):
        value = _exact(body)
    else:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = _exact(body)
    if brackets > MAX_DEPTH and too_deep(value):
        raise BodyError(f"the body isn't usable JSON: it is nested deeper than {MAX_DEPTH} levels")
    return value


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _brackets_of(match: re.Match[bytes]) -> int:
    return _brackets(match[0])


def too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Level by level, so that no depth is too much for the one who asks."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _exact(body: bytes) -> JSON:
    """The slow way: integers of any size, and messages with a place."""
    text = to_text(body)
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        message = f"the body isn't JSON: {_lower(error.msg)} at line {error.lineno}, column {error.colno}"
        if error.msg.startswith("Invalid control character"):
            message += "; a line break or tab inside a text has to be escaped by the sender"
        raise BodyError(message) from None
    except RecursionError:
        raise BodyError(f"the body isn't usable JSON: it is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        reason = "a number has too many digits" if "set_int_max_str_digits" in str(error) else str(error)
        raise BodyError(f"the body isn't usable JSON: {reason}") from None
    return _whole(value) if "\\u" in text and not too_deep(value) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _whole(value: Any) -> Any:
    """The same without halves of surrogate pairs."""
    if isinstance(value, str):
        return value if value.isascii() else _HALF_OF_A_PAIR.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    return value


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
