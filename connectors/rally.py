"""Rally (Agile Central): create artifacts through its web service, which answers 200 to most mistakes.

https://rally1.rallydev.com/slm/doc/webservice
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.vendor_words import HeaderSecret, as_html, one_line
from connectors.guides.rally import GUIDE
from relay.connector import Call, Check, Example, Fields, Limit
from relay.errors import DeliveryError, PermanentError

_NAME_CHARACTERS = 256
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]*(/[A-Za-z][A-Za-z0-9_]*)?", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_REF = re.compile(r"(https://[^/\s]+/slm/webservice/v2\.0)?/[a-z]+(/[a-z0-9_]+)?/[0-9a-f-]+", re.ASCII | re.IGNORECASE)
#: What people call it, and what the web service does.
_TYPES = {"userstory": "HierarchicalRequirement", "story": "HierarchicalRequirement"}
#: At the start only: what comes after it may quote what was sent.
_UNAUTHORIZED = re.compile(r"\s*(not authorized|not authenticated|invalid key|authentication)", re.IGNORECASE)
_PASSING = re.compile(r"\s*(concurrency ?conflict|an unexpected error|timed? ?out)", re.IGNORECASE)


def _ref(kind: str, value: str | int | None) -> str | None:
    """`/project/123` of a number, a number in text, or a reference. Raises ValueError."""
    if value is None:
        return None
    text = str(value).strip()
    if text.isascii() and text.isdigit():
        return f"/{kind}/{text}"
    if not _REF.fullmatch(text):
        raise ValueError(f"the ObjectID of a {kind}, or a reference such as /{kind}/12345")
    return text


class RallyConfig(ApiConfig):
    base_url: str = Field("https://rally1.rallydev.com", description="Where Rally lives.")
    api_key: HeaderSecret = Field(description="An API key with full access, made under rally1.rallydev.com/login.")
    workspace: str | int | None = Field(
        None, description="ObjectID or reference of the workspace; the key owner's default where left out."
    )
    project: str | int | None = Field(
        None, description="ObjectID or reference of the project that artifacts go to where the step names none."
    )
    limit: Limit = Field(
        Limit(concurrency=4),
        description="Concurrency and rate of the connection's lane. Rally limits requests at once; how many is not "
        "verified, so few.",
    )

    @field_validator("workspace")
    @classmethod
    def _is_a_workspace(cls, value: str | int | None) -> str | None:
        return _ref("workspace", value)

    @field_validator("project")
    @classmethod
    def _is_a_project(cls, value: str | int | None) -> str | None:
        return _ref("project", value)


class ArtifactFields(Fields):
    type: str = Field(
        "Defect",
        description="Type of the artifact, as in Rally's web service: Defect, Task, PortfolioItem/Feature; UserStory "
        "is sent as HierarchicalRequirement.",
        examples=["Defect"],
    )
    name: str = Field(
        description="Its name, at most 256 characters (that limit is not verified); line breaks become spaces."
    )
    description: str | None = Field(
        None, description="Its description as plain text: markup in it is shown, not obeyed."
    )
    project: str | int | None = Field(None, description="ObjectID or reference of its project.")
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Other attributes, sent as they are; null ones are left out. Custom ones start with c_.",
        examples=[{"Severity": "Major Problem", "c_Source": "chat"}],
    )

    @field_validator("type")
    @classmethod
    def _is_a_type(cls, value: str) -> str:
        if not _TYPE.fullmatch(value):
            raise ValueError("a type of Rally's web service, such as Defect or PortfolioItem/Feature")
        return _TYPES.get(value.lower(), value)

    @field_validator("project")
    @classmethod
    def _is_a_project(cls, value: str | int | None) -> str | None:
        return _ref("project", value)


class Create(ApiAction[RallyConfig, ArtifactFields]):
    name = "create"
    summary = "Create an artifact. Rally knows no idempotency key: whether to repeat is up to `on_unknown`."
    With = ArtifactFields
    examples = (
        Example(
            "A defect",
            {
                "type": "Defect",
                "name": "Checkout shows an empty page",
                "description": "Reported by ana@example.com",
                "project": 12345678910,
                "fields": {"Severity": "Major Problem"},
            },
        ),
        Example("A user story", {"type": "UserStory", "name": "Export as CSV"}),
    )

    def prepare(self, fields: ArtifactFields, call: Call) -> ApiRequest:
        config = self.config
        own = {
            "Name": _name(fields.name),
            "Description": None if fields.description is None else as_html(fields.description),
            "Project": fields.project or config.project,
        }
        taken = {name.lower() for name, value in own.items() if value is not None}
        for name in fields.fields:
            if not _ATTRIBUTE.fullmatch(name):
                raise PermanentError(f"{name!r} can't be the name of an attribute", cause="rally attribute name")
            if name.lower() in taken:
                raise PermanentError(
                    f"`fields` has {name}, which another key of the step or the connection sets: leave one out",
                    cause="field given twice",
                )
        artifact = {name: value for name, value in {**own, **fields.fields}.items() if value is not None}
        return ApiRequest(
            # PUT creates as well, but whoever repeats a PUT after a lost answer makes a second artifact.
            method="POST",
            base_url=config.base_url,
            path=f"/slm/webservice/v2.0/{fields.type.lower()}/create",
            kind="json",
            body={fields.type: artifact},
            query={"workspace": config.workspace},
            hidden=("zsessionid",),
        )


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise PermanentError("the name is empty", cause="empty name")
    if len(name) > _NAME_CHARACTERS:
        raise PermanentError(
            f"the name has {len(name)} characters and may have {_NAME_CHARACTERS}: use `| truncate(256)`",
            cause="name too long",
        )
    return name


class Rally(ApiConnector[RallyConfig]):
    name = "rally"
    summary = "Defects, user stories and other artifacts in Rally (Agile Central)."
    guide = GUIDE
    Config = RallyConfig
    actions = (Create,)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "rally",
        "api_key": "${RALLY_API_KEY}",
        "project": 12345678910,
    }

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {"zsessionid": self.config.api_key.get_secret_value(), "accept": "application/json"}

    async def check(self, timeout: timedelta) -> Check:
        """Whose key it is, and whether they see the connection's project."""
        said = await self._read("/user", "UserName", timeout)
        user = said.body.get("User") if isinstance(said.body, dict) else None
        if not isinstance(user, dict):
            raise said.permanent("it doesn't say whose key it is; check base_url", "not the api")
        who = one_line(user.get("UserName") or user.get("_refObjectName") or "?", self.sorting.redact)
        found = f"Rally takes the key of {who}"
        missing: tuple[str, ...] = ()
        project = self.config.project
        if project is not None:
            path = "/" + "/".join(str(project).split("/")[-2:])
            try:
                seen = await self._read(path, "Name", timeout)
                name = seen.body.get("Project") if isinstance(seen.body, dict) else None
                name = name.get("Name") if isinstance(name, dict) else None
                found += f", who sees the project {one_line(name or path, self.sorting.redact)}"
            except PermanentError:
                missing = (f"there is no project {path}, or {who} doesn't see it: check `project`, and their rights",)
        return Check(found, missing)

    async def _read(self, path: str, fetch: str, timeout: timedelta) -> Said:
        asked = ApiRequest(
            "GET",
            self.config.base_url,
            f"/slm/webservice/v2.0{path}",
            query={"fetch": fetch, "workspace": self.config.workspace},
            hidden=("zsessionid",),
        )
        return await self.ask(asked, timeout)

    def judge(self, said: Said) -> DeliveryError | None:
        body = said.body if isinstance(said.body, dict) else {}
        result = body.get("CreateResult") or body.get("OperationResult")
        result = result if isinstance(result, dict) else {}
        errors = result.get("Errors") or []
        if errors:
            return self._refused(said, [str(error) for error in (errors if isinstance(errors, list) else [errors])])
        if not 200 <= said.status < 300 or said.received.cut:
            return None
        made = body.get("CreateResult")
        if isinstance(made, dict) and isinstance(made.get("Object"), dict) and made["Object"].get("_ref"):
            return None
        return said.unknown("the answer names no artifact; look for it before it is sent again", "no artifact")

    def _refused(self, said: Said, errors: list[str]) -> DeliveryError | None:
        """An answer with Errors inside, whatever its status: nothing was created."""
        words = one_line("; ".join(errors), self.sorting.redact)
        if said.status == 401 or any(_UNAUTHORIZED.match(error) for error in errors):
            return said.hold(f"{words}; check that the API key is valid and not read-only", "rally not authorized")
        if said.status in self.retry_on or said.status >= 500:
            return said.retry(words, f"http {said.status}")
        if any(_PASSING.match(error) for error in errors):
            return said.retry(words, "rally passing error")
        # `Validation error: Defect.Name should not be null`: what comes before the colon groups alike failures.
        kind = one_line(errors[0].partition(":")[0], self.sorting.redact)
        return said.permanent(words, f"rally {kind.lower()}" if ":" in errors[0] and len(kind) < 60 else "rally error")
