"""Presets held against what their vendors published: events told apart, named and dated, signatures made anew."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay import jsontext
from relay.errors import Place, RefusedError
from relay.model import JSON, Event
from relay.recipes import Source, one_word
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.scope import EventView, Scope, decoded_view
from relay.sources.config import SourceConfig
from relay.sources.decode import decode_event
from relay.sources.handshake import handshake
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS
from relay.sources.redact import Redactor
from relay.sources.split import Split
from relay.sources.verify import Verifier

FORM = "application/x-www-form-urlencoded"
NOW_MS = 1_772_619_667_000
SECONDS = "1772619667"
URL = "https://relay.example.com/in/vendor?a=1"
SECRET = "a5ec7e70f7he0pera70r"

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def source(preset: str, secret: str | list[str] = "") -> SourceConfig:
    known = PUBLIC_KEY if preset == "sendgrid" else SECRET
    written: dict[str, object] = {"preset": preset, "secret": secret or known}
    return SourceConfig.model_validate(written | ({"verify_token": "v"} if PRESETS[preset].asks_token else {}))


# -- what each of a vendor's events is told apart by, called and dated


@dataclass(frozen=True)
class Told:
    """An event as recipes see it: `event_id` "" where none is a repeat of it."""

    event_id: str
    event_type: str
    sent_at: str | None


@dataclass(frozen=True)
class Sample:
    """A body as the vendor shows it, shortened where that changes nothing."""

    preset: str
    body: bytes
    told: tuple[Told, ...]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


# zulip/zulip, zerver/webhooks/jotform/fixtures/response.multipart: a real request, of which some fields are left out.
JOTFORM_ANSWERS = (
    '{"slug":"submit\\/243231271343446","q3_studentsName":{"first":"Niloth","last":"P"},"q35_grade":"12",'
    '"timeToSubmit":"3","path":"\\/submit\\/243231271343446"}'
)
JOTFORM_FIELDS = {
    "action": "",
    "webhookURL": "https://3a95-27-5-198-172.ngrok-free.app/in/jotform/" + SECRET,
    "username": "UserNiloth",
    "formID": "243231271343446",
    "type": "WEB",
    "formTitle": "Tutor Appointment Form",
    "submissionID": "6084250982513018472",
    "rawRequest": JOTFORM_ANSWERS,
    "pretty": "Student's Name:Niloth P, Grade:12",
    "ip": "27.51.18.17",
}


def multipart(fields: Mapping[str, str]) -> bytes:
    line = "--------------------------J1JNT4vbVO4FCC1qLG4HSv"
    parts = "".join(
        f'{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    return f"{parts}{line}--\r\n".encode()


MULTIPART = "multipart/form-data; boundary=------------------------J1JNT4vbVO4FCC1qLG4HSv"
JOTFORM = multipart(JOTFORM_FIELDS)

# What the script of the preset sends; its shape is ours.
GOOGLE_FORMS = {
    "form_id": "1FAIpQLSd",
    "form_title": "Enquiry",
    "response_id": "2_ABaOnuf",
    "submitted_at": "2026-03-04T10:21:07.000Z",
    "email": "",
    "namedValues": {"Name": ["Ana"], "Subjects": ["Maths", "Physics"]},
}

# anymail/django-anymail, tests/test_mandrill_webhooks.py.
MANDRILL = [
    {
        "event": "hard_bounce",
        "msg": {"ts": 1461095211, "email": "bounce@example.com", "_id": "abcdef012345789abcdef012345789"},
        "_id": "abcdef012345789abcdef012345789",
        "ts": 1461095246,
    },
    {"type": "blacklist", "action": "add", "reject": {"email": "recipient@example.com", "reason": "manual edit"}},
]

SAMPLES = [
    # apidocs.mailchimp.com, "Webhooks", "Subscribes".
    Sample(
        "mailchimp",
        urlencode(
            {
                "type": "subscribe",
                "fired_at": "2009-03-26 21:35:57",
                "data[id]": "8a25ff1d98",
                "data[list_id]": "a6b5da1054",
                "data[email]": "api@mailchimp.com",
                "data[merges][EMAIL]": "api@mailchimp.com",
                "data[merges][INTERESTS]": "Group1,Group2",
            }
        ).encode(),
        (Told("", "subscribe", None),),
        FORM,
    ),
    Sample("mailchimp-signed", b"type=upemail&fired_at=2009-03-26+22%3A15%3A09", (Told("", "upemail", None),), FORM),
    Sample(
        "mandrill",
        urlencode({"mandrill_events": json.dumps(MANDRILL)}).encode(),
        (Told("", "hard_bounce", "2016-04-19T19:47:26.000Z"), Told("", "blacklist", None)),
        FORM,
    ),
    # twilio.com/docs/messaging/guides/webhook-request and …/track-outbound-message-status: the parameters they name.
    Sample(
        "twilio",
        b"ToCountry=GB&SmsMessageSid=SM1&SmsStatus=received&Body=Hello&From=%2B14017122661&NumMedia=0&MessageSid=SM1",
        (Told("33f5f8cb-ee7d-4a4c-9f2f-6a8e8a2e9e1b", "received", None),),
        FORM,
        {"i-twilio-idempotency-token": "33f5f8cb-ee7d-4a4c-9f2f-6a8e8a2e9e1b"},
    ),
    Sample(
        "twilio",
        b"SmsSid=SM1&SmsStatus=sent&MessageStatus=undelivered&To=%2B15558675310&MessageSid=SM1&ErrorCode=30003",
        (Told("", "undelivered", None),),
        FORM,
    ),
    Sample("twilio", b"CallSid=CA1&CallStatus=in-progress&Direction=inbound", (Told("", "in-progress", None),), FORM),
    # twilio.com/docs/sendgrid, "Event Webhook Reference"; the ids of the example are all one word there.
    Sample(
        "sendgrid",
        as_json(
            [
                {
                    "email": "example@test.com",
                    "timestamp": 1513299569,
                    "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
                    "event": event,
                    "category": "cat facts",
                    "sg_event_id": f"sg_event_id_{event}",
                    "sg_message_id": "sg_message_id",
                }
                for event in ("processed", "spamreport")
            ]
        ),
        (
            Told("sg_event_id_processed", "processed", "2017-12-15T00:59:29.000Z"),
            Told("sg_event_id_spamreport", "spamreport", "2017-12-15T00:59:29.000Z"),
        ),
    ),
    # anymail/django-anymail, tests/test_mailgun_webhooks.py: "an actual, complete (sanitized) event".
    Sample(
        "mailgun",
        as_json(
            {
                "signature": {
                    "timestamp": "1534108637",
                    "token": "651869375b9df3c98fc15c4889b102119add1235c38fc92824",
                    "signature": "...",
                },
                "event-data": {
                    "timestamp": 1534108637.153125,
                    "id": "hTWCTD81RtiDN-...",
                    "event": "delivered",
                    "recipient": "recipient@example.com",
                },
            }
        ),
        (Told("hTWCTD81RtiDN-...", "delivered", "2018-08-12T21:17:17.153Z"),),
    ),
    # learn.microsoft.com, "Receive change notifications through webhooks" and "… lifecycle notifications".
    Sample(
        "microsoft-graph",
        as_json(
            {
                "value": [
                    {
                        "id": "lsgTZMr9KwAAA",
                        "subscriptionId": "{subscription_guid}",
                        "subscriptionExpirationDateTime": "2016-03-19T22:11:09.952Z",
                        "clientState": "secretClientValue",
                        "changeType": "created",
                        "resource": "users/{user_guid}@{tenant_guid}/messages/{long_id_string}",
                    },
                    {
                        "subscriptionId": "<subscription_guid>",
                        "subscriptionExpirationDateTime": "2019-03-20T11:00:00.0000000Z",
                        "clientState": "<secretClientState>",
                        "lifecycleEvent": "reauthorizationRequired",
                    },
                ]
            }
        ),
        (Told("lsgTZMr9KwAAA", "created", None), Told("", "reauthorizationRequired", None)),
    ),
    # developers.facebook.com, "Webhooks from Meta", "Sample notification".
    Sample(
        "meta",
        as_json(
            {
                "entry": [
                    {
                        "time": 1520383571,
                        "changes": [{"field": "photos", "value": {"verb": "update", "object_id": "10211885744794461"}}],
                        "id": "10210299214172187",
                        "uid": "10210299214172187",
                    }
                ],
                "object": "user",
            }
        ),
        (Told("", "user", None),),
    ),
    # zulip/zulip, zerver/webhooks/dropbox/fixtures/file_updated.json.
    Sample(
        "dropbox",
        as_json(
            {
                "list_folder": {"accounts": ["dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"]},
                "delta": {"users": [12345678]},
            }
        ),
        (Told("", "", None),),
    ),
    # zulip/zulip, zerver/webhooks/trello/fixtures/adding_comment_to_card.json.
    Sample(
        "trello",
        as_json(
            {
                "model": {"id": "53582e2da0fac5676a714277", "name": "Welcome Board"},
                "action": {
                    "id": "5735bd3a54bf8d93c35149bb",
                    "data": {"text": "New comment"},
                    "type": "commentCard",
                    "date": "2016-05-13T11:40:42.612Z",
                },
            }
        ),
        (
            Told(
                "5735bd3a54bf8d93c35149bb 53582e2da0fac5676a714277",
                "commentCard",
                "2016-05-13T11:40:42.612Z",
            ),
        ),
    ),
    Sample(
        "jotform",
        JOTFORM,
        (Told("6084250982513018472 " + hashlib.sha256(JOTFORM_ANSWERS.encode()).hexdigest(), "", None),),
        MULTIPART,
    ),
    Sample(
        "google-forms",
        as_json(GOOGLE_FORMS),
        (Told(hashlib.sha256(jsontext.dumps(GOOGLE_FORMS)).hexdigest(), "", "2026-03-04T10:21:07.000Z"),),
    ),
]

MINE = sorted({sample.preset for sample in SAMPLES})


def compiled(expression: str | None) -> Expression | None:
    names = Names(built_in=frozenset({"headers", "query", "event"}))
    return compile_expression(expression, Place("relay.yaml"), names) if expression is not None else None


def as_source(config: SourceConfig) -> Source:
    expressions = (compiled(text) for text in (config.event_id, config.event_type, config.event_time))
    return Source("vendor", config, None, Place("relay.yaml"), *expressions, config)


def parts(config: SourceConfig, event: Event) -> list[Event]:
    """The body's events, each with its own part of it."""
    items: list[JSON] = Split.of(config.split).items(decode_event(event, config)) if config.split else []
    return [replace(event, body=jsontext.dumps(item), part=place) for place, item in enumerate(items, 1)] or [event]


