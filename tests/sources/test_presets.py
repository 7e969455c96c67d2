"""Each vendor's scheme, computed here a second time from its description and held against the preset.

Of the well-known vendors; the others have files of their own beside this one. What every preset declares is held here
for all of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from relay.errors import Place, RecipeError, RefusedError
from relay.model import JSON, Event
from relay.recipes.accounts import Source
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.scope import decoded_view
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event
from relay.sources.inbound import Inbound
from relay.sources.presets import FILL_IN, PRESETS, Preset, filled
from relay.sources.split import Split
from relay.sources.verify import Verifier

SECRET = "a secret of the vendor's"
#: Fits into an address, and is a key in base64.
PLAIN_SECRET = "whsec_" + "A" * 32
#: A public key, for vendors that have one.
PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuwvav/92ZExEQ3fhQFfBvMYrdqVH3LWE9N63HwvB/ELOHqRXwe+yrR9RScPZKBXB3dti0MDGFaqk"
    "Zz9lCnS+CQ=="
)
NOW_MS = 1_772_619_667_000
SECONDS = "1772619667"
ISO = "2026-03-04T10:21:07Z"
URL = "https://relay.example.com/in/vendor?a=1"
BODY = b'{"id": "1", "name": "Zo\xc3\xab"}'


def hexed(message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(SECRET.encode(), message, algorithm).hexdigest()


def based(message: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()


def digested(message: bytes) -> str:
    return hashlib.sha256(message).hexdigest()


SCHEMES: dict[str, Callable[[bytes], dict[str, str]]] = {
    "github": lambda body: {"x-hub-signature-256": f"sha256={hexed(body)}"},
    "gitlab": lambda _: {"x-gitlab-token": SECRET},
    "stripe": lambda body: {"stripe-signature": f"t={SECONDS},v1={hexed(SECONDS.encode() + b'.' + body)},v0=abc"},
    "slack": lambda body: {
        "x-slack-request-timestamp": SECONDS,
        "x-slack-signature": f"v0={hexed(b'v0:' + SECONDS.encode() + b':' + body)}",
    },
    "shopify": lambda body: {"x-shopify-hmac-sha256": based(body)},
    "zendesk": lambda body: {
        "x-zendesk-webhook-signature-timestamp": ISO,
        "x-zendesk-webhook-signature": based(ISO.encode() + body),
    },
    "typeform": lambda body: {"typeform-signature": f"sha256={based(body)}"},
    "intercom": lambda body: {"x-hub-signature": f"sha1={hexed(body, 'sha1')}"},
    "calendly": lambda body: {"calendly-webhook-signature": f"t={SECONDS},v1={hexed(SECONDS.encode() + b'.' + body)}"},
    "zoom": lambda body: {
        "x-zm-request-timestamp": SECONDS,
        "x-zm-signature": f"v0={hexed(b'v0:' + SECONDS.encode() + b':' + body)}",
    },
    "hubspot v3": lambda body: {
        "x-hubspot-request-timestamp": str(NOW_MS),
        "x-hubspot-signature-v3": based(b"POST" + URL.encode() + body + str(NOW_MS).encode()),
    },
    "hubspot v2": lambda body: {"x-hubspot-signature": digested(SECRET.encode() + b"POST" + URL.encode() + body)},
    "hubspot v1": lambda body: {"x-hubspot-signature": digested(SECRET.encode() + body)},
    "okta": lambda _: {"authorization": SECRET},
    "xero": lambda body: {"x-xero-signature": based(body)},
    "smartsheet": lambda body: {"smartsheet-hmac-sha256": hexed(body)},
}

#: Signed with a secret that the vendor gives in its handshake.
KEPT: dict[str, Callable[[bytes], dict[str, str]]] = {
    "asana": lambda body: {"x-hook-signature": hexed(body)},
    "notion": lambda body: {"x-notion-signature": f"sha256={hexed(body)}"},
}

#: A header that equals the secret: the body is not proven.
UNSIGNED = {"gitlab", "okta"}

DATED = ["stripe", "slack", "zendesk", "calendly", "zoom", "hubspot v3"]

#: The vendors of this file; those of test_vectors.py have a published example there.
VECTORS = {"standard-webhooks", "svix", "gitlab-signed"}
HERE = {scheme.split()[0] for scheme in SCHEMES} | KEPT.keys() | VECTORS


def source(preset: str, secret: str | list[str] = SECRET) -> SourceConfig:
    return SourceConfig.model_validate({"preset": preset.split()[0], "secret": secret})


def kept(preset: str, secrets: list[str]) -> Verifier:
    return Verifier(SourceConfig.model_validate({"verify": filled(PRESETS[preset].kept, secrets)}))


def signed(scheme: str, body: bytes = BODY) -> Inbound:
    return Inbound("POST", "/in/vendor", headers={**SCHEMES, **KEPT}[scheme](body), body=body, url=URL)


def plain(name: str) -> dict[str, Any]:
    """A source of any preset, as relay.yaml has it."""
    preset = PRESETS[name]
    if preset.example is not None:
        return {"preset": name, **filled(dict(preset.example), PLAIN_SECRET)}
    return {"preset": name, "secret": PUBLIC_KEY if "ecdsa" in preset.verify else PLAIN_SECRET}


# -- signatures


def test_every_preset_of_this_file_that_signs_has_its_scheme_here_or_a_published_example() -> None:
    assert PRESETS.keys() >= HERE
    assert {name for name in HERE if PRESETS[name].kept is not None} == KEPT.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_vendors_signature_is_accepted(scheme: str) -> None:
    assert Verifier(source(scheme)).verify(signed(scheme), NOW_MS) == "1 of 1"
    assert Verifier(source(scheme, ["the new one", SECRET])).verify(signed(scheme), NOW_MS) == "2 of 2"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_vendors_signature_over_an_empty_body_is_accepted(scheme: str) -> None:
    assert Verifier(source(scheme)).verify(signed(scheme, b""), NOW_MS) == "1 of 1"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_changed_body_another_secret_and_a_missing_header_are_refused(scheme: str) -> None:
    right = signed(scheme)
    wrong = [(source(scheme, "another"), right)]
    if scheme not in UNSIGNED:
        wrong.append((source(scheme), replace(right, body=right.body + b" ")))
    for missing in right.headers:
        headers = {name: value for name, value in right.headers.items() if name != missing}
        wrong.append((source(scheme), replace(right, headers=headers)))
    for config, request in wrong:
        with pytest.raises(RefusedError) as caught:
            Verifier(config).verify(request, NOW_MS)
        assert caught.value.status == 401
        assert SECRET not in caught.value.reason


@pytest.mark.parametrize("scheme", DATED)
@pytest.mark.parametrize("direction", [-1, 1])
def test_a_request_signed_too_long_ago_or_in_the_future_is_refused(scheme: str, direction: int) -> None:
    minutes = {"zendesk": 60, "zoom": 120, "calendly": 3}.get(scheme, 5)
    verifier = Verifier(source(scheme))
    verifier.verify(signed(scheme), NOW_MS + direction * (minutes * 60_000 - 10_000))
    with pytest.raises(RefusedError, match=r"\d+ s (behind|ahead of) our clock"):
        verifier.verify(signed(scheme), NOW_MS + direction * (minutes * 60_000 + 10_000))


def test_each_preset_with_a_timestamp_is_held_to_it() -> None:
    dated = {name for name in HERE - VECTORS if "timestamp" in str(PRESETS[name].verify)}
    assert dated == {scheme.split()[0] for scheme in DATED}


@pytest.mark.parametrize("version", ["v3", "v2"])
def test_hubspots_signature_for_another_address_is_refused(version: str) -> None:
    request = replace(signed(f"hubspot {version}"), url="http://relay.internal/in/vendor")
    with pytest.raises(RefusedError):
        Verifier(source("hubspot")).verify(request, NOW_MS)


def test_a_hubspot_request_with_two_signatures_needs_one_that_is_right() -> None:
    both = {**SCHEMES["hubspot v3"](BODY), **SCHEMES["hubspot v1"](BODY)}
    request = replace(signed("hubspot v3"), headers=both)
    assert Verifier(source("hubspot")).verify(request, NOW_MS) == "1 of 1"
    late = NOW_MS + 3_600_000
    assert Verifier(source("hubspot")).verify(request, late) == "1 of 1"
    with pytest.raises(RefusedError, match="behind our clock"):
        Verifier(source("hubspot")).verify(signed("hubspot v3"), late)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_signed_with_a_kept_secret_is_accepted_and_nothing_else(name: str) -> None:
    right = signed(name)
    assert kept(name, [SECRET]).verify(right, NOW_MS) == "1 of 1"
    assert kept(name, ["another webhook's", SECRET]).verify(right, NOW_MS) == "2 of 2"
    for secrets, request in (
        (["another"], right),
        ([SECRET], replace(right, body=right.body + b" ")),
        ([SECRET], replace(right, headers={})),
    ):
        with pytest.raises(RefusedError):
            kept(name, secrets).verify(request, NOW_MS)


@pytest.mark.parametrize("name", KEPT)
def test_a_vendor_that_gives_its_secret_itself_also_needs_the_token_of_the_address(name: str) -> None:
    verifier = Verifier(source(name, "a-token-in-the-address"))
    assert verifier.verify(replace(signed(name), token="a-token-in-the-address"), NOW_MS) == "1 of 1"
    for token in ("", "another"):
        with pytest.raises(RefusedError, match="token"):
            verifier.verify(replace(signed(name), token=token), NOW_MS)


def test_notions_published_signature_is_accepted() -> None:
    """developers.notion.com/reference/webhooks, step 3."""
    token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    signature = "sha256=461e8cbcba8a75c3edd866f0e71280f5a85cbf21eff040ebd10fe266df38a735"
    body = json.dumps({"verification_token": token}, separators=(",", ":")).encode()
    request = Inbound("POST", headers={"x-notion-signature": signature}, body=body)
    assert kept("notion", [token]).verify(request, NOW_MS) == "1 of 1"


# -- what a published payload says


@dataclass(frozen=True)
class Published:
    """A request of a vendor's, cut down to the fields that matter here, and what the preset reads of it.

    events  for each event in it: its id, its type and its time
    """

    preset: str
    events: list[tuple[str, str, str | None]]
    body: JSON = None
    raw: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


XERO_TENANT = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f"
XERO_CONTACT = "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777"

PUBLISHED = [
    # docs.github.com, "Webhook events and payloads", "Delivery headers".
    Published(
        "github",
        [("72d3162e-cc78-11e3-81ab-4c9367dc0958", "issues", None)],
        body={"action": "opened", "issue": {"number": 1347}},
        headers={"x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-github-event": "issues"},
    ),
    # docs.gitlab.com, "Webhook events", "Push events"; the header's value is that of issue 14888.
    Published(
        "gitlab",
        [("908a6d9e-45fd-46c8-97e6-c4f350f219dd", "push", None)],
        body={"object_kind": "push", "ref": "refs/heads/master", "user_id": 4},
        headers={"idempotency-key": "908a6d9e-45fd-46c8-97e6-c4f350f219dd", "x-gitlab-event": "Push Hook"},
    ),
    # Before GitLab 17.4; group events have no object_kind.
    Published("gitlab", [("", "user_add_to_group", None)], body={"event_name": "user_add_to_group"}),
    Published(
        "gitlab-signed",
        [("908a6d9e-45fd-46c8-97e6-c4f350f219dd", "merge_request", None)],
        body={"object_kind": "merge_request"},
        headers={"webhook-id": "908a6d9e-45fd-46c8-97e6-c4f350f219dd"},
    ),
    # The specification's example, under "Payload structure".
    Published(
        "standard-webhooks",
        [("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "contact.created", "2022-11-03T20:26:10.345Z")],
        body={"type": "contact.created", "timestamp": "2022-11-03T20:26:10.344522Z", "data": {}},
        headers={"webhook-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"},
    ),
    Published("svix", [("msg_1", "", None)], body={}, headers={"svix-id": "msg_1"}),
    # docs.stripe.com, "The Event object".
    Published(
        "stripe",
        [("evt_1NG8Du2eZvKYlo2CUI79vXWy", "setup_intent.created", "2023-06-06T22:19:30.000Z")],
        body={"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "created": 1686089970, "type": "setup_intent.created"},
    ),
    # api.slack.com, "Using the Slack Events API", "Callback field".
    Published(
        "slack",
        [("Ev123ABC456", "app_mention", "2009-02-13T23:31:30.000Z")],
        body={
            "type": "event_callback",
            "event": {"type": "app_mention", "user": "U123ABC456"},
            "event_id": "Ev123ABC456",
            "event_time": 1234567890,
        },
    ),
    # api.slack.com, "block_actions payload".
    Published(
        "slack",
        [("12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3", "block_actions", None)],
        raw=(
            b"payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%2212321423423.333649436676."
            b"d8c1bb837935619ccad0f624c448ffb3%22%2C%22actions%22%3A%5B%5D%7D"
        ),
        content_type="application/x-www-form-urlencoded",
    ),
    # api.slack.com, "Verifying requests from Slack": a slash command.
    Published(
        "slack",
        [("398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c", "/webhook-collect", None)],
        raw=(
            b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&command=%2Fwebhook-collect&text="
            b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
        ),
        content_type="application/x-www-form-urlencoded",
    ),
    # shopify.dev, "Webhooks", "Headers".
    Published(
        "shopify",
        [("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043", "orders/create", "2023-03-29T18:00:27.877Z")],
        body={"id": 820982911946154508},
        headers={
            "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
            "x-shopify-topic": "orders/create",
            "x-shopify-triggered-at": "2023-03-29T18:00:27.877041743Z",
        },
    ),
    # developers.hubspot.com, "Webhooks", "Webhook payloads".
    Published(
        "hubspot",
        [
            (
                "3816279340 25 1462216307945 1246965   lifecyclestage ",
                "contact.propertyChange",
                "2016-05-02T19:11:47.945Z",
            ),
            ("3816279480 22 1462216307945 1246978    ", "contact.creation", "2016-05-02T19:11:47.945Z"),
        ],
        body=[
            {
                "objectId": 1246965,
                "propertyName": "lifecyclestage",
                "eventId": 3816279340,
                "subscriptionId": 25,
                "occurredAt": 1462216307945,
                "subscriptionType": "contact.propertyChange",
                "attemptNumber": 0,
            },
            {
                "objectId": 1246978,
                "eventId": 3816279480,
                "subscriptionId": 22,
                "occurredAt": 1462216307945,
                "subscriptionType": "contact.creation",
                "attemptNumber": 0,
            },
        ],
    ),
    # What a workflow sends holds what the operator chose: one object, without an id.
    Published("hubspot", [("", "", None)], body={"vid": 1246965, "email": "ana@example.com"}),
    # developer.zendesk.com, "Webhook event types"; the id is from "Anatomy of a webhook request".
    Published(
        "zendesk",
        [("8350205582", "zen:event-type:user.active_changed", "2099-07-04T05:33:18.000Z")],
        body={
            "type": "zen:event-type:user.active_changed",
            "id": "2b24ef10-19d4-4740-93cf-8f98ec4776c0",
            "time": "2099-07-04T05:33:18Z",
        },
        headers={"x-zendesk-webhook-invocation-id": "8350205582"},
    ),
    # A trigger's body is what the operator wrote.
    Published(
        "zendesk",
        [("8350205582", "", None)],
        raw=b"<ticket><id>35436</id></ticket>",
        content_type="application/xml",
        headers={"x-zendesk-webhook-invocation-id": "8350205582"},
    ),
    # developers.intercom.com, "Webhook notification object".
    Published(
        "intercom",
        [("notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3", "company.created", "2014-02-18T13:48:51.000Z")],
        body={
            "type": "notification_event",
            "topic": "company.created",
            "id": "notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3",
            "created_at": 1392731331,
            "delivery_attempts": 1,
            "first_sent_at": 1392731392,
        },
    ),
    # typeform.com/developers, "Example payload".
    Published(
        "typeform",
        [("LtWXD3crgy", "form_response", "2018-01-18T18:17:02.000Z")],
        body={
            "event_id": "LtWXD3crgy",
            "event_type": "form_response",
            "form_response": {"form_id": "lT4Z3j", "submitted_at": "2018-01-18T18:17:02Z"},
        },
    ),
    # developer.calendly.com, the fields of a webhook payload; the values are stand-ins of its documentation.
    Published(
        "calendly",
        [
            (
                "invitee.created https://api.calendly.com/scheduled_events/AAA/invitees/B 2020-11-23T17:51:19.000000Z",
                "invitee.created",
                "2020-11-23T17:51:19.000Z",
            )
        ],
        body={
            "event": "invitee.created",
            "created_at": "2020-11-23T17:51:19.000000Z",
            "payload": {"uri": "https://api.calendly.com/scheduled_events/AAA/invitees/B"},
        },
    ),
    # developers.zoom.us, "meeting.started".
    Published(
        "zoom",
        [("", "meeting.started", "2021-07-14T02:44:51.572Z")],
        body={"event": "meeting.started", "event_ts": 1626230691572, "payload": {"account_id": "AAAAAABBBB"}},
    ),
    # developer.okta.com, "Event hooks", "Sample event delivery payload".
    Published(
        "okta",
        [("f790999f-fe87-467a-9880-6982a583986c", "user.session.start", "2018-03-28T22:23:07.777Z")],
        body={
            "eventType": "com.okta.event_hook",
            "eventId": "b5a188b9-5ece-4636-b041-482ffda96311",
            "eventTime": "2019-03-27T16:59:53.032Z",
            "data": {
                "events": [
                    {
                        "uuid": "f790999f-fe87-467a-9880-6982a583986c",
                        "published": "2018-03-28T22:23:07.777Z",
                        "eventType": "user.session.start",
                    }
                ]
            },
        },
    ),
    # github.com/XeroAPI/Xero-OpenAPI, xero-webhooks.yaml.
    Published(
        "xero",
        [
            (
                f"{XERO_TENANT} {XERO_CONTACT} CONTACT UPDATE 2024-06-21T01:15:39.902",
                "CONTACT.UPDATE",
                "2024-06-21T01:15:39.902Z",
            )
        ],
        body={
            "events": [
                {
                    "resourceId": XERO_CONTACT,
                    "eventDateUtc": "2024-06-21T01:15:39.902",
                    "eventType": "UPDATE",
                    "eventCategory": "CONTACT",
                    "tenantId": XERO_TENANT,
                    "tenantType": "ORGANISATION",
                }
            ],
            "lastEventSequence": 1,
            "firstEventSequence": 1,
            "entropy": "S0m3r4Nd0mt3xt",
        },
    ),
    # developers.notion.com, "Event types & delivery".
    Published(
        "notion",
        [("367cba44-b6f3-4c92-81e7-6a2e9659efd4", "page.created", "2024-12-05T23:55:34.285Z")],
        body={
            "id": "367cba44-b6f3-4c92-81e7-6a2e9659efd4",
            "timestamp": "2024-12-05T23:55:34.285Z",
            "type": "page.created",
            "attempt_number": 1,
            "entity": {"id": "153104cd-477e-809d-8dc4-ff2d96ae3090", "type": "page"},
        },
    ),
    # github.com/Asana/openapi, EventResponse.
    Published(
        "asana",
        [("", "task.changed", "2012-02-22T02:06:58.147Z")],
        body={
            "events": [
                {
                    "action": "changed",
                    "resource": {"gid": "12345", "resource_type": "task"},
                    "created_at": "2012-02-22T02:06:58.147Z",
                }
            ]
        },
    ),
    # What a callback holds is written by Smartsheet nowhere that was found.
    Published("smartsheet", [("", "", None)], body={"events": [{"objectType": "row"}, {"objectType": "row"}]}),
]


def compiled(expression: str | None) -> Expression | None:
    names = Names(built_in=frozenset({"headers", "query", "event"}))
    return compile_expression(expression, Place("relay.yaml"), names) if expression is not None else None


def read(published: Published) -> list[tuple[str, str, str | None]]:
    """Each event's id, type and time, as the relay has them."""
    config = SourceConfig.model_validate(plain(published.preset))
    expressions = (compiled(config.event_id), compiled(config.event_type), compiled(config.event_time))
    made = Source("s", config, None, Place("relay.yaml"), *expressions, config)
    raw = published.raw or json.dumps(published.body).encode()
    headers = {**published.headers, "content-type": published.content_type}
    whole = Event("evt_1", "s", "POST", "/in/s", (), headers, raw, 0)
    parts = Split.of(config.split).items(decode_event(whole, config)) if config.split is not None else []
    as_json = {**headers, "content-type": "application/json"}
    events = [replace(whole, body=json.dumps(part).encode(), headers=as_json) for part in parts] or [whole]
    found = []
    for event in events:
        view = decoded_view(event, made)
        key = ""
        if made.event_id is not None:
            values = {"": view.body, "headers": dict(event.headers), "query": {}, "event": {}}
            with suppress(RecipeError):
                key = str(made.event_id.of(values) or "")
        known = view.values["event"]
        found.append((key, known["type"], known["sent_at"]))
    return found


