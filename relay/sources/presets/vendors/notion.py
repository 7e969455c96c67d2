"""Notion."""

from __future__ import annotations

from relay.sources.presets.handshakes import notion_verification_token
from relay.sources.presets.preset import FILL_IN, Preset

# developers.notion.com, "Webhooks" and "Event types & delivery". Notion gives the secret of its signatures with its
# first request, which proves nothing; so the address ends with a token. attempt_number is another one at each attempt,
# and `id` is the event's. How long Notion waits is not published.
PRESET = Preset(
    name="notion",
    vendor="Notion",
    page="https://developers.notion.com/reference/webhooks",
    asks_for="a token of your own choice, which is the end of the address: letters, digits and . _ ~ -",
    verify={"path_token": FILL_IN},
    kept={"hmac": {"header": "X-Notion-Signature", "secret": FILL_IN, "prefix": "sha256="}},
    event_id="$.id",
    event_type="$.type",
    event_time="$.timestamp?",
    types=(
        "comment.created",
        "comment.deleted",
        "comment.updated",
        "data_source.content_updated",
        "data_source.created",
        "data_source.deleted",
        "data_source.moved",
        "data_source.schema_updated",
        "data_source.undeleted",
        "database.content_updated",
        "database.created",
        "database.deleted",
        "database.moved",
        "database.schema_updated",
        "database.undeleted",
        "page.content_updated",
        "page.created",
        "page.deleted",
        "page.locked",
        "page.moved",
        "page.properties_updated",
        "page.undeleted",
        "page.unlocked",
    ),
    type_example="page.content_updated",
    retries="up to 8 times in 24 hours",
    handshake=notion_verification_token,
    handshake_note="keeps the `verification_token`, which is pasted back at Notion",
    setup=(
        "Choose a long random token: it is {secret}, and the end of the address. Start the relay with it.",
        "On notion.so/profile/integrations, open the integration, or make one, then Webhooks, Create a subscription.",
        "Webhook URL: {url}",
        (
            "Choose the events, and press Create subscription. Notion sends its verification token, and the relay "
            "keeps it: `relay sources secrets NAME --reveal` shows it; NAME is the source's."
        ),
        "Press Verify at Notion, and paste that token.",
        "Give the integration access to the pages it should tell of: a page's menu, Connections.",
    ),
    proof="Notion's published token, body and signature, “Webhooks”, step 3",
    tried="the request that Notion publishes, “Webhooks”, step 2, sent to a real relay",
)
