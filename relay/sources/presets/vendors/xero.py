"""Xero."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.handshakes import NOTHING, xero_intent_to_receive
from relay.sources.presets.preset import FILL_IN, Preset

# developer.xero.com, "Configuring your server"; github.com/XeroAPI/Xero-OpenAPI, xero-webhooks.yaml 12.0.2. Xero wants
# 200 without a body and without cookies, and 401 for what is badly signed. Events have no id: what happened to what
# and when makes one; they hold nothing else, so that two that are alike say the same.
PRESET = Preset(
    name="xero",
    vendor="Xero",
    page="https://developer.xero.com/documentation/webhooks/configuring-your-server",
    asks_for="the Webhooks key of the app",
    verify={"hmac": {"header": "x-xero-signature", "secret": FILL_IN, "encoding": "base64"}},
    event_id='[$.tenantId, $.resourceId, $.eventCategory, $.eventType, $.eventDateUtc] | join(" ")',
    event_type='$.eventCategory + "." + $.eventType',
    event_time="$.eventDateUtc?",
    types=(
        "CONTACT.CREATE",
        "CONTACT.UPDATE",
        "CREDITNOTE.CREATE",
        "CREDITNOTE.UPDATE",
        "INVOICE.CREATE",
        "INVOICE.UPDATE",
        "SUBSCRIPTION.CREATE",
        "SUBSCRIPTION.UPDATE",
    ),
    type_example="INVOICE.UPDATE",
    split="$.events[*]",
    answer=NOTHING,
    answer_in=timedelta(seconds=5),
    retries="less and less often for 24 hours",
    gives_up="disables the webhook after that",
    handshake=xero_intent_to_receive,
    handshake_note="“intent to receive”: a signed list without events",
    sends="JSON, with several events in its list `events`",
    setup=(
        "On developer.xero.com, open My Apps, the app, Webhooks.",
        "Choose the events. Delivery URL: {url}",
        "The address has to be https, on the usual port.",
        "Save, and copy the Webhooks key: it is {secret}. Start the relay with it.",
        "Press Send ‘Intent to receive’: the status becomes OK.",
    ),
    proof="computed a second time from Xero's description",
    tried="a request made from Xero's description, rightly and wrongly signed, sent to a real relay",
)
