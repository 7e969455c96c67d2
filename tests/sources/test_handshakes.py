"""The questions of vendors, once they are verified: the right ones are answered, and nothing else is."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from relay.errors import RefusedError
from relay.model import JSON
from relay.sources.config import SourceConfig
from relay.sources.handshake import handshake
from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.presets import PRESETS
from relay.sources.presets.vendors.smartsheet import smartsheet_challenge
from relay.sources.verify import Verifier

SECRET = "a secret of the vendor's"
TOKEN = "a-token-in-the-address"
NOW_MS = 1_772_619_667_000

#: developers.asana.com, "Establish a webhook".
ASANA_SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
#: developers.notion.com, "Webhooks", step 2.
NOTION_TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
#: api.slack.com/events/url_verification.
SLACK_CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"

HERE = ("slack", "zoom", "okta", "xero", "asana", "notion")

#: What no vendor's word is, and what might do harm in a header or in JSON.
HOSTILE = ["", "a b", "a\r\nSet-Cookie: x=1", "a\x00b", "Zoë", "\ud800", "x" * 100_000, "\u202eabc"]


def source(preset: str, secret: str | list[str] = SECRET) -> SourceConfig:
    return SourceConfig.model_validate({"preset": preset, "secret": secret})


def ask(
    preset: str, body: JSON = None, *, method: str = "POST", headers: dict[str, str] | None = None, raw: bytes = b""
) -> HandshakeReply | None:
    secret = TOKEN if preset in ("asana", "notion") else SECRET
    request = Inbound(method, headers=headers or {}, body=raw or (b"" if body is None else json.dumps(body).encode()))
    return handshake(source(preset, secret), request, body, "1 of 1")


def empty(reply: HandshakeReply | None) -> HandshakeReply:
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"")
    return reply


def test_slack_hears_its_challenge_and_an_event_is_no_handshake() -> None:
    body: JSON = {"type": "url_verification", "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": SLACK_CHALLENGE}
    reply = ask("slack", body)
    assert reply is not None
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"challenge": SLACK_CHALLENGE}
    assert ask("slack", {"type": "event_callback", "challenge": SLACK_CHALLENGE}) is None


def test_zoom_hears_its_token_under_the_secret_it_used() -> None:
    body: JSON = {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    config = source("zoom", ["the new one", SECRET])
    reply = handshake(config, Inbound("POST"), body, "2 of 2")
    assert reply is not None
    assert json.loads(reply.body) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": hmac.new(SECRET.encode(), b"qgg8vlvZRS6UYooatFL8Aw", "sha256").hexdigest(),
    }
    assert handshake(config, Inbound("POST"), {"event": "meeting.ended", "payload": {}}, "1 of 1") is None


def test_zoom_hears_nothing_from_a_source_without_zooms_secret() -> None:
    config = SourceConfig.model_validate({"preset": "zoom", "verify": {"token": "abc"}})
    body: JSON = {"event": "endpoint.url_validation", "payload": {"plainToken": "x"}}
    assert handshake(config, Inbound("POST"), body, "1 of 1") is None


def test_okta_hears_its_challenge_as_json_when_it_asks_with_get() -> None:
    headers = {"x-okta-verification-challenge": "vUFZmEs-a5wYNK", "authorization": SECRET}
    reply = ask("okta", {}, method="GET", headers=headers)
    assert reply is not None
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert json.loads(reply.body) == {"verification": "vUFZmEs-a5wYNK"}
    assert ask("okta", {"data": {"events": []}}, headers=headers) is None
    assert ask("okta", {}, method="GET") is None


def test_okta_proves_itself_before_it_is_answered() -> None:
    verifier = Verifier(source("okta"))
    asking = Inbound("GET", headers={"x-okta-verification-challenge": "vUFZmEs-a5wYNK", "authorization": SECRET})
    assert verifier.verify(asking, NOW_MS) == "1 of 1"
    with pytest.raises(RefusedError):
        verifier.verify(replace(asking, headers={"x-okta-verification-challenge": "vUFZmEs-a5wYNK"}), NOW_MS)


@pytest.mark.parametrize("events", [[], None])
def test_xeros_intent_to_receive_is_answered_with_200_and_no_body(events: JSON) -> None:
    """`null` is what prismatic.io has captured; the documentation has an empty list."""
    body: JSON = {"events": events, "lastEventSequence": 0, "firstEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}
    reply = empty(ask("xero", body))
    assert reply.headers == {}


def test_xeros_events_are_no_intent_to_receive() -> None:
    assert ask("xero", {"events": [{"resourceId": "1"}], "entropy": "S0m3r4Nd0mt3xt"}) is None
    assert ask("xero", {"entropy": "S0m3r4Nd0mt3xt"}) is None
    assert ask("xero", {"events": []}) is None


@pytest.mark.parametrize(
    ("body", "raw"), [(None, b""), ({}, b"{}"), ({}, b" {}\n"), ({"events": []}, b'{"events":[]}')]
)
def test_asana_gets_its_secret_back_in_a_header_and_it_is_kept(body: JSON, raw: bytes) -> None:
    reply = empty(ask("asana", body, headers={"x-hook-secret": ASANA_SECRET}, raw=raw))
    assert reply.headers == {"X-Hook-Secret": ASANA_SECRET}
    assert reply.keep == ASANA_SECRET
    assert ASANA_SECRET not in repr(replace(reply, headers={}))


def test_asanas_heartbeat_is_answered_and_is_no_event() -> None:
    reply = empty(ask("asana", {"events": []}, headers={"x-hook-signature": "5f…"}))
    assert reply.keep == ""
    assert reply.headers == {}


def test_no_secret_is_taken_from_a_request_that_is_not_asanas_handshake() -> None:
    secret = {"x-hook-secret": ASANA_SECRET}
    signed = {**secret, "x-hook-signature": "abc"}
    events: JSON = {"events": [{"action": "changed"}]}
    assert ask("asana", events, headers=secret) is None
    assert ask("asana", {"a": 1}, headers=secret) is None
    assert ask("asana", {}, headers=signed, raw=b"{}") is None
    assert ask("asana", {"events": []}, headers=signed) is None
    assert ask("asana", {}, method="PUT", headers=secret) is None
    assert ask("asana", {}, raw=b"{}") is None
    assert ask("asana", {"events": []}) is None
    assert ask("asana", events, headers={"x-hook-signature": "abc"}) is None


def test_notions_token_is_kept_and_nothing_is_told() -> None:
    reply = empty(ask("notion", {"verification_token": NOTION_TOKEN}))
    assert reply.keep == NOTION_TOKEN
    assert reply.headers == {}
    assert NOTION_TOKEN not in repr(reply)


@pytest.mark.parametrize(
    "body",
    [
        {"verification_token": NOTION_TOKEN, "id": "1"},
        {"verification_token": NOTION_TOKEN, "type": "page.created"},
        {"verification_token": [NOTION_TOKEN]},
        {"verification_token": "short"},
        {"verification_token": None},
        [{"verification_token": NOTION_TOKEN}],
        {"payload": {"verification_token": NOTION_TOKEN}},
    ],
)
def test_no_token_is_taken_from_a_body_that_holds_anything_else(body: JSON) -> None:
    assert ask("notion", body) is None


def test_no_token_is_taken_from_another_method() -> None:
    assert ask("notion", {"verification_token": NOTION_TOKEN}, method="GET") is None


def test_smartsheet_gets_its_challenge_back_in_a_header() -> None:
    request = Inbound("POST", headers={"smartsheet-hook-challenge": "ab1f6f11-98ff-4b2d-8ca9-4ac1c8b4ba7a"})
    reply = empty(smartsheet_challenge(request, ()))
    assert reply.headers == {"Smartsheet-Hook-Response": "ab1f6f11-98ff-4b2d-8ca9-4ac1c8b4ba7a"}
    assert smartsheet_challenge(Inbound("POST"), ()) is None
    assert smartsheet_challenge(replace(request, method="GET"), ()) is None


def test_intercoms_look_with_head_is_answered_and_gives_nothing_away() -> None:
    greeting = PRESETS["intercom"].greeting
    assert greeting is not None
    reply = empty(greeting(Inbound("HEAD"), ("t",)))
    assert (reply.headers, reply.keep) == ({}, "")
    assert greeting(Inbound("GET"), ()) is None
    assert greeting(Inbound("POST"), ()) is None


# -- what is not a question


@pytest.mark.parametrize("word", HOSTILE)
def test_a_word_that_no_vendor_sends_is_not_sent_back(word: str) -> None:
    assert ask("slack", {"type": "url_verification", "challenge": word}) is None
    assert ask("zoom", {"event": "endpoint.url_validation", "payload": {"plainToken": word}}) is None
    assert ask("okta", {}, method="GET", headers={"x-okta-verification-challenge": word}) is None
    assert ask("asana", {}, headers={"x-hook-secret": word}, raw=b"{}") is None
    assert ask("notion", {"verification_token": word}, raw=b"{}") is None
    assert smartsheet_challenge(Inbound("POST", headers={"smartsheet-hook-challenge": word}), ()) is None


@pytest.mark.parametrize("length", [15, 257])
def test_a_secret_of_no_vendors_length_is_not_kept(length: int) -> None:
    assert ask("asana", {}, headers={"x-hook-secret": "a" * length}, raw=b"{}") is None
    assert ask("notion", {"verification_token": "a" * length}) is None


def test_the_longest_word_that_is_sent_back_has_1000_characters() -> None:
    for length, answered in ((1000, True), (1001, False)):
        reply = ask("slack", {"type": "url_verification", "challenge": "x" * length})
        assert (reply is not None) is answered


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "url_verification",
        0,
        True,
        {"type": "url_verification"},
        {"type": ["url_verification"], "challenge": "x"},
        {"type": "url_verification", "challenge": {"a": 1}},
        {"event": []},
        {"event": "endpoint.url_validation"},
        {"event": "endpoint.url_validation", "payload": []},
        {"event": "endpoint.url_validation", "payload": {"plainToken": 7}},
        {"events": "none"},
        {"events": [], "entropy": 7},
        {"verification_token": {}},
    ],
)
def test_a_body_of_another_shape_is_no_handshake(body: Any) -> None:
    for name in HERE:
        assert ask(name, body) is None
        assert ask(name, body, method="GET") is None


def test_every_handshake_of_these_vendors_is_asked_here() -> None:
    asking = {preset.name for preset in PRESETS.values() if preset.handshake is not None}
    assert set(HERE) <= asking
