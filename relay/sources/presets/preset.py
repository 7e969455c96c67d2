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


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one vendor's webhooks.

    verify       as it would stand under `verify` in relay.yaml, with FILL_IN for the secret; None: the vendor signs
                 nothing, and the operator says how a request is verified
    asks_for     what the operator gives, and where to find it
    event_id     the expression that is the same for a repeat; None where the vendor sends nothing that surely is
    type_example one of the values that `event_type` has: it shows what stands between their words
    answer_in    how long the vendor waits for our answer, where that is known
    retries      what it does without one, in words
    handshake    answers the vendor's question whether we are here; called for verified requests only
    json_field   the form field that holds the event as JSON, where the vendor can send forms
    methods      where the vendor uses one method only
    """

    name: str
    vendor: str
    asks_for: str
    verify: Mapping[str, Any] | None
    event_id: str | None = None
    event_type: str | None = None
    type_example: str = ""
    answer_in: timedelta | None = None
    retries: str = ""
    handshake: Handshake | None = None
    handshake_note: str = ""
    json_field: str | None = None
    methods: tuple[str, ...] | None = ("POST",)

    def verify_with(self, secret: Any) -> Any:
        """`verify` with the operator's secret in its place."""
        return _filled(self.verify, secret)


def _filled(value: Any, secret: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(inner, secret) for key, inner in value.items()}
    return secret if value == FILL_IN else value
