"""Zendesk's ticket API as far as Relay uses it: refuses what Zendesk refuses, in its words.

Sources: developer.zendesk.com "Tickets", "Introduction" (idempotency), "Security and authentication"; zenpy 2.0.57 for
paths and bodies.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from relay.testing import Answer, Recorded

EMAIL, TOKEN, OAUTH = "relay@example.com", "zd-s3cret/tok", "oauth-s3cret"
CREATED = "2026-11-02T09:30:00Z"

_PROPERTIES = {
    "subject": str,
    "comment": dict,
    "requester": dict,
    "priority": str,
    "status": str,
    "type": str,
    "external_id": str,
    "assignee_id": int,
    "group_id": int,
    "brand_id": int,
    "ticket_form_id": int,
    "custom_fields": list,
    "tags": list,
    "safe_update": bool,
    "updated_stamp": str,
}


def invalid(**details: str) -> Answer:
    said = {name: [{"description": f"{name.title()}: {text}"}] for name, text in details.items()}
    return Answer(
        422, {"error": "RecordInvalid", "description": "Record validation errors", "details": said}
    )  # fmt: skip


@dataclass
class FakeZendesk:
    tickets: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    role: str = "agent"
    may_read: bool = True

    def __call__(self, request: Recorded) -> Answer:
        basic = b64encode(f"{EMAIL}/token:{TOKEN}".encode()).decode()
        known = request.headers.get("authorization") in (f"Basic {basic}", f"Bearer {OAUTH}")
        if request.method == "GET" and request.target == "/api/v2/users/me.json":
            if not self.may_read:
                return Answer(403, {"error": "Forbidden", "description": "You are missing the required scopes"})
            stranger = {"id": None, "name": "Anonymous user", "role": "end-user"}
            return Answer(200, {"user": {"id": 7, "name": "Ana", "role": self.role} if known else stranger})
        if not known:
            return Answer(401, {"error": "Couldn't authenticate you"})
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return Answer(415, {"error": "UnsupportedMediaType"})
        body = request.json()
        if set(body) != {"ticket"}:
            return Answer(400, {"error": "InvalidParameter", "description": "ticket is missing"})
        ticket = body["ticket"]
        for name, value in ticket.items():
            if not isinstance(value, _PROPERTIES.get(name, ())):
                return Answer(400, {"error": "InvalidValue", "description": f"{name} is invalid"})
        if any(set(one) != {"id", "value"} for one in ticket.get("custom_fields", [])):
            return invalid(custom_fields="is invalid")
        if any(" " in tag for tag in ticket.get("tags", [])):
            return invalid(tags="contain a space")
        if request.method == "POST" and request.path == "/api/v2/tickets.json":
            return self._create(request, ticket)
        number = request.path.removeprefix("/api/v2/tickets/").removesuffix(".json")
        if request.method == "PUT" and number.isdigit() and 0 < int(number) <= len(self.tickets):
            return self._update(self.tickets[int(number) - 1], ticket)
        return Answer(404, {"error": "RecordNotFound", "description": "Not found"})

    def _create(self, request: Recorded, ticket: dict[str, Any]) -> Answer:
        key = request.headers.get("idempotency-key", "")
        if len(key) > 255:
            return Answer(400, {"error": "IdempotentRequestError", "description": "key too long"})
        if key in self.keys:
            before, number = self.keys[key]
            if before != request.body:
                return Answer(400, {"error": "IdempotentRequestError", "description": "other parameters"})
            return Answer(201, {"ticket": self.tickets[number - 1]}, {"X-Idempotency-Lookup": "hit"})
        comment = ticket.get("comment", {})
        if not (comment.get("body") or comment.get("html_body")) or set(comment) - {"body", "html_body", "public"}:
            return invalid(base="Description: cannot be blank")
        requester = ticket.get("requester", {"name": "a", "email": "a@b.c"})
        if "@" not in requester.get("email", "") or not requester.get("name"):
            return invalid(requester=f"Email: {requester.get('email')} is not properly formatted")
        made = {"id": len(self.tickets) + 1, "updated_at": CREATED, "comments": [comment], **ticket}
        self.tickets.append(made)
        if key:
            self.keys[key] = (request.body, made["id"])
        return Answer(201, {"ticket": made}, {"X-Idempotency-Lookup": "miss"})

    def _update(self, known: dict[str, Any], change: dict[str, Any]) -> Answer:
        if change.pop("safe_update", False) and change.pop("updated_stamp", None) != known["updated_at"]:
            return Answer(409, {"error": "UpdateConflict", "description": "Safe Update prevented the update"})
        if known.get("status") == "closed":
            return invalid(status="closed prevents ticket update")
        if "comment" in change:
            known["comments"].append(change.pop("comment"))
        known |= change
        known["updated_at"] = f"2026-11-02T09:30:{len(known['comments']):02}Z"
        return Answer(200, {"ticket": known})
