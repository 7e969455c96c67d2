"""`batch:` — rows of many events in one outgoing call: when a batch is closed, and how many rows it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from relay.recipes.reader import Reader
from relay.recipes.yaml_tree import Node, Scalar, Sequence, plain
from relay.units import format_duration

DEFAULT_MOST = 1_000
LIMIT_MOST = 10_000

_LONGEST = timedelta(days=7)
_SHORTEST = timedelta(milliseconds=100)
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Batch:
    """When a batch is closed: `every` so long after its first row, or `at` times of day; sooner with `most` rows."""

    every: timedelta | None
    at: tuple[time, ...]
    most: int

    def __str__(self) -> str:
        """`every 1h, at most 500 rows`, `at 02:00 and 14:00, at most 1000 rows`."""
        times = " and ".join(one.isoformat("seconds" if one.second else "minutes") for one in self.at)
        when = f"every {format_duration(self.every)}" if self.every is not None else f"at {times}"
        return f"{when}, at most {self.most} rows"

    def closes(self, opened: datetime, zone: tzinfo) -> datetime:
        """When a batch is closed that got its first row at `opened` (aware)."""
        if self.every is not None:
            return opened + self.every
        local = opened.astimezone(zone)
        # Two days on: a time of day that is left out where the clocks go forward is found on the next.
        days = [local.date() + timedelta(days=ahead) for ahead in range(3)]
        moments = (_moment(datetime.combine(day, at, zone)) for day in days for at in self.at)
        return min(moment for moment in moments if moment is not None and moment > opened)


def _moment(local: datetime) -> datetime | None:
    """In UTC; None for a time that the clocks leave out that day. The first of two where they go back."""
    moment = local.astimezone(UTC)
    return moment if moment.astimezone(local.tzinfo).time() == local.time() else None


def read_batch(reader: Reader, node: Node | None) -> Batch | None:
    """None where there is none, or a mistake in it, which is noted."""
    mapping = reader.mapping(node, "`batch`")
    if mapping is None:
        return None
    before = len(reader.problems)
    reader.known_keys(mapping, ("every", "at", "max"))
    every, at = mapping.get("every"), mapping.get("at")
    if (every is None) == (at is None):
        where = mapping.place if every is None else mapping.keys["at"].place
        reader.error(where, 'a batch is closed either `every: 1h` or `at: "02:00"`: write one of them')
    times = _times(reader, at) if at is not None else ()
    wait = reader.duration(every, timedelta(0)) if every is not None else None
    if every is not None and wait is not None and not _SHORTEST <= wait <= _LONGEST:
        reader.error(every.place, "`every` is from 100ms to 7d")
    most = _most(reader, mapping.get("max"))
    return Batch(wait, times, most) if len(reader.problems) == before else None


def _times(reader: Reader, node: Node) -> tuple[time, ...]:
    found = []
    if isinstance(node, Sequence) and not node.items:
        reader.error(node.place, 'name at least one time of day, such as "02:00"')
    for one in node.items if isinstance(node, Sequence) else [node]:
        match = _TIME.fullmatch(one.text.strip()) if isinstance(one, Scalar) else None
        if match is None:
            reader.error(one.place, 'a time of day is written as "02:00" or "14:30"')
        else:
            found.append(time(int(match[1]), int(match[2]), int(match[3] or 0)))
    return tuple(sorted(found))


def _most(reader: Reader, node: Node | None) -> int:
    if node is None:
        return DEFAULT_MOST
    most = plain(node)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= LIMIT_MOST:
        reader.error(node.place, f"`max` is a whole number from 1 to {LIMIT_MOST}")
        return DEFAULT_MOST
    return most
