"""A strict HubSpot: it keeps records, and refuses what HubSpot refuses, in its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from relay.testing.server import Answer, Recorded

TOKEN = "pat-eu1-s3cret"
KNOWN = {
    "contacts": {"email", "firstname", "age", "vip", "interests", "lifecyclestage"},
    "companies": {"erp_number", "name"},
    "notes": {"hs_timestamp", "hs_note_body"},
}
UNIQUE = {"contacts": {"email"}, "companies": {"erp_number"}}
_KEYS = {"id", "idProperty", "properties", "objectWriteTraceId"}


class RefusedError(Exception):
    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        self.status = status
        self.category = category
        body = {"status": "error", "message": message, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"}
        self.body = {**body, "category": category, **more}


class FakeHubSpot:
    """Give it to RecordingServer as `default`.

    partial  a batch whose rows are good only in part is answered 207; otherwise it is refused as a whole
    records  by object and number
    writes   how often a record was written
    """

    def __init__(self, *, token: str = TOKEN, partial: bool = False, reads: bool = True) -> None:
        self.reads = reads
        self.token = token
        self.partial = partial
        self.records: dict[str, dict[str, dict[str, str]]] = {name: {} for name in KNOWN}
        self.writes = 0

    def __call__(self, request: Recorded) -> Answer:
        try:
            return self._answer(request)
        except RefusedError as refused:
            return Answer(refused.status, refused.body)

    def _answer(self, request: Recorded) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        if request.method == "GET" and request.target == "/crm/v3/objects/contacts?limit=1":
            if self.reads:
                return Answer(200, {"results": list(self.records["contacts"].values())[:1]})
            lacks = [{"message": "x", "context": {"requiredGranularScopes": ["crm.objects.contacts.read"]}}]
            words = "This app hasn't been granted all required scopes to make this call."
            raise RefusedError(403, "MISSING_SCOPES", words, errors=lacks)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return Answer(415, b"")
        prefix, _, rest = urlsplit(request.target).path.partition("/objects/")
        kind, _, rest = rest.partition("/")
        if prefix != "/crm/v3" or kind not in KNOWN:
            raise RefusedError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {kind}")
        if request.method == "POST" and not rest:
            return Answer(201, self._create(kind, request.json()))
        if request.method == "POST" and rest == "batch/upsert":
            return self._batch(kind, request.json())
        if request.method == "PATCH" and rest and "/" not in rest:
            by = dict(parse_qsl(urlsplit(request.target).query))
            return Answer(200, self._update(kind, unquote(rest), by.get("idProperty"), request.json()))
        return Answer(405, b"")

    def _create(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if set(body) != {"properties", "associations"}:
            raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: required fields missing or unknown")
        for link in body["associations"]:
            types = link["types"]
            if set(link) != {"to", "types"} or set(link["to"]) != {"id"} or not isinstance(link["to"]["id"], str):
                raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: associations")
            if any(set(one) != {"associationCategory", "associationTypeId"} for one in types) or not types:
                raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: association types")
        self._check(kind, body["properties"])
        for name in UNIQUE.get(kind, ()):
            there = self._find(kind, name, body["properties"].get(name))
            if there:
                raise RefusedError(409, "CONFLICT", f"Contact already exists. Existing ID: {there}")
        return self._write(kind, str(1000 + self.writes), body["properties"], new=True)

    def _update(self, kind: str, key: str, by: str | None, body: dict[str, Any]) -> dict[str, Any]:
        if set(body) != {"properties"}:
            raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: required fields missing or unknown")
        number = self._find(kind, by, key) if by else key
        if number not in self.records[kind]:
            raise RefusedError(404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
        self._check(kind, body["properties"])
        return self._write(kind, number, body["properties"], new=False)

    def _batch(self, kind: str, body: dict[str, Any]) -> Answer:
        inputs = body.get("inputs")
        if set(body) != {"inputs"} or not isinstance(inputs, list) or not inputs:
            raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: inputs")
        if len(inputs) > 100:
            raise RefusedError(400, "VALIDATION_ERROR", "The maximum number of inputs in a batch is 100")
        if any(not {"id", "properties"} <= set(one) <= _KEYS or not isinstance(one["id"], str) for one in inputs):
            raise RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON: required fields missing or unknown")
        keys = [(one.get("idProperty"), one["id"].lower()) for one in inputs]
        if len(set(keys)) < len(keys):
            raise RefusedError(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        wrong = list(self._wrong(kind, inputs))
        if wrong and not self.partial:
            raise wrong[0][1]
        bad = {number for number, _ in wrong}
        results = [self._upsert(kind, one) for number, one in enumerate(inputs) if number not in bad]
        reply: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if wrong:
            reply |= {"numErrors": len(wrong), "errors": [{**error.body, "context": {}} for _, error in wrong]}
        return Answer(207 if wrong else 200, reply)

    def _wrong(self, kind: str, inputs: list[dict[str, Any]]) -> Iterator[tuple[int, RefusedError]]:
        for number, one in enumerate(inputs):
            if one.get("idProperty") not in UNIQUE.get(kind, ()):
                yield (
                    number,
                    RefusedError(400, "VALIDATION_ERROR", "Unable to perform update/upsert by non-unique property"),
                )
                continue
            try:
                self._check(kind, {one["idProperty"]: one["id"], **one["properties"]})
            except RefusedError as refused:
                yield number, refused

    def _upsert(self, kind: str, one: dict[str, Any]) -> dict[str, Any]:
        there = self._find(kind, one["idProperty"], one["id"])
        properties = {one["idProperty"]: one["id"], **one["properties"]}
        return self._write(kind, there or str(1000 + self.writes), properties, new=not there)

    def _check(self, kind: str, properties: dict[str, Any]) -> None:
        for name, value in properties.items():
            if name not in KNOWN[kind]:
                said = f'[{{"isValid":false,"error":"PROPERTY_DOESNT_EXIST","name":"{name}"}}]'
                raise RefusedError(400, "VALIDATION_ERROR", f"Property values were not valid: {said}")
            if not isinstance(value, str):
                raise RefusedError(400, "VALIDATION_ERROR", f"Invalid input JSON: property {name} is no string")
            if name == "email" and "@" not in value:
                said = 'Property values were not valid: [{"isValid":false,"error":"INVALID_EMAIL","name":"email"}]'
                raise RefusedError(400, "VALIDATION_ERROR", said)

    def _find(self, kind: str, name: str | None, value: str | None) -> str:
        if name not in UNIQUE.get(kind, ()):
            raise RefusedError(400, "VALIDATION_ERROR", f"Property {name} is not a unique property")
        for number, record in self.records[kind].items():
            if value is not None and record.get(name or "", "").lower() == value.lower():
                return number
        return ""

    def _write(self, kind: str, number: str, properties: dict[str, str], *, new: bool) -> dict[str, Any]:
        self.writes += 1
        record = self.records[kind].setdefault(number, {})
        record.update(properties)
        return {"id": number, "properties": dict(record), "new": new, "archived": False}
