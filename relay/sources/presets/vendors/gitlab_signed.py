"""GitLab, with a signing token."""

from __future__ import annotations

from dataclasses import replace

from relay.sources.presets.standard import standard_webhooks
from relay.sources.presets.vendors.gitlab import PRESET as GITLAB

# gitlab.com, merge requests 230944 and 231325: Standard Webhooks, with a token whsec_… of 32 bytes; webhook-id is the
# Idempotency-Key. Not verified with a request of GitLab's.
PRESET = replace(
    GITLAB,
    name="gitlab-signed",
    page="https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944",
    asks_for="the Signing token of the webhook's settings, whsec_…",
    verify=standard_webhooks("webhook"),
    event_id='$headers["webhook-id"]?',
    setup=(
        "In GitLab, open the project or the group, then Settings, Webhooks, Add new webhook.",
        "URL: {url}",
        "Signing token: let GitLab make one, and copy it. It begins with whsec_, and is {secret}.",
        "Where there is no Signing token, this GitLab is older: take the preset gitlab, with a Secret token.",
        "Tick the events under Trigger, leave SSL verification on, and press Add webhook.",
        "Test, beside the webhook, sends one at once.",
    ),
    proof="the scheme is that of Standard Webhooks, whose published example it verifies; none of GitLab's own",
)
