"""What may stand under a source's `verify`: none, or a way to prove who sent a request.

    verify: none
    verify: {header: X-Key, equals: "${KEY}"}
    verify: {query: key, equals: "${KEY}"}
    verify: {field: "value[*].clientState", equals: "${KEY}"}   # a place in the body
    verify: {basic: {username: relay, password: "${PASSWORD}"}}
    verify: {bearer: "${TOKEN}"}
    verify: {path_token: "${TOKEN}"}                            # the last part of /in/<source>/<token>; also `token`
    verify: {hmac: {header: X-Signature, secret: "${SECRET}"}}
    verify: {digest: {header: X-Signature, secret: "${SECRET}"}}
    verify: {ecdsa: {header: X-Signature, public_key: "${KEY}"}}
    verify: {ip_allow: [203.0.113.0/24]}                        # alone, or beside any of them
    verify: {any: [{bearer: "${TOKEN}"}, {query: key, equals: "${KEY}"}]}

Every secret may be a list: while it is being changed, both the old and the new one are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, TypeAdapter, field_validator

from relay.sources.fields import HeaderName, Networks, Part, Secrets
from relay.sources.place import BodyPlace, PlaceName
from relay.sources.signature_config import Digest, Ecdsa, Hmac, Signature
from relay.sources.units import wrong


class Way(Part):
    """One way to prove who sent a request, whatever it is."""

    ip_allow: Networks | None = Field(
        None,
        description="The networks, or single addresses, it has to come from as well.",
        examples=[["203.0.113.0/24"]],
    )


class AddressVerify(Way):
    """The sender's address is all that is asked for."""

    ip_allow: Networks = Field(
        description="The networks, or single addresses, a request has to come from.", examples=[["203.0.113.0/24"]]
    )


class HeaderVerify(Way):
    """A header equals a secret."""

    header: HeaderName = Field(description="The header's name; upper and lower case are alike.", examples=["X-Key"])
    equals: Secrets = Field(description="What its value has to be.", examples=["${KEY}"])


class QueryVerify(Way):
    """A query parameter equals a secret."""

    query: str = Field(min_length=1, description="The parameter's name in the address.", examples=["key"])
    equals: Secrets = Field(description="What its value has to be.", examples=["${KEY}"])


class FieldVerify(Way):
    """A place in the body equals a secret; all of them, where it is in a list."""

    field: PlaceName = Field(description="The place in the decoded body.", examples=["value[*].clientState"])
    equals: Secrets = Field(description="What its value has to be.", examples=["${KEY}"])


class Basic(Part):
    """HTTP Basic."""

    username: str = Field(description="The user's name; a colon can't be part of it.", examples=["relay"])
    password: Secrets = Field(description="The user's password.", examples=["${PASSWORD}"])

    @field_validator("username")
    @classmethod
    def _has_no_colon(cls, value: str) -> str:
        if ":" in value:
            raise wrong("username", "a user name of HTTP Basic can't have a colon: it ends the name")
        return value


class BasicVerify(Way):
    """HTTP Basic: a user's name and password."""

    basic: Basic = Field(description="The user's name and password.")


class BearerVerify(Way):
    """`Authorization: Bearer …` holds a secret."""

    bearer: Secrets = Field(description="The token after `Authorization: Bearer`.", examples=["${TOKEN}"])