def told(preset: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> tuple[Told, ...]:
    config = source(preset)
    found = as_source(config)
    event = Event(
        "evt_1", "vendor", "POST", "/in/vendor", (), {"content-type": content_type, **(headers or {})}, body, 0
    )
    result = []
    for part in parts(config, event):
        view = decoded_view(part, found)
        sent = view.values["event"]
        event_id = one_word(found.event_id.of(Scope(view).values), 500) if found.event_id else ""
        result.append(Told(event_id, sent["type"] or "", sent["sent_at"]))
    return tuple(result)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.preset)
def test_the_vendors_sample_is_told_apart_named_and_dated(sample: Sample) -> None:
    assert told(sample.preset, sample.body, sample.content_type, sample.headers) == sample.told


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.preset)
def test_the_types_of_the_samples_are_among_the_ones_that_are_listed(sample: Sample) -> None:
    preset = PRESETS[sample.preset]
    assert not preset.types or {event.event_type for event in sample.told} <= set(preset.types)
    assert not preset.types or preset.type_example in preset.types
    assert len(preset.types) == len(set(preset.types))


def test_every_preset_is_declared_whole() -> None:
    for name in MINE:
        preset = PRESETS[name]
        assert preset.page.startswith("https://"), name
        assert preset.proof, name
        assert preset.setup, name
        assert any("{url}" in step for step in preset.setup) or "{url}" in preset.script, name
        assert any("{secret}" in step for step in preset.setup), name
        asks = preset.greeting is not None or preset.handshake is not None
        assert bool(preset.handshake_note) == bool(preset.tried) == asks, name


