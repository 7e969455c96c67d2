"""What travels through the relay: events, deliveries, attempts, and how an attempt ended."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from relay.clock import from_ms, now_ms

#: Crockford's base 32: sorts like the number, and has no letters that are read for digits.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_FROM_RFC_4648 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET.encode())

#: A JSON-like value: what a body decodes to, and what expressions give.
JSON = dict[str, Any] | list[Any] | str | int | float | bool | None


#: Two digits at a time.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def _base32(number: int, length: int) -> str:
    """`length` is even."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * length - 10, -1, -10)])


class _RandomBits:
    """Of the system, fetched for many at once: asking for each would cost more than the rest of an id."""

    _BYTES = 10
    _AT_ONCE = 200

    def __init__(self) -> None:
        self._left: list[bytes] = []
        # Two processes must not go on with the same ones.
        os.register_at_fork(after_in_child=self._left.clear)

    def eighty(self) -> int:
        try:
            return int.from_bytes(self._left.pop(), "big")
        except IndexError:
            many = os.urandom(self._BYTES * self._AT_ONCE)
            first, *rest = (many[start : start + self._BYTES] for start in range(0, len(many), self._BYTES))
            self._left += rest
            return int.from_bytes(first, "big")


_random_bits = _RandomBits()
_last_event = 0


def new_event_id() -> str:
    """`evt_` and 26 characters: 48 bits of milliseconds, 80 random bits. Sorts by time.

    Those of one process and one millisecond sort in the order in which they were made.
    """
    global _last_event
    number = now_ms() << 80 | _random_bits.eighty()
    if number >> 80 <= _last_event >> 80:
        number = _last_event + 1
    _last_event = number
    return "evt_" + _base32(number, 26)


def delivery_id(event_id: str, recipe: str, step: str, item: str = "") -> str:
    """The same for the same work, however often it is routed: a hash of event, recipe, step and item."""
    digest = hashlib.blake2b("\0".join((event_id, recipe, step, item)).encode(), digest_size=15).digest()
    return "dlv_" + base64.b32encode(digest).translate(_FROM_RFC_4648).decode()


@dataclass(frozen=True, slots=True)
class Event:
    """One caught request, immutable.

    body         the raw bytes as they came
    headers      lower-case names; the last of repeated ones; secrets as they came (redact before showing)
    query        the query string's pairs, decoded
    received_ms  when it was caught
    type         the sender's name for what happened, where the source knows it; else ""
    part         its place, from 1, in a body that was split into events; its body is JSON then. Else 0
    """

    id: str
    source: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    received_ms: int
    type: str = ""
    key: str = ""
    remote: str = ""
    part: int = 0

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def received_at(self) -> datetime:
        return from_ms(self.received_ms)


class Status(StrEnum):
    """Where a delivery is. `delivered`, `skipped` and `discarded` are ends; `dead` waits for an operator."""

    WAITING = "waiting"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    DEAD = "dead"
    DISCARDED = "discarded"


#: The step name of a dead letter that arose before any step: the body could not be decoded, or a pick not made.
ROUTE_STEP = "*"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a destination said to a delivery it took.

    body     decoded by its content type: what `$` is under `save`
    summary  one line for operators: `201 Created`, `1 row in chats.csv`
    partial  the body broke off, and a repeat does no harm: whoever wants something of it may ask again
    """

    body: JSON = None
    summary: str = "delivered"
    status: int | None = None
    received: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False


class Fate(StrEnum):
    """How an attempt ended, as far as the retry policy is concerned."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    RETRY = "retry"
    PERMANENT = "permanent"
    HOLD = "hold"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's end: what the retry policy decides on and what operators read.

    cause        groups alike failures under one dead-letter heading
    retry_after  how long the destination asked us to wait
    """

    fate: Fate
    summary: str
    cause: str = ""
    status: int | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery, as it is kept: `sent` and `received` are redacted and cut."""

    number: int
    started_ms: int
    took_ms: float
    outcome: Outcome
    sent: Mapping[str, Any] = field(default_factory=dict)
    received: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "attempt": self.number,
            "at": self.started_ms,
            "took_ms": round(self.took_ms, 1),
            "outcome": self.outcome.fate.value,
            "summary": self.outcome.summary,
            "cause": self.outcome.cause,
            "status": self.outcome.status,
            "sent": dict(self.sent),
            "received": dict(self.received),
        }
