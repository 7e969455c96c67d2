"""Microsoft Graph's change notifications."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.greetings import microsoft_graph_validation
from relay.sources.presets.preset import FILL_IN, Preset

# A notification has `changeType`, and one about the subscription itself `lifecycleEvent`, never both. Its id is
# "unique", and optional. When a change happened isn't told, only that it did.
PRESET = Preset(
    name="microsoft-graph",
    vendor="Microsoft Graph",
    page="https://learn.microsoft.com/graph/change-notifications-delivery-webhooks",
    asks_for="the clientState you make up and give when you make the subscription",
    verify={"field": "value[*].clientState", "equals": FILL_IN},
    event_id="$.id?",
    event_type="$.changeType? | default($.lifecycleEvent?)",
    types=("created", "updated", "deleted", "missed", "subscriptionRemoved", "reauthorizationRequired"),
    type_example="created",
    split="$.value[*]",
    answer_in=timedelta(seconds=3),
    retries="for up to 4 hours",
    gives_up="an endpoint that is slow too often loses notifications; a subscription ends when it isn't renewed",
    greeting=microsoft_graph_validation,
    handshake_note="`validationToken`",
    sends="JSON, a list of notifications",
    setup=(
        "Make up a clientState, such as 32 letters and digits (at most 128 characters): that is {secret}.",
        (
            "Subscriptions are made by a program, or in Graph Explorer, with POST "
            "https://graph.microsoft.com/v1.0/subscriptions: changeType, resource and expirationDateTime as you need "
            "them, your clientState, and {url} as both notificationUrl and lifecycleNotificationUrl."
        ),
        "Leave includeResourceData out: the relay can't decrypt what would be sent then.",
        "Renew each subscription before it expires. A notification of the type reauthorizationRequired says when to.",
    ),
    proof="nothing is signed: each notification holds the clientState",
    tried="the validation made by us as the page describes it; not with Microsoft itself",
)
