"""The wall clock, in the one unit that is stored: whole milliseconds since 1970 in UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_stopped_ms: ContextVar[int | None] = ContextVar("_stopped_ms", default=None)


def now_ms() -> int:
    stopped = _stopped_ms.get()
    return time.time_ns() // 1_000_000 if stopped is None else stopped


def now() -> datetime:
    stopped = _stopped_ms.get()
    return datetime.now(UTC) if stopped is None else from_ms(stopped)


@contextmanager
def stopped_at(ms: int) -> Iterator[None]:
    """Within the block it is this moment: what depends on the clock gives the same today and tomorrow."""
    token = _stopped_ms.set(ms)
    try:
        yield
    finally:
        _stopped_ms.reset(token)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def isoformat(ms: int) -> str:
    """`2026-03-04T10:21:07.123Z`."""
    return from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
