"""Shopify."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# shopify.dev, "Verify webhook deliveries". X-Shopify-Webhook-Id is the same for each retry. Which topics there are
# goes by the version of Shopify's API.
PRESET = Preset(
    name="shopify",
    vendor="Shopify",
    page="https://shopify.dev/docs/apps/build/webhooks/verify-deliveries",
    asks_for="the app's client secret, or the key that the store's page of webhooks shows",
    verify={"hmac": {"header": "X-Shopify-Hmac-Sha256", "secret": FILL_IN, "encoding": "base64"}},
    event_id='$headers["x-shopify-webhook-id"]?',
    event_type='$headers["x-shopify-topic"]?',
    event_time='$headers["x-shopify-triggered-at"]?',
    type_example="orders/create",
    answer_in=timedelta(seconds=5),
    retries="8 times in 4 hours",
    gives_up="removes a subscription that an app made after 8 failures in a row",
    setup=(
        "In the store's admin, open Settings, Notifications, Webhooks, Create webhook.",
        "Event: what you want to hear of. Format: JSON. URL: {url}",
        "Under the list of webhooks, Shopify shows the key they are signed with: that is {secret}.",
        (
            "A webhook that an app subscribed to is signed with the app's client secret instead, which is in the "
            "app's settings in the Dev Dashboard. After it was changed, Shopify goes on signing with the old one for "
            "up to an hour: give both as a list for so long."
        ),
    ),
    proof="computed a second time from Shopify's description; Shopify publishes no example",
)
