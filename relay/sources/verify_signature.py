"""Whether a signature is right: in a header or in the body, over what its source says, and not too old."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from relay.clock import to_ms
from relay.model import JSON
from relay.sources.inbound import Inbound
from relay.sources.place import BodyPlace
from relay.sources.signature_config import Digest, Ecdsa, Hmac, Signature, Timestamp, public_key
from relay.sources.signed import digest_of, hmac_of, is_form, message, pieces, raw, refuse, with_ports

#: A request's body, decoded; refuses it where it can't be.
Read = Callable[[Inbound], JSON]


def matching(found: bytes, secrets: Sequence[bytes]) -> str | None:
    """Compares with each secret, also after a match, so that the time doesn't tell which one it was."""
    place = 0
    for number, secret in enumerate(secrets, 1):
        if hmac.compare_digest(found, secret):
            place = number
    return f"{place} of {len(secrets)}" if place else None


def none_of(secrets: Sequence[object]) -> str:
    return "the secret" if len(secrets) == 1 else f"any of the {len(secrets)} secrets"


class _SignatureCheck:
    """What all of them do; how a signature is told to be right is each one's own."""

    __slots__ = ("_count", "_header", "_place", "_read", "_timestamp", "_where")

    def __init__(self, settings: Signature, header: str | None, count: int, read: Read) -> None:
        self._header = (header or "").lower()
        self._place = settings.signature_place()
        self._where = self._header or str(self._place)
        self._count = count
        self._timestamp = _TimestampCheck(settings.timestamp) if settings.timestamp else None
        self._read = read if settings.decodes() else None

    def __call__(self, request: Inbound, now_ms: int) -> str:
        data = self._read(request) if self._read else None
        value = self._written(request, data)
        timestamp = self._timestamp.read(request, value, data) if self._timestamp else ""
        matched = self._matched(request, value, timestamp, data)
        if matched is None:
            secrets = none_of(range(self._count))
            refuse(f"the signature in {self._where} wasn't made with {secrets} over this body")
        # Only now: a skew is worth reporting where the signature is right, and is a stranger's word where it isn't.
        if self._timestamp:
            self._timestamp.check(timestamp, now_ms)
        return matched

    def _written(self, request: Inbound, data: JSON) -> str:
        if self._place is None:
            value = request.headers.get(self._header)
            if value is None:
                refuse(f"the header {self._header} is missing: the request isn't signed")
            return value
        value = self._place.text(data)
        if value is None:
            refuse(f"the body has no text at {self._place}: the request isn't signed")
        return value

    def _matched(self, request: Inbound, value: str, timestamp: str, data: JSON) -> str | None:
        raise NotImplementedError


class HmacCheck(_SignatureCheck):
    """One scheme of signatures. `signed` is cut into its parts once; a request costs one HMAC a secret."""

    __slots__ = ("_covers", "_keys", "_pieces", "_settings")

    def __init__(self, settings: Hmac, read: Read) -> None:
        self._settings = settings
        self._keys = settings.keys()
        self._pieces = pieces(settings)
        # Otherwise a body that is no form would not be signed at all.
        self._covers = settings.body_hash is not None or ("{body}" not in settings.signed and settings.body is None)
        super().__init__(settings, settings.header, len(self._keys), read)

    def _matched(self, request: Inbound, value: str, timestamp: str, data: JSON) -> str | None:
        candidates = self._candidates(value)
        if self._covers:
            self._check_that_the_body_is_covered(request)
        urls = with_ports(request) if self._settings.ports else (request,)
        messages = [message(self._pieces, one, timestamp, data) for one in urls]
        matched = None
        for signed in messages:
            expected = [hmac_of(key, signed, self._settings) for key in self._keys]
            for candidate in candidates:
                matched = matching(candidate, expected) or matched
        return matched

    def _candidates(self, value: str) -> list[bytes]:
        settings = self._settings
        if settings.field:
            written = [found for name, found in _fields(value) if name == settings.field]
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
            refuse(f"{f'the header {self._header}' if self._header else self._where} doesn't hold {what}")
        return signatures

    def _check_that_the_body_is_covered(self, request: Inbound) -> None:
        name, signed = self._settings.body_hash, self._settings.signed
        hashes = [value for key, value in request.query if key == name] if name else []
        if len(hashes) > 1:
            refuse(f"the query parameter {name} is there {len(hashes)} times")
        if hashes:
            found = hashlib.sha256(request.body).hexdigest()
            if not hmac.compare_digest(raw(hashes[0]).lower(), found.encode()):
                refuse(f"the query parameter {name} isn't the SHA-256 of this body")
        elif request.body and "{body}" not in signed and not ("{form}" in signed and is_form(request)):
            missing = f", and the query parameter {name} is missing" if name else ""
            refuse(f"the body isn't a form, by its content-type, so it isn't signed{missing}")


