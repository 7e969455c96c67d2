"""Discord's Execute Webhook, strict, with Discord's own error bodies (discord-api-spec, and those people have met)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from relay.testing import Answer, Recorded

WEBHOOK_ID = "223704706495545344"
TOKEN = "s3cret-3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e72279b94526ff5d1"
_FIELDS = {
    "content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "thread_name", "flags",
}  # fmt: skip
_EMBED_FIELDS = {
    "title", "type", "description", "url", "timestamp", "color", "footer", "image", "thumbnail", "author", "fields",
}  # fmt: skip


@dataclass
class FakeDiscord:
    """threads: those that are there; mentioned: whom each message rang"""

    threads: set[str] = field(default_factory=lambda: {"2"})
    forum: bool = False
    posted: list[dict[str, Any]] = field(default_factory=list)
    mentioned: list[list[str]] = field(default_factory=list)

    def __call__(self, request: Recorded) -> Answer:
        _, _, *path = request.path.split("/")
        if request.method not in ("GET", "POST") or request.path.split("/")[:2] != ["", "webhooks"] or len(path) != 2:
            return _error(404, 0, "404: Not Found")
        if path[0] != WEBHOOK_ID:
            return _error(404, 10015, "Unknown Webhook")
        if path[1] != TOKEN:
            return _error(401, 50027, "Invalid Webhook Token")
        if request.method == "GET":
            return Answer(200, {"id": WEBHOOK_ID, "type": 1, "name": "Relay", "channel_id": "7", "token": TOKEN})
        return self._executed(request, dict(request.query))

    def _executed(self, request: Recorded, query: dict[str, str]) -> Answer:
        if query.keys() - {"wait", "thread_id"}:
            return _error(400, 50035, "Invalid Form Body")
        if "thread_id" in query and query["thread_id"] not in self.threads:
            return _error(404, 10003, "Unknown Channel")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return Answer(400, {"_misc": ['Expected "Content-Type" header to be one of {"application/json"}.']})
        try:
            body = json.loads(request.body.decode("utf-8"))
        except ValueError:
            return _error(400, 50109, "The request body contains invalid JSON.")
        if not body.get("content") and not body.get("embeds"):
            return _error(400, 50006, "Cannot send an empty message")
        if self.forum and "thread_name" not in body and "thread_id" not in query:
            return _error(400, 220001, "Webhooks posted to forum channels must have a thread_name or thread_id")
        if not self.forum and "thread_name" in body:
            return _error(400, 220003, "Webhooks can only create threads in forum channels")
        errors = _wrong(body)
        if errors:
            return _error(400, 50035, "Invalid Form Body", errors=errors)
        return self._posted(query, body)

    def _posted(self, query: dict[str, str], body: dict[str, Any]) -> Answer:
        self.posted.append(body)
        allowed = body.get("allowed_mentions", {"parse": ["everyone", "users", "roles"]})
        rung = ["everyone"] if "@everyone" in body.get("content", "") and "everyone" in allowed.get("parse", []) else []
        self.mentioned.append(rung + list(allowed.get("users", [])))
        if query.get("wait") != "true":
            return Answer(204)
        return Answer(200, {"id": str(len(self.posted)), "webhook_id": WEBHOOK_ID, "content": body.get("content", "")})


def _error(status: int, code: int, message: str, **more: Any) -> Answer:
    return Answer(status, {"message": message, "code": code, **more})


def _too_long(most: int) -> dict[str, Any]:
    words = f"Must be {most} or fewer in length."
    return {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": words}]}


def _wrong(body: dict[str, Any]) -> dict[str, Any]:
    errors: dict[str, Any] = {
        name: {"_errors": [{"code": "UNKNOWN_FIELD", "message": "stricter than Discord"}]}
        for name in body.keys() - _FIELDS
    }
    if len(body.get("content", "")) > 2000:
        errors["content"] = _too_long(2000)
    if not 1 <= len(body.get("username", "x")) <= 80 or "clyde" in body.get("username", "").lower():
        errors["username"] = {"_errors": [{"code": "USERNAME_INVALID_CONTAINS", "message": "no"}]}
    if len(body.get("embeds", [])) > 10:
        errors["embeds"] = _too_long(10)
    for n, embed in enumerate(body.get("embeds", [])):
        if embed.keys() - _EMBED_FIELDS:
            errors.setdefault("embeds", {})[str(n)] = {"_errors": [{"code": "UNKNOWN_FIELD", "message": ""}]}
        for name, most in (("title", 256), ("description", 4096)):
            if len(embed.get(name, "")) > most:
                errors.setdefault("embeds", {}).setdefault(str(n), {})[name] = _too_long(most)
        for m, inner in enumerate(embed.get("fields", [])):
            if len(inner["name"]) > 256 or len(inner["value"]) > 1024:
                errors["embeds"] = {str(n): {"fields": {str(m): {"value": _too_long(1024)}}}}
    return errors
