"""Twilio."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.preset import FILL_IN, Preset

# PyPI twilio, twilio/request_validator.py: sorted fields without what is there twice, the address with and without its
# port, JSON bodies by their hash in the address. An empty TwiML answer sends nothing back to the phone.
# The event_id is the request's own, which a retry repeats: MessageSid is the same for each status of a message, and
# CallSid for all of a call. The header isn't signed; public receivers rely on it, the vendor's reference wasn't found.
PRESET = Preset(
    name="twilio",
    vendor="Twilio",
    page="https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    asks_for="the account's Auth Token",
    verify={
        "hmac": {
            "header": "X-Twilio-Signature",
            "secret": FILL_IN,
            "algorithm": "sha1",
            "encoding": "base64",
            "signed": "{url}{form}",
            "body_hash": "bodySHA256",
            "ports": True,
        }
    },
    event_id='$headers["i-twilio-idempotency-token"]?',
    event_type="$.MessageStatus? | default($.SmsStatus?) | default($.CallStatus?)",
    types=(
        *("received", "accepted", "scheduled", "queued", "sending", "sent", "delivered", "undelivered", "failed"),
        *("partially_delivered", "read", "canceled", "receiving"),
        *("initiated", "ringing", "in-progress", "completed", "busy", "no-answer"),
    ),
    type_example="delivered",
    answer=HandshakeReply(b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml"),
    answer_in=timedelta(seconds=15),
    retries="once if it can't connect; more with `#rc=3&rp=all` at the end of the address",
    methods=("GET", "POST"),
    sends="a form; with GET, the address holds it",
    setup=(
        "Open Phone Numbers > Manage > Active numbers, and choose the number.",
        "Under Messaging, A message comes in: Webhook, HTTP POST, {url}",
        (
            "For the fate of messages you send, give {url} as their status callback: in the Messaging Service under "
            "Integration, or as StatusCallback with each message."
        ),
        "Account Info on the console's first page has the Auth Token: that is {secret}.",
        "Behind a proxy, set RELAY_PUBLIC_URL: Twilio signs the address as it is written there.",
    ),
    proof="PyPI twilio: what its RequestValidator signs is accepted, and nothing else",
)
