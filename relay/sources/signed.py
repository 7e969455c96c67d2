"""What a signature is made over: the parts of a request that its template names, as bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NoReturn
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

from relay.errors import RefusedError
from relay.model import JSON
from relay.sources.form_body import MAX_FIELDS
from relay.sources.inbound import Inbound
from relay.sources.place import BodyPlace
from relay.sources.signature_config import Digest, Hmac, Signature

#: (request, the timestamp as it was written, the decoded body where it is needed) → a part of what is signed.
Piece = Callable[[Inbound, str, JSON], bytes]

_FORM = "application/x-www-form-urlencoded"
_DEFAULT_PORTS = {"https": 443, "http": 80}


def raw(value: str) -> bytes:
    """A header's bytes: servers hand them over decoded as Latin-1."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def refuse(reason: str) -> NoReturn:
    """The reason is for the log."""
    raise RefusedError(401, "unauthorized", reason)


def pieces(settings: Signature, secret: bytes = b"") -> tuple[Piece, ...]:
    """What is signed, cut into its parts once. `secret` is for a template that holds it."""
    made: list[Piece] = []
    for place, text in enumerate(settings.parts()):
        if place % 2 == 0 or text == "secret":
            constant = secret if place % 2 else text.encode()
            if constant:
                made.append(_constant(constant))
        elif text.startswith("header:"):
            made.append(_header(text.removeprefix("header:").lower()))
        elif text.startswith("body:"):
            made.append(_of_body(BodyPlace.of(text.removeprefix("body:"))))
        else:
            made.append(_PIECES[text])
    return tuple(made)


def message(made: tuple[Piece, ...], request: Inbound, timestamp: str, data: JSON) -> bytes:
    return b"".join([piece(request, timestamp, data) for piece in made])


def hmac_of(key: bytes, signed: bytes, settings: Hmac) -> bytes:
    """The signature as it is written, without its prefix."""
    return _written(hmac.digest(key, signed, settings.algorithm), settings.encoding)


def digest_of(signed: bytes, settings: Digest) -> bytes:
    """The hash as it is written, without its prefix."""
    return _written(hashlib.new(settings.algorithm, signed).digest(), settings.encoding)


def _written(digest: bytes, encoding: str) -> bytes:
    return digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)


def is_form(request: Inbound) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


def with_ports(request: Inbound) -> Iterator[Inbound]:
    """As it was called; and without its port, or with the usual one where it has none. Vendors sign either."""
    yield request
    try:
        parts = urlsplit(request.url)
        port = parts.port
    except ValueError:
        return
    if port is not None:
        other = parts.netloc.rpartition(":")[0]
    elif parts.scheme in _DEFAULT_PORTS and parts.netloc:
        other = f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}"
    else:
        return
    yield replace(request, url=urlunsplit(parts._replace(netloc=other)))


def _constant(text: bytes) -> Piece:
    return lambda _request, _timestamp, _data: text


def _header(name: str) -> Piece:
    def piece(request: Inbound, _timestamp: str, _data: JSON) -> bytes:
        value = request.headers.get(name)
        if value is None:
            refuse(f"the header {name} is missing, and it is part of what is signed")
        return raw(value)

    return piece


def _of_body(place: BodyPlace) -> Piece:
    def piece(_request: Inbound, _timestamp: str, data: JSON) -> bytes:
        text = place.text(data)
        if text is None:
            refuse(f"the body has no text at {place}, and it is part of what is signed")
        return text.encode("utf-8", "surrogatepass")

    return piece


def _form(request: Inbound, _timestamp: str, _data: JSON) -> bytes:
    """Names and values, sorted, each pair once, and nothing between them; nothing where the body is no form."""
    if not is_form(request) or not request.body:
        return b""
    if request.body.count(b"&") >= MAX_FIELDS:
        refuse(f"the form has more than {MAX_FIELDS} fields")
    pairs = (field.replace(b"+", b" ").partition(b"=") for field in request.body.split(b"&") if field)
    fields = {(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs}
    return b"".join(name + value for name, value in sorted(fields))


_PIECES: dict[str, Piece] = {
    "body": lambda request, _timestamp, _data: request.body,
    "form": _form,
    "timestamp": lambda _request, timestamp, _data: raw(timestamp),
    "method": lambda request, _timestamp, _data: request.method.encode(),
    "url": lambda request, _timestamp, _data: request.url.encode("utf-8", "surrogatepass"),
    "path": lambda request, _timestamp, _data: request.path.encode("utf-8", "surrogatepass"),
}
