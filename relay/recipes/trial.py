"""What a recipe would send for an event, by the code that would send it; nothing is opened and nothing goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.connector import Call, Context, validated
from relay.errors import BodyError, ConfigError, DeliveryError, Place, RecipeError
from relay.model import JSON, Event, delivery_id
from relay.recipes.parse_step import step_roots
from relay.recipes.recipe import PlannedStep, Recipe, Step
from relay.recipes.scope import EventView, Scope
from relay.recipes.workspace import Workspace
from relay.sources.decode import decode


@dataclass(frozen=True, slots=True)
class TryResult:
    """One step: exactly one of `preview`, `skipped`, `waits` and `error` says what becomes of it.

    fields   the rendered `with`
    preview  what the connector would send, redacted
    held     why the connection would not send it now, such as an unset secret
    """

    step: str
    connection: str
    connector: str
    do: str | None
    fields: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    skipped: str | None = None
    waits: str | None = None
    error: str | None = None
    held: str | None = None
    place: Place | None = None


def view_of(workspace: Workspace, event: Event) -> EventView:
    """The event decoded as its source says, and typed by its `event_type`. Raises BodyError."""
    source = workspace.sources.get(event.source)
    if source is None or source.declared is None:
        return EventView(event, decode(event.body, event.content_type, event.query))
    how = source.declared
    body = decode(event.body, event.content_type, event.query, how=how.decode, json_field=how.json_field)
    view = EventView(event, body)
    if source.event_type is not None and not event.type:
        try:
            kind = source.event_type.evaluate(view)
        except RecipeError:
            kind = None
        if isinstance(kind, (str, int)):
            view = EventView(replace(event, type=str(kind)), view.body)
    return view


def try_event(
    recipe: Recipe, workspace: Workspace, event: Event, replies: Mapping[str, JSON] | None = None
) -> list[TryResult]:
    """What each step would do.

    replies  step → the body its destination would answer with, which `save` reads
    """
    try:
        view = view_of(workspace, event)
        plan = recipe.plan(view)
    except BodyError as error:
        return [_result(workspace, step, error=f"the body can't be decoded: {error}") for step in recipe.steps.values()]
    except RecipeError as error:
        return [_result(workspace, step, error=str(error)) for step in recipe.steps.values()]
    if plan.skipped is not None:
        return [_result(workspace, step, skipped=plan.skipped) for step in recipe.steps.values()]
    return _Trial(recipe, workspace, view, plan.picks, replies or {}).run(plan.steps)


def _result(workspace: Workspace, step: Step, **what: Any) -> TryResult:
    connection = workspace.connections.get(step.to)
    return TryResult(
        step=step.id,
        connection=step.to,
        connector=connection.connector if connection is not None else "",
        do=step.do,
        held=connection.held if connection is not None else f"there is no connection `{step.to}`",
        place=step.place,
        **what,
    )


class _Trial:
    def __init__(
        self,
        recipe: Recipe,
        workspace: Workspace,
        view: EventView,
        picks: Mapping[str, JSON],
        replies: Mapping[str, JSON],
    ) -> None:
        self.recipe = recipe
        self.workspace = workspace
        self.view = view
        self.picks = picks
        self.replies = replies
        self.saved: dict[str, dict[str, Any]] = {}
        self.skipped: set[str] = set()
        self.unanswered: set[str] = set()

    def run(self, planned: list[PlannedStep]) -> list[TryResult]:
        return [self.step(self.recipe.steps[one.step], one) for one in planned]

    def step(self, step: Step, planned: PlannedStep) -> TryResult:
        scope = Scope(
            self.view, self.picks, self.saved, delivery_id(self.view.event.id, self.recipe.id, step.id, planned.item)
        )
        try:
            skipped = planned.skipped or self.gone(step)
            waits = None if skipped else self.waits_for(step)
            if skipped is None and waits is None and step.needs:
                skipped = step.when_reason(scope)
            if skipped is not None:
                self.skipped.add(step.id)
                return _result(self.workspace, step, skipped=skipped)
            if waits is not None:
                self.unanswered.add(step.id)
                return _result(self.workspace, step, waits=waits)
            fields = step.render(scope)
            preview = self.preview(step, fields, scope)
            self.answer(step, scope)
        except (RecipeError, DeliveryError) as error:
            self.unanswered.add(step.id)
            where = "" if isinstance(error, RecipeError) else f"{step.place}: "
            return _result(self.workspace, step, error=f"{where}{error}")
        return _result(self.workspace, step, fields=fields, preview=preview)

    def gone(self, step: Step) -> str | None:
        gone = next((need for need in step.needs if need in self.skipped and need in step.hard_needs), None)
        return f"it uses what {gone} saves, and {gone} was skipped" if gone is not None else None

    def waits_for(self, step: Step) -> str | None:
        missing = [need for need in step.needs if need in self.unanswered and need in step_roots(step)]
        if not missing:
            return None
        names = " and ".join(missing)
        options = " ".join(f"--reply {name}=FILE" for name in missing)
        return f"waits for the reply of {names}; give one with {options}"

    def answer(self, step: Step, scope: Scope) -> None:
        if step.id in self.replies:
            self.saved[step.id] = step.saved(self.replies[step.id], scope)
        elif step.save:
            self.unanswered.add(step.id)

    def preview(self, step: Step, fields: dict[str, Any], scope: Scope) -> dict[str, Any]:
        """What the connector says it would send; the fields themselves where its connection can't be made."""
        connection = self.workspace.connections.get(step.to)
        kind = connection.connector_class if connection is not None else None
        if connection is None or kind is None:
            return fields
        delivery = scope.values["delivery"]["id"]
        event = self.view.event
        call = Call(delivery, delivery, 1, step.timeout, event.received_at)
        config = connection.config or connection.declared
        if config is not None:
            try:
                connector = kind(config, Context())
            except (ConfigError, ValueError, TypeError, OSError):
                # A stand-in for an unset secret is no key; the fields are still checked.
                pass
            else:
                return connector.outgoing(step.do, fields, call).preview()
        validated(kind.action_class(step.do).With, fields)
        return fields
