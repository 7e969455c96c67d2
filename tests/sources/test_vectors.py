"""Signatures the vendors themselves have published, and what becomes of them when anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.presets import FILL_IN, filled
from relay.sources.verify import Verifier


@dataclass(frozen=True)
class Vector:
    """verify: where no preset has it, as it would stand in relay.yaml, with FILL_IN for the secret."""

    preset: str
    secret: str
    body: bytes
    headers: Mapping[str, str]
    signature: str
    signed_at_ms: int = 0
    timestamp: str | None = None
    tolerance: int = 300
    verify: Mapping[str, Any] | None = None
    method: str = "POST"
    url: str = ""
    other: str = "whsec_" + "A" * 32

    @property
    def request(self) -> Inbound:
        query = tuple(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))
        return Inbound(self.method, query=query, headers=self.headers, body=self.body, url=self.url)

    def verifier(self, *secrets: str) -> Verifier:
        if self.verify is not None:
            return Verifier(SourceConfig.model_validate({"verify": filled(self.verify, list(secrets))}))
        return Verifier(SourceConfig.model_validate({"preset": self.preset, "secret": list(secrets)}))


FORM = {"content-type": "application/x-www-form-urlencoded"}

TWILIO = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO_FORM = b"Digits=1234&CallSid=CA1234567890ABCDE&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309"
TWILIO_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

HUBSPOT = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
HUBSPOT_URL = "https://www.example.com/webhook_uri"


def twilio(signature: str, url: str = TWILIO, body: bytes = TWILIO_FORM) -> Vector:
    headers = {"x-twilio-signature": signature, **({} if body.startswith(b"{") else FORM)}
    return Vector("twilio", "12345", body, headers, "x-twilio-signature", url=url)


def octokit(body: str, signature: str) -> Vector:
    headers = {"x-hub-signature-256": f"sha256={signature}"}
    return Vector("github", "It's a Secret to Everybody", body.encode(), headers, "x-hub-signature-256")


def hubspot(signed: str, signature: str, body: bytes, method: str = "POST") -> Vector:
    digest = {"header": "X-HubSpot-Signature", "secret": FILL_IN, "signed": signed}
    headers = {"x-hubspot-signature": signature}
    name, verify = "x-hubspot-signature", {"digest": digest}
    return Vector("hubspot", HUBSPOT, body, headers, name, verify=verify, method=method, url=HUBSPOT_URL)


VECTORS = [
    # docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
    Vector(
        preset="github",
        secret="It's a Secret to Everybody",
        body=b"Hello, World!",
        headers={
            "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        },
        signed_at_ms=0,
        signature="x-hub-signature-256",
    ),
    # The test suites of the Standard Webhooks and Svix libraries.
    Vector(
        preset="standard-webhooks",
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        body=b'{"test": 2432232314}',
        headers={
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        signed_at_ms=1614265330_000,
        signature="webhook-signature",
        timestamp="webhook-timestamp",
    ),
    Vector(
        preset="svix",
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        body=b'{"test": 2432232314}',
        headers={
            "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "svix-timestamp": "1614265330",
            "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        signed_at_ms=1614265330_000,
        signature="svix-signature",
        timestamp="svix-timestamp",
    ),
    # api.slack.com, "Verifying requests from Slack".
    Vector(
        preset="slack",
        secret="8f742231b10e8888abcd99yyyzzz85a5",
        body=(
            b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
            b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
            b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
            b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
        ),
        headers={
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        signed_at_ms=1531420618_000,
        signature="x-slack-signature",
        timestamp="x-slack-request-timestamp",
    ),
    # What npm @octokit/webhooks-methods 6.0.0 made by `sign(secret, body)`.
    octokit(
        '{"zen":"Practicality beats purity.","hook_id":1}',
        "4a8773b09187c54bb6cec0f7bc4095d7de9ddcc64f258fb8179df43abd97b0f4",
    ),
    octokit(
        '{"text":"Zoë – 🦎 – \\u00e9","n":12345678901234567890}',
        "667d1e7dd8bf3c118cac6cf383fb62bbe9bfe51af6a0e52a8fba63aec8497d06",
    ),
    octokit(
        "payload=%7B%22zen%22%3A%22Design%20for%20failure.%22%7D",
        "acdfae3972370e802a38fd309a357a43cbd454368510528161e7d9a98d039d0b",
    ),
    # The test suites of twilio-python and twilio-ruby: a form; fields that are there twice; the address with and
    # without its port; JSON, by its hash in the address.
    twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    twilio("IK+Dwps556ElfBT0I3Rgjkr1wJU=", body=b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"),
    twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", TWILIO.replace(".com", ".com:1234")),
    twilio("Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", TWILIO.replace(".com", ".com:1234").replace("https", "http")),
    twilio("kvajT1Ptam85bY51eRf/AJRuM3w="),
    twilio("0ZXoZLH/DfblKGATFgpif+LLRf4=", TWILIO.replace("https", "http")),
    twilio("CukzLTc1tT5dXEDIHm/tKBanW10=", TWILIO.replace("//", "//user:pass@")),
    twilio("2YRLlVAflCqxaNicjMpJcSTgzSs=", TWILIO.replace("//", "//user@")),
    twilio("ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=", TWILIO.replace("//", "//user:pass@")),
    twilio(
        "a9nBmqA0ju/hNViExpshrM61xv4=",
        f"{TWILIO}&bodySHA256={TWILIO_HASH}",
        b'{"property": "value", "boolean": true}',
    ),
    twilio(
        "y77kIzt2vzLz71DgmJGsen2scGs=",
        f"https://mycompany.com/myapp.php?bodySHA256={TWILIO_HASH}",
        b'{"property": "value", "boolean": true}',
    ),
    # The test suite of sendgrid-python.
    Vector(
        preset="sendgrid",
        secret=(
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVp"
            "iglSI8eNEc6wEA3F+g=="
        ),
        body=(
            b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
            b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
            b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
            b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
        ),
        headers={
            "x-twilio-email-event-webhook-signature": (
                "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
            ),
            "x-twilio-email-event-webhook-timestamp": "1600112502",
        },
        signature="x-twilio-email-event-webhook-signature",
        signed_at_ms=1600112502_000,
        timestamp="x-twilio-email-event-webhook-timestamp",
        tolerance=86_400,
        other=(
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7G"
            "jUuFDb/R1NGe1OPzpA=="
        ),
    ),
    # legacydocs.hubspot.com, "Validating the v1 request signature" and "Validating the v2 request signature".
    hubspot(
        "{secret}{body}",
        "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de",
        b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
        b'"changeFlag":"NEW","appId":54321}]',
    ),
    hubspot(
        "{secret}{method}{url}{body}", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e", b"", "GET"
    ),
    hubspot(
        "{secret}{method}{url}{body}",
        "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
        b'{"example_field":"example_value"}',
    ),
    # The test suite of hubspot-api-python.
    Vector(
        preset="hubspot",
        secret=HUBSPOT,
        body=b"{'example_field':'example_value'}",
        headers={
            "x-hubspot-signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
            "x-hubspot-request-timestamp": "15000000",
        },
        signature="x-hubspot-signature-v3",
        signed_at_ms=15_000_000,
        timestamp="x-hubspot-request-timestamp",
        url=HUBSPOT_URL,
    ),
]

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.preset)
each_dated_vector = pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS if vector.timestamp], ids=lambda vector: vector.preset
)


def refusal(verifier: Verifier, request: Inbound, now_ms: int) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        verifier.verify(request, now_ms)
    assert caught.value.status == 401
    assert caught.value.detail == "unauthorized"
    return caught.value


@each_vector
def test_the_published_signature_is_accepted(vector: Vector) -> None:
    assert vector.verifier(vector.secret).verify(vector.request, vector.signed_at_ms) == "1 of 1"


@each_vector
def test_the_matching_secret_of_two_is_named(vector: Vector) -> None:
    assert vector.verifier(vector.other, vector.secret).verify(vector.request, vector.signed_at_ms) == "2 of 2"


@each_vector
def test_a_body_with_one_changed_byte_is_refused(vector: Vector) -> None:
    verifier = vector.verifier(vector.secret)
    for place in range(len(vector.body)):
        changed = bytearray(vector.body)
        changed[place] ^= 1
        refusal(verifier, replace(vector.request, body=bytes(changed)), vector.signed_at_ms)


@each_vector
def test_a_signature_with_one_changed_character_is_refused(vector: Vector) -> None:
    verifier = vector.verifier(vector.secret)
    signature = vector.headers[vector.signature]
    for place in range(len(signature) - 1):
        changed = signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]
        request = replace(vector.request, headers={**vector.headers, vector.signature: changed})
        refusal(verifier, request, vector.signed_at_ms)


@each_vector
def test_another_secret_is_refused_and_no_secret_is_told(vector: Vector) -> None:
    error = refusal(vector.verifier(vector.other), vector.request, vector.signed_at_ms)
    assert vector.signature in error.reason
    assert vector.other not in error.reason
    assert vector.headers[vector.signature] not in error.reason


@each_vector
def test_each_missing_header_is_refused_by_name(vector: Vector) -> None:
    for missing in vector.headers:
        headers = {name: value for name, value in vector.headers.items() if name != missing}
        error = refusal(vector.verifier(vector.secret), replace(vector.request, headers=headers), vector.signed_at_ms)
        assert missing in error.reason


@each_dated_vector
@pytest.mark.parametrize(("sign", "word"), [(1, "behind"), (-1, "ahead of")])
def test_an_old_and_a_future_timestamp_are_refused_with_their_skew(vector: Vector, sign: int, word: str) -> None:
    skew = vector.tolerance + 1
    error = refusal(vector.verifier(vector.secret), vector.request, vector.signed_at_ms + sign * skew * 1000)
    assert f"{skew} s {word} our clock" in error.reason
    assert f"{vector.tolerance} s are allowed" in error.reason


@each_dated_vector
@pytest.mark.parametrize("sign", [1, -1])
def test_a_timestamp_within_the_tolerance_is_accepted(vector: Vector, sign: int) -> None:
    now_ms = vector.signed_at_ms + sign * (vector.tolerance - 1) * 1000
    assert vector.verifier(vector.secret).verify(vector.request, now_ms) == "1 of 1"


@each_dated_vector
def test_an_exchanged_timestamp_is_refused(vector: Vector) -> None:
    assert vector.timestamp
    later = str(int(vector.headers[vector.timestamp]) + 3600)
    request = replace(vector.request, headers={**vector.headers, vector.timestamp: later})
    refusal(vector.verifier(vector.secret), request, vector.signed_at_ms + 3_600_000)


@pytest.mark.parametrize(
    "vector",
    [one for one in VECTORS if one.url and (one.verify is None or "{url}" in one.verify["digest"]["signed"])],
    ids=lambda vector: vector.preset,
)
def test_a_signed_address_can_t_be_exchanged(vector: Vector) -> None:
    for url in (vector.url + "&x=1", vector.url.replace("://", "://x"), vector.url.replace("http", "ftp")):
        refusal(vector.verifier(vector.secret), replace(vector.request, url=url), vector.signed_at_ms)


def test_one_right_signature_among_several_is_enough() -> None:
    vector = VECTORS[1]
    several = f"v1,AAAA v1a,{'B' * 44} {vector.headers['webhook-signature']} v2,zzz"
    request = replace(vector.request, headers={**vector.headers, "webhook-signature": several})
    assert vector.verifier(vector.secret).verify(request, vector.signed_at_ms) == "1 of 1"


def test_a_signature_of_another_version_alone_is_refused() -> None:
    vector = VECTORS[1]
    other = vector.headers["webhook-signature"].replace("v1,", "v1a,")
    request = replace(vector.request, headers={**vector.headers, "webhook-signature": other})
    assert "v1," in refusal(vector.verifier(vector.secret), request, vector.signed_at_ms).reason


def test_a_standard_webhooks_secret_may_come_without_its_prefix() -> None:
    vector = VECTORS[1]
    assert vector.verifier(vector.secret.removeprefix("whsec_")).verify(vector.request, vector.signed_at_ms)
