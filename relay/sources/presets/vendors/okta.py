"""Okta."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.handshakes import NOTHING, okta_verification
from relay.sources.presets.preset import FILL_IN, Preset

# developer.okta.com, "Event hooks". Events are sent at least once, and each has a uuid. An empty answer is wanted,
# 200 or 204. The types are those of the System Log that say `event-hook-eligible`: too many.
PRESET = Preset(
    name="okta",
    vendor="Okta",
    page="https://developer.okta.com/docs/concepts/event-hooks/",
    asks_for="the Authentication secret of the event hook",
    verify={"header": "Authorization", "equals": FILL_IN},
    event_id="$.uuid",
    event_type="$.eventType",
    event_time="$.published?",
    type_example="user.session.start",
    split="$.data.events[*]",
    answer=NOTHING,
    answer_in=timedelta(seconds=3),
    retries="once, and not after 4xx: without a `limit`, then, for its 429 is one",
    handshake=okta_verification,
    handshake_note="a GET with `X-Okta-Verification-Challenge`",
    sends="JSON, with several events in its list `data.events`",
    setup=(
        "In Okta's Admin Console, open Workflow, Event Hooks, Create Event Hook.",
        "Endpoint URL: {url}",
        "Authentication field: authorization. Authentication secret: a long random text of your own choice.",
        "The same text is {secret}. Start the relay with it before you go on.",
        "Choose the events, and press Save & Continue, then Verify.",
    ),
    proof="nothing is signed: a header equals the secret, in constant time",
    tried="a request and the answer made from Okta's description, sent to a real relay",
)
