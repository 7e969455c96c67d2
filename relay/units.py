"""Durations, sizes and rates as people write them: a number and its unit, `5m`, `24h`, `10MB`, `60/min`."""

from __future__ import annotations

import re
from datetime import timedelta

#: For JSON Schemas.
DURATION_PATTERN = r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*$"
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*([KMGkmg][iI]?)?[bB]\s*$"

RATE_PATTERN = r"^\s*\d+\s*/\s*\d*\s*(s|sec|second|m|min|minute|h|hour|d|day)\s*$"

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d|w)", re.ASCII)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]i?b|b)", re.ASCII | re.IGNORECASE)
_RATE = re.compile(r"(\d{1,9})\s*/\s*(\d{0,9})\s*(s|sec|second|m|min|minute|h|hour|d|day)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}


def parse_duration(value: object) -> timedelta:
    """`5m` as five minutes. Raises ValueError that shows the right form: a number alone is not guessed at."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"a duration is a number and its unit: 30s, 5m, 2h or 1d; this is {_shown(value)}")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"{value} is too long a time") from None


def parse_size(value: object) -> int:
    """`10MB` as 10,000,000 bytes. Raises ValueError that shows the right form."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"a size is a number and its unit: 500KB, 10MB or 1GB; this is {_shown(value)}")
    return round(float(match[1]) * _BYTES[match[2].lower()])


def parse_rate(value: object) -> tuple[int, timedelta]:
    """`60/min` as (60, one minute), `5/2s` as (5, two seconds). Raises ValueError that shows the right form."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or int(match[1]) < 1 or (match[2] and int(match[2]) < 1):
        raise ValueError(f"a rate is a number in a time, such as 60/min, 10/s or 5/2s; this is {_shown(value)}")
    return int(match[1]), timedelta(seconds=int(match[2] or 1) * _SECONDS[match[3][0]])


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


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
