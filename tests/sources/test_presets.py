"""Each vendor's scheme, computed here a second time from its description and held against the preset."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from relay.errors import Place, RefusedError
from relay.model import JSON, Event
from relay.recipes.expression import compile_expression
from relay.recipes.names import Names
from relay.recipes.scope import EventView, Scope
from relay.sources.config import SourceConfig
from relay.sources.handshake import handshake
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS
from relay.sources.verify import Verifier

SECRET = "a secret of the vendor's"
NOW_MS = 1_772_619_667_000
SECONDS = "1772619667"
URL = "https://relay.example.com/in/vendor?a=1"
BODY = b'{"id": "1", "name": "Zo\xc3\xab"}'


def hexed(message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), message, algorithm).hexdigest()


def based(message: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()


SCHEMES: dict[str, Callable[[bytes], dict[str, str]]] = {
    "github": lambda body: {"x-hub-signature-256": f"sha256={hexed(body)}"},
    "stripe": lambda body: {"stripe-signature": f"t={SECONDS},v1={hexed(SECONDS.encode() + b'.' + body)},v0=abc"},
    "slack": lambda body: {
        "x-slack-request-timestamp": SECONDS,
        "x-slack-signature": f"v0={hexed(b'v0:' + SECONDS.encode() + b':' + body)}",
    },
    "shopify": lambda body: {"x-shopify-hmac-sha256": based(body)},
    "zendesk": lambda body: {
        "x-zendesk-webhook-signature-timestamp": "2026-03-04T10:21:07Z",
        "x-zendesk-webhook-signature": based(b"2026-03-04T10:21:07Z" + body),
    },
    "typeform": lambda body: {"typeform-signature": f"sha256={based(body)}"},
    "intercom": lambda body: {"x-hub-signature": f"sha1={hexed(body, 'sha1')}"},
    "calendly": lambda body: {"calendly-webhook-signature": f"t={SECONDS},v1={hexed(SECONDS.encode() + b'.' + body)}"},
    "zoom": lambda body: {
        "x-zm-request-timestamp": SECONDS,
        "x-zm-signature": f"v0={hexed(b'v0:' + SECONDS.encode() + b':' + body)}",
    },
    "hubspot": lambda body: {
        "x-hubspot-request-timestamp": str(NOW_MS),
        "x-hubspot-signature-v3": based(b"POST" + URL.encode() + body + str(NOW_MS).encode()),
    },
}

DATED = {name: PRESETS[name] for name in SCHEMES if "timestamp" in PRESETS[name].verify_with("")["hmac"]}


def source(preset: str, secret: str | list[str] = SECRET) -> SourceConfig:
    return SourceConfig.model_validate({"preset": preset, "secret": secret})


def signed(preset: str, body: bytes = BODY) -> Inbound:
    return Inbound("POST", "/in/vendor", headers=SCHEMES[preset](body), body=body, url=URL)


def test_every_preset_that_signs_has_its_scheme_here_or_a_published_vector() -> None:
    signing = {name for name, preset in PRESETS.items() if preset.verify is not None}
    assert signing == SCHEMES.keys() | {"standard-webhooks", "svix"}


@pytest.mark.parametrize("preset", SCHEMES)
def test_the_vendors_signature_is_accepted(preset: str) -> None:
    assert Verifier(source(preset)).verify(signed(preset), NOW_MS) == "1 of 1"
    assert Verifier(source(preset, ["the new one", SECRET])).verify(signed(preset), NOW_MS) == "2 of 2"


@pytest.mark.parametrize("preset", SCHEMES)
def test_the_vendors_signature_over_an_empty_body_is_accepted(preset: str) -> None:
    assert Verifier(source(preset)).verify(signed(preset, b""), NOW_MS) == "1 of 1"


@pytest.mark.parametrize("preset", SCHEMES)
def test_a_changed_body_another_secret_and_a_missing_header_are_refused(preset: str) -> None:
    right = signed(preset)
    wrong = [(source(preset), replace(right, body=right.body + b" ")), (source(preset, "another"), right)]
    for missing in right.headers:
        headers = {name: value for name, value in right.headers.items() if name != missing}
        wrong.append((source(preset), replace(right, headers=headers)))
    for config, request in wrong:
        with pytest.raises(RefusedError) as caught:
            Verifier(config).verify(request, NOW_MS)
        assert SECRET not in caught.value.reason


@pytest.mark.parametrize("preset", DATED)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_request_signed_too_long_ago_or_in_the_future_is_refused(preset: str, minutes: int) -> None:
    with pytest.raises(RefusedError, match=r"360 s (behind|ahead of) our clock"):
        Verifier(source(preset)).verify(signed(preset), NOW_MS + minutes * 60_000)


def test_hubspots_signature_for_another_address_is_refused() -> None:
    with pytest.raises(RefusedError):
        Verifier(source("hubspot")).verify(replace(signed("hubspot"), url="http://relay.internal/in/vendor"), NOW_MS)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_source(name: str) -> None:
    given = {"verify": {"token": "abc"}} if PRESETS[name].verify is None else {"secret": "whsec_" + "A" * 32}
    config = SourceConfig.model_validate({"preset": name, **given})
    assert config.event_id == PRESETS[name].event_id
    assert not config.unverified


def evaluated(expression: str | None, headers: dict[str, str], body: JSON) -> object:
    assert expression is not None
    names = Names(built_in=frozenset({"headers", "query", "event"}))
    event = Event("evt_1", "s", "POST", "/in/s", (), headers, b"", 0)
    return compile_expression(expression, Place("relay.yaml"), names).evaluate(Scope(EventView(event, body)))


@pytest.mark.parametrize(
    ("preset", "headers", "body", "event_id", "event_type"),
    [
        ("github", {"x-github-delivery": "72d3", "x-github-event": "ping"}, {}, "72d3", "ping"),
        ("standard-webhooks", {"webhook-id": "msg_1"}, {"type": "user.created"}, "msg_1", "user.created"),
        ("svix", {"svix-id": "msg_1"}, {}, "msg_1", None),
        ("stripe", {}, {"id": "evt_9", "type": "charge.failed"}, "evt_9", "charge.failed"),
        ("slack", {}, {"event_id": "Ev08", "event": {"type": "app_mention"}}, "Ev08", "app_mention"),
        ("slack", {}, {"command": "/deploy"}, None, None),
        ("shopify", {"x-shopify-webhook-id": "b54", "x-shopify-topic": "orders/create"}, {}, "b54", "orders/create"),
        ("typeform", {}, {"event_id": "01H", "event_type": "form_response"}, "01H", "form_response"),
        ("intercom", {}, {"id": "notif_1", "topic": "ping"}, "notif_1", "ping"),
        (
            "calendly",
            {},
            {"event": "invitee.created", "payload": {"uri": "https://api.calendly.com/x"}},
            "invitee.created https://api.calendly.com/x",
            "invitee.created",
        ),
    ],
)
def test_a_preset_tells_events_apart_and_names_them(
    preset: str, headers: dict[str, str], body: JSON, event_id: str | None, event_type: str | None
) -> None:
    assert evaluated(PRESETS[preset].event_id, headers, body) == event_id
    assert evaluated(PRESETS[preset].event_type, headers, body) == event_type


@pytest.mark.parametrize("name", PRESETS)
def test_every_presets_expressions_can_be_read(name: str) -> None:
    for expression in (PRESETS[name].event_id, PRESETS[name].event_type):
        if expression is not None:
            compile_expression(expression, Place("relay.yaml"))


def test_slack_hears_its_challenge_and_an_event_is_no_handshake() -> None:
    body = {"type": "url_verification", "token": "t", "challenge": "3eZbrw1aB"}
    reply = handshake(source("slack"), Inbound("POST"), body, "1 of 1")
    assert reply is not None
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"challenge": "3eZbrw1aB"}
    assert handshake(source("slack"), Inbound("POST"), {"type": "event_callback"}, "1 of 1") is None


def test_zoom_hears_its_token_under_the_secret_it_used() -> None:
    body = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    config = source("zoom", ["the new one", SECRET])
    reply = handshake(config, Inbound("POST"), body, "2 of 2")
    assert reply is not None
    assert json.loads(reply.body) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": hexed(b"qgg8vlvZRS6UYooatFL8Aw"),
    }
    assert handshake(config, Inbound("POST"), {"event": "meeting.ended", "payload": {}}, "1 of 1") is None


def test_zoom_hears_nothing_from_a_source_without_zooms_secret() -> None:
    config = SourceConfig.model_validate({"preset": "zoom", "verify": {"token": "abc"}})
    body = {"event": "endpoint.url_validation", "payload": {"plainToken": "x"}}
    assert handshake(config, Inbound("POST"), body, "1 of 1") is None


@pytest.mark.parametrize("body", [None, [], "url_verification", {"type": "url_verification"}, {"event": []}])
def test_a_body_of_another_shape_is_no_handshake(body: object) -> None:
    for name in PRESETS.keys() - {"gist", "standard-webhooks", "svix"}:
        assert handshake(source(name), Inbound("POST"), body, "1 of 1") is None  # type: ignore[arg-type]
