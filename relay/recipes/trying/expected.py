"""What a test says of each step beside what came of it: one delivery, or one for each item of a `foreach`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from relay.errors import Place
from relay.model import JSON
from relay.recipes import yaml_tree
from relay.recipes.recipe import Step
from relay.recipes.trying.comparing import (
    UNKNOWN,
    Difference,
    Path,
    Unknown,
    differences,
    many,
    not_sent,
    projected,
    short,
    told,
)
from relay.recipes.trying.tried import Trial, TryResult
from relay.recipes.words import listed
from relay.recipes.yaml_tree import Mapping, Node, plain

SKIPPED = "skipped"

#: Of the items that differ from what stands for all of them, so many are shown.
_SHOWN = 5


def unmet(expect: Node, steps: dict[str, Step], trial: Trial, path: Path) -> Iterator[Difference]:
    """Where the steps don't do what a test expects of them. path: where that stands in the recipe's file."""
    by_step = _by_step(trial)
    if isinstance(expect, Mapping):
        for name, key, node in expect.items():
            yield from _of_step(steps[name], key.place, node, by_step[name], (*path, name))
        return
    sent = [name for name, results in by_step.items() if any(one.skipped is None for one in results)]
    if sent:
        yield Difference(expect.place, "expect", _told(SKIPPED, f"this goes out: {listed(sent)}"), path, came(trial))


def came(trial: Trial) -> JSON:
    """All that goes out, as a test would expect it. What waits for a reply is left out."""
    made = {name: _whole(results) for name, results in _by_step(trial).items()}
    known = {name: value for name, value in made.items() if not isinstance(value, Unknown)}
    return SKIPPED if all(value == SKIPPED for value in made.values()) else known


def _by_step(trial: Trial) -> dict[str, list[TryResult]]:
    return {name: list(results) for name, results in groupby(trial.steps, key=lambda one: one.step)}


def _of_step(
    step: Step, place: Place, expected: Node, results: list[TryResult], path: Path
) -> Iterator[Difference]:  # fmt: skip
    items = [one for one in results if one.item is not None]
    if isinstance(expected, yaml_tree.Sequence):
        if step.foreach is None:
            why = "a list is for a step with `foreach`: write what is expected of its `with`, or `skipped`"
            yield Difference(expected.place, step.id, (why,), path, _whole(results))
        elif len(items) != len(expected.items):
            value = _all([_seen(node, one) for node, one in _paired(expected.items, items)])
            lines = _told(many(len(expected.items), "item"), _number(results, items))
            yield Difference(expected.place, step.id, lines, path, value)
        else:
            for index, (node, one) in enumerate(zip(expected.items, items, strict=True)):
                yield from _of_one(node.place, node, one, f"{step.id}[{index}]", (*path, index))
        return
    if not items:
        yield from _of_one(place, expected, results[0], step.id, path)
        return
    found = [list(_of_one(place, expected, one, f"{step.id}[{one.item}]", path)) for one in items]
    if any(found):
        yield from _of_every(step, expected, items, found, path)


def _of_every(
    step: Step, expected: Node, items: list[TryResult], found: list[list[Difference]], path: Path
) -> Iterator[Difference]:
    """Of what stands for every item: where all differ alike each difference, else one that tells them all."""
    alike = [(one.path, one.value) for one in found[0]]
    if all([(one.path, one.value) for one in some] == alike for some in found[1:]):
        for one in found[0]:
            yield replace(one, about=one.about.replace(f"{step.id}[0]", f"{step.id}[*]", 1))
        return
    differing = [one for some in found for one in some]
    lines = [line for one in differing[:_SHOWN] for line in (one.about, *(f"  {line}" for line in one.lines))]
    if len(differing) > _SHOWN:
        lines.append(f"… and {len(differing) - _SHOWN:,} more differences")
    about = f"{step.id} (what stands here is for every item)"
    yield Difference(differing[0].place, about, tuple(lines), path, _all([_seen(expected, one) for one in items]))


def _of_one(place: Place, expected: Node, one: TryResult, about: str, path: Path) -> Iterator[Difference]:
    if one.waits is not None:
        names = one.waits.partition("; ")[0]
        yield Difference(place, about, (f"it {names}: write it under `replies:`",), path)
        return
    wants_skipped = plain(expected) == SKIPPED
    if one.skipped is not None:
        if not wants_skipped:
            yield Difference(place, about, _told("to be sent", f"skipped: {one.skipped}"), path, SKIPPED)
    elif wants_skipped:
        yield Difference(place, about, _told(SKIPPED, f"it goes out: {short(one.fields)}"), path, one.fields)
    elif not isinstance(expected, Mapping):
        lines = ("write what is expected of its `with`, or `skipped`", f"got       {short(one.fields)}")
        yield Difference(place, about, lines, path, one.fields)
    else:
        for key, _, node in expected.items():
            yield from _of_key(node, key, one, f"{about}.{key}", (*path, key))


def _of_key(expected: Node, key: str, one: TryResult, about: str, path: Path) -> list[Difference]:
    """What the recipe says under `with`, or what the connector makes of it: whichever is named."""
    found = [list(differences(expected, some[key], about, path)) for some in _told_by(one) if key in some]
    if found:
        return min(found, key=len)
    if plain(expected) is None:
        return []
    return [not_sent(expected, about, path, dict.fromkeys(key for some in _told_by(one) for key in some))]


def _told_by(one: TryResult) -> list[dict[str, Any]]:
    return [some for some in (one.fields, one.preview) if some is not None]


def _seen(expected: Node | None, one: TryResult) -> JSON | Unknown:
    """What a test would expect of one delivery, in the keys that it names now."""
    if one.skipped is not None:
        return SKIPPED
    if one.fields is None:
        return UNKNOWN
    if not isinstance(expected, Mapping):
        return one.fields
    seen: dict[str, Any] = {}
    for key, node in expected.values.items():
        there = [some[key] for some in _told_by(one) if key in some]
        best = min(there, key=lambda value: len(list(differences(node, value, "", ()))), default=None)
        seen[key] = projected(node, best)
    return seen


def _whole(results: list[TryResult]) -> JSON | Unknown:
    if results[0].item is None:
        return _seen(None, results[0])
    return _all([_seen(None, one) for one in results])


def _all(values: list[JSON | Unknown]) -> JSON | Unknown:
    known = [value for value in values if not isinstance(value, Unknown)]
    return known if len(known) == len(values) else UNKNOWN


def _paired(expected: Sequence[Node], items: list[TryResult]) -> Iterator[tuple[Node | None, TryResult]]:
    for index, one in enumerate(items):
        yield (expected[index] if index < len(expected) else None), one


def _number(results: list[TryResult], items: list[TryResult]) -> str:
    return many(len(items), "item") if items else f"no items: {results[0].skipped or results[0].error}"


def _told(expected: str, got: str) -> tuple[str, ...]:
    return tuple(told(expected, got))
