"""Words for people: the nearest known word, lists in a sentence, kinds of values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from relay.model import JSON

#: `key:value`, and no address such as `https://…`.
STUCK = re.compile(r"^([\w.-]+):([^\s/].*)$")

#: More keys than this are not listed: the sentence has to stay one.
_LISTED = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most likely meant, if any is near."""
    choices = list(known)
    by_lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def listed(words: Iterable[str]) -> str:
    """`a`, `b`, `c` — each in backticks, cut after a dozen."""
    every = list(words)
    text = ", ".join(f"`{word}`" for word in every[:_LISTED])
    more = len(every) - _LISTED
    return f"{text} and {more} more" if more > 0 else text


def unknown(kind: str, word: str, known: Iterable[str], there: str = "") -> str:
    """The sentence for a word nobody knows: the nearest one, and what there is.

    there  what has them, in place of "there are": `desk has`
    """
    choices = list(known)
    guess = nearest(word, choices)
    if guess and len(choices) > _LISTED:
        return f"unknown {kind} `{word}`: did you mean `{guess}`?"
    hint = f"did you mean `{guess}`? " if guess else ""
    if guess and len(choices) == 1:
        return f"unknown {kind} `{word}`: did you mean `{guess}`?"
    if len(choices) < 2:
        rest = f"there is only {listed(choices)}" if choices else f"there is no {kind}"
    else:
        rest = f"{there or 'there are'} {listed(choices)}"
    return f"unknown {kind} `{word}`: {hint}{rest}"


def missing_space(key: str, known: Iterable[str]) -> str:
    """What to add where a key that nobody knows is a known one with its value stuck to it: `to:desk`."""
    match = STUCK.match(key)
    if match and match[1] in list(known):
        return f"; a space is missing after the colon: `{match[1]}: {match[2]}`"
    return ""


def kind_of(value: object) -> str:
    """What a JSON value is, in the words of the docs."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return "a date"


def shown(value: JSON | object, limit: int = 60) -> str:
    """A value as it is quoted in a message: JSON, cut to `limit` characters."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            # str() of a huge integer is refused by Python itself (CVE-2020-10735).
            text = str(value) if value.bit_length() < 4096 else "a very large number"
        case str():
            text = '"' + value[: limit + 1].replace("\n", "\\n") + '"'
        case dict():
            text = f"an object with {listed(str(key) for key in value)}" if value else "an empty object"
        case list() | tuple():
            text = f"a list of {len(value)}"
        case _:
            text = str(value)
    return text if len(text) <= limit + 2 else text[:limit] + "…"
