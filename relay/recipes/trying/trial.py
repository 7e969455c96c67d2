"""What a recipe would send for an event, by the code that would send it; nothing is opened and nothing goes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from relay.clock import isoformat, now, now_ms
from relay.connector import Call, Connector, Context, validated
from relay.errors import BodyError, ConfigError, DeliveryError, RecipeError
from relay.model import JSON, Event, delivery_id
from relay.recipes.accounts import Connection
from relay.recipes.parse_step import step_roots
from relay.recipes.recipe import Plan, PlannedStep, Recipe, Step
from relay.recipes.respond import Respond
from relay.recipes.scope import EventView, Scope, decoded_view, gathered
from relay.recipes.trying.tried import Trial, TryAnswer, TryResult
from relay.recipes.workspace import Workspace
from relay.sources.split import Split
from relay.units import format_duration


def view_of(workspace: Workspace, event: Event) -> EventView:
    """The event decoded as its source says, and typed by its `event_type`. Raises BodyError, RecipeError."""
    source = workspace.sources.get(event.source)
    view = decoded_view(event, source)
    config = source.declared if source is not None else None
    if config is not None and config.split is not None and not event.part:
        parts = len(Split.of(config.split).items(view.body))
        if parts:
            message = f"its source splits this body into events of their own, {parts} here: a sample is one of them"
            raise RecipeError(message)
    return view


def try_event(
    recipe: Recipe, workspace: Workspace, event: Event, replies: Mapping[str, JSON] | None = None
) -> Trial:  # fmt: skip
    """What each step would do, and what the sender would be answered.

    replies  step → the body its destination would answer with, which `save` reads. Of a step with `foreach`, a list has
             one for each item, and anything else stands for all. Raises ConfigError where the list has another length.
    """
    try:
        view = view_of(workspace, event)
        plan = recipe.plan(view)
    except BodyError as error:
        return _nowhere(recipe, workspace, error=f"the body can't be decoded: {error}")
    except RecipeError as error:
        return _nowhere(recipe, workspace, error=str(error))
    if plan.skipped is not None:
        return _nowhere(recipe, workspace, skipped=plan.skipped)
    return _Trial(recipe, workspace, view, plan, replies or {}).run()


def _nowhere(recipe: Recipe, workspace: Workspace, *, skipped: str | None = None, error: str | None = None) -> Trial:
    steps = [_result(workspace, step, skipped=skipped, error=error) for step in recipe.steps.values()]
    respond = recipe.respond
    answer = TryAnswer(respond.place, skipped=skipped, error=error) if respond is not None else None
    return Trial(steps, answer, skipped=skipped, error=error)


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


@dataclass(frozen=True, slots=True)
class _End:
    """What became of a step, or of one of its items, as those after it see it. `unknown`: no reply of it is known."""

    state: Literal["delivered", "skipped", "unknown", "failed"]
    saved: Mapping[str, JSON] = field(default_factory=dict)
    why: str = ""


class _Trial:
    def __init__(
        self, recipe: Recipe, workspace: Workspace, view: EventView, plan: Plan, replies: Mapping[str, JSON]
    ) -> None:
        self.recipe = recipe
        self.workspace = workspace
        self.view = view
        self.plan = plan
        self.replies = replies
        self.ends: dict[str, _End] = {}
        self.connectors: dict[str, Connector[Any] | None] = {}

    def run(self) -> Trial:
        results = []
        for name, group in groupby(self.plan.steps, key=lambda planned: planned.step):
            step, planned = self.recipe.steps[name], list(group)
            replies = self.replies_of(step, planned)
            made = [self.step(step, one, len(planned), reply) for one, reply in zip(planned, replies, strict=True)]
            results += [result for result, _ in made]
            ends = [end for _, end in made]
            self.ends[name] = ends[0] if step.foreach is None else _together(ends)
        return Trial(results, self.answer(self.recipe.respond), self.plan.picks)

    def replies_of(self, step: Step, planned: Sequence[PlannedStep]) -> list[tuple[JSON, ...]]:
        """What each item's destination answers; empty where nobody says."""
        if step.id not in self.replies:
            return [()] * len(planned)
        reply = self.replies[step.id]
        if step.foreach is None or not isinstance(reply, list) or planned[0].item == "":
            return [(reply,)] * len(planned)
        if len(reply) != len(planned):
            message = f"`{step.id}` has {len(planned)} items, and there are replies for {len(reply)}"
            raise ConfigError(f"{message}: give one for each, or one reply, which is no list, for all")
        return [(one,) for one in reply]

    def step(
        self, step: Step, planned: PlannedStep, items: int, reply: tuple[JSON, ...]
    ) -> tuple[TryResult, _End]:  # fmt: skip
        known: dict[str, Any] = {"order_key": planned.order_key}
        if planned.item:
            known |= {"item": int(planned.item), "items": items}
        if planned.skipped is not None:
            return self.ended(step, _End("skipped", why=planned.skipped), known, skipped=planned.skipped)
        delivery = delivery_id(self.view.event.id, self.recipe.id, step.id, planned.item)
        try:
            scope = self.scope(step, planned, delivery)
            skipped = self.gone(step)
            waits = None if skipped is not None else self.waits_for(step)
            if skipped is None and waits is None and step.needs:
                skipped = step.when_reason(scope)
            if skipped is not None:
                return self.ended(step, _End("skipped", why=skipped), known, skipped=skipped)
            if waits is not None:
                return self.ended(step, _End("unknown"), known, waits=waits)
            known["fields"] = step.render(scope)
            known["preview"] = self.preview(step, known["fields"], delivery)
            if step.batch is not None:
                known["batch"] = self.batch_words(step)
        except (RecipeError, DeliveryError, ConfigError) as error:
            where = f"{step.place}: " if isinstance(error, DeliveryError) else ""
            state: Literal["skipped", "failed"] = "skipped" if step.on_fail == "ignore" else "failed"
            return self.ended(step, _End(state, why=str(error)), known, error=f"{where}{error}")
        if step.save and not reply:
            return self.ended(step, _End("unknown"), known)
        saved, wrong = step.saved(reply[0] if reply else None, scope)
        if wrong is not None:
            # It has been delivered: a save that can't be made is told, and what needs it fails by itself.
            return self.ended(step, _End("delivered", saved), known, error=str(wrong))
        return self.ended(step, _End("delivered", saved), known)

    def ended(self, step: Step, end: _End, known: dict[str, Any], **what: Any) -> tuple[TryResult, _End]:
        return _result(self.workspace, step, **known, **what), end

    def scope(self, step: Step, planned: PlannedStep, delivery: str) -> Scope:
        within: dict[str, JSON] = self.recipe.within(step, self.view, planned.item)
        if step.batch is not None:
            within["batch"] = {"time": isoformat(now_ms()), "count": 1}
        ends = {need: self.ends[need] for need in step.needs}
        saved = {name: dict(end.saved) for name, end in ends.items() if end.state == "delivered"}
        return Scope(self.view, self.plan.picks, saved, delivery, within)

    def gone(self, step: Step) -> str | None:
        gone = next((need for need in step.needs if self.is_gone(need) and need in step.hard_needs), None)
        return f"it uses what {gone} saves, and {gone} was skipped" if gone is not None else None

    def is_gone(self, step: str) -> bool:
        return self.ends[step].state == "skipped"

    def waits_for(self, step: Step) -> str | None:
        failed = [need for need in step.needs if self.ends[need].state == "failed"]
        if failed:
            return f"waits for {' and '.join(failed)}, which can't be delivered"
        missing = [need for need in step.needs if self.ends[need].state == "unknown" and need in step_roots(step)]
        if not missing:
            return None
        options = " ".join(f"--reply {name}=FILE" for name in missing)
        return f"waits for the reply of {' and '.join(missing)}; give one with {options}"

    def preview(self, step: Step, fields: dict[str, Any], delivery: str) -> dict[str, Any]:
        """What the connector says it would send; the fields themselves where its connection can't be made."""
        connection = self.workspace.connections.get(step.to)
        kind = connection.connector_class if connection is not None else None
        if connection is None or kind is None:
            return fields
        action = kind.action_class(step.do)
        if step.to not in self.connectors:
            self.connectors[step.to] = _connector(connection, kind)
        connector = self.connectors[step.to]
        if connector is None:
            validated(action.With, fields)
            return fields
        moment = self.view.event.received_at if step.batch is None else now()
        call = Call(delivery, delivery, 1, step.timeout, moment)
        preview = connector.outgoing(step.do, fields, call).preview()
        if step.batch is None:
            return preview
        return connector.outgoing(step.do, action.merged([fields]), call).preview()

    def batch_words(self, step: Step) -> str:
        assert step.batch is not None
        if step.batch.every is not None:
            when = f"at the latest {format_duration(step.batch.every)} after the first row"
        else:
            times = " and ".join(f"{at:%H:%M:%S}".removesuffix(":00") for at in step.batch.at)
            when = f"at {times} {self.recipe.zone}"
        return f"sent with others, at most {step.batch.most:,}, {when}"

    def answer(self, respond: Respond | None) -> TryAnswer | None:
        if respond is None:
            return None
        late, error = self.late(respond), None
        if late is None:
            saved = {name: dict(end.saved) for name, end in self.ends.items() if end.state == "delivered"}
            scope = Scope(self.view, self.plan.picks, saved)
            try:
                return TryAnswer(respond.place, respond.answer(scope), respond.body.run(scope.values))
            except RecipeError as wrong:
                late = error = str(wrong)
        scope = Scope(self.view, self.plan.picks)
        try:
            body = respond.late_body.run(scope.values)
            return TryAnswer(respond.place, respond.late(scope), body, late, error=error)
        except RecipeError as wrong:
            return TryAnswer(respond.place, error=error or str(wrong))

    def late(self, respond: Respond) -> str | None:
        """Why the answer can't be made of what the steps have saved."""
        for step in respond.uses:
            end = self.ends[step]
            if end.state == "unknown":
                return f"no reply of {step} is given; give one with --reply {step}=FILE"
            if step in respond.hard and end.state == "skipped":
                return f"{step} was skipped: {end.why}"
            if step in respond.hard and end.state == "failed":
                return f"{step} can't be delivered"
        return None


def _together(ends: Sequence[_End]) -> _End:
    """The items of a step as one: delivered where some item was, with a list of what these saved under each name."""
    for state in ("failed", "unknown"):
        if any(end.state == state for end in ends):
            return next(end for end in ends if end.state == state)
    delivered = [end.saved for end in ends if end.state == "delivered"]
    if not delivered:
        return ends[0]
    return _End("delivered", gathered(delivered))


def _connector(connection: Connection, kind: type[Connector[Any]]) -> Connector[Any] | None:
    config = connection.config or connection.declared
    try:
        return kind(config, Context()) if config is not None else None
    except (ConfigError, ValueError, TypeError, OSError):
        # A stand-in for an unset secret is no key; the fields are still checked.
        return None
