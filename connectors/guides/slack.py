"""The text of the page of Slack."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "At [api.slack.com/apps](https://api.slack.com/apps) choose **Create New App** → **From scratch**, name it "
            "after the relay, and pick the workspace. A workspace may ask its admins first."
        ),
        (
            "For one channel: under **Incoming Webhooks**, switch them on, click **Add New Webhook to Workspace**, "
            "choose the channel, and copy the address. Whoever has it can post: it is a secret. It is the connection's "
            "`webhook`, and steps say `do: webhook`."
        ),
        (
            "For several channels: under **OAuth & Permissions** → **Bot Token Scopes**, add `chat:write` (and "
            "`chat:write.public` for public channels without an invitation), click **Install to Workspace**, and copy "
            "the **Bot User OAuth Token** (`xoxb-…`). It is the connection's `token`, and steps say `do: post_message`."
        ),
        "Put either into the environment (`SLACK_WEBHOOK`, `SLACK_BOT_TOKEN`) or into a secret's file.",
        (
            "With a token, write `/invite @name-of-the-app` in each private channel, and copy the channel's id from "
            "the end of its details into the step."
        ),
        "Say `plain` and not `text` for what strangers wrote: nothing in it mentions or links.",
    ),
    repeats=(
        "Slack has no public key against repeats. After a lost answer, or an `internal_error` of Slack's, the message "
        "may have been posted: the outcome is unknown, and the step's `on_unknown` decides. For a chat, `retry` is "
        "mostly right: a message twice rather than none."
    ),
    limits=(
        (
            "One message a second in a channel: this is the connection's `limit`. Raise it where `post_message` goes "
            "to many channels. What Slack asks to wait is kept to."
        ),
        (
            "40,000 characters of text, 50 blocks, 3,000 characters in a section, 150 in a header, ten fields of "
            "2,000. All is checked before anything is sent: shorten with `| truncate`."
        ),
        "About 13,000 characters in all blocks together; that only Slack checks (`msg_blocks_too_long`).",
    ),
    troubles=(
        Trouble(
            (
                "slack invalid_auth, slack not_authed, slack token_revoked, slack account_inactive, slack "
                "not_allowed_token_type"
            ),
            "The token isn't taken: wrong, revoked, of a user who has left, or no bot's token.",
            "admin",
            "Copy the bot's token from the app's page, **OAuth & Permissions**, into the connection's secret.",
            "hold",
        ),
        Trouble(
            "slack token_expired",
            "The token is of the rotating kind and has run out.",
            "vendor",
            "Switch token rotation off in the app, install it again, and put the new token in.",
            "hold",
        ),
        Trouble(
            "slack missing_scope, slack no_permission",
            "The app lacks a scope; the message names it.",
            "vendor",
            "Add it under **OAuth & Permissions**, install the app again, and say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "slack no_service, slack no_service_id, slack invalid_token, slack no_active_hooks, slack no_team",
            "The webhook was deleted or switched off, or its address isn't whole.",
            "vendor",
            "Make a new incoming webhook, and put its address into the connection's secret.",
            "hold",
        ),
        Trouble(
            (
                "slack action_prohibited, slack posting_to_general_channel_denied, slack access_denied, slack "
                "accesslimited, slack team_access_not_granted, slack enterprise_is_restricted, slack "
                "ekm_access_denied, slack two_factor_setup_required, slack team_disabled"
            ),
            "The workspace doesn't allow it.",
            "vendor",
            "A workspace admin has to allow the app, its channel or the relay's address; then resume the lane.",
            "hold",
        ),
        Trouble(
            "slack channel_not_found, slack channel_is_archived",
            (
                "With a webhook, its channel is gone or archived: the lane is held. With a token, the channel's id is "
                "wrong or the bot wasn't invited: a dead letter."
            ),
            "author",
            "Make a new webhook; or correct `channel`, `/invite` the bot, and replay.",
            "hold or dead",
        ),
        Trouble(
            "slack not_in_channel, slack is_archived, slack restricted_action*",
            "The bot isn't in the channel, or it may not post there, or the channel is archived.",
            "vendor",
            "`/invite` the bot, or let it post; then replay.",
            "dead",
        ),
        Trouble(
            (
                "slack invalid_blocks, slack invalid_blocks_format, slack invalid_payload, slack msg_too_long, slack "
                "msg_blocks_too_long, slack no_text"
            ),
            "Slack can't read the message, or it is too long or empty.",
            "author",
            "Try it in Slack's Block Kit Builder; shorten with `| truncate`; replay.",
            "dead",
        ),
        Trouble(
            (
                "slack ratelimited, slack rate_limited, slack message_limit_exceeded, slack service_unavailable, slack "
                "request_timeout, slack rollup_error, slack team_added_to_org, slack org_login_required"
            ),
            "Too many messages, or Slack is busy or moving the workspace. Nothing was posted.",
            "nobody",
            "If it comes often, lower `limit`.",
            "retry",
        ),
        Trouble(
            "slack internal_error, slack fatal_error",
            "Slack broke off, and by its documentation may have posted the message.",
            "operator",
            "Look at the channel before you replay.",
            "unknown",
        ),
        Trouble(
            "slack *",
            "Any other word of Slack's: the request is wrong.",
            "author",
            "Look the word up in Slack's documentation of `chat.postMessage`, and replay.",
            "dead",
        ),
        Trouble(
            "slack answered without ok, slack answer broke off",
            "The answer isn't Slack's `ok`, or ended before it.",
            "operator",
            "Look at the channel before you replay. If it happens always, look for a proxy in between.",
            "unknown",
        ),
        Trouble(
            "slack message refused",
            (
                "The message is longer than Slack takes, or its form is wrong; the message names the place. Nothing "
                "was sent."
            ),
            "author",
            "Shorten it with `| truncate`, and replay.",
            "dead",
        ),
        Trouble(
            "slack webhook missing, slack token missing",
            "The step says `do: webhook`, and the connection has only a `token`, or the other way round.",
            "author",
            "Say the other `do`, or give the connection what it lacks.",
            "dead",
        ),
    ),
    check=(
        "With a token it asks Slack who the bot is, and says where the scope `chat:write` is missing. A webhook can't "
        "be tried without posting: only whether its host can be reached is seen."
    ),
    verified=(
        "Error words and limits: Slack's own pages and specification (2021). Nothing was sent to Slack itself. At the "
        "time of writing the menus were as above; they are not verified. Not verified: some words of webhooks "
        "(`invalid_token`, `no_service`, `no_team`), which others report."
    ),
)
