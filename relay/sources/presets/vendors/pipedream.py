"""Pipedream: HTTP requests of a workflow's steps."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# `$.send.http` waits for 5 s and throws the answer away; the HTTP actions and `axios` of @pipedream/platform read it.
PRESET = Preset(
    name="pipedream",
    vendor="Pipedream",
    page="https://pipedream.com/docs/workflows/data-management/destinations/http",
    asks_for="a long text of your own making: the header X-Relay-Key, or the password of the user relay",
    verify={
        "any": [
            {"header": "X-Relay-Key", "equals": FILL_IN},
            {"basic": {"username": "relay", "password": FILL_IN}},
        ]
    },
    answer_in=timedelta(seconds=5),
    retries="none",
    methods=None,
    sends="JSON, a form or raw text; a GET has its values in the address",
    setup=(
        "In the workflow, add a step: Send any HTTP Request, or a Node.js step with $.send.http or axios.",
        "Method: POST. (All others work too.)",
        "URL: {url}",
        "Header X-Relay-Key: {secret}. Or Basic auth: the user name relay, and {secret}",
        (
            "Body: an object, which is sent as JSON. Text that is JSON is taken for it, though axios calls it a form "
            "where it isn't told its content type."
        ),
        "Add steps.trigger.context.id to the body, and name it as `event_id`: a step that is run again is then known.",
        (
            "An answer of the recipe's `respond` can be read by the HTTP request step and by axios, not by "
            "$.send.http, which waits for 5 seconds and doesn't try again."
        ),
    ),
    proof="operator-defined: there is no signature, and you write the payload. A header or HTTP Basic is compared; "
    "the bodies are those of npm @pipedream/platform 3.4.0.",
)
