"""Jotform."""

from __future__ import annotations

from relay.sources.inbound import HandshakeReply
from relay.sources.presets.preset import FILL_IN, Preset

# The answers are JSON in the field rawRequest, beside submissionID and formID: it is not lifted with json_field, for
# those would be lost. `pretty` has them once more, with commas that may be an answer's own.
# Whether an edited submission is sent again isn't published: the answers are part of the id, so that it isn't lost.
PRESET = Preset(
    name="jotform",
    vendor="Jotform",
    page="https://www.jotform.com/help/245-how-to-setup-a-webhook-with-jotform/",
    asks_for="a token you make up, of letters and digits; it ends the address",
    verify={"path_token": FILL_IN},
    event_id='$.submissionID + " " + ($.rawRequest | hash)',
    answer=HandshakeReply(content_type="text/plain"),
    retries="not published; don't rely on any",
    sends="a form (multipart); the answers are JSON in its field `rawRequest`",
    setup=(
        "Make up a token, such as 32 letters and digits: that is {secret}.",
        "Open the form in the Form Builder. Settings > Integrations: search for WebHooks, and choose it.",
        "Webhook URL: {url} (its last part is your token)",
        "Complete Integration.",
        (
            "In a recipe, pick the answers first, `answers: $.rawRequest | from_json`, and then what you want of them, "
            "such as `email: $answers.q4_email`."
        ),
        "Uploaded files come as addresses at jotform.com.",
    ),
    proof="nothing is signed: the address holds the secret. The body of a real request is kept as it is",
)
