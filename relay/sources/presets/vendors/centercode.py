"""Centercode: webhooks of user and feedback macros."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# The operator writes method, headers and body; Dynamic Tags are put into the body's text as they are, so that a quote
# or a line break in somebody's feedback breaks JSON. What doesn't decode is kept, and can be mended and replayed.
PRESET = Preset(
    name="centercode",
    vendor="Centercode",
    page="https://help.centercode.com/centercode-guide-to-simple-webhooks",
    asks_for="a long text of your own making, which Centercode sends as the header X-Relay-Key",
    verify={"header": "X-Relay-Key", "equals": FILL_IN},
    retries="not published: take it that there are none",
    gives_up="not published",
    methods=None,
    sends="JSON or a form that you write yourself, with Dynamic Tags in it; a GET has its values in the address",
    setup=(
        "In Centercode, open the macros of your users, or of a feedback type, and add a Webhook to one.",
        "Request type: POST; GET, PUT, PATCH and DELETE work too.",
        "URL: {url}",
        "Header X-Relay-Key: {secret}",
        (
            "Body: choose Form, and write a field for each value. With JSON, a quote or a line break in what somebody "
            "wrote breaks the text around the Dynamic Tag. Nothing is lost then: the event is a dead letter, which "
            "`relay dead edit` mends and sends on. With JSON, add the header Content-Type: application/json."
        ),
        (
            "Put something in that is the same for a repeat, such as the feedback's id together with its date of "
            "change, and name it as `event_id`."
        ),
        (
            "To have values back, add a Capture Return Value for each: its Parameter is the name under `body` of the "
            "recipe's `respond`. Boolean, Integer and String take true or false, a number and a text as JSON has them: "
            '`$x | bool`, `$x | int`, `$x`. For Date and Time, give ISO 8601: `$x | date("YYYY-MM-DDTHH:mm:ssZ")`.'
        ),
    ),
    proof="operator-defined: there is no signature, and you write the payload. A header of your own is compared.",
)
