"""Jira's issues, comments and search as Atlassian's pages describe them: it refuses what the service refuses.

Error bodies are as Atlassian's pages, and issues on GitHub of those who met them, show them.

Paths, bodies and authentication are those of PyPI's jira 3.10.5, compared by hand (it searches Data Center by GET).
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, Literal

from relay.testing.server import Answer, Recorded

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Log in - Jira</title></head></html>"
_JQL = re.compile(r'labels = "((?:[^"\\]|\\["\\])*)"')
_FIELDS = {"project", "issuetype", "summary", "description", "labels", "priority", "customfield_10010", "duedate"}
_SEARCH = {
    "cloud": {"jql", "maxResults", "fields", "nextPageToken", "expand", "properties", "fieldsByKeys", "failFast"},
    "server": {"jql", "maxResults", "fields", "startAt", "validateQuery", "expand"},
}
_PLACE = re.compile(r"(/jira)?/rest/api/([23])(/.*)")


def refused(status: int, *messages: str, headers: dict[str, str] | None = None, **errors: str) -> Answer:
    return Answer(status, {"errorMessages": list(messages), "errors": errors}, headers or {})


@dataclass
class FakeJira:
    """`RecordingServer(default=FakeJira().answer)`. indexed: how many of the issues the search knows; None for all."""

    kind: Literal["cloud", "server"] = "cloud"
    email: str = "relay@example.com"
    api_token: str = "s3cret-ATATT/x="
    token: str = "s3cret-bearer"
    labels_on_screen: bool = True
    indexed: int | None = None
    active: bool = True
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: list[Any] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        place = _PLACE.fullmatch(request.path)
        assert request.headers["accept"] == "application/json"
        if place is None:
            return Answer(404, LOGIN_PAGE, {"content-type": "text/html;charset=UTF-8"})
        version, rest = int(place[2]), place[3]
        if self.kind == "server" and version == 3:
            return Answer(404, {"message": f"null for uri: {request.target}", "status-code": 404})
        if not self._is_known(request.headers.get("authorization", "")):
            denied = {"x-seraph-loginreason": "AUTHENTICATED_FAILED"}
            return Answer(401, "Client must be authenticated to access this resource.", denied)
        if request.method == "GET" and rest == "/myself":
            name = {"accountId": "5b10a2"} if self.kind == "cloud" else {"key": "relay", "name": "relay"}
            return Answer(200, {**name, "displayName": "Relay Bot", "active": self.active})
        if request.method != "POST":
            return Answer(405, b"")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return Answer(415, b"")
        if rest == ("/search/jql" if self.kind == "cloud" else "/search"):
            return self._found(request.json())
        if rest == "/search":
            message = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
            return refused(410, message)
        if rest == "/issue":
            return self._created(request.json(), version)
        if commented := re.fullmatch(r"/issue/([\w-]+)/comment", rest):
            return self._commented(commented[1], request.json(), version)
        return Answer(404, {"message": f"null for uri: {request.target}", "status-code": 404})

    def _is_known(self, authorization: str) -> bool:
        scheme, _, proof = authorization.partition(" ")
        if scheme == "Basic":
            return b64decode(proof).decode() == f"{self.email}:{self.api_token}"
        return scheme == "Bearer" and proof == self.token

    def _found(self, body: Any) -> Answer:
        asked = _JQL.fullmatch(body["jql"])
        if set(body) - _SEARCH[self.kind] or asked is None:
            return refused(400, "Error in the JQL Query: Expecting operator but got 'x'. (line 1, character 9)")
        label = re.sub(r"\\(.)", r"\1", asked[1])
        known = self.issues[: self.indexed]
        found = [one for one in known if label in one["fields"].get("labels", [])]
        shown = [{"id": one["id"], "key": one["key"], "self": one["self"], "fields": {}} for one in found]
        more = {"isLast": True} if self.kind == "cloud" else {"startAt": 0, "maxResults": 1, "total": len(shown)}
        return Answer(200, {"issues": shown[: body["maxResults"]], **more})

    def _created(self, body: Any, version: int) -> Answer:
        if set(body) - {"fields", "update", "transition", "historyMetadata", "properties"}:
            return refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        fields = body["fields"]
        if errors := self._wrong(fields, version):
            return Answer(400, {"errorMessages": [], "errors": errors})
        number = len(self.issues) + 1
        issue = {"id": str(10_000 + number), "key": f"OPS-{number}", "self": f"https://x/rest/api/{version}/issue/1"}
        self.issues.append({**issue, "fields": fields})
        return Answer(201, issue)

    def _wrong(self, fields: dict[str, Any], version: int) -> dict[str, str]:
        errors: dict[str, str] = {}
        if fields.get("project") not in ({"key": "OPS"}, {"id": "10000"}):
            errors["project"] = "valid project is required"
        if fields.get("issuetype") not in ({"name": "Bug"}, {"name": "Task"}, {"id": "10001"}):
            errors["issuetype"] = "Specify a valid issue type"
        summary = fields.get("summary") or ""
        if not summary:
            errors["summary"] = "You must specify a summary of the issue."
        elif "\n" in summary or "\r" in summary:
            errors["summary"] = "The summary is invalid because it contains newline characters."
        elif len(summary.encode("utf-16-le")) > 510:
            errors["summary"] = "Summary can't exceed 255 characters."
        if "description" in fields and (wrong := _wrong_text(fields["description"], version)):
            errors["description"] = wrong
        for label in fields.get("labels", []):
            if " " in label:
                errors["labels"] = f"The label '{label}' contains spaces which is invalid."
        for name in fields:
            if name not in _FIELDS or (name == "labels" and not self.labels_on_screen):
                errors[name] = f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
        return errors

    def _commented(self, key: str, body: Any, version: int) -> Answer:
        if key not in {one["key"] for one in self.issues}:
            return refused(404, "Issue does not exist or you do not have permission to see it.")
        if set(body) - {"body", "visibility", "properties"}:
            return refused(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        if wrong := _wrong_text(body["body"], version):
            return refused(400, comment=wrong)
        self.comments.append(body["body"])
        return Answer(201, {"id": str(len(self.comments)), "body": body["body"]})


def _wrong_text(value: Any, version: int) -> str:
    if version == 2:
        if not isinstance(value, str):
            return "Operation value must be a string"
        return "CONTENT_LIMIT_EXCEEDED" if len(value.encode("utf-16-le")) > 65_534 else ""
    if not isinstance(value, dict) or set(value) != {"type", "version", "content"} or value["type"] != "doc":
        return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    characters = 0
    for block in value["content"]:
        if set(block) != {"type", "content"} or block["type"] != "paragraph" or not block["content"]:
            return "INVALID_INPUT"
        for node in block["content"]:
            if node != {"type": "hardBreak"} and (set(node) != {"type", "text"} or not node["text"]):
                return "INVALID_INPUT"
            characters += len(node.get("text", "").encode("utf-16-le")) // 2
    return "CONTENT_LIMIT_EXCEEDED" if characters > 32_767 else ""
