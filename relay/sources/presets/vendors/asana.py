"""Asana."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.handshakes import NOTHING, asana_hook_secret
from relay.sources.presets.preset import FILL_IN, Preset

# developers.asana.com, "Webhooks guide"; github.com/Asana/developer-docs. Asana gives the secret of its signatures
# with its first request, which proves nothing; so the address ends with a token. 200 or 204 is wanted. Events have no
# id, and one that is told twice may be two changes of one moment. Which types there are is nowhere said in full.
PRESET = Preset(
    name="asana",
    vendor="Asana",
    page="https://developers.asana.com/docs/webhooks-guide",
    asks_for="a token of your own choice, which is the end of the address: letters, digits and . _ ~ -",
    verify={"path_token": FILL_IN},
    kept={"hmac": {"header": "X-Hook-Signature", "secret": FILL_IN}},
    event_type='$.resource.resource_type + "." + $.action',
    event_time="$.created_at?",
    type_example="task.changed",
    split="$.events[*]",
    answer=NOTHING,
    answer_in=timedelta(seconds=10),
    retries="less and less often for 24 hours",
    gives_up="deletes the webhook after that",
    handshake=asana_hook_secret,
    handshake_note="sends `X-Hook-Secret` back and keeps it; answers heartbeats",
    sends="JSON, with several events in its list `events`",
    setup=(
        "Choose a long random token: it is {secret}, and the end of the address. Start the relay with it.",
        "In Asana's developer console, app.asana.com/0/my-apps, create a personal access token.",
        (
            "Webhooks have no page of their own: they are made with one call. Send the command below, with the "
            "access token and the number of the project or task, which is in its address. The webhook's target is "
            "{url}"
        ),
        "Asana sends a secret while it makes the webhook, and the relay keeps it.",
    ),
    script=(
        "curl -X POST https://app.asana.com/api/1.0/webhooks \\\n"
        "  -H 'Authorization: Bearer YOUR-PERSONAL-ACCESS-TOKEN' \\\n"
        "  -d 'resource=NUMBER-OF-THE-PROJECT' -d 'target={url}'\n"
    ),
    proof="computed a second time from Asana's description",
    tried="the request and the answer that Asana publishes, “Establish a webhook”, sent to a real relay",
)
