"""One event's way through a recipe by the relay's own functions, up to the moment at which something would be sent.

What the relay foresees ends in words; whatever else is raised, it is raised here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby, islice

from relay import jsontext
from relay.clock import isoformat
from relay.connections import Connections
from relay.connector import Call
from relay.deliver import saved_of
from relay.errors import PermanentError, RecipeError
from relay.model import JSON, Reply, Status
from relay.prepare import scope_of, skip_reason, together
from relay.recipes import EventView, Recipe, Scope
from relay.route import planned_deliveries
from relay.store import Ended, NewDelivery, StoredDelivery

#: Of a step's items, so many are made: they are all made alike.
_MOST_ITEMS = 5


def ends(
    recipe: Recipe, view: EventView, connections: Connections, replies: Mapping[str, JSON]
) -> Counter[str]:  # fmt: skip
    """How many deliveries end how: delivered, skipped, dead, waits; and where the recipe answers, answered or late.

    replies  by step, what its destination answers: to each of its items, or as in a test a list with one for each
    """
    try:
        plan = recipe.plan(view)
    except RecipeError as error:
        _in_words(error)
        return Counter({"dead": 1})
    if plan.skipped is not None:
        return Counter({"skipped": 1})
    trip = _Trip(recipe, view, connections, replies)
    made = planned_deliveries(recipe, plan, view.event.id)
    for step, deliveries in groupby(made, key=lambda delivery: delivery.step):
        trip.step(step, deliveries)
    trip.answer()
    return trip.seen


class _Trip:
    def __init__(
        self, recipe: Recipe, view: EventView, connections: Connections, replies: Mapping[str, JSON]
    ) -> None:  # fmt: skip
        self.recipe = recipe
        self.view = view
        self.connections = connections
        self.replies = replies
        self.ended: dict[str, Ended] = {}
        self.seen: Counter[str] = Counter()

    def step(self, step: str, deliveries: Iterator[NewDelivery]) -> None:
        found = [self.delivery(one) for one in islice(deliveries, _MOST_ITEMS)]
        self.seen.update(one.status.value for one in found)
        self.ended[step] = together(found) if self.recipe.steps[step].foreach is not None else found[0]

    def delivery(self, planned: NewDelivery) -> Ended:
        if planned.status is Status.SKIPPED:
            return Ended(Status.SKIPPED, {})
        before = {need: self.ended[need] for need in planned.needs}
        if any(one.status in (Status.DEAD, Status.WAITING) for one in before.values()):
            return Ended(Status.WAITING, {})
        try:
            return self.attempt(planned, before)
        except RecipeError as error:
            _in_words(error)
        except PermanentError:
            pass
        ignored = self.recipe.steps[planned.step].on_fail == "ignore"
        return Ended(Status.SKIPPED if ignored else Status.DEAD, {})

    def attempt(self, planned: NewDelivery, before: Mapping[str, Ended]) -> Ended:
        """Raises RecipeError, PermanentError."""
        step, moment = self.recipe.steps[planned.step], self.view.event.received_ms
        batch = {"time": isoformat(moment), "count": 1} if step.batch is not None else None
        scope = scope_of(self.recipe, step, self.view, _stored(planned, self.view), before, batch)
        if skip_reason(step, scope, before) is not None:
            return Ended(Status.SKIPPED, {})
        fields = step.render(scope)
        call = Call(planned.id, planned.id, 1, step.timeout, self.view.event.received_at)
        connector = self.connections.get(step.to)
        calls = [fields] if step.batch is None else [fields, connector.action(step.do).merged([fields, fields])]
        for one in calls:
            # An attempt's record is written as JSON.
            jsontext.dumps(connector.outgoing(step.do, one, call).preview())
        saved, _ = saved_of(step, Reply(self.reply_to(planned)), scope)
        jsontext.dumps(saved)
        return Ended(Status.DELIVERED, saved)

    def reply_to(self, planned: NewDelivery) -> JSON:
        reply = self.replies.get(planned.step)
        if not planned.item or not isinstance(reply, list):
            return reply
        return reply[int(planned.item)] if int(planned.item) < len(reply) else None

    def answer(self) -> None:
        respond = self.recipe.respond
        if respond is None:
            return
        picks = self.recipe.picked(self.view)
        saved = {step: dict(end.saved) for step, end in self.ended.items() if end.status is Status.DELIVERED}
        try:
            if respond.hard <= saved.keys():
                respond.answer(Scope(self.view, picks, saved))
                self.seen["answered"] += 1
                return
            respond.late(Scope(self.view, picks))
        except RecipeError as error:
            _in_words(error)
        self.seen["late"] += 1


def _stored(planned: NewDelivery, view: EventView) -> StoredDelivery:
    moment = view.event.received_ms
    names = (planned.id, view.event.id, planned.recipe, planned.version, planned.step, planned.item, planned.connection)
    return StoredDelivery(*names, planned.status, moment, moment)


def _in_words(error: RecipeError) -> None:
    assert error.message
    assert error.place is not None, error
