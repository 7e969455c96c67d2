"""Whether a request is from whom it says: over the raw bytes, in constant time, before anything else is believed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

from relay.errors import BodyError, RefusedError
from relay.model import JSON
from relay.sources.config import SourceConfig
from relay.sources.decode import decode
from relay.sources.fields import Network
from relay.sources.inbound import Inbound
from relay.sources.place import BodyPlace, as_text
from relay.sources.signed import raw, refuse
from relay.sources.unpack import unpack
from relay.sources.verify_config import (
    AddressVerify,
    AnyVerify,
    BasicVerify,
    BearerVerify,
    DigestVerify,
    EcdsaVerify,
    FieldVerify,
    HeaderVerify,
    HmacVerify,
    PathTokenVerify,
    QueryVerify,
    TokenVerify,
    Way,
    plain_secrets,
)
from relay.sources.verify_signature import DigestCheck, EcdsaCheck, HmacCheck, Read, matching, none_of

#: What `Verifier.verify` says of a source that takes requests from anybody,
UNVERIFIED = "unverified"
#: and of one that asks for nothing but the sender's address.
ADDRESS = "address"

#: To how much a stranger's packed body is unpacked, to see whether it holds the proof.
_MOST_UNPROVEN_BYTES = 1_000_000

Check = Callable[[Inbound, int], str]


class Verifier:
    """Built once for a source; what it needs of the configuration is worked out then."""

    __slots__ = ("_check",)

    def __init__(self, config: SourceConfig) -> None:
        self._check = _check_of(config.verify, _reader(config))

    def verify(self, request: Inbound, now_ms: int) -> str:
        """Which secret matched, as `1 of 2`. Raises RefusedError (401) with the reason for the log."""
        return self._check(request, now_ms)


def which(matched: str) -> int:
    """The place of the secret in its list, from 0, out of what `Verifier.verify` gave."""
    return int(matched.split()[0]) - 1 if matched not in (UNVERIFIED, ADDRESS) else 0


def _reader(config: SourceConfig) -> Read:
    def read(request: Inbound) -> JSON:
        content_type = request.headers.get("content-type", "")
        how, json_field = config.decode, config.json_field
        try:
            most = min(config.max_body, _MOST_UNPROVEN_BYTES)
            body = unpack(request.body, request.headers.get("content-encoding", ""), most)
            return decode(body, content_type, request.query, request.method, how=how, json_field=json_field)
        except BodyError as error:
            refuse(f"what verifies the request is in its body, and {error}")

    return read


def _check_of(verify: object, read: Read) -> Check:
    check = _check_of_way(verify, read)
    if isinstance(verify, Way) and verify.ip_allow is not None:
        return _address_check(verify.ip_allow, check)
    return check


def _check_of_way(verify: object, read: Read) -> Check:
    match verify:
        case HeaderVerify():
            check = _header_check(verify.header.lower(), _utf8(verify))
        case QueryVerify():
            check = _query_check(verify.query, _utf8(verify))
        case FieldVerify():
            check = _field_check(BodyPlace.of(verify.field), _utf8(verify), read)
        case TokenVerify() | PathTokenVerify():
            check = _token_check(_utf8(verify))
        case BearerVerify():
            check = _bearer_check(_utf8(verify))
        case BasicVerify():
            check = _basic_check(verify.basic.username, tuple(plain_secrets(verify)))
        case HmacVerify() | DigestVerify() | EcdsaVerify():
            check = _signature_check(verify, read)
        case AnyVerify():
            check = _any_check(verify, read)
        case AddressVerify():
            check = _nothing_more(ADDRESS)
        case "none":
            check = _nothing_more(UNVERIFIED)
        case _:
            raise AssertionError(f"a source without verify: {type(verify).__name__}")
    return check


def _signature_check(verify: HmacVerify | DigestVerify | EcdsaVerify, read: Read) -> Check:
    if isinstance(verify, HmacVerify):
        return HmacCheck(verify.hmac, read)
    if isinstance(verify, DigestVerify):
        return DigestCheck(verify.digest, read)
    return EcdsaCheck(verify.ecdsa, read)


def _nothing_more(said: str) -> Check:
    return lambda _request, _now_ms: said


def _utf8(verify: object) -> tuple[bytes, ...]:
    return tuple(secret.encode() for secret in plain_secrets(verify))


def _address_check(networks: Iterable[Network], check: Check) -> Check:
    allowed = tuple(networks)

    def address_check(request: Inbound, now_ms: int) -> str:
        try:
            address = ip_address(request.remote)
        except ValueError:
            refuse("the sender's address isn't known, and `ip_allow` asks for it")
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not any(address in network for network in allowed):
            refuse(f"the address {address} is in none of the networks of `ip_allow`")
        return check(request, now_ms)

    return address_check


def _any_check(verify: AnyVerify, read: Read) -> Check:
    places = {secret: number for number, secret in enumerate(plain_secrets(verify), 1)}
    ways: list[tuple[Check, tuple[str, ...]]] = []
    for way in verify.any:
        # What a way calls "2 of 2" by the place among all the secrets of the source.
        names = tuple(f"{places[secret]} of {len(places)}" for secret in plain_secrets(way))
        ways.append((_check_of(way, read), names))

    def check(request: Inbound, now_ms: int) -> str:
        reasons: list[str] = []
        for way, names in ways:
            try:
                matched = way(request, now_ms)
            except RefusedError as refused:
                reasons.append(refused.reason)
            else:
                return names[which(matched)] if names else matched
        return refuse(f"none of the {len(ways)} ways: {'; '.join(reasons)}")

    return check


def _header_check(name: str, secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        value = request.headers.get(name)
        if value is None:
            refuse(f"the header {name} is missing")
        return matching(raw(value), secrets) or refuse(f"the header {name} doesn't equal {none_of(secrets)}")

    return check


def _query_check(name: str, secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        values = [value for key, value in request.query if key == name]
        if not values:
            refuse(f"the query parameter {name} is missing")
        if len(values) > 1:
            refuse(f"the query parameter {name} is there {len(values)} times")
        found = values[0].encode("utf-8", "surrogatepass")
        return matching(found, secrets) or refuse(f"the query parameter {name} doesn't equal {none_of(secrets)}")

    return check


def _field_check(place: BodyPlace, secrets: tuple[bytes, ...], read: Read) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        found = [as_text(value) for value in place.found(read(request))]
        if not found or None in found:
            many = f"; {found.count(None)} of {len(found)} items have none" if len(found) > 1 else ""
            refuse(f"the body has no text at {place}{many}")
        # During a change of secrets, a list may have some of each.
        matched = [
            matching(text.encode("utf-8", "surrogatepass"), secrets)
            for text in dict.fromkeys(found)
            if text is not None
        ]
        if None in matched:
            refuse(f"{place} of the body doesn't equal {none_of(secrets)}")
        return matched[0] or refuse(f"the body has nothing at {place}")

    return check


def _token_check(secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        if not request.token:
            refuse("the address has no token: it is /in/<source>/<token>")
        found = request.token.encode("utf-8", "surrogatepass")
        return matching(found, secrets) or refuse(f"the token in the address isn't {none_of(secrets)}")

    return check


def _authorization(request: Inbound, scheme: str) -> bytes:
    value = request.headers.get("authorization")
    if value is None:
        refuse("the header authorization is missing")
    found, _, credentials = value.strip().partition(" ")
    if found.lower() != scheme:
        refuse(f"the header authorization isn't of the scheme {scheme.capitalize()}")
    return raw(credentials.strip())


def _bearer_check(secrets: tuple[bytes, ...]) -> Check:
    def check(request: Inbound, _now_ms: int) -> str:
        found = _authorization(request, "bearer")
        return matching(found, secrets) or refuse(f"the bearer token isn't {none_of(secrets)}")

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
            refuse("the header authorization isn't base64")
        matches = [matching(found, spelled) for spelled in known]
        return next(filter(None, matches), None) or refuse("user name and password aren't the ones of the source")

    return check
