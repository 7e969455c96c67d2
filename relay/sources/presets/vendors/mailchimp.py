"""Mailchimp."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.greetings import mailchimp_visit
from relay.sources.presets.preset import FILL_IN, Preset

# No event_id: two changes of one contact within a second have the same type, fired_at and data[id].
# No event_time: the time zone of fired_at isn't published.
PRESET = Preset(
    name="mailchimp",
    vendor="Mailchimp",
    page="https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/",
    asks_for="a token you make up, of letters and digits; it ends the address",
    verify={"path_token": FILL_IN},
    event_type="$.type?",
    types=("subscribe", "unsubscribe", "profile", "upemail", "cleaned", "campaign"),
    type_example="subscribe",
    answer=HandshakeReply(content_type="text/plain"),
    answer_in=timedelta(seconds=10),
    retries="at growing intervals for 75 minutes",
    gives_up="webhooks that fail too often, as Mailchimp sees fit",
    handshake=mailchimp_visit,
    handshake_note="a request without a body",
    sends="a form",
    setup=(
        "Make up a token, such as 32 letters and digits: that is {secret}.",
        "Open Audience > Settings > Webhooks of the audience, and choose Create New Webhook.",
        "Callback URL: {url} (its last part is your token)",
        "Tick the kinds of updates you want, and whose changes: a subscriber's, an administrator's, the API's.",
        "Save. Mailchimp visits the address at once and takes it only if the relay answers.",
    ),
    proof="nothing is signed: the address holds the secret",
    tried="the visit made by us as the page and public receivers describe it; not with Mailchimp itself",
)
