"""What may stand under `hmac`, `digest` and `ecdsa`: where a signature is, what it is made over, and with what."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema, field_validator, model_validator

from relay.sources.fields import STAND_IN, HeaderName, Part, Secrets
from relay.sources.place import BodyPlace, PlaceName
from relay.sources.units import Duration, wrong

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

#: What a `signed` template may hold. `{header:…}` is another header's value, `{body:…}` a text in the body.
_PLACEHOLDER = re.compile(r"\{(body|form|timestamp|method|url|path|secret|header:[A-Za-z0-9-]+|body:[^{}]+)\}")

Algorithm = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]


def _one_place(value: str | None) -> str | None:
    if value is not None and "[*]" in value:
        raise wrong("place", f"{value!r} may be many places, and this is only one")
    return value


class Timestamp(Part):
    """When the request was signed: an old one is a replay, and refused."""

    header: HeaderName | None = Field(None, description="The header that holds it.", examples=["X-Timestamp"])
    field: str | None = Field(None, min_length=1, description="Its name within the signature's header.", examples=["t"])
    body: PlaceName | None = Field(None, description="Its place in the body.", examples=["signature.timestamp"])
    tolerance: Duration = Field(
        timedelta(minutes=5),
        description="How far it may be from our clock, either way.",
        examples=["5m"],
        json_schema_extra={"default": "5m"},
    )
    format: Literal["seconds", "milliseconds", "iso"] = Field(
        "seconds", description="Unix seconds, unix milliseconds, or ISO 8601."
    )

    _its_place_is_one = field_validator("body")(_one_place)

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Timestamp:
        if [self.header, self.field, self.body].count(None) != 2:
            places = "a `header` of its own or is a `field` of the signature's header, or it stands in the `body`"
            raise wrong("timestamp", f"a timestamp has {places}")
        if self.tolerance <= timedelta(0):
            raise wrong("timestamp", "a tolerance is longer than nothing; 5m is usual")
        return self


class Signature(Part):
    """What every signature has in common."""

    #: Whether the secret is a part of what is signed, for want of a key.
    holds_secret: ClassVar[bool] = False

    signed: str = Field(
        "{body}",
        description="What is signed: {body}, {form}, {timestamp}, {method}, {url}, {path}, {header:NAME}, "
        "{body:PLACE} and any text.",
        examples=["{timestamp}.{body}"],
    )
    timestamp: Timestamp | None = Field(None, description="When it was signed, where the sender says so.")

    @field_validator("signed")
    @classmethod
    def _has_known_placeholders(cls, value: str) -> str:
        names = _PLACEHOLDER.split(value)[1::2]
        rest = _PLACEHOLDER.sub("", value)
        if "{" in rest or "}" in rest or ("secret" in names and not cls.holds_secret):
            known = "{body} {form} {timestamp} {method} {url} {path} {header:NAME} {body:PLACE}"
            raise wrong("signed", f"a placeholder is one of {known}{' {secret}' if cls.holds_secret else ''}")
        if cls.holds_secret and "secret" not in names:
            raise wrong("signed", "what is hashed has to hold {secret}, or anybody could make the hash")
        for name in names:
            if name.startswith("body:"):
                BodyPlace.of(_one_place(name.removeprefix("body:")) or "")
        return value

    @model_validator(mode="after")
    def _signs_body_and_timestamp(self) -> Signature:
        if not self._signs_the_body():
            raise wrong("signed", "what is signed has to hold {body} or {form}, or the body could be exchanged")
        if self.timestamp is None and "{timestamp}" in self.signed:
            raise wrong("timestamp", "`signed` holds {timestamp}, so `timestamp` has to say where it is")
        if self.timestamp is not None and "{timestamp}" not in self.signed:
            raise wrong("timestamp", "the timestamp isn't signed: put {timestamp} into `signed`")
        if self.timestamp is not None and self.timestamp.field is not None and getattr(self, "field", None) is None:
            raise wrong(
                "timestamp", "the timestamp is a field of the header, so the signature's `field` has a name too"
            )
        return self

    def _signs_the_body(self) -> bool:
        return "{body}" in self.signed or "{form}" in self.signed

    def parts(self) -> tuple[str, ...]:
        """`signed` cut into text and placeholders' names by turns: ("v0:", "timestamp", ":", "body", "")."""
        return tuple(_PLACEHOLDER.split(self.signed))

    def signed_headers(self) -> tuple[str, ...]:
        """The headers that `signed` holds, beside the timestamp's."""
        return tuple(part.removeprefix("header:") for part in self.parts()[1::2] if part.startswith("header:"))

    def signed_places(self) -> tuple[BodyPlace, ...]:
        """The places of the body that `signed` holds, beside the timestamp's."""
        names = (part for part in self.parts()[1::2] if part.startswith("body:"))
        return tuple(BodyPlace.of(name.removeprefix("body:")) for name in names)

    def signature_place(self) -> BodyPlace | None:
        """Where in the body the signature is, if it is there."""
        return None

    def decodes(self) -> bool:
        """Whether the body has to be decoded, not only read, to check this."""
        in_body = self.timestamp is not None and self.timestamp.body is not None
        return in_body or self.signature_place() is not None or bool(self.signed_places())


