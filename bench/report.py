"""Rows and the table of them."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Goal(NamedTuple):
    """What the ratio (`ratio`), or the figure itself (`figure`), should be.

    reach   what is asked for
    aim     what comes after it; None where nothing does
    """

    of: Literal["ratio", "figure"]
    relation: Literal[">=", "<="]
    reach: float
    aim: float | None = None

    def met(self, value: float, bound: float) -> bool:
        return value >= bound if self.relation == ">=" else value <= bound


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the relay beside one of a reference, a value a round.

    unit        of both
    reference   its name; empty where there is none
    ours        the relay's values, round by round
    theirs      the reference's, of the same rounds; empty where it could not be run
    """

    measure: str
    what: str
    unit: str
    ours: Sequence[float]
    reference: str = ""
    theirs: Sequence[float] = ()
    goal: Goal | None = None

    @property
    def ratios(self) -> list[float]:
        """The relay's value by the reference's, round by round: noise that both felt falls out."""
        if not self.theirs or 0 in self.theirs:
            return []
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    def met(self, bound: float | None) -> bool | None:
        """Whether the goal's reach or aim is met; None where there is none, or nothing to compare with."""
        if self.goal is None or bound is None:
            return None
        values = self.ratios if self.goal.of == "ratio" else self.ours
        return self.goal.met(statistics.median(values), bound) if values else None

    def as_json(self) -> dict[str, Any]:
        reach, aim = (self.goal.reach, self.goal.aim) if self.goal else (None, None)
        return {
            **asdict(self),
            "goal": self.goal._asdict() if self.goal else None,
            "median": statistics.median(self.ours),
            "ratio": statistics.median(self.ratios) if self.ratios else None,
            "reached": self.met(reach),
            "aim_met": self.met(aim),
        }


@dataclass(slots=True)
class Bench:
    """What a measurement is told, and how it tells how far it is.

    rounds  how often reference and relay take turns
    quick   shorter runs: to see that everything works, not to compare
    say     one line of progress
    """

    rounds: int
    quick: bool
    say: Callable[[str], None] = field(default=lambda _: None)

    def pick(self, whole: int, quick: int) -> int:
        return quick if self.quick else whole


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cells(row: Row) -> tuple[str, ...]:
    ratios = row.ratios
    ours = f"{number(statistics.median(row.ours))} {row.unit}"
    theirs = "–"
    if row.reference:
        theirs = f"{number(statistics.median(row.theirs)) if row.theirs else 'not run'} ({row.reference})"
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
    spread = ratios or list(row.ours)
    spreads = f"{number(min(spread))} to {number(max(spread))}" if len(spread) > 1 else "–"
    goals = (_goal(row, row.goal.reach), _goal(row, row.goal.aim)) if row.goal else ("–", "–")
    return row.measure, row.what, theirs, ours, ratio, spreads, *goals


def _goal(row: Row, bound: float | None) -> str:
    if row.goal is None or bound is None:
        return "–"
    said = {True: "yes", False: "no", None: "–"}[row.met(bound)]
    sign = "≥" if row.goal.relation == ">=" else "≤"
    return f"{sign} {bound:g} {'×' if row.goal.of == 'ratio' else row.unit}: {said}"


HEADINGS = ("measure", "what", "reference", "relay", "ratio", "spread", "reach", "aim")


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, aligned so that it can be read as it is."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def fsync_us(writes: int = 100) -> float:
    """The median time of a 4 KB append and its fdatasync where the data folders will be, in microseconds."""
    took = []
    with tempfile.NamedTemporaryFile(prefix="relay-bench-") as file:
        for _ in range(writes):
            started = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - started) * 1e6)
    return statistics.median(took)


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model or platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "fsync_us": round(fsync_us()),
    }
