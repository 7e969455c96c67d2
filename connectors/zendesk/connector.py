"""Zendesk Support: tickets, and comments and changes on them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from connectors.common.api import ApiAction, ApiConnector, ApiRequest, Said
from connectors.common.vendor_words import one_line
from connectors.guides.zendesk import GUIDE
from connectors.zendesk.config import CommentFields, CreateFields, Properties, UpdateFields, ZendeskConfig
from relay.connector import Call, Check, Example, Fields
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply

FieldsT = TypeVar("FieldsT", bound=Fields)


class CreateTicket(ApiAction[ZendeskConfig, CreateFields]):
    name = "create_ticket"
    summary = (
        "Make a ticket. Zendesk keeps the delivery's key and makes one ticket of it, however often it is sent within "
        "about two hours (the time is not verified)."
    )
    With = CreateFields
    idempotent = True
    examples = (
        Example(
            "A ticket for somebody",
            {
                "subject": "Feedback on the new portal",
                "body": "The timetable doesn't load.",
                "requester_email": "ana@example.com",
                "requester_name": "Ana",
                "tags": ["feedback", "portal"],
                "priority": "high",
            },
        ),
        Example("With custom fields", {"subject": "Bug", "body": "It stops.", "custom_fields": {"360001": "MIT"}}),
    )

    def prepare(self, fields: CreateFields, call: Call) -> ApiRequest:
        ticket: dict[str, Any] = {
            "subject": fields.subject,
            "comment": _comment(fields.body, fields.html, fields.public, self.config.max_comment),
            **_properties(fields),
        }
        if fields.requester_email is not None:
            # Zendesk refuses a new user without a name.
            name = fields.requester_name or fields.requester_email
            ticket["requester"] = {"name": name, "email": fields.requester_email}
        if fields.tags:
            ticket["tags"] = _tags(fields.tags)
        ticket |= fields.model_dump(include={"brand_id", "ticket_form_id"}, exclude_none=True)
        return ApiRequest(
            "POST", self.config.base_url, "/api/v2/tickets.json", "json", {"ticket": ticket},
            headers={"idempotency-key": call.idempotency_key},
        )  # fmt: skip

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        reply = await super().send(outgoing, call)
        if reply.received.get("headers", {}).get("x-idempotency-lookup") == "hit":
            return replace(reply, summary=f"{reply.summary} (an earlier attempt had made the ticket)")
        return reply


class _Change(ApiAction[ZendeskConfig, FieldsT]):
    """What changes a ticket. With a stamp, Zendesk itself refuses a repeat."""

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        stamped = "safe_update" in outgoing.body["ticket"]
        assert isinstance(self.connection, Zendesk)
        try:
            return await self.connection.request(outgoing, call, idempotent=stamped or self.idempotent)
        except RetryableError as error:
            if error.status == 409 and stamped:
                raise _changed_since(error, call) from None
            raise


class AddComment(_Change[CommentFields]):
    name = "add_comment"
    summary = "Add a comment to a ticket, an internal note unless it is public."
    With = CommentFields
    examples = (
        Example("An internal note", {"ticket": 35436, "body": "Reported again by somebody else."}),
        Example("An answer", {"ticket": 35436, "body": "<p>It is mended.</p>", "html": True, "public": True}),
    )

    def prepare(self, fields: CommentFields, call: Call) -> ApiRequest:
        ticket = {"comment": _comment(fields.body, fields.html, fields.public, self.config.max_comment)}
        return _update(self.config, fields.ticket, ticket, fields.updated_stamp)


class UpdateTicket(_Change[UpdateFields]):
    name = "update_ticket"
    summary = "Change what a ticket has. A repeat sets the same again."
    With = UpdateFields
    idempotent = True
    examples = (
        Example("Solve it", {"ticket": 35436, "status": "solved"}),
        Example(
            "Only if nobody was quicker",
            {"ticket": 35436, "tags": ["feedback", "seen"], "updated_stamp": "2026-11-02T09:30:00Z"},
        ),
    )

    def prepare(self, fields: UpdateFields, call: Call) -> ApiRequest:
        ticket = _properties(fields)
        if fields.subject is not None:
            ticket["subject"] = fields.subject
        if fields.tags is not None:
            ticket["tags"] = _tags(fields.tags)
        if not ticket:
            raise PermanentError(
                "there is nothing to change; name a property beside `ticket`", cause="nothing to change"
            )
        return _update(self.config, fields.ticket, ticket, fields.updated_stamp)


def _properties(fields: Properties) -> dict[str, Any]:
    ticket = fields.model_dump(include=set(Properties.model_fields) - {"custom_fields"}, exclude_none=True)
    if fields.custom_fields:
        ticket["custom_fields"] = [{"id": key, "value": value} for key, value in fields.custom_fields.items()]
    return ticket


def _comment(text: str, html: bool, public: bool, most: int) -> dict[str, Any]:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most:
        message = f"the text has {size} bytes; Zendesk takes {most}: shorten it in the recipe, as with `| truncate`"
        raise PermanentError(message, cause="text too long")
    return {"html_body" if html else "body": text, "public": public}


def _tags(tags: Iterable[str]) -> list[str]:
    return [re.sub(r"\s+", "_", tag.strip()) for tag in tags if tag.strip()]


def _update(config: ZendeskConfig, number: int, ticket: dict[str, Any], stamp: str | None) -> ApiRequest:
    if stamp is not None:
        ticket |= {"safe_update": True, "updated_stamp": stamp}
    return ApiRequest("PUT", config.base_url, f"/api/v2/tickets/{number}.json", "json", {"ticket": ticket})


def _changed_since(error: RetryableError, call: Call) -> DeliveryError:
    """Its stamp would be sent again: that 409 doesn't get better by itself."""
    if call.attempt > 1:
        message = "the ticket has changed since its `updated_stamp`; it may have been an earlier attempt: look at it"
        return UnknownOutcomeError(message, status=409, cause="zendesk ticket changed", received=error.received)
    message = "somebody has changed the ticket since its `updated_stamp`; nothing was done: read it and send anew"
    return PermanentError(message, status=409, cause="zendesk ticket changed", received=error.received)


