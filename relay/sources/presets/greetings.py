"""The questions vendors ask before there is any proof of who is asking, and our answers.

Anybody can ask them, so an answer gives back what was asked and nothing else: as plain text, which no browser takes for
a page, and only where it is what a vendor would send. To anything else there is no greeting here, and the request has
to prove itself like any other.
"""

from __future__ import annotations

import hmac
import re

from relay.model import JSON
from relay.sources.inbound import HandshakeReply, Inbound

#: What is echoed: readable ASCII, of a length that vendors use, and nothing that could be a tag of HTML.
_ECHOED = re.compile(r"[ -;=?-~]{1,1024}")

_PLAIN = "text/plain; charset=utf-8"
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}

#: Here we are.
_HERE = HandshakeReply(content_type=_PLAIN)


def head_request(request: Inbound, _tokens: tuple[str, ...]) -> HandshakeReply | None:
    """Trello and Mandrill ask with HEAD whether an address is there, before they make a webhook of it."""
    return _HERE if request.method == "HEAD" else None


def visit(request: Inbound, _tokens: tuple[str, ...]) -> HandshakeReply | None:
    """Mailchimp visits an address before it saves it. It signs events, but not its visit."""
    return _HERE if request.method in {"GET", "HEAD"} else None


def microsoft_graph_validation(request: Inbound, _tokens: tuple[str, ...]) -> HandshakeReply | None:
    """POST ?validationToken=…: the token comes back, decoded, within ten seconds."""
    return _echo(_only(request, "validationToken")) if request.method == "POST" else None


def dropbox_challenge(request: Inbound, _tokens: tuple[str, ...]) -> HandshakeReply | None:
    """GET ?challenge=…: the challenge comes back."""
    return _echo(_only(request, "challenge")) if request.method == "GET" else None


def meta_subscription(request: Inbound, tokens: tuple[str, ...]) -> HandshakeReply | None:
    """GET with hub.mode, hub.challenge and hub.verify_token: the challenge comes back for our token; else 403."""
    if request.method != "GET" or not any(name == "hub.mode" for name, _ in request.query):
        return None
    ours = _is_one_of(_only(request, "hub.verify_token"), tokens)
    reply = _echo(_only(request, "hub.challenge"))
    if not ours or reply is None or _only(request, "hub.mode") != "subscribe":
        return HandshakeReply(content_type=_PLAIN, status=403)
    return reply


def mailchimp_visit(request: Inbound, _body: JSON, _secret: str) -> HandshakeReply | None:
    """A handshake, for its address holds the secret: what has no body is Mailchimp looking whether we are here."""
    return None if request.body else _HERE


def _only(request: Inbound, name: str) -> str:
    """A parameter that is there once; "" for none, and where it is there twice: which of them would be meant?"""
    values = [value for key, value in request.query if key == name]
    return values[0] if len(values) == 1 else ""


def _echo(text: str) -> HandshakeReply | None:
    if not _ECHOED.fullmatch(text):
        return None
    return HandshakeReply(text.encode(), _PLAIN, headers=_NO_SNIFFING)


def _is_one_of(found: str, tokens: tuple[str, ...]) -> bool:
    """Compares with each, also after a match, so that the time doesn't tell which one it was."""
    text = found.encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(text, token.encode()) for token in tokens]
    return any(matches)
