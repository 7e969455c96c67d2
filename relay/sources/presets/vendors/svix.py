"""Svix."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import Preset
from relay.sources.presets.standard import standard_webhooks

# docs.svix.com, "Verifying webhooks manually": Standard Webhooks under names of its own. What a body holds is up to
# whoever sends with Svix.
PRESET = Preset(
    name="svix",
    vendor="Svix",
    page="https://docs.svix.com/receiving/verifying-payloads/how-manual",
    asks_for="the endpoint's signing secret, whsec_…",
    verify=standard_webhooks("svix"),
    event_id='$headers["svix-id"]?',
    event_type="$.type?",
    event_time="$.timestamp?",
    answer_in=timedelta(seconds=15),
    # docs.svix.com, "Retries"; not verified.
    retries="for about a day, 7 times",
    gives_up="disables an endpoint that has failed for 5 days",
    setup=(
        "In the portal that the sender offers, open Endpoints, Add Endpoint. Endpoint URL: {url}",
        "Choose the events, and press Create.",
        "On the page of the new endpoint, show the Signing Secret. It begins with whsec_, and is {secret}.",
        "Testing, Send Example, sends one at once.",
    ),
    proof="the example in the test suites of Svix's libraries, and PyPI svix, both ways",
)
