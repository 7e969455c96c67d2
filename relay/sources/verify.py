"""Whether a request is from whom it says: over the raw bytes, in constant time, before anything else is believed."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NoReturn

from relay.clock import to_ms
from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify_config import (
    BasicVerify,
    BearerVerify,
    HeaderVerify,
    Hmac,
    HmacVerify,
    QueryVerify,
    Timestamp,
    TokenVerify,
    plain_secrets,
)

#: What `Verifier.verify` says of a source that takes requests from anybody.
UNVERIFIED = "unverified"

Check = Callable[[Inbound, int], str]
_Field = Callable[[Inbound, str], bytes]

_PARTS: dict[str, _Field] = {
    "body": lambda request, _: request.body,
    "timestamp": lambda _, timestamp: raw(timestamp),
    "method": lambda request, _: request.method.encode(),
    "url": lambda request, _: request.url.encode(),
    "path": lambda request, _: request.path.encode(),
}


class Verifier:
    """Built once for a source; what it needs of the configuration is worked out then."""

    __slots__ = ("_check",)

    def __init__(self, config: SourceConfig) -> None:
        self._check = _check_of(config.verify)

    def verify(self, request: Inbound, now_ms: int) -> str:
        """Which secret matched, as `1 of 2`. Raises RefusedError (401) with the reason for the log."""
        return self._check(request, now_ms)


def which(matched: str) -> int:
    """The place of the secret in its list, from 0, out of what `Verifier.verify` gave."""
    return int(matched.split()[0]) - 1 if matched != UNVERIFIED else 0


def raw(value: str) -> bytes:
    """A header's bytes: servers hand them over decoded as Latin-1."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _refuse(reason: str) -> NoReturn:
    raise RefusedError(401, "unauthorized", reason)


def _check_of(verify: object) -> Check:
    match verify:
        case HeaderVerify():
            return _header_check(verify.header.lower(), _utf8(verify))
        case QueryVerify():
            return _query_check(verify.query, _utf8(verify))
        case TokenVerify():
            return _token_check(_utf8(verify))
        case BearerVerify():
            return _bearer_check(_utf8(verify))
        case BasicVerify():
            return _basic_check(verify.basic.username, tuple(plain_secrets(verify)))
        case HmacVerify():
            return _HmacCheck(verify.hmac)
        case "none":
            return lambda _request, _now_ms: UNVERIFIED
        case _:
            raise AssertionError(f"a source without verify: {type(verify).__name__}")


def _utf8(verify: object) -> tuple[bytes, ...]:
    return tuple(secret.encode() for secret in plain_secrets(verify))


def _matching(found: bytes, secrets: Sequence[bytes]) -> str | None:
    """Compares with each secret, also after a match, so that the time doesn't tell which one it was."""
    place = 0
    for number, secret in enumerate(secrets, 1):
        if hmac.compare_digest(found, secret):
            place = number
    return f"{place} of {len(secrets)}" if place else None


def _none_of(secrets: Sequence[object]) -> str:
    return "the secret" if len(secrets) == 1 else f"any of the {len(secrets)} secrets"


