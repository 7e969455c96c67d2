"""A recipe, compiled: which events it wants, what it picks out of them, and its steps. Evaluating it does no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from relay.errors import Place, RecipeError
from relay.model import JSON
from relay.recipes import yaml_tree
from relay.recipes.expression import Expression, Values
from relay.recipes.operators import to_text, truth
from relay.recipes.render import Value
from relay.recipes.scope import EventView, Scope
from relay.recipes.words import kind_of
from relay.retry import RetryPolicy

if TYPE_CHECKING:
    from relay.recipes.batches import Batch
    from relay.recipes.respond import Respond

OnFail = Literal["dead_letter", "ignore"]
OnUnknown = Literal["retry", "hold"]

DEFAULT_TIMEOUT = timedelta(seconds=30)

#: `foreach` makes at most so many deliveries of one event: they are written by one act of the store.
MOST_ITEMS = 10_000

_MOST_KEY = 500

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a file that a person should change (`error`) or know (`warning`).

    code  what kind of problem it is: one of `codes.CODES`
    """

    place: Place
    severity: Literal["error", "warning"]
    message: str
    recipe: str | None = None
    code: str = "yaml"

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
        """The first of its errors, with its place."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        return str(errors[0]) if errors else "the recipe is broken"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One delivery to make.

    item       which of a foreach's items, from "0"; else empty
    needs      the steps it waits for
    skipped    why it isn't made
    order_key  deliveries of the step with the same one go strictly one after another
    """

    step: str
    item: str = ""
    needs: tuple[str, ...] = ()
    skipped: str | None = None
    order_key: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe wants of an event; `skipped` says why it wants nothing.

    unasked  the event is of a type that the recipe doesn't name: none of its business
    """

    skipped: str | None
    picks: dict[str, JSON] = field(default_factory=dict)
    steps: list[PlannedStep] = field(default_factory=list)
    unasked: bool = False


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
    """A test that lives in its recipe. `expect` and `answer` keep their places, to show which line isn't met."""

    name: str
    place: Place
    event: str
    change: dict[str, JSON]
    replies: dict[str, JSON]
    expect: yaml_tree.Node | None
    headers: dict[str, str]
    query: dict[str, str]
    answer: yaml_tree.Node | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One outbound action.

    needs       the steps it waits for: `after`, and those whose saved values it uses
    hard_needs  of these, the ones whose values it can't do without: where such a step was skipped, so is this one
    retry       None for the default policy
    foreach     what there is one delivery of for each item
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
    foreach: Expression | None = None
    batch: Batch | None = None
    order_by: Expression | None = None
    batch_place: Place | None = None

    def when_reason(self, scope: Scope) -> str | None:
        """None to go on; else why the step is skipped. Raises RecipeError."""
        return self.when.reason(scope.values) if self.when is not None else None

    def items(self, values: Values) -> list[JSON]:
        """What the step runs once for each of. Raises RecipeError."""
        assert self.foreach is not None
        found = self.foreach.of(values)
        if found is None:
            return []
        items = found if isinstance(found, list) else [found]
        if len(items) > MOST_ITEMS:
            message = f"foreach {self.foreach.text} gives {len(items)} items, and at most {MOST_ITEMS} are sent"
            raise RecipeError(message, self.foreach.place)
        return items

    def order_key(self, values: Values) -> str | None:
        """None where nothing has to be kept in order. Raises RecipeError."""
        if self.order_by is None:
            return None
        key = self.order_by.of(values)
        if isinstance(key, (list, dict)):
            found = kind_of(key)
            raise RecipeError(f"order_by {self.order_by.text} is {found}; it takes one value", self.order_by.place)
        return None if key is None else to_text(key)[:_MOST_KEY]

    def render(self, scope: Scope) -> dict[str, Any]:
        """The `with`, filled in; keys that are null are left out unless `keep_empty`. Raises RecipeError."""
        # A copy: what doesn't depend on the event is made once and shared by every delivery.
        return dict(self.fields.run(scope.values))

    def saved(self, reply_body: JSON, scope: Scope) -> tuple[dict[str, Any], RecipeError | None]:
        """What `save` takes out of the destination's reply, and the first of it that can't be taken."""
        saved: dict[str, Any] = {}
        wrong: RecipeError | None = None
        values = scope.reply(reply_body).values if self.save else {}
        for name, expression in self.save.items():
            try:
                saved[name] = expression.of(values)
            except RecipeError as error:
                wrong = wrong or error
        return saved, wrong


