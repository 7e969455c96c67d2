"""Smartsheet."""

from __future__ import annotations

import re

from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.presets.handshakes import NOTHING
from relay.sources.presets.preset import FILL_IN, Preset

#: What may come back in a header.
_CHALLENGE = re.compile(r"[\x21-\x7e]{1,1000}")


def smartsheet_challenge(request: Inbound, _tokens: tuple[str, ...]) -> HandshakeReply | None:
    """A header's value comes back in another. Whether that request is signed is written nowhere."""
    challenge = request.headers.get("smartsheet-hook-challenge")
    if request.method != "POST" or challenge is None or not _CHALLENGE.fullmatch(challenge):
        return None
    return HandshakeReply(content_type="text/plain", headers={"Smartsheet-Hook-Response": challenge})


# developers.smartsheet.com, "Webhook callbacks" and "Webhook verification". That the signature is written in hex is
# not verified. The body isn't split: which sheet it is stands beside its list of events. No id that a repeat would
# have too is documented.
PRESET = Preset(
    name="smartsheet",
    vendor="Smartsheet",
    page="https://developers.smartsheet.com/api/smartsheet/guides/webhooks/webhook-verification",
    asks_for="the webhook's sharedSecret",
    verify={"hmac": {"header": "Smartsheet-Hmac-SHA256", "secret": FILL_IN}},
    answer=NOTHING,
    greeting=smartsheet_challenge,
    handshake_note="sends `Smartsheet-Hook-Challenge` back, again and again",
    sends="JSON, with several changes in its list `events`",
    setup=(
        "In Smartsheet, open Apps & Integrations, API Access, and generate an access token.",
        (
            "Webhooks have no page of their own: they are made with two calls, which are the commands below. The "
            "number of the sheet is under File, Properties. The webhook's callbackUrl is {url}"
        ),
        "The first answer holds `id` and `sharedSecret`: that is {secret}. Start the relay with it.",
        "The second command, with that `id`, switches the webhook on: Smartsheet asks the relay whether it is there.",
    ),
    script=(
        "curl -X POST https://api.smartsheet.com/2.0/webhooks -H 'Authorization: Bearer YOUR-TOKEN' \\\n"
        '  -H \'Content-Type: application/json\' -d \'{"name": "relay", "callbackUrl": "{url}", "version": 1,\n'
        '  "scope": "sheet", "scopeObjectId": NUMBER-OF-THE-SHEET, "events": ["*.*"]}\'\n'
        "curl -X PUT https://api.smartsheet.com/2.0/webhooks/ID -H 'Authorization: Bearer YOUR-TOKEN' \\\n"
        "  -H 'Content-Type: application/json' -d '{\"enabled\": true}'\n"
    ),
    proof="computed a second time from Smartsheet's description; that it is hex is not verified",
    tried="a request and the answer made from Smartsheet's description, sent to a real relay",
)
