"""The order of a recipe's steps: who waits for whom, and circles refused.

No functions within functions here: one that calls itself is a circle of its own that only the collector can take apart,
and recipes are parsed while it rests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: By step the steps that it waits for.
Needs = Mapping[str, Sequence[str]]


def circle(needs: Needs) -> list[str] | None:
    """The first circle as `a, b, a`, or None."""
    done: set[str] = set()
    for step in needs:
        if found := _circle_from(step, [], needs, done):
            return found
    return None


def _circle_from(step: str, path: list[str], needs: Needs, done: set[str]) -> list[str] | None:
    """The first circle that the step leads to. `path` is how it was reached; `done` are those that lead to none."""
    if step in path:
        return [*path[path.index(step) :], step]
    if step in done or step not in needs:
        return None
    for need in needs[step]:
        if found := _circle_from(need, [*path, step], needs, done):
            return found
    done.add(step)
    return None


def in_order(needs: Needs) -> list[str]:
    """Every step after those it waits for; otherwise as they were written. There must be no circle."""
    ordered: list[str] = []
    placed: set[str] = set()
    for step in needs:
        _place(step, needs, placed, ordered)
    return ordered


def _place(step: str, needs: Needs, placed: set[str], ordered: list[str]) -> None:
    if step in placed or step not in needs:
        return
    placed.add(step)
    for need in needs[step]:
        _place(need, needs, placed, ordered)
    ordered.append(step)
