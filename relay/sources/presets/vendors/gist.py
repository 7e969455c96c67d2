"""Gist."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

#: Gist's words for its topics, in the order of its help page, and what they are called here. Gist publishes no name for
#: machines, and no field of the body that would tell the topic; so the operator sends ours along.
TOPICS = {
    "User created": "user.created",
    "Lead created": "lead.created",
    "User deleted": "user.deleted",
    "Lead deleted": "lead.deleted",
    "Contact created": "contact.created",
    "Contact tagged": "contact.tagged",
    "Contact untagged": "contact.untagged",
    "Custom property value updated": "contact.property_updated",
    "Contact email updated": "contact.email_updated",
    "Lead submitted email": "lead.submitted_email",
    "Contact unsubscribed from emails": "contact.unsubscribed_from_emails",
    "Contact initiated conversation": "conversation.initiated",
    "Conversation assigned": "conversation.assigned",
    "Conversation opened": "conversation.opened",
    "Conversation closed": "conversation.closed",
    "New message received": "conversation.message_received",
    "Teammate replied": "conversation.teammate_replied",
    "Conversation rating left": "conversation.rated",
    "Note added": "conversation.note_added",
    "Contact subscribed to campaign": "campaign.subscribed",
    "Contact unsubscribed from campaign": "campaign.unsubscribed",
    "Contact performed an event": "contact.performed_event",
    "Contact submitted form": "contact.submitted_form",
    "New page visited": "contact.visited_page",
    "Meeting scheduled": "meeting.scheduled",
    "Meeting cancelled": "meeting.cancelled",
    "Meeting rescheduled": "meeting.rescheduled",
}

# A header and a body parameter can be added in Gist's editor, and the address is free. (A header's name is in small
# letters here; a body may be anything, also a list.)
_TOPIC = '$headers["x-gist-topic"]? | default($query["X-Gist-Topic"]?) | default($["X-Gist-Topic"]?)'

# Neither a topic's body nor an event's id is published, nor how the "webhook secret" of an older editor was sent.
PRESET = Preset(
    name="gist",
    vendor="Gist",
    page="https://docs.getgist.com/article/122-webhooks",
    asks_for="a long text of your own making, which Gist sends as the custom header X-Relay-Key",
    verify={"header": "X-Relay-Key", "equals": FILL_IN},
    event_type=_TOPIC,
    types=tuple(TOPICS.values()),
    type_example="contact.created",
    answer_in=timedelta(seconds=10),
    retries="after 5 minutes, 1 hour and 3 hours, whatever the 4xx or 5xx was",
    gives_up="410 switches the webhook off; the relay answers no event with it",
    methods=None,
    sends="JSON, with one topic for each webhook",
    setup=(
        (
            "In Gist, open Settings > API & Webhooks > Webhooks, and click Create webhook. A webhook has one topic: "
            "make one for each topic you want, all with the same URL."
        ),
        "HTTP method: POST. (Any other works too.)",
        "Webhook URL: {url}",
        "Custom header X-Relay-Key: {secret}",
        "Custom header X-Gist-Topic: our name for the webhook's topic. Gist publishes no name that a machine "
        "could read, so without this header a recipe's `types` match nothing. (It is also taken as a body parameter, "
        "or in the address, behind ?X-Gist-Topic=.) The names: "
        + ", ".join(f"{theirs} = {ours}" for theirs, ours in TOPICS.items())
        + ".",
        "Save, and turn the switch on.",
        "Gist waits 10 seconds for an answer: keep the `wait` of a recipe's `respond` under that.",
    ),
    proof="operator-defined: no signature is published. A header of your own is compared.",
)
