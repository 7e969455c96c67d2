"""Mandrill, which is Mailchimp Transactional."""

from __future__ import annotations

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import head_request
from relay.sources.presets.preset import FILL_IN, Preset

# No event_id: `_id` is the message's, the same for its sending, each opening and each click.
# Sync events have `type` in the place of `event`.
PRESET = Preset(
    name="mandrill",
    vendor="Mandrill",
    page="https://mandrill.zendesk.com/hc/en-us/articles/205583257-How-to-Authenticate-Webhook-Requests",
    asks_for="the webhook's Key, from the list of webhooks",
    verify={
        "hmac": {
            "header": "X-Mandrill-Signature",
            "secret": FILL_IN,
            "algorithm": "sha1",
            "encoding": "base64",
            "signed": "{url}{form}",
        }
    },
    event_type="$.event? | default($.type?)",
    event_time="$.ts?",
    types=(
        *("send", "deferral", "hard_bounce", "soft_bounce", "delivered", "open", "click", "spam", "unsub", "reject"),
        *("inbound", "allowlist", "denylist", "whitelist", "blacklist"),
    ),
    type_example="hard_bounce",
    split="$[*]",
    answer=HandshakeReply(content_type="text/plain"),
    retries="batches that failed, until somebody gives them up by hand; the intervals aren't verified",
    greeting=head_request,
    handshake_note="a `HEAD`",
    json_field="mandrill_events",
    sends="a form with up to 1,000 events in its field `mandrill_events`",
    setup=(
        "Mandrill gives its key only after the relay has answered: give {secret} any value for now.",
        "Open Settings > Webhooks, and choose Add a Webhook.",
        "Tick the events you want.",
        "Post to URL: {url} (exactly so: Mandrill signs the address as it is written there)",
        "Create. What the list shows under Key now is {secret}.",
    ),
    proof="a signature made by us as the page and django-anymail's tests describe it; not with Mandrill itself",
    tried="the `HEAD` made by us as django-anymail's tests describe it; not with Mandrill itself",
)
