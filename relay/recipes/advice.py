"""What works as it is written and was hardly meant: steps that never run, secrets in clear, things nothing uses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Map
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.errors import Place, RecipeError
from relay.recipes.accounts import Source
from relay.recipes.clear_secrets import named_secrets, shaped_secrets
from relay.recipes.hints import looked_up
from relay.recipes.operators import truth
from relay.recipes.reader import Reader
from relay.recipes.recipe import Condition, Problem, Recipe, Step
from relay.recipes.words import listed, nearest
from relay.units import format_duration

if TYPE_CHECKING:
    from relay.recipes.workspace import Workspace

_NOW = re.compile(r"\bnow\s*\(")


def advise(reader: Reader, recipe: Recipe, sources: Map[str, Source]) -> None:
    """Notes warnings about one recipe."""
    _of_conditions(reader, recipe)
    if not reader.has_errors:
        _of_types(reader, recipe, sources.get(recipe.catch))
        _of_patience(reader, recipe, sources.get(recipe.catch))
    seen = set()
    for step in recipe.steps.values():
        for place, message in named_secrets(step.with_node):
            seen.add(place.line)
            reader.warning(place, message, "secret-in-clear")
    for place, message in shaped_secrets(recipe.text, recipe.file):
        if place.line not in seen:
            reader.warning(place, message, "secret-in-clear")


def always(condition: Condition | None) -> bool | None:
    """What a condition is for every event; None where that depends on the event, or on the time."""
    if condition is None or condition.expression.refs or _NOW.search(condition.expression.text):
        return None
    try:
        return truth(condition.expression.raw({}))
    except (ValueError, RecipeError):
        return None


def _of_conditions(reader: Reader, recipe: Recipe) -> None:
    whole = always(recipe.when)
    if whole is not None and recipe.when is not None:
        place = recipe.when.expression.place
        if whole:
            message = "`when` always holds: leave it out, or compare with a value of the event"
            reader.warning(place, message, "always-true")
        else:
            reader.warning(place, "`when` never holds: the recipe wants no event at all", "never-runs")
    never: set[str] = set()
    for step in recipe.steps.values():
        known = always(step.when)
        if known is not None and step.when is not None:
            place = step.when.expression.place
            if known:
                reader.warning(place, "`when` always holds: leave it out, or compare with a value", "always-true")
            else:
                never.add(step.id)
                reader.warning(place, f"`when` never holds: `{step.id}` never runs", "never-runs")
        gone = next((need for need in step.needs if need in step.hard_needs and need in never), None)
        if gone is not None and step.id not in never:
            never.add(step.id)
            message = f"`{step.id}` never runs: it uses what `{gone}` saves, and `{gone}` never runs"
            reader.warning(_place_of_need(step, gone), message, "never-runs")


def _place_of_need(step: Step, need: str) -> Place:
    refs: list[Any] = [*step.fields.refs, *(step.when.expression.refs if step.when is not None else ())]
    return next((ref.place for ref in refs if ref.root == need), step.place)


def _of_types(reader: Reader, recipe: Recipe, source: Source | None) -> None:
    if not recipe.types or source is None or source.declared is None:
        return
    place = recipe.types_place or recipe.catch_place
    if source.declared.event_type is None:
        message = (
            f"`types` matches nothing: the source `{source.name}` doesn't say what type an event is of; give it an "
            "`event_type:` in relay.yaml, such as $.type"
        )
        reader.warning(place, message, "types")
        return
    preset = source.declared.known
    if preset is None or source.declared.event_type != preset.event_type:
        return
    if preset.types:
        for one in recipe.types:
            if not any(fnmatchcase(kind, one) for kind in preset.types):
                guess = nearest(one, preset.types)
                hint = f"did you mean `{guess}`?" if guess else f"relay sources show {preset.name} lists them"
                reader.warning(place, f"{preset.vendor} has no type `{one}`: {hint}", "types")
        return
    if not preset.type_example:
        return
    strange = [one for one in recipe.types if set(".:/") & set(one) - set(preset.type_example)]
    if strange:
        message = f"{preset.vendor} has no type {listed(strange)}: its types look like `{preset.type_example}`"
        reader.warning(place, message, "types")


def _of_patience(reader: Reader, recipe: Recipe, source: Source | None) -> None:
    preset = source.declared.known if source is not None and source.declared is not None else None
    if recipe.respond is None or preset is None or preset.answer_in is None or recipe.respond.wait < preset.answer_in:
        return
    message = (
        f"{preset.vendor} waits for {format_duration(preset.answer_in)}, and `respond` for up to "
        f"{format_duration(recipe.respond.wait)}: give it a shorter `wait:`"
    )
    reader.warning(recipe.respond.place, message, "doubt")


# --- the workspace as a whole ---


def unused(workspace: Workspace, tables: Collection[str] = ()) -> Iterator[Problem]:
    """Sources that nothing catches, connections that nothing is sent to, table files that nothing looks up.

    tables  the names of the files in `tables/`
    """
    # A broken recipe may well use them.
    if any(broken.catch is None for broken in workspace.broken.values()):
        return
    caught = {one.catch for one in workspace.recipes.values()} | {one.catch for one in workspace.broken.values()}
    for name, source in workspace.sources.items():
        if name not in caught:
            message = f"no recipe catches the source `{name}`: its events are accepted, and nothing becomes of them"
            yield Problem(source.place, "warning", message, code="unused-source")
    if workspace.broken:
        return
    used = {step.to for recipe in workspace.recipes.values() for step in recipe.steps.values()}
    used |= {str(alert.get("to")) for alert in workspace.alerts if isinstance(alert, dict)}
    for name, connection in workspace.connections.items():
        if name not in used:
            message = f"nothing uses the connection `{name}`"
            yield Problem(connection.place, "warning", message, code="unused-connection")
    read = looked_up(recipe.text for recipe in workspace.recipes.values())
    for name in tables:
        if read is not None and name not in read:
            place = Place(str(workspace.folder / Path("tables") / f"{name}.csv"))
            yield Problem(place, "warning", f"nothing looks up the table `{name}`", code="unused-table")
