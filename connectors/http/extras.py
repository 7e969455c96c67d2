"""What few APIs ask of the HTTP connector: signed requests, access tokens, and a look at what a 2xx answer says."""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from yarl import URL

from connectors.http.config import SIGNED, Hmac, HttpConfig, OAuth2, Success
from relay import clock
from relay.errors import DeliveryError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import Client, ClientOptions, Received, Redactor, retry_after
from relay.model import Reply

_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(" + "|".join(SIGNED) + r")\}")


class TokenSource:
    """The connection's access tokens, over a client of their own."""

    def __init__(self, oauth2: OAuth2, options: ClientOptions) -> None:
        # It brings `cryptography` along, which takes time to load, and most connections need none of it.
        from connectors.common.oauth import OAuth, TokenRedactor, Tokens

        settings = OAuth(
            token_url=oauth2.token_url,
            client_id=oauth2.client_id,
            client_secret=oauth2.client_secret,
            refresh_token=oauth2.refresh_token,
            scope=oauth2.scope,
            client_auth=oauth2.style,
            extra={"audience": oauth2.audience} if oauth2.audience is not None else {},
        )
        # The secret is sent to token_url and nowhere else, and a small max_reply is not meant for tokens.
        own = replace(options, follow_redirects=False, max_reply_bytes=ClientOptions().max_reply_bytes)
        self._client = Client(own)
        self._tokens = Tokens(self._client, settings)
        self._redactor = TokenRedactor

    async def headers(self, timeout: timedelta, *, anew: bool) -> Mapping[str, str]:
        return await self._tokens.headers(timeout, anew=anew)

    def redactor(self, redact: Redactor) -> Redactor:
        return self._redactor(redact, self._tokens)

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._client.aclose()


class Signer:
    """Signs a request as the connection's `auth.hmac` says."""

    def __init__(self, settings: Hmac) -> None:
        self._settings = settings
        self._key = settings.key()
        self._parts = _PLACEHOLDER.split(settings.signed)
        self._needs_url = bool({"path", "query", "url"} & set(self._parts[1::2]))

    def headers(self, method: str, url: str, content: bytes, key: str) -> dict[str, str]:
        settings = self._settings
        timestamp = _written(clock.now_ms(), settings.timestamp_format)
        known = {"body": content, "timestamp": timestamp.encode(), "method": method.encode(), "id": key.encode()}
        if self._needs_url:
            spelled = URL(url)  # as aiohttp sends it
            known |= {
                "path": spelled.raw_path.encode(),
                "query": spelled.raw_query_string.encode(),
                "url": str(spelled).encode(),
            }
        signed = b"".join(known[part] if i % 2 else part.encode() for i, part in enumerate(self._parts))
        digest = hmac.digest(self._key, signed, settings.algorithm)
        text = digest.hex() if settings.encoding == "hex" else b64encode(digest).decode()
        made = {settings.header.lower(): settings.prefix.replace("{timestamp}", timestamp) + text}
        if settings.timestamp_header is not None:
            made[settings.timestamp_header.lower()] = timestamp
        return made


def _written(ms: int, how: str) -> str:
    if how == "iso":
        return clock.from_ms(ms // 1000 * 1000).isoformat().replace("+00:00", "Z")
    return str(ms if how == "milliseconds" else ms // 1000)


def check_size(content: bytes, most: int) -> None:
    if len(content) > most:
        # 413, as the API itself would say it: a batch is then sent in halves.
        raise PermanentError(
            f"the body has {len(content):,} bytes, and the connection sends {most:,} at most: send less of the event, "
            "say a smaller `max` under `batch`, or raise `max_body` if the API takes so much",
            status=413,
            cause="body too large",
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What a step or its connection says about answers, beyond their status."""

    accept: frozenset[int] = frozenset()
    success: Success | None = None


def judge(received: Received, reply: Reply, success: Success, redact: Redactor, *, idempotent: bool) -> None:
    """Raises where a 2xx answer says that it is no success. One that has no body by its nature is judged by status."""
    if received.status in (204, 205):
        return
    host, line, cause = received.host, received.line, "reply says no success"
    kept: dict[str, Any] = {"status": received.status, "received": reply.received}
    if received.cut:
        message = (
            f"{host} answered {line}, but {received.cut} before it was known whether `{success.path}` says success"
        )
        error = RetryableError if idempotent else UnknownOutcomeError
        raise error(message, cause="reply cut before its verdict", **kept)
    found, value = _at(reply.body, success.path)
    if success.empty is None:
        if found and _same(value, success.equals):
            return
        asked = f"success asks for {_short(success.equals)}"
    else:
        if (value is None or value in ("", [], {})) == success.empty:
            return
        asked = f"success asks for {'nothing' if success.empty else 'something'} there"
    stands = f"holds {redact(_short(value))}" if found else "isn't there"
    words = redact(" ".join(received.body[:2000].decode("utf-8", "replace").split()))[:200]
    message = f"{host} answered {line}, but `{success.path}` {stands}, and {asked}{': ' + words if words else ''}"
    failure: DeliveryError
    if success.retry:
        wait: timedelta | None = retry_after(received.headers.get("retry-after"))
        failure = RetryableError(message, retry_after=wait, cause=cause, **kept)
    else:
        failure = PermanentError(message, cause=cause, **kept)
    raise failure


def _at(body: Any, path: str) -> tuple[bool, Any]:
    for key in path.split("."):
        if isinstance(body, dict) and key in body:
            body = body[key]
        elif isinstance(body, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(body):
            body = body[int(key[:9])]
        else:
            return False, None
    return True, body


def _same(value: Any, asked: Any) -> bool:
    # To Python 1 is True.
    return value == asked and isinstance(value, bool) == isinstance(asked, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}…"


def encoded(text: str, content_type: str) -> bytes:
    """In the charset that the content type names. Raises PermanentError."""
    charset = _CHARSET.search(content_type)
    encoding = charset[1] if charset else "utf-8"
    try:
        return text.encode(encoding)
    except LookupError:
        raise PermanentError(
            f"the content-type names an unknown charset {encoding!r}", cause="unknown charset"
        ) from None
    except UnicodeEncodeError as error:
        bad = f"{error.object[error.start]!r} (U+{ord(error.object[error.start]):04X})"
        raise PermanentError(f"{encoding} has no character {bad}", cause="unencodable character") from None


def client_options(config: HttpConfig, idle_seconds: float) -> ClientOptions:
    auth, cert = config.auth, config.client_cert
    secret = {auth.header.lower()} if auth is not None and auth.header else set()
    if auth is not None and auth.hmac is not None:
        secret |= auth.hmac.headers()
    return ClientOptions(
        allow_private=config.allow_private,
        follow_redirects=config.follow_redirects,
        redirect_hosts=frozenset(host.lower() for host in config.redirect_hosts),
        secret_headers=frozenset(secret),
        verify_tls=config.verify_tls,
        ca_file=config.ca_file,
        client_certificate=cert.certificate if cert is not None else None,
        client_key=cert.key if cert is not None else None,
        client_key_password=cert.password.get_secret_value() if cert is not None and cert.password else None,
        connect_timeout=config.connect_timeout,
        max_reply_bytes=config.max_reply,
        idle_seconds=idle_seconds,
    )
