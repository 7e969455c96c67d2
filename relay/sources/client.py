"""A request as its vendor would send it: what `relay send` and the tests put beside a body."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from relay.clock import isoformat
from relay.errors import BodyError, ConfigError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.json_body import decode_json
from relay.sources.place import BodyPlace
from relay.sources.presets import filled
from relay.sources.signature_config import Digest, Hmac, Signature, Timestamp
from relay.sources.signed import digest_of, hmac_of, is_form, message, pieces
from relay.sources.verify_config import (
    BasicVerify,
    BearerVerify,
    DigestVerify,
    EcdsaVerify,
    FieldVerify,
    HeaderVerify,
    HmacVerify,
    PathTokenVerify,
    QueryVerify,
    TokenVerify,
    parsed,
    plain_secrets,
    ways_of,
)


@dataclass(frozen=True, slots=True)
class Signed:
    """What to add to a request.

    headers  with the names the vendor writes
    token    the last part of /in/<source>/<token>; "" for none
    body     what to send in place of the body, where the proof stands in it
    """

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    token: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)


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
    """In the first of the source's ways that we can sign in, with the first of its secrets. Raises ConfigError where
    nobody but the vendor can.

    url      the public address that is called, where the vendor signs it
    headers  what else will be sent; a signed header that isn't among them, such as webhook-id, is made up and added
    """
    request = Inbound(method=method, path=path, headers=dict(headers or {}), body=body, url=url)
    ways = ways_of(config.verify)
    return _signed(next((way for way in ways if not isinstance(way, EcdsaVerify)), ways[0]), request, now_ms)


def sign_kept(
    config: SourceConfig,
    secret: str,
    body: bytes,
    now_ms: int,
    *,
    method: str = "POST",
    path: str = "",
    url: str = "",
    headers: Mapping[str, str] | None = None,
) -> Signed:
    """What goes beside that, with a secret that the vendor gave in its handshake. Nothing where its preset keeps none.

    body, url  as `sign` left them
    """
    template = config.known.kept if config.known is not None else None
    if template is None:
        return Signed()
    request = Inbound(method=method, path=path, headers=dict(headers or {}), body=body, url=url)
    return _signed(ways_of(parsed(filled(template, secret)))[0], request, now_ms)


def _signed(way: object, request: Inbound, now_ms: int) -> Signed:
    secret = next(plain_secrets(way), "")
    signed = Signed()
    match way:
        case HeaderVerify():
            signed = Signed(headers={way.header: secret})
        case QueryVerify():
            signed = Signed(query=((way.query, secret),))
        case FieldVerify():
            signed = Signed(body=_with_field(request, BodyPlace.of(way.field), secret))
        case TokenVerify() | PathTokenVerify():
            signed = Signed(token=secret)
        case BearerVerify():
            signed = Signed(headers={"Authorization": f"Bearer {secret}"})
        case BasicVerify():
            pair = base64.b64encode(f"{way.basic.username}:{secret}".encode()).decode()
            signed = Signed(headers={"Authorization": f"Basic {pair}"})
        case HmacVerify():
            signed = _by_hmac(way.hmac, request, now_ms)
        case DigestVerify():
            signed = _by_digest(way.digest, request, now_ms)
        case EcdsaVerify():
            raise ConfigError(
                "only the vendor can sign for this source: it alone has the private key, and the relay knows the "
                "public one; to try the source without the vendor, let it take a second way as well, with `any`"
            )
        case _:
            pass
    return signed


def _by_hmac(settings: Hmac, request: Inbound, now_ms: int) -> Signed:
    query: tuple[tuple[str, str], ...] = ()
    if settings.body_hash is not None and request.body and not is_form(_lower(request)):
        query = ((settings.body_hash, hashlib.sha256(request.body).hexdigest()),)
        join = "&" if "?" in request.url else "?"
        request = replace(request, url=f"{request.url}{join}{urlencode(query)}")
    added, complete, timestamp, data = _completed(settings, request, now_ms)
    signature = hmac_of(settings.keys()[0], message(pieces(settings), complete, timestamp, data), settings).decode()
    signature = settings.prefix + signature
    if settings.field:
        signature = f"{settings.field}={signature}"
        if settings.timestamp and settings.timestamp.field:
            signature = f"{settings.timestamp.field}={timestamp},{signature}"
    place = settings.signature_place()
    if place is not None:
        return Signed(headers=added, query=query, body=_as_json(place.put(data, signature)))
    assert settings.header is not None
    body = complete.body if complete.body != request.body else None
    return Signed(headers={**added, settings.header: signature}, query=query, body=body)


def _by_digest(settings: Digest, request: Inbound, now_ms: int) -> Signed:
    added, complete, timestamp, data = _completed(settings, request, now_ms)
    secret = settings.secret[0].get_secret_value().encode()
    found = digest_of(message(pieces(settings, secret), complete, timestamp, data), settings).decode()
    body = complete.body if complete.body != request.body else None
    return Signed(headers={**added, settings.header: settings.prefix + found}, body=body)


def _completed(settings: Signature, request: Inbound, now_ms: int) -> tuple[dict[str, str], Inbound, str, Any]:
    """(the headers to add, the request with everything that is signed, the timestamp, the decoded body)."""
    request = _lower(request)
    added = {
        name: _made_up(request.body, now_ms)
        for name in settings.signed_headers()
        if name.lower() not in request.headers
    }
    timestamp = _written(settings.timestamp, now_ms) if settings.timestamp else ""
    if settings.timestamp and settings.timestamp.header:
        added[settings.timestamp.header] = timestamp
    data = None
    if settings.decodes():
        data = _json(request, "its signature, or a part of what is signed,")
        for place in settings.signed_places():
            if place.text(data) is None:
                data = place.put(data, _made_up(request.body, now_ms))
        if settings.timestamp and settings.timestamp.body:
            data = BodyPlace.of(settings.timestamp.body).put(data, timestamp)
        request = replace(request, body=_as_json(data))
    headers = {**request.headers, **{name.lower(): value for name, value in added.items()}}
    return added, replace(request, headers=headers), timestamp, data


def _with_field(request: Inbound, place: BodyPlace, secret: str) -> bytes:
    if is_form(_lower(request)):
        first, *rest = (step or "" for step in place.steps)
        name = first + "".join(f"[{step}]" for step in rest)
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        return urlencode([*(pair for pair in pairs if pair[0] != name), (name, secret)]).encode()
    data = place.put(_json(request, "its secret"), secret)
    found = place.found(data)
    if not found or any(value != secret for value in found):
        raise ConfigError(f"the vendor puts its secret at {place}, and the body to send has no such place")
    return _as_json(data)


def _json(request: Inbound, what: str) -> Any:
    try:
        data = decode_json(request.body)
    except BodyError as error:
        raise ConfigError(f"the vendor puts {what} into the JSON it sends, and {error}") from None
    if not isinstance(data, dict | list):
        raise ConfigError(f"the vendor puts {what} into the JSON it sends, and this is no object")
    return data


def _as_json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def _lower(request: Inbound) -> Inbound:
    return replace(request, headers={name.lower(): value for name, value in request.headers.items()})


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
