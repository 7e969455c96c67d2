"""Slack."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.handshakes import NOTHING, slack_url_verification
from relay.sources.presets.preset import FILL_IN, Preset

# api.slack.com, "Verifying requests from Slack" and "url_verification"; PyPI slack_sdk, slack_sdk/signature.
# Three kinds of request may come to one address. Events are JSON, with an event_id that a retry repeats. Interactions
# are forms whose one field `payload` holds JSON, and slash commands are plain forms: both have a trigger_id, which is
# another one for each thing a person does. Slack isn't known to repeat these two.
# The answer is empty: a form that was filled in (view_submission) stays open, with “We had some trouble connecting”,
# where it isn't, and what answers a slash command is shown to whoever typed it.
PRESET = Preset(
    name="slack",
    vendor="Slack",
    page="https://api.slack.com/authentication/verifying-requests-from-slack",
    asks_for="the app's Signing Secret",
    verify={
        "hmac": {
            "header": "X-Slack-Signature",
            "secret": FILL_IN,
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
            "timestamp": {"header": "X-Slack-Request-Timestamp", "tolerance": "5m"},
        }
    },
    event_id="$.event_id? | default($.trigger_id?)",
    event_type="$.event.type? | default($.command?) | default($.type?)",
    event_time="$.event_time?",
    type_example="app_mention",
    answer=NOTHING,
    answer_in=timedelta(seconds=3),
    retries="events 3 times; what people do, never",
    handshake=slack_url_verification,
    handshake_note="`url_verification`",
    json_field="payload",
    sends="JSON for events; a form for slash commands; for interactions a form whose field `payload` holds JSON",
    setup=(
        (
            "On api.slack.com/apps, open the app, or create one. Under Basic Information, App Credentials, show the "
            "Signing Secret: it is {secret}. Start the relay with it first, for Slack tries the address at once."
        ),
        (
            "For events: Event Subscriptions, Enable Events, Request URL {url}. When it says Verified, add the "
            "events under Subscribe to bot events, and save."
        ),
        "For buttons, menus and forms: Interactivity & Shortcuts, on, Request URL {url}",
        "For slash commands: Slash Commands, Create New Command, Request URL {url}",
        "Install the app to the workspace again after a change.",
    ),
    proof="Slack's published example, “Verifying requests from Slack”, and PyPI slack_sdk, both ways",
    tried="the request and the answer that Slack publishes for url_verification, sent to a real relay",
)
