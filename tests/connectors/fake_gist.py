"""Gist's API as its own Ruby client (gistplatform/getgist) and that client's tests have it.

The form of its errors isn't documented: it is Intercom's here, whose API Gist's resembles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from relay.testing.server import Answer, Recorded

KEY = "s3cret-gist-key"
_CONTACT = {
    "email",
    "user_id",
    "name",
    "phone",
    "signed_up_at",
    "tags",
    "custom_properties",
    "unsubscribed_from_emails",
}


def refused(status: int, message: str) -> Answer:
    return Answer(status, {"errors": [{"code": "error", "message": message}]})


@dataclass
class FakeGist:
    """`RecordingServer(default=FakeGist().answer)`."""

    key: str = KEY
    contacts: list[dict[str, Any]] = field(default_factory=list)
    conversations: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return refused(401, "Access token is invalid")
        if request.method == "GET":
            assert request.path == "/contacts"
            return Answer(200, {"contacts": self.contacts[:1], "pages": {"next": None}})
        assert request.method == "POST"
        assert request.headers["content-type"].partition(";")[0] == "application/json"
        body = request.json()
        if request.path == "/contacts":
            return self._contact(body)
        if request.path == "/tags":
            return self._tag(body)
        if request.path == "/conversations":
            return self._conversation(body)
        reply = re.fullmatch(r"/conversations/(\d+)/messages", request.path)
        return self._reply(int(reply[1]), body) if reply else refused(404, "Not found")

    def _contact(self, body: dict[str, Any]) -> Answer:
        assert body.keys() <= _CONTACT, body.keys()
        if not (body.get("email") or body.get("user_id")):
            return refused(422, "Email or user_id is required")
        for known in self.contacts:
            if any(body.get(key) and known.get(key) == body[key] for key in ("email", "user_id")):
                known.update(body)
                return Answer(200, {"contact": known})
        made = {"id": 1046 + len(self.contacts), "tags": [], **body}
        self.contacts.append(made)
        return Answer(200, {"contact": made})

    def _tag(self, body: dict[str, Any]) -> Answer:
        assert body.keys() == {"name", "contacts"}
        for given in body["contacts"]:
            assert given.keys() <= {"id", "email", "untag"}
            found = [
                one for one in self.contacts if given.get("id") == str(one["id"]) or given.get("email") == one["email"]
            ]
            if not found:
                return refused(404, "Contact not found")
            tags = set(found[0]["tags"])
            found[0]["tags"] = sorted(tags - {body["name"]} if given.get("untag") else tags | {body["name"]})
        return Answer(200, {"tag": {"id": 1, "name": body["name"]}})

    def _conversation(self, body: dict[str, Any]) -> Answer:
        assert body.keys() <= {"from", "body", "title", "custom_properties"}
        if not body["body"]:
            return refused(422, "Body can't be blank")
        if body["from"]["id"] not in [one["id"] for one in self.contacts]:
            return refused(404, "Contact not found")
        made = {"id": 88 + len(self.conversations), **body}
        self.conversations.append(made)
        return Answer(200, {"conversation": made})

    def _reply(self, conversation: int, body: dict[str, Any]) -> Answer:
        assert body.keys() == {"message_type", "from", "body"}
        assert body["message_type"] == "reply"
        assert body["from"].keys() == {"type", "teammate_id"}
        if conversation not in [one["id"] for one in self.conversations]:
            return refused(404, "Conversation not found")
        self.messages.append(body)
        return Answer(200, {"message": {"id": len(self.messages), "author": {"type": "teammate"}}})
