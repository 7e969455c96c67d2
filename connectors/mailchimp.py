"""Mailchimp: people in an audience, put there without ever subscribing again who has left."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import md5
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.plain import wrong_header
from connectors.common.secret_url import PLACEHOLDER
from connectors.guides.mailchimp import GUIDE
from relay.connector import Call, Check, Example, Fields, Limit
from relay.errors import DeliveryError, PermanentError
from relay.model import Reply

_DATA_CENTRE = re.compile(r"[a-z]{2,4}[0-9]{1,3}")
_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")
_HERE = "https://{dc}.api.mailchimp.com/3.0"


class MailchimpConfig(ApiConfig):
    base_url: str = Field(
        _HERE,
        description="Where the API lives, with `/3.0`; another one is for tests and proxies. By default the data "
        "centre that the API key ends with.",
    )
    api_key: SecretStr | None = Field(
        None, description="An API key, with the data centre it ends with.", examples=["${MAILCHIMP_KEY}"]
    )
    oauth_token: SecretStr | None = Field(None, description="An OAuth access token, in place of `api_key`.")
    data_center: str | None = Field(
        None, description="The account's data centre where the key doesn't name it, as with OAuth.", examples=["us6"]
    )
    limit: Limit = Field(
        Limit(concurrency=10),
        description="Concurrency and rate of the connection's lane. Mailchimp takes 10 connections at once.",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> MailchimpConfig:
        token = self.api_key or self.oauth_token
        if token is None or (self.api_key is not None and self.oauth_token is not None):
            raise ValueError("say either `api_key` or `oauth_token`")
        if wrong_header("Authorization", token.get_secret_value()):
            raise ValueError("the secret holds a line break or a character that headers can't carry")
        # A key that isn't set yet has no end: the lane waits for it.
        unset = PLACEHOLDER.fullmatch(token.get_secret_value()) and self.data_center is None
        if self.base_url == _HERE and not unset and not _DATA_CENTRE.fullmatch(self.centre):
            raise ValueError(
                "the key doesn't end with its data centre, as in `…-us6`; copy it whole, or say `data_center`"
            )
        return self

    @property
    def api_url(self) -> str:
        return self.base_url.replace("{dc}", self.centre)

    @property
    def centre(self) -> str:
        if self.data_center is not None:
            return self.data_center
        return self.api_key.get_secret_value().rpartition("-")[2] if self.api_key is not None else ""


class MemberFields(Fields):
    list_id: str = Field(
        pattern=r"^[A-Za-z0-9]+$", description="The audience (its settings show the id).", examples=["a1b2c3d4e5"]
    )
    email: str = Field(description="The person's address.")
    status_if_new: Literal["pending", "subscribed", "unsubscribed", "transactional"] = Field(
        "pending",
        description="What somebody becomes who isn't there yet. `pending` asks them by mail to confirm; `subscribed` "
        "is for those who have agreed already. It changes nobody who is there.",
    )
    overwrite_status: Literal["subscribed", "unsubscribed", "cleaned", "pending", "transactional"] | None = Field(
        None,
        description="Also changes the status of somebody who is there already: `unsubscribed` takes them off, and "
        "`subscribed` puts people back who had left, which the law may forbid. Left out, they stay what they are.",
    )
    merge_fields: dict[str, Any] = Field(
        default_factory=dict, description="The audience's own fields by their tag.", examples=[{"FNAME": "Ana"}]
    )
    tags: list[str] = Field([], description="Tags to add. Those that are there stay; it takes a second request.")
    remove_tags: list[str] = Field([], description="Tags to take away, in the same second request.")
    language: str | None = Field(None, description="The person's language, such as `en`.")
    interests: dict[str, bool] = Field(default_factory=dict, description="Interests by their id: true joins.")
    email_type: Literal["html", "text"] | None = Field(None, description="What kind of mail they get.")
    skip_merge_validation: bool = Field(
        False, description="Take the person without the merge fields that the audience says are required."
    )

    @field_validator("email")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        address = value.strip()
        if not _ADDRESS.fullmatch(address):
            raise ValueError("this is no e-mail address")
        return address

    @field_validator("tags", "remove_tags")
    @classmethod
    def _tags_have_names(cls, value: list[str]) -> list[str]:
        return [tag.strip() for tag in value if tag.strip()]

    @model_validator(mode="after")
    def _no_tag_comes_and_goes(self) -> MemberFields:
        if set(self.tags) & set(self.remove_tags):
            raise ValueError("the same tag is under `tags` and `remove_tags`")
        return self


@dataclass(frozen=True, slots=True)
class MemberRequest(ApiRequest):
    """tags  what is sent to the member's tags afterwards, where there is something"""

    tags: tuple[Mapping[str, str], ...] = ()

    def preview(self) -> dict[str, Any]:
        # By name: `slots=True` makes the class anew, and a bare super() would mean the old one.
        preview = ApiRequest.preview(self)
        return {**preview, "then": self.then.preview()} if self.tags else preview

    @property
    def then(self) -> ApiRequest:
        return ApiRequest("POST", self.base_url, f"{self.path}/tags", "json", {"tags": list(self.tags)})


