"""How a draft reads a date: as it is where it is ISO 8601 or a unix time, by a format where only one fits, else not."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any

from relay.recipes.filters.moments import read, to_moment
from relay.recipes.masking.meaning import word_set

_HINTS = word_set(
    "at date time timestamp created updated closed opened started ended on when day received sent due expires born dob "
    "birthday submitted modified occurred scheduled start end"
)
#: 2000 to 2100: an integer outside of this is rather a count or an id.
_UNIX_SECONDS = range(946_684_800, 4_102_444_800)

_NUMBERS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)(\D.*)?")
_TIMES = (
    ("", r""),
    (" HH:mm", r" \d\d:\d\d"),
    (" HH:mm:ss", r" \d\d:\d\d:\d\d"),
    (" h:mm A", r" \d{1,2}:\d\d [AaPp][Mm]"),
    (" h:mm:ss A", r" \d{1,2}:\d\d:\d\d [AaPp][Mm]"),
    (", HH:mm", r", \d\d:\d\d"),
)
#: These have their month by name, or their year first: nothing is left to guess.
_PLAIN_FORMATS = (
    "D MMM YYYY",
    "MMM D, YYYY",
    "MMM D YYYY",
    "D-MMM-YYYY",
    "ddd, D MMM YYYY",
    "YYYY/MM/DD",
    "YYYY.MM.DD",
)


def is_hinted(words: Collection[str]) -> bool:
    """Whether a key says that a time stands there: `closed_at`."""
    return bool(_HINTS & set(words))


def date_filters(words: Collection[str], values: Sequence[Any]) -> tuple[list[str], str] | None:
    """(filters, a note for the admin); None where these are no dates.

    words   of the key
    values  every one that was seen, none of them null
    """
    if not values:
        return None
    if all(_is_unix(value) for value in values):
        return (_written(has_time=True), "seconds or milliseconds since 1970") if is_hinted(words) else None
    texts = [value.strip() for value in values if isinstance(value, str)]
    if len(texts) < len(values) or not all(texts):
        return None
    if all(_is_iso(text) for text in texts):
        return _written(has_time=any(len(text) > 10 for text in texts)), ""
    numbers = [_NUMBERS.fullmatch(text) for text in texts]
    if all(numbers):
        return _by_numbers(texts, [found for found in numbers if found is not None])
    for form in _PLAIN_FORMATS:
        for time, _ in _TIMES:
            if _fits(texts, form + time):
                return [f'parse_date("{form}{time}")', *_written(has_time=bool(time))], ""
    return None


def _written(*, has_time: bool) -> list[str]:
    return ['date("YYYY-MM-DD HH:mm")' if has_time else 'date("YYYY-MM-DD")']


def _is_unix(value: Any) -> bool:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) in (10, 13):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return value in _UNIX_SECONDS or (value > 10**11 and value // 1000 in _UNIX_SECONDS)


def _is_iso(text: str) -> bool:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return False
    try:
        to_moment(text, UTC)
    except ValueError:
        return False
    return True


def _by_numbers(texts: list[str], found: list[re.Match[str]]) -> tuple[list[str], str] | None:
    sign = found[0][2]
    first = max(int(one[1]) for one in found)
    second = max(int(one[3]) for one in found)
    padded = all(len(one[1]) == 2 and len(one[3]) == 2 for one in found)
    day, month = ("DD", "MM") if padded else ("D", "M")
    year = "YYYY" if all(len(one[4]) == 4 for one in found) else "YY"
    rest = next((form for form, shape in _TIMES if all(re.fullmatch(shape, one[5] or "") for one in found)), None)
    if rest is None or any(one[2] != sign for one in found):
        return None
    day_first, month_first = f"{day}{sign}{month}{sign}{year}{rest}", f"{month}{sign}{day}{sign}{year}{rest}"
    if first <= 12 and second <= 12:
        if not _fits(texts, day_first):
            return None
        return [], f'the day or the month first? if the day: | parse_date("{day_first}") | date("YYYY-MM-DD")'
    form = day_first if first > 12 else month_first
    return ([f'parse_date("{form}")', *_written(has_time=bool(rest))], "") if _fits(texts, form) else None


def _fits(texts: list[str], form: str) -> bool:
    try:
        for text in texts:
            read(text, form, UTC)
    except ValueError:
        return False
    return True