def test_jotforms_answers_stand_beside_the_submissions_number() -> None:
    event = Event("evt_1", "vendor", "POST", "/in/vendor", (), {"content-type": MULTIPART}, JOTFORM, 0)
    data = decode_event(event, source("jotform"))
    assert data == JOTFORM_FIELDS
    answers = compiled("$.rawRequest | from_json")
    assert answers is not None
    assert answers.evaluate(Scope(EventView(event, data)))["q3_studentsName"] == {"first": "Niloth", "last": "P"}


def test_jotforms_echo_of_our_address_is_shown_without_its_token() -> None:
    event = Event("evt_1", "vendor", "POST", "/in/vendor", (), {"content-type": MULTIPART}, JOTFORM, 0)
    config = source("jotform")
    shown = Redactor(config).body(decode_event(event, config))
    assert shown["webhookURL"] == "https://3a95-27-5-198-172.ngrok-free.app/in/jotform/***"
    assert SECRET not in json.dumps(shown)
    assert shown["submissionID"] == "6084250982513018472"


def test_an_edited_jotform_submission_is_no_repeat_of_it() -> None:
    fields = {**JOTFORM_FIELDS, "rawRequest": JOTFORM_ANSWERS.replace('"12"', '"13"')}
    edited = told("jotform", multipart(fields), MULTIPART)
    assert edited != told("jotform", JOTFORM, MULTIPART)
    assert edited == told("jotform", multipart(fields), MULTIPART)


