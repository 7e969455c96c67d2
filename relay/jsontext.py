"""JSON of anything that can be an event's value: quick where it can be, exact where it must be."""

from __future__ import annotations

import json
from typing import Any

import orjson


def dumps(value: Any) -> bytes:
    """Compact. Integers beyond 64 bits stay exact and lone surrogates are escaped, which orjson refuses to write."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":"), default=str).encode("ascii")


def loads(text: bytes) -> Any:
    """Integers of any size stay exact: orjson would make floats of those beyond 64 bits."""
    return json.loads(text)


def clean(text: str) -> str:
    """Text that can be written as UTF-8: a lone surrogate out of an event is shown as a question mark."""
    return text.encode("utf-8", "replace").decode()
