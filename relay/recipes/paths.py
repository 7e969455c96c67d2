"""`$…`: paths into the body and into named values.

A plain path (`$.a.b`, `$.a[0]`, `$name["x"]`) gives the one value it leads to. What can match many (`*`, `..`, a slice,
a condition) gives a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes.jsonpath import KEY, MAX_PATH, MOST_DESCENTS, At, PathReader, Segment, names
from relay.recipes.jsonpath_condition import read_condition
from relay.recipes.walk import matches, parsed, prepared
from relay.recipes.words import kind_of, listed, nearest

__all__ = ["At", "Ref", "scan_ref"]

_NAME = re.compile(r"[^\W\d]\w*")
_MISSING = object()
#: Among the values, what `$` is called in messages; no name is spelt like it.
WHOLE = "$"

#: A body may have so many keys that to compare a misspelt one with all of them takes seconds.
_NEAREST_OF = 1000


@dataclass(frozen=True, slots=True)
class Ref:
    """One `$…` of an expression.

    root      "" for the body (or the reply, under `save`), else a name
    steps     the keys and indexes it begins with: the whole of a plain path
    segments  the whole of a path that can match many; None for a plain one
    optional  it ended in `?`: null where it is missing
    """

    text: str
    root: str
    steps: tuple[str | int, ...]
    segments: tuple[Segment, ...] | None
    optional: bool
    place: Place

    @property
    def many(self) -> Any:
        """jsonpath-ng's own form of a path that can match many, for changing what it finds; None for a plain path."""
        return None if self.segments is None else parsed(_spelt_whole(self.segments))

    @property
    def last_key(self) -> str | int:
        """The key it ends with; its name where it has none."""
        if self.segments is not None:
            last = self.segments[-1]
            return str(last.value[-1]) if last.kind == "names" else ""
        return self.steps[-1] if self.steps else self.root

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value, or the list of values. Raises RecipeError that names what is there."""
        try:
            value = values[self.root]
            if self.segments is not None:
                return matches(self.segments, value)
            for step in self.steps:
                if type(step) is int and type(value) is not list:
                    raise TypeError
                value = value[step]
        except (LookupError, TypeError):
            if self.optional:
                return None
            raise self._missing(values) from None
        except ValueError as error:
            raise RecipeError(f"{self.text}: {error}", self.place) from error
        return value

    def _missing(self, values: Mapping[str, Any]) -> RecipeError:
        if self.root not in values:
            return RecipeError(f"{self.text}: `{self.root}` has nothing for this event", self.place)
        value = values[self.root]
        walked = "$" + self.root
        for step in self.steps:
            found = _step(value, step)
            if found is _MISSING:
                where = values.get(WHOLE, "the body") if walked == "$" else walked
                return RecipeError(f"{self.text}: {_what_is_there(value, step, where)}", self.place)
            value = found
            walked += _spelt(step, first=walked == "$")
        return RecipeError(f"{self.text} can't be followed through {kind_of(value)}", self.place)


def _step(value: Any, step: str | int) -> Any:
    fits = isinstance(value, dict if isinstance(step, str) else list)
    try:
        return value[step] if fits else _MISSING
    except LookupError:
        return _MISSING


def _spelt(step: str | int, *, first: bool = False) -> str:
    if isinstance(step, str) and KEY.fullmatch(step):
        return f".{step}"
    return f'["{step}"]' if isinstance(step, str) else f"[{step}]"


def _what_is_there(value: Any, step: str | int, where: str) -> str:
    match value:
        case dict() if isinstance(step, str):
            keys = [str(key) for key in value]
            guess = nearest(step, keys[:_NEAREST_OF])
            hint = f"did you mean `{guess}`? " if guess else ""
            there = f"there are {listed(keys)}" if keys else "it is empty"
            return f"no `{step}` in {where}; {hint}{there}"
        case list() if isinstance(step, int):
            return f"no item {step} in {where}, which has {len(value)}; the first is [0]"
        case dict():
            return f"{where} is an object, not a list; where there may be one or many, `| list` makes a list of both"
        case list():
            return f"{where} is a list, so `{step}` is in its items: [0] is the first, [*] is all"
        case _:
            return f"{where} is {kind_of(value)}, so it has no `{step}`"


def scan_ref(text: str, start: int, at: At) -> tuple[Ref, int]:
    """Read the `$…` at `start`; gives it and the offset after it. Raises ConfigError."""
    name = _NAME.match(text, start + 1)
    root = name[0] if name else ""
    segments, end = PathReader(text, at, root, read_condition).segments(name.end() if name else start + 1)
    written = text[start:end]
    optional = text.startswith("?", end)
    if optional and text[end + 1 : end + 2] in (".", "["):
        raise ConfigError("`?` goes at the end of a path: it covers everything before it", at(end))
    if root == "headers":
        segments = [_in_small_letters(segment) for segment in segments]
    steps: list[str | int] = []
    for segment in segments:
        if segment.one is None:
            break
        steps.append(segment.one)
    many = None if len(steps) == len(segments) else _prepared(segments, written, at(start))
    return Ref(written, root, tuple(steps), many, optional, at(start)), end + optional


def _in_small_letters(segment: Segment) -> Segment:
    if segment.kind != "names":
        return segment
    return names(tuple(name.lower() for name in segment.value), deep=segment.deep)


def _prepared(segments: list[Segment], written: str, place: Place) -> tuple[Segment, ...]:
    """Raises ConfigError for a path that would take too long."""
    if len(written) > MAX_PATH:
        raise ConfigError("this path is too long", place)
    if sum(segment.deep for segment in segments) > MOST_DESCENTS:
        raise ConfigError(f"{written}: a path has `..` at most twice", place)
    try:
        return prepared(segments)
    except Exception as error:
        raise ConfigError(f"{written} is not a path: {(str(error).splitlines() or ['?'])[0]}", place) from error


def _spelt_whole(segments: tuple[Segment, ...]) -> str:
    return "$" + "".join(segment.spelt for segment in segments)
