"""Mailgun."""

from __future__ import annotations

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.preset import FILL_IN, Preset

# Only 200 is taken for an answer, and 406 for a refusal: anything else is sent again. Mailgun signs its timestamp and
# token, but not the event: who has seen one request could put another event into it, for as long as its timestamp is
# good. That is a day, for a retry may come 8 hours later, and whether it is signed anew isn't published.
# Forwarded mails (routes) are signed in another place and not taken.
PRESET = Preset(
    name="mailgun",
    vendor="Mailgun",
    page="https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
    asks_for="the HTTP webhook signing key of the account",
    verify={
        "hmac": {
            "body": "signature.signature",
            "secret": FILL_IN,
            "signed": "{timestamp}{body:signature.token}",
            "timestamp": {"body": "signature.timestamp", "tolerance": "1d"},
        }
    },
    event_id='$["event-data"].id?',
    event_type='$["event-data"].event?',
    event_time='$["event-data"].timestamp?',
    types=("accepted", "delivered", "failed", "opened", "clicked", "unsubscribed", "complained"),
    type_example="delivered",
    answer=HandshakeReply(content_type="text/plain"),
    retries="after 5, 10 and 15 minutes, then 1, 2 and 4 hours; 406 ends it, and `delivered` isn't sent again",
    setup=(
        "Open Sending > Webhooks of the domain, and choose Add webhook.",
        "Choose the event type. Do so for each type you want. URL: {url}",
        "Settings > API Security has the HTTP webhook signing key: that is {secret}.",
    ),
    proof="a signature made by us as the page and django-anymail's tests describe it; not with Mailgun itself. "
    "It covers timestamp and token, and not the event: whoever gets hold of one can send others with it for a day",
)