def _header_check(name: str, secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        value = request.headers.get(name)
        if value is None:
            _refuse(f"the header {name} is missing")
        return _matching(raw(value), secrets) or _refuse(f"the header {name} doesn't equal {_none_of(secrets)}")

    return check


def _query_check(name: str, secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        values = [value for key, value in request.query if key == name]
        if not values:
            _refuse(f"the query parameter {name} is missing")
        if len(values) > 1:
            _refuse(f"the query parameter {name} is there {len(values)} times")
        found = values[0].encode("utf-8", "surrogatepass")
        return _matching(found, secrets) or _refuse(f"the query parameter {name} doesn't equal {_none_of(secrets)}")

    return check


def _token_check(secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        if not request.token:
            _refuse("the address has no token: it is /in/<source>/<token>")
        found = request.token.encode("utf-8", "surrogatepass")
        return _matching(found, secrets) or _refuse(f"the token in the address isn't {_none_of(secrets)}")

    return check


def _authorization(request: Inbound, scheme: str) -> bytes:
    value = request.headers.get("authorization")
    if value is None:
        _refuse("the header authorization is missing")
    found, _, credentials = value.strip().partition(" ")
    if found.lower() != scheme:
        _refuse(f"the header authorization isn't of the scheme {scheme.capitalize()}")
    return raw(credentials.strip())


def _bearer_check(secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        found = _authorization(request, "bearer")
        return _matching(found, secrets) or _refuse(f"the bearer token isn't {_none_of(secrets)}")

    return check


def _basic_check(username: str, passwords: tuple[str, ...]) -> Check:
    pairs = [f"{username}:{password}" for password in passwords]
    known = [[pair.encode() for pair in pairs]]
    # RFC 7617 leaves the charset open: senders use UTF-8, or Latin-1 where that can write it.
    with suppress(UnicodeEncodeError):
        known.append([pair.encode("latin-1") for pair in pairs])

    def check(request: Inbound, _now_ms: int) -> str:
        credentials = _authorization(request, "basic")
        try:
            found = base64.b64decode(credentials, validate=True)
        except (ValueError, binascii.Error):
            _refuse("the header authorization isn't base64")
        matches = [_matching(found, spelled) for spelled in known]
        return next(filter(None, matches), None) or _refuse("user name and password aren't the ones of the source")

    return check


class _HmacCheck:
    """One signature scheme. `signed` is cut into its parts once; a request costs one HMAC a secret."""

    __slots__ = ("_header", "_keys", "_parts", "_settings", "_timestamp")

    def __init__(self, settings: Hmac) -> None:
        self._settings = settings
        self._keys = settings.keys()
        self._header = settings.header.lower()
        self._timestamp = _TimestampCheck(settings.timestamp) if settings.timestamp else None
        self._parts = message_parts(settings)

    def __call__(self, request: Inbound, now_ms: int) -> str:
        value = request.headers.get(self._header)
        if value is None:
            _refuse(f"the header {self._header} is missing: the request isn't signed")
        fields = _fields(value) if self._settings.field else []
        timestamp = self._timestamp.read(request, fields) if self._timestamp else ""
        candidates = self._candidates(value, fields)
        message = b"".join([part(request, timestamp) for part in self._parts])
        matched = self._match(candidates, message)
        if matched is None:
            _refuse(f"the signature in {self._header} wasn't made with {_none_of(self._keys)} over this body")
        # Only now: a skew is worth reporting where the signature is right, and is a stranger's word where it isn't.
        if self._timestamp:
            self._timestamp.check(timestamp, now_ms)
        return matched

    def _candidates(self, value: str, fields: list[tuple[str, str]]) -> list[bytes]:
        settings = self._settings
        if settings.field:
            written = [found for name, found in fields if name == settings.field]
        elif settings.separator:
            written = value.split(settings.separator)
        else:
            written = [value.strip()]
        signatures = [raw(found[len(settings.prefix) :]) for found in written if found.startswith(settings.prefix)]
        if settings.encoding == "hex":
            signatures = [signature.lower() for signature in signatures]
        if not signatures:
            what = (
                f"the field {settings.field}" if settings.field else f"a signature that begins with {settings.prefix}"
            )
            _refuse(f"the header {self._header} doesn't hold {what}")
        return signatures

    def _match(self, candidates: list[bytes], message: bytes) -> str | None:
        matched = None
        expected = [encoded(key, message, self._settings) for key in self._keys]
        for candidate in candidates:
            matched = matched or _matching(candidate, expected)
        return matched


def message_parts(settings: Hmac) -> list[_Field]:
    """What is signed, as functions of the request and its timestamp's text."""
    parts: list[_Field] = []
    for place, text in enumerate(settings.parts()):
        if place % 2 == 0:
            if text:
                parts.append(_constant(text.encode()))
        elif text.startswith("header:"):
            parts.append(_header(text.removeprefix("header:").lower()))
        else:
            parts.append(_PARTS[text])
    return parts


def encoded(key: bytes, message: bytes, settings: Hmac) -> bytes:
    """The signature as it is written, without its prefix."""
    digest = hmac.digest(key, message, settings.algorithm)
    return digest.hex().encode() if settings.encoding == "hex" else base64.b64encode(digest)


def _constant(text: bytes) -> _Field:
    return lambda _request, _timestamp: text


def _header(name: str) -> _Field:
    def part(request: Inbound, _timestamp: str) -> bytes:
        value = request.headers.get(name)
        if value is None:
            _refuse(f"the header {name} is missing, and it is part of what is signed")
        return raw(value)

    return part


def _fields(value: str) -> list[tuple[str, str]]:
    """`t=1,v1=abc` as pairs."""
    pairs = (part.partition("=") for part in value.split(","))
    return [(name.strip(), found.strip()) for name, _, found in pairs]


class _TimestampCheck:
    """Where the timestamp is, and how far it may be from our clock."""

    __slots__ = ("_format", "_header", "_name", "_settings", "_tolerance_ms")

    def __init__(self, settings: Timestamp) -> None:
        self._settings = settings
        self._header = (settings.header or "").lower()
        self._name = self._header or f"the field {settings.field}"
        self._tolerance_ms = round(settings.tolerance.total_seconds() * 1000)
        self._format = settings.format

    def read(self, request: Inbound, fields: list[tuple[str, str]]) -> str:
        if self._header:
            found = request.headers.get(self._header)
        else:
            found = next((value for name, value in fields if name == self._settings.field), None)
        if not found:
            _refuse(f"the timestamp, {self._name}, is missing")
        return found

    def check(self, timestamp: str, now_ms: int) -> None:
        skew_ms = self._ms(timestamp) - now_ms
        if abs(skew_ms) > self._tolerance_ms:
            direction = "ahead of" if skew_ms > 0 else "behind"
            _refuse(
                f"the signature is right, but its timestamp is {abs(skew_ms) / 1000:.0f} s {direction} our clock, and "
                f"{self._tolerance_ms / 1000:.0f} s are allowed: a replay, a late repeat, or a clock that is wrong"
            )

    def _ms(self, timestamp: str) -> int:
        if self._format == "iso":
            try:
                moment = datetime.fromisoformat(timestamp)
                return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            except (ValueError, OverflowError):
                _refuse(f"the timestamp, {self._name}, isn't an ISO 8601 date and time")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
            _refuse(f"the timestamp, {self._name}, isn't a number of {self._format}")
        return int(timestamp) * (1000 if self._format == "seconds" else 1)
