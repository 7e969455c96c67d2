"""Regular expressions whose time is bounded: Python's engine has no clock, so what it may be given is limited.

A pattern is taken apart when the recipe is read. Repeats inside repeats, alternatives inside repeats, references and
look-arounds are refused: their time can double with every character. What remains costs at most n to the power of d,
where d counts the open repeats that one and the same character can pump (one more where the pattern may start
anywhere). From d follows how long a text may be for the whole to stay near a second.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

from relay.recipes.words import shown

MAX_PATTERN = 500
MAX_INPUT = 100_000

#: Steps of the engine that pass in about a second.
_BUDGET = 1e9
#: A repeat with at most so many turns is counted as so many characters, not as an open one.
_SMALL = 32
_SAMPLE = [*map(chr, range(128)), "é", "ß", "Ж", "中", "\u2003", "€", "😀"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with what it may take: `max_input` characters, so that one text stays near a second."""

    compiled: re.Pattern[str]
    max_input: int
    degree: int

    def cost(self, text: str) -> float:
        """The share of that second that a text may take."""
        return (len(text) / self.max_input) ** self.degree if self.max_input < MAX_INPUT else 0.0

    def check_input(self, text: str) -> None:
        if len(text) > self.max_input:
            raise ValueError(
                f"this pattern is used on text of at most {self.max_input} characters, and this has {len(text)}; "
                "shorten it with truncate, or use fewer `*` and `+`"
            )


def check_pattern(source: Any, *_: Any) -> None:
    pattern(source)


def pattern(source: Any) -> Pattern:
    """Raises ValueError with a sentence for a pattern that is wrong or could take for ever."""
    if not isinstance(source, str) or len(source) > MAX_PATTERN:
        raise ValueError(f"a pattern is text of at most {MAX_PATTERN} characters")
    return _pattern(source)


@lru_cache(maxsize=512)
def _pattern(source: str) -> Pattern:
    try:
        compiled = re.compile(source)
        tree = sre_parser.parse(source)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(source)} is not a regular expression: {error}") from None
    repeats: list[frozenset[str]] = []
    factor = _walk(list(tree), repeats, inside=False)
    first = tree[0] if len(tree) else (None, None)
    starts = {sre.AT_BEGINNING_STRING} if compiled.flags & re.MULTILINE else {sre.AT_BEGINNING, sre.AT_BEGINNING_STRING}
    anchored = first[0] is sre.AT and first[1] in starts
    degree = max((sum(character in one for one in repeats) for character in _SAMPLE), default=0) + (not anchored)
    degree = max(degree, 1)
    budget = _BUDGET * math.factorial(degree) / max(factor, 1)
    return Pattern(compiled, max(1, min(MAX_INPUT, int(budget ** (1 / degree)))), degree)


def _walk(items: list[Any], repeats: list[frozenset[str]], *, inside: bool) -> int:
    """Collect what the open repeats match; gives how many ways the closed ones leave. Raises ValueError."""
    factor = 1
    for operator, argument in items:
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            factor *= _repeat(argument, repeats, inside=inside)
        elif operator is sre.SUBPATTERN:
            factor *= _walk(list(argument[-1]), repeats, inside=inside)
        elif operator is sre.BRANCH:
            if inside:
                raise ValueError("alternatives (a|b) inside a repeat can take for ever; use [ab], or repeat outside")
            factor *= sum(_walk(list(branch), repeats, inside=inside) for branch in argument[1])
        elif operator in (sre.ASSERT, sre.ASSERT_NOT, sre.GROUPREF, sre.GROUPREF_EXISTS, sre.ATOMIC_GROUP):
            raise ValueError("references and look-arounds are not part of a pattern here")
    if factor > 10_000:
        raise ValueError("this pattern can take for ever: it has too many repeats and alternatives")
    return factor


def _repeat(argument: Any, repeats: list[frozenset[str]], *, inside: bool) -> int:
    least, most, items = int(argument[0]), int(argument[1]), list(argument[2])
    if most == 1:
        return (2 - least) * _walk(items, repeats, inside=inside)
    if inside and least != most:
        raise ValueError("a repeat inside a repeat, such as (a+)+, can take for ever; write it without the inner one")
    if most <= _SMALL:
        ways: int = (most - least + 1) * _walk(items, repeats, inside=True) ** most
        return ways
    if _walk(items, repeats, inside=True) > 1:
        raise ValueError("something optional inside a repeat, such as (a?b)+, can take for ever; write it without")
    # Both cases: a flag such as (?i) may hold here.
    repeats.append(frozenset(form for item in items for c in _matched(item) for form in (c, c.lower(), c.upper())))
    return 1


_CATEGORIES = {
    sre.CATEGORY_DIGIT: re.compile(r"\d"),
    sre.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    sre.CATEGORY_SPACE: re.compile(r"\s"),
    sre.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    sre.CATEGORY_WORD: re.compile(r"\w"),
    sre.CATEGORY_NOT_WORD: re.compile(r"\W"),
}


def _matched(item: tuple[Any, Any]) -> frozenset[str]:
    """The sample characters that one item can match; all of them where that isn't plain to see."""
    operator, argument = item
    if operator is sre.LITERAL and argument < 128:
        return frozenset(chr(argument))
    if operator is not sre.IN:
        return frozenset(_SAMPLE)
    matched: set[str] = set()
    is_negated = False
    for kind, value in argument:
        if kind is sre.NEGATE:
            is_negated = True
        elif kind is sre.LITERAL:
            matched.add(chr(value))
        elif kind is sre.RANGE:
            matched.update(character for character in _SAMPLE if value[0] <= ord(character) <= value[1])
        elif kind is sre.CATEGORY and value in _CATEGORIES:
            matched.update(character for character in _SAMPLE if _CATEGORIES[value].match(character))
        else:
            return frozenset(_SAMPLE)
    return frozenset(_SAMPLE) - matched if is_negated else frozenset(matched)
