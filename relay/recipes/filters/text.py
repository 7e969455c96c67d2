"""Text. Numbers, true and false are taken as JSON writes them."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from relay.recipes.filters.html_text import text_of_html
from relay.recipes.filters.patterns import check_pattern, pattern
from relay.recipes.filters.registry import filter_of, want_count, want_text
from relay.recipes.operators import MAX_ITEMS, MAX_TEXT, to_text
from relay.recipes.unicode import normal
from relay.recipes.words import shown

_GROUP = "Text"


@filter_of(_GROUP, "Takes the spaces off both ends.", ("$.name | trim", {"name": "  Ana "}, "Ana"))
def trim(value: Any) -> str:
    return want_text(value).strip()


@filter_of(_GROUP, "All small letters.", ("$.code | lower", {"code": "AbC"}, "abc"))
def lower(value: Any) -> str:
    return want_text(value).lower()


@filter_of(_GROUP, "All capital letters.", ("$.code | upper", {"code": "AbC"}, "ABC"))
def upper(value: Any) -> str:
    return want_text(value).upper()


@filter_of(
    _GROUP,
    "The first letter of every word a capital, the others small.",
    ("$.name | title", {"name": "ana o'neill-SMITH"}, "Ana O'Neill-Smith"),
)
def title(value: Any) -> str:
    return re.sub(r"[^\W\d_]+", lambda word: word[0][:1].upper() + word[0][1:].lower(), want_text(value))


def _check_replace(old: Any, new: Any = None) -> None:
    if not want_text(old):
        raise ValueError("the text to look for is empty")


@filter_of(
    _GROUP,
    "Puts the second text wherever the first one stands.",
    ('$.path | replace("-", "/")', {"path": "2026-04-03"}, "2026/04/03"),
    check=_check_replace,
)
def replace(value: Any, old: str, new: str) -> str:
    _check_replace(old)
    text, old, new = want_text(value), want_text(old), to_text(new)
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise ValueError(f"the text gets longer than {MAX_TEXT} characters")
    return text.replace(old, new)


def _cost(value: Any, source: Any, *_: Any) -> float:
    return pattern(source).cost(value) if isinstance(value, str) else 0.0


@filter_of(
    _GROUP,
    "The part that matches a regular expression: its first bracket, or the whole match; null where nothing matches.",
    (r'$.subject | regex_extract("#(\d+)")', {"subject": "Re: ticket #4711"}, "4711"),
    (r'$.subject | regex_extract("#(\d+)")', {"subject": "hello"}, None),
    check=check_pattern,
    cost=_cost,
)
def regex_extract(value: Any, pattern_: str) -> str | None:
    text = want_text(value)
    one = pattern(pattern_)
    one.check_input(text)
    match = one.compiled.search(text)
    if not match:
        return None
    return match[1] if one.compiled.groups else match[0]


def _check_regex_replace(source: Any, new: Any = "") -> None:
    one = pattern(source)
    for reference in _REFERENCE.finditer(to_text(new)):
        _check_bracket(one.compiled, int(reference[1]))


_REFERENCE = re.compile(r"\\([0-9])")


def _check_bracket(one: re.Pattern[str], number: int) -> None:
    if number > one.groups:
        raise ValueError(f"the pattern has no bracket number {number}")


@filter_of(
    _GROUP,
    r"Replaces whatever matches a regular expression; `\1` in the new text is the first bracket.",
    (r'$.phone | regex_replace("[^0-9+]", "")', {"phone": "+44 (20) 7946-0000"}, "+442079460000"),
    (r'$.name | regex_replace("(\w+), (\w+)", "\2 \1")', {"name": "Silva, Ana"}, "Ana Silva"),
    check=_check_regex_replace,
    check_leading=True,
    cost=_cost,
)
def regex_replace(value: Any, pattern_: str, new: str) -> str:
    text = want_text(value)
    one = pattern(pattern_)
    one.check_input(text)
    new = to_text(new)
    length = len(text)

    def put(match: re.Match[str]) -> str:
        nonlocal length
        piece = _filled(new, match)
        length += len(piece)
        if length > MAX_TEXT:
            raise ValueError(f"the text gets longer than {MAX_TEXT} characters")
        return piece

    return one.compiled.sub(put, text)


def _filled(new: str, match: re.Match[str]) -> str:
    r"""`\1` to `\9` filled in; Python's own template language knows more, and fails on it."""

    def group(reference: re.Match[str]) -> str:
        number = int(reference[1])
        _check_bracket(match.re, number)
        return match[number] or ""

    return _REFERENCE.sub(group, new)


