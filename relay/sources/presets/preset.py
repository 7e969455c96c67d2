"""The shape of a preset's declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from relay.model import JSON
from relay.sources.inbound import HandshakeReply, Inbound

#: Stands in a preset's `verify` where the operator's secret goes.
FILL_IN = "${secret}"

#: (request, its decoded body, the secret it was verified with) → what the vendor wants to hear, or None for an event.
Handshake = Callable[[Inbound, JSON, str], HandshakeReply | None]

#: (request, the source's `verify_token`s) → the same for a question that comes before there is any proof, or None.
Greeting = Callable[[Inbound, tuple[str, ...]], HandshakeReply | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is known of one vendor's webhooks.

    page         the vendor's page or published code that this is from
    verify       as it would stand under `verify` in relay.yaml, with FILL_IN for the secret
    asks_for     what the operator gives as `secret`, and where to find it
    kept         how events are signed with a secret that the vendor gives in a handshake, as `verify`, with FILL_IN for
                 that secret; None for most. It holds beside `verify`
    event_id     the expression that is the same for a repeat; None where the vendor sends nothing that surely is
    event_time   the expression for the moment at which it happened, at the vendor
    types        the event types the vendor documents; empty where they are too many, or not published
    type_example one of the values that `event_type` has: it shows what stands between their words
    split        where a body holds many events: `$[*]`, `$.events[*]`
    answer       what the vendor wants to hear of an accepted event; None: our 202, with its id as JSON
    answer_in    how long the vendor waits for our answer, where that is known
    retries      what it does without one, in words
    gives_up     when it switches the webhook off, in words
    asks_token   its first question holds a token that the operator chose: the source's `verify_token`
    greeting     answers a question that is asked before anything is proven: it must give nothing away
    handshake    answers the vendor's question whether we are here; called for verified requests only
    decode       as a source's `decode`
    json_field   the form field that holds the event as JSON, where the vendor can send forms
    methods      where the vendor does not let the operator choose among them
    sends        what a body is, in words: "JSON", "a form"
    setup        what to do at the vendor's, a step each; `{url}` is the source's address, `{secret}` says which secret
    example      what to write in relay.yaml behind `preset: <name>`, where `secret: "${…}"` alone won't do
    script       text to paste at the vendor's
    proof        what the signature was verified against, and how; or why it could not be
    tried        the same for the handshake
    """

    name: str
    vendor: str
    page: str
    asks_for: str
    verify: Mapping[str, Any]
    kept: Mapping[str, Any] | None = None
    event_id: str | None = None
    event_type: str | None = None
    event_time: str | None = None
    types: tuple[str, ...] = ()
    type_example: str = ""
    split: str | None = None
    answer: HandshakeReply | None = None
    answer_in: timedelta | None = None
    retries: str = ""
    gives_up: str = ""
    asks_token: bool = False
    greeting: Greeting | None = None
    handshake: Handshake | None = None
    handshake_note: str = ""
    decode: str | None = None
    json_field: str | None = None
    methods: tuple[str, ...] | None = ("POST",)
    sends: str = "JSON"
    setup: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None
    script: str = ""
    proof: str = ""
    tried: str = ""

    def verify_with(self, secret: Any) -> Any:
        """`verify` with the operator's secret in its place."""
        return filled(self.verify, secret)


def filled(value: Any, secret: Any) -> Any:
    """A template of a preset with the secret in its place."""
    if isinstance(value, Mapping):
        return {key: filled(inner, secret) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, secret) for inner in value]
    return secret if value == FILL_IN else value
