"""What may stand under a source's `verify`: none, or one way to prove who sent a request.

    verify: none
    verify: {header: X-Key, equals: "${KEY}"}
    verify: {query: key, equals: "${KEY}"}
    verify: {basic: {username: relay, password: "${PASSWORD}"}}
    verify: {bearer: "${TOKEN}"}
    verify: {token: "${TOKEN}"}                 # the last part of /in/<source>/<token>
    verify: {hmac: {header: X-Signature, secret: "${SECRET}"}}

Every secret may be a list: while it is being changed, both the old and the new one are taken.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from relay.sources.units import Duration, wrong

#: What a `signed` template may hold. `{header:…}` is the value of another header of the request.
_PLACEHOLDER = re.compile(r"\{(body|timestamp|method|url|path|header:[A-Za-z0-9-]+)\}")

#: RFC 9110's token: what a header's name may be made of.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _secrets(value: Any) -> Any:
    secrets = list(value) if isinstance(value, list | tuple) else [value]
    if not secrets:
        raise wrong("secret", "the list of secrets is empty")
    for secret in secrets:
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if not isinstance(text, str):
            raise wrong("secret", "a secret is text, or a list of texts; put a number into quotes")
        if not text:
            raise wrong("secret", "the secret is empty: everybody could guess it")
        if text != text.strip():
            raise wrong("secret", "the secret begins or ends with white space; does its file end with a line break?")
    return tuple(secrets)


def usable(value: Any) -> bool:
    """Whether this would pass for a secret, or a list of them."""
    try:
        _secrets(value)
    except PydanticCustomError:
        return False
    return True


_SECRET_SCHEMA = {"type": "string", "minLength": 1, "format": "password", "writeOnly": True}

Secrets = Annotated[
    tuple[SecretStr, ...],
    BeforeValidator(_secrets),
    WithJsonSchema({"anyOf": [_SECRET_SCHEMA, {"type": "array", "items": _SECRET_SCHEMA, "minItems": 1}]}),
]


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise wrong("header", f"{value!r} can't be the name of a header")
    return value


HeaderName = Annotated[str, BeforeValidator(lambda v: _header_name(v) if isinstance(v, str) else v)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HeaderVerify(_Part):
    """A header equals a secret."""

    header: HeaderName = Field(description="The header's name; upper and lower case are alike.", examples=["X-Key"])
    equals: Secrets = Field(description="What its value has to be.", examples=["${KEY}"])


class QueryVerify(_Part):
    """A query parameter equals a secret."""

    query: str = Field(min_length=1, description="The parameter's name in the address.", examples=["key"])
    equals: Secrets = Field(description="What its value has to be.", examples=["${KEY}"])


class Basic(_Part):
    """HTTP Basic."""

    username: str = Field(description="The user's name; a colon can't be part of it.", examples=["relay"])
    password: Secrets = Field(description="The user's password.", examples=["${PASSWORD}"])

    @field_validator("username")
    @classmethod
    def _has_no_colon(cls, value: str) -> str:
        if ":" in value:
            raise wrong("username", "a user name of HTTP Basic can't have a colon: it ends the name")
        return value


class BasicVerify(_Part):
    """HTTP Basic: a user's name and password."""

    basic: Basic = Field(description="The user's name and password.")


class BearerVerify(_Part):
    """`Authorization: Bearer …` holds a secret."""

    bearer: Secrets = Field(description="The token after `Authorization: Bearer`.", examples=["${TOKEN}"])


class TokenVerify(_Part):
    """The address ends with a secret: /in/<source>/<token>."""

    token: Secrets = Field(description="The last part of /in/<source>/<token>.", examples=["${TOKEN}"])

    @field_validator("token")
    @classmethod
    def _fits_into_one_part_of_a_path(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9._~-]+", secret.get_secret_value()) for secret in value):
            raise wrong("token", "a token is part of an address: only letters A to Z, digits and . _ ~ - may be in it")
        return value


class Timestamp(_Part):
    """When the request was signed: an old one is a replay, and refused."""

    header: HeaderName | None = Field(None, description="The header that holds it.", examples=["X-Timestamp"])
    field: str | None = Field(None, min_length=1, description="Its name within the signature's header.", examples=["t"])
    tolerance: Duration = Field(
        timedelta(minutes=5),
        description="How far it may be from our clock, either way.",
        examples=["5m"],
        json_schema_extra={"default": "5m"},
    )
    format: Literal["seconds", "milliseconds", "iso"] = Field(
        "seconds", description="Unix seconds, unix milliseconds, or ISO 8601."
    )

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Timestamp:
        if (self.header is None) == (self.field is None):
            raise wrong("timestamp", "a timestamp has a `header` of its own or is a `field` of the signature's header")
        if self.tolerance <= timedelta(0):
            raise wrong("timestamp", "a tolerance is longer than nothing; 5m is usual")
        return self


