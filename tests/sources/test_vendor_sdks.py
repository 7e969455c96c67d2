"""The vendors' own libraries: what they sign is accepted, what `sign` makes they accept, and nothing else is."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hubspot.exceptions import InvalidSignatureTimestampError
from hubspot.utils.signature import Signature as HubspotSignature
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from sendgrid import EventWebhook
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature
from svix.webhooks import Webhook as SvixWebhook
from twilio.request_validator import RequestValidator

from relay.errors import ConfigError, RefusedError
from relay.sources.client import sign
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.presets import FILL_IN, filled
from relay.sources.verify import Verifier

URL = "https://relay.example.com/in/s?a=1&name=Z%C3%BCrich"
SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of 24 bytes.").decode()
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}

#: (body, secret, seconds since 1970) → the request as the library signs it.
Signs = Callable[[str, str, int], Inbound]
#: (request, secret) → what the library says of it.
Accepts = Callable[[Inbound, str], bool]


def request(body: str, headers: Mapping[str, str], url: str = URL) -> Inbound:
    query = tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    path = urlsplit(url).path
    return Inbound("POST", path, query, dict(headers), body.encode(), url=url)


@dataclass(frozen=True)
class Library:
    """verify  where there is no preset of that name, as it would stand in relay.yaml, with FILL_IN for the secret
    form    whether bodies are forms
    hex     whether signatures are hex, which may be written in capitals
    dated   whether there is a timestamp
    """

    name: str
    signs: Signs
    accepts: Accepts
    preset: str = ""
    verify: Mapping[str, Any] | None = None
    form: bool = False
    hex: bool = False
    dated: bool = True
    secret: str = SECRET
    other: str = OTHER

    def config(self, secret: str | list[str] = "") -> SourceConfig:
        secret = secret or self.secret
        if self.verify is not None:
            return SourceConfig.model_validate({"verify": filled(self.verify, secret)})
        return SourceConfig.model_validate({"preset": self.preset or self.name, "secret": secret})

    def text(self, text: str) -> str:
        """As a body of the kind the vendor sends."""
        return urlencode({"Body": text, "Empty": "", "To": "+44"}) if self.form else text

    def ours(self, body: str) -> Inbound:
        """What `sign` makes of it."""
        kind = FORM if self.form else JSON
        signed = sign(self.config(), body.encode(), seconds() * 1000, url=URL, path="/in/s", headers=kind)
        headers = {name.lower(): value for name, value in signed.headers.items()}
        url = f"{URL}&{urlencode(signed.query)}" if signed.query else URL
        return request(body, {**kind, **headers}, url)


def seconds() -> int:
    return int(time.time())


def stripe_signs(body: str, secret: str, at: int) -> Inbound:
    header = WebhookSignature.generate_signature_header(body, secret, at)
    return request(body, {"stripe-signature": header})


def stripe_accepts(sent: Inbound, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(sent.body, sent.headers.get("stripe-signature"), secret, 300))
    except SignatureVerificationError:
        return False


def slack_signs(body: str, secret: str, at: int) -> Inbound:
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
    assert signature is not None
    return request(body, {"x-slack-request-timestamp": str(at), "x-slack-signature": signature})


def slack_accepts(sent: Inbound, secret: str) -> bool:
    return SignatureVerifier(secret).is_valid_request(sent.body, dict(sent.headers))


def standard_signs(body: str, secret: str, at: int) -> Inbound:
    signature = StandardWebhook(secret).sign("msg_1", datetime.fromtimestamp(at, UTC), body)
    return request(body, {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature})


def standard_accepts(sent: Inbound, secret: str) -> bool:
    try:
        StandardWebhook(secret).verify(sent.body, dict(sent.headers), json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def svix_signs(body: str, secret: str, at: int) -> Inbound:
    signature = SvixWebhook(secret).sign("msg_1", datetime.fromtimestamp(at, UTC), body)
    return request(body, {"svix-id": "msg_1", "svix-timestamp": str(at), "svix-signature": signature})


def svix_accepts(sent: Inbound, secret: str) -> bool:
    try:
        SvixWebhook(secret).verify(sent.body, dict(sent.headers))
    except WebhookVerificationError:
        return False
    return True


def twilio_form(sent: Inbound) -> MultiDict[str]:
    return MultiDict(parse_qsl(sent.body.decode(), keep_blank_values=True))


def twilio_form_signs(body: str, secret: str, _at: int) -> Inbound:
    sent = request(body, FORM)
    signature = RequestValidator(secret).compute_signature(sent.url, twilio_form(sent))
    return replace(sent, headers={**FORM, "x-twilio-signature": signature})


def twilio_form_accepts(sent: Inbound, secret: str) -> bool:
    signature = sent.headers.get("x-twilio-signature", "")
    return bool(RequestValidator(secret).validate(sent.url, twilio_form(sent), signature))


def twilio_json_signs(body: str, secret: str, _at: int) -> Inbound:
    validator = RequestValidator(secret)
    url = f"{URL}&bodySHA256={validator.compute_hash(body)}"
    return request(body, {**JSON, "x-twilio-signature": validator.compute_signature(url, {})}, url)


def twilio_json_accepts(sent: Inbound, secret: str) -> bool:
    signature = sent.headers.get("x-twilio-signature", "")
    return bool(RequestValidator(secret).validate(sent.url, sent.body.decode(), signature))


def hubspot(version: str, header: str) -> tuple[Signs, Accepts]:
    def signs(body: str, secret: str, at: int) -> Inbound:
        written = str(at * 1000)
        signature = HubspotSignature.get_signature(secret, body, version, URL, "POST", written)
        return request(
            body, {header: signature, **({"x-hubspot-request-timestamp": written} if version == "v3" else {})}
        )

    def accepts(sent: Inbound, secret: str) -> bool:
        signature, timestamp = sent.headers.get(header, ""), sent.headers.get("x-hubspot-request-timestamp")
        try:
            return HubspotSignature.is_valid(
                signature, secret, sent.body.decode(), sent.url, sent.method, version, timestamp
            )
        except InvalidSignatureTimestampError:
            return False

    return signs, accepts


def digest(signed: str) -> dict[str, Any]:
    return {"digest": {"header": "X-HubSpot-Signature", "secret": FILL_IN, "signed": signed}}


#: Two vendors: of each, the public key as SendGrid shows it, and the private one.
KEYS = {
    base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode(): key
    for key in (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))
}
SENDGRID = "x-twilio-email-event-webhook-signature"
SENDGRID_TIME = "x-twilio-email-event-webhook-timestamp"


def sendgrid_signs(body: str, public_key: str, at: int) -> Inbound:
    """The library only checks: the signature is made by PyPI cryptography."""
    signature = KEYS[public_key].sign(f"{at}{body}".encode(), ec.ECDSA(hashes.SHA256()))
    return request(body, {SENDGRID: base64.b64encode(signature).decode(), SENDGRID_TIME: str(at)})


def sendgrid_accepts(sent: Inbound, public_key: str) -> bool:
    signature, timestamp = sent.headers.get(SENDGRID, ""), sent.headers.get(SENDGRID_TIME, "")
    return EventWebhook(public_key).verify_signature(sent.body.decode(), signature, timestamp)


V3 = {
    "hmac": {
        "header": "X-HubSpot-Signature-v3",
        "secret": FILL_IN,
        "encoding": "base64",
        "signed": "{method}{url}{body}{timestamp}",
        "timestamp": {"header": "X-HubSpot-Request-Timestamp", "format": "milliseconds"},
    }
}

LIBRARIES = [
    Library("stripe", stripe_signs, stripe_accepts, hex=True),
    Library("slack", slack_signs, slack_accepts, hex=True),
    Library("standard-webhooks", standard_signs, standard_accepts),
    Library("svix", svix_signs, svix_accepts),
    Library("twilio, form", twilio_form_signs, twilio_form_accepts, preset="twilio", form=True, dated=False),
    Library("twilio, JSON", twilio_json_signs, twilio_json_accepts, preset="twilio", dated=False),
    Library(
        "hubspot v1", *hubspot("v1", "x-hubspot-signature"), verify=digest("{secret}{body}"), hex=True, dated=False
    ),
    Library(
        "hubspot v2",
        *hubspot("v2", "x-hubspot-signature"),
        verify=digest("{secret}{method}{url}{body}"),
        hex=True,
        dated=False,
    ),
    Library("hubspot v3", *hubspot("v3", "x-hubspot-signature-v3"), verify=V3),
    Library("hubspot", *hubspot("v3", "x-hubspot-signature-v3")),
    Library("sendgrid", sendgrid_signs, sendgrid_accepts, secret=min(KEYS), other=max(KEYS)),
]

each = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
each_that_we_can_sign_for = pytest.mark.parametrize(
    "library", [one for one in LIBRARIES if one.name != "sendgrid"], ids=lambda library: library.name
)

#: What a body can be where the library takes text.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.dictionaries(st.text(), st.one_of(st.text(), st.integers())).map(lambda d: json.dumps(d, ensure_ascii=True)),
)


def refused(config: SourceConfig, sent: Inbound) -> str:
    with pytest.raises(RefusedError) as caught:
        Verifier(config).verify(sent, seconds() * 1000)
    assert caught.value.status == 401
    return caught.value.reason


@each
@settings(max_examples=40, deadline=None)
@given(text=TEXTS)
def test_what_the_library_signs_is_accepted(library: Library, text: str) -> None:
    sent = library.signs(library.text(text), library.secret, seconds())
    assert library.accepts(sent, library.secret)
    assert Verifier(library.config()).verify(sent, seconds() * 1000) == "1 of 1"
    assert Verifier(library.config([library.other, library.secret])).verify(sent, seconds() * 1000) == "2 of 2"


@each_that_we_can_sign_for
@settings(max_examples=40, deadline=None)
@given(text=TEXTS)
def test_the_library_accepts_what_we_sign(library: Library, text: str) -> None:
    sent = library.ours(library.text(text))
    assert library.accepts(sent, library.secret)
    assert not library.accepts(sent, library.other)
    assert Verifier(library.config()).verify(sent, seconds() * 1000) == "1 of 1"


def test_nobody_but_the_vendor_can_sign_with_a_key_that_it_keeps() -> None:
    sendgrid = next(library for library in LIBRARIES if library.name == "sendgrid")
    with pytest.raises(ConfigError, match="it alone has the private key"):
        sendgrid.ours("[]")


@each
@settings(max_examples=40, deadline=None)
@given(text=TEXTS, data=st.data())
def test_one_changed_bit_is_refused(library: Library, text: str, data: st.DataObject) -> None:
    sent = library.signs(library.text(text), library.secret, seconds())
    signed = [name for name in sent.headers if name != "content-type"]
    where = data.draw(st.sampled_from(["body", *signed]))
    # Not within the length: of ECDSA, no two signatures are alike, nor always of one length.
    place = data.draw(st.integers(0, 10_000))
    if where == "body":
        body = bytearray(sent.body)
        body[place % len(body)] ^= 1 << data.draw(st.integers(0, 7))
        if library.form and twilio_form(sent) == fields_of(bytes(body)):
            return  # `%2b` is `%2B`: of a form, the fields are signed, not their spelling
        sent = replace(sent, body=bytes(body))
    else:
        value = sent.headers[where]
        place %= len(value)
        changed = value[:place] + chr(ord(value[place]) ^ (1 << data.draw(st.integers(0, 6)))) + value[place + 1 :]
        if library.hex and changed.lower() == value.lower():
            return
        sent = replace(sent, headers={**sent.headers, where: changed})
    refused(library.config(), sent)


def fields_of(body: bytes) -> MultiDict[str] | None:
    try:
        return MultiDict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        return None


@each
def test_a_missing_header_is_refused_by_name(library: Library) -> None:
    sent = library.signs(library.text("Zoë"), library.secret, seconds())
    for missing in sent.headers:
        if missing == "content-type" and not library.form:
            continue
        headers = {name: value for name, value in sent.headers.items() if name != missing}
        assert missing in refused(library.config(), replace(sent, headers=headers))


@each
def test_another_secret_is_refused(library: Library) -> None:
    sent = library.signs(library.text("Zoë"), library.other, seconds())
    assert not library.accepts(sent, library.secret)
    reason = refused(library.config(), sent)
    assert library.secret not in reason
    assert library.other not in reason


@pytest.mark.parametrize("library", [one for one in LIBRARIES if one.dated], ids=lambda library: library.name)
def test_an_old_timestamp_is_refused(library: Library) -> None:
    skew = 86_400 + 60 if library.name == "sendgrid" else 360
    sent = library.signs(library.text("Zoë"), library.secret, seconds() - skew)
    # SendGrid's library leaves the timestamp to who calls it.
    assert library.accepts(sent, library.secret) == (library.name == "sendgrid")
    assert "behind our clock" in refused(library.config(), sent)


@pytest.mark.parametrize(
    "called",
    [
        "https://relay.example.com/in/s?a=1",
        "https://relay.example.com:443/in/s?a=1",
        "https://relay.example.com:8443/in/s?a=1",
        "http://relay.example.com/in/s",
        "http://relay.example.com:80/in/s",
    ],
)
def test_twilio_may_sign_the_address_with_its_port_or_without(called: str) -> None:
    twilio = next(library for library in LIBRARIES if library.name == "twilio, form")
    parts = urlsplit(called)
    for netloc in (parts.netloc, parts.hostname, f"{parts.hostname}:{443 if parts.scheme == 'https' else 80}"):
        assert netloc is not None
        signed = parts._replace(netloc=netloc).geturl()
        signature = RequestValidator(SECRET).compute_signature(signed, {"Body": "hi"})
        sent = request("Body=hi", {**FORM, "x-twilio-signature": signature}, called)
        if twilio.accepts(sent, SECRET):
            assert Verifier(twilio.config()).verify(sent, 0) == "1 of 1"
        else:
            refused(twilio.config(), sent)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "1", "2", "ë", "+", "&"])), max_size=8))
def test_twilio_signs_repeated_fields_once_and_sorted(fields: list[tuple[str, str]]) -> None:
    twilio = next(library for library in LIBRARIES if library.name == "twilio, form")
    sent = twilio.signs(urlencode(fields), SECRET, 0)
    assert parse_qs(sent.body.decode(), keep_blank_values=True).keys() == dict(fields).keys()
    assert Verifier(twilio.config()).verify(sent, 0) == "1 of 1"
    assert twilio.accepts(twilio.ours(urlencode(fields)), SECRET)


def test_a_body_that_twilio_has_not_signed_is_refused() -> None:
    twilio = next(library for library in LIBRARIES if library.name == "twilio, form")
    without_body = twilio.signs("", SECRET, 0)
    assert Verifier(twilio.config()).verify(without_body, 0) == "1 of 1"
    reason = refused(twilio.config(), replace(without_body, headers={**without_body.headers, **JSON}, body=b"{}"))
    assert "bodySHA256 is missing" in reason


def test_an_address_with_two_hashes_of_its_body_is_refused() -> None:
    twilio = next(library for library in LIBRARIES if library.name == "twilio, JSON")
    sent = twilio.signs("{}", SECRET, 0)
    twice = replace(sent, query=(*sent.query, ("bodySHA256", "0" * 64)))
    assert "2 times" in refused(twilio.config(), twice)


def test_twilios_newer_keys_sign_with_sha256() -> None:
    twilio = {
        "header": "X-Twilio-Signature",
        "secret": SECRET,
        "algorithm": "sha256",
        "encoding": "base64",
        "signed": "{url}{form}",
    }
    config = SourceConfig.model_validate({"verify": {"hmac": twilio}})
    signature = RequestValidator(SECRET).compute_signature(URL, {"Body": "hi"}, "HMAC_SHA256")
    sent = request("Body=hi", {**FORM, "x-twilio-signature": signature})
    assert Verifier(config).verify(sent, 0) == "1 of 1"