def _fits_into_one_part_of_a_path(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(not re.fullmatch(r"[A-Za-z0-9._~-]+", secret.get_secret_value()) for secret in value):
        raise wrong("token", "a token is part of an address: only letters A to Z, digits and . _ ~ - may be in it")
    return value


_PathTokens = Annotated[Secrets, AfterValidator(_fits_into_one_part_of_a_path)]


class TokenVerify(Way):
    """The address ends with a secret: /in/<source>/<token>."""

    token: _PathTokens = Field(description="The last part of /in/<source>/<token>.", examples=["${TOKEN}"])


class PathTokenVerify(Way):
    """The address ends with a secret: /in/<source>/<token>. The same as `token`."""

    path_token: _PathTokens = Field(description="The last part of /in/<source>/<token>.", examples=["${TOKEN}"])

    @property
    def token(self) -> tuple[SecretStr, ...]:
        return self.path_token


class HmacVerify(Way):
    """A signature over the raw body."""

    hmac: Hmac = Field(description="Where the signature is and how it is made.")


class DigestVerify(Way):
    """A plain hash over the body and a secret."""

    digest: Digest = Field(description="Where the hash is and how it is made.")


class EcdsaVerify(Way):
    """A signature that only the vendor can make."""

    ecdsa: Ecdsa = Field(description="Where the signature is and how it is made.")


#: In the order in which they are looked for: `ip_allow` may stand beside each of the others.
_TAGS: dict[str, type[Part]] = {
    "header": HeaderVerify,
    "query": QueryVerify,
    "field": FieldVerify,
    "basic": BasicVerify,
    "bearer": BearerVerify,
    "token": TokenVerify,
    "path_token": PathTokenVerify,
    "hmac": HmacVerify,
    "digest": DigestVerify,
    "ecdsa": EcdsaVerify,
}

_NAMES = "header, query, field, basic, bearer, path_token, hmac, digest, ecdsa, any or ip_allow"


def _way(value: Any) -> str | None:
    if value == "none":
        return "none"
    if isinstance(value, Mapping):
        found = [tag for tag in (*_TAGS, "any") if tag in value]
        # Two of them are none: one would have to be told that it isn't known.
        return found[0] if len(found) == 1 else "ip_allow" if not found and "ip_allow" in value else None
    tags: dict[str, type[Part]] = {**_TAGS, "any": AnyVerify, "ip_allow": AddressVerify}
    return next((tag for tag, model in tags.items() if isinstance(value, model)), None)


_Single = (
    Annotated[HeaderVerify, Tag("header")]
    | Annotated[QueryVerify, Tag("query")]
    | Annotated[FieldVerify, Tag("field")]
    | Annotated[BasicVerify, Tag("basic")]
    | Annotated[BearerVerify, Tag("bearer")]
    | Annotated[TokenVerify, Tag("token")]
    | Annotated[PathTokenVerify, Tag("path_token")]
    | Annotated[HmacVerify, Tag("hmac")]
    | Annotated[DigestVerify, Tag("digest")]
    | Annotated[EcdsaVerify, Tag("ecdsa")]
    | Annotated[AddressVerify, Tag("ip_allow")]
)

_OneOfAny = Annotated[
    _Single,
    Discriminator(
        _way,
        custom_error_type="relay_verify",
        custom_error_message="each item names one way: "
        "header, query, field, basic, bearer, path_token, hmac, digest, ecdsa or ip_allow",
    ),
]


class AnyVerify(Way):
    """One of several ways suffices."""

    any: tuple[_OneOfAny, ...] = Field(
        min_length=1, description="The ways; one of them suffices.", examples=[[{"bearer": "${TOKEN}"}]]
    )


Verify = Annotated[
    Annotated[Literal["none"], Tag("none")] | _Single | Annotated[AnyVerify, Tag("any")],
    Discriminator(
        _way,
        custom_error_type="relay_verify",
        custom_error_message=f"`verify` is `none`, or names one way: {_NAMES}; several stand under `any`",
    ),
]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Verify)


def parsed(verify: Any) -> Any:
    """What would stand under `verify`, validated. Raises pydantic's ValidationError."""
    return _ADAPTER.validate_python(verify)


def _secrets_of(verify: object) -> tuple[SecretStr, ...]:
    match verify:
        case HeaderVerify() | QueryVerify() | FieldVerify():
            return verify.equals
        case BasicVerify():
            return verify.basic.password
        case BearerVerify():
            return verify.bearer
        case TokenVerify() | PathTokenVerify():
            return verify.token
        case HmacVerify():
            return verify.hmac.secret
        case DigestVerify():
            return verify.digest.secret
        case _:
            return ()


def plain_secrets(verify: object) -> Iterator[str]:
    """The secrets themselves, in the order written; of `any`, each once. Never show one.

    A public key counts as one: it is what the operator has from the vendor, and is changed like a secret.
    """
    match verify:
        case AnyVerify():
            yield from dict.fromkeys(secret for way in verify.any for secret in plain_secrets(way))
        case EcdsaVerify():
            yield from verify.ecdsa.public_key
        case _:
            yield from (secret.get_secret_value() for secret in _secrets_of(verify))


def ways_of(verify: object) -> tuple[object, ...]:
    """The ways one of which suffices; most often one."""
    return verify.any if isinstance(verify, AnyVerify) else (verify,)


def headers_of(verify: object) -> frozenset[str]:
    """The lower-case names of the headers that prove the sender."""
    names: set[str] = set()
    for way in ways_of(verify):
        match way:
            case HeaderVerify():
                names.add(way.header.lower())
            case HmacVerify() if way.hmac.header is not None:
                names.add(way.hmac.header.lower())
            case DigestVerify():
                names.add(way.digest.header.lower())
            case EcdsaVerify():
                names.add(way.ecdsa.header.lower())
            case BasicVerify() | BearerVerify():
                names.add("authorization")
            case _:
                pass
    return frozenset(names)


def params_of(verify: object) -> frozenset[str]:
    """The query parameters that prove the sender."""
    return frozenset(way.query for way in ways_of(verify) if isinstance(way, QueryVerify))


def places_of(verify: object) -> tuple[BodyPlace, ...]:
    """The places in the body that prove the sender."""
    places: list[BodyPlace] = []
    for way in ways_of(verify):
        if isinstance(way, FieldVerify):
            places.append(BodyPlace.of(way.field))
        elif isinstance(way, HmacVerify) and (place := way.hmac.signature_place()) is not None:
            places.append(place)
    return tuple(places)


def looks_into_body(verify: object) -> bool:
    """Whether the body has to be decoded, not only read, to find what proves the sender."""
    return any(
        isinstance(way, FieldVerify) or (settings is not None and settings.decodes())
        for way in ways_of(verify)
        for settings in [signature_of(way)]
    )


def signature_of(way: object) -> Signature | None:
    """What a way says of a signature, where it is one."""
    match way:
        case HmacVerify():
            return way.hmac
        case DigestVerify():
            return way.digest
        case EcdsaVerify():
            return way.ecdsa
        case _:
            return None