class Hmac(_Part):
    """A signature over the raw body, made with a secret both sides know."""

    header: HeaderName = Field(description="The header that holds the signature.", examples=["X-Signature"])
    secret: Secrets = Field(description="The key of the signature.", examples=["${SECRET}"])
    algorithm: Literal["sha256", "sha1", "sha512"] = Field("sha256", description="The hash function.")
    encoding: Literal["hex", "base64"] = Field("hex", description="How the signature is written.")
    prefix: str = Field("", description="What stands before the signature.", examples=["sha256="])
    signed: str = Field(
        "{body}",
        description="What is signed: {body}, {timestamp}, {method}, {url}, {path}, {header:NAME} and any text.",
        examples=["{timestamp}.{body}"],
    )
    timestamp: Timestamp | None = Field(None, description="When it was signed, where the sender says so.")
    separator: str | None = Field(
        None, min_length=1, description="What stands between several signatures in one header.", examples=[" "]
    )
    field: str | None = Field(
        None, min_length=1, description="The signature's name in a header such as `t=1,v1=abc`.", examples=["v1"]
    )
    secret_encoding: Literal["text", "base64", "hex"] = Field(
        "text", description="How the secret is written; its bytes are the key."
    )
    secret_prefix: str = Field("", description="What stands before an encoded secret.", examples=["whsec_"])

    @field_validator("signed")
    @classmethod
    def _signs_the_body(cls, value: str) -> str:
        if "{body}" not in value:
            raise wrong("signed", "what is signed has to hold {body}, or the body could be exchanged")
        rest = _PLACEHOLDER.sub("", value)
        if "{" in rest or "}" in rest:
            raise wrong("signed", "a placeholder is one of {body} {timestamp} {method} {url} {path} {header:NAME}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Hmac:
        if self.timestamp is None and "{timestamp}" in self.signed:
            raise wrong("timestamp", "`signed` holds {timestamp}, so `timestamp` has to say where it is")
        if self.timestamp is not None and "{timestamp}" not in self.signed:
            raise wrong("timestamp", "the timestamp isn't signed: put {timestamp} into `signed`")
        if self.timestamp is not None and self.timestamp.field is not None and self.field is None:
            raise wrong(
                "timestamp", "the timestamp is a field of the header, so the signature's `field` has a name too"
            )
        if self.field is not None and self.separator is not None:
            raise wrong("separator", "`field` and `separator` are two ways to write several signatures; choose one")
        for secret in self.secret:
            key_bytes(secret.get_secret_value(), self.secret_encoding, self.secret_prefix)
        return self

    def keys(self) -> tuple[bytes, ...]:
        """The secrets as the bytes that sign."""
        return tuple(key_bytes(s.get_secret_value(), self.secret_encoding, self.secret_prefix) for s in self.secret)

    def signed_headers(self) -> tuple[str, ...]:
        """The headers that `signed` holds, beside the timestamp's."""
        return tuple(part.removeprefix("header:") for part in self.parts()[1::2] if part.startswith("header:"))

    def parts(self) -> tuple[str, ...]:
        """`signed` cut into text and placeholders' names by turns: ("v0:", "timestamp", ":", "body", "")."""
        return tuple(_PLACEHOLDER.split(self.signed))


class HmacVerify(_Part):
    """A signature over the raw body."""

    hmac: Hmac = Field(description="Where the signature is and how it is made.")


def key_bytes(secret: str, encoding: str, prefix: str) -> bytes:
    """The bytes a written secret stands for. Raises a validation error that doesn't show it."""
    if encoding == "text":
        return secret.encode()
    text = secret.removeprefix(prefix)
    try:
        if encoding == "hex":
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key:
        after = f", after {prefix!r}" if prefix else ""
        raise wrong("secret", f"the secret has to be {encoding}{after}; was it copied whole?")
    return key


_TAGS: dict[str, type[_Part]] = {
    "header": HeaderVerify,
    "query": QueryVerify,
    "basic": BasicVerify,
    "bearer": BearerVerify,
    "token": TokenVerify,
    "hmac": HmacVerify,
}


def _way(value: Any) -> str | None:
    if value == "none":
        return "none"
    if isinstance(value, Mapping):
        return next((tag for tag in _TAGS if tag in value), None)
    return next((tag for tag, model in _TAGS.items() if isinstance(value, model)), None)


Verify = Annotated[
    Annotated[Literal["none"], Tag("none")]
    | Annotated[HeaderVerify, Tag("header")]
    | Annotated[QueryVerify, Tag("query")]
    | Annotated[BasicVerify, Tag("basic")]
    | Annotated[BearerVerify, Tag("bearer")]
    | Annotated[TokenVerify, Tag("token")]
    | Annotated[HmacVerify, Tag("hmac")],
    Discriminator(
        _way,
        custom_error_type="relay_verify",
        custom_error_message="`verify` is `none`, or names one way: header, query, basic, bearer, token or hmac",
    ),
]


def secrets_of(verify: object) -> tuple[SecretStr, ...]:
    match verify:
        case HeaderVerify() | QueryVerify():
            return verify.equals
        case BasicVerify():
            return verify.basic.password
        case BearerVerify():
            return verify.bearer
        case TokenVerify():
            return verify.token
        case HmacVerify():
            return verify.hmac.secret
        case _:
            return ()


def plain_secrets(verify: object) -> Iterator[str]:
    """The secrets themselves. Never show one."""
    return (secret.get_secret_value() for secret in secrets_of(verify))


def header_of(verify: object) -> str | None:
    """The lower-case name of the header that proves the sender."""
    match verify:
        case HeaderVerify():
            return verify.header.lower()
        case HmacVerify():
            return verify.hmac.header.lower()
        case BasicVerify() | BearerVerify():
            return "authorization"
        case _:
            return None
