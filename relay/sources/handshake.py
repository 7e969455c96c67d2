"""The vendor's question whether we are here, answered where the source's preset knows it."""

from __future__ import annotations

from relay.model import JSON
from relay.sources.config import SourceConfig
from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.verify import which


def handshake(config: SourceConfig, request: Inbound, body: JSON, matched: str) -> HandshakeReply | None:
    """What to answer, or None for an event. Call it for verified requests only, with what `Verifier.verify` gave.

    A source whose `verify` takes the place of its preset's has no secret of the vendor's: an answer that needs one
    is not made.
    """
    preset = config.known
    if preset is None or preset.handshake is None:
        return None
    secret = config.secrets[which(matched)] if config.uses_preset_secret else ""
    return preset.handshake(request, body, secret)
