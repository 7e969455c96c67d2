"""Dropbox."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import dropbox_challenge
from relay.sources.presets.preset import FILL_IN, Preset

# A notification says whose files changed, not which, and has no id, type or time. Anything but 200 is a failure.
# No split: `delta` names the same people by their old numbers, and would be lost.
PRESET = Preset(
    name="dropbox",
    vendor="Dropbox",
    page="https://www.dropbox.com/developers/reference/webhooks",
    asks_for="the app's App secret",
    verify={"hmac": {"header": "X-Dropbox-Signature", "secret": FILL_IN}},
    answer=HandshakeReply(content_type="text/plain"),
    answer_in=timedelta(seconds=10),
    retries="for about 10 minutes",
    greeting=dropbox_challenge,
    handshake_note="`challenge`",
    sends="JSON, with a list of accounts",
    setup=(
        "At dropbox.com/developers/apps, open the app. Settings has the App secret: that is {secret}.",
        "Settings > Webhooks > Webhook URIs: {url}",
        "Add. Dropbox asks the relay at once.",
        "Only people who connected their account to the app are watched.",
        "A notification says whose files changed. Which ones, Dropbox tells through its API.",
    ),
    proof="a signature made by us as the page and npm hapi-dropbox-webhooks describe it; not with Dropbox itself",
    tried="the page's sample request; not with Dropbox itself",
)
