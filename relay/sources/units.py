"""Durations, sizes and rates as pydantic fields, with messages that read as sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from relay import units


def wrong(kind: str, message: str) -> PydanticCustomError:
    """A validation error that reads as `message`, without pydantic's "Value error, " in front."""
    return PydanticCustomError("relay_" + kind, "{message}", {"message": message})


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return units.parse_duration(value)
    except ValueError as error:
        raise wrong("duration", str(error)) from None


def _size(value: Any) -> int:
    try:
        return units.parse_size(value)
    except ValueError as error:
        raise wrong("size", str(error)) from None


def _rate(value: Any) -> str:
    try:
        units.parse_rate(value)
    except ValueError as error:
        raise wrong("rate", str(error)) from None
    return str(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(units.format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": units.DURATION_PATTERN}),
]

Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(units.format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": units.SIZE_PATTERN}),
]

#: `60/min`, as it is written; `relay.units.parse_rate` reads it.
Rate = Annotated[str, BeforeValidator(_rate), WithJsonSchema({"type": "string", "pattern": units.RATE_PATTERN})]
