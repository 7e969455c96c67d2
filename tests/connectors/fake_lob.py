"""Lob's postcards as its OpenAPI description (1.22.0) has them: it refuses what Lob refuses, with Lob's error bodies.

Our requests were held against that description's JSON Schema once by hand.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from relay.testing.server import Answer, Recorded

KEY = "test_s3cret0dc8d51e0acffcb1880e0f19c79b2f5b0cc"
_FIELDS = {
    "to", "from", "front", "back", "size", "use_type", "mail_type", "merge_variables", "description", "send_date",
    "metadata", "billing_group_id", "qr_code", "fsc", "print_speed",
}  # fmt: skip
_LINES = {
    "name", "company", "address_line1", "address_line2", "address_city", "address_state", "address_zip",
    "address_country",
}  # fmt: skip


def refused(status: int, code: str, message: str = "No.", **headers: str) -> Answer:
    return Answer(status, {"error": {"message": message, "status_code": status, "code": code}}, headers)


@dataclass
class FakeLob:
    """`RecordingServer(default=FakeLob().answer)`.

    kept  the answers by idempotency key; cleared as Lob forgets them after a day
    """

    key: str = KEY
    cards: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, request: Recorded) -> Answer:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(pair).decode() != f"{self.key}:":
            return refused(401, "invalid_api_key", "Your API key is not valid. Please sign up on lob.com.")
        if request.path != "/v1/postcards":
            return refused(404, "unrecognized_endpoint", "Endpoint not found")
        if request.method == "GET":
            return self._listed(dict(request.query))
        assert request.method == "POST"
        assert request.headers["content-type"].partition(";")[0] == "application/json"
        key = request.headers["idempotency-key"]
        assert 0 < len(key) <= 256
        if key in self.kept:
            return Answer(200, self.kept[key])
        body = request.json()
        wrong = self._wrong(body)
        if wrong:
            return refused(422, "invalid", wrong)
        if isinstance(body["to"], dict):
            lines = len(body["to"]["address_line1"]) + len(body["to"].get("address_line2", ""))
            if lines > 50:
                return refused(
                    422, "address_length_exceeds_limit", "to.address_line1 and 2 can't surpass 50 characters"
                )
        card = {"id": f"psc_{len(self.cards) + 1}", "object": "postcard", **body}
        self.cards.append(card)
        self.kept[key] = card
        return Answer(200, card)

    def _listed(self, query: dict[str, str]) -> Answer:
        limit = int(query.pop("limit", "10"))
        assert 1 <= limit <= 100
        assert all(name.startswith("metadata[") for name in query), query
        wanted = {name.removeprefix("metadata[").removesuffix("]"): value for name, value in query.items()}
        found = [card for card in self.cards if wanted.items() <= card.get("metadata", {}).items()]
        return Answer(200, {"object": "list", "data": found[:limit], "count": len(found[:limit]), "next_url": None})

    def _wrong(self, body: dict[str, Any]) -> str:
        unknown = body.keys() - _FIELDS
        if unknown:
            return f"{min(unknown)} is not allowed"
        for name in ("to", "front", "back", "use_type"):
            if not body.get(name):
                return f"{name} is required"
        for name in ("to", "from"):
            address = body.get(name)
            if isinstance(address, dict) and address.keys() - _LINES:
                return f"{name} has fields that are not allowed"
            if isinstance(address, dict) and not (address.get("name") or address.get("company")):
                return f"{name}.name or {name}.company is required"
            if isinstance(address, dict) and "" in address.values():
                return f"{name} is not allowed to be empty"
        for name in ("front", "back"):
            if not ("<" in body[name] or body[name].startswith(("tmpl_", "https://"))):
                return f"{name} must be HTML, a URL or a template"
        if len(body.get("metadata", {})) > 20:
            return "metadata has too many keys"
        return ""
