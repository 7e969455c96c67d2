"""What Slack's error strings mean: https://docs.slack.dev/reference/methods/chat.postMessage#errors and the webhooks'.

Both speak in one word: a webhook as the body of a 4xx, the Web API as `error` of a body that comes with a 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.common.api import Said
from relay.errors import DeliveryError

_WORD = re.compile(r"[a-z][a-z0-9_]{1,79}")
_SCOPES = re.compile(r"[a-z:._,-]{1,120}")

_GOOD_BOT = "put a valid bot's token into the connection (the app's page, OAuth & Permissions)"
_ADMIN = "a workspace admin has to allow it"
_NEW_WEBHOOK = "make a new incoming webhook and put its address into the connection"

#: Every message of the connection would fail alike.
_HOLD: Mapping[str, str] = {
    "not_authed": _GOOD_BOT,
    "invalid_auth": _GOOD_BOT,
    "account_inactive": _GOOD_BOT,
    "token_revoked": _GOOD_BOT,
    "token_expired": "the token is of the rotating kind; switch rotation off in the app, or put a fresh one in",
    "not_allowed_token_type": "a bot's token starts with xoxb-",
    "missing_scope": "give the app the scope it lacks and install it again",
    "no_permission": "give the app the scope chat:write and install it again",
    "two_factor_setup_required": "the token's owner has to set up two-factor authentication",
    "access_denied": _ADMIN,
    "accesslimited": "the workspace doesn't take calls from this network; an admin has to allow the relay's address",
    "ekm_access_denied": _ADMIN,
    "enterprise_is_restricted": _ADMIN,
    "team_access_not_granted": _ADMIN,
    "deprecated_endpoint": "the relay needs a newer version of this connector",
    "method_deprecated": "the relay needs a newer version of this connector",
}

#: May get better by itself, and nothing has been posted.
_RETRY = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "message_limit_exceeded",
        "service_unavailable",
        "request_timeout",  # the request came cut off
        "team_added_to_org",  # the workspace is being moved
        "org_login_required",
        "rollup_error",
    }
)

#: Slack's words: "It's possible some aspect of the operation succeeded before the error was raised."
_UNKNOWN = frozenset({"internal_error", "fatal_error"})

#: The request is wrong: what to change. Any other word is a request that is wrong, too.
_PERMANENT: Mapping[str, str] = {
    "channel_not_found": "check the channel's id; a private channel is found only after /invite of the bot",
    "not_in_channel": "/invite the bot into the channel, or give the app the scope chat:write.public",
    "is_archived": "the channel is archived: unarchive it, or name another",
    "cannot_reply_to_message": "thread_ts names a message that takes no answers",
    "restricted_action": "the workspace doesn't let the bot post there; an admin can",
    "restricted_action_read_only_channel": "the channel is read-only for the bot",
    "restricted_action_thread_only_channel": "the channel takes answers in threads only: give thread_ts",
    "msg_too_long": "shorten the text with `| truncate`",
    "msg_blocks_too_long": "the blocks have too many characters together: shorten or leave out some",
    "no_text": "give it text, plain or blocks",
    "missing_text_or_fallback_or_attachments": "give it text, plain or blocks",
    "invalid_blocks": "the attempt's record has the place; Slack's Block Kit Builder shows what is wrong",
    "invalid_blocks_format": "blocks is a list of mappings",
    "invalid_payload": "Slack can't read the message; its Block Kit Builder shows what is wrong",
    "invalid_attachments": "the attempt's record has the place",
    "too_many_attachments": "100 are the most",
    "user_not_found": "the person the webhook writes to is no more",
    "messages_tab_disabled": "switch on the app's messages tab (App Home)",
}

#: A webhook belongs to one channel: when that or the webhook is gone, no message gets through.
_WEBHOOK_HOLD: Mapping[str, str] = {
    "no_service": f"the webhook is switched off or was deleted; {_NEW_WEBHOOK}",
    "no_service_id": f"the address isn't whole; {_NEW_WEBHOOK}",
    "no_team": f"the workspace is no more, or the address is wrong; {_NEW_WEBHOOK}",
    "team_disabled": "the workspace is switched off",
    "no_active_hooks": f"the webhook is switched off; {_NEW_WEBHOOK}",
    "invalid_token": f"the address is wrong or was revoked; {_NEW_WEBHOOK}",
    "action_prohibited": f"the workspace forbids this webhook to post; {_ADMIN}",
    "posting_to_general_channel_denied": f"the webhook may not post to #general; {_ADMIN}",
    "channel_not_found": f"the webhook's channel is no more; {_NEW_WEBHOOK}",
    "channel_is_archived": f"the webhook's channel is archived: unarchive it, or {_NEW_WEBHOOK}",
}


def sort_webhook(said: Said) -> DeliveryError | None:
    """A webhook's answer: `ok`, or what went wrong in a word. None leaves it to the status."""
    word = said.body.strip() if isinstance(said.body, str) else ""
    if 200 <= said.status < 300:
        # What breaks off is a success all the same: a webhook's failures have a status of their own.
        if word == "ok" or (said.received.cut and "ok".startswith(word)):
            return None
        return said.unknown("without Slack's `ok`, so it may not have been Slack", "slack answered without ok")
    if not _WORD.fullmatch(word):
        return None
    if word in _WEBHOOK_HOLD:
        return said.hold(f"{word}: {_WEBHOOK_HOLD[word]}", f"slack {word}")
    return _sorted(said, word)


