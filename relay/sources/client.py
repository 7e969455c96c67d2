"""A request as its vendor would send it: what `relay send` and the tests put beside a body."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.clock import isoformat
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify import encoded, message_parts
from relay.sources.verify_config import (
    BasicVerify,
    BearerVerify,
    HeaderVerify,
    Hmac,
    HmacVerify,
    QueryVerify,
    Timestamp,
    TokenVerify,
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What to add to a request.

    headers  with the names the vendor writes
    token    the last part of /in/<source>/<token>; "" for none
    """

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    token: str = field(default="", repr=False)


def sign(
    config: SourceConfig,
    body: bytes,
    now_ms: int,
    *,
    method: str = "POST",
    path: str = "",
    url: str = "",
    headers: Mapping[str, str] | None = None,
) -> Signed:
    """With the first of the source's secrets.

    url      the public address that is called, where the vendor signs it
    headers  what else will be sent; a signed header that isn't among them, such as webhook-id, is made up and added
    """
    secret = config.secrets[0] if config.secrets else ""
    match config.verify:
        case HeaderVerify() as verify:
            return Signed(headers={verify.header: secret})
        case QueryVerify() as verify:
            return Signed(query=((verify.query, secret),))
        case TokenVerify():
            return Signed(token=secret)
        case BearerVerify():
            return Signed(headers={"Authorization": f"Bearer {secret}"})
        case BasicVerify() as verify:
            pair = base64.b64encode(f"{verify.basic.username}:{secret}".encode()).decode()
            return Signed(headers={"Authorization": f"Basic {pair}"})
        case HmacVerify() as verify:
            request = Inbound(method=method, path=path, headers=dict(headers or {}), body=body, url=url)
            return Signed(headers=_signature(verify.hmac, request, now_ms))
        case _:
            return Signed()


def _signature(settings: Hmac, request: Inbound, now_ms: int) -> dict[str, str]:
    given = {name.lower(): value for name, value in request.headers.items()}
    added = {name: _made_up(request.body, now_ms) for name in settings.signed_headers() if name.lower() not in given}
    timestamp = _written(settings.timestamp, now_ms) if settings.timestamp else ""
    if settings.timestamp and settings.timestamp.header:
        added[settings.timestamp.header] = timestamp
    known = given | {name.lower(): value for name, value in added.items()}
    complete = Inbound(request.method, request.path, headers=known, body=request.body, url=request.url)
    message = b"".join(part(complete, timestamp) for part in message_parts(settings))
    signature = settings.prefix + encoded(settings.keys()[0], message, settings).decode()
    if settings.field:
        signature = f"{settings.field}={signature}"
        if settings.timestamp and settings.timestamp.field:
            signature = f"{settings.timestamp.field}={timestamp},{signature}"
    return {**added, settings.header: signature}


def _written(settings: Timestamp, now_ms: int) -> str:
    match settings.format:
        case "iso":
            return isoformat(now_ms)
        case "milliseconds":
            return str(now_ms)
        case _:
            return str(now_ms // 1000)


def _made_up(body: bytes, now_ms: int) -> str:
    """An id of the message: the same for the same body at the same time."""
    return "msg_" + hashlib.blake2b(body + str(now_ms).encode(), digest_size=12).hexdigest()
