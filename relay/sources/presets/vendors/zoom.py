"""Zoom."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.handshakes import NOTHING, zoom_url_validation
from relay.sources.presets.preset import FILL_IN, Preset

# developers.zoom.us, "Using webhooks" and "Resolving webhook delays": 200 or 204 is wanted. No id of a notification is
# documented: uuid and event_ts are alike for two people who join a meeting at once. Whether a repeat is signed anew
# isn't published: the tolerance covers the last of them.
PRESET = Preset(
    name="zoom",
    vendor="Zoom",
    page="https://developers.zoom.us/docs/api/webhooks/",
    asks_for="the app's Secret Token",
    verify={
        "hmac": {
            "header": "x-zm-signature",
            "secret": FILL_IN,
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
            "timestamp": {"header": "x-zm-request-timestamp", "tolerance": "2h"},
        }
    },
    event_type="$.event",
    event_time="$.event_ts?",
    type_example="meeting.started",
    answer=NOTHING,
    answer_in=timedelta(seconds=3),
    retries="after 5, 20 and 60 minutes",
    handshake=zoom_url_validation,
    handshake_note="`endpoint.url_validation`, again every 72 hours",
    setup=(
        "On marketplace.zoom.us, open Develop, Build App, and make or open an app of the account.",
        "Under Features, Access, copy the Secret Token: it is {secret}. Start the relay with it first.",
        "There, switch Event Subscriptions on and add one. Event notification endpoint URL: {url}",
        "Press Validate, add the events, and save. Zoom asks again every three days.",
    ),
    proof="computed a second time from Zoom's description; how old a signature may be is not verified",
    tried="a request and an answer made from Zoom's description, sent to a real relay; Zoom publishes none",
)
