"""Gecko Chat: one webhook when a conversation is closed."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# Sent once a conversation is closed, with its transcript, the contact's details and metadata; no sample is published.
PRESET = Preset(
    name="gecko-chat",
    vendor="Gecko Chat",
    page="https://academy.geckoengage.com/en/articles/6896455-webhooks",
    asks_for="a long text of your own making: Gecko's auth value, under the auth key X-Relay-Key",
    verify={"any": [{"header": "X-Relay-Key", "equals": FILL_IN}, {"query": "X-Relay-Key", "equals": FILL_IN}]},
    retries="not published: take it that there are none",
    gives_up="not published",
    sends="JSON, when a conversation is closed: transcript, contact and metadata",
    setup=(
        "In Gecko Chat's settings, add a webhook.",
        "URL: {url}",
        "Auth key: X-Relay-Key",
        "Auth value: {secret}",
        (
            "Close a conversation, and look at what came with `relay events show`: Gecko publishes no sample, so these "
            "are the names for your recipe. `relay capture` keeps it as one to test with."
        ),
        "Where it holds the conversation's id, name that as `event_id`: a repeat is then known as one.",
        (
            "Where every request is refused, Gecko sends the key in a way its page doesn't name: put the "
            "secret behind the URL and a slash, and write `path_token` under `verify` in place of `secret`."
        ),
    ),
    proof="operator-defined: there is no signature, and no published payload. A key of your own is compared.",
)
