"""Notion's "Create a page" as its reference describes it: it refuses what Notion refuses, in Notion's words.

Requests were compared once with what PyPI's notion-client 3.1.0 sends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from relay.testing.server import Answer, Recorded

DATA_SOURCE = "2f26ee68df304251aad48ddc420cba3d"
DATABASE = "d9824bdc84454327be8b5b47500af6ce"
PAGE = "598337872cf94fdf8782e53db20768a5"
_SCHEMA = {
    "title": "title",
    "Email": "email",
    "Rating": "number",
    "Tags": "multi_select",
    "Comment": "rich_text",
    "Stage": "status",
    "Kind": "select",
    "When": "date",
    "Site": "url",
    "Owner": "people",
    "Related": "relation",
}
_LISTS = ("title", "rich_text", "multi_select", "people", "relation")


def refused(status: int, code: str, message: str) -> Answer:
    body = {"object": "error", "status": status, "code": code, "message": message, "request_id": "9f9b"}
    return Answer(status, body)


class _InvalidError(Exception):
    pass


@dataclass
class FakeNotion:
    """`RecordingServer(default=FakeNotion().answer)`."""

    token: str = "ntn_s3cret"
    pages: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return refused(401, "unauthorized", "API token is invalid.")
        version = request.headers.get("notion-version", "")
        if not version:
            message = "Notion-Version header failed validation: Notion-Version header should be defined"
            return refused(400, "missing_version", f"{message}, instead was `undefined`.")
        if request.method == "GET" and request.target == "/v1/users/me":
            bot = {"owner": {"type": "workspace", "workspace": True}, "workspace_name": "Acme"}
            return Answer(200, {"object": "user", "id": "16d84278", "name": "Relay", "type": "bot", "bot": bot})
        if request.method != "POST" or request.target != "/v1/pages":
            return refused(400, "invalid_request_url", "Invalid request URL.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return refused(400, "invalid_json", "Error parsing JSON body.")
        if len(request.body) > 500_000:
            return refused(413, "validation_error", "body is too large")
        body = request.json()
        try:
            return self._created(body, version)
        except _InvalidError as error:
            return refused(400, "validation_error", f"body failed validation: {error}")

    def _created(self, body: Any, version: str) -> Answer:
        if set(body) - {"parent", "properties", "children", "icon", "cover"}:
            raise _InvalidError(f"body.{min(set(body))} should be not present")
        parent = body["parent"]
        kind = parent["type"]
        if set(parent) != {"type", kind} or (kind == "data_source_id" and version < "2025-09-03"):
            raise _InvalidError("body.parent should be a valid parent")
        there = {"data_source_id": DATA_SOURCE, "database_id": DATABASE, "page_id": PAGE}[kind]
        if parent[kind].replace("-", "") != there:
            message = f"Could not find {kind.removesuffix('_id')} with ID: {parent[kind]}. Make sure the relevant pages"
            return refused(404, "object_not_found", f"{message} and databases are shared with your integration.")
        if "properties" not in body:
            raise _InvalidError("body.properties should be defined, instead was `undefined`.")
        for name, value in body["properties"].items():
            if name not in _SCHEMA or (kind == "page_id" and name != "title"):
                return refused(400, "validation_error", f"{name} is not a property that exists.")
            _property(f"body.properties.{name}", _SCHEMA[name], value)
        for number, block in enumerate(body.get("children", [])):
            _rich(f"body.children[{number}].paragraph.rich_text", block["paragraph"]["rich_text"])
        if len(body.get("children", [])) > 100:
            raise _InvalidError(f"body.children.length should be ≤ `100`, instead was `{len(body['children'])}`.")
        page = {"object": "page", "id": f"page-{len(self.pages) + 1}", **body}
        self.pages.append(page)
        return Answer(200, page)


def _property(place: str, kind: str, value: Any) -> None:
    if set(value) != {kind}:
        raise _InvalidError(f"{place}.{kind} should be defined, instead was `undefined`.")
    inner = value[kind]
    if kind in _LISTS and (not isinstance(inner, list) or len(inner) > 100):
        raise _InvalidError(f"{place}.{kind} should be an array of at most 100")
    if kind in ("title", "rich_text"):
        _rich(f"{place}.{kind}", inner)
    if kind in ("select", "status") and set(inner) != {"name"}:
        raise _InvalidError(f"{place}.{kind} should be an object")
    if kind == "date" and not re.match(r"\d{4}-\d\d-\d\d", inner["start"]):
        raise _InvalidError(f"{place}.date.start should be a valid ISO 8601 date string")
    if kind in ("multi_select", "people", "relation"):
        key = "name" if kind == "multi_select" else "id"
        if any(not isinstance(one, dict) or set(one) != {key} for one in inner):
            raise _InvalidError(f"{place}.{kind}[0] should be an object")


def _rich(place: str, items: list[Any]) -> None:
    if len(items) > 100:
        raise _InvalidError(f"{place}.length should be ≤ `100`, instead was `{len(items)}`.")
    for number, item in enumerate(items):
        length = len(item["text"]["content"].encode("utf-16-le")) // 2
        if length > 2000:
            wrong = f"{place}[{number}].text.content.length should be ≤ `2000`, instead was `{length}`."
            raise _InvalidError(wrong)
