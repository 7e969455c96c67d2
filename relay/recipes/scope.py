"""What an expression is evaluated on: one event, and what a recipe has made of it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from relay.clock import isoformat
from relay.errors import RecipeError
from relay.model import JSON, Event
from relay.recipes.paths import WHOLE
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event

if TYPE_CHECKING:
    from relay.recipes.expression import Expression


class EventView:
    """An event and its decoded body, as expressions see them: `$`, `$event`, `$headers`, `$query`.

    made  what recipes have worked out of it already: each is made once an event, however many steps ask
    """

    __slots__ = ("body", "event", "made", "values")

    def __init__(self, event: Event, body: JSON) -> None:
        self.event = event
        self.body = body
        self.made: dict[Any, Any] = {}
        self.values: dict[str, Any] = {
            "": body,
            "event": {"id": event.id, "received_at": isoformat(event.received_ms), "type": event.type},
            "headers": dict(event.headers),
            "query": dict(event.query),
        }


class Scope:
    """A view with what was picked, and what earlier steps saved.

    saved        step → name → value; a step that was skipped isn't in it
    delivery_id  of the delivery that is being rendered: `$delivery.id`
    within       `item` and `index` under foreach, `batch` in a batch
    """

    __slots__ = ("saved", "values", "view")

    def __init__(
        self,
        view: EventView,
        picks: Mapping[str, JSON] | None = None,
        saved: Mapping[str, Mapping[str, JSON]] | None = None,
        delivery_id: str = "",
        within: Mapping[str, JSON] | None = None,
    ) -> None:
        self.view = view
        self.saved = saved or {}
        self.values: dict[str, Any] = {**view.values, **(picks or {}), **self.saved, **(within or {})}
        if delivery_id:
            self.values["delivery"] = {"id": delivery_id}

    def reply(self, body: JSON) -> Scope:
        """The same, with `$` as a destination's reply."""
        scope = Scope.__new__(Scope)
        scope.view = self.view
        scope.saved = self.saved
        scope.values = {**self.values, "": body, WHOLE: "the reply"}
        return scope


def one_word(value: JSON, most: int) -> str:
    """A value that names something, as text; empty where it can't be a name. At most so many characters."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value)[:most]


def decoded_view(event: Event, config: SourceConfig | None, event_type: Expression | None) -> EventView:
    """An event decoded as its source says, with the type that the source's `event_type` reads of it.

    It has no type where that isn't there. Raises BodyError.
    """
    view = EventView(event, decode_event(event, config))
    if event_type is None:
        return view
    try:
        kind = one_word(event_type.evaluate(Scope(view)), 200)
    except RecipeError:
        kind = ""
    return EventView(replace(event, type=kind), view.body)


def gathered(saved: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What the items of one step saved: under each name a list, in their order."""
    names = dict.fromkeys(name for one in saved for name in one)
    return {name: [one.get(name) for one in saved] for name in names}