class DigestCheck(_SignatureCheck):
    """A plain hash: the secret is a part of what is hashed."""

    __slots__ = ("_pieces", "_settings")

    def __init__(self, settings: Digest, read: Read) -> None:
        self._settings = settings
        self._pieces = [pieces(settings, secret.get_secret_value().encode()) for secret in settings.secret]
        super().__init__(settings, settings.header, len(self._pieces), read)

    def _matched(self, request: Inbound, value: str, timestamp: str, data: JSON) -> str | None:
        settings = self._settings
        if not value.startswith(settings.prefix):
            refuse(f"the header {self._header} doesn't hold a signature that begins with {settings.prefix}")
        if "{body}" not in settings.signed and request.body and not is_form(request):
            refuse("the body isn't a form, by its content-type, so it isn't signed")
        found = raw(value.strip()[len(settings.prefix) :])
        expected = [digest_of(message(made, request, timestamp, data), settings) for made in self._pieces]
        return matching(found.lower() if settings.encoding == "hex" else found, expected)


class EcdsaCheck(_SignatureCheck):
    """Made with a key that only the vendor has. There is no secret on our side whose time could tell anything."""

    __slots__ = ("_keys", "_pieces", "_settings")

    def __init__(self, settings: Ecdsa, read: Read) -> None:
        self._settings = settings
        self._keys = [public_key(text) for text in settings.public_key]
        self._pieces = pieces(settings)
        super().__init__(settings, settings.header, len(self._keys), read)

    def _matched(self, request: Inbound, value: str, timestamp: str, data: JSON) -> str | None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        if "{body}" not in self._settings.signed and request.body and not is_form(request):
            refuse("the body isn't a form, by its content-type, so it isn't signed")
        written = raw(value.strip())
        try:
            signature = base64.b64decode(written, validate=True)
        except (ValueError, binascii.Error):
            signature = b""
        # The last character of base64 has bits to spare: only one way to write them is taken.
        if not signature or base64.b64encode(signature) != written:
            refuse(f"the header {self._header} isn't base64")
        signed = message(self._pieces, request, timestamp, data)
        for number, key in enumerate(self._keys, 1):
            try:
                key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                continue
            return f"{number} of {len(self._keys)}"
        return None


def _fields(value: str) -> list[tuple[str, str]]:
    """`t=1,v1=abc` as pairs."""
    pairs = (part.partition("=") for part in value.split(","))
    return [(name.strip(), found.strip()) for name, _, found in pairs]


class _TimestampCheck:
    """Where the timestamp is, and how far it may be from our clock."""

    __slots__ = ("_field", "_format", "_header", "_name", "_place", "_tolerance_ms")

    def __init__(self, settings: Timestamp) -> None:
        self._header = (settings.header or "").lower()
        self._field = settings.field
        self._place = BodyPlace.of(settings.body) if settings.body is not None else None
        self._name = self._header or (f"the field {self._field}" if self._field else f"{self._place} of the body")
        self._tolerance_ms = round(settings.tolerance.total_seconds() * 1000)
        self._format = settings.format

    def read(self, request: Inbound, value: str, data: JSON) -> str:
        """value: of the signature's header, which may hold the timestamp too."""
        if self._header:
            found = request.headers.get(self._header)
        elif self._place is not None:
            found = self._place.text(data)
        else:
            found = next((text for name, text in _fields(value) if name == self._field), None)
        if not found:
            refuse(f"the timestamp, {self._name}, is missing")
        return found

    def check(self, timestamp: str, now_ms: int) -> None:
        skew_ms = self._ms(timestamp) - now_ms
        if abs(skew_ms) > self._tolerance_ms:
            direction = "ahead of" if skew_ms > 0 else "behind"
            refuse(
                f"the signature is right, but its timestamp is {abs(skew_ms) / 1000:.0f} s {direction} our clock, and "
                f"{self._tolerance_ms / 1000:.0f} s are allowed: a replay, a late repeat, or a clock that is wrong"
            )

    def _ms(self, timestamp: str) -> int:
        if self._format == "iso":
            try:
                moment = datetime.fromisoformat(timestamp)
                return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
            except (ValueError, OverflowError):
                refuse(f"the timestamp, {self._name}, isn't an ISO 8601 date and time")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
            refuse(f"the timestamp, {self._name}, isn't a number of {self._format}")
        return int(timestamp) * (1000 if self._format == "seconds" else 1)