def sort_api(said: Said) -> DeliveryError | None:
    """The Web API's answer: only `ok: true` is a delivery, whatever the status."""
    body = said.body if isinstance(said.body, dict) else {}
    word = body.get("error")
    if isinstance(word, str) and body.get("ok") is False and _WORD.fullmatch(word):
        needed = body.get("needed")
        if word == "missing_scope" and isinstance(needed, str) and _SCOPES.fullmatch(needed):
            remedy = f"give the app the scope {needed} and install it again"
            return said.hold(f"missing_scope: {remedy}", "slack missing_scope")
        return _sorted(said, word)
    if 200 <= said.status < 300 and body.get("ok") is not True:
        if said.received.cut:
            return said.unknown("but the answer broke off before its `ok` was read", "slack answer broke off")
        return said.unknown("without Slack's `ok`, so it may not have been Slack", "slack answered without ok")
    return None


def _sorted(said: Said, word: str) -> DeliveryError | None:
    cause = f"slack {word}"
    if word in _HOLD:
        return said.hold(f"{word}: {_HOLD[word]}", cause)
    if word in _RETRY or said.status == 429:
        return said.retry(word, cause)
    if word in _UNKNOWN:
        return said.unknown(f"{word}: by Slack's documentation it may have been posted all the same", cause)
    if said.status >= 500:
        return None
    return said.permanent(f"{word}: {_PERMANENT[word]}" if word in _PERMANENT else word, cause)


def whose_token(said: Said) -> tuple[str, tuple[str, ...]]:
    """What auth.test tells of a bot's token, and what the token lacks: its scopes stand in a header."""
    body = said.body if isinstance(said.body, dict) else {}
    if body.get("ok") is not True:
        raise said.retry("without Slack's `ok`", "slack answered without ok")
    who = f"Slack takes the token: {_name(body.get('user'))} in {_name(body.get('team'))}"
    header = said.header("x-oauth-scopes")
    if header is None:
        return who, ()
    scopes = {scope.strip() for scope in header.split(",")}
    if "chat:write" in scopes:
        return who, ()
    return who, (
        "the token lacks the scope chat:write: give it to the app (OAuth & Permissions), and install it again",
    )


def _name(value: object) -> str:
    return " ".join(str(value or "somebody").split())[:80]
