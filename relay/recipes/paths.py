"""`$…`: paths into the body and into named values.

Plain paths (`$.a.b`, `$.a[0]`, `$name["x"]`) are walked here. What can match many (`*`, `..`, a slice, a filter) is
jsonpath-ng's, compiled once, and gives a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonpath_ng.ext.parser import parse as parse_jsonpath

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes.words import kind_of, listed, nearest

#: From an offset in an expression's text to its place in the file.
At = Callable[[int], Place]

_NAME = re.compile(r"[^\W\d]\w*")
_KEY = re.compile(r"[@#]?\w+")
_QUOTED = re.compile(r"""^\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*$""")
_INDEX = re.compile(r"^\s*(-?\d{1,9})\s*$")
_MISSING = object()

#: Each `..` multiplies the matches by the depth of the body, which a sender chooses.
_MOST_DESCENTS = 2


@dataclass(frozen=True, slots=True)
class Ref:
    """One `$…` of an expression.

    root      "" for the body (or the reply, under `save`), else a name
    steps     keys and indexes, for a plain path
    many      the compiled JSONPath, for a path that can match many
    optional  it ended in `?`: null where it is missing
    """

    text: str
    root: str
    steps: tuple[str | int, ...]
    many: Any
    optional: bool
    place: Place

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value, or the list of values. Raises RecipeError that names what is there."""
        try:
            value = values[self.root]
            if self.many is not None:
                return [found.value for found in self.many.find(value)]
            for step in self.steps:
                if type(step) is int and type(value) is not list:
                    raise TypeError
                value = value[step]
        except (LookupError, TypeError):
            if self.optional:
                return None
            raise self._missing(values) from None
        except (RecursionError, ValueError, AttributeError) as error:
            raise RecipeError(f"{self.text} can't be followed in this event ({error})", self.place) from error
        return value

    def _missing(self, values: Mapping[str, Any]) -> RecipeError:
        if self.root not in values:
            return RecipeError(f"{self.text}: `{self.root}` has nothing for this event", self.place)
        value = values[self.root]
        walked = "$" + self.root
        for step in self.steps:
            found = _step(value, step)
            if found is _MISSING:
                return RecipeError(f"{self.text}: {_what_is_there(value, step, walked)}", self.place)
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
    if isinstance(step, str) and _KEY.fullmatch(step):
        return f".{step}"
    return f'["{step}"]' if isinstance(step, str) else f"[{step}]"


def _what_is_there(value: Any, step: str | int, walked: str) -> str:
    where = "the body" if walked == "$" else walked
    match value:
        case dict() if isinstance(step, str):
            keys = [str(key) for key in value]
            guess = nearest(step, keys)
            hint = f"did you mean `{guess}`? " if guess else ""
            there = f"there are {listed(keys)}" if keys else "it is empty"
            return f"no `{step}` in {where}; {hint}{there}"
        case list() if isinstance(step, int):
            return f"no item {step} in {where}, which has {len(value)}; the first is [0]"
        case list():
            return f"{where} is a list, so `{step}` is in its items: [0] is the first, [*] is all"
        case _:
            return f"{where} is {kind_of(value)}, so it has no `{step}`"


def scan_ref(text: str, start: int, at: At) -> tuple[Ref, int]:
    """Read the `$…` at `start`; gives it and the offset after it. Raises ConfigError."""
    name = _NAME.match(text, start + 1)
    root = name[0] if name else ""
    position = name.end() if name else start + 1
    steps: list[str | int] = []
    jsonpath = "$"
    is_plain = True
    while position < len(text):
        if text.startswith("..", position):
            is_plain = False
            piece, position = _after_dots(text, position + 2, at)
            jsonpath += f"..{piece}"
        elif text[position] == ".":
            if text.startswith(".*", position):
                is_plain = False
                jsonpath += "[*]" if text[position + 2 : position + 3] == "[" else ".*"
                position += 2
                continue
            key = _KEY.match(text, position + 1)
            if not key:
                raise ConfigError('after `.` comes a key; one with other signs is written ["like-this"]', at(position))
            steps.append(key[0])
            jsonpath += _quoted(key[0])
            position = key.end()
        elif text[position] == "[":
            end = _closing(text, position, at)
            inside = text[position + 1 : end]
            position = end + 1
            if quoted := _QUOTED.match(inside):
                key_text = re.sub(r"\\(.)", r"\1", quoted[1] if quoted[1] is not None else quoted[2])
                steps.append(key_text)
                jsonpath += _quoted(key_text)
            elif index := _INDEX.match(inside):
                steps.append(int(index[1]))
                jsonpath += f"[{index[1]}]"
            else:
                is_plain = False
                jsonpath += f"[{inside}]"
        else:
            break
    written = text[start:position]
    optional = text.startswith("?", position)
    if optional:
        position += 1
        if text[position : position + 1] in (".", "["):
            raise ConfigError("`?` goes at the end of a path: it covers everything before it", at(position - 1))
    many = None if is_plain else _many(jsonpath, written, at(start))
    if root == "headers":
        steps = [step.lower() if isinstance(step, str) else step for step in steps]
    return Ref(written, root, tuple(steps), many, optional, at(start)), position


def _after_dots(text: str, position: int, at: At) -> tuple[str, int]:
    if text.startswith("*", position):
        return "*", position + 1
    if text.startswith("[", position):
        end = _closing(text, position, at)
        return text[position : end + 1], end + 1
    key = _KEY.match(text, position)
    if not key:
        raise ConfigError("after `..` comes a key, as in $..id", at(position))
    return f"'{key[0]}'", key.end()


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def unquoted(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The characters that stand outside of quotes, with their offsets."""
    quote = ""
    position = start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        else:
            yield position, character
        position += 1


def _closing(text: str, start: int, at: At) -> int:
    """The offset of the `]` that closes the `[` at `start`, seen past quotes and brackets inside."""
    depth = 0
    for position, character in unquoted(text, start):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if not depth:
                return position
    raise ConfigError("this `[` is never closed", at(start))


def _many(jsonpath: str, written: str, place: Place) -> Any:
    # jsonpath-ng's own functions (`sub`, `split`) and its regular expressions are not bounded.
    bare = re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", "", jsonpath)
    if "`" in bare or "=~" in bare:
        raise ConfigError(f"{written}: backticks and `=~` are not part of a path here; use a filter", place)
    if len(jsonpath) > 1000:
        raise ConfigError("this path is too long", place)
    if bare.count("..") > _MOST_DESCENTS:
        raise ConfigError(f"{written}: a path has `..` at most twice", place)
    try:
        return _parsed(jsonpath)
    except Exception as error:
        raise ConfigError(f"{written} is not a path: {_first_line(error)}", place) from error


@lru_cache(maxsize=2048)
def _parsed(jsonpath: str) -> Any:
    return parse_jsonpath(jsonpath)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
