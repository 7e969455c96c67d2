"""A value of an event as the text that PostgreSQL reads for a column of a type.

Everything travels as text, and the server reads it by the column's type. What is checked here would be refused there
too, mostly: but its error names no column, and quotes the value.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.common.encode import to_json, to_text

_INTEGERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_LARGEST = {"float4": 3.4028234e38, "float8": 1.7976931348623157e308}
_TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,1000}(\.[0-9]{0,1000})?|\.[0-9]{1,1000})([eE][+-]?[0-9]{1,3})?")
_YES = frozenset({"true", "t", "yes", "y", "on", "1"})
_NO = frozenset({"false", "f", "no", "n", "off", "0"})


class ValueRefused(Exception):  # noqa: N818 - it is sorted into a DeliveryError where the column is known
    """Why a column can't have a value; never with the value."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the catalogue has it.

    written  the type's name for a cast, without its modifier: a cast to varchar(3) would cut silently
    shown    the type's name for people
    kind     the catalogue's name of the type, or of the one that a domain is made of
    element  the same of an array's elements
    labels   an enum's values
    fixed    the server makes its value (generated, or identity always)
    single   a unique index of its own
    """

    name: str
    written: str
    shown: str
    kind: str
    modifier: int = -1
    element: str = ""
    labels: tuple[str, ...] = ()
    fixed: bool = False
    single: bool = False

    @property
    def is_known(self) -> bool:
        """Whether a value is checked here, so that the server's refusal can't be about it."""
        return bool(self.labels) or (self.element or self.kind) in _CONVERT or self.kind in _TEXTS


def written(value: Any, column: Column) -> str | None:
    """The text for a parameter; None is NULL. Raises ValueRefused."""
    if value is None:
        return None
    if column.element:
        text = _array(value, column)
    elif column.labels:
        text = _label(value, column)
    else:
        text = _scalar(value, column.kind, column.modifier)
    if "\0" in text:
        raise ValueRefused("a text with a NUL character, which PostgreSQL can't keep")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueRefused("a text with half a character (a lone surrogate)") from None
    return text


def _scalar(value: Any, kind: str, modifier: int) -> str:
    convert = _CONVERT.get(kind)
    if convert is not None:
        return convert(value, kind, modifier)
    text = _plain(value)
    longest = modifier - 4
    # Spaces beyond the end are cut by the server, as the standard says.
    if kind in ("varchar", "bpchar") and modifier >= 4 and len(text.rstrip(" ")) > longest:
        raise ValueRefused(f"a text of {len(text)} characters, and it takes {longest}")
    return text


def _plain(value: Any) -> str:
    _finite(value)
    try:
        return to_text(value)
    except ValueError:  # a number of thousands of digits
        raise ValueRefused("a number that is too long") from None


def _finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueRefused("an infinite number, or none at all (NaN)")
    if isinstance(value, Mapping):
        for inner in value.values():
            _finite(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _finite(inner)


def _integer(value: Any, kind: str, _: int) -> str:
    number: int | None = None
    if type(value) is int:
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (
        isinstance(value, str) and _WHOLE.fullmatch(value.strip())
    ):
        number = int(value)
    if number is None:
        raise ValueRefused(f"{_what(value)}, which is no whole number")
    edge = _INTEGERS[kind]
    if not -edge <= number < edge:
        raise ValueRefused("a number beyond the type's range")
    return str(number)


def _float(value: Any, kind: str, _: int) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # these types have infinity and NaN, in the same words
    number = _decimal(value)
    if abs(number) > _LARGEST[kind]:
        raise ValueRefused("a number beyond the type's range")
    return str(number)


def _numeric(value: Any, _: str, modifier: int) -> str:
    number = _decimal(value)
    if modifier >= 4:
        precision = (modifier - 4) >> 16 & 0xFFFF
        scale = ((modifier - 4 & 0x7FF) ^ 1024) - 1024
        # Rounded by the server before it counts the digits.
        if abs(number) + Decimal(5).scaleb(-scale - 1) >= Decimal(10) ** (precision - scale):
            raise ValueRefused(f"a number with more than {precision - scale} digits before the point")
    return str(number)


def _decimal(value: Any) -> Decimal:
    _finite(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        raise ValueRefused(f"{_what(value)}, which is no number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueRefused(f"{_what(value)}, which is no number")
    try:
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueRefused(f"{_what(value)}, which is no number") from None


def _boolean(value: Any, _: str, __: int) -> str:
    text = value.strip().lower() if isinstance(value, str) else None
    if value is True or text in _YES or (type(value) is int and value == 1):
        return "true"
    if value is False or text in _NO or (type(value) is int and value == 0):
        return "false"
    raise ValueRefused(f"{_what(value)}, which is neither true nor false")


def _uuid(value: Any, _: str, __: int) -> str:
    try:
        return str(uuid.UUID(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueRefused(f"{_what(value)}, which is no UUID") from None


def _date(value: Any, _: str, __: int) -> str:
    """Of a moment, the day as it is written: which day it is elsewhere, the recipe says."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    try:
        text = value.strip() if isinstance(value, str) else ""
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise ValueRefused(f"{_what(value)}, which is no date such as 2026-04-03") from None


