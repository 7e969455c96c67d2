"""A place in a decoded body: `signature.token`, `value[*].clientState`, `[*].key`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from relay.model import JSON
from relay.sources.units import wrong

_PLACE = re.compile(r"(?:\$\.?)?((?:[^.\[\]{}$*]+|\[\*\])(?:\.[^.\[\]{}$*]+|\[\*\])*)")
_STEP = re.compile(r"[^.\[\]]+|\[\*\]")


@dataclass(frozen=True, slots=True)
class BodyPlace:
    """steps: keys of objects; None for each item of a list."""

    steps: tuple[str | None, ...]

    @classmethod
    def of(cls, text: str) -> BodyPlace:
        """Raises a validation error that shows the right form."""
        match = _PLACE.fullmatch(text.strip())
        if match is None:
            raise wrong("place", f"{text!r} is no place in a body; one is such as token, data.token or items[*].token")
        return cls(tuple(None if step == "[*]" else step for step in _STEP.findall(match[1])))

    def __str__(self) -> str:
        return "".join("[*]" if step is None else f".{step}" for step in self.steps).removeprefix(".")

    def found(self, data: JSON) -> list[Any]:
        """What stands there, one for each item of a list; None for one that has nothing there."""
        level: list[Any] = [data]
        for step in self.steps:
            if step is None:
                level = [inner for outer in level for inner in (outer if isinstance(outer, list) else (None,))]
            else:
                level = [outer.get(step) if isinstance(outer, dict) else None for outer in level]
        return level

    def text(self, data: JSON) -> str | None:
        """The one text that stands there, or the text of a whole number."""
        found = self.found(data)
        return as_text(found[0]) if len(found) == 1 else None

    def put(self, data: JSON, value: str, *, only_where_it_is: bool = False) -> Any:
        """The same with another value there. Objects on the way are made where they aren't; lists are not."""
        return _put(data, self.steps, value, only_where_it_is)


def as_text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _put(data: Any, steps: tuple[str | None, ...], value: str, only: bool) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if step is None:
        return [_put(inner, rest, value, only) for inner in data] if isinstance(data, list) else data
    if isinstance(data, dict):
        return data if only and step not in data else {**data, step: _put(data.get(step), rest, value, only)}
    return {step: _put(None, rest, value, only)} if data is None and not only else data


def _written(value: Any) -> Any:
    return str(BodyPlace.of(value)) if isinstance(value, str) else value


#: A place as it is written; `BodyPlace.of` reads it.
PlaceName = Annotated[str, BeforeValidator(_written)]
