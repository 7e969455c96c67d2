"""Mailchimp, signed."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import visit
from relay.sources.presets.preset import FILL_IN, Preset

# Mailchimp's guide doesn't tell of this signature: it is known from a compilation of its API alone. What else there is
# to say of Mailchimp's events is said in mailchimp.py.
PRESET = Preset(
    name="mailchimp-signed",
    vendor="Mailchimp",
    page="https://github.com/api-evangelist/mailchimp",
    asks_for="the webhook's signing secret",
    verify={
        "hmac": {
            "header": "X-Mailchimp-Signature",
            "secret": FILL_IN,
            "field": "v1",
            "signed": "{timestamp}.{body}",
            "timestamp": {"field": "t", "tolerance": "5m"},
        }
    },
    event_type="$.type?",
    types=("subscribe", "unsubscribe", "profile", "upemail", "cleaned", "campaign"),
    type_example="subscribe",
    answer=HandshakeReply(content_type="text/plain"),
    answer_in=timedelta(seconds=10),
    retries="at growing intervals for 75 minutes",
    gives_up="webhooks that fail too often, as Mailchimp sees fit",
    greeting=visit,
    handshake_note="a `GET` or `HEAD`",
    sends="a form",
    setup=(
        "Only where Mailchimp shows a signing secret for the webhook; otherwise take the preset mailchimp.",
        "Open Audience > Settings > Webhooks of the audience, and choose Create New Webhook.",
        "Callback URL: {url}",
        "Save. The signing secret that is shown is {secret}.",
    ),
    proof="not verified: known from a compilation of Mailchimp's API, not from Mailchimp",
    tried="the visit made by us; not with Mailchimp itself",
)
