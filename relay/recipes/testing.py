"""The tests that live in recipes: an event, and what it is expected to send."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError, Place
from relay.recipes.operators import to_json
from relay.recipes.recipe import Recipe, RecipeTest
from relay.recipes.samples import sample_event
from relay.recipes.trial import TryResult, try_event
from relay.recipes.words import kind_of, listed
from relay.recipes.workspace import Workspace
from relay.recipes.yaml_tree import Mapping, Node, Sequence, plain

#: Where something expected isn't met, and how.
Line = tuple[Place, str]


@dataclass(frozen=True, slots=True)
class TestResult:
    """`diff` says in lines what was expected and what came; it is empty where the test passed."""

    __test__ = False

    recipe: str
    name: str
    passed: bool
    diff: str
    place: Place


def run_tests(workspace: Workspace, only: Collection[str] | None = None) -> list[TestResult]:
    """Run the tests of every usable recipe, or of the recipes named."""
    return [
        _run(workspace, recipe, test)
        for recipe in workspace.recipes.values()
        if only is None or recipe.id in only
        for test in recipe.tests
    ]


def _run(workspace: Workspace, recipe: Recipe, test: RecipeTest) -> TestResult:
    try:
        event = sample_event(
            recipe.catch, workspace.folder / test.event, test.change, headers=test.headers, query=test.query
        )
    except ConfigError as error:
        return TestResult(recipe.id, test.name, False, f"{test.place}: {error.message}", test.place)
    results = try_event(recipe, workspace, event, test.replies)
    lines = _unmet(test, results)
    place = lines[0][0] if lines else test.place
    return TestResult(recipe.id, test.name, not lines, "\n".join(f"{at}: {text}" for at, text in lines), place)


def _unmet(test: RecipeTest, results: list[TryResult]) -> list[Line]:
    errors = [(test.place, f"{one.step}: {one.error}") for one in results if one.error is not None]
    if errors:
        # A pick that can't be made is every step's error; once is enough.
        return list({text.partition(": ")[2]: (at, text) for at, text in reversed(errors)}.values())[::-1]
    if not isinstance(test.expect, Mapping):
        sent = [one.step for one in results if one.skipped is None]
        return [(test.expect.place, f"expected skipped, but this goes out: {listed(sent)}")] if sent else []
    by_step = {one.step: one for one in results}
    return [
        line
        for step, key, expected in test.expect.items()
        for line in _unmet_step(step, key.place, expected, by_step[step])
    ]


def _unmet_step(step: str, place: Place, expected: Node, result: TryResult) -> list[Line]:
    wants_skipped = plain(expected) == "skipped"
    if result.skipped is not None:
        return [] if wants_skipped else [(place, f"{step}: expected to be sent, but it is skipped: {result.skipped}")]
    if wants_skipped:
        return [(place, f"{step}: expected skipped, but it goes out")]
    if result.waits is not None:
        names = result.waits.partition("; ")[0]
        return [(place, f"{step}: it {names}; write it under `replies:`")]
    if not isinstance(expected, Mapping):
        return [(place, f"{step}: write what is expected of its `with`, or `skipped`")]
    lines: list[Line] = []
    for key, _, node in expected.items():
        # What the recipe says under `with`, or what the connector makes of it: whichever is named.
        found = [
            _differences(node, one[key], f"{step}.{key}")
            for one in (result.fields, result.preview)
            if one is not None and key in one
        ]
        if not found:
            there = listed(dict.fromkeys([*(result.fields or {}), *(result.preview or {})]))
            lines.append((node.place, f"{step}.{key}: it isn't sent; there are {there}"))
        elif all(found):
            lines.extend(next(lacks for lacks in found if len(lacks) == min(map(len, found))))
    return lines


def _differences(expected: Node, actual: Any, path: str) -> list[Line]:
    """Where what came lacks what was expected; keys that aren't named are not compared."""
    wanted = plain(expected)
    if isinstance(expected, Mapping) and isinstance(actual, dict):
        lines = []
        for key, _, node in expected.items():
            if key not in actual:
                if plain(node) is not None:
                    lines.append((node.place, f"{path}.{key}: it isn't sent; there are {listed(actual)}"))
            else:
                lines.extend(_differences(node, actual[key], f"{path}.{key}"))
        return lines
    if isinstance(expected, Sequence) and isinstance(actual, list):
        if len(expected.items) != len(actual):
            return [(expected.place, f"{path}: expected {len(expected.items)} items, but there are {len(actual)}")]
        return [
            line
            for index, (node, one) in enumerate(zip(expected.items, actual, strict=True))
            for line in _differences(node, one, f"{path}[{index}]")
        ]
    if wanted == actual and isinstance(wanted, bool) == isinstance(actual, bool):
        return []
    kinds = f" ({kind_of(wanted)}, and it is {kind_of(actual)})" if kind_of(wanted) != kind_of(actual) else ""
    return [(expected.place, f"{path}: expected {_json(wanted)}\n{' ' * 4}but it is {_json(actual)}{kinds}")]


def _json(value: Any) -> str:
    text = to_json(value)
    return text if len(text) <= 2000 else text[:2000] + "…"
