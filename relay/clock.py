"""The wall clock, in the one unit that is stored: whole milliseconds since 1970 in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def now() -> datetime:
    return datetime.now(UTC)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def isoformat(ms: int) -> str:
    """`2026-03-04T10:21:07.123Z`."""
    return from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
