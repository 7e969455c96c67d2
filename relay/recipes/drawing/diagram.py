"""What a drawing of a workspace shows: sources, recipes, their steps, connections, and what leads from one to another.

Made once, and drawn as Mermaid (`drawing_mermaid`) and as SVG (`drawing_svg`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from relay.recipes.recipe import BrokenRecipe, Recipe, Step
from relay.recipes.workspace import Workspace
from relay.units import format_duration


@dataclass(frozen=True, slots=True)
class DrawnStep:
    """marks  what is special of it, in words: `when`, `each of $.messages`
    needs     step → `after`, or `uses` where it takes what that one saved
    """

    name: str
    connection: str
    action: str
    marks: tuple[str, ...] = ()
    needs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrawnRecipe:
    """broken: why it can't be used; then it has no steps. source is None where nobody knows it."""

    id: str
    about: str
    source: str | None
    marks: tuple[str, ...] = ()
    steps: tuple[DrawnStep, ...] = ()
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """sources and connections: those in use. idle_…: those that nobody catches, and that nothing is sent to."""

    recipes: tuple[DrawnRecipe, ...]
    sources: tuple[str, ...]
    connections: dict[str, str]
    idle_sources: tuple[str, ...] = ()
    idle_connections: dict[str, str] = field(default_factory=dict)

    def title(self) -> str:
        return f"{_count(len(self.recipes), 'recipe')} from {_count(len(self.sources), 'source')} to " + _count(
            len(self.connections), "connection"
        )

    def described(self) -> Iterator[str]:
        """The drawing in sentences, for those who can't see it."""
        for recipe in self.recipes:
            start = f"{recipe.id} catches {recipe.source or 'a source that nobody knows'}"
            if recipe.broken is not None:
                yield f"{recipe.id} is broken: {recipe.broken}."
            else:
                steps = ", ".join(f"{step.name} to {step.connection}" for step in recipe.steps)
                yield f"{start} and sends {steps}."
        if self.idle_sources:
            yield f"No recipe catches {', '.join(self.idle_sources)}."
        if self.idle_connections:
            yield f"Nothing is sent to {', '.join(self.idle_connections)}."


def drawing_of(workspace: Workspace, only: Collection[str] = ()) -> Drawing:
    """The whole workspace, or the recipes that are named with what they touch."""
    drawn = [_recipe(recipe) for recipe in workspace.recipes.values()]
    drawn += [
        DrawnRecipe(one.id, "", one.catch if one.catch in workspace.sources else None, broken=_why(one))
        for one in workspace.broken.values()
    ]
    order = {name: place for place, name in enumerate(workspace.sources)}
    drawn = sorted(
        (one for one in drawn if not only or one.id in only),
        key=lambda one: (order.get(one.source or "", len(order)), one.id),
    )
    caught = {one.source for one in drawn}
    sent_to = {step.connection for one in drawn for step in one.steps}
    told = {str(alert.get("to")) for alert in workspace.alerts if isinstance(alert, dict)} if not only else set()
    sent_to |= told
    kinds = {
        name: f"{connection.connector}, alerts" if name in told else connection.connector
        for name, connection in workspace.connections.items()
    }
    return Drawing(
        recipes=tuple(drawn),
        sources=tuple(name for name in workspace.sources if name in caught),
        connections={name: kind for name, kind in kinds.items() if name in sent_to},
        idle_sources=() if only else tuple(name for name in workspace.sources if name not in caught),
        idle_connections={} if only else {name: kind for name, kind in kinds.items() if name not in sent_to},
    )


def _why(broken: BrokenRecipe) -> str:
    """The first mistake, by its line: where the file lies is nothing for a handbook."""
    first = next((problem for problem in broken.problems if problem.severity == "error"), None)
    return f"line {first.place.line}: {first.message}" if first is not None else broken.why


def _recipe(recipe: Recipe) -> DrawnRecipe:
    marks = []
    if recipe.types:
        marks.append(f"types: {', '.join(recipe.types)}")
    if recipe.when is not None:
        marks.append(f"when {recipe.when.expression.text}")
    if recipe.respond is not None:
        marks.append("answers the sender")
    return DrawnRecipe(
        recipe.id, recipe.name, recipe.catch, tuple(marks), tuple(_step(step) for step in recipe.steps.values())
    )


def _step(step: Step) -> DrawnStep:
    marks = []
    if step.foreach is not None:
        marks.append(f"each of {step.foreach.text}")
    if step.batch is not None:
        at, every = ", ".join(f"{one:%H:%M}" for one in step.batch.at), step.batch.every
        marks.append(f"batch every {format_duration(every)}" if every is not None else f"batch at {at}")
    if step.when is not None:
        marks.append(f"when {step.when.expression.text}")
    if step.order_by is not None:
        marks.append("in order")
    needs = {need: "after" if need in step.after else "uses" for need in step.needs}
    return DrawnStep(step.id, step.to, step.do or "", tuple(marks), needs)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
