"""Zapier: the actions of Webhooks by Zapier."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# GET, POST and PUT make the body of fields; Custom Request sends what is written, with any method.
PRESET = Preset(
    name="zapier",
    vendor="Zapier",
    page="https://help.zapier.com/hc/en-us/articles/8496326446989-Send-webhooks-in-Zaps",
    asks_for="a long text of your own making: the header X-Relay-Key, or the password of the user relay",
    verify={
        "any": [
            {"header": "X-Relay-Key", "equals": FILL_IN},
            {"basic": {"username": "relay", "password": FILL_IN}},
        ]
    },
    retries="up to 5 times where Autoreplay is switched on; else by hand, from the Zap's history",
    methods=None,
    sends="JSON, a form, XML or raw text, as its Payload Type says; a GET has its values in the address",
    setup=(
        (
            "In the Zap, add the action Webhooks by Zapier, and choose POST. (PUT and GET work too, and Custom Request "
            "sends what you write, also with PATCH and DELETE.)"
        ),
        "URL: {url}",
        "Payload Type: JSON. (Form, XML and Raw work too.)",
        "Data: a name and a value for each thing to send.",
        "Header X-Relay-Key: {secret}. Or the field Basic Auth: the user name relay, and {secret}",
        "With Custom Request, or Raw, add the header Content-Type: application/json for JSON, application/xml for XML.",
        (
            "Add a field that is the same for a repeat, such as the id of what set the Zap off, and name it as "
            "`event_id`: a Zap that is replayed sends everything again."
        ),
    ),
    proof="operator-defined: there is no signature, and you write the payload. A header or HTTP Basic is compared.",
)
