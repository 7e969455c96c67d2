"""What an expression is evaluated on: one event, and what a recipe has made of it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from relay.clock import isoformat, to_ms
from relay.errors import RecipeError
from relay.model import JSON, Event
from relay.recipes.paths import WHOLE
from relay.sources.decode import decode_event

if TYPE_CHECKING:
    from relay.recipes.accounts import Source
    from relay.recipes.expression import Expression

#: Unix seconds reach it in the year 5138; in milliseconds it was passed in 1973.
_MILLISECONDS_FROM = 100_000_000_000


class EventView:
    """An event and its decoded body, as expressions see them: `$`, `$event`, `$headers`, `$query`.

    made  what recipes have worked out of it already: each is made once an event, however many steps ask
    """

    __slots__ = ("body", "event", "made", "values")

    def __init__(self, event: Event, body: JSON, sent_at: str | None = None) -> None:
        self.event = event
        self.body = body
        self.made: dict[Any, Any] = {}
        self.values: dict[str, Any] = {
            "": body,
            "event": {
                "id": event.id,
                "received_at": isoformat(event.received_ms),
                "sent_at": sent_at,
                "type": event.type,
            },
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


def one_word(value: JSON, most: int | None = None) -> str:
    """A value that names something, as text; empty where it can't be a name. At most so many characters."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value)[:most]


def decoded_view(event: Event, source: Source | None, *, typed: bool = True) -> EventView:
    """An event decoded as its source says, with the type and the time that the source's expressions read of it.

    It has none where that isn't there. Raises BodyError.

    source  None where there is no such source any more: then the content type says what the body is
    typed   False keeps the type with which the event was routed
    """
    view = EventView(event, decode_event(event, source.declared if source is not None else None))
    if source is None or (source.event_type is None and source.event_time is None):
        return view
    if typed and source.event_type is not None:
        event = replace(event, type=one_word(_read(source.event_type, view), 200))
    sent_at = _moment(_read(source.event_time, view)) if source.event_time is not None else None
    return EventView(event, view.body, sent_at)


def _read(expression: Expression, view: EventView) -> JSON:
    try:
        value: JSON = expression.evaluate(Scope(view))
        return value
    except RecipeError:
        return None


def _moment(value: JSON) -> str | None:
    """A sender's time as `2026-03-04T10:21:07.000Z`: from unix seconds, milliseconds, or ISO 8601, which is UTC
    unless it says otherwise. None for anything else.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return isoformat(round(value * (1000 if abs(value) < _MILLISECONDS_FROM else 1)))
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return isoformat(to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    except (ValueError, OverflowError, OSError):
        pass
    return None


def gathered(saved: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What the items of one step saved: under each name a list, in their order."""
    names = dict.fromkeys(name for one in saved for name in one)
    return {name: [one.get(name) for one in saved] for name in names}
