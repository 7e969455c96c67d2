"""What an admin writes for a connector: models that refuse what they don't know, and say so in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from relay.errors import PermanentError
from relay.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_rate, parse_size


class Fields(BaseModel):
    """Base of everything an admin writes for a connector: unknown keys are refused, values are never coerced twice."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


def _duration(value: Any) -> Any:
    return value if isinstance(value, timedelta) else parse_duration(value)


def _size(value: Any) -> Any:
    return value if type(value) is int else parse_size(value)


#: `30s`, `5m`, `2h`, `1d` in YAML; a timedelta in code.
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
#: `500KB`, `1MB` in YAML; a number of bytes in code.
SIZE_VALIDATOR = BeforeValidator(_size)
Size = Annotated[int, SIZE_VALIDATOR, WithJsonSchema({"type": ["string", "integer"], "pattern": SIZE_PATTERN})]


class Limit(Fields):
    """How hard a connection's lane may push its destination."""

    concurrency: int | None = Field(None, ge=1, description="At most so many deliveries at once.", examples=[4])
    rate: str | None = Field(None, description="At most so many deliveries in a time.", examples=["60/min", "10/s"])

    @field_validator("rate")
    @classmethod
    def _rate_is_a_number_in_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            parse_rate(value)
        return value

    def rate_in(self) -> tuple[int, timedelta] | None:
        """`60/min` as (60, one minute)."""
        return parse_rate(self.rate) if self.rate is not None else None


def _share(value: Any) -> Any:
    match = re.fullmatch(r"\s*(\d{1,3})\s*%\s*", value, re.ASCII) if isinstance(value, str) else None
    if type(value) is int:
        return value
    if match is None:
        raise ValueError("a share is a number and %, such as 50%")
    return int(match[1])


#: `50%` in YAML; 50 in code.
Share = Annotated[
    int,
    BeforeValidator(_share),
    Field(ge=1, le=100),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\s*\d{1,3}\s*%\s*$"}),
]


class Breaker(Fields):
    """When a connection's lane stops by itself, and for how long."""

    attempts: int = Field(10, ge=2, description="Of at least so many attempts …", examples=[20])
    failed: Share = Field(50, description="… this share failed …", examples=["80%"])
    window: Duration = Field(timedelta(minutes=1), description="… within this time of the first that did.")
    pause: Duration = Field(timedelta(seconds=10), description="The first pause; each further one is twice as long.")
    longest: Duration = Field(timedelta(minutes=5), description="No pause is longer.")

    @field_validator("window", "pause", "longest")
    @classmethod
    def _lasts(cls, value: timedelta) -> timedelta:
        if not timedelta(milliseconds=10) <= value <= timedelta(days=1):
            raise ValueError("a time from 10ms to 1d")
        return value


class _OrOff:
    """`off` in an editor's schema."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        shapes = [shape for shape in handler(core)["anyOf"] if shape.get("type") != "null"]
        return {"anyOf": [*shapes, {"type": "string", "enum": ["off"]}]}


def _breaker(value: Any) -> Any:
    if value == "off":
        return None
    if value is None or isinstance(value, str):
        raise ValueError("write `off`, or what it should be: {attempts: 10, failed: 50%}")
    return value


class ConnectionConfig(Fields):
    """What every connection in relay.yaml may say beside its connector's own settings."""

    connector: str = Field(description="Which connector speaks to the destination.", examples=["http"])
    limit: Limit = Field(Limit(), description="Concurrency and rate of the connection's lane.")
    breaker: Annotated[Breaker | None, BeforeValidator(_breaker), _OrOff()] = Field(
        Breaker(), description="When the lane stops by itself because the destination is unwell; `off` for never."
    )


def validated(model: type[Fields], fields: Mapping[str, Any]) -> Fields:
    """A rendered `with` as the action's model. Raises PermanentError that names each wrong key."""
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        wrong = "; ".join(complaints(error, model))
        raise PermanentError(f"the step's `with` isn't valid: {wrong}", cause="invalid step fields") from None


def complaints(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Each mistake as `key: what is wrong`, with the nearest known key; never with the value, which may be a secret."""
    for found in error.errors(include_input=False, include_context=False, include_url=False):
        where = ".".join(map(str, found["loc"]))
        if found["type"] == "extra_forbidden":
            *path, key = found["loc"]
            known = _keys(model, path)
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            yield f"{where}: unknown key; {hint}"
        elif found["type"] == "missing":
            yield f"{where}: is required"
        else:
            message = found["msg"].removeprefix("Value error, ")
            yield f"{where}: {message}" if where else message


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys a model knows, or those of the model that `path` leads to."""
    for step in path:
        for name, info in model.model_fields.items():
            inner = nested_model(info.annotation)
            if step in (name, info.alias) and inner is not None:
                model = inner
    return [info.alias or name for name, info in model.model_fields.items()]


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model`, `Model | None` or `list[Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = nested_model(argument)
        if found is not None:
            return found
    return None


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret of a config, for taking out of texts that people read."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets_in(inner)
