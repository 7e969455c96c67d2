"""Secrets, header names and networks as pydantic fields, with messages that read as sentences."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from relay.sources.units import wrong

Network = IPv4Network | IPv6Network

#: In place of what is unset, so that the rest can be checked. It is good base64 and good hexadecimal.
STAND_IN = "0" * 32

#: RFC 9110's token: what a header's name may be made of.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: RFC 4291: an IPv4 address as IPv6 sees it, `::ffff:203.0.113.7`.
_MAPPED = IPv6Network("::ffff:0:0/96")


class Part(BaseModel):
    """A part of what stands under `verify`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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


def _networks(value: Any) -> tuple[Network, ...]:
    written = list(value) if isinstance(value, list | tuple) else [value]
    if not written:
        raise wrong("network", "the list of networks is empty: nobody could send anything")
    return tuple(_network(text) for text in written)


def _network(value: Any) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        message = f"{value!r} is no network: one is written 203.0.113.0/24 or 2001:db8::/32, or is a single address"
        raise wrong("network", message) from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        found = IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - 96))
    elif "/" in text and ip_network(text.partition("/")[0]).network_address != found.network_address:
        raise wrong("network", f"{text} is an address within a network: for the whole network, write {found}")
    if found.prefixlen == 0:
        raise wrong("network", f"{text} is everybody's address: leave it away, or write `verify: none`")
    return found


Networks = Annotated[
    tuple[Network, ...],
    BeforeValidator(_networks),
    PlainSerializer(lambda networks: [str(network) for network in networks], return_type=list[str]),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
