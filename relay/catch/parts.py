"""From a request to the events it holds, each with the key that tells its repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

from relay import jsontext
from relay.catch.ready import ReadySource
from relay.errors import BodyError, RecipeError, RefusedError
from relay.model import JSON, Event, new_event_id
from relay.recipes import Source, one_word
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event, takes_long
from relay.sources.inbound import Inbound

#: A body of more is kept as one event: the largest batches of the vendors we know have 1,000.
MOST_PARTS = 10_000
_MOST_HEADER_BYTES = 40_000_000

#: Strangers' long bodies, of one source, that wait or are looked through.
_MOST_UNPROVEN = 8

#: A longer duplicate key is kept as its beginning and a hash.
_MOST_OF_A_KEY = 500

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


async def verified(ready: ReadySource, request: Inbound, event: Event) -> str:
    """Which secret matched. Raises RefusedError.

    Where it stands in a long body, it is looked for in a thread: a stranger's body, so few at a time, and those of this
    source alone wait.
    """
    if not ready.proof_in_body or not takes_long(event):
        return ready.verifier.verify(request, event.received_ms)
    if ready.unproven >= _MOST_UNPROVEN:
        why = "as many long bodies as may be are being looked through for their proof"
        raise RefusedError(503, "unavailable", why, {"Retry-After": "5"})
    ready.unproven += 1
    try:
        async with ready.unproven_turns:
            return await asyncio.to_thread(ready.verifier.verify, request, event.received_ms)
    finally:
        ready.unproven -= 1


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
    if parts:
        headers = {name: text for name, text in event.headers.items() if name not in _OF_THE_WHOLE}
        if not _too_many(parts, headers):
            return [_part(ready.source, event, headers, number, part) for number, part in enumerate(parts, 1)]
    return [replace(event, key=_key(ready.source, event, event.headers, body))]


def _too_many(parts: list[JSON], headers: Mapping[str, str]) -> bool:
    """Each part has the request's headers too: a short body of a million items would become gigabytes."""
    size = sum(len(name) + len(text) for name, text in headers.items())
    return len(parts) > MOST_PARTS or len(parts) * size > _MOST_HEADER_BYTES


def _part(source: Source, whole: Event, headers: dict[str, str], number: int, value: JSON) -> Event:
    """An item of a body, as an event of its own: its body is that item as JSON."""
    body = jsontext.dumps(value)
    own = headers | {"content-type": "application/json", "content-length": str(len(body))}
    key = _key(source, whole, own, value)
    if key and not _reads_the_body(source):
        # An id of the request, such as a header's, is the same for all that it holds.
        key = f"{key} #{number}"
    return replace(whole, id=new_event_id(), body=body, headers=own, part=number, key=key)


def _key(source: Source, event: Event, headers: Mapping[str, str], body: JSON) -> str:
    """What makes a repeat of this event one; empty where the event has none: then none is a repeat of it."""
    if source.event_id is None:
        return ""
    try:
        # What an id can be made of, and no more: a whole view would cost more than the rest of the request.
        values = {"": body, "headers": headers, "query": dict(event.query), "event": {}}
        word = one_word(source.event_id.of(values))
    except RecipeError:
        return ""
    if len(word) <= _MOST_OF_A_KEY:
        return word
    # Cut, two would be alike.
    return f"{word[:400]} {blake2b(word.encode('utf-8', 'surrogatepass'), digest_size=20).hexdigest()}"


def _reads_the_body(source: Source) -> bool:
    return source.event_id is not None and any(ref.root == "" for ref in source.event_id.refs)