def test_a_changed_google_forms_response_is_no_repeat_of_it() -> None:
    changed = as_json({**GOOGLE_FORMS, "namedValues": {"Name": ["Anna"]}})
    assert told("google-forms", changed, "application/json") != told(
        "google-forms", as_json(GOOGLE_FORMS), "application/json"
    )


def test_one_trello_action_of_two_watched_models_is_two_events() -> None:
    def of(model: str) -> tuple[Told, ...]:
        body = as_json({"model": {"id": model}, "action": {"id": "5735bd3a", "type": "commentCard"}})
        return told("trello", body, "application/json")

    assert of("a board") != of("a card")
    assert of("a board") == of("a board")


def test_mandrills_test_without_events_is_told_as_one() -> None:
    assert told("mandrill", b"mandrill_events=%5B%5D", FORM) == (Told("", "", None),)


# -- signatures, made here a second time as each vendor's page describes them


def hexed(message: bytes, key: str = SECRET) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def sha1_based(message: bytes, key: str = SECRET) -> str:
    return base64.b64encode(hmac.new(key.encode(), message, hashlib.sha1).digest()).decode()


def url_and_form(url: str, body: bytes) -> bytes:
    """The address, and behind it every field's name and value, sorted by their names."""
    return (url + "".join(name + value for name, value in sorted(parse_qsl(body.decode(), True)))).encode()


def ecdsa(message: bytes) -> str:
    return base64.b64encode(KEY.sign(message, ec.ECDSA(hashes.SHA256()))).decode()


TWILIO_FORM = b"MessageSid=SM1&Body=Hello+there%2C+Zo%C3%AB&From=%2B14017122661&NumMedia=0&a=1"
MANDRILL_FORM = urlencode({"mandrill_events": json.dumps(MANDRILL)}).encode()
MAILGUN_TOKEN = "651869375b9df3c98fc15c4889b102119add1235c38fc92824"
MAILGUN = as_json(
    {
        "signature": {
            "timestamp": SECONDS,
            "token": MAILGUN_TOKEN,
            "signature": hexed((SECONDS + MAILGUN_TOKEN).encode()),
        },
        "event-data": {"event": "delivered"},
    }
)
JSON_BODY = b'{"id": "1", "name": "Zo\xc3\xab"}'
GRAPH = as_json({"value": [{"clientState": SECRET, "changeType": "created"}, {"clientState": SECRET}]})

