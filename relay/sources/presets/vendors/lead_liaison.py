"""Lead Liaison: outbound webhooks."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# Neither headers nor a signature are documented, so the secret is in the address. As part of its path it stays there
# whatever is put behind: for a GET, Lead Liaison puts the template behind the address as its query.
PRESET = Preset(
    name="lead-liaison",
    vendor="Lead Liaison",
    page="https://leadliaison.atlassian.net/wiki/pages/viewpage.action?pageId=18947775",
    asks_for="a long text of your own making, letters and digits only, at the end of the address",
    verify={"any": [{"path_token": FILL_IN}, {"query": "key", "equals": FILL_IN}]},
    retries="not published: take it that there are none",
    gives_up="not published",
    methods=("GET", "POST"),
    sends="what you write as its template: for GET in the address, for POST a form, JSON or XML",
    setup=(
        "In Lead Liaison, open Settings > App Setup > Webhooks, and add an outbound one.",
        "Its last part is the secret, for Lead Liaison documents neither headers nor a signature. URL: {url}",
        "Request Type: POST or GET.",
        (
            "Template: for FORM/URL, and for every GET, write first_name=…&email=… with a field inserted for each "
            "value. With JSON or XML, a quote or a < in a value breaks the text around it; then the event is kept as a "
            "dead letter, which `relay dead edit` mends and sends on."
        ),
        "Request Token Encoding: as the template is written, FORM/URL, JSON or XML.",
        "Response Type: as the recipe's `respond` says with `as`: FORM/URL is `form`, JSON is `json`, XML is `xml`.",
        "Response Mapping: the names under `body` of the recipe's `respond`.",
        (
            "Put the prospect's id and the time into the template, and name them as `event_id`: "
            '`$.id + " " + $.time`. A repeat is then known as one, and gets the same answer.'
        ),
    ),
    proof="operator-defined: there is no signature, and you write the payload. A token in the address is compared.",
)
