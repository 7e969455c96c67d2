"""Dates. They are read and written in the recipe's time zone; a date alone, without a filter after it, is ISO 8601."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from relay.recipes.filters import moments
from relay.recipes.filters.registry import filter_of, want_text
from relay.recipes.words import listed, nearest, shown

_UNITS = ("year", "month", "week", "day", "hour", "minute")
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}


def _one_of(word: Any, known: tuple[str, ...] | list[str]) -> None:
    if word not in known:
        guess = nearest(str(word), known)
        hint = f"did you mean `{guess}`? " if guess else ""
        raise ValueError(f"{shown(word)} is not a unit; {hint}there are {listed(known)}")


@filter_of(
    "Dates",
    "Writes a date in the format you give.",
    ('$.closed_at | date("DD/MM/YYYY HH:mm")', {"closed_at": "2026-04-03T09:15:00Z"}, "03/04/2026 09:15"),
    ('$.sent | date("dddd D MMMM YYYY, h:mm a")', {"sent": 1775207700}, "Friday 3 April 2026, 9:15 am"),
    ('$.sent | date("[Week of] YYYY-MM-DD")', {"sent": "2026-04-03"}, "Week of 2026-04-03"),
    zoned=True,
    check=moments.check_format,
    name="date",
)
def date_(value: Any, zone: tzinfo, format_: str) -> str:
    # A date that was moved to another zone is written in that one.
    return moments.write(_kept(value, zone), format_)


@filter_of(
    "Dates",
    "Reads a date that is not ISO 8601, by the format you give; parts that are left out are midnight's.",
    ('$.born | parse_date("DD/MM/YYYY") | date("YYYY-MM-DD")', {"born": "03/04/1998"}, "1998-04-03"),
    ('$.at | parse_date("D MMM YYYY h:mm A")', {"at": "3 Apr 2026 2:05 PM"}, "2026-04-03T14:05:00Z"),
    zoned=True,
    check=moments.check_reading,
)
def parse_date(value: Any, zone: tzinfo, format_: str) -> datetime:
    return moments.read(want_text(value), format_, zone)


@filter_of(
    "Dates",
    "Moves a date to another time zone.",
    ('$.at | to_timezone("America/New_York") | date("HH:mm Z")', {"at": "2026-04-03T14:00:00Z"}, "10:00 -04:00"),
    zoned=True,
    check=moments.zone_of,
)
def to_timezone(value: Any, zone: tzinfo, name: str) -> datetime:
    return moments.to_moment(value, zone).astimezone(moments.zone_of(name))


def _kept(value: Any, zone: tzinfo) -> datetime:
    return value if isinstance(value, datetime) else moments.to_moment(value, zone)


@filter_of(
    "Dates",
    "A later date: `s m h d w mo y`. Days, weeks, months and years keep the time of day.",
    ('$.at | add("2d") | date("YYYY-MM-DD")', {"at": "2026-02-27"}, "2026-03-01"),
    ('$.at | add("1mo") | date("YYYY-MM-DD")', {"at": "2026-01-31"}, "2026-02-28"),
    zoned=True,
    check=moments.check_span,
)
def add(value: Any, zone: tzinfo, span: str) -> datetime:
    return moments.shifted(_kept(value, zone), span, 1)


@filter_of(
    "Dates",
    "An earlier date, with the same units as `add`.",
    ('$.at | subtract("90m") | date("HH:mm")', {"at": "2026-04-03T10:00:00Z"}, "08:30"),
    zoned=True,
    check=moments.check_span,
)
def subtract(value: Any, zone: tzinfo, span: str) -> datetime:
    return moments.shifted(_kept(value, zone), span, -1)


@filter_of(
    "Dates",
    "Reads seconds or milliseconds since 1970; which of the two is told by the size.",
    ("$.at | from_unix", {"at": "1775207700"}, "2026-04-03T09:15:00Z"),
    ("$.at | from_unix", {"at": 1775207700500}, "2026-04-03T09:15:00.500Z"),
    zoned=True,
)
def from_unix(value: Any, zone: tzinfo) -> datetime:
    return moments.from_unix(value, zone)


@filter_of(
    "Dates",
    "Whole seconds since 1970.",
    ("$.at | to_unix", {"at": "2026-04-03T09:15:00Z"}, 1775207700),
    zoned=True,
)
def to_unix(value: Any, zone: tzinfo) -> int:
    return int(moments.to_moment(value, zone).timestamp() // 1)


@filter_of(
    "Dates",
    "The day of the week, in English.",
    ("$.at | weekday", {"at": "2026-04-03"}, "Friday"),
    zoned=True,
)
def weekday(value: Any, zone: tzinfo) -> str:
    return moments.DAYS[_kept(value, zone).weekday()]


@filter_of(
    "Dates",
    "The first moment of the date's `year`, `month`, `week` (Monday), `day`, `hour` or `minute`.",
    ('$.at | start_of("month") | date("YYYY-MM-DD HH:mm")', {"at": "2026-04-17T10:00:00Z"}, "2026-04-01 00:00"),
    zoned=True,
    check=lambda unit: _one_of(unit, _UNITS),
)
def start_of(value: Any, zone: tzinfo, unit: str) -> datetime:
    _one_of(unit, _UNITS)
    return moments.start_of(_kept(value, zone), unit)


@filter_of(
    "Dates",
    "How long after the other date this one is, in whole `seconds`, `minutes`, `hours`, `days` or `weeks`.",
    ('$.closed | diff($.opened, "minutes")', {"opened": "2026-04-03T09:00:00Z", "closed": "2026-04-03T10:35:20Z"}, 95),
    zoned=True,
    check=lambda other, unit="seconds": _one_of(unit, list(_SECONDS)),
)
def diff(value: Any, zone: tzinfo, other: Any, unit: str = "seconds") -> int | None:
    _one_of(unit, list(_SECONDS))
    if other is None:
        return None
    seconds = (moments.to_moment(value, zone).timestamp()) - moments.to_moment(other, zone).timestamp()
    return int(seconds / _SECONDS[unit])
