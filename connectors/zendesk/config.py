"""What a connection to Zendesk, and a step that uses it, may say."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from connectors.common.api import ApiConfig
from connectors.common.plain import wrong_header
from relay.connector import Fields, Limit, Size

Status = Literal["new", "open", "pending", "hold", "solved", "closed"]


class ZendeskConfig(ApiConfig):
    base_url: str = Field(
        description="The account's address, without /api; a sandbox has one of its own.",
        examples=["https://acme.zendesk.com"],
    )
    email: str | None = Field(None, description="The agent that `api_token` acts for.")
    api_token: SecretStr | None = Field(
        None, description="An API token (Admin Center, Apps and integrations, APIs); goes with `email`."
    )
    oauth_token: SecretStr | None = Field(
        None, description="An OAuth access token with the scopes `tickets:write` or `write`, in place of `api_token`."
    )
    max_comment: Size = Field(
        65_535, ge=1, description="A longer text is refused before it is sent. Zendesk's own limit; not verified."
    )
    limit: Limit = Field(
        Limit(rate="200/min"),
        description="Concurrency and rate of the connection's lane. Plans allow 200, 400, 700 or 2500 a minute.",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> ZendeskConfig:
        if (self.oauth_token is None) == (self.api_token is None):
            raise ValueError("say either `email` and `api_token`, or `oauth_token`")
        if (self.email is None) != (self.api_token is None):
            raise ValueError("`email` goes with `api_token`, and with nothing else")
        if self.oauth_token is not None and wrong_header("Authorization", self.oauth_token.get_secret_value()):
            raise ValueError("`oauth_token` holds a line break or a character that headers can't carry")
        return self


class Properties(Fields):
    """What a ticket has beside its comments."""

    priority: Literal["low", "normal", "high", "urgent"] | None = Field(None, description="How urgent it is.")
    status: Status | None = Field(None, description="Where it stands.")
    type: Literal["problem", "incident", "question", "task"] | None = Field(
        None, description="What kind of ticket it is."
    )
    external_id: str | None = Field(None, description="Its id in another system; Zendesk doesn't keep it unique.")
    assignee_id: int | None = Field(None, ge=1, description="The agent it is given to.")
    group_id: int | None = Field(None, ge=1, description="The group it is given to.")
    custom_fields: dict[int, Any] = Field(
        default_factory=dict, description="Custom fields: the field's id and its value.", examples=[{"360001": "MIT"}]
    )


class CreateFields(Properties):
    subject: str = Field(min_length=1, description="The subject.")
    body: str = Field(min_length=1, description="The first comment.")
    html: bool = Field(False, description="The body is HTML; else it is text, and markup in it is shown as it is.")
    public: bool = Field(True, description="The requester can see the first comment.")
    requester_email: str | None = Field(
        None, description="Whose ticket it is; a user is made where there is none. Without it, the agent's own."
    )
    requester_name: str | None = Field(None, description="The requester's name where a user is made; else the address.")
    tags: list[str] = Field([], description="Tags; a space in one becomes `_`, since Zendesk would cut there.")
    brand_id: int | None = Field(None, ge=1, description="The brand it belongs to.")
    ticket_form_id: int | None = Field(None, ge=1, description="The form it is made by.")

    @model_validator(mode="after")
    def _a_name_needs_an_address(self) -> CreateFields:
        if self.requester_name is not None and self.requester_email is None:
            raise ValueError("`requester_name` goes with `requester_email`")
        return self


_TICKET = Field(ge=1, description="The ticket's number.")
_STAMP = Field(
    None,
    description="The ticket's `updated_at` as it was last read: Zendesk refuses the change (409) where the ticket has "
    "changed since, so that a repeat of it does no harm either.",
)


class CommentFields(Fields):
    ticket: int = _TICKET
    body: str = Field(min_length=1, description="The comment.")
    html: bool = Field(False, description="The body is HTML; else it is text, and markup in it is shown as it is.")
    public: bool = Field(False, description="The requester sees it and is mailed; else it is an internal note.")
    updated_stamp: str | None = _STAMP


class UpdateFields(Properties):
    ticket: int = _TICKET
    subject: str | None = Field(None, min_length=1, description="A new subject.")
    tags: list[str] | None = Field(None, description="The tags it then has: those it had and aren't here are lost.")
    updated_stamp: str | None = _STAMP
