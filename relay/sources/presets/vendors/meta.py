"""Meta: Facebook, Instagram, Messenger and WhatsApp."""

from __future__ import annotations

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import meta_subscription
from relay.sources.presets.preset import FILL_IN, Preset

# No split: what the entries are about (`object`) stands beside them, and would be lost. A recipe takes them one by one
# with `foreach: $.entry[*]`. No event_id: neither a notification nor an entry has one.
PRESET = Preset(
    name="meta",
    vendor="Meta",
    page="https://developers.facebook.com/docs/graph-api/webhooks/getting-started/",
    asks_for="the app's App Secret",
    verify={"hmac": {"header": "X-Hub-Signature-256", "secret": FILL_IN, "prefix": "sha256="}},
    event_type="$.object?",
    type_example="page",
    answer=HandshakeReply(content_type="text/plain"),
    retries="at once, then less and less often; for how long differs by product and isn't verified",
    asks_token=True,
    greeting=meta_subscription,
    handshake_note="`hub.challenge`, for your `verify_token`",
    sends="JSON, with a list of entries",
    example={"secret": "${META_APP_SECRET}", "verify_token": "${META_VERIFY_TOKEN}"},
    setup=(
        "Make up a verify token, such as 32 letters and digits, and give it in relay.yaml as verify_token.",
        "At developers.facebook.com, open the app. App settings > Basic has the App Secret: that is {secret}.",
        "Add the product Webhooks (or open the Configuration of WhatsApp, Messenger or Instagram).",
        "Callback URL: {url}",
        "Verify token: the one you made up. Verify and save.",
        "Subscribe to the fields you want.",
    ),
    proof="a signature made by us as the page describes it; not with Meta itself",
    tried="the page's sample request; not with Meta itself",
)
