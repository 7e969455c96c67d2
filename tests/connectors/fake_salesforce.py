"""A strict Salesforce: tokens, sobjects and collections of two objects; it refuses in Salesforce's words."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.testing.server import Answer, Recorded
from tests.connectors.fake_oauth import FakeOAuth

KNOWN = {"Lead": {"LastName", "Company", "Ref__c", "Score__c"}, "Course__c": {"Name", "Code__c"}}
HALTED = "PROCESSING_HALTED"
EXTERNAL = {"Lead": "Ref__c", "Course__c": "Code__c"}
REQUIRED = {"Lead": {"LastName"}, "Course__c": set[str]()}


class FakeTokens(FakeOAuth):
    path = "/services/oauth2/token"


class FakeSalesforce:
    """Give it to RecordingServer as `default`. Only the session of the newest token is good."""

    def __init__(self) -> None:
        self.tokens = FakeTokens(audience="https://login.salesforce.com", subject="ana@example.com", expires_in=None)
        self.records: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in KNOWN}
        self.writes = 0
        self.remaining = 14998
        self.userinfo = True

    def __call__(self, request: Recorded) -> Answer:
        if request.path == FakeTokens.path:
            return self.tokens(request)
        token = request.headers.get("authorization", "")
        if token != f"Bearer {self.tokens.token}":
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if request.method == "GET":
            return self._told(request)
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _error(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type header specified is not supported")
        parts = urlsplit(request.target).path.removeprefix("/services/data/v62.0/").split("/")
        match (request.method, *parts):
            case ("POST", "composite"):
                return self._composite(request)
            case ("POST", "sobjects", kind) if kind in KNOWN:
                return self._created(kind, request.json())
            case ("PATCH", "sobjects", kind, key) if kind in KNOWN:
                return self._updated(kind, key, request.json())
            case ("PATCH", "sobjects", kind, by, value) if EXTERNAL.get(kind) == by:
                return self._upserted(kind, by, unquote(value), request)
            case ("PATCH", "composite", "sobjects", kind, by) if EXTERNAL.get(kind) == by:
                return self._collection(kind, by, request.json())
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _told(self, request: Recorded) -> Answer:
        """What is only read."""
        match urlsplit(request.target).path.split("/")[1:]:
            case ["services", "data", "v62.0", "limits"]:
                return Answer(200, {"DailyApiRequests": {"Max": 15000, "Remaining": self.remaining}})
            case ["services", "oauth2", "userinfo"] if self.userinfo:
                return Answer(200, {"preferred_username": "ana@example.com"})
            case ["services", "oauth2", "userinfo"]:
                return Answer(403, "Bad_OAuth_Token")
            case ["services", "data", "v62.0", "sobjects", kind, key] if key in self.records.get(kind, {}):
                return Answer(200, {"attributes": {"type": kind}, "Id": key, **self.records[kind][key]})
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _composite(self, request: Recorded) -> Answer:
        body = request.json()
        asked = body.get("compositeRequest")
        if set(body) != {"allOrNone", "compositeRequest"} or not isinstance(asked, list) or not 0 < len(asked) <= 25:
            return _error(400, "INVALID_INPUT", "The composite request is malformed, or has more than 25 subrequests")
        ids = [one.get("referenceId", "") for one in asked]
        if len(set(ids)) < len(ids) or not all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in ids):
            return _error(400, "INVALID_INPUT", "referenceId: unique, letters, digits and underscores")
        before = json.dumps([self.records, self.writes])
        done: dict[str, Answer] = {}
        for one in asked:
            done[one["referenceId"]] = self._subrequest(one, done, request)
        failed = [name for name, answer in done.items() if answer.status >= 300]
        if failed and body["allOrNone"]:
            self.records, self.writes = json.loads(before)
            rolled = "The transaction was rolled back since another operation in the same transaction failed."
            real = failed[0]
            done = {name: done[name] if name == real else _error(400, HALTED, rolled) for name in done}
        results = [
            {"body": answer.body or None, "httpHeaders": {}, "httpStatusCode": answer.status, "referenceId": name}
            for name, answer in done.items()
        ]
        return Answer(200, {"compositeResponse": results})

    def _subrequest(self, one: dict[str, Any], done: dict[str, Answer], request: Recorded) -> Answer:
        if set(one) - {"body"} != {"method", "url", "referenceId"} or ("body" in one) == (one["method"] == "GET"):
            return _error(400, "INVALID_INPUT", "a subrequest has method, url, referenceId, and a body unless it reads")
        wrong: list[str] = []

        def resolved(found: re.Match[str]) -> str:
            name, _, key = found[1].partition(".")
            answer = done.get(name)
            if answer is None or answer.status >= 300 or not isinstance(answer.body, dict) or key not in answer.body:
                wrong.append(name)
                return ""
            return str(answer.body[key])

        filled = json.loads(re.sub(r"@\{([^}]*)\}", resolved, json.dumps(one)))
        if wrong:
            return _error(400, HALTED, f"Invalid reference specified. No value for {wrong[0]} found")
        inner = Recorded(filled["method"], filled["url"], request.headers, json.dumps(filled.get("body")).encode())
        return _error(400, "INVALID_INPUT", "no composite inside") if "/composite" in inner.path else self(inner)

    def _created(self, kind: str, fields: dict[str, Any]) -> Answer:
        wrong = _wrong(kind, fields, new=True)
        if wrong:
            return _error(400, *wrong)
        return Answer(201, {"id": self._write(kind, None, fields), "success": True, "errors": []})

    def _updated(self, kind: str, key: str, fields: dict[str, Any]) -> Answer:
        if key not in self.records[kind]:
            return _error(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        wrong = _wrong(kind, fields, new=False)
        if wrong:
            return _error(400, *wrong)
        self._write(kind, key, fields)
        return Answer(204)

    def _upserted(self, kind: str, by: str, value: str, request: Recorded) -> Answer:
        fields = request.json()
        if by in fields:
            return _error(400, "INVALID_FIELD", f"The {by} field should not be specified in the sobject data.")
        there = self._find(kind, by, value)
        if not there and dict(request.query).get("updateOnly") == "true":
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        wrong = _wrong(kind, fields, new=not there)
        if wrong:
            return _error(400, *wrong)
        key = self._write(kind, there, {by: value, **fields})
        body = {"id": key, "success": True, "errors": [], "created": not there}
        return Answer(200 if there else 201, body)

    def _collection(self, kind: str, by: str, body: dict[str, Any]) -> Answer:
        records = body.get("records")
        if set(body) != {"allOrNone", "records"} or not isinstance(records, list) or not 0 < len(records) <= 200:
            return _error(400, "INVALID_INPUT", "The records are malformed, or more than 200")
        if any(one.get("attributes") != {"type": kind} or by not in one or "id" in one for one in records):
            return _error(400, "INVALID_INPUT", "attributes with the type, and the external id, are required")
        wrongs = [self._wrong_row(kind, by, records, one) for one in records]
        if any(wrongs) and body["allOrNone"]:
            rolled = ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid")
            return Answer(200, [_failed(*(wrong or rolled)) for wrong in wrongs])
        results = []
        for one, wrong in zip(records, wrongs, strict=True):
            there = self._find(kind, by, one[by])
            fields = {name: value for name, value in one.items() if name != "attributes"}
            if wrong:
                results.append(_failed(*wrong))
            else:
                key = self._write(kind, there, fields)
                results.append({"id": key, "success": True, "errors": [], "created": not there})
        return Answer(200, results)

    def _wrong_row(self, kind: str, by: str, records: list[Any], one: dict[str, Any]) -> tuple[str, str] | None:
        if sum(other[by] == one[by] for other in records) > 1:
            return "DUPLICATE_EXTERNAL_ID", "Duplicate external id specified"
        fields = {name: value for name, value in one.items() if name != "attributes"}
        return _wrong(kind, fields, new=not self._find(kind, by, one[by]))

    def _find(self, kind: str, by: str, value: str) -> str | None:
        return next((key for key, record in self.records[kind].items() if record.get(by) == value), None)

    def _write(self, kind: str, key: str | None, fields: dict[str, Any]) -> str:
        self.writes += 1
        key = key or f"00Q{self.writes:015d}"
        self.records[kind].setdefault(key, {}).update(fields)
        return key


def _wrong(kind: str, fields: dict[str, Any], *, new: bool) -> tuple[str, str] | None:
    for name in fields:
        if name not in KNOWN[kind]:
            return "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind}"
    if new and not REQUIRED[kind] <= set(fields):
        return "REQUIRED_FIELD_MISSING", f"Required fields are missing: {sorted(REQUIRED[kind])}"
    if len(str(fields.get("LastName", ""))) > 80:
        return "STRING_TOO_LONG", "Last Name: data value too large (max length=80)"
    return None


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, [{"message": message, "errorCode": code, "fields": []}])
