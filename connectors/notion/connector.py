"""Notion: create pages.

https://developers.notion.com/reference/post-page, /reference/request-limits, /reference/status-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.vendor_words import HeaderSecret, one_line
from connectors.guides.notion import GUIDE
from connectors.notion.limits import check, rich_text
from relay.connector import Call, Check, Example, Fields, Limit
from relay.errors import DeliveryError, PermanentError
from relay.http import HOLD_ON, RETRY_ON

_PARENTS = ("data_source_id", "database_id", "page_id")
#: The first version that knows data sources, which have since then what databases had.
_DATA_SOURCES_SINCE = "2025-09-03"
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REMEDIES = {
    "unauthorized": "check the connection's token",
    "restricted_resource": "give the integration the capability to insert content",
    "object_not_found": "check the id, and add the integration to the page or database under ••• → Connections",
    "missing_version": "check the connection's version",
}


class NotionConfig(ApiConfig):
    base_url: str = Field("https://api.notion.com", description="Where Notion's API lives.")
    token: HeaderSecret = Field(description="The integration's token; the integration may insert content.")
    version: str = Field(
        _DATA_SOURCES_SINCE,
        pattern=r"^\d{4}-\d\d-\d\d$",
        description="Sent as Notion-Version. Before 2025-09-03 there is only `database_id`, and a database with "
        "several data sources takes no pages.",
    )
    limit: Limit = Field(
        Limit(rate="3/s"),
        description="Concurrency and rate of the connection's lane. Notion takes three requests a second on average.",
    )


class PageFields(Fields):
    data_source_id: str | None = Field(
        None, description="The data source (a database's table) that gets the page: ••• → Manage data sources."
    )
    database_id: str | None = Field(
        None, description="The database that gets the page, where the connection's version knows no data sources."
    )
    page_id: str | None = Field(None, description="The page that the new one goes below; it takes a title and no more.")
    title: str | None = Field(None, description="The page's title, whatever its property is called.")
    properties: dict[str, dict[str, Any] | None] = Field(
        default_factory=dict,
        description="Properties by name, each with its type; null ones are left out. Beside Notion's own form, a text "
        "does for title, rich_text, select, status and date, and a list of texts for multi_select, relation and "
        "people. A text over 2,000 characters is split.",
        examples=[{"Email": {"email": "ana@example.com"}, "Source": {"select": "chat"}}],
    )
    text: str | None = Field(
        None, description="The page's content as plain text; an empty line begins a new paragraph."
    )
    children: list[dict[str, Any]] = Field([], description="The page's content as Notion's blocks, at most 100.")

    @field_validator(*_PARENTS)
    @classmethod
    def _is_an_id(cls, value: str | None) -> str | None:
        if value is not None and not _ID.fullmatch(value):
            raise ValueError("an id has 32 hexadecimal digits, with or without dashes")
        return value

    @model_validator(mode="after")
    def _one_parent(self) -> PageFields:
        if len([name for name in _PARENTS if getattr(self, name) is not None]) != 1:
            raise ValueError("say exactly one of data_source_id, database_id and page_id")
        if self.text is not None and self.children:
            raise ValueError("say `text` or `children`, not both")
        if self.page_id is not None and set(self.properties) - {"title"}:
            raise ValueError("a page below a page has a title and no other properties")
        if self.title is not None and "title" in self.properties:
            raise ValueError("say the title under `title` or under `properties`, not both")
        return self

    def parent(self) -> tuple[str, str]:
        return next((name, value) for name in _PARENTS if (value := getattr(self, name)) is not None)


def _property(value: Mapping[str, Any]) -> dict[str, Any]:
    """A property's value in Notion's own form."""
    full: dict[str, Any] = {}
    for kind, given in value.items():
        if kind in ("title", "rich_text") and isinstance(given, (str, int, float)):
            full[kind] = rich_text(str(given))
        elif kind in ("select", "status") and isinstance(given, str):
            full[kind] = {"name": given}
        elif kind == "date" and (isinstance(given, str) or hasattr(given, "isoformat")):
            full[kind] = {"start": given if isinstance(given, str) else given.isoformat()}
        elif kind in ("multi_select", "relation", "people") and isinstance(given, (list, tuple)):
            inner = "name" if kind == "multi_select" else "id"
            full[kind] = [{inner: one} if isinstance(one, str) else one for one in given]
        else:
            full[kind] = given
    return full


def _paragraphs(text: str) -> list[dict[str, Any]]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return [
        {"object": "block", "type": "paragraph", "paragraph": {"rich_text": rich_text(part)}}
        for part in re.split(r"\n[ \t]*(?:\n[ \t]*)+", plain)
        if part.strip()
    ]


class CreatePage(ApiAction[NotionConfig, PageFields]):
    name = "create_page"
    summary = "Create a page. Notion knows no idempotency key: whether to repeat is up to `on_unknown`."
    With = PageFields
    examples = (
        Example(
            "A row of a database",
            {
                "data_source_id": "2f26ee68df304251aad48ddc420cba3d",
                "title": "Ana Lima",
                "properties": {
                    "Email": {"email": "ana@example.com"},
                    "Rating": {"number": 4},
                    "Tags": {"multi_select": ["chat", "vip"]},
                    "Comment": {"rich_text": "Fast and friendly"},
                },
            },
        ),
        Example(
            "A page below a page",
            {"page_id": "59833787-2cf9-4fdf-8782-e53db20768a5", "title": "Notes", "text": "First\n\nSecond"},
        ),
    )

    def prepare(self, fields: PageFields, call: Call) -> ApiRequest:
        kind, value = fields.parent()
        version = self.config.version
        if kind == "data_source_id" and version < _DATA_SOURCES_SINCE:
            raise PermanentError(
                f"version {version} of Notion's API knows no data sources: say `database_id`, or set the connection's "
                f"version to {_DATA_SOURCES_SINCE}",
                cause="notion version",
            )
        properties = {} if fields.title is None else {"title": {"title": rich_text(fields.title)}}
        properties |= {name: _property(value) for name, value in fields.properties.items() if value is not None}
        body: dict[str, Any] = {"parent": {"type": kind, kind: value}, "properties": properties}
        children = fields.children or _paragraphs(fields.text or "")
        if children:
            body["children"] = children
        check(body)
        return ApiRequest(
            method="POST",
            base_url=self.config.base_url,
            path="/v1/pages",
            kind="json",
            body=body,
            headers={"notion-version": version},
        )


class Notion(ApiConnector[NotionConfig]):
    name = "notion"
    summary = "Pages in Notion: rows of a database, or pages below a page."
    guide = GUIDE
    Config = NotionConfig
    actions = (CreatePage,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "notion", "token": "${NOTION_TOKEN}"}
    hold_on = HOLD_ON | {403}
    #: 409 is two writers at once, and Notion asks to try again.
    retry_on = RETRY_ON | {409}

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.config.token.get_secret_value()}"}

    async def check(self, timeout: timedelta) -> Check:
        """https://developers.notion.com/reference/get-self"""
        asked = ApiRequest(
            "GET", self.config.base_url, "/v1/users/me", headers={"notion-version": self.config.version}
        )  # fmt: skip
        said = await self.ask(asked, timeout)
        body = said.body if isinstance(said.body, dict) else {}
        if body.get("object") != "user":
            raise said.permanent("it doesn't say whose token it is; check base_url", "not the api")
        bot = body.get("bot")
        place = bot.get("workspace_name") if isinstance(bot, dict) else None
        words = [str(body.get("name") or "an integration"), *([f"in {place}"] if place else [])]
        who = one_line(" ".join(words), self.sorting.redact)
        return Check(
            f"Notion takes the token: {who}; it sees only pages and databases that it was added to under ••• → "
            "Connections"
        )

    def judge(self, said: Said) -> DeliveryError | None:
        status = said.status
        body = said.body if isinstance(said.body, dict) else {}
        if 200 <= status < 300 and body.get("object") != "error":
            if said.received.cut or "id" in body:
                return None
            return said.unknown("the answer names no page; look for it before it is sent again", "no page")
        code = body.get("code")
        if not isinstance(code, str) or status == 410:
            return None
        words = one_line(f"{code}: {body.get('message') or 'no message'}", self.sorting.redact)
        remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
        if status in self.hold_on or code == "missing_version":
            return said.hold(f"{words}{remedy}", f"notion {code}")
        if status in self.retry_on or status >= 500:
            return said.retry(words, f"notion {code}")
        return said.permanent(f"{words}{remedy}", f"notion {code}")
