"""Jira, in the Cloud or as Data Center: issues and comments.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from connectors.common.api import ApiAction, ApiConnector, ApiRequest, Said
from connectors.common.vendor_words import one_line
from connectors.guides.jira import GUIDE
from connectors.jira.config import CommentFields, CreateFields, JiraConfig
from connectors.jira.errors import meaning
from connectors.jira.text import long_text, one_line_summary
from relay.connector import Call, Check, Context, Example, secrets_in
from relay.errors import DeliveryError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import HOLD_ON, Redactor, Sorting
from relay.model import JSON, Reply

#: An issue is found by its label some seconds after it is there; a retry before that would make a second one.
_UNTIL_FOUND = timedelta(minutes=1)

_ACCEPT = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class IssueRequest(ApiRequest):
    """label: what tells this delivery's issue from others; "" where it isn't marked."""

    label: str = ""


class CreateIssue(ApiAction[JiraConfig, CreateFields]):
    name = "create_issue"
    summary = (
        "Create an issue. Jira knows no idempotency key: by a label with the delivery's id, a retry finds what an "
        "earlier attempt made."
    )
    With = CreateFields
    examples = (
        Example(
            "A bug",
            {
                "project": "OPS",
                "issue_type": "Bug",
                "summary": "Checkout shows an empty page",
                "description": "Reported by ana@example.com.\n\nIt began on Monday.",
                "labels": ["feedback"],
                "fields": {"priority": {"name": "High"}},
            },
        ),
        Example("A task", {"project": "OPS", "summary": "Call Ana back"}),
    )

    def prepare(self, fields: CreateFields, call: Call) -> IssueRequest:
        config = self.config
        label = delivery_label(call) if config.mark == "label" else ""
        issue: dict[str, Any] = {
            "project": {"id" if fields.project.isdigit() else "key": fields.project},
            "issuetype": {"id" if fields.issue_type.isdigit() else "name": fields.issue_type},
            "summary": one_line_summary(fields.summary),
        }
        if fields.description not in (None, ""):
            assert fields.description is not None
            issue["description"] = long_text(
                fields.description, config.api_version, "description", wiki=fields.wiki
            )  # fmt: skip
        if labels := [*fields.labels, *([label] if label else [])]:
            issue["labels"] = labels
        for name, value in fields.fields.items():
            if value is not None:
                issue[name] = value.isoformat() if hasattr(value, "isoformat") else value
        return IssueRequest(
            "POST", config.base_url, f"{config.api}/issue", "json", {"fields": issue}, headers=_ACCEPT, label=label
        )  # fmt: skip

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, IssueRequest)
        assert isinstance(self.connection, Jira)
        if not outgoing.label:
            return await self.connection.request(outgoing, call)
        clock = asyncio.get_running_loop().time
        end = clock() + call.timeout.total_seconds()
        if call.attempt > 1 or self.config.look == "always":
            found = await self._found(outgoing.label, call)
            if found is not None:
                return found
        rest = replace(call, timeout=timedelta(seconds=max(end - clock(), 0.001)))
        try:
            return await self.connection.request(outgoing, rest)
        except UnknownOutcomeError as error:
            raise _looks_first(error) from None
        except RetryableError as error:
            if error.status is not None and error.status >= 500 and error.retry_after is None:
                raise _looks_first(error) from None
            raise

    async def _found(self, label: str, call: Call) -> Reply | None:
        """The issue that an earlier attempt of this delivery made."""
        assert isinstance(self.connection, Jira)
        try:
            searched = await self.connection.request(search(self.config, label), call, idempotent=True)
        except UnknownOutcomeError as error:
            raise _looks_first(error) from None
        except PermanentError as error:
            raise PermanentError(
                f"the search for what an earlier attempt made is refused, so nothing was created: {error.message}",
                status=error.status, cause="jira search refused", received=error.received,
            ) from None  # fmt: skip
        issues = searched.body.get("issues") if isinstance(searched.body, dict) else None
        if not isinstance(issues, list) or not all(isinstance(one, dict) and one.get("key") for one in issues):
            message = "the search for what an earlier attempt made gave no list of issues, so nothing was created"
            raise RetryableError(message, status=searched.status, cause="jira search", received=dict(searched.received))
        if not issues:
            return None
        issue: dict[str, JSON] = {name: issues[0].get(name) for name in ("id", "key", "self")}
        return replace(searched, body=issue, summary=f"{issue['key']} is there from an earlier attempt")


def _looks_first(error: DeliveryError) -> RetryableError:
    """Safe to try again, but not at once: the next attempt looks for this one's issue."""
    return RetryableError(
        f"{error.message}; the next attempt looks for its label before it creates anything",
        retry_after=_UNTIL_FOUND, status=error.status, cause=error.cause, received=error.received,
    )  # fmt: skip


