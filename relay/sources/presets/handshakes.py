"""The questions vendors ask before they send events, and our answers.

Each is called for verified requests only: Zoom's answer is an HMAC of the asker's choosing, and would sign anything for
anybody otherwise.
"""

from __future__ import annotations

import hmac
import json

from relay.model import JSON
from relay.sources.inbound import HandshakeReply, Inbound


def slack_url_verification(_request: Inbound, body: JSON, _secret: str) -> HandshakeReply | None:
    """api.slack.com/events/url_verification: the challenge comes back, as JSON."""
    if not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    challenge = body.get("challenge")
    if not isinstance(challenge, str):
        return None
    return HandshakeReply(json.dumps({"challenge": challenge}).encode())


def zoom_url_validation(_request: Inbound, body: JSON, secret: str) -> HandshakeReply | None:
    """developers.zoom.us: plainToken comes back beside its HMAC-SHA256. Zoom asks again every 72 hours."""
    if not isinstance(body, dict) or body.get("event") != "endpoint.url_validation":
        return None
    payload = body.get("payload")
    plain = payload.get("plainToken") if isinstance(payload, dict) else None
    if not isinstance(plain, str) or not secret:
        return None
    encrypted = hmac.digest(secret.encode(), plain.encode(), "sha256").hex()
    return HandshakeReply(json.dumps({"plainToken": plain, "encryptedToken": encrypted}).encode())
