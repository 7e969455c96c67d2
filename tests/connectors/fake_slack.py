"""Slack, as far as the relay speaks to it: an incoming webhook and chat.postMessage. Strict, with Slack's own words.

Blocks are judged by slack_sdk's models, not by our own table of limits. It is stricter than Slack in one thing: a field
that Slack doesn't document is refused, where Slack ignores it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from relay.testing import Answer, Recorded

TOKEN = "xoxb-0123456789-s3cret"
WEBHOOK_PATH = "/services/T00000000/B00000000/s3cretXXXXXXXXXXXXXXXXXX"
_WEBHOOK_FIELDS = {"text", "mrkdwn", "blocks", "attachments", "thread_ts", "unfurl_links", "unfurl_media"}
_API_FIELDS = _WEBHOOK_FIELDS | {"channel", "reply_broadcast", "username", "icon_emoji", "icon_url"}


@dataclass
class FakeSlack:
    """channels: those the bot is in, and its messages' texts and blocks as they came"""

    channels: set[str] = field(default_factory=lambda: {"C0123456789", "#orders"})
    archived: set[str] = field(default_factory=set)
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "chat:write.customize"})
    posted: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Recorded) -> Answer:
        if request.path.startswith("/services/"):
            status, word = self._webhook(request)
            return Answer(status, word, headers={"Content-Type": "text/html"})
        if request.path == "/api/auth.test":
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Answer(200, {"ok": False, "error": "invalid_auth"})
            told = {"ok": True, "url": "https://acme.slack.com/", "team": "Acme", "user": "relay", "bot_id": "B1"}
            return Answer(200, told, {"X-OAuth-Scopes": ",".join(sorted(self.scopes))})
        if request.path == "/api/chat.postMessage":
            error = self._api(request)
            if error:
                return Answer(200, {"ok": False, **error})
            ts = f"1503435956.{len(self.posted):06}"
            return Answer(200, {"ok": True, "channel": self.posted[-1]["channel"], "ts": ts, "message": {}})
        return Answer(404, "<html>no such page</html>", headers={"Content-Type": "text/html"})

    def _webhook(self, request: Recorded) -> tuple[int, str]:
        assert "authorization" not in request.headers, "the bot's token has no business at a webhook"
        if request.target != WEBHOOK_PATH:
            return (403, "invalid_token") if "/B00000000/" in request.target else (404, "no_service")
        body = _json(request)
        if body is None or body.keys() - _WEBHOOK_FIELDS:
            return 400, "invalid_payload"
        wrong = _content(body)
        if wrong:
            return 400, wrong
        self.posted.append(body)
        return 200, "ok"

    def _api(self, request: Recorded) -> dict[str, Any]:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            return {"error": "not_authed"}
        if kind != "Bearer" or token != TOKEN:
            return {"error": "invalid_auth"}
        if "chat:write" not in self.scopes:
            return {"error": "missing_scope", "needed": "chat:write", "provided": "users:read"}
        body = _json(request)
        if body is None:
            return {"error": "invalid_json"}
        if body.keys() - _API_FIELDS:
            return {"error": "invalid_arguments", "response_metadata": {"messages": ["[ERROR] unknown field"]}}
        if body.get("channel") in self.archived:
            return {"error": "is_archived"}
        if body.get("channel") not in self.channels:
            return {"error": "channel_not_found"}
        wrong = _content(body)
        if wrong:
            return {"error": wrong}
        self.posted.append(body)
        return {}


def _json(request: Recorded) -> dict[str, Any] | None:
    content_type = request.headers.get("content-type", "").replace(" ", "").lower()
    if request.method != "POST" or content_type != "application/json;charset=utf-8":
        return None
    try:
        body = json.loads(request.body.decode("utf-8"))
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _content(body: dict[str, Any]) -> str:
    blocks, attachments = body.get("blocks", []), body.get("attachments", [])
    if not body.get("text") and not blocks and not attachments:
        return "no_text"
    if len(body.get("text", "")) > 40_000:
        return "msg_too_long"
    if len(attachments) > 100:
        return "too_many_attachments"
    if len(blocks) > 50 or not all(sdk_takes(block) for block in blocks):
        return "invalid_blocks"
    return ""


def sdk_takes(block: Any) -> bool:
    """Whether Slack's own SDK would send this block."""
    try:
        parsed = Block.parse(block)
        if parsed is None or [] in (block.get("elements"), block.get("fields")):
            return False
        parsed.to_dict()
        for element in getattr(parsed, "elements", None) or []:
            element.to_dict()
    except (SlackObjectFormationError, TypeError, AttributeError):
        return False
    return True