class Hmac(Signature):
    """A signature over the raw body, made with a secret both sides know."""

    header: HeaderName | None = Field(
        None, description="The header that holds the signature.", examples=["X-Signature"]
    )
    body: PlaceName | None = Field(
        None, description="The signature's place in the body, in place of `header`.", examples=["signature.signature"]
    )
    secret: Secrets = Field(description="The key of the signature.", examples=["${SECRET}"])
    algorithm: Algorithm = Field("sha256", description="The hash function.")
    encoding: Encoding = Field("hex", description="How the signature is written.")
    prefix: str = Field("", description="What stands before the signature.", examples=["sha256="])
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
    body_hash: str | None = Field(
        None,
        min_length=1,
        description="A query parameter that is the body's SHA-256 in hex where the body itself isn't signed.",
        examples=["bodySHA256"],
    )
    ports: bool = Field(False, description="Whether {url} is also tried with and without its port.")

    _its_place_is_one = field_validator("body")(_one_place)

    @model_validator(mode="after")
    def _fits_together(self) -> Hmac:
        if (self.header is None) == (self.body is None):
            raise wrong("hmac", "the signature is in a `header`, or at a place in the `body`: one of them is needed")
        if self.header is None and (self.field is not None or self.separator is not None):
            raise wrong("hmac", "`field` and `separator` take a header apart, and the signature is in the body")
        if self.field is not None and self.separator is not None:
            raise wrong("separator", "`field` and `separator` are two ways to write several signatures; choose one")
        if (self.ports or self.body_hash is not None) and "{url}" not in self.signed:
            raise wrong("signed", "`ports` and `body_hash` belong to a signed address: put {url} into `signed`")
        self.keys()
        return self

    def _signs_the_body(self) -> bool:
        # A signature inside of the body can't be over all of it: Mailgun's is over a token that is used once.
        return super()._signs_the_body() or self.body_hash is not None or bool(self.body and self.signed_places())

    def signature_place(self) -> BodyPlace | None:
        return BodyPlace.of(self.body) if self.body is not None else None

    def keys(self) -> tuple[bytes, ...]:
        """The secrets as the bytes that sign."""
        return tuple(key_bytes(s.get_secret_value(), self.secret_encoding, self.secret_prefix) for s in self.secret)


class Digest(Signature):
    """A plain hash over the body and a secret both sides know, as HubSpot had it before it had HMAC."""

    holds_secret = True

    header: HeaderName = Field(description="The header that holds the hash.", examples=["X-Signature"])
    secret: Secrets = Field(description="What is hashed along with the body.", examples=["${SECRET}"])
    algorithm: Algorithm = Field("sha256", description="The hash function.")
    encoding: Encoding = Field("hex", description="How the hash is written.")
    prefix: str = Field("", description="What stands before the hash.", examples=["sha256="])
    signed: str = Field(
        "{secret}{body}",
        description="What is hashed: {secret}, and what may stand under an `hmac`'s `signed`.",
        examples=["{secret}{method}{url}{body}"],
    )


def _public_keys(value: Any) -> Any:
    written = list(value) if isinstance(value, list | tuple) else [value]
    keys = [key.get_secret_value() if isinstance(key, SecretStr) else key for key in written]
    if not keys or not all(isinstance(key, str) and key.strip() for key in keys):
        raise wrong("public_key", "a public key is text, or a list of texts")
    for key in keys:
        if key != STAND_IN:
            public_key(key)
    return tuple(keys)


class Ecdsa(Signature):
    """A signature that only the vendor can make: P-256 with SHA-256, DER in base64."""

    header: HeaderName = Field(description="The header that holds the signature.", examples=["X-Signature"])
    public_key: Annotated[
        tuple[str, ...],
        BeforeValidator(_public_keys),
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
        ),
    ] = Field(description="The vendor's public key: PEM, or DER in base64.", examples=["${PUBLIC_KEY}"])


def public_key(text: str) -> EllipticCurvePublicKey:
    """Raises a validation error that says what was given instead."""
    # Only sources that need it pay for it: importing it takes longer than all of the others together.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if "PRIVATE KEY" in text:
        raise wrong("public_key", "this is a private key: the vendor keeps that, and gives the public one")
    # In an environment variable PEM may have lost its line breaks, or have them as \n.
    inner = re.sub(r"-----[A-Z ]+-----|\\n|\s", "", text)
    try:
        found = load_der_public_key(base64.b64decode(inner, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise wrong("public_key", "this is no public key, in PEM or as DER in base64; was it copied whole?") from None
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise wrong("public_key", "the public key has to be one of the curve P-256")
    return found


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