REQUESTS: dict[str, Inbound] = {
    "mailchimp-signed": Inbound(
        "POST",
        headers={
            "content-type": FORM,
            "x-mailchimp-signature": f"t={SECONDS},v1={hexed(SECONDS.encode() + b'.type=profile')}",
        },
        body=b"type=profile",
    ),
    "mandrill": Inbound(
        "POST",
        headers={"content-type": FORM, "x-mandrill-signature": sha1_based(url_and_form(URL, MANDRILL_FORM))},
        body=MANDRILL_FORM,
        url=URL,
    ),
    "twilio": Inbound(
        "POST",
        headers={"content-type": FORM, "x-twilio-signature": sha1_based(url_and_form(URL, TWILIO_FORM))},
        body=TWILIO_FORM,
        url=URL,
    ),
    "sendgrid": Inbound(
        "POST",
        headers={
            "content-type": "application/json",
            "x-twilio-email-event-webhook-timestamp": SECONDS,
            "x-twilio-email-event-webhook-signature": ecdsa(SECONDS.encode() + JSON_BODY),
        },
        body=JSON_BODY,
    ),
    "mailgun": Inbound("POST", headers={"content-type": "application/json"}, body=MAILGUN),
    "microsoft-graph": Inbound("POST", headers={"content-type": "application/json"}, body=GRAPH),
    "meta": Inbound(
        "POST",
        headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={hexed(JSON_BODY)}"},
        body=JSON_BODY,
    ),
    "dropbox": Inbound(
        "POST",
        headers={"content-type": "application/json", "x-dropbox-signature": hexed(JSON_BODY)},
        body=JSON_BODY,
    ),
    "trello": Inbound(
        "POST",
        headers={"content-type": "application/json", "x-trello-webhook": sha1_based(JSON_BODY + URL.encode())},
        body=JSON_BODY,
        url=URL,
    ),
    "mailchimp": Inbound("POST", headers={"content-type": FORM}, body=b"type=profile", token=SECRET),
    "jotform": Inbound("POST", headers={"content-type": MULTIPART}, body=JOTFORM, token=SECRET),
    "google-forms": Inbound(
        "POST",
        headers={"content-type": "application/json", "x-relay-key": SECRET},
        body=JSON_BODY,
    ),
}

#: These hold a secret and sign nothing, or not the body.
NOT_OVER_THE_BODY = {"mailgun", "microsoft-graph", "mailchimp", "jotform", "google-forms"}

each = pytest.mark.parametrize("preset", MINE)


def refused(config: SourceConfig, request: Inbound, now_ms: int = NOW_MS) -> str:
    with pytest.raises(RefusedError) as caught:
        Verifier(config).verify(request, now_ms)
    assert caught.value.status == 401
    assert SECRET not in caught.value.reason
    return caught.value.reason


@each
def test_what_the_vendor_sends_is_accepted(preset: str) -> None:
    assert Verifier(source(preset)).verify(REQUESTS[preset], NOW_MS) == "1 of 1"


