"""Calendly."""

from __future__ import annotations

from relay.sources.presets.preset import FILL_IN, Preset

# developer.calendly.com, "Webhook signatures" and "Get sample webhook data" (the types). There is no id. An invitee is
# created once, but a contact or an event type may be updated many times, so the moment is a part of what makes one;
# that a retry repeats it is not verified. A reschedule sends both invitee.canceled and invitee.created.
PRESET = Preset(
    name="calendly",
    vendor="Calendly",
    page="https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures",
    asks_for="the signing key given when the subscription was made",
    verify={
        "hmac": {
            "header": "Calendly-Webhook-Signature",
            "secret": FILL_IN,
            "field": "v1",
            "signed": "{timestamp}.{body}",
            "timestamp": {"field": "t", "tolerance": "3m"},
        }
    },
    event_id='[$.event, $.payload.uri, $.created_at] | join(" ")',
    event_type="$.event",
    event_time="$.created_at?",
    types=(
        "contact.created",
        "contact.deleted",
        "contact.updated",
        "event_type.created",
        "event_type.deleted",
        "event_type.updated",
        "invitee.canceled",
        "invitee.created",
        "invitee_no_show.created",
        "invitee_no_show.deleted",
        "meeting_recap.created",
        "meeting_recap.deleted",
        "meeting_recap.updated",
        "routing_form_submission.created",
    ),
    type_example="invitee.created",
    # Not verified: how long it waits, and that it tries for a day and then disables the subscription.
    retries="for up to 24 hours",
    gives_up="disables a subscription whose retries have failed",
    setup=(
        "In Calendly, on a paid plan, open Integrations & apps, API & webhooks, and generate a personal access token.",
        (
            "Webhooks have no page of their own: they are made with one call. Ask "
            "`https://api.calendly.com/users/me` for the addresses of your user and your organisation, then send the "
            "command below with your token in it."
        ),
        "In the command, signing_key is a long random text of your own choice. The same text is {secret}.",
    ),
    script=(
        "curl -X POST https://api.calendly.com/webhook_subscriptions \\\n"
        "  -H 'Authorization: Bearer YOUR-PERSONAL-ACCESS-TOKEN' -H 'Content-Type: application/json' -d '{\n"
        '    "url": "{url}",\n'
        '    "events": ["invitee.created", "invitee.canceled"],\n'
        '    "organization": "https://api.calendly.com/organizations/…",\n'
        '    "user": "https://api.calendly.com/users/…",\n'
        '    "scope": "user",\n'
        '    "signing_key": "A-LONG-RANDOM-TEXT"\n'
        "  }'\n"
    ),
    proof="computed a second time from Calendly's description",
)
