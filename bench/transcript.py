"""The event that is posted: a closed chat of 3.8 to 4 KB with a contact, a conversation and its messages."""

from __future__ import annotations

import random
from typing import Any

import orjson

#: What every posted body has in the place of its own id, and of the same length.
ID_LENGTH = 18
_PLACE = "#" * ID_LENGTH

_LEAST_BYTES = 3_850

_PHRASES = (
    "Hello, my parcel was due on Tuesday and the tracking page has not moved since.",
    "Thank you for writing in. May I have the order number, please?",
    "It is on the receipt: 2209-4471. I paid for next-day delivery.",
    "I can see it. The courier scanned it at the depot in Köln last night.",
    "So when will it be here? I am travelling from Friday on.",
    "They have promised tomorrow before noon, and I have refunded the express fee.",
    "That is kind. Could you leave a note to ring the neighbour's bell?",
    "Done. You will get a message with the new time in a few minutes.",
    "Perfect – nothing else for today, have a good evening!",
)


def transcript() -> dict[str, Any]:
    """The same on every call: what differs from event to event is the `id` alone."""
    chance = random.Random(20)
    messages: list[dict[str, Any]] = []
    event: dict[str, Any] = {
        "id": _PLACE,
        "type": "conversation.closed",
        "contact": {
            "id": "c-77310",
            "name": "Zoë Lindqvist-Okafor",
            "email": "Zoe.Lindqvist@Example.com",
            "phone": "+44 20 7946 0018",
            "company": {"name": "Northwind Traders", "plan": "business", "seats": 40},
            "tags": ["returning", "priority"],
        },
        "conversation": {
            "id": "conv-5581",
            "channel": "website",
            "state": "closed",
            "opened_at": "2026-04-03T10:58:41Z",
            "closed_at": "2026-04-03T11:15:07Z",
            "rating": 4.5,
            "agent": {"id": 31, "name": "Tomás Ferreira", "team": "Orders"},
        },
        "messages": messages,
    }
    seconds = 0
    while len(orjson.dumps(event)) < _LEAST_BYTES:
        seconds += chance.randint(4, 50)
        author = "agent" if len(messages) % 2 else "contact"
        messages.append({"after_s": seconds, "from": author, "text": _PHRASES[len(messages) % len(_PHRASES)]})
    return event


def halves() -> tuple[bytes, bytes]:
    """The encoded event before and after its id: a new event is `before + id + after`."""
    before, _, after = orjson.dumps(transcript()).partition(_PLACE.encode())
    return before, after


def event_id(series: str, number: int) -> bytes:
    """A new id of the one length: a series of up to eight letters, and a number in it."""
    return f"{series:_<8.8}{number:010}".encode()


def body(id_: bytes) -> bytes:
    before, after = halves()
    return before + id_ + after
