"""What a worker remembers between routing an event and delivering it, so that neither is read or decoded twice."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from relay.recipes import EventView

_MOST_EVENTS = 2000
_MOST_BYTES = 32_000_000

#: Another worker delivers what this one routed, or nobody does for now: then it is not worth its place.
_MOST_SECONDS = 20.0


@dataclass(slots=True)
class _Entry:
    view: EventView
    uses: int
    since: float


class DecodedEvents:
    """Events, decoded, with what recipes have picked out of them, until so many deliveries have asked for them.

    Routing may run thousands of events ahead of delivering. What is full takes nothing new: to forget the oldest would
    be to forget what is needed next.
    """

    def __init__(self, most_events: int = _MOST_EVENTS, most_bytes: int = _MOST_BYTES) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._bytes = 0

    def put(self, view: EventView, uses: int) -> None:
        """`uses` is how many deliveries will ask for it."""
        event, now = view.event, time.monotonic()
        self._forget(event.id)
        while self._entries and next(iter(self._entries.values())).since < now - _MOST_SECONDS:
            self._forget(next(iter(self._entries)))
        if uses and len(self._entries) < self._most_events and self._bytes + len(event.body) <= self._most_bytes:
            self._entries[event.id] = _Entry(view, uses, now)
            self._bytes += len(event.body)

    def take(self, event_id: str) -> EventView | None:
        entry = self._entries.get(event_id)
        if entry is None:
            return None
        entry.uses -= 1
        if entry.uses <= 0:
            self._forget(event_id)
        return entry.view

    def _forget(self, event_id: str) -> None:
        gone = self._entries.pop(event_id, None)
        if gone is not None:
            self._bytes -= len(gone.view.event.body)
