"""The tests that live in recipes: an event, and what it is expected to send and to answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from relay.clock import stopped_at
from relay.errors import ConfigError, Place
from relay.model import JSON
from relay.recipes.operators import to_json
from relay.recipes.recipe import Recipe, RecipeTest
from relay.recipes.trying.comparing import Difference, Path, differences, told
from relay.recipes.trying.expected import came, unmet
from relay.recipes.trying.samples import SAMPLE_MOMENT_MS, sample_event
from relay.recipes.trying.trial import try_event
from relay.recipes.trying.tried import Trial
from relay.recipes.workspace import Workspace
from relay.recipes.yaml_tree import Node, plain


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test that was run.

    number       which of its recipe's tests, from 0
    differences  what was expected and isn't so
    diff         the same as text, each with its place; empty where the test passed
    came         what goes out, as a test would expect it; None where it can't be told
    """

    __test__ = False

    recipe: str
    name: str
    passed: bool
    diff: str
    place: Place
    number: int = 0
    differences: tuple[Difference, ...] = ()
    came: JSON = None


def run_tests(workspace: Workspace, only: Collection[str] | None = None) -> list[TestResult]:
    """Run the tests of every usable recipe, or of the recipes named. In them it is always the samples' moment."""
    with stopped_at(SAMPLE_MOMENT_MS):
        return [
            _run(workspace, recipe, number)
            for recipe in workspace.recipes.values()
            if only is None or recipe.id in only
            for number in range(len(recipe.tests))
        ]


def _run(workspace: Workspace, recipe: Recipe, number: int) -> TestResult:
    test = recipe.tests[number]
    path: Path = ("tests", number)
    sent: JSON = None
    try:
        event = sample_event(
            recipe.catch, workspace.folder / test.event, test.change, headers=test.headers, query=test.query
        )
        trial = try_event(recipe, workspace, event, test.replies)
    except ConfigError as error:
        found = [Difference(test.place, error.message, (), path)]
    else:
        found = list(_errors(test, trial, path))
        if not found:
            # What else differs where there is an error, mostly differs for it.
            found = [*_of_steps(recipe, test, trial, path), *_of_answer(test.answer, trial, (*path, "answer"))]
            sent = came(trial)
    diff = "\n".join(map(str, found))
    place = found[0].place if found else test.place
    return TestResult(recipe.id, test.name, not found, diff, place, number, tuple(found), sent)


def _errors(test: RecipeTest, trial: Trial, path: Path) -> Iterator[Difference]:
    if trial.error is not None:
        # Each step and the answer say it too; once is enough.
        yield Difference(test.place, trial.error, (), path)
        return
    for one in trial.steps:
        if one.error is not None:
            about = one.step if one.item is None else f"{one.step}[{one.item}]"
            yield Difference(test.place, f"{about}: {one.error}", (), path)
    if trial.answer is not None and trial.answer.error is not None:
        yield Difference(test.place, f"answer: {trial.answer.error}", (), path)


def _of_steps(recipe: Recipe, test: RecipeTest, trial: Trial, path: Path) -> Iterator[Difference]:
    if test.expect is not None:
        yield from unmet(test.expect, recipe.steps, trial, (*path, "expect"))


def _of_answer(expected: Node | None, trial: Trial, path: Path) -> Iterator[Difference]:
    answer = trial.answer
    if expected is None or answer is None:
        return
    if answer.sent is None:
        lines = tuple(told(to_json(plain(expected)), f"none: {answer.skipped}"))
        yield Difference(expected.place, "answer", lines, path)
        return
    for one in differences(expected, answer.body, "answer", path):
        why = f"this is the answer of `late`: {answer.late}".partition("; give one with")[0]
        yield one if answer.late is None else replace(one, lines=(*one.lines, why))