class Zendesk(ApiConnector[ZendeskConfig]):
    name = "zendesk"
    summary = "Zendesk tickets and their comments."
    guide = GUIDE
    Config = ZendeskConfig
    puts_repeat = False  # a change of a ticket adds a comment
    actions = (CreateTicket, AddComment, UpdateTicket)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "zendesk",
        "base_url": "https://acme.zendesk.com",
        "email": "relay@example.com",
        "api_token": "${ZENDESK_TOKEN}",
    }

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        config = self.config
        if config.oauth_token is not None:
            return {"authorization": f"Bearer {config.oauth_token.get_secret_value()}"}
        assert config.api_token is not None
        pair = f"{config.email}/token:{config.api_token.get_secret_value()}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    async def check(self, timeout: timedelta) -> Check:
        """Zendesk answers 200 to a stranger as well: as the anonymous user, who has no id."""
        try:
            said = await self.ask(ApiRequest("GET", self.config.base_url, "/api/v2/users/me.json"), timeout)
        except HoldError as error:
            if error.cause != "zendesk scope missing":
                raise
            return Check("Zendesk takes the token, which may not say whose it is; whether it may write wasn't tried")
        user = _mapping(_mapping(said.body).get("user"))
        name, role = (one_line(user.get(key) or "?", self.sorting.redact) for key in ("name", "role"))
        if not user.get("id"):
            given = "oauth_token" if self.config.oauth_token is not None else "email and api_token"
            raise said.hold(f"Zendesk takes us for the anonymous user: check {given}", "zendesk anonymous")
        missing: tuple[str, ...] = ()
        if role == "end-user":
            missing = (f"{name} is an end user: tickets take an agent; give another email, or make them an agent",)
        return Check(f"Zendesk takes the credentials: {name}, {role}", missing)

    def judge(self, said: Said) -> DeliveryError | None:
        status = said.status
        if status < 300:
            if (said.header("content-type") or "").startswith("text/html"):
                return said.hold("a web page in place of the API's answer; check base_url", "zendesk web page")
            return None
        error, words = _error(said)
        if status == 409:
            return said.retry("another change of the ticket came in between", "zendesk update conflict")
        if status == 400 and error == "IdempotentRequestError":
            message = "this delivery's key was used for another ticket; the step has changed since its first attempt"
            return said.permanent(message, "zendesk key reused")
        if status == 403 and "scope" in words.lower():
            return said.hold("the OAuth token lacks a scope; it needs tickets:write or write", "zendesk scope missing")
        if status == 404 and error.startswith("No help desk"):
            return said.hold("there is no such account; check the subdomain in base_url", "zendesk no such account")
        remedy = _REMEDIES.get(status)
        if remedy is None:
            return None
        named = f"{error}{_details(said)}; " if error else ""
        return said.permanent(f"{named}{remedy}", f"zendesk {error or status}")


_REMEDIES = {
    400: "Zendesk can't read the request; check the step's fields",
    403: "the agent may not do this to this ticket; check its role and groups",
    404: "there is no such ticket, or the agent can't see it",
    413: "the request is too large",
    422: "a value is refused; correct the step or the event",
}


def _error(said: Said) -> tuple[str, str]:
    """Its kind and its words: both `{"error": "Kind"}` and `{"error": {"title": "Kind"}}` are seen."""
    body = _mapping(said.body)
    inner = _mapping(body.get("error"))
    kind, words = (inner.get("title"), inner.get("message")) if inner else (body.get("error"), body.get("description"))
    return " ".join(kind.split())[:60] if isinstance(kind, str) else "", words if isinstance(words, str) else ""


def _details(said: Said) -> str:
    """The fields that are named, without their values: those are the payload's."""
    names = [name for name in _mapping(_mapping(said.body).get("details")) if re.fullmatch(r"\w{1,40}", name)]
    return f" ({', '.join(names[:5])})" if names else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
