"""Standard Webhooks."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import Preset
from relay.sources.presets.standard import standard_webhooks

# The specification's spec/standard-webhooks.md, and PyPI standardwebhooks, webhooks.py. `type` and `timestamp` are
# what the specification recommends for a body.
PRESET = Preset(
    name="standard-webhooks",
    vendor="Standard Webhooks",
    page="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    asks_for="the endpoint's signing secret, whsec_…",
    verify=standard_webhooks("webhook"),
    event_id='$headers["webhook-id"]?',
    event_type="$.type?",
    event_time="$.timestamp?",
    answer_in=timedelta(seconds=15),
    retries="up to the sender; the specification's example lasts 3 days",
    gives_up="410 switches the endpoint off",
    setup=(
        "In the sender's settings, look for webhooks or endpoints, and add one. Its address: {url}",
        "Choose the events, and JSON where there is a choice.",
        "Copy the signing secret that the sender shows. It begins with whsec_, and is {secret}.",
    ),
    proof="the example in the test suites of its libraries, and PyPI standardwebhooks, both ways",
)
