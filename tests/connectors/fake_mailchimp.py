"""Mailchimp's members as far as Relay uses them: refuses what Mailchimp refuses, as problem+json.

Sources: mailchimp.com/developer "Add or update list member", "Add or remove member tags", "Errors".
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

import orjson

from relay.testing import Answer, Recorded

KEY, OAUTH, LIST = "0123456789abcdef-us6", "mc-oauth-s3cret", "a1b2c3d4e5"

_STATUSES = {"subscribed", "unsubscribed", "cleaned", "pending", "transactional"}
_PERSON = {"email_address", "status_if_new", "status", "merge_fields", "language", "interests", "email_type"}


def problem(status: int, title: str, detail: str = "", **more: Any) -> Answer:
    said = {"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status}
    said |= {"detail": detail, "instance": "1-2-3", **more}
    return Answer(status, orjson.dumps(said), {"Content-Type": "application/problem+json; charset=utf-8"})


def refused(name: str, message: str) -> Answer:
    return problem(
        400, "Invalid Resource", "The resource submitted could not be validated.",
        errors=[{"field": name, "message": message}],
    )  # fmt: skip


@dataclass
class FakeMailchimp:
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    required: set[str] = field(default_factory=set)

    def __call__(self, request: Recorded) -> Answer:
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            secret = b64decode(secret).decode().partition(":")[2]
        if secret != {"Basic": KEY, "Bearer": OAUTH}.get(kind):
            return problem(401, "API Key Invalid", "Your API key may be invalid")
        if request.method == "GET" and request.target == "/3.0/ping":
            return Answer(200, {"health_status": "Everything's Chimpy!"})
        found = re.fullmatch(r"/3\.0/lists/(\w+)/members/([0-9a-f]{32})(/tags)?", request.path)
        if found is None or found[1] != LIST:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return problem(400, "JSON Parse Error")
        body = request.json()
        if found[3]:
            return self._tags(found[2], body) if request.method == "POST" else problem(405, "Method Not Allowed")
        if request.method != "PUT":
            return problem(405, "Method Not Allowed")
        return self._put(found[2], body, skip=("skip_merge_validation", "true") in request.query)

    def _put(self, name: str, body: dict[str, Any], *, skip: bool) -> Answer:
        unknown = set(body) - _PERSON
        if unknown:
            return refused(unknown.pop(), "This field is not known")
        address = body.get("email_address", "")
        if md5(address.lower().encode()).hexdigest() != name or address.endswith("@example.invalid"):
            return refused("email_address", f"{address} looks fake or invalid")
        if not skip and self.required - set(body.get("merge_fields", {})):
            return refused("merge_fields.FNAME", "This value should not be blank.")
        known = self.members.get(name)
        if known is None and address in self.forgotten:
            return problem(400, "Forgotten Email Not Subscribed", f"{address} was permanently deleted")
        if known is None and body.get("status_if_new") not in _STATUSES:
            return refused("status_if_new", "must be one of")
        status = body.get("status", known["status"] if known else body.get("status_if_new"))
        if known and known["status"] == "cleaned" and status == "subscribed":
            return problem(400, "Member In Compliance State", f"{address} is in a compliance state")
        member = {**(known or {"id": name, "tags": set()}), **body, "status": status}
        member.pop("status_if_new", None)
        self.members[name] = member
        return Answer(200, {key: value for key, value in member.items() if key != "tags"})

    def _tags(self, name: str, body: dict[str, Any]) -> Answer:
        if name not in self.members:
            return problem(404, "Resource Not Found")
        for tag in body["tags"]:
            if set(tag) != {"name", "status"} or tag["status"] not in ("active", "inactive"):
                return refused("tags", "Schema describes object")
            (self.members[name]["tags"].add if tag["status"] == "active" else self.members[name]["tags"].discard)(
                tag["name"]
            )
        return Answer(204)
