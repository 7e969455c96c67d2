"""Every preset, one declaration each, in the order of docs/sources.md.

A comment says where the facts are from. `event_id` is left out where nothing the vendor sends is surely the same for a
repeat and different for another event: an event delivered twice can be mended, one taken for a repeat is lost.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from relay.sources.presets.handshakes import slack_url_verification, zoom_url_validation
from relay.sources.presets.preset import FILL_IN, Preset


def _standard_webhooks(names: str) -> dict[str, Any]:
    """github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md; other versions than v1 are skipped."""
    return {
        "hmac": {
            "header": f"{names}-signature",
            "secret": FILL_IN,
            "secret_prefix": "whsec_",
            "secret_encoding": "base64",
            "encoding": "base64",
            "prefix": "v1,",
            "separator": " ",
            "signed": f"{{header:{names}-id}}.{{timestamp}}.{{body}}",
            "timestamp": {"header": f"{names}-timestamp", "tolerance": "5m"},
        }
    }


TABLE: tuple[Preset, ...] = (
    # docs.github.com, "Validating webhook deliveries" and "Handling webhook deliveries".
    # GitHub can also send a form, whose one field `payload` holds the event.
    Preset(
        name="github",
        vendor="GitHub",
        asks_for="the Secret of the webhook's settings",
        verify={"hmac": {"header": "X-Hub-Signature-256", "secret": FILL_IN, "prefix": "sha256="}},
        event_id='$headers["x-github-delivery"]?',
        event_type='$headers["x-github-event"]?',
        type_example="pull_request",
        answer_in=timedelta(seconds=10),
        retries="none by itself; redelivered by hand within 3 days",
        json_field="payload",
    ),
    # The specification's spec/standard-webhooks.md, and PyPI standardwebhooks, webhooks.py.
    Preset(
        name="standard-webhooks",
        vendor="Standard Webhooks",
        asks_for="the endpoint's signing secret, whsec_…",
        verify=_standard_webhooks("webhook"),
        event_id='$headers["webhook-id"]?',
        event_type="$.type?",
        answer_in=timedelta(seconds=15),
        retries="up to the sender; the specification's example lasts 3 days",
    ),
    # docs.svix.com, "Verifying webhooks manually": the same under names of its own.
    Preset(
        name="svix",
        vendor="Svix",
        asks_for="the endpoint's signing secret, whsec_…",
        verify=_standard_webhooks("svix"),
        event_id='$headers["svix-id"]?',
        event_type="$.type?",
        answer_in=timedelta(seconds=15),
    ),
    # PyPI stripe, stripe/_webhook.py. The key is the whole secret as it is written, whsec_ included.
    Preset(
        name="stripe",
        vendor="Stripe",
        asks_for="the endpoint's signing secret, whsec_…",
        verify={
            "hmac": {
                "header": "Stripe-Signature",
                "secret": FILL_IN,
                "field": "v1",
                "signed": "{timestamp}.{body}",
                "timestamp": {"field": "t", "tolerance": "5m"},
            }
        },
        event_id="$.id",
        event_type="$.type",
        type_example="customer.created",
        retries="for up to 3 days; order isn't kept",
    ),
    # api.slack.com, "Verifying requests from Slack" and "url_verification"; PyPI slack_sdk, slack_sdk/signature.
    # Slash commands are forms, and interactions are forms whose one field `payload` holds JSON.
    Preset(
        name="slack",
        vendor="Slack",
        asks_for="the app's Signing Secret",
        verify={
            "hmac": {
                "header": "X-Slack-Signature",
                "secret": FILL_IN,
                "prefix": "v0=",
                "signed": "v0:{timestamp}:{body}",
                "timestamp": {"header": "X-Slack-Request-Timestamp", "tolerance": "5m"},
            }
        },
        event_id="$.event_id?",
        event_type="$.event.type?",
        type_example="app_mention",
        answer_in=timedelta(seconds=3),
        retries="3 times",
        handshake=slack_url_verification,
        handshake_note="`url_verification`",
        json_field="payload",
    ),
    # shopify.dev, "Deliver webhooks through HTTPS". X-Shopify-Webhook-Id is the same for each retry.
    Preset(
        name="shopify",
        vendor="Shopify",
        asks_for="the app's client secret",
        verify={"hmac": {"header": "X-Shopify-Hmac-Sha256", "secret": FILL_IN, "encoding": "base64"}},
        event_id='$headers["x-shopify-webhook-id"]?',
        event_type='$headers["x-shopify-topic"]?',
        type_example="orders/create",
        answer_in=timedelta(seconds=5),
        retries="8 times in 4 hours, then the subscription is removed",
    ),
    # developer.zendesk.com, "Verifying webhooks". Timestamp and body are signed with nothing between them. A body is
    # what the operator wrote, so it has no type of its own.
    Preset(
        name="zendesk",
        vendor="Zendesk",
        asks_for="the webhook's signing secret",
        verify={
            "hmac": {
                "header": "X-Zendesk-Webhook-Signature",
                "secret": FILL_IN,
                "encoding": "base64",
                "signed": "{timestamp}{body}",
                "timestamp": {
                    "header": "X-Zendesk-Webhook-Signature-Timestamp",
                    "format": "iso",
                    "tolerance": "5m",
                },
            }
        },
        event_id='$headers["x-zendesk-webhook-invocation-id"]?',
        event_type=None,
        answer_in=timedelta(seconds=10),
        methods=None,
    ),
    # typeform.com/developers, "Secure your webhooks".
    Preset(
        name="typeform",
        vendor="Typeform",
        asks_for="the secret of the webhook's settings",
        verify={"hmac": {"header": "Typeform-Signature", "secret": FILL_IN, "prefix": "sha256=", "encoding": "base64"}},
        event_id="$.event_id",
        event_type="$.event_type",
        type_example="form_response",
        answer_in=timedelta(seconds=30),
        retries="for about 10 hours; 404 and 410 switch the webhook off",
    ),
    # developers.intercom.com, "Setting up webhooks", "Signed notifications".
    Preset(
        name="intercom",
        vendor="Intercom",
        asks_for="the app's client secret",
        verify={"hmac": {"header": "X-Hub-Signature", "secret": FILL_IN, "algorithm": "sha1", "prefix": "sha1="}},
        event_id="$.id",
        event_type="$.topic",
        type_example="conversation.user.created",
        retries="over 1,000 errors in a row within 15 minutes pause it",
    ),
    # developer.calendly.com, "Webhook signatures". A reschedule sends both invitee.canceled and invitee.created.
    Preset(
        name="calendly",
        vendor="Calendly",
        asks_for="the signing key given when the subscription was made",
        verify={
            "hmac": {
                "header": "Calendly-Webhook-Signature",
                "secret": FILL_IN,
                "field": "v1",
                "signed": "{timestamp}.{body}",
                "timestamp": {"field": "t", "tolerance": "3m"},
            }
        },
        event_id='$.event + " " + $.payload.uri',
        event_type="$.event",
        type_example="invitee.created",
    ),
    # developers.zoom.us, "Using webhooks". No id of a notification is documented: uuid and event_ts are alike for two
    # people who join a meeting at once.
    Preset(
        name="zoom",
        vendor="Zoom",
        asks_for="the app's Secret Token",
        verify={
            "hmac": {
                "header": "x-zm-signature",
                "secret": FILL_IN,
                "prefix": "v0=",
                "signed": "v0:{timestamp}:{body}",
                "timestamp": {"header": "x-zm-request-timestamp", "tolerance": "5m"},
            }
        },
        event_type="$.event",
        type_example="meeting.started",
        answer_in=timedelta(seconds=3),
        retries="after 5, 20 and 60 minutes",
        handshake=zoom_url_validation,
        handshake_note="`endpoint.url_validation`",
    ),
    # developers.hubspot.com, "Validating requests", version 3; PyPI hubspot-api-client, hubspot/utils/signature.py.
    # A body is a list of up to 100 events, so ids and types are each item's own: foreach: $[*].
    Preset(
        name="hubspot",
        vendor="HubSpot",
        asks_for="the app's client secret",
        verify={
            "hmac": {
                "header": "X-HubSpot-Signature-v3",
                "secret": FILL_IN,
                "encoding": "base64",
                "signed": "{method}{url}{body}{timestamp}",
                "timestamp": {
                    "header": "X-HubSpot-Request-Timestamp",
                    "format": "milliseconds",
                    "tolerance": "5m",
                },
            }
        },
        answer_in=timedelta(seconds=5),
        retries="up to 10 times in 24 hours",
    ),
    # docs.getgist.com, "Webhooks": the method is chosen in the editor, and headers can be added; nothing is signed by a
    # documented name. Neither a topic's field nor an event's id is published. 410 switches the webhook off.
    Preset(
        name="gist",
        vendor="Gist",
        asks_for="a header or a token of your own choice, under `verify`",
        verify=None,
        answer_in=timedelta(seconds=10),
        retries="after 5 minutes, 1 hour and 3 hours; 410 switches the webhook off",
        methods=None,
    ),
)
