"""Gecko Engage: webhooks of a form's or script's workflow."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

PRESET = Preset(
    name="gecko-workflow",
    vendor="Gecko Engage workflows",
    page="https://academy.geckoengage.com/en/articles/6896455-webhooks",
    asks_for="a password of your own making; the user name is relay",
    verify={"basic": {"username": "relay", "password": FILL_IN}},
    retries="not published: take it that there are none",
    gives_up="not published",
    sends="JSON or XML, with a key for each question of the form or script",
    setup=(
        "In Gecko, open the workflow of the form or script, and add a webhook to it.",
        "URL: {url}",
        "Username: relay",
        "Password: {secret}",
        "Format: JSON, unless something else needs XML.",
        (
            "Empty fields: either will do. A field that is left out is read with a question mark, `$.phone?`; one that "
            'is sent empty is `""`. `$.phone? | default(null)` makes them alike.'
        ),
        (
            "Send the form once, and look at what came with `relay events show`: the keys are those of your questions, "
            'and one with spaces in it is written `$["What will you study"]`.'
        ),
    ),
    proof="operator-defined: there is no signature, and no published payload. HTTP Basic is compared.",
)
