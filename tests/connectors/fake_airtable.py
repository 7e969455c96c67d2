"""Airtable's web API for records, as its pages and pyairtable describe it: it refuses what Airtable refuses.

Requests were compared once with what PyPI's pyairtable 3.5.1 sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.testing.server import Answer, Recorded

_FIELDS = {"Email": str, "Rating": int, "Tags": list, "Files": list, "Note": str}


def refused(status: int, kind: str, message: str = "") -> Answer:
    return Answer(status, {"error": {"type": kind, "message": message} if message else kind})


@dataclass
class FakeAirtable:
    """`RecordingServer(default=FakeAirtable().answer)`; `rows` is what the table has."""

    token: str = "pat.s3cret"
    base: str = "appFake1"
    tables: tuple[str, ...] = ("Contacts", "A/B & ç")
    rows: list[dict[str, Any]] = field(default_factory=list)
    scopes: tuple[str, ...] = ()

    def answer(self, request: Recorded) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return refused(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        if request.method == "GET" and request.target == "/v0/meta/whoami":
            # A personal access token's scopes aren't told.
            return Answer(200, {"id": "usrAna", **({"scopes": list(self.scopes)} if self.scopes else {})})
        parts = urlsplit(request.target).path.split("/")
        if len(parts) != 4 or parts[1] != "v0":
            return refused(404, "NOT_FOUND")
        if parts[2] != self.base or unquote(parts[3]) not in self.tables:
            message = "Invalid permissions, or the requested model was not found. Check that both your user and your"
            return refused(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", f"{message} token have the permissions.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return refused(422, "INVALID_REQUEST_MISSING_FIELDS", 'Could not find field "fields" in the request body')
        body = request.json()
        allowed = {"records", "typecast"} | ({"performUpsert"} if request.method == "PATCH" else set())
        records = body.get("records")
        if request.method not in ("POST", "PATCH") or set(body) - allowed or not isinstance(records, list):
            return refused(422, "INVALID_REQUEST_UNKNOWN", "Invalid request: parameter validation failed.")
        if not 1 <= len(records) <= 10:
            return refused(422, "INVALID_RECORDS", "You can write at most 10 records per request.")
        for record in records:
            wrong = self._wrong(record, typecast=body.get("typecast", False))
            if wrong is not None:
                return wrong
        if request.method == "POST":
            return Answer(200, {"records": [self._made(record["fields"]) for record in records]})
        return self._upserted(records, body["performUpsert"])

    def _wrong(self, record: Any, *, typecast: bool) -> Answer | None:
        if set(record) != {"fields"}:
            return refused(422, "INVALID_REQUEST_UNKNOWN", "Invalid request: parameter validation failed.")
        for name, value in record["fields"].items():
            if name not in _FIELDS:
                return refused(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
            if value is not None and not typecast and not isinstance(value, _FIELDS[name]):
                return refused(422, "INVALID_VALUE_FOR_COLUMN", f'Field "{name}" cannot accept the provided value')
        return None

    def _made(self, fields: dict[str, Any]) -> dict[str, Any]:
        row = {"id": f"rec{len(self.rows) + 1}", "createdTime": "2026-11-23T00:00:00.000Z", "fields": dict(fields)}
        self.rows.append(row)
        return row

    def _upserted(self, records: list[dict[str, Any]], upsert: dict[str, Any]) -> Answer:
        keys = upsert["fieldsToMergeOn"]
        if set(upsert) != {"fieldsToMergeOn"} or not 1 <= len(keys) <= 3 or set(keys) - set(_FIELDS):
            return refused(422, "INVALID_REQUEST_UNKNOWN", "Invalid request: parameter validation failed.")
        there = {tuple(row["fields"].get(key) for key in keys): row for row in self.rows}
        answer: dict[str, list[Any]] = {"records": [], "createdRecords": [], "updatedRecords": []}
        for record in records:
            if any(record["fields"].get(key) is None for key in keys):
                return refused(422, "INVALID_VALUE_FOR_COLUMN", "Cannot upsert without a value for each merge field")
            row = there.get(tuple(record["fields"][key] for key in keys))
            answer["createdRecords" if row is None else "updatedRecords"].append(row["id"] if row else "rec")
            row = row if row is not None else self._made({})
            row["fields"].update(record["fields"])
            answer["records"].append(row)
        return Answer(200, answer)
