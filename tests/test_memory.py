"""What a worker remembers of events between routing and delivering them."""

from __future__ import annotations

import pytest

from relay.memory import DecodedEvents
from relay.model import Event
from relay.recipes import EventView


def view(number: int, body: bytes = b"x" * 10) -> EventView:
    return EventView(Event(f"evt_{number}", "chat", "POST", "/in/chat", (), {}, body, 0), {"a": number})


def test_an_event_is_remembered_for_as_many_deliveries_as_it_has() -> None:
    events = DecodedEvents()
    events.put(one := view(1), uses=2)
    assert events.take("evt_1") is one
    assert events.take("evt_1") is one
    assert events.take("evt_1") is None


def test_what_is_full_by_number_or_by_bytes_takes_nothing_new_and_forgets_nothing_old() -> None:
    events = DecodedEvents(most_events=2, most_bytes=100)
    for number in range(3):
        events.put(view(number), uses=1)
    assert [events.take(f"evt_{number}") is not None for number in range(3)] == [True, True, False]
    events.put(view(7, b"x" * 101), uses=1)
    assert events.take("evt_7") is None
    events.put(view(8, b"x" * 100), uses=1)
    assert events.take("evt_8") is not None


def test_what_nobody_asks_for_makes_room_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    events = DecodedEvents(most_events=1)
    events.put(view(1), uses=5)
    clock = __import__("time").monotonic() + 60
    monkeypatch.setattr("relay.memory.time.monotonic", lambda: clock)
    events.put(view(2), uses=1)
    assert events.take("evt_1") is None
    assert events.take("evt_2") is not None