def test_every_preset_of_this_file_is_held_against_a_published_payload() -> None:
    assert {published.preset for published in PUBLISHED} == HERE


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.preset)
def test_a_preset_tells_the_vendors_events_apart_names_them_and_knows_when_they_were(published: Published) -> None:
    assert read(published) == published.events


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.preset)
def test_the_type_of_a_published_event_is_among_those_the_preset_lists(published: Published) -> None:
    types = PRESETS[published.preset].types
    assert not types or {kind for _, kind, _ in published.events} <= {*types, ""}


def test_a_contact_that_calendly_tells_of_twice_is_two_events() -> None:
    first = {"event": "contact.updated", "created_at": "2026-03-04T10:21:07Z", "payload": {"uri": "c/1"}}
    again = {**first, "created_at": "2026-03-04T10:22:00Z"}
    ids = [read(Published("calendly", [], body=body))[0][0] for body in (first, again, first)]
    assert ids[0] == ids[2] != ids[1]


def test_an_attempt_of_hubspot_is_the_same_event_as_the_one_before() -> None:
    event = {"eventId": 1, "subscriptionId": 2, "occurredAt": 3, "attemptNumber": 0}
    other = {**event, "subscriptionId": 4}
    bodies: list[JSON] = [[event], [{**event, "attemptNumber": 1}], [other]]
    ids = [read(Published("hubspot", [], body=body))[0][0] for body in bodies]
    assert ids[0] == ids[1] != ids[2]


