"""What a connection of the HTTP connector may say."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.plain import HEADER_NAME, HEADER_VALUE, OUR_HEADERS, plain_url, wrong_header
from relay.connector import ConnectionConfig, Duration, Fields, Size

#: What an HMAC's `signed` may hold.
SIGNED = ("body", "timestamp", "method", "path", "query", "url", "id")


class Basic(Fields):
    username: str = Field(description="Who the relay is to this API.")
    password: SecretStr = Field(description="The password; empty where the API takes a key as the user name.")


class OAuth2(Fields):
    """Access tokens: fetched when first needed, kept until shortly before they end, renewed once after a 401."""

    token_url: str = Field(description="Where tokens are given out.", examples=["https://id.example.com/oauth/token"])
    client_id: str = Field(description="The app's id there.")
    client_secret: SecretStr = Field(description="The app's secret there.")
    scope: str | None = Field(None, description="What to ask for, by spaces.", examples=["contacts.write"])
    audience: str | None = Field(None, description="The API the token is for, where the server asks (Auth0 does).")
    refresh_token: SecretStr | None = Field(
        None, description="Trade this token, which must stay good when used, instead of the client's own credentials."
    )
    style: Literal["basic", "body"] = Field(
        "body", description="Whether id and secret go into a Basic header or into the body of the token request."
    )

    @field_validator("token_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value)


class Hmac(Fields):
    """A signature over each request, made when it is sent."""

    header: str = Field(description="Header that carries the signature.", examples=["X-Signature"])
    secret: SecretStr = Field(description="The shared secret.")
    secret_encoding: Literal["text", "base64", "hex"] = Field(
        "text", description="How the secret is written; the key is what it says, decoded."
    )
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = Field("sha256", description="The hash of the HMAC.")
    encoding: Literal["hex", "base64"] = Field("hex", description="How the signature is written.")
    prefix: str = Field(
        "",
        description="Before the signature; may hold {timestamp}.",
        examples=["sha256=", "t={timestamp},v1="],
    )
    signed: str = Field(
        "{body}",
        description="What is signed: {body}, {timestamp}, {method}, {path} (with its first slash, as it travels), "
        "{query}, {url}, {id} (the delivery's key) and any text.",
        examples=["{timestamp}.{body}"],
    )
    timestamp_header: str | None = Field(
        None, description="Header that carries the time of the attempt.", examples=["X-Timestamp"]
    )
    timestamp_format: Literal["seconds", "milliseconds", "iso"] = Field(
        "seconds", description="Unix seconds, unix milliseconds, or ISO 8601 in UTC."
    )

    @model_validator(mode="after")
    def _can_be_made_and_checked(self) -> Hmac:
        names = [name for name in (self.header, self.timestamp_header) if name is not None]
        for name in names:
            if not HEADER_NAME.fullmatch(name) or name.lower() in OUR_HEADERS:
                raise ValueError(f"{name!r} can't be the name of a header")
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("header and timestamp_header are two headers")
        for where, text, known in (("signed", self.signed, SIGNED), ("prefix", self.prefix, ("timestamp",))):
            placeholders = [f"{{{name}}}" for name in known]
            if re.search(r"[{}]", re.sub("|".join(map(re.escape, placeholders)), "", text)):
                raise ValueError(f"{where}: a placeholder is one of {' '.join(placeholders)}")
        if not HEADER_VALUE.fullmatch(self.prefix):
            raise ValueError("prefix holds a line break or a character that headers can't carry")
        if "{body}" not in self.signed:
            raise ValueError("signed: what is signed has to hold {body}, or the body could be exchanged on the way")
        if "{timestamp}" in self.signed and self.timestamp_header is None and "{timestamp}" not in self.prefix:
            raise ValueError("`signed` holds {timestamp}: say the timestamp_header by which the API learns it")
        try:
            key = self.key()
        except ValueError:
            raise ValueError(f"the secret isn't {self.secret_encoding}; see secret_encoding") from None
        if not key:
            raise ValueError("the secret is empty")
        return self

    def headers(self) -> frozenset[str]:
        """Those that it sets, in lower case."""
        return frozenset(name.lower() for name in (self.header, self.timestamp_header) if name is not None)

    def key(self) -> bytes:
        text, how = self.secret.get_secret_value(), self.secret_encoding
        if how == "base64":
            return b64decode(text, validate=True)
        return bytes.fromhex(text) if how == "hex" else text.encode()


class ClientCert(Fields):
    """A certificate for APIs that ask for one (mTLS). The files are read when the connection is first used."""

    certificate: Path = Field(description="File with the certificate in PEM, and those between it and its root.")
    key: Path | None = Field(None, description="File with its private key in PEM, where `certificate` hasn't got it.")
    password: SecretStr | None = Field(None, description="Password of the key.")


class Success(Fields):
    """For an API that answers 2xx even where it refuses: where its reply says what came of it."""

    path: str = Field(
        description="A place in the reply: keys, and numbers in lists, joined by dots.",
        examples=["ok", "result.errors", "items.0.status"],
    )
    equals: Any = Field(None, description="It is a success where this stands there.", examples=[True])
    empty: bool | None = Field(
        None,
        description="true: it is a success where nothing stands there, not even an empty list or text; `false`: "
        "where something does.",
    )
    retry: bool = Field(False, description="What is no success gets better by itself: retry it.")

    @field_validator("path")
    @classmethod
    def _leads_somewhere(cls, value: str) -> str:
        bare = value.removeprefix("$.")
        if not all(bare.split(".")) or re.search(r"[\s$\[\]]", bare):
            raise ValueError("a path is keys, and numbers in lists, joined by dots, such as result.errors.0")
        return bare

    @model_validator(mode="after")
    def _one_question(self) -> Success:
        if ("equals" in self.model_fields_set) == (self.empty is not None):
            raise ValueError("say either `equals` or `empty`")
        return self


class Auth(Fields):
    """How the connection proves who it is: one of bearer, basic, header, query, path or oauth2, and hmac beside it."""

    bearer: SecretStr | None = Field(None, description="Sent as `Authorization: Bearer …`.")
    basic: Basic | None = Field(None, description="User name and password.")
    header: str | None = Field(None, description="Name of the header that carries `value`.", examples=["X-Api-Key"])
    query: str | None = Field(None, description="Name of the query parameter that carries `value`.")
    value: SecretStr | None = Field(None, description="The key that goes with `header` or `query`.")
    path: SecretStr | None = Field(None, description="A secret end of the URL, as Slack's and Discord's webhooks have.")

    oauth2: OAuth2 | None = Field(None, description="Access tokens by OAuth 2, sent as `Authorization: Bearer …`.")
    hmac: Hmac | None = Field(None, description="A signature over each request, alone or beside one of the others.")

    @model_validator(mode="after")
    def _one_way(self) -> Auth:
        ways = ("bearer", "basic", "header", "query", "path", "oauth2")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1 and (given or self.hmac is None):
            raise ValueError("say exactly one of bearer, basic, header, query, path and oauth2, and hmac beside it")
        if (self.value is None) == (given[:1] in (["header"], ["query"])):
            raise ValueError("`value` goes with `header` and `query`, and with nothing else")
        if self.header is not None and (not HEADER_NAME.fullmatch(self.header) or self.header.lower() in OUR_HEADERS):
            raise ValueError(f"{self.header!r} can't be the name of the header")
        in_header = self.bearer or (self.value if self.header is not None else None)
        if in_header is not None and not HEADER_VALUE.fullmatch(in_header.get_secret_value()):
            raise ValueError("the secret holds a line break or a character that headers can't carry")
        taken = self.header or ("authorization" if self.bearer or self.basic or self.oauth2 else None)
        if self.hmac is not None and taken is not None and taken.lower() in self.hmac.headers():
            raise ValueError(f"the header {taken} carries the credentials already: give hmac another")
        return self


class HttpConfig(ConnectionConfig):
    base_url: str = Field(
        description="Where the API lives; steps add a path to it.", examples=["https://api.example.com"]
    )
    auth: Auth | None = Field(None, description="How the connection proves who it is.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    follow_redirects: bool = Field(False, description="Follow redirects on the same host that keep the request whole.")
    redirect_hosts: list[str] = Field(
        [], description="Other hosts that a redirect may lead to; they get no credentials."
    )
    verify_tls: bool = Field(True, description="Check the server's certificate.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the usual ones.")
    client_cert: ClientCert | None = Field(None, description="Our own certificate, where the API asks for one (mTLS).")
    connect_timeout: Duration = Field(timedelta(seconds=10), description="How long making a connection may take.")
    idempotency_header: str | None = Field(
        "Idempotency-Key", description="Header that carries the delivery's key; null sends none."
    )
    idempotent: bool = Field(
        False, description="The API acts once on a key, however often it comes: an unknown outcome is then retried."
    )
    hold_on_403: bool = Field(False, description="403 means bad credentials here: hold the lane as for 401.")
    retry_on_409: bool = Field(False, description="409 gets better by itself here: retry it.")
    success: Success | None = Field(
        None, description="What a 2xx answer has to say to be a delivery; any other is permanent."
    )
    check: str | None = Field(
        None,
        pattern=r"^/[^?#\s\\]*$",
        description="A path below base_url that `relay connections test` may GET, with the connection's auth: one that "
        "changes nothing there, such as a whoami. Any 2xx answer is fine.",
        examples=["/me"],
    )
    max_body: Size = Field(
        10_000_000, ge=1, description="A longer body isn't sent: the delivery is dead at once, and a batch is halved."
    )
    max_reply: Size = Field(1_000_000, ge=1, description="How much of a reply is read.")

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value)

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            wrong = wrong_header(name, text)
            if wrong:
                raise ValueError(wrong)
        return value

    @field_validator("idempotency_header")
    @classmethod
    def _is_a_header_name(cls, value: str | None) -> str | None:
        if value is not None and (not HEADER_NAME.fullmatch(value) or value.lower() in OUR_HEADERS):
            raise ValueError(f"{value!r} can't be the name of a header")
        return value
