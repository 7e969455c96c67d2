"""Catch: find the source, verify the raw bytes, answer handshakes, find the duplicate key, write.

Reads no recipe: of each it knows only whether it answers the sender.

The order is a promise: nothing of a request is believed, not even its id, before it has been verified; and nothing is
answered with a 2xx before it is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relay import log
from relay.clock import now_ms
from relay.errors import BodyError, RecipeError, RefusedError, StoreError, StoreFullError
from relay.messages import CaughtPayload
from relay.model import JSON, Event, new_event_id
from relay.recipes import Source, Workspace, one_word
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event
from relay.sources.handshake import handshake
from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.verify import Verifier
from relay.store import Operators, Store, source_lane

#: Senders retry a 503; a few seconds is what a restart of the store takes.
RETRY_AFTER_SECONDS = 5

#: Writes are refused before the store itself would: routing and delivering what is there needs room too.
MEMORY_SHARE_LIMIT = 0.9

_MEMORY_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender gets.

    event     what was accepted, where something was
    event_id  its id, or that of the event which it repeats
    """

    status: int
    body: Mapping[str, Any] | bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    event: Event | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class _Entrance:
    """A source, with everything worked out that does not change from request to request."""

    source: Source
    verifier: Verifier
    payload: CaughtPayload
    reads_body: bool


class Catcher:
    """The sources of a workspace, ready to catch."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._store = store
        self._memory = _MemoryWatch(store)
        self._log = log.get()
        self._sources = workspace.sources
        self._ringing = {recipe.catch for recipe in workspace.recipes.values() if recipe.respond is not None}
        self._entrances = {
            name: _Entrance(
                source,
                Verifier(source.config),
                CaughtPayload(source_lane(name)),
                _needs_body(source),
            )
            for name, source in workspace.sources.items()
            if source.config is not None
        }

    def limit(self, name: str) -> int:
        """The largest body of the source, in bytes. Raises RefusedError where there is no such source."""
        config = self._entrance(name).source.config
        assert config is not None
        return config.max_body

    async def catch(self, name: str, request: Inbound, remote: str = "") -> Answer:
        """One request. Raises RefusedError; every other end is an Answer."""
        started = time.perf_counter()
        entrance = self._entrance(name)
        config = entrance.source.config
        assert config is not None
        if request.method not in config.methods:
            allowed = ", ".join(config.methods)
            raise RefusedError(
                405, "method not allowed", f"{request.method} is not one of {allowed}", {"Allow": allowed}
            )
        received_ms = now_ms()
        matched = entrance.verifier.verify(request, received_ms)
        event = _event(name, request, received_ms, remote)
        if entrance.reads_body:
            body = _decoded(event, config)
            reply = handshake(config, request, body, matched)
            if reply is not None:
                self._log.info("source.handshake", source=name, method=request.method)
                return _handshake_answer(reply)
            key = _key(entrance.source, event, body)
            if key:
                event = replace(event, key=key)
        await self._memory.check()
        payload = entrance.payload.of(event.id)
        window = config.duplicates if event.key else None
        earlier = await self._store.accept(event, source_lane(name), payload, window, rings=name in self._ringing)
        took_ms = round((time.perf_counter() - started) * 1000, 1)
        if earlier is not None:
            self._log.info("event.duplicate", event_id=earlier, source=name, took_ms=took_ms)
            return Answer(200, {"id": earlier, "status": "duplicate"}, event=event, event_id=earlier)
        self._log.info("event.caught", event_id=event.id, source=name, bytes=len(event.body), took_ms=took_ms)
        return Answer(202, {"id": event.id, "status": "accepted"}, event=event, event_id=event.id)

    def _entrance(self, name: str) -> _Entrance:
        entrance = self._entrances.get(name)
        if entrance is not None:
            return entrance
        source = self._sources.get(name)
        if source is None:
            raise RefusedError(404, "not found", f"no source is called {name[:100]!r}")
        # Never 401 or 410: the sender is not wrong, and must not switch its webhook off.
        raise RefusedError(503, "unavailable", source.unavailable or "", {"Retry-After": "60"})


def answer_refusal(error: RefusedError) -> Answer:
    return Answer(error.status, {"error": error.detail}, error.headers)


def answer_store_error(error: StoreError) -> Answer:
    """The store is away or full: the sender keeps the event and tries again."""
    wait = RETRY_AFTER_SECONDS * 2 if isinstance(error, StoreFullError) else RETRY_AFTER_SECONDS
    return Answer(503, {"error": "unavailable"}, {"Retry-After": str(wait)})


def _needs_body(source: Source) -> bool:
    """Whether the body has to be decoded before the event is kept: for its id, or to tell a handshake."""
    assert source.config is not None
    known = source.config.known
    return source.event_id is not None or (known is not None and known.handshake is not None)


def _event(name: str, request: Inbound, received_ms: int, remote: str) -> Event:
    return Event(
        id=new_event_id(),
        source=name,
        method=request.method,
        path=f"/in/{name}",
        query=request.query,
        headers=request.headers,
        body=request.body,
        received_ms=received_ms,
        remote=remote,
    )


def _decoded(event: Event, config: SourceConfig) -> JSON:
    """The body, or None where it can't be decoded: it is kept all the same, and becomes a dead letter."""
    try:
        return decode_event(event, config)
    except BodyError:
        return None


def _key(source: Source, event: Event, body: JSON) -> str:
    """What makes a repeat of this event one; empty where the event has none: then none is a repeat of it."""
    if source.event_id is None:
        return ""
    try:
        # What an id can be made of, and no more: a whole view would cost more than the rest of the request.
        values = {"": body, "headers": event.headers, "query": dict(event.query), "event": {}}
        return one_word(source.event_id.of(values), 500)
    except RecipeError:
        return ""


def _handshake_answer(reply: HandshakeReply) -> Answer:
    return Answer(reply.status, reply.body, reply.headers, reply.content_type)


class _MemoryWatch:
    """Looks at the store's memory once a second while requests come, and refuses them near its limit."""

    def __init__(self, store: Store) -> None:
        self._operators = Operators(store)
        self._look_at = 0.0
        self._full = ""

    async def check(self) -> None:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _MEMORY_LOOK_SECONDS
            used, limit = await self._operators.memory()
            near = limit > 0 and used > limit * MEMORY_SHARE_LIMIT
            self._full = f"the store uses {used:,} of {limit:,} bytes" if near else ""
        if self._full:
            raise StoreFullError(self._full)
