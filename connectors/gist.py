"""Gist (getgist.com): contacts, tags and conversations.

https://developers.getgist.com/api/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.vendor_words import HeaderSecret, as_html, one_line
from connectors.guides.gist import GUIDE
from relay.connector import Call, Check, Example, Fields, Limit
from relay.errors import DeliveryError
from relay.http import HOLD_ON

_EMAIL = re.compile(r"[^\s@<>\"',;]+@[^\s@<>\"',;]+")

Tag = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _no_truth(value: Any) -> Any:
    """Pydantic takes true for 1, which is the id of somebody."""
    if isinstance(value, bool):
        raise ValueError("an id is a number, not true or false")
    return value


Id = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(_no_truth)]
#: Seconds of the year 3000; what is later was given in milliseconds.
_LATEST = 32_503_680_000


class GistConfig(ApiConfig):
    base_url: str = Field("https://api.getgist.com", description="Where the API lives.")
    api_key: HeaderSecret = Field(description="The workspace's API key, from its settings.")
    limit: Limit = Field(
        Limit(concurrency=2),
        description="Concurrency and rate of the connection's lane. What Gist takes isn't verified: hence few at once.",
    )


def _email(value: str | None) -> str | None:
    if value and not _EMAIL.fullmatch(value):
        raise ValueError("an e-mail address, such as ana@example.com")
    return value or None


class ContactFields(Fields):
    email: str | None = Field(None, description="The contact's e-mail address; this or `user_id` says who it is.")
    user_id: str | int | None = Field(None, description="Your own id of the person: makes a user of a lead.")
    name: str | None = Field(None, description="The full name.")
    phone: str | None = Field(None, description="The phone number.")
    signed_up_at: datetime | int | None = Field(
        None, description="When they signed up: a time, or seconds since 1970, as which it is sent. (Not verified.)"
    )
    tags: list[Tag] = Field(
        [], description="Tags. Whether those the contact has besides are kept isn't verified: `tag` only adds."
    )
    custom_properties: dict[str, Any] = Field(
        default_factory=dict, description="Your own properties, by their names at Gist.", examples=[{"plan": "pro"}]
    )
    unsubscribe: bool = Field(
        False, description="Take them off e-mails. There is no way back by this: nobody is subscribed again."
    )

    @field_validator("user_id", "signed_up_at", mode="before")
    @classmethod
    def _is_no_truth(cls, value: Any) -> Any:
        return _no_truth(value)

    @field_validator("signed_up_at")
    @classmethod
    def _is_in_seconds(cls, value: datetime | int | None) -> datetime | int | None:
        if isinstance(value, int) and abs(value) > _LATEST:
            raise ValueError("a time in seconds since 1970, not in milliseconds")
        return value

    @field_validator("email")
    @classmethod
    def _is_an_email(cls, value: str | None) -> str | None:
        return _email(value)

    @model_validator(mode="after")
    def _is_somebody(self) -> ContactFields:
        if not self.email and self.user_id in (None, ""):
            raise ValueError("`email` or `user_id` is required: without either Gist doesn't know who it is")
        return self


class UpsertContact(ApiAction[GistConfig, ContactFields]):
    name = "upsert_contact"
    summary = "Create a contact, or update the one with this e-mail address or user id."
    With = ContactFields
    idempotent = True
    examples = (
        Example("A lead", {"email": "ana@example.com", "name": "Ana", "custom_properties": {"plan": "pro"}}),
        Example("A user", {"user_id": "4711", "email": "ana@example.com", "tags": ["customer"]}),
    )

    def prepare(self, fields: ContactFields, call: Call) -> ApiRequest:
        body = fields.model_dump(exclude_none=True, exclude={"unsubscribe"})
        body = {key: value for key, value in body.items() if value not in ("", [], {})}
        if isinstance(fields.signed_up_at, datetime):
            moment = fields.signed_up_at
            # Without a zone it is UTC, and not whatever this machine's is.
            body["signed_up_at"] = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        if fields.unsubscribe:
            body["unsubscribed_from_emails"] = True
        return _post(self.config, "/contacts", body)


class TagFields(Fields):
    name: Tag = Field(description="The tag; Gist makes it where there is none.", examples=["beta"])
    contacts: list[str | int] = Field(
        min_length=1,
        description="Who gets it: ids of contacts at Gist, or e-mail addresses (which aren't verified with Gist).",
        examples=[["1046"]],
    )
    remove: bool = Field(False, description="Take the tag off them instead.")

    @field_validator("contacts", mode="before")
    @classmethod
    def _are_contacts(cls, value: Any) -> Any:
        for contact in value if isinstance(value, (list, tuple)) else ():
            if isinstance(contact, bool) or not (str(contact).isdecimal() or _EMAIL.fullmatch(str(contact))):
                raise ValueError("a contact is given by its id at Gist, a number, or by its e-mail address")
        return value


class TagContacts(ApiAction[GistConfig, TagFields]):
    name = "tag"
    summary = "Tag contacts, or take a tag off them."
    With = TagFields
    idempotent = True
    examples = (
        Example("Tag two", {"name": "beta", "contacts": [1046, 1047]}),
        Example("Take it off", {"name": "beta", "contacts": ["1046"], "remove": True}),
    )

    def prepare(self, fields: TagFields, call: Call) -> ApiRequest:
        untag = {"untag": True} if fields.remove else {}
        contacts = [{"email" if "@" in str(one) else "id": str(one), **untag} for one in fields.contacts]
        return _post(self.config, "/tags", {"name": fields.name, "contacts": contacts})


class Message(Fields):
    body: str = Field(min_length=1, description="The text.")
    markup: Literal["escaped", "as_is"] = Field(
        "escaped",
        description="`escaped` shows the text as it is written, with its lines; `as_is` sends HTML. That Gist takes "
        "HTML isn't verified: where `&amp;` is shown for an ampersand, say `as_is`.",
    )

    @field_validator("body")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty, which Gist refuses")
        return value

    def text(self) -> str:
        return as_html(self.body) if self.markup == "escaped" else self.body


class ConversationFields(Message):
    contact: Id = Field(description="The id at Gist of the contact who starts it.")
    title: str | None = Field(None, description="Its title; line breaks become spaces.")
    custom_properties: dict[str, Any] = Field(default_factory=dict, description="Your own properties of conversations.")


class CreateConversation(ApiAction[GistConfig, ConversationFields]):
    name = "create_conversation"
    summary = "Start a conversation as a contact. Gist knows no idempotency key: `on_unknown` decides about repeats."
    With = ConversationFields
    examples = (Example("Feedback", {"contact": 1046, "title": "Feedback", "body": "Checkout shows an empty page"}),)

    def prepare(self, fields: ConversationFields, call: Call) -> ApiRequest:
        body: dict[str, Any] = {"from": {"id": fields.contact}, "body": fields.text()}
        if fields.title and fields.title.strip():
            body["title"] = " ".join(fields.title.split())
        if fields.custom_properties:
            body["custom_properties"] = fields.custom_properties
        return _post(self.config, "/conversations", body)


class ReplyFields(Message):
    conversation: Id = Field(description="The id of the conversation.")
    teammate: Id = Field(description="The id of the teammate who replies: the contact reads it.")


class SendReply(ApiAction[GistConfig, ReplyFields]):
    name = "reply"
    summary = (
        "Reply to a conversation as a teammate. Gist knows no idempotency key: `on_unknown` decides about repeats."
    )
    With = ReplyFields
    examples = (Example("A reply", {"conversation": 88, "teammate": 9539, "body": "It is mended, thank you."}),)

    def prepare(self, fields: ReplyFields, call: Call) -> ApiRequest:
        sender = {"type": "teammate", "teammate_id": fields.teammate}
        body = {"message_type": "reply", "from": sender, "body": fields.text()}
        return _post(self.config, f"/conversations/{fields.conversation}/messages", body)


class Gist(ApiConnector[GistConfig]):
    name = "gist"
    summary = "Contacts, tags and conversations in Gist (getgist.com)."
    Config = GistConfig
    actions = (UpsertContact, TagContacts, CreateConversation, SendReply)
    example: ClassVar[Mapping[str, Any]] = {"connector": "gist", "api_key": "${GIST_API_KEY}"}
    guide = GUIDE
    hold_on = HOLD_ON | {403}

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.config.api_key.get_secret_value()}", "accept": "application/json"}

    async def check(self, timeout: timedelta) -> Check:
        asked = ApiRequest(method="GET", base_url=self.config.base_url, path="/contacts", query={"per_page": 1})
        await self.request(asked, Call("check", "check", timeout=timeout), idempotent=True)
        return Check("Gist takes the API key and shows its contacts")

    def judge(self, said: Said) -> DeliveryError | None:
        status, body = said.status, said.body if isinstance(said.body, Mapping) else {}
        words = one_line("; ".join(_complaints(body)), self.sorting.redact)
        if 200 <= status < 300:
            if words:
                return said.permanent(words, "gist refuses")
            if "html" in (said.header("content-type") or "").lower():
                return said.unknown("a page came back instead of data; check the connection's base_url", "gist page")
            return None
        if status in self.hold_on and words:
            return said.hold(f"{words}; check the API key and what it may do", f"http {status}")
        if status in (400, 404, 422) and words:
            return said.permanent(words, "gist refuses" if status != 404 else "gist not found")
        return None


def _post(config: GistConfig, path: str, body: dict[str, Any]) -> ApiRequest:
    return ApiRequest(method="POST", base_url=config.base_url, path=path, kind="json", body=body)


def _complaints(body: Mapping[str, Any]) -> Iterator[str]:
    """What stands under `error` or `errors`; its form isn't documented, so any text in it is taken."""
    for key in ("error", "errors"):
        yield from _texts(body.get(key))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        named = [value[name] for name in ("message", "code") if isinstance(value.get(name), str) and value[name]]
        if named:
            yield named[0]
        else:
            for inner in value.values():
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value[:5]:
            yield from _texts(inner)
