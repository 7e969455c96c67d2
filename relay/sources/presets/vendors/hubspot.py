"""HubSpot."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# developers.hubspot.com, "Webhooks" and "Validating requests"; PyPI hubspot-api-client, hubspot/utils/signature.py.
# Three versions of the signature: v3 is the one that holds the time, v2 that of workflows, v1 the older one of
# webhooks; a request may bring several. One that a stranger has got hold of can be sent once more without its v3:
# who minds writes `verify` with v3 alone.
# A body is a list of up to 100 events. `eventId` isn't promised to be unique, and attemptNumber is another one at each
# attempt; with the subscription, the moment and what it is about it is an id. A workflow sends one object without them.
PRESET = Preset(
    name="hubspot",
    vendor="HubSpot",
    page="https://developers.hubspot.com/docs/api-reference/2026-03/webhooks/guide",
    asks_for="the app's client secret",
    verify={
        "any": [
            {
                "hmac": {
                    "header": "X-HubSpot-Signature-v3",
                    "secret": FILL_IN,
                    "encoding": "base64",
                    "signed": "{method}{url}{body}{timestamp}",
                    "timestamp": {
                        "header": "X-HubSpot-Request-Timestamp",
                        "format": "milliseconds",
                        "tolerance": "5m",
                    },
                }
            },
            {
                "digest": {
                    "header": "X-HubSpot-Signature",
                    "secret": FILL_IN,
                    "signed": "{secret}{method}{url}{body}",
                }
            },
            {"digest": {"header": "X-HubSpot-Signature", "secret": FILL_IN, "signed": "{secret}{body}"}},
        ]
    },
    event_id=(
        '[$.eventId, $.subscriptionId, $.occurredAt, $.objectId? | default(""), $.fromObjectId? | default(""), '
        '$.toObjectId? | default(""), $.propertyName? | default(""), $.propertyValue? | default("")] | join(" ")'
    ),
    event_type="$.subscriptionType?",
    event_time="$.occurredAt?",
    # PyPI hubspot-api-client 12.0.0, hubspot/webhooks/models/subscription_create_request.py.
    types=(
        "company.associationChange",
        "company.creation",
        "company.deletion",
        "company.merge",
        "company.propertyChange",
        "company.restore",
        "contact.associationChange",
        "contact.creation",
        "contact.deletion",
        "contact.merge",
        "contact.privacyDeletion",
        "contact.propertyChange",
        "contact.restore",
        "conversation.creation",
        "conversation.deletion",
        "conversation.newMessage",
        "conversation.privacyDeletion",
        "conversation.propertyChange",
        "deal.associationChange",
        "deal.creation",
        "deal.deletion",
        "deal.merge",
        "deal.propertyChange",
        "deal.restore",
        "line_item.associationChange",
        "line_item.creation",
        "line_item.deletion",
        "line_item.merge",
        "line_item.propertyChange",
        "line_item.restore",
        "object.associationChange",
        "object.creation",
        "object.deletion",
        "object.merge",
        "object.propertyChange",
        "object.restore",
        "product.creation",
        "product.deletion",
        "product.merge",
        "product.propertyChange",
        "product.restore",
        "ticket.associationChange",
        "ticket.creation",
        "ticket.deletion",
        "ticket.merge",
        "ticket.propertyChange",
        "ticket.restore",
    ),
    type_example="contact.propertyChange",
    split="$[*]",
    answer_in=timedelta(seconds=5),
    retries="up to 10 times in 24 hours",
    sends="JSON, a list of up to 100 events; a workflow sends one object",
    setup=(
        (
            "In HubSpot's settings for developers, open the app, and copy its Client secret, which is under Auth: it "
            "is {secret}."
        ),
        "Under Webhooks, Target URL: {url}",
        "Create subscriptions: choose the objects and what happens to them, then activate them.",
        (
            "All three of HubSpot's signatures are taken. Only v3 has a time in it: where an old request that is sent "
            "again would do harm, write `verify` in place of `secret`, with v3's hmac alone."
        ),
        "HubSpot signs the address as well. Behind a proxy the relay has to know it: RELAY_PUBLIC_URL.",
        (
            "From a workflow: add the action Send a webhook, method POST, the same address, and under Authentication "
            "choose the request signature, with the id of the app."
        ),
    ),
    proof="HubSpot's published examples of v1 and v2, the test of its Python library for v3, and that library itself",
)
