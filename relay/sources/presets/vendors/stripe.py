"""Stripe."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# PyPI stripe, stripe/_webhook.py. The key is the whole secret as it is written, whsec_ included. Stripe's library lets
# timestamps of the future pass; here, they may be ahead by five minutes. Which types there are goes by the version of
# Stripe's API.
PRESET = Preset(
    name="stripe",
    vendor="Stripe",
    page="https://docs.stripe.com/webhooks",
    asks_for="the endpoint's signing secret, whsec_…",
    verify={
        "hmac": {
            "header": "Stripe-Signature",
            "secret": FILL_IN,
            "field": "v1",
            "signed": "{timestamp}.{body}",
            "timestamp": {"field": "t", "tolerance": "5m"},
        }
    },
    event_id="$.id",
    event_type="$.type",
    event_time="$.created?",
    type_example="customer.created",
    retries="for up to 3 days, in a sandbox 3 times in a few hours; order isn't kept",
    setup=(
        "In Stripe's Dashboard, open Workbench, Webhooks, and add a destination for events of your account.",
        "Choose the events, and Webhook endpoint as the kind of destination.",
        "Endpoint URL: {url}",
        (
            "On the page of the new destination, reveal the Signing secret. It begins with whsec_, and is {secret}. "
            "Live and test mode have one each."
        ),
    ),
    proof="PyPI stripe: what it signs is accepted, and it accepts what `relay send` signs",
)
