"""The order of a recipe's steps: who waits for whom, and circles refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def circle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The first circle as `a, b, a`, or None."""
    done: set[str] = set()

    def walk(step: str, path: list[str]) -> list[str] | None:
        if step in path:
            return [*path[path.index(step) :], step]
        if step in done or step not in needs:
            return None
        for need in needs[step]:
            if found := walk(need, [*path, step]):
                return found
        done.add(step)
        return None

    for step in needs:
        if found := walk(step, []):
            return found
    return None


def in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Every step after those it waits for; otherwise as they were written. There must be no circle."""
    ordered: list[str] = []
    placed: set[str] = set()

    def place(step: str) -> None:
        if step in placed or step not in needs:
            return
        placed.add(step)
        for need in needs[step]:
            place(need)
        ordered.append(step)

    for step in needs:
        place(step)
    return ordered
