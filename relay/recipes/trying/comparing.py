"""What a test expects beside what came: each difference with its line, its words, and the value that would meet it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Any, Final

from relay.errors import Place
from relay.model import JSON
from relay.recipes.operators import to_json
from relay.recipes.words import kind_of, listed
from relay.recipes.yaml_tree import Mapping, Node, Sequence, plain

#: Where something stands in a file of YAML: keys, and places in lists, from the file's root.
Path = tuple[str | int, ...]

#: As much as is shown of a value, in characters, and of a text, in lines.
_WIDTH = 100
_LINES = 20

#: What stands before the first difference in a long value, in characters.
_BEFORE = 30

#: Lines of texts that are longer are not matched: it takes the square of their number.
_MOST_MATCHED = 2_000


class Unknown:
    """In place of the value that would meet an expectation, where none does."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Difference:
    """Something expected that isn't met.

    place  of the expectation
    about  of what: `sheet.row.Rating`
    lines  how it differs: what was expected above what came
    path   where the expectation stands in the recipe's file
    value  what would meet it there
    """

    place: Place
    about: str
    lines: tuple[str, ...]
    path: Path
    value: JSON | Unknown = UNKNOWN

    def __str__(self) -> str:
        return "\n".join((f"{self.place}: {self.about}", *(f"    {line}" for line in self.lines)))


def differences(expected: Node, actual: JSON, about: str, path: Path) -> Iterator[Difference]:
    """Where what came lacks what was expected; keys that aren't named are not compared."""
    if isinstance(expected, Mapping) and isinstance(actual, dict):
        for key, _, node in expected.items():
            if key in actual:
                yield from differences(node, actual[key], f"{about}.{key}", (*path, key))
            elif plain(node) is not None:
                yield not_sent(node, f"{about}.{key}", (*path, key), actual)
    elif isinstance(expected, Sequence) and isinstance(actual, list) and len(expected.items) == len(actual):
        for index, (node, one) in enumerate(zip(expected.items, actual, strict=True)):
            yield from differences(node, one, f"{about}[{index}]", (*path, index))
    else:
        wanted = plain(expected)
        if wanted != actual or isinstance(wanted, bool) != isinstance(actual, bool):
            yield Difference(expected.place, about, tuple(beside(wanted, actual)), path, projected(expected, actual))


def not_sent(expected: Node, about: str, path: Path, there: dict[str, Any]) -> Difference:
    """Of a key that isn't there. Null would meet it, for null is not sent."""
    got = f"nothing: it isn't sent; there are {listed(there)}" if there else "nothing: it isn't sent"
    return Difference(expected.place, about, tuple(told(to_json(plain(expected)), got)), path, None)


def projected(expected: Node, actual: JSON) -> JSON:
    """What came, less the keys that the expectation doesn't name."""
    if isinstance(expected, Mapping) and isinstance(actual, dict):
        return {key: projected(node, actual.get(key)) for key, node in expected.values.items()}
    if isinstance(expected, Sequence) and isinstance(actual, list) and len(expected.items) == len(actual):
        return [projected(node, one) for node, one in zip(expected.items, actual, strict=True)]
    return actual


def told(expected: str, got: str) -> Iterator[str]:
    yield f"expected  {expected}"
    yield f"got       {got}"


def beside(expected: JSON, actual: JSON) -> Iterator[str]:
    """Two values one above the other, of long ones the part in which they differ."""
    if isinstance(expected, str) and isinstance(actual, str) and "\n" in expected + actual:
        lines = expected.split("\n"), actual.split("\n")
        if len(lines[0]) + len(lines[1]) < _MOST_MATCHED:
            yield "the text differs in these lines: - expected, + got"
            yield from _lines(*lines)
            return
    wanted, got = to_json(expected), to_json(actual)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(wanted, got, strict=False)))
    if max(len(wanted), len(got)) > _WIDTH:
        start = max(0, min(alike - _BEFORE, max(len(wanted), len(got)) - _WIDTH))
        wanted, got, alike = _cut(wanted, start), _cut(got, start), alike - start + (1 if start else 0)
    if isinstance(expected, list) and isinstance(actual, list):
        wanted, got = f"{_count(expected)}: {wanted}", f"{_count(actual)}: {got}"
    elif kind_of(expected) != kind_of(actual):
        wanted, got = wanted + _kind(expected), got + _kind(actual)
    yield from told(wanted, got)
    if isinstance(expected, str) and isinstance(actual, str) and alike > _BEFORE // 2:
        yield f"{' ' * (10 + alike)}^"


def short(value: JSON) -> str:
    """As JSON, cut."""
    return _cut(to_json(value), 0)


def _lines(expected: list[str], actual: list[str]) -> Iterator[str]:
    shown = 0
    for tag, from_, to, start, end in SequenceMatcher(None, expected, actual, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for sign, lines in (("-", expected[from_:to]), ("+", actual[start:end])):
            for line in lines:
                shown += 1
                if shown > _LINES:
                    yield "…"
                    return
                yield f"{sign} {_line(line)}"


def _line(text: str) -> str:
    """In quotes where it would mislead: with spaces at an end, or signs that can't be seen."""
    shown = text if text and text == text.strip() and text.isprintable() else to_json(text)
    return _cut(shown, 0)


def _cut(text: str, start: int) -> str:
    end = start + _WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _kind(value: JSON) -> str:
    """Of what looks alike: `1` and `"1"`."""
    return f" ({kind_of(value)})" if isinstance(value, (str, int, float)) else ""


def _count(items: list[Any]) -> str:
    return many(len(items), "item")


def many(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else what + 's'}"
