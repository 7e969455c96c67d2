"""The questions vendors ask once they are verified, and our answers.

Each is called for verified requests only: Zoom's answer is an HMAC of the asker's choosing, and would sign anything for
anybody otherwise. What is sent back is a word of at most 1,000 printable ASCII characters, which every vendor's is; a
longer or stranger one is no question, and the request is an event like any other. A secret is kept only of a request
that is shaped as its vendor sends it, down to what isn't in it.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import Any

from relay.model import JSON
from relay.sources.inbound import HandshakeReply, Inbound

#: What may be sent back, also in a header.
_WORD = re.compile(r"[\x21-\x7e]{1,1000}")

#: A vendor's secret: nobody makes one that is shorter, and the store holds what is taken.
_SECRET = re.compile(r"[A-Za-z0-9_.~+/=-]{16,256}")

#: For vendors that want to hear 200, and nothing else.
NOTHING = HandshakeReply(content_type="text/plain")


def slack_url_verification(_request: Inbound, body: JSON, _secret: str) -> HandshakeReply | None:
    """api.slack.com/events/url_verification: the challenge comes back, as JSON."""
    if not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    challenge = body.get("challenge")
    return _json({"challenge": challenge}) if _is_word(challenge) else None


def zoom_url_validation(_request: Inbound, body: JSON, secret: str) -> HandshakeReply | None:
    """developers.zoom.us: plainToken comes back beside its HMAC-SHA256. Zoom asks again every 72 hours."""
    if not isinstance(body, dict) or body.get("event") != "endpoint.url_validation":
        return None
    payload = body.get("payload")
    plain = payload.get("plainToken") if isinstance(payload, dict) else None
    if not _is_word(plain) or not secret:
        return None
    encrypted = hmac.digest(secret.encode(), str(plain).encode(), "sha256").hex()
    return _json({"plainToken": plain, "encryptedToken": encrypted})


def okta_verification(request: Inbound, _body: JSON, _secret: str) -> HandshakeReply | None:
    """developer.okta.com, "Event hooks": the only GET; a header's value comes back in JSON."""
    challenge = request.headers.get("x-okta-verification-challenge")
    if request.method != "GET" or not _is_word(challenge):
        return None
    return _json({"verification": challenge})


def xero_intent_to_receive(_request: Inbound, body: JSON, _secret: str) -> HandshakeReply | None:
    """developer.xero.com, "Configuring your server": signed like events, with none in it; 200 and no body is wanted.

    Xero also sends it badly signed, and wants 401: that is the verification's own answer.
    """
    if not isinstance(body, dict) or "events" not in body or not isinstance(body.get("entropy"), str):
        return None
    return NOTHING if not body["events"] else None


def asana_hook_secret(request: Inbound, body: JSON, _secret: str) -> HandshakeReply | None:
    """developers.asana.com, "Webhooks guide": the header X-Hook-Secret comes back, and signs all that follows.

    A signed list without events is a heartbeat, every eight hours: Asana deletes a webhook whose heartbeats have gone
    unanswered for a day. It is no event, and its signature is not looked at, for nothing comes of it.
    """
    secret, signature = request.headers.get("x-hook-secret"), request.headers.get("x-hook-signature")
    if request.method != "POST":
        return None
    if secret is not None and signature is None and _SECRET.fullmatch(secret):
        if request.body.strip() in (b"", b"{}") or body == {"events": []}:
            return HandshakeReply(content_type="text/plain", headers={"X-Hook-Secret": secret}, keep=secret)
        return None
    if signature is not None and secret is None and body == {"events": []}:
        return NOTHING
    return None


def notion_verification_token(request: Inbound, body: JSON, _secret: str) -> HandshakeReply | None:
    """developers.notion.com, "Webhooks": the token is all there is in the body. It has to be pasted back at Notion."""
    if request.method != "POST" or not isinstance(body, dict) or body.keys() != {"verification_token"}:
        return None
    token = body["verification_token"]
    if not isinstance(token, str) or not _SECRET.fullmatch(token):
        return None
    return HandshakeReply(content_type="text/plain", keep=token)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _json(value: Any) -> HandshakeReply:
    return HandshakeReply(json.dumps(value).encode())
