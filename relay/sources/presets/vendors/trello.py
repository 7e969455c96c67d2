"""Trello."""

from __future__ import annotations

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import head_request
from relay.sources.presets.preset import FILL_IN, Preset

# A card and its board can both be watched: then one action is told twice, of two models. The address stands behind the
# body in what is signed, and is the one the webhook was made with.
PRESET = Preset(
    name="trello",
    vendor="Trello",
    page="https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks",
    asks_for="the Power-Up's OAuth 1.0 secret",
    verify={
        "hmac": {
            "header": "X-Trello-Webhook",
            "secret": FILL_IN,
            "algorithm": "sha1",
            "encoding": "base64",
            "signed": "{body}{url}",
        }
    },
    event_id='$.action.id + " " + $.model.id',
    event_type="$.action.type",
    event_time="$.action.date?",
    type_example="commentCard",
    answer=HandshakeReply(content_type="text/plain"),
    retries="3 times; not verified",
    gives_up="410 removes the webhook",
    greeting=head_request,
    handshake_note="a `HEAD`",
    setup=(
        "At trello.com/power-ups/admin, open the Power-Up, or make one.",
        "Its API key page has the OAuth 1.0 secret: that is {secret}.",
        "Make a token with the link on the same page.",
        (
            "Webhooks are made by a program, or with curl: POST https://api.trello.com/1/webhooks with key, token, "
            "idModel (the id of the board, list or card) and callbackURL={url}"
        ),
        "Trello asks the relay at once, and makes the webhook if it answers.",
    ),
    proof="a signature made by us as the page describes it; not with Trello itself",
    tried="the `HEAD` made by us as the page describes it; not with Trello itself",
)
