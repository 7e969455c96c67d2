"""Gecko Engage: integration webhooks, set up for the whole account."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# The page doesn't say whether "Auth key" and "Auth value" come as a header or as a query parameter, and gives no sample
# of a body: its keys are the labels and external ids of the operator's own mapping.
PRESET = Preset(
    name="gecko-engage",
    vendor="Gecko Engage",
    page="https://academy.geckoengage.com/en/articles/6896455-webhooks",
    asks_for="a long text of your own making: Gecko's `Auth value`, under the `Auth key` X-Relay-Key",
    verify={"any": [{"header": "X-Relay-Key", "equals": FILL_IN}, {"query": "X-Relay-Key", "equals": FILL_IN}]},
    retries="not published: take it that there are none",
    gives_up="not published",
    sends="JSON, XML of a structure of your own, or a form, as its `Encoding type` says",
    setup=(
        "In Gecko, open Settings > Integrations, click New Integration, and pick Webhooks.",
        "URL: {url}",
        "Auth key: X-Relay-Key",
        "Auth value: {secret}",
        (
            "Encoding type: JSON, unless something else needs another. With XML, the XML structure you write is what a "
            "recipe reads: its outermost element is the first part of every path, as in `$.contact.email`."
        ),
        (
            "Array format: default. A list then arrives as a list, and `$.interests? | default([]) | list` reads it, "
            "also where there is one entry or none. With comma-separated values, write "
            '`$.interests? | default([]) | list | map("split", ",") | flatten | map("trim")`; an entry with a comma in '
            "it would be cut in two."
        ),
        (
            "Date format: YYYY-MM-DD where it is offered, for it can be read one way only. With another, such as "
            'DD/MM/YYYY, write `$.born? | default(null) | parse_date("DD/MM/YYYY")` in the recipe.'
        ),
        (
            "Click New Attribute for each value to send. Choose short names without spaces and brackets, such as "
            '`surname`. A label with a space in it is written `$["First name"]`.'
        ),
        "Under Contacts & Responses, choose when it is sent: when contacts, or when form responses, are synced.",
        (
            "Sync one contact, and look at it with `relay events show`. Where it holds something that is the same each "
            "time one response is sent, name it as `event_id`."
        ),
        (
            "Where every request is refused, Gecko sends the key in a way its page doesn't name: put the "
            "secret behind the URL and a slash, and write `path_token` under `verify` in place of `secret`."
        ),
    ),
    proof="operator-defined: there is no signature, and no published payload. A key of your own is compared.",
)
