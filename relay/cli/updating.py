"""`relay test --update`: what came is shown, agreed to, written into the recipes' tests, and tried again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from relay.cli.common import err, json_line, many, out, write_in_place
from relay.cli.testing import show_difference
from relay.errors import ConfigError
from relay.jsontext import clean
from relay.recipes import load_workspace, run_tests
from relay.recipes.trying.comparing import short
from relay.recipes.trying.updating import Offer, offers, unmet, updated

if TYPE_CHECKING:
    from relay.recipes import Recipe, TestResult, Workspace

_QUESTION = "Is that right, and should the test expect it? (y/n/all/quit)"


@dataclass(frozen=True, slots=True)
class Done:
    """The workspace and the results of its tests, as they are now."""

    workspace: Workspace
    results: list[TestResult]


@dataclass(frozen=True, slots=True)
class _Change:
    """What a recipe's file is to become."""

    recipe: Recipe
    chosen: list[Offer]
    path: Path
    new: str

    @property
    def diff(self) -> str:
        old, new = (text.replace("\r\n", "\n").split("\n") for text in (self.recipe.text, self.new))
        return "\n".join(unified_diff(old, new, self.recipe.file, self.recipe.file, lineterm=""))

    @property
    def words(self) -> str:
        return many(len(self.chosen), "value")


def update(
    workspace: Workspace, results: list[TestResult], *, yes: bool, dry_run: bool, as_json: bool
) -> Done:  # fmt: skip
    """Ask about each difference, write what is agreed to, and run the tests of what was written again."""
    found = offers(workspace, results)
    chosen = [one for one in found if one.why is None]
    for one in found:
        if one.why is not None:
            err.print(Text(clean(f"{one.difference.place}: {one.difference.about}: {one.why}"), "yellow"))
    if not yes and not dry_run and chosen:
        if not sys.stdin.isatty():
            question = f"{many(len(chosen), 'value')} in {many(len(_by_recipe(chosen)), 'recipe')} would be written."
            raise ConfigError(f"{question} Say --yes to go on without being asked, or --dry-run to see them.")
        chosen = list(_agreed(chosen))
    changes = list(_changes(chosen))
    if dry_run:
        for change in changes:
            _tell(change, "would update", as_json=as_json)
        return Done(workspace, results)
    return _written(workspace, results, changes, as_json=as_json) if changes else Done(workspace, results)


def _agreed(found: Sequence[Offer]) -> Iterator[Offer]:
    """Those that a person says yes to."""
    every = False
    for number, one in enumerate(found, 1):
        if every:
            yield one
            continue
        head = f"({number} of {len(found)}) {one.recipe.id}: {clean(one.test.name)}"
        out.print(Text(f"\n{head}", "bold"))
        show_difference(one.difference, "  ")
        out.print(Text(clean(f"  to be written: {short(one.value)}"), "dim"))
        answer = _answer()
        if answer == "quit":
            return
        every = answer == "all"
        if answer in ("y", "all"):
            yield one


def _answer() -> str:
    words = {"y": "y", "yes": "y", "n": "n", "no": "n", "a": "all", "all": "all", "q": "quit", "quit": "quit"}
    while True:
        try:
            given = typer.prompt(_QUESTION, default="n", show_default=False, err=True)
        except typer.Abort:
            return "quit"
        if given.strip().lower() in words:
            return words[given.strip().lower()]
        err.print(
            "y: write it · n: leave it · all: this one and all that come · quit: write what was agreed to, and end"
        )


def _by_recipe(chosen: Sequence[Offer]) -> dict[str, list[Offer]]:
    return {recipe: list(some) for recipe, some in groupby(chosen, key=lambda one: one.recipe.id)}


def _changes(chosen: Sequence[Offer]) -> Iterator[_Change]:
    for some in _by_recipe(chosen).values():
        recipe = some[0].recipe
        yield _Change(recipe, some, Path(recipe.file).resolve(), updated(recipe, some))


def _written(workspace: Workspace, results: list[TestResult], changes: list[_Change], *, as_json: bool) -> Done:
    for change in changes:
        if change.path.read_bytes() != change.recipe.text.encode():
            raise ConfigError(f"{change.recipe.file} was changed meanwhile: run it again. Nothing was written.")
    done: list[_Change] = []
    try:
        for change in changes:
            write_in_place(change.path, change.new)
            done.append(change)
        now = load_workspace(workspace.folder)
        after = run_tests(now, {change.recipe.id for change in changes})
    except BaseException:
        for change in done:
            write_in_place(change.path, change.recipe.text)
        raise
    put_back = False
    for change in changes:
        name = change.recipe.id
        of_it = [[one for one in some if one.recipe == name] for some in (results, after)]
        why = unmet(now, name, change.chosen, *of_it)
        if why is None:
            _tell(change, "updated", as_json=as_json)
            continue
        write_in_place(change.path, change.recipe.text)
        put_back = True
        _tell(change, "put back", as_json=as_json, why=why)
    if put_back:
        now = load_workspace(workspace.folder)
    only = {result.recipe for result in results} | {change.recipe.id for change in changes}
    return Done(now, run_tests(now, only))


def _tell(change: _Change, status: str, *, as_json: bool, why: str = "") -> None:
    if as_json:
        row = {"name": change.recipe.file, "status": status, "recipe": change.recipe.id, "values": len(change.chosen)}
        json_line({**row, "diff": change.diff, "why": why or None})
    elif status == "would update":
        _show_diff(change.diff)
    elif why:
        err.print(Text.assemble(("put back", "bold red"), f"  {change.recipe.file}: {clean(why)}"))
    else:
        out.print(Text.assemble(("updated", "bold"), f" {change.recipe.file}: {change.words}"))


def _show_diff(diff: str) -> None:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.split("\n"):
        out.print(Text(clean(line), "bold" if line.startswith(("+++", "---")) else styles.get(line[:1], "")))
