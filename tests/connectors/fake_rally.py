"""Rally's web service v2.0 as pyral 1.6.0 speaks to it: most mistakes are a 200 with Errors.

Its source was read for that: it sends a PUT with a session's key, where an API key and a POST do (Broadcom's pages).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from relay.testing.server import Answer, Recorded

_PREFIX = "/slm/webservice/v2.0/"
_ATTRIBUTES = {"Name", "Description", "Project", "Severity", "Owner", "c_Source"}
_TYPES = {"defect": "Defect", "hierarchicalrequirement": "HierarchicalRequirement"}
_TYPES["portfolioitem/feature"] = "PortfolioItem/Feature"


def result(name: str, *errors: str, **more: Any) -> dict[str, Any]:
    return {name: {"_rallyAPIMajor": "2", "_rallyAPIMinor": "0", "Errors": list(errors), "Warnings": [], **more}}


@dataclass
class FakeRally:
    """`RecordingServer(default=FakeRally().answer)`."""

    api_key: str = "_s3cret/key"
    project: str = "/project/123"
    artifacts: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        if "cookie" in request.headers or request.headers.get("zsessionid") != self.api_key:
            return Answer(401, result("OperationResult", "Not authorized to perform action: Invalid key"))
        path = urlsplit(request.target).path
        if request.method == "GET":
            return self._read(path.removeprefix(_PREFIX[:-1]))
        kind = path.removeprefix(_PREFIX).removesuffix("/create")
        if not path.startswith(_PREFIX) or not path.endswith("/create") or request.method not in ("POST", "PUT"):
            return Answer(404, result("OperationResult", "Cannot find the resource"))
        if kind not in _TYPES:
            return Answer(200, result("OperationResult", f"Not a valid type: {kind}"))
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return Answer(200, result("OperationResult", "Cannot parse input stream due to I/O error"))
        if dict(request.query).get("workspace", "/workspace/1") != "/workspace/1":
            return Answer(200, result("OperationResult", "Could not read: workspace does not exist"))
        return self._created(_TYPES[kind], request.json())

    def _read(self, path: str) -> Answer:
        if path == "/user":
            return Answer(200, {"User": {"_ref": "https://rally/user/1", "Errors": [], "UserName": "ana@example.com"}})
        if path == self.project:
            return Answer(200, {"Project": {"_ref": f"https://rally{path}", "Errors": [], "Name": "Portal"}})
        return Answer(200, result("OperationResult", "Cannot find object to read"))

    def _created(self, kind: str, body: Any) -> Answer:
        if not isinstance(body, dict) or [name.lower() for name in body] != [kind.lower()]:
            return Answer(200, result("CreateResult", f"Cannot parse object for type {kind}"))
        (artifact,) = body.values()
        for name in artifact:
            if name not in _ATTRIBUTES:
                wrong = f'Could not set value for {kind}: The attribute "{name}" can not be set.'
                return Answer(200, result("CreateResult", wrong))
        if not artifact.get("Name"):
            return Answer(200, result("CreateResult", f"Validation error: {kind}.Name should not be null"))
        if artifact.get("Project", self.project) != self.project:
            return Answer(200, result("CreateResult", "Could not read: could not read referenced object Project"))
        self.artifacts.append(artifact)
        number = len(self.artifacts)
        made = {"_ref": f"https://rally/{kind.lower()}/{number}", "ObjectID": number, "FormattedID": f"DE{number}"}
        return Answer(200, result("CreateResult", Object={**made, **artifact}))