# -- what every preset declares, whoever's it is

each_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)


@each_preset
def test_every_preset_makes_a_source(preset: Preset) -> None:
    config = SourceConfig.model_validate(plain(preset.name))
    assert config.event_id == plain(preset.name).get("event_id", preset.event_id)
    assert not config.unverified


@each_preset
def test_every_presets_expressions_can_be_read(preset: Preset) -> None:
    for expression in (preset.event_id, preset.event_type, preset.event_time):
        compiled(expression)
    if preset.split is not None:
        Split.of(preset.split)


@each_preset
def test_every_preset_says_where_it_is_from_and_what_proves_it(preset: Preset) -> None:
    assert preset.page.startswith("https://")
    assert preset.sends
    assert preset.asks_for
    assert preset.proof
    asks = preset.greeting is not None or preset.handshake is not None
    assert bool(preset.tried) == asks
    assert preset.kept is None or preset.handshake is not None


@each_preset
def test_every_preset_says_what_to_do_at_the_vendors(preset: Preset) -> None:
    steps = " ".join((*preset.setup, preset.script))
    assert "{url}" in steps
    assert all(step and step == step.strip() for step in preset.setup)
    if FILL_IN in str(preset.verify):
        assert "secret" in steps, "the setup says which of the vendor's secrets it is, and where to find it"
    if preset.name in HERE:
        assert "{secret}" in steps


@each_preset
def test_the_types_of_a_preset_are_told_apart_and_shown_by_its_example(preset: Preset) -> None:
    assert len(set(preset.types)) == len(preset.types)
    assert not preset.types or preset.event_type is not None
    assert not preset.types or preset.type_example in preset.types
    assert preset.event_type is None or preset.type_example or preset.name in ("svix", "standard-webhooks")


@each_preset
def test_an_answer_that_a_vendor_wants_accepts_the_event(preset: Preset) -> None:
    """Anything but 2xx would have an accepted event sent again, or its webhook switched off."""
    if preset.answer is not None:
        assert 200 <= preset.answer.status < 300
        assert not preset.answer.keep