class UpsertMember(ApiAction[MailchimpConfig, MemberFields]):
    name = "upsert_member"
    summary = "Put a person into an audience, or renew what it knows of them; who has left stays away."
    With = MemberFields
    idempotent = True
    examples = (
        Example(
            "Somebody who has yet to confirm",
            {"list_id": "a1b2c3d4e5", "email": "ana@example.com", "merge_fields": {"FNAME": "Ana"}},
        ),
        Example(
            "With tags",
            {"list_id": "a1b2c3d4e5", "email": "ana@example.com", "status_if_new": "subscribed", "tags": ["Open day"]},
        ),
        Example(
            "Take somebody off",
            {
                "list_id": "a1b2c3d4e5",
                "email": "ana@example.com",
                "status_if_new": "unsubscribed",
                "overwrite_status": "unsubscribed",
            },
        ),
    )

    def prepare(self, fields: MemberFields, call: Call) -> MemberRequest:
        person: dict[str, Any] = {"email_address": fields.email, "status_if_new": fields.status_if_new}
        if fields.overwrite_status is not None:
            person["status"] = fields.overwrite_status
        optional = {"merge_fields", "language", "interests", "email_type"}
        person |= {name: value for name, value in fields.model_dump(include=optional).items() if value}
        tags = [{"name": name, "status": "active"} for name in fields.tags]
        tags += [{"name": name, "status": "inactive"} for name in fields.remove_tags]
        return MemberRequest(
            "PUT",
            self.config.api_url,
            f"/lists/{fields.list_id}/members/{subscriber_hash(fields.email)}",
            "json",
            person,
            query={"skip_merge_validation": True} if fields.skip_merge_validation else {},
            tags=tuple(tags),
        )

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        reply = await super().send(outgoing, call)
        if not isinstance(outgoing, MemberRequest) or not outgoing.tags:
            return reply
        # A retry does both again, and neither has a second effect.
        await super().send(outgoing.then, call)
        return replace(reply, summary=f"{reply.summary}, and tagged")


def subscriber_hash(email: str) -> str:
    """How Mailchimp names a member in an address."""
    return md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()


#: What is said of one person, by the error's title. All of it is final.
_PERSONS = {
    "member in compliance state": "the person has left, bounced or complained; only they can subscribe again",
    "forgotten email not subscribed": "the person was deleted for good; only they can subscribe again",
    "member exists": "the address belongs to another member of the audience",
    "invalid resource": "Mailchimp refuses a value",
}
_REMEDIES = {
    400: "Mailchimp can't take the request; check the step's fields",
    404: "there is no such audience; check list_id, and that the key belongs to its account",
    405: "check base_url",
    413: "the request is too large",
    414: "check base_url",
    422: "Mailchimp refuses a value; check the step's fields",
}


class Mailchimp(ApiConnector[MailchimpConfig]):
    name = "mailchimp"
    summary = "People in Mailchimp audiences."
    guide = GUIDE
    Config = MailchimpConfig
    actions = (UpsertMember,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "mailchimp", "api_key": "0123456789abcdef-us6"}

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        config = self.config
        if config.api_key is None:
            assert config.oauth_token is not None
            return {"authorization": f"Bearer {config.oauth_token.get_secret_value()}"}
        pair = f"relay:{config.api_key.get_secret_value()}"
        return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def reach_url(self) -> str:
        return self.config.api_url

    async def check(self, timeout: timedelta) -> Check:
        """https://mailchimp.com/developer/marketing/api/ping/"""
        try:
            said = await self.ask(ApiRequest("GET", self.config.api_url, "/ping"), timeout)
        except PermanentError as error:
            if error.status == 404:
                raise PermanentError(
                    f"{self.config.api_url} isn't Mailchimp's API; check base_url", status=404, cause="not the api"
                ) from None
            raise
        if not isinstance(said.body, dict) or "health_status" not in said.body:
            raise said.permanent("that isn't Mailchimp's ping; check base_url", "not the api")
        return Check("Mailchimp takes the key; whether it knows a step's list_id is seen at the first delivery")

    def judge(self, said: Said) -> DeliveryError | None:
        status = said.status
        if status < 300:
            if (said.header("content-type") or "").startswith("text/html"):
                return said.hold("a web page in place of the API's answer; check base_url", "mailchimp web page")
            return None
        problem: Mapping[str, Any] = said.body if isinstance(said.body, Mapping) else {}
        title = " ".join(str(problem.get("title") or "").split())[:60]
        known = _PERSONS.get(title.lower())
        if known is not None and 400 <= status < 500:
            return said.permanent(f"{title}{_fields(problem)}; {known}", f"mailchimp {title.lower()}")
        if status == 403:
            if not problem:
                return said.retry("too much at once; Mailchimp's gateway says so without JSON", "mailchimp load")
            message = f"{title or 'Forbidden'}; check the key, its user's role and its data centre"
            return said.hold(message, f"mailchimp {title.lower() or 'forbidden'}")
        remedy = _REMEDIES.get(status)
        if remedy is None:
            return None
        named = f"{title}{_fields(problem)}; " if title else ""
        return said.permanent(f"{named}{remedy}", f"mailchimp {title.lower() or status}")


def _fields(problem: Mapping[str, Any]) -> str:
    """The fields an error names, without their values: those are the payload's."""
    errors = problem.get("errors")
    found = [error.get("field") for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
    names = [name for name in found if isinstance(name, str) and re.fullmatch(r"[\w.]{1,40}", name)]
    return f" ({', '.join(names[:5])})" if names else ""
