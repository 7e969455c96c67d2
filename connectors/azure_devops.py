"""Azure DevOps (Team Foundation Server before): work items.

https://learn.microsoft.com/en-us/rest/api/azure/devops/wit/work-items/create
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, field_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.epoch import until
from connectors.common.vendor_words import HeaderSecret, as_html, one_line
from connectors.guides.azure_devops import GUIDE
from relay.connector import Call, Check, Context, Example, Fields, Limit, Outgoing, secrets_in
from relay.errors import DeliveryError, PermanentError
from relay.http import HOLD_ON, Redactor, Sorting
from relay.model import Reply

_TITLE_CHARACTERS = 255
_FIELD = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)+", re.ASCII)
_PATCH = "application/json-patch+json"
_SIGN_IN = (
    "the personal access token isn't taken (the sign-in page came back): make a new one that may write work items"
)


class AzureDevOpsConfig(ApiConfig):
    base_url: str = Field(
        "https://dev.azure.com",
        description="Where it lives; for Azure DevOps Server, such as https://tfs.example.com/tfs.",
    )
    organization: str = Field(description="The organization; on a server, the collection.", examples=["contoso"])
    project: str = Field(description="Name or id of the project that gets the work items.", examples=["Fabrikam"])
    pat: HeaderSecret = Field(description="A personal access token with the scope Work Items (read & write).")
    api_version: str = Field(
        "7.1",
        pattern=r"^\d+\.\d+(-preview(\.\d+)?)?$",
        description="Version of the API; older servers know older ones.",
    )
    limit: Limit = Field(
        Limit(concurrency=4),
        description="Concurrency and rate of the connection's lane. Microsoft limits no number of requests but what "
        "they cost, over five minutes, and delays before it refuses: hence few at once.",
    )

    @field_validator("organization", "project")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not value.strip() or value.strip(".") == "" or re.search(r"[/\\\x00-\x1f\x7f]", value):
            raise ValueError("a name, not an address: without slashes and control characters")
        return value


class WorkItemFields(Fields):
    type: str = Field("Task", description="Type of the work item, as the project's process names it.", examples=["Bug"])
    title: str = Field(description="Its title, at most 255 characters; line breaks become spaces.")
    description: str | None = Field(
        None,
        description="Its description as plain text: markup in it is shown, not obeyed. A bug shows `repro` instead.",
    )
    repro: str | None = Field(None, description="Steps to reproduce, as plain text: what a bug shows as description.")
    tags: list[str] = Field([], description="Its tags.")
    parent: int | None = Field(None, ge=1, description="Number of the work item that it belongs under.")
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields by reference name, sent as they are; null ones are left out. Text fields take HTML.",
        examples=[{"System.AreaPath": "Fabrikam\\Web", "Microsoft.VSTS.Common.Priority": 2}],
    )
    tag_delivery: bool = Field(
        False,
        description="Tag it with the delivery's id and look for that tag before it is created, so that a retry after a "
        "lost answer makes no second one. One more request each. (Not verified with Microsoft's own service.)",
    )
    bypass_rules: bool = Field(False, description="Don't apply the type's rules; the token's owner needs that right.")
    notify: bool = Field(True, description="Let Azure DevOps send its notifications.")
    validate_only: bool = Field(False, description="Check it and create nothing.")

    @field_validator("type")
    @classmethod
    def _is_a_type(cls, value: str) -> str:
        name = value.removeprefix("$")
        if not name.strip() or re.search(r"[/\\\x00-\x1f\x7f]", name):
            raise ValueError("the name of a work item type, such as Bug or User Story")
        return name

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, value: list[str]) -> list[str]:
        if any(re.search(r"[;,\x00-\x1f\x7f]", tag) or len(tag) > 400 for tag in value):
            raise ValueError("a tag has at most 400 characters and no comma, semicolon or line break")
        return value


@dataclass(frozen=True, slots=True)
class WorkItemRequest(ApiRequest):
    """tag: what tells this delivery's work item from others; "" where it isn't tagged."""

    tag: str = ""


class CreateWorkItem(ApiAction[AzureDevOpsConfig, WorkItemFields]):
    name = "create_work_item"
    summary = (
        "Create a work item. Azure DevOps knows no idempotency key: set `tag_delivery`, or let `on_unknown` decide "
        "whether to repeat."
    )
    With = WorkItemFields
    examples = (
        Example(
            "A bug",
            {
                "type": "Bug",
                "title": "Checkout shows an empty page",
                "repro": "Reported by ana@example.com",
                "tags": ["feedback"],
                "fields": {"Microsoft.VSTS.Common.Priority": 2},
            },
        ),
        Example("A story below a feature", {"type": "User Story", "title": "Export as CSV", "parent": 4711}),
    )

    def prepare(self, fields: WorkItemFields, call: Call) -> WorkItemRequest:
        config = self.config
        query: dict[str, Any] = {"api-version": config.api_version}
        if fields.validate_only:
            query["validateOnly"] = True
        if fields.bypass_rules:
            query["bypassRules"] = True
        if not fields.notify:
            query["suppressNotifications"] = True
        return WorkItemRequest(
            method="POST",
            base_url=config.base_url,
            # The dollar is part of the route and must not be quoted; the type must be.
            path=f"{place(self.config)}/_apis/wit/workitems/${quote(fields.type, safe='')}",
            kind="json",
            body=list(self._patch(fields, call)),
            query=query,
            content_type=_PATCH,
            tag=call.delivery_id if fields.tag_delivery and not fields.validate_only else "",
        )

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, WorkItemRequest)
        assert isinstance(self.connection, AzureDevOps)
        if not outgoing.tag:
            return await self.connection.request(outgoing, call)
        clock = asyncio.get_running_loop().time
        end = clock() + call.timeout.total_seconds()
        # On first attempts as well: a replay is one, and its work item may be there.
        searched = await self.connection.request(self._search(outgoing.tag), call, idempotent=True)
        found = searched.body.get("workItems") if isinstance(searched.body, dict) else None
        if isinstance(found, list) and found and isinstance(found[0], dict):
            item = found[0]
            return replace(searched, body=item, summary=f"work item {item.get('id')} is there from an earlier attempt")
        rest = timedelta(seconds=max(end - clock(), 0.001))
        return await self.connection.request(outgoing, replace(call, timeout=rest), idempotent=True)

    def _search(self, tag: str) -> ApiRequest:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/wit/wiql/query-by-wiql"""
        # WIQL doubles an apostrophe inside a text.
        quoted = tag.replace("'", "''")
        where = f"[System.TeamProject] = @project AND [System.Tags] CONTAINS '{quoted}'"
        return ApiRequest(
            method="POST",
            base_url=self.config.base_url,
            path=f"{place(self.config)}/_apis/wit/wiql",
            kind="json",
            body={"query": f"SELECT [System.Id] FROM WorkItems WHERE {where}"},  # noqa: S608 - quoted above
            query={"api-version": self.config.api_version},
        )

    def _patch(self, fields: WorkItemFields, call: Call) -> Iterator[dict[str, Any]]:
        own = {
            "System.Title": _title(fields.title),
            "System.Description": None if fields.description is None else as_html(fields.description),
            "Microsoft.VSTS.TCM.ReproSteps": None if fields.repro is None else as_html(fields.repro),
            "System.Tags": "; ".join([*fields.tags, *([call.delivery_id] if fields.tag_delivery else [])]) or None,
        }
        given = {name.lower() for name, value in own.items() if value is not None}
        for name, value in fields.fields.items():
            if not _FIELD.fullmatch(name):
                raise PermanentError(
                    f"{name!r} isn't the reference name of a field; they look like System.AreaPath",
                    cause="azure devops field name",
                )
            if name.lower() in given:
                raise PermanentError(
                    f"`fields` has {name}, which another key of the step sets: leave one out", cause="field given twice"
                )
            if isinstance(value, (Mapping, list, tuple)):
                raise PermanentError(
                    f"the field {name} must be one value, not a list or a mapping", cause="azure devops field value"
                )
        for name, value in {**own, **fields.fields}.items():
            if value is not None:
                plain = value.isoformat() if hasattr(value, "isoformat") else value
                yield {"op": "add", "path": f"/fields/{name}", "value": plain}
        if fields.parent is not None:
            base = f"{self.config.base_url.rstrip('/')}/{quote(self.config.organization, safe='')}"
            link = {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": f"{base}/_apis/wit/workItems/{fields.parent}"}
            yield {"op": "add", "path": "/relations/-", "value": link}


def place(config: AzureDevOpsConfig) -> str:
    return f"/{quote(config.organization, safe='')}/{quote(config.project, safe='')}"


def _title(text: str) -> str:
    title = " ".join(text.split())
    if not title:
        raise PermanentError("the title is empty", cause="empty title")
    if len(title) > _TITLE_CHARACTERS:
        raise PermanentError(
            f"the title has {len(title)} characters and may have {_TITLE_CHARACTERS}: use `| truncate(255)`",
            cause="title too long",
        )
    return title


class AzureDevOps(ApiConnector[AzureDevOpsConfig]):
    """https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits"""

    name = "azure_devops"
    summary = "Work items in Azure DevOps or on a Team Foundation Server."
    guide = GUIDE
    Config = AzureDevOpsConfig
    actions = (CreateWorkItem,)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "azure_devops",
        "organization": "contoso",
        "project": "Fabrikam",
        "pat": "${AZURE_PAT}",
    }
    hold_on = HOLD_ON | {403}

    def __init__(self, config: AzureDevOpsConfig, context: Context) -> None:
        super().__init__(config, context)
        pair = b64encode(f":{config.pat.get_secret_value()}".encode()).decode()
        self._headers = {"authorization": f"Basic {pair}", "accept": "application/json"}
        self.sorting = Sorting(self.retry_on, self.hold_on, Redactor([*secrets_in(config), pair]))

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return self._headers

    async def check(self, timeout: timedelta) -> Check:
        """Reads the project's types of work items: all that it takes is the scope that writing them includes."""
        config = self.config
        path, query = f"{place(config)}/_apis/wit/workitemtypes", {"api-version": config.api_version}
        said = await self.ask(ApiRequest("GET", config.base_url, path, query=query), timeout)
        listed = said.body.get("value") if isinstance(said.body, dict) else None
        if not isinstance(listed, list):
            raise said.permanent("that isn't the project's types of work items; check base_url", "not the api")
        types = ", ".join(str(one.get("name")) for one in listed if isinstance(one, dict))
        found = one_line(f"the token sees {config.organization}/{config.project}, with {types}", self.sorting.redact)
        return Check(f"{found}; whether it may write wasn't tried")

    async def rehearse(self, do: str | None, outgoing: Outgoing, call: Call) -> tuple[str, ...]:
        """By validateOnly: the type's rules are applied and no work item is made."""
        assert isinstance(outgoing, WorkItemRequest)
        asked = replace(outgoing, query={**outgoing.query, "validateOnly": True}, tag="")
        try:
            await self.request(asked, call, idempotent=True)
        except PermanentError as error:
            return (error.message,)
        return ()

    def judge(self, said: Said) -> DeliveryError | None:
        status, body = said.status, said.body
        # A token that isn't taken is answered with the way to the sign-in page: 302, or 203 or 200 and HTML.
        location = (said.header("location") or "").lower()
        html = "html" in (said.header("content-type") or "").lower()
        if (
            status == 203
            or (status in (302, 303) and ("signin" in location or "login" in location))
            or (200 <= status < 300 and html)
        ):
            return said.hold(_SIGN_IN, "azure devops sign-in")
        if 200 <= status < 300:
            # Throttling shows first as a late 200 with a Retry-After: it is a delivery all the same.
            if said.received.cut or (isinstance(body, dict) and body.keys() & {"id", "fields", "workItems"}):
                return None
            return said.unknown("the answer names no work item; look for it before it is sent again", "no work item")
        error = body if isinstance(body, dict) else {}
        kind = str(error.get("typeKey") or "")
        words = one_line(error.get("message") or f"http {status}", self.sorting.redact)
        if status == 429:
            return said.retry(f"too many or too costly requests: {words}", "http 429", until(said, "x-ratelimit-reset"))
        if status in (401, 403) and error:
            return said.hold(f"{words}; check the token, its scope and its owner's rights", kind or f"http {status}")
        if kind.startswith("ProjectDoesNotExist"):
            return said.hold(f"{words}; check the connection's project, and that the token may see it", kind)
        if kind and 400 <= status < 500 and status not in self.retry_on and status != 410:
            return said.permanent(words, kind)
        return None
