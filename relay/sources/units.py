"""Durations and sizes as an admin writes them: a number and its unit, `5m`, `24h`, `10MB`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION_PATTERN = r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"
_SIZE_PATTERN = r"^\d+(\.\d+)?\s*(B|KB|MB|GB|KiB|MiB|GiB)$"
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]i?b|b)", re.ASCII | re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


def wrong(kind: str, message: str) -> PydanticCustomError:
    """A validation error that reads as `message`, without pydantic's "Value error, " in front."""
    return PydanticCustomError("relay_" + kind, "{message}", {"message": message})


def parse_duration(value: Any) -> timedelta:
    """`5m` as five minutes. Raises a validation error that shows the right form."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise wrong("duration", f"a duration is a number and its unit: 30s, 5m, 2h or 1d; this is {_shown(value)}")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_size(value: Any) -> int:
    """`10MB` as 10,000,000 bytes. Raises a validation error that shows the right form."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return round(float(match[1]) * _BYTES[match[2].lower()])
    raise wrong("size", f"a size is a number and its unit: 500KB, 10MB or 1GB; this is {_shown(value)}")


def format_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back: 86,400 seconds are `1d`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def format_size(value: int) -> str:
    """The shortest spelling that `parse_size` reads back: 10,000,000 bytes are `10MB`."""
    for unit, size in (("GB", 1000**3), ("MB", 1000**2), ("KB", 1000)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}B"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN}),
]

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _SIZE_PATTERN}),
]
