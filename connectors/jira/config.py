"""What a connection to Jira, and a step that uses it, may say."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.api import ApiConfig
from connectors.common.vendor_words import HeaderSecret
from relay.connector import Fields, Limit

_FIELD = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


class JiraConfig(ApiConfig):
    base_url: str = Field(
        description="The site's address, without /rest: https://acme.atlassian.net in the Cloud; for Data Center with "
        "its path, such as https://example.com/jira; for a Cloud token with scopes, "
        "https://api.atlassian.com/ex/jira/ and the site's cloud id.",
        examples=["https://acme.atlassian.net"],
    )
    email: str | None = Field(
        None, description="The account that `api_token` belongs to; on Data Center a user's name.", min_length=1
    )
    api_token: HeaderSecret | None = Field(
        None, description="The account's API token; on Data Center the user's password, where it is allowed."
    )
    token: HeaderSecret | None = Field(
        None, description="In place of both: a personal access token of Data Center, or an OAuth access token."
    )
    api_version: Literal[2, 3] = Field(
        3, description="3 is the Cloud's, with documents for texts. Data Center has only 2, with wiki markup."
    )
    mark: Literal["label", "none"] = Field(
        "label",
        description="`label`: each issue gets a label with its delivery's id, by which a retry finds what an earlier "
        "attempt made. `none`: no label; whether to repeat after a lost answer is for the step's `on_unknown`.",
    )
    look: Literal["retries", "always"] = Field(
        "retries",
        description="When to look for that label before creating: on second and later attempts, or always. A replay, "
        "and an attempt whose worker died, begin again with the first; one more request for each issue.",
    )
    limit: Limit = Field(
        Limit(concurrency=4, rate="10/s"),
        description="Concurrency and rate of the connection's lane. Atlassian counts what requests cost and publishes "
        "no number for a token's; these leave room for others.",
    )

    @field_validator("base_url")
    @classmethod
    def _is_the_sites_own(cls, value: str) -> str:
        if "/rest/" in f"{value}/" or "?" in value:
            raise ValueError("the site's address alone, without /rest and what follows it")
        return value

    @field_validator("email")
    @classmethod
    def _has_no_colon(cls, value: str | None) -> str | None:
        # Basic authentication ends the name at the first colon.
        if value is not None and (":" in value or not value.isprintable()):
            raise ValueError("a name without colon and line break")
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> JiraConfig:
        if (self.token is None) == (self.api_token is None):
            raise ValueError("say either `email` and `api_token`, or `token`")
        if (self.email is None) != (self.api_token is None):
            raise ValueError("`email` goes with `api_token`, and with nothing else")
        return self

    @property
    def api(self) -> str:
        return f"/rest/api/{self.api_version}"


_WIKI = Field(
    False,
    description="The text is wiki markup (version 2). Else it is plain: macros, links, mentions and images in it are "
    "shown, not obeyed (their escapes are not verified with Atlassian's own service).",
)


class CreateFields(Fields):
    project: str = Field(
        pattern=r"^([A-Za-z][A-Za-z0-9_]*|[0-9]+)$", description="The project's key, or its id.", examples=["OPS"]
    )
    issue_type: str = Field(
        "Task", min_length=1, description="The issue type's name in that project, or its id.", examples=["Bug"]
    )
    summary: str = Field(description="At most 255 characters; line breaks become spaces.")
    description: str | dict[str, Any] | None = Field(
        None,
        description="As plain text, at most 32767 characters: an empty line begins a paragraph. Or, with version 3, "
        "as an Atlassian document: {type: doc, version: 1, content: […]}.",
    )
    wiki: bool = _WIKI
    labels: list[str] = Field([], description="Its labels; a space in one becomes `_`, since Jira takes none.")
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields by id, as Jira's API takes them; null ones are left out.",
        examples=[{"priority": {"name": "High"}, "customfield_10010": "EMEA"}],
    )

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, value: list[str]) -> list[str]:
        labels = [re.sub(r"\s+", "_", label.strip()) for label in value if label.strip()]
        if any(len(label) > 255 or not label.isprintable() for label in labels):
            raise ValueError("a label has at most 255 characters, and no control characters")
        return list(dict.fromkeys(labels))

    @field_validator("fields")
    @classmethod
    def _are_others(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _FIELD.fullmatch(name):
                raise ValueError(f"{name!r} isn't a field's id; they look like priority or customfield_10010")
            if name in ("project", "issuetype", "summary", "description", "labels"):
                own = "issue_type" if name == "issuetype" else name
                raise ValueError(f"{name} has a key of its own in the step: `{own}`")
        return value


class CommentFields(Fields):
    issue: str = Field(
        pattern=r"^([A-Za-z][A-Za-z0-9_]*-[0-9]+|[0-9]+)$",
        description="The issue's key, or its id.",
        examples=["OPS-12"],
    )
    body: str | dict[str, Any] = Field(
        description="The comment as plain text, at most 32767 characters; or, with version 3, as an Atlassian document."
    )
    wiki: bool = _WIKI
