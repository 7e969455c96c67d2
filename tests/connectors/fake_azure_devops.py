"""Azure DevOps' "Work Items - Create" as its pages describe it: it refuses what the service refuses.

Error bodies are as issues on Microsoft's own repositories show them.

The body, its content type and the query's names are those of PyPI's azure-devops 7.1.0b4, compared once by hand.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from relay.testing.server import Answer, Recorded

SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head></html>"
_QUERY = {"api-version", "validateOnly", "bypassRules", "suppressNotifications", "$expand"}
_TYPES = {"Bug", "Task", "User Story", "Größe & Co"}
_WIQL = re.compile(
    r"SELECT \[System\.Id\] FROM WorkItems WHERE \[System\.TeamProject\] = @project AND "
    r"\[System\.Tags\] CONTAINS '([^']*)'"
)
_FIELDS = {
    "System.Title",
    "System.Description",
    "System.Tags",
    "System.AreaPath",
    "Microsoft.VSTS.TCM.ReproSteps",
    "Microsoft.VSTS.Common.Priority",
    "Microsoft.VSTS.Scheduling.DueDate",
}


def refused(status: int, key: str, message: str) -> Answer:
    body = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"Microsoft.TeamFoundation.WorkItemTracking.Server.{key}, Microsoft.TeamFoundation",
        "typeKey": key,
        "errorCode": 0,
        "eventId": 3200,
    }
    return Answer(status, body, {"content-type": "application/json; charset=utf-8; api-version=7.1"})


@dataclass
class FakeAzureDevOps:
    """`RecordingServer(default=FakeAzureDevOps().answer)`."""

    pat: str = "s3cret-p/at"
    organization: str = "contoso"
    project: str = "Fabrikam Fiber"
    items: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(pair).decode() != f":{self.pat}":
            return Answer(203, SIGN_IN_PAGE, {"content-type": "text/html; charset=utf-8"})
        raw = urlsplit(request.target).path.split("/")
        if request.method == "POST" and raw[3:] == ["_apis", "wit", "wiql"]:
            return self._found(request.json())
        if request.method == "GET" and raw[3:] == ["_apis", "wit", "workitemtypes"]:
            if [unquote(part) for part in raw[1:3]] != [self.organization, self.project]:
                message = f"TF200016: The following project does not exist: {unquote(raw[2])}."
                return refused(404, "ProjectDoesNotExistWithNameException", message)
            assert dict(request.query) == {"api-version": "7.1"}
            return Answer(200, {"count": len(_TYPES), "value": [{"name": name} for name in sorted(_TYPES)]})
        if request.method != "POST" or len(raw) != 7 or raw[3:6] != ["_apis", "wit", "workitems"]:
            return refused(404, "HttpException", "The resource cannot be found.")
        organization, project, kind = unquote(raw[1]), unquote(raw[2]), raw[6]
        if organization != self.organization or project != self.project:
            message = f"TF200016: The following project does not exist: {project}. Verify that the name is correct."
            return refused(404, "ProjectDoesNotExistWithNameException", message)
        if not kind.startswith("$"):
            return refused(405, "HttpException", "The requested resource does not support http method 'POST'.")
        if unquote(kind[1:]) not in _TYPES:
            message = f"VS402323: Work item type {unquote(kind[1:])} does not exist in project {project}."
            return refused(404, "WorkItemTypeNotFoundException", message)
        query = dict(parse_qsl(urlsplit(request.target).query))
        if "api-version" not in query:
            return refused(400, "VssVersionNotSpecifiedException", "No api-version was supplied for the request.")
        assert set(query) <= _QUERY, query
        if request.headers.get("content-type", "").partition(";")[0] != "application/json-patch+json":
            message = 'The request indicated a Content-Type of "application/json" for method type "POST" which is not'
            return refused(415, "VssRequestContentTypeNotSupportedException", f"{message} supported.")
        return self._created(request.json(), dry=query.get("validateOnly") == "true")

    def _found(self, body: Any) -> Answer:
        asked = _WIQL.fullmatch(body["query"])
        if set(body) != {"query"} or asked is None:
            return refused(400, "QuerySyntaxException", "TF51006: The query statement is missing a FROM clause.")
        tags = {item["id"]: item["fields"].get("System.Tags", "").split("; ") for item in self.items}
        found = [{"id": number, "url": f"https://x/{number}"} for number, has in tags.items() if asked[1] in has]
        return Answer(200, {"queryType": "flat", "queryResultType": "workItem", "workItems": found})

    def _created(self, patch: Any, *, dry: bool) -> Answer:
        if not isinstance(patch, list) or not patch:
            return refused(400, "VssPropertyValidationException", "You must pass a valid patch document in the body.")
        item: dict[str, Any] = {"rev": 1, "fields": {}, "relations": []}
        for step in patch:
            if set(step) - {"op", "path", "value", "from"} or step["op"] != "add":
                return refused(400, "VssPropertyValidationException", "You must pass a valid patch document.")
            if step["path"] == "/relations/-":
                item["relations"].append(step["value"])
                continue
            name = step["path"].removeprefix("/fields/")
            if name not in _FIELDS:
                message = f"TF51535: Cannot find field {name}."
                return refused(400, "WorkItemTrackingFieldDefinitionNotFoundException", message)
            item["fields"][name] = step["value"]
        title = item["fields"].get("System.Title", "")
        if not title or len(title) > 255 or "\n" in title:
            message = "TF401320: Rule Error for field Title. Error code: Required, HasValues, InvalidEmpty."
            return refused(400, "RuleValidationException", message)
        if not dry:
            item["id"] = len(self.items) + 1
            self.items.append(item)
        return Answer(200, item, {"content-type": "application/json; charset=utf-8; api-version=7.1"})