@each
def test_while_a_secret_is_changed_both_are_accepted(preset: str) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    another = base64.b64encode(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    secrets = [another, PUBLIC_KEY] if preset == "sendgrid" else ["another", SECRET]
    assert Verifier(source(preset, secrets)).verify(REQUESTS[preset], NOW_MS) == "2 of 2"
    refused(source(preset, secrets[:1]), REQUESTS[preset])


@pytest.mark.parametrize("preset", sorted(set(MINE) - NOT_OVER_THE_BODY))
def test_a_body_with_one_changed_byte_is_refused(preset: str) -> None:
    body = REQUESTS[preset].body
    for place in range(0, len(body), max(1, len(body) // 40)):
        changed = body[:place] + (b"0" if body[place : place + 1] != b"0" else b"1") + body[place + 1 :]
        refused(source(preset), replace(REQUESTS[preset], body=changed))


@each
def test_without_what_proves_it_nothing_is_accepted(preset: str) -> None:
    request = REQUESTS[preset]
    bare = replace(request, headers={"content-type": request.headers["content-type"]}, token="", body=b"{}")
    refused(source(preset), bare)
    refused(source(preset), replace(bare, body=b""))
    for name in request.headers.keys() - {"content-type"}:
        headers = {key: value for key, value in request.headers.items() if key != name}
        refused(source(preset), replace(request, headers=headers))


@pytest.mark.parametrize("preset", ["mandrill", "twilio", "trello"])
def test_a_signature_for_another_address_is_refused(preset: str) -> None:
    refused(source(preset), replace(REQUESTS[preset], url="https://relay.example.com/in/another?a=1"))


@pytest.mark.parametrize(("preset", "seconds"), [("mailchimp-signed", 300), ("sendgrid", 86_400), ("mailgun", 86_400)])
def test_an_old_signature_is_refused_once_its_time_is_over(preset: str, seconds: int) -> None:
    assert Verifier(source(preset)).verify(REQUESTS[preset], NOW_MS + seconds * 1000)
    assert f"{seconds} s are allowed" in refused(source(preset), REQUESTS[preset], NOW_MS + (seconds + 1) * 1000)


def test_mailguns_token_timestamp_and_signature_belong_together() -> None:
    for name in ("token", "timestamp", "signature"):
        body = json.loads(MAILGUN)
        for wrong in ("0" + body["signature"][name][1:], "", None, 1, [body["signature"][name]]):
            body["signature"][name] = wrong
            refused(source("mailgun"), replace(REQUESTS["mailgun"], body=as_json(body)))
        del body["signature"][name]
        refused(source("mailgun"), replace(REQUESTS["mailgun"], body=as_json(body)))


@pytest.mark.parametrize(
    "value",
    [
        [],
        [{"clientState": SECRET}, {"clientState": "another"}],
        [{"clientState": SECRET}, {}],
        [{"clientState": None}],
        [{"clientState": [SECRET]}],
        {"clientState": SECRET},
        SECRET,
        None,
    ],
)
def test_a_graph_notification_without_our_client_state_is_refused_with_its_whole_request(value: JSON) -> None:
    refused(source("microsoft-graph"), replace(REQUESTS["microsoft-graph"], body=as_json({"value": value})))


def test_twilios_published_signature_is_accepted() -> None:
    """twilio-python, tests/unit/test_request_validator.py; the same example is in all of Twilio's libraries."""
    request = Inbound(
        "POST",
        headers={"content-type": FORM, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        body=b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309",
        url="https://mycompany.com/myapp.php?foo=1&bar=2",
    )
    assert Verifier(source("twilio", "12345")).verify(request, NOW_MS) == "1 of 1"
    refused(source("twilio", "12346"), request)
    refused(source("twilio", "12345"), replace(request, body=request.body.replace(b"1234&", b"1235&")))


def test_twilios_json_body_is_held_by_its_hash_in_the_address() -> None:
    url = f"https://relay.example.com/in/twilio?bodySHA256={hashlib.sha256(JSON_BODY).hexdigest()}"
    request = Inbound(
        "POST",
        query=(("bodySHA256", hashlib.sha256(JSON_BODY).hexdigest()),),
        headers={"content-type": "application/json", "x-twilio-signature": sha1_based(url.encode())},
        body=JSON_BODY,
        url=url,
    )
    assert Verifier(source("twilio")).verify(request, NOW_MS) == "1 of 1"
    refused(source("twilio"), replace(request, body=JSON_BODY + b" "))


def test_a_get_of_twilio_is_signed_by_its_address_alone() -> None:
    url = URL + "&MessageSid=SM1"
    request = Inbound("GET", headers={"x-twilio-signature": sha1_based(url.encode())}, url=url)
    assert Verifier(source("twilio")).verify(request, NOW_MS) == "1 of 1"
    assert "GET" in source("twilio").methods


# -- what they hear


@pytest.mark.parametrize("name", sorted({"dropbox", "mailgun", "meta", "mandrill", "trello", "mailchimp", "jotform"}))
def test_a_vendor_that_asks_for_200_hears_200(name: str) -> None:
    answer = PRESETS[name].answer
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")


def test_twilio_hears_that_nothing_is_to_be_said() -> None:
    answer = PRESETS["twilio"].answer
    assert answer is not None
    assert answer.content_type == "text/xml"
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


def test_mailchimps_visit_is_answered_and_its_events_are_events() -> None:
    config = source("mailchimp")
    reply = handshake(config, Inbound("GET", token=SECRET), {}, "1 of 1")
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"")
    assert handshake(config, REQUESTS["mailchimp"], {"type": "profile"}, "1 of 1") is None


SIGNERS: dict[str, Callable[[bytes], str]] = {"meta": hexed, "dropbox": hexed}


@pytest.mark.parametrize("preset", SIGNERS)
def test_signatures_are_over_the_bytes_as_they_came(preset: str) -> None:
    """Meta escapes what isn't ASCII, and signs that: a body decoded and written anew would not fit."""
    body = b'{"object": "page", "text": "Zo\\u00eb"}'
    prefix = "sha256=" if preset == "meta" else ""
    name = next(iter(REQUESTS[preset].headers.keys() - {"content-type"}))
    request = replace(REQUESTS[preset], headers={name: prefix + SIGNERS[preset](body)}, body=body)
    assert Verifier(source(preset)).verify(request, NOW_MS) == "1 of 1"
    refused(source(preset), replace(request, body='{"object": "page", "text": "Zoë"}'.encode()))
