"""Zendesk."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# developer.zendesk.com, "Verifying webhook authenticity" and "Anatomy of a webhook request". Timestamp and body are
# signed with nothing between them. An invocation has one id for all its attempts. A webhook of events sends Zendesk's
# JSON; one of a trigger or an automation sends what the operator wrote, as JSON, XML or a form and by any method, and
# has a type only if that has one. How often it is repeated is not verified; 10 s are the shortest that is told.
PRESET = Preset(
    name="zendesk",
    vendor="Zendesk",
    page="https://developer.zendesk.com/documentation/webhooks/anatomy-of-a-webhook-request/",
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
                "tolerance": "1h",
            },
        }
    },
    event_id='$headers["x-zendesk-webhook-invocation-id"]?',
    event_type="$.type?",
    event_time="$.time?",
    type_example="zen:event-type:user.created",
    answer_in=timedelta(seconds=10),
    retries="after 409, after 429 and 503 that say how long to wait, and when no answer comes; a few times",
    gives_up="pauses where most requests of five minutes, or over 1,000 of them, fail",
    methods=None,
    sends="JSON; from a trigger, what you write there: JSON, XML or a form",
    setup=(
        "In Zendesk's Admin Center, open Apps and integrations, Webhooks, Create webhook.",
        "Choose Zendesk events, and which; or Trigger or automation, for what happens to tickets.",
        "Endpoint URL: {url}",
        "Request method: POST. Request format: JSON. Authentication: None, for requests are signed.",
        "On the page of the new webhook, reveal the signing secret: it is {secret}.",
        (
            "For tickets, open Objects and rules, Triggers: add the action Notify by webhook, and write the JSON "
            "that is to be sent."
        ),
        "A test that is sent before the webhook has been created is signed with another secret, and is refused.",
    ),
    proof="computed a second time from Zendesk's description; how old a signature may be is not verified",
)