def _check_split(separator: Any = None) -> None:
    if separator is not None and (not isinstance(separator, str) or not separator):
        raise ValueError(f"the separator is text, not {shown(separator)}")


@filter_of(
    _GROUP,
    "A list of the parts between a separator; without one, the words.",
    ('$.tags | split(",")', {"tags": "red,green,blue"}, ["red", "green", "blue"]),
    ("$.name | split", {"name": "Ana  Silva"}, ["Ana", "Silva"]),
    check=_check_split,
)
def split(value: Any, separator: Any = None) -> list[str]:
    text = want_text(value)
    _check_split(separator)
    # One more than a list may have: then it is refused, and memory isn't.
    return text.split(separator, MAX_ITEMS)


def _check_truncate(length: Any, end: Any = "…") -> None:
    want_count(length, "the length", MAX_TEXT)
    want_text(end)


@filter_of(
    _GROUP,
    "At most so many characters, the end mark included.",
    ("$.note | truncate(10)", {"note": "A rather long note"}, "A rather …"),
    ('$.note | truncate(6, "")', {"note": "A rather long note"}, "A rath"),
    check=_check_truncate,
)
def truncate(value: Any, length: int, end: str = "…") -> str:
    text = want_text(value)
    length = want_count(length, "the length", MAX_TEXT)
    end = want_text(end)
    if len(text) <= length:
        return text
    return text[: max(0, length - len(end))] + end[:length]


@filter_of(
    _GROUP,
    "The text of a piece of HTML, without its tags.",
    ("$.body | strip_html", {"body": "<p>Fish &amp; <b>chips</b></p><p>Bye</p>"}, "Fish & chips\nBye"),
)
def strip_html(value: Any) -> str:
    return text_of_html(want_text(value))


@filter_of(
    _GROUP,
    "Fit for a file name or an address: plain small letters, digits and dashes.",
    ("$.title | slug", {"title": "Zoë's Open Day, 2026!"}, "zoes-open-day-2026"),
)
def slug(value: Any) -> str:
    plain = normal("NFKD", want_text(value)).replace("'", "").replace("’", "")
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", "-", plain.lower()).strip("-")


def _check_pad(length: Any, character: Any = " ", side: Any = "left") -> None:
    want_count(length, "the length", 10_000)
    if not isinstance(character, str) or len(character) != 1:
        raise ValueError(f"it is filled with one character in quotes, not {shown(character)}")
    if side not in ("left", "right"):
        raise ValueError(f'the side is "left" or "right", not {shown(side)}')


@filter_of(
    _GROUP,
    "Fills up to a length, on the left unless you say `right`; with spaces unless you give a character.",
    ('$.id | pad(6, "0")', {"id": 42}, "000042"),
    ('$.name | pad(6, ".", "right")', {"name": "Ana"}, "Ana..."),
    check=_check_pad,
)
def pad(value: Any, length: int, character: Any = " ", side: str = "left") -> str:
    _check_pad(length, character, side)
    text = want_text(value)
    return text.rjust(length, character) if side == "left" else text.ljust(length, character)


@filter_of(
    _GROUP,
    "Another value where this one is null or empty text.",
    ('$.nickname? | default("friend")', {}, "friend"),
    ('$.nickname? | default("friend")', {"nickname": "Zoë"}, "Zoë"),
    null=True,
)
def default(value: Any, other: Any) -> Any:
    return other if value is None or value == "" else value


@filter_of(
    _GROUP,
    "The first word; empty text stays empty.",
    ("$.name | first_word", {"name": "Ana Maria Silva"}, "Ana"),
)
def first_word(value: Any) -> str:
    return want_text(value).strip().split(None, 1)[0] if want_text(value).strip() else ""


@filter_of(
    _GROUP,
    "The last word; empty text stays empty.",
    ("$.name | last_word", {"name": "Ana Maria Silva"}, "Silva"),
)
def last_word(value: Any) -> str:
    return want_text(value).rsplit(None, 1)[-1].strip() if want_text(value).strip() else ""
