"""GitLab, with a secret token."""

from __future__ import annotations

from datetime import timedelta

from relay.sources.presets.preset import FILL_IN, Preset

# docs.gitlab.com, "Webhooks". Idempotency-Key (since 17.4) is the same when a request is sent again. The other two ids
# won't do: X-Gitlab-Webhook-UUID is new for each request, and X-Gitlab-Event-UUID is shared by events that set off
# one another. Events have no time in a common place. That GitLab waits 10 s is its default, and not verified.
PRESET = Preset(
    name="gitlab",
    vendor="GitLab",
    page="https://docs.gitlab.com/user/project/integrations/webhooks/",
    asks_for="the Secret token of the webhook's settings",
    verify={"header": "X-Gitlab-Token", "equals": FILL_IN},
    event_id='$headers["idempotency-key"]?',
    event_type="$.object_kind? | default($.event_name?)",
    type_example="merge_request",
    answer_in=timedelta(seconds=10),
    retries="none by itself; Resend Request in its log of recent events",
    gives_up="pauses after 4 failures in a row, a little longer each time; switches off after 40",
    setup=(
        "In GitLab, open the project or the group, then Settings, Webhooks, Add new webhook.",
        "URL: {url}",
        "Secret token: a long random text of your own choice. The same text is {secret}.",
        "Where there is a Signing token too, take that one instead, with the preset gitlab-signed.",
        "Tick the events under Trigger, leave SSL verification on, and press Add webhook.",
        "Test, beside the webhook, sends one at once.",
    ),
    proof="nothing is signed: a header equals the secret, in constant time",
)
