"""Typeform."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# typeform.com/developers, "Secure your webhooks" and "Webhooks".
PRESET = Preset(
    name="typeform",
    vendor="Typeform",
    page="https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
    asks_for="the Secret of the webhook's settings",
    verify={"hmac": {"header": "Typeform-Signature", "secret": FILL_IN, "prefix": "sha256=", "encoding": "base64"}},
    event_id="$.event_id",
    event_type="$.event_type",
    event_time="$.form_response.submitted_at?",
    types=("form_response", "form_response_partial"),
    type_example="form_response",
    answer_in=timedelta(seconds=30),
    retries="for about 10 hours",
    gives_up="404 and 410 switch the webhook off at once",
    setup=(
        "In Typeform, open the form, then Connect, Webhooks, Add a webhook.",
        "Endpoint: {url}",
        "Edit the webhook: Secret is a long random text of your own choice. The same text is {secret}.",
        "Switch the webhook on: a new one is off.",
        "View deliveries, Send test request, sends one at once.",
    ),
    proof="computed a second time from Typeform's description",
)