@lru_cache(maxsize=10_000)
def _pattern(wanted: str) -> re.Pattern[str] | None:
    """None where it is a name. fnmatch remembers so few patterns that hundreds of recipes push each other out."""
    return re.compile(translate(wanted)) if _WILD & set(wanted) else None


def _matches(wanted: str, kind: str) -> bool:
    pattern = _pattern(wanted)
    return kind == wanted if pattern is None else pattern.match(kind) is not None


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
    types: tuple[str, ...] = ()
    types_place: Place | None = None
    respond: Respond | None = None
    tzinfo: tzinfo = UTC

    def wants(self, kind: str) -> bool:
        """Whether the recipe is for events of this type."""
        return not self.types or any(_matches(wanted, kind) for wanted in self.types)

    @property
    def is_ordered(self) -> bool:
        return any(step.order_by is not None for step in self.steps.values())

    def plan(self, view: EventView) -> Plan:
        """What to do with an event. Raises RecipeError, located, where a `when` or a `pick` can't be made."""
        if not self.wants(view.event.type):
            named = f"of type {view.event.type}" if view.event.type else "of no known type"
            return Plan(f"the event is {named}, and the recipe wants {', '.join(self.types)}", unasked=True)
        values: dict[str, Any] = dict(view.values)
        # A recipe's `when` decides before anything else is picked, save for what it reads itself.
        for name in self.early:
            values[name] = self.picks[name].run(values)
        if self.when is not None and (reason := self.when.reason(values)) is not None:
            return Plan(reason)
        picks = self._pick(view, values)
        return Plan(None, picks, self._planned(view, values))

    def picked(self, view: EventView) -> dict[str, JSON]:
        """The picks alone, for an event that is known to be wanted. Raises RecipeError, located."""
        made: dict[str, JSON] | None = view.made.get(self._made)
        return made if made is not None else self._pick(view, dict(view.values))

    def items(self, step: Step, view: EventView) -> list[JSON]:
        """The items of a step with `foreach`. Raises RecipeError."""
        key = (*self._made, step.id)
        items: list[JSON] | None = view.made.get(key)
        if items is None:
            items = view.made[key] = step.items({**view.values, **self.picked(view)})
        return items

    def within(self, step: Step, view: EventView, item: str) -> dict[str, JSON]:
        """`$item` and `$index` of a delivery. Raises RecipeError."""
        if (step.foreach is None) != (item == ""):
            now = "runs once per item" if step.foreach is not None else "doesn't run once per item any more"
            message = f"the step {step.id} {now}: replay the event, or this by its own version of the recipe"
            raise RecipeError(message, step.place)
        if step.foreach is None:
            return {}
        items, index = self.items(step, view), int(item)
        if index >= len(items):
            # The body was edited since, or the recipe is another.
            message = f"foreach {step.foreach.text} gives {len(items)} items now, and this was item {index + 1}"
            raise RecipeError(message, step.foreach.place)
        return {"item": items[index], "index": index}

    @property
    def _made(self) -> tuple[str, str]:
        return self.id, self.version

    def _pick(self, view: EventView, values: dict[str, Any]) -> dict[str, JSON]:
        """Adds what is missing to the values; a later pick may use an earlier one."""
        picks: dict[str, JSON] = {}
        for name, pick in self.picks.items():
            if name not in values:
                values[name] = pick.run(values)
            picks[name] = values[name]
        view.made[self._made] = picks
        return picks

    def _planned(self, view: EventView, values: dict[str, Any]) -> list[PlannedStep]:
        planned: list[PlannedStep] = []
        skipped: set[str] = set()
        for step in self.steps.values():
            gone = next((need for need in step.needs if need in skipped and need in step.hard_needs), None)
            if gone is not None:
                reason = f"it uses what {gone} saves, and {gone} was skipped"
                made = [PlannedStep(step.id, "", step.needs, reason)]
            elif step.foreach is None:
                made = [_one(step, "", values)]
            else:
                items = self.items(step, view)
                made = [
                    _one(step, str(index), {**values, "item": item, "index": index})
                    for index, item in enumerate(items)
                ]  # fmt: skip
                if not made:
                    made = [PlannedStep(step.id, "", step.needs, f"foreach {step.foreach.text} gives no items")]
            if all(one.skipped is not None for one in made):
                skipped.add(step.id)
            planned.extend(made)
        return planned


def _one(step: Step, item: str, values: Values) -> PlannedStep:
    # What a step waits for may decide on its `when`.
    reason = step.when.reason(values) if step.when is not None and not step.needs else None
    key = step.order_key(values) if reason is None else None
    return PlannedStep(step.id, item, step.needs, reason, key)
