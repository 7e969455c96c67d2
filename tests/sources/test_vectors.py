"""Signatures the vendors themselves have published, and what becomes of them when anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify import Verifier


@dataclass(frozen=True)
class Vector:
    preset: str
    secret: str
    body: bytes
    headers: Mapping[str, str]
    signed_at_ms: int
    signature: str
    timestamp: str | None = None

    @property
    def request(self) -> Inbound:
        return Inbound("POST", headers=self.headers, body=self.body)

    def verifier(self, *secrets: str) -> Verifier:
        return Verifier(SourceConfig.model_validate({"preset": self.preset, "secret": list(secrets)}))


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
    other = "whsec_" + "A" * 32
    assert vector.verifier(other, vector.secret).verify(vector.request, vector.signed_at_ms) == "2 of 2"


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
    other = "whsec_" + "A" * 32
    error = refusal(vector.verifier(other), vector.request, vector.signed_at_ms)
    assert vector.signature in error.reason
    assert other not in error.reason
    assert vector.headers[vector.signature] not in error.reason


@each_vector
def test_each_missing_header_is_refused_by_name(vector: Vector) -> None:
    for missing in vector.headers:
        headers = {name: value for name, value in vector.headers.items() if name != missing}
        error = refusal(vector.verifier(vector.secret), replace(vector.request, headers=headers), vector.signed_at_ms)
        assert missing in error.reason


@each_dated_vector
@pytest.mark.parametrize(("skew", "word"), [(301, "behind"), (-301, "ahead of")])
def test_an_old_and_a_future_timestamp_are_refused_with_their_skew(vector: Vector, skew: int, word: str) -> None:
    error = refusal(vector.verifier(vector.secret), vector.request, vector.signed_at_ms + skew * 1000)
    assert f"301 s {word} our clock" in error.reason
    assert "300 s are allowed" in error.reason


@each_dated_vector
@pytest.mark.parametrize("skew", [299, -299])
def test_a_timestamp_within_the_tolerance_is_accepted(vector: Vector, skew: int) -> None:
    assert vector.verifier(vector.secret).verify(vector.request, vector.signed_at_ms + skew * 1000) == "1 of 1"


@each_dated_vector
def test_an_exchanged_timestamp_is_refused(vector: Vector) -> None:
    assert vector.timestamp
    later = str(int(vector.headers[vector.timestamp]) + 3600)
    request = replace(vector.request, headers={**vector.headers, vector.timestamp: later})
    refusal(vector.verifier(vector.secret), request, vector.signed_at_ms + 3_600_000)


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
