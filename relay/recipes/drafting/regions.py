"""Where a phone number belongs, by its country code, a country beside it or a time zone; never guessed beyond that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import phonenumbers

from relay.recipes.filters.countries import country_code
from relay.recipes.masking.meaning import words_of

Path = Sequence[str | int]


def region_of(number: Any) -> str | None:
    """The region of a number in international form, such as "GB"; None for any other."""
    text = number.strip() if isinstance(number, str) else ""
    if not text.startswith("+"):
        return None
    try:
        parsed = phonenumbers.parse(text[:250])
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


class Regions:
    """What an event says of countries and time zones, and where it says it."""

    def __init__(self, leaves: Iterable[tuple[Path, Any]]) -> None:
        self._said: list[tuple[tuple[str | int, ...], bool, str]] = []
        for path, value in leaves:
            words = words_of(str(path[-1])) if path else []
            if not isinstance(value, str):
                continue
            if "country" in words and (region := country_code(value)):
                self._said.append((tuple(path), True, region))
            elif ("timezone" in words or words[-2:] == ["time", "zone"] or "tz" in words) and value in _zones():
                self._said.append((tuple(path), False, _zones()[value]))

    def near(self, path: Path) -> str | None:
        """The region said nearest to a path, a country before a time zone; None where two say different ones."""
        best: tuple[int, bool] = (-1, False)
        found: set[str] = set()
        for where, is_country, region in self._said:
            rank = (_shared(where, path), is_country)
            if rank > best:
                best, found = rank, {region}
            elif rank == best:
                found.add(region)
        only = found.pop() if len(found) == 1 else None
        return only if only in phonenumbers.SUPPORTED_REGIONS else None


def _shared(one: Path, other: Path) -> int:
    """How many keys two paths have in common from the start."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


@cache
def _zones() -> dict[str, str]:
    """Time zone → the country it is named for: the time zone database's own table."""
    lines = files("tzdata.zoneinfo").joinpath("zone.tab").read_text().splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}
