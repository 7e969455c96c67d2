"""What is never shown of a request: in the console, in the log, in an attempt's record, in an exported file."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from relay.model import JSON
from relay.sources.config import SourceConfig
from relay.sources.place import BodyPlace
from relay.sources.verify_config import places_of

HIDDEN = "***"

#: Names of headers and parameters whose values are secrets, or prove one.
_SECRET_NAME = re.compile(
    r"key(?!word|board)|token|secret|passw|pwd|passphrase|signature|(?<![a-z])sig(?![a-z])|hmac|auth(?!or(?!i[sz]))|cookie|credential|session|csrf",
    re.IGNORECASE,
)

#: These only look like it.
_HARMLESS = frozenset({"idempotency-key", "x-idempotency-key", "sec-websocket-key"})

#: A shorter secret is hidden where it stands alone; inside of other text it would be found by chance.
_MIN_INSIDE = 6


def is_secret_name(name: str) -> bool:
    return name.lower() not in _HARMLESS and bool(_SECRET_NAME.search(name))


def redact_headers(headers: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """extra: the headers the source's `verify` uses, SourceConfig.secret_headers."""
    names = {name.lower() for name in extra}
    return {name: HIDDEN if name.lower() in names or is_secret_name(name) else value for name, value in headers.items()}


def redact_query(query: Iterable[tuple[str, str]], extra: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """extra: the parameters the source's `verify` uses, SourceConfig.secret_params."""
    names = frozenset(extra)
    return tuple((name, HIDDEN if name in names or is_secret_name(name) else value) for name, value in query)


def redact_path(path: str) -> str:
    """`/in/gist/s3cret` as `/in/gist/***`."""
    return re.sub(r"(/in/[^/]+/)[^?#]+", rf"\g<1>{HIDDEN}", path)


def redact_url(url: str, extra: Iterable[str] = ()) -> str:
    """An address without its path token, its user's password and its secret parameters."""
    parts = urlsplit(url)
    host = f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    names = frozenset(extra)
    fields = []
    for field in parts.query.split("&"):
        name, equals, _ = field.partition("=")
        fields.append(f"{name}={HIDDEN}" if equals and (name in names or is_secret_name(name)) else field)
    return urlunsplit((parts.scheme, host, redact_path(parts.path), "&".join(fields), parts.fragment))


def redact_body(body: JSON, secrets: Iterable[str], places: Iterable[BodyPlace] = ()) -> Any:
    """The same without the source's secrets, wherever a sender echoes them: Jotform sends our whole address along.

    places: where the source's `verify` looks in it, `places_of`: a signature, or a secret that may be nearly right.
    """
    for place in places:
        body = place.put(body, HIDDEN, only_where_it_is=True)
    known = frozenset(secrets)
    if not known:
        return body
    spellings = {text for secret in known if len(secret) >= _MIN_INSIDE for text in _spellings(secret)}
    inside = re.compile("|".join(map(re.escape, sorted(spellings, key=len, reverse=True)))) if spellings else None

    def text(value: str) -> str:
        if value in known:
            return HIDDEN
        return inside.sub(HIDDEN, value) if inside else value

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, dict):
            return {text(key): walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return value

    return walk(body)


def _spellings(secret: str) -> set[str]:
    """As it is, in an address, and inside of JSON text."""
    return {secret, quote(secret, safe=""), quote(secret), base64.b64encode(secret.encode()).decode()}


class Redactor:
    """Everything of one source, built once."""

    __slots__ = ("_headers", "_params", "_places", "_secrets")

    def __init__(self, config: SourceConfig) -> None:
        self._headers = config.secret_headers
        self._params = config.secret_params
        self._places = places_of(config.verify)
        self._secrets = config.secrets

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return redact_headers(headers, self._headers)

    def query(self, query: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return redact_query(query, self._params)

    def path(self, path: str) -> str:
        return redact_path(path)

    def url(self, url: str) -> str:
        return redact_url(url, self._params)

    def body(self, body: JSON) -> Any:
        return redact_body(body, self._secrets, self._places)
