"""From a request to the events it holds, each with the key that tells its repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from relay import jsontext
from relay.catch.ready import ReadySource
from relay.errors import BodyError, RecipeError
from relay.model import JSON, Event, new_event_id
from relay.recipes import Source, one_word
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event, takes_long
from relay.sources.inbound import Inbound

#: A body of more is kept as one event: the largest batches of the vendors we know have 1,000.
MOST_PARTS = 10_000
_MOST_HEADER_BYTES = 40_000_000

#: They tell of the body as it came.
_OF_THE_WHOLE = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


def event_of(name: str, request: Inbound, received_ms: int) -> Event:
    return Event(
        id=new_event_id(),
        source=name,
        method=request.method,
        path=f"/in/{name}",
        query=request.query,
        headers=request.headers,
        body=request.body,
        received_ms=received_ms,
        remote=request.remote,
    )


async def verified(ready: ReadySource, request: Inbound, event: Event, turns: asyncio.Semaphore) -> str:
    """Which secret matched. Raises RefusedError. What it takes to look into a long body is done in a thread as well."""
    if not takes_long(event):
        return ready.verifier.verify(request, event.received_ms)
    async with turns:
        return await asyncio.to_thread(ready.verifier.verify, request, event.received_ms)


async def decoded(event: Event, config: SourceConfig, turns: asyncio.Semaphore) -> JSON:
    """The body, or None where it can't be decoded: it is kept all the same, and becomes a dead letter.

    turns  what takes long is decoded in a thread, and few at a time: the other requests would wait for it
    """
    try:
        if not takes_long(event):
            return decode_event(event, config)
        async with turns:
            return await asyncio.to_thread(decode_event, event, config)
    except BodyError:
        return None


def events_in(ready: ReadySource, event: Event, body: JSON) -> list[Event]:
    """The event with its duplicate key; or one for each part, where its body holds many."""
    parts = ready.split.items(body) if ready.split is not None else []
    headers = {name: text for name, text in event.headers.items() if name not in _OF_THE_WHOLE}
    if not parts or _too_many(parts, headers):
        return [replace(event, key=_key(ready.source, event, event.headers, body))]
    return [_part(ready.source, event, headers, number, part) for number, part in enumerate(parts, 1)]


def _too_many(parts: list[JSON], headers: Mapping[str, str]) -> bool:
    """Each part has the request's headers too: a short body of a million items would become gigabytes."""
    size = sum(len(name) + len(text) for name, text in headers.items())
    return len(parts) > MOST_PARTS or len(parts) * size > _MOST_HEADER_BYTES


def _part(source: Source, whole: Event, headers: dict[str, str], number: int, value: JSON) -> Event:
    """An item of a body, as an event of its own: its body is that item as JSON."""
    body = jsontext.dumps(value)
    own = headers | {"content-type": "application/json", "content-length": str(len(body))}
    key = _key(source, whole, own, value)
    return replace(whole, id=new_event_id(), body=body, headers=own, part=number, key=key)


def _key(source: Source, event: Event, headers: Mapping[str, str], body: JSON) -> str:
    """What makes a repeat of this event one; empty where the event has none: then none is a repeat of it."""
    if source.event_id is None:
        return ""
    try:
        # What an id can be made of, and no more: a whole view would cost more than the rest of the request.
        values = {"": body, "headers": headers, "query": dict(event.query), "event": {}}
        return one_word(source.event_id.of(values), 500)
    except RecipeError:
        return ""
