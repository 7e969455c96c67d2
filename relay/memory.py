"""What a worker remembers between routing an event and delivering it, so that neither is read or decoded twice."""

from __future__ import annotations

from collections import OrderedDict

from relay.model import JSON, Event

_MOST_EVENTS = 1000
_MOST_BYTES = 32_000_000


class DecodedEvents:
    """The latest events and their decoded bodies, bounded by number and by the size of their raw bodies."""

    def __init__(self, most_events: int = _MOST_EVENTS, most_bytes: int = _MOST_BYTES) -> None:
        self._events: OrderedDict[str, tuple[Event, JSON]] = OrderedDict()
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._bytes = 0

    def put(self, event_id: str, event: Event, body: JSON) -> None:
        self._forget(event_id)
        self._events[event_id] = (event, body)
        self._bytes += len(event.body)
        while len(self._events) > self._most_events or self._bytes > self._most_bytes:
            self._forget(next(iter(self._events)))

    def get(self, event_id: str) -> tuple[Event, JSON] | None:
        found = self._events.get(event_id)
        if found is not None:
            self._events.move_to_end(event_id)
        return found

    def _forget(self, event_id: str) -> None:
        gone = self._events.pop(event_id, None)
        if gone is not None:
            self._bytes -= len(gone[0].body)
