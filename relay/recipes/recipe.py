"""A recipe, compiled: which events it wants, what it picks out of them, and its steps. Evaluating it does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from relay.errors import Place, RecipeError
from relay.model import JSON
from relay.recipes import yaml_tree
from relay.recipes.expression import Expression, Values
from relay.recipes.operators import truth
from relay.recipes.render import Value
from relay.recipes.scope import EventView, Scope
from relay.retry import RetryPolicy

OnFail = Literal["dead_letter", "ignore"]
OnUnknown = Literal["retry", "hold"]

DEFAULT_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a file that a person should change (`error`) or know (`warning`)."""

    place: Place
    severity: Literal["error", "warning"]
    message: str
    recipe: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class BrokenRecipe:
    """A recipe that can't be used. `catch` is its source, as far as that can be read."""

    id: str
    problems: tuple[Problem, ...]
    catch: str | None
    text: str
    file: str

    @property
    def why(self) -> str:
        """The first of its problems, with its place."""
        return str(self.problems[0]) if self.problems else "the recipe is broken"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One delivery to make. `needs` are the steps it waits for; `skipped` says why it isn't made."""

    step: str
    item: str = ""
    needs: list[str] = field(default_factory=list)
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe wants of an event; `skipped` says why it wants nothing."""

    skipped: str | None
    picks: dict[str, JSON] = field(default_factory=dict)
    steps: list[PlannedStep] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Condition:
    """A `when`."""

    expression: Expression

    def reason(self, values: Values) -> str | None:
        """None where it holds; else why not, naming the values. Raises RecipeError."""
        one = self.expression
        try:
            if truth(one.raw(values)):
                return None
        except ValueError as error:
            raise RecipeError(f"when {one.text}: {error}", one.place) from error
        seen = one.seen(values)
        return f"when {one.text}: {seen}" if seen else f"when {one.text}: this is not so"


@dataclass(frozen=True, slots=True)
class RecipeTest:
    """A test that lives in its recipe. `expect` keeps its places, to show which line isn't met."""

    name: str
    place: Place
    event: str
    change: dict[str, JSON]
    replies: dict[str, JSON]
    expect: yaml_tree.Node
    headers: dict[str, str]
    query: dict[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One outbound action.

    needs       the steps it waits for: `after`, and those whose saved values it uses
    hard_needs  of these, the ones whose values it can't do without: where such a step was skipped, so is this one
    retry       None for the default policy
    """

    id: str
    to: str
    do: str | None
    place: Place
    timeout: timedelta
    retry: RetryPolicy | None
    on_fail: OnFail
    on_unknown: OnUnknown
    keep_empty: bool
    after: tuple[str, ...]
    needs: tuple[str, ...]
    hard_needs: frozenset[str]
    when: Condition | None
    fields: Value
    save: Mapping[str, Expression]
    with_node: yaml_tree.Mapping
    do_place: Place

    def when_reason(self, scope: Scope) -> str | None:
        """None to go on; else why the step is skipped. Raises RecipeError."""
        return self.when.reason(scope.values) if self.when is not None else None

    def render(self, scope: Scope) -> dict[str, Any]:
        """The `with`, filled in; keys that are null are left out unless `keep_empty`. Raises RecipeError."""
        # A copy: what doesn't depend on the event is made once and shared by every delivery.
        return dict(self.fields.run(scope.values))

    def saved(self, reply_body: JSON, scope: Scope) -> dict[str, Any]:
        """What `save` takes out of the destination's reply. Raises RecipeError."""
        if not self.save:
            return {}
        values = scope.reply(reply_body).values
        return {name: expression.of(values) for name, expression in self.save.items()}


@dataclass(frozen=True, slots=True)
class Recipe:
    """id is the file's stem, name the `recipe:` line, version the text's hash."""

    id: str
    name: str
    catch: str
    version: str
    text: str
    file: str
    steps: dict[str, Step]
    tests: tuple[RecipeTest, ...]
    zone: str
    when: Condition | None
    picks: Mapping[str, Value]
    early: tuple[str, ...]
    catch_place: Place

    def plan(self, view: EventView) -> Plan:
        """What to do with an event. Raises RecipeError, located, where a `when` or a `pick` can't be made."""
        values: dict[str, Any] = dict(view.values)
        # A recipe's `when` decides before anything else is picked, save for what it reads itself.
        for name in self.early:
            values[name] = self.picks[name].run(values)
        if self.when is not None and (reason := self.when.reason(values)) is not None:
            return Plan(reason)
        picks = self._pick(values)
        return Plan(None, picks, self._planned(values))

    def picked(self, view: EventView) -> dict[str, JSON]:
        """The picks alone, for an event that is known to be wanted. Raises RecipeError, located."""
        return self._pick(dict(view.values))

    def _pick(self, values: dict[str, Any]) -> dict[str, JSON]:
        """Adds what is missing to the values; a later pick may use an earlier one."""
        picks: dict[str, JSON] = {}
        for name, pick in self.picks.items():
            if name not in values:
                values[name] = pick.run(values)
            picks[name] = values[name]
        return picks

    def _planned(self, values: Values) -> list[PlannedStep]:
        planned = []
        skipped: set[str] = set()
        for step in self.steps.values():
            reason = None
            gone = next((need for need in step.needs if need in skipped and need in step.hard_needs), None)
            if gone is not None:
                reason = f"it uses what {gone} saves, and {gone} was skipped"
            elif step.when is not None and not step.needs:
                reason = step.when.reason(values)
            if reason is not None:
                skipped.add(step.id)
            planned.append(PlannedStep(step.id, "", list(step.needs), reason))
        return planned