def delivery_label(call: Call) -> str:
    """The key and not the id: where a delivered one is replayed on purpose, another issue is wanted."""
    return f"relay-{re.sub(r'[^A-Za-z0-9_.-]', '_', call.idempotency_key)}"[:255]


def search(config: JiraConfig, label: str) -> ApiRequest:
    """The Cloud has taken /search away from both versions; Data Center has nothing else.

    https://developer.atlassian.com/changelog/#CHANGE-2046
    """
    host = urlsplit(config.base_url).hostname or ""
    cloud = config.api_version == 3 or host == "api.atlassian.com" or host.endswith(".atlassian.net")
    quoted = label.replace("\\", "\\\\").replace('"', '\\"')
    body = {"jql": f'labels = "{quoted}"', "maxResults": 1, "fields": ["created"]}
    path = f"{config.api}/search{'/jql' if cloud else ''}"
    return ApiRequest("POST", config.base_url, path, "json", body, headers=_ACCEPT)


class AddComment(ApiAction[JiraConfig, CommentFields]):
    name = "comment"
    summary = "Add a comment to an issue. After a lost answer it may be there: the step's `on_unknown` decides."
    With = CommentFields
    examples = (Example("A comment", {"issue": "OPS-12", "body": "Reported again by ben@example.com."}),)

    def prepare(self, fields: CommentFields, call: Call) -> ApiRequest:
        config = self.config
        body = {"body": long_text(fields.body, config.api_version, "comment", wiki=fields.wiki)}
        path = f"{config.api}/issue/{fields.issue}/comment"
        return ApiRequest("POST", config.base_url, path, "json", body, headers=_ACCEPT)


class Jira(ApiConnector[JiraConfig]):
    """https://developer.atlassian.com/cloud/jira/platform/rate-limiting/"""

    name = "jira"
    summary = "Issues and comments in Jira, in the Cloud or on Data Center."
    Config = JiraConfig
    actions = (CreateIssue, AddComment)
    guide = GUIDE
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "jira",
        "base_url": "https://acme.atlassian.net",
        "email": "relay@example.com",
        "api_token": "${JIRA_TOKEN}",
    }
    hold_on = HOLD_ON | {403}

    def __init__(self, config: JiraConfig, context: Context) -> None:
        super().__init__(config, context)
        if config.token is not None:
            proof = f"Bearer {config.token.get_secret_value()}"
        else:
            assert config.api_token is not None
            pair = f"{config.email}:{config.api_token.get_secret_value()}"
            proof = f"Basic {b64encode(pair.encode()).decode()}"
        self._headers = {"authorization": proof}
        self.sorting = Sorting(
            self.retry_on, self.hold_on, Redactor([*secrets_in(config), proof.partition(" ")[2]])
        )  # fmt: skip

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return self._headers

    def judge(self, said: Said) -> DeliveryError | None:
        return meaning(said, self.sorting.redact)

    async def check(self, timeout: timedelta) -> Check:
        """https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-myself/"""
        config = self.config
        asked = ApiRequest("GET", config.base_url, f"{config.api}/myself", headers=_ACCEPT)
        said = await self.ask(asked, timeout)
        body = said.body if isinstance(said.body, dict) else {}
        if not body.keys() & {"accountId", "key", "name"}:
            raise said.permanent("it doesn't say whose token it is; check base_url", "not the api")
        who = one_line(body.get("displayName") or body.get("name") or "an account without a name", self.sorting.redact)
        missing = ("the account is deactivated: activate it, or use another",) if body.get("active") is False else ()
        return Check(f"Jira at {urlsplit(config.base_url).hostname} answers as {who}", missing)
