"""Access tokens by OAuth 2: client credentials, a refresh token, or a signed assertion (JWT bearer).

    tokens = Tokens(client, settings)            settings: OAuth, what a connection says
    headers = await tokens.headers(timeout)      after a 401: await tokens.headers(timeout, anew=True)

A token is fetched when it is first needed, kept in memory until shortly before it runs out, and shared: however many
deliveries need one, one request is under way, and what it says of the credentials is said to all of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote_plus, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.encode import to_form
from connectors.common.plain import plain_url
from relay.connector import Fields, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.http import RETRY_ON, Client, HttpRequest, Received, Redactor, base_headers, decode, retry_after

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: RFC 6749 5.2, and what Salesforce says of itself: not the credentials' fault.
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down", "unknown_error"})
_REMEDY = {
    "invalid_client": "check client_id and client_secret",
    "invalid_grant": "check the refresh token or the private key, and that the app is still allowed in",
    "invalid_scope": "check the scope",
    "unauthorized_client": "allow this way of getting a token at the vendor's page of the app",
    "unsupported_grant_type": "allow this way of getting a token at the vendor's page of the app",
}
_IN_A_HEADER = re.compile(r"[\x21-\x7e]+")
#: How long an assertion is good for: Salesforce takes three minutes, Google an hour.
_ASSERTED_SECONDS = 180
#: A token is renewed so long before its end: requests that carry it are still on their way.
_EARLY_SECONDS = 60.0


class OAuth(Fields):
    """How a connection gets its access tokens."""

    token_url: str = Field(description="Where tokens are given out.", examples=["https://id.example.com/oauth/token"])
    client_id: str = Field(description="The app's id at the vendor; Salesforce calls it consumer key.")
    client_secret: SecretStr | None = Field(None, description="The app's secret at the vendor.")
    refresh_token: SecretStr | None = Field(
        None, description="Trade this token; it has to stay good when it is used, as HubSpot's and Google's do."
    )
    private_key: SecretStr | None = Field(None, description="RSA key in PEM that signs a JWT, where the vendor asks.")
    subject: str | None = Field(None, description="With `private_key`: the user to act for.")
    audience: str | None = Field(None, description="With `private_key`: whom the JWT is for; token_url if not said.")
    scope: str | None = Field(None, description="What to ask for, by spaces.", examples=["contacts.write"])
    client_auth: Literal["body", "basic"] = Field(
        "body", description="Whether id and secret go into the form (body) or a Basic header."
    )
    extra: dict[str, str] = Field(default_factory=dict, description="Further parameters of the token request.")

    @field_validator("token_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value)

    @field_validator("private_key")
    @classmethod
    def _can_sign(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _key(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _one_way(self) -> OAuth:
        if self.refresh_token is not None and self.private_key is not None:
            raise ValueError("say refresh_token or private_key, not both")
        if self.private_key is None and (self.subject is not None or self.audience is not None):
            raise ValueError("subject and audience go with private_key")
        if self.client_secret is None and (self.client_auth == "basic" or not (self.refresh_token or self.private_key)):
            raise ValueError("client_secret is required")
        return self

    def form(self, refresh_token: str, now: float) -> dict[str, str]:
        """What is asked of the token endpoint. now: seconds since 1970."""
        asked = dict(self.extra)
        if self.private_key is not None:
            asked |= {"grant_type": JWT_BEARER, "assertion": self._assertion(now)}
        elif self.refresh_token is not None:
            asked |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
        else:
            asked["grant_type"] = "client_credentials"
        if self.scope is not None and self.private_key is None:
            asked["scope"] = self.scope
        # An assertion says by itself who we are.
        if self.client_auth == "body" and self.client_secret is not None:
            asked |= {"client_id": self.client_id, "client_secret": self.client_secret.get_secret_value()}
        elif self.client_auth == "body" and self.private_key is None:
            asked["client_id"] = self.client_id
        return asked

    def headers(self) -> dict[str, str]:
        if self.client_auth == "body" or self.client_secret is None:
            return {}
        # RFC 6749 2.3.1: each is form-encoded before they are joined.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret.get_secret_value())}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _assertion(self, now: float) -> str:
        assert self.private_key is not None
        claims: dict[str, Any] = {"iss": self.client_id, "aud": self.audience or self.token_url}
        claims |= {"iat": int(now), "exp": int(now) + _ASSERTED_SECONDS}
        if self.subject is not None:
            claims["sub"] = self.subject
        if self.scope is not None:
            claims["scope"] = self.scope
        return signed_jwt(claims, self.private_key.get_secret_value())


def signed_jwt(claims: Mapping[str, Any], pem: str) -> str:
    """The claims as a JWT, signed by RS256."""
    signed = b".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    return (signed + b"." + _base64(_key(pem).sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _key(pem: str) -> rsa.RSAPrivateKey:
    # In an environment variable the line breaks of a key are often written as \n.
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("this is no private key in PEM without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key must be an RSA key")
    return key


@dataclass(frozen=True, slots=True)
class Token:
    """ends: by time.monotonic; None where the vendor doesn't say. reply: all of the token endpoint's answer."""

    value: str = field(repr=False)
    ends: float | None
    reply: Mapping[str, Any] = field(repr=False)


#: The token that this task's last request carried: after a 401 it is known whether another has taken its place since.
_carried: ContextVar[Token | None] = ContextVar("_carried", default=None)


class Tokens:
    """The access tokens of one connection. The client is the connection's own, or one of its making."""

    def __init__(self, client: Client, settings: OAuth) -> None:
        self._client = client
        self._settings = settings
        self._host = urlsplit(settings.token_url).hostname or settings.token_url
        self._refresh_token = settings.refresh_token.get_secret_value() if settings.refresh_token is not None else ""
        self._redact = Redactor(secrets_in(settings))
        self._token: Token | None = None
        self._fetching: asyncio.Task[Token] | None = None

    async def headers(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {"authorization": f"Bearer {(await self.get(timeout, anew=anew)).value}"}

    async def get(self, timeout: timedelta, *, anew: bool = False) -> Token:
        """anew: the token that this task got last was refused. Raises HoldError or RetryableError.

        timeout is the attempt's: at most half of it is spent here, so that what runs out of time is never taken for
        a request that may have arrived.
        """
        token = self._token
        usable = token is not None and (token.ends is None or time.monotonic() < token.ends)
        if token is None or not usable or (anew and token is _carried.get()):
            token = await self._fetched(timeout / 2)
        _carried.set(token)
        return token

    def secrets(self) -> tuple[str, ...]:
        return tuple(value for value in (self._token.value if self._token else "", self._refresh_token) if value)

    async def aclose(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _fetched(self, timeout: timedelta) -> Token:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(timeout))
            self._fetching.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                # One delivery that gives up must not take the token from the others.
                return await asyncio.shield(self._fetching)
        except TimeoutError:
            raise RetryableError(f"{self._host} gave no token in time", cause="no token in time") from None
        except DeliveryError as error:
            # One exception raised in many tasks would gather all their tracebacks.
            raise _copy(error) from None

    def _ended(self, task: asyncio.Task[Token]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # nobody may be left to take it

    async def _fetch(self, timeout: timedelta) -> Token:
        settings = self._settings
        headers = {**base_headers(), "accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        content = to_form(settings.form(self._refresh_token, time.time()))
        request = HttpRequest("POST", settings.token_url, headers | settings.headers(), content)
        try:
            # A token more does no harm.
            received = await self._client.send(request, timeout=timeout, idempotent=True)
        except PermanentError as error:
            raise HoldError(error.message, status=error.status, cause=error.cause) from None
        self._token = self._sorted(received)
        # Where the vendor gives a new one, the old one is often good no more.
        self._refresh_token = str(self._token.reply.get("refresh_token") or self._refresh_token)
        return self._token

    def _sorted(self, received: Received) -> Token:
        reply = decode(received.body, received.headers.get("content-type", ""))
        if not isinstance(reply, dict):
            reply = {}
        value = reply.get("access_token")
        if 200 <= received.status < 300 and isinstance(value, str) and _IN_A_HEADER.fullmatch(value):
            return Token(value, _ends(reply.get("expires_in")), reply)
        raise self._failure(received, reply)

    def _failure(self, received: Received, reply: Mapping[str, Any]) -> DeliveryError:
        status = received.status
        error = reply.get("error")
        code = error if isinstance(error, str) and re.fullmatch(r"[\w.-]{1,60}", error) else ""
        description = str(reply.get("error_description") or "")
        record = received.record(Redactor([*secrets_in(self._settings), self._refresh_token, *_tokens_in(reply)]))
        said = " ".join(filter(None, (code, f"({self._words(description)})" if description else "")))
        answered = f"{received.host} gave no token but answered {received.line}{': ' + said if said else ''}"
        cause = f"token: {code}" if code else f"token: http {status}"
        # Salesforce tells of too many logins as an invalid_grant.
        rate = "rate exceeded" in description.lower() or "rate limit" in description.lower()
        if status in RETRY_ON or status >= 500 or code in _PASSING or rate:
            wait = retry_after(received.headers.get("retry-after"))
            return RetryableError(answered, retry_after=wait, status=status, cause=cause, received=record)
        if 200 <= status < 400 and not code:
            remedy = "check token_url"
        else:
            remedy = _REMEDY.get(code, "check token_url, client_id and client_secret")
        return HoldError(f"{answered}; {remedy}", status=status, cause=cause, received=record)

    def _words(self, text: str) -> str:
        return " ".join(self._redact("".join(c if c.isprintable() else " " for c in text)).split())[:200]


class TokenRedactor(Redactor):
    """Takes out, beside a connection's own secrets, the token that is in use."""

    def __init__(self, redact: Redactor, tokens: Tokens) -> None:
        super().__init__(())
        self._others = redact
        self._tokens = tokens

    def __call__(self, text: str) -> str:
        return Redactor(self._tokens.secrets())(self._others(text))


def _tokens_in(reply: Mapping[str, Any]) -> list[str]:
    return [v for k, v in reply.items() if isinstance(v, str) and ("token" in k.lower()) and k != "token_type"]


def _ends(expires_in: Any) -> float | None:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return None
    return time.monotonic() + seconds - min(_EARLY_SECONDS, seconds / 10) if 0 < seconds < 1e9 else None


def _copy(error: DeliveryError) -> DeliveryError:
    kept: dict[str, Any] = {"status": error.status, "cause": error.cause, "received": error.received}
    if isinstance(error, RetryableError):
        kept["retry_after"] = error.retry_after
    return type(error)(error.message, **kept)