def _moment(value: Any, kind: str, _: int) -> str:
    """Without an offset, UTC is meant; a column without time zone gets the time in UTC, not with its offset cut off."""
    moment: datetime
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(value.strip() if isinstance(value, str) else _iso(value))
        except ValueError:
            raise ValueRefused(f"{_what(value)}, which is no time such as 2026-04-03T10:15:00Z") from None
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueRefused("a time beyond the years 1 to 9999") from None
    return moment.isoformat() if kind == "timestamptz" else moment.replace(tzinfo=None).isoformat()


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else ""


def _time(value: Any, _: str, __: int) -> str:
    if isinstance(value, time):
        return value.isoformat()
    try:
        return time.fromisoformat(value.strip() if isinstance(value, str) else "").isoformat()
    except ValueError:
        raise ValueRefused(f"{_what(value)}, which is no time of day such as 10:15") from None


def _json(value: Any, kind: str, _: int) -> str:
    _finite(value)
    text = to_json(value).decode()
    if kind == "jsonb":
        _no_nul(value)
        if "\\ud" in text:
            _whole_characters(text)
    return text


def _no_nul(value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        raise ValueRefused("a text with a NUL character, which jsonb can't keep")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _no_nul(key)
            _no_nul(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _no_nul(inner)


def _whole_characters(text: str) -> None:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueRefused("a text with half a character (a lone surrogate), which jsonb can't keep") from None


def _bytes(value: Any, _: str, __: int) -> str:
    try:
        data = value if isinstance(value, bytes) else _plain(value).encode()
    except UnicodeEncodeError:
        raise ValueRefused("a text with half a character (a lone surrogate)") from None
    return f"\\x{data.hex()}"


_CONVERT: dict[str, Callable[[Any, str, int], str]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(_LARGEST, _float),
    "numeric": _numeric,
    "bool": _boolean,
    "uuid": _uuid,
    "date": _date,
    "timestamp": _moment,
    "timestamptz": _moment,
    "time": _time,
    "json": _json,
    "jsonb": _json,
    "bytea": _bytes,
}


def _label(value: Any, column: Column) -> str:
    text = _plain(value)
    if text not in column.labels:
        raise ValueRefused(f"{_what(value)} that is none of the type's labels")
    return text


def _array(value: Any, column: Column) -> str:
    if not isinstance(value, (list, tuple)):
        raise ValueRefused(f"{_what(value)}, which is no list")
    return "{" + ",".join(_member(inner, column) for inner in value) + "}"


def _member(value: Any, column: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)) and column.element not in ("json", "jsonb"):
        return _array(value, column)
    text = _label(value, column) if column.labels else _scalar(value, column.element, column.modifier)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _what(value: Any) -> str:
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text (leave the column out, or give null)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float, Decimal)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
