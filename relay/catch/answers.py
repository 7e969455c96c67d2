"""What the sender gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relay.errors import RefusedError, StoreError, StoreFullError
from relay.model import Event
from relay.sources.config import SourceConfig
from relay.sources.inbound import HandshakeReply

#: Senders retry a 503; a few seconds is what a restart of the store takes.
RETRY_AFTER_SECONDS = 5


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


def answer_refusal(error: RefusedError, config: SourceConfig | None = None) -> Answer:
    """A vendor that wants to hear nothing of accepted events, wants to hear nothing of others."""
    reply = config.known.answer if config is not None and config.known is not None else None
    if reply is not None and not reply.body:
        return Answer(error.status, b"", error.headers, reply.content_type)
    return Answer(error.status, {"error": error.detail}, error.headers)


def answer_store_error(error: StoreError) -> Answer:
    """The store is away or full: the sender keeps the event and tries again."""
    wait = RETRY_AFTER_SECONDS * 2 if isinstance(error, StoreFullError) else RETRY_AFTER_SECONDS
    return Answer(503, {"error": "unavailable"}, {"Retry-After": str(wait)})


def answer_accepted(
    config: SourceConfig, status: int, body: Mapping[str, Any], event: Event | None = None, event_id: str = ""
) -> Answer:
    """Ours, unless the source's vendor wants to hear something else."""
    reply = config.known.answer if config.known is not None else None
    if reply is None:
        return Answer(status, body, event=event, event_id=event_id)
    return replace(answer_handshake(reply), event=event, event_id=event_id)


def answer_handshake(reply: HandshakeReply) -> Answer:
    return Answer(reply.status, reply.body, reply.headers, reply.content_type)
