"""SendGrid's Event Webhook."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# Whether a retry, up to a day later, is signed anew isn't published: a signature is good for a day, and within that
# the id of each event makes a replay harmless.
PRESET = Preset(
    name="sendgrid",
    vendor="SendGrid",
    page="https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
    asks_for="the Verification Key of the Event Webhook, which is no secret",
    verify={
        "ecdsa": {
            "header": "X-Twilio-Email-Event-Webhook-Signature",
            "public_key": FILL_IN,
            "signed": "{timestamp}{body}",
            "timestamp": {"header": "X-Twilio-Email-Event-Webhook-Timestamp", "tolerance": "1d"},
        }
    },
    event_id="$.sg_event_id?",
    event_type="$.event?",
    event_time="$.timestamp?",
    types=(
        *("processed", "dropped", "delivered", "deferred", "bounce", "open", "click", "spamreport", "unsubscribe"),
        *("group_unsubscribe", "group_resubscribe", "account_status_change"),
    ),
    type_example="group_unsubscribe",
    split="$[*]",
    retries="for up to a day; the intervals aren't published. The same event may come several times",
    sends="JSON, a list of events",
    setup=(
        "Open Settings > Mail Settings > Event Webhooks, and choose Create new webhook.",
        "Post URL: {url}",
        "Tick the actions you want to be told of.",
        "Under Security features, switch Signed Event Webhook on. Save.",
        "Open the webhook again: its Verification Key is {secret}.",
    ),
    proof="PyPI sendgrid: what its EventWebhook accepts is accepted, and nothing else",
)
