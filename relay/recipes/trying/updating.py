"""What came of a recipe's tests, written into them: `expect` and `answer` as they would have to be to pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.errors import ConfigError
from relay.model import JSON
from relay.recipes.recipe import Recipe
from relay.recipes.trying.comparing import Difference, Unknown, short
from relay.recipes.trying.testing import TestResult
from relay.recipes.workspace import Workspace
from relay.recipes.yaml_edit import edited


@dataclass(frozen=True, slots=True)
class Offer:
    """A value that a test could expect: what came.

    why  it can't be written; None where it can
    """

    recipe: Recipe
    test: TestResult
    difference: Difference
    value: JSON
    why: str | None = None


def offers(workspace: Workspace, results: Iterable[TestResult]) -> list[Offer]:
    """Every value that would make a test pass, and what goes out in those that only say what is answered."""
    return [
        _offer(workspace.recipes[result.recipe], result, difference, difference.value)
        for result in results
        for difference in [*result.differences, *_unsaid(workspace.recipes[result.recipe], result)]
        if not isinstance(difference.value, Unknown)
    ]


def _unsaid(recipe: Recipe, result: TestResult) -> list[Difference]:
    test = recipe.tests[result.number]
    if test.expect is not None or result.came is None:
        return []
    lines = ("the test says nothing of what is sent", f"got       {short(result.came)}")
    return [Difference(test.place, "expect", lines, ("tests", result.number, "expect"), result.came)]


def _offer(recipe: Recipe, test: TestResult, difference: Difference, value: JSON) -> Offer:
    try:
        edited(recipe.text, {difference.path: value}, recipe.file)
    except ConfigError as error:
        return Offer(recipe, test, difference, value, error.message)
    return Offer(recipe, test, difference, value)


def updated(recipe: Recipe, chosen: Sequence[Offer]) -> str:
    """The recipe's text with these values. Raises ConfigError."""
    return edited(recipe.text, {one.difference.path: one.value for one in chosen}, recipe.file)


def unmet(
    workspace: Workspace,
    recipe: str,
    chosen: Sequence[Offer],
    before: Iterable[TestResult],
    after: Iterable[TestResult],
) -> str | None:
    """Why an updated recipe has to be put back; None where all that was chosen is met, and no other test suffered.

    before, after  the results of the recipe's tests
    """
    if recipe not in workspace.recipes:
        return workspace.broken[recipe].why if recipe in workspace.broken else "the recipe is gone"
    passed = {result.number for result in before if result.passed}
    paths = {one.difference.path for one in chosen}
    for result in after:
        for difference in result.differences:
            is_chosen = any(_is_within(difference.path, path) or _is_within(path, difference.path) for path in paths)
            if is_chosen or result.number in passed:
                return f"the test “{result.name}” still fails: {difference}"
    return None


def _is_within(path: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return path[: len(outer)] == outer
