"""What an attempt is rendered from: the recipe by which the event was routed, the event, what earlier steps saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relay.errors import PermanentError
from relay.memory import DecodedEvents
from relay.model import JSON, Status, delivery_id
from relay.recipes import EventView, Recipe, Scope, Step, Workspace, as_it_was, decoded_view, gathered, step_roots
from relay.route import latest_edit, with_edit
from relay.store import Ended, Store, StoredDelivery, StoredEvent


class Preparer:
    """Brings together what a delivery needs, reading as little as it can."""

    def __init__(self, workspace: Workspace, store: Store, decoded: DecodedEvents) -> None:
        self.workspace = workspace
        self._store = store
        self._decoded = decoded
        self._versions: dict[tuple[str, str], Recipe] = {}

    async def recipe(self, recipe_id: str, version: str) -> Recipe:
        """A version of a recipe. Raises PermanentError where nobody has it any more."""
        current = self.workspace.recipes.get(recipe_id)
        if current is not None and current.version == version:
            return current
        key = (recipe_id, version)
        if key not in self._versions:
            text = await self._store.version(*key)
            if text is None:
                raise PermanentError(
                    f"version {version} of the recipe {recipe_id} isn't kept; replay takes the newest",
                    cause="recipe version missing",
                )
            self._versions[key] = as_it_was(recipe_id, text, self.workspace.retries, self.workspace.tables)
        return self._versions[key]

    def cached(self, event_id: str) -> EventView | None:
        return self._decoded.take(event_id)

    async def view(
        self, delivery: StoredDelivery, cached: EventView | None, stored: StoredEvent | None
    ) -> EventView:  # fmt: skip
        """The event, decoded, as the latest edit has it. Raises BodyError, PermanentError."""
        edit, _ = await latest_edit(self._store, delivery)
        if cached is not None and edit is None:
            return cached
        event = cached.event if cached is not None else stored.event if stored is not None else None
        if event is None:
            raise PermanentError("the event is no longer kept", cause="event missing")
        event = with_edit(event, edit)
        view = decoded_view(event, self.workspace.sources.get(event.source), typed=False)
        if edit is None and stored is not None and len(stored.deliveries) > 1:
            # Its other deliveries are probably next.
            self._decoded.put(view, len(stored.deliveries) - 1)
        return view

    async def before(
        self,
        recipe: Recipe,
        step: Step,
        view: EventView,
        delivery: StoredDelivery,
        needs: Mapping[str, str | int],
        ends: Mapping[str, Ended],
    ) -> dict[str, Ended]:
        """What became of the steps that a delivery needs.

        ends  of those that are single deliveries, by their ids
        """
        found = {}
        for need, of in needs.items():
            if isinstance(of, str):
                found[need] = ends[of]
            elif need in step_roots(step):
                found[need] = await self._items(recipe, need, of, view, delivery)
        return found

    async def _items(self, recipe: Recipe, step: str, number: int, view: EventView, delivery: StoredDelivery) -> Ended:
        """All items of a step as one; once an event, for each item of another step may ask."""
        key = ("together", recipe.id, recipe.version, step)
        if key not in view.made:
            ids = [delivery_id(delivery.event_id, delivery.recipe, step, str(item)) for item in range(number)]
            view.made[key] = together(await self._store.ends(ids))
        ended: Ended = view.made[key]
        return ended


def together(items: Sequence[Ended]) -> Ended:
    """The items of one step as one: delivered where some item was, with a list of what these saved under each name."""
    delivered = [item for item in items if item.status is Status.DELIVERED]
    if not delivered:
        return Ended(items[0].status if items else Status.SKIPPED, {})
    return Ended(Status.DELIVERED, gathered([item.saved for item in delivered]))


def step_of(recipe: Recipe, step: str) -> Step:
    """Raises PermanentError."""
    found = recipe.steps.get(step)
    if found is None:
        raise PermanentError(
            f"the recipe {recipe.id} has no step {step} in version {recipe.version}", cause="step missing"
        )
    return found


def scope_of(
    recipe: Recipe,
    step: Step,
    view: EventView,
    delivery: StoredDelivery,
    before: Mapping[str, Ended],
    batch: Mapping[str, JSON] | None = None,
) -> Scope:
    """Raises RecipeError."""
    within: dict[str, Any] = recipe.within(step, view, delivery.item)
    if batch is not None:
        within["batch"] = batch
    saved = {name: dict(ended.saved) for name, ended in before.items() if ended.status is Status.DELIVERED}
    return Scope(view, recipe.picked(view), saved=saved, delivery_id=delivery.id, within=within)


def skip_reason(step: Step, scope: Scope, before: Mapping[str, Ended]) -> str | None:
    """Why the step is skipped, now that its predecessors have ended; None to go on. Raises RecipeError.

    A step that uses what another would have saved is skipped with it.
    """
    for name, ended in before.items():
        if name in step.hard_needs and ended.status in (Status.SKIPPED, Status.DISCARDED):
            return f"it uses what {name} saves, and {name} was {ended.status.value}"
    return step.when_reason(scope) if step.needs else None


def fits(recipe: Recipe, step: Step, delivery: StoredDelivery) -> bool:
    """Whether a delivery that another version of the recipe made has what this one's step takes.

    That is an item where it runs once per item, and predecessors of the same kind.
    """
    if (step.foreach is None) != (delivery.item == ""):
        return False
    return all(
        isinstance(delivery.needs.get(need), int if recipe.steps[need].foreach is not None else str)
        for need in step.needs
    )


def single_needs(needs: Mapping[str, str | int]) -> list[str]:
    """Those that are single deliveries: they are read together with the delivery itself."""
    return [need for need in needs.values() if isinstance(need, str)]
