"""What a connection to Twilio, and a step that uses it, may say."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connectors.common.api import ApiConfig
from connectors.common.plain import plain_url
from connectors.common.vendor_words import HeaderSecret
from relay.connector import Duration, Fields, Limit

_MEDIA = 10
_LONGEST_VALIDITY = timedelta(seconds=36_000)

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}")
_SEPARATORS = re.compile(r"[\s().-]+", re.ASCII)


def _sender(value: str) -> str:
    number = _SEPARATORS.sub("", value)
    if _E164.fullmatch(number) or _SHORT_CODE.fullmatch(number):
        return number
    if _NAME.fullmatch(value):
        return value
    raise ValueError("a sender is a number such as +15005550006, a short code, or a name of at most 11 letters")


_SERVICE = r"^MG[0-9a-fA-F]{32}$"


class TwilioConfig(ApiConfig):
    base_url: str = Field(
        "https://api.twilio.com",
        description="Where the API lives; for another region such as https://api.dublin.ie1.twilio.com, whose "
        "credentials are its own.",
    )
    account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$", description="The account, or subaccount, that sends: AC and 32 characters."
    )
    auth_token: HeaderSecret | None = Field(None, description="The account's auth token. An API key is better.")
    api_key_sid: str | None = Field(
        None,
        pattern=r"^SK[0-9a-fA-F]{32}$",
        description="An API key of the account, in place of `auth_token`: SK and …",
    )
    api_key_secret: HeaderSecret | None = Field(None, description="The API key's secret.")
    from_: str | None = Field(
        None,
        alias="from",
        description="Who sends, unless a step says another: a number of the account, a short code or a sender's name.",
        examples=["+15005550006"],
    )
    messaging_service_sid: str | None = Field(
        None, pattern=_SERVICE, description="A messaging service that chooses the sender, in place of `from`."
    )
    limit: Limit = Field(
        Limit(concurrency=10, rate="10/s"),
        description="Concurrency and rate of the connection's lane. Twilio takes more at once than a number sends (one "
        "segment a second for many) and queues the rest; a longer queue than it keeps is refused.",
    )

    _from_is_a_sender = field_validator("from_")(lambda value: value and _sender(value))

    @model_validator(mode="after")
    def _one_way_in(self) -> TwilioConfig:
        if (self.auth_token is None) == (self.api_key_sid is None):
            raise ValueError("say either `auth_token`, or `api_key_sid` and `api_key_secret`")
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("`api_key_sid` goes with `api_key_secret`")
        return self


class SmsFields(Fields):
    to: str = Field(
        description="The number it goes to, with a plus and its country: +4915112345678. Spaces, dots, dashes and "
        "brackets are left out.",
        examples=["+15005551234"],
    )
    body: str | None = Field(None, description="The text, at most 1600 characters. More than one segment costs more.")
    from_: str | None = Field(None, alias="from", description="Who sends, in place of the connection's.")
    messaging_service_sid: str | None = Field(
        None, pattern=_SERVICE, description="A messaging service that sends, in place of the connection's sender."
    )
    media_urls: list[str] = Field([], max_length=_MEDIA, description="Addresses of pictures that Twilio fetches: MMS.")
    content_sid: str | None = Field(
        None, pattern=r"^HX[0-9a-fA-F]{32}$", description="A content template that is sent, in place of `body`."
    )
    variables: dict[str, Any] = Field(
        default_factory=dict, description="What the template's placeholders become.", examples=[{"1": "Ana"}]
    )
    status_callback: str | None = Field(
        None, description="Where Twilio tells what became of the message, such as the address of a source of Relay."
    )
    validity: Duration | None = Field(
        None, description="How long Twilio may queue it before it gives it up, 1s to 10h.", examples=["30m"]
    )
    max_segments: int | None = Field(
        None,
        ge=1,
        le=11,
        description="A `body` that takes more segments than this is refused, since each is charged. Twilio's smart "
        "encoding, where it is on, may make less of them.",
    )

    _from_is_a_sender = field_validator("from_")(lambda value: value and _sender(value))

    @field_validator("to")
    @classmethod
    def _is_e164(cls, value: str) -> str:
        number = _SEPARATORS.sub("", value)
        if not _E164.fullmatch(number):
            raise ValueError("a number has a plus, its country and 7 to 15 digits: +4915112345678")
        return number

    @field_validator("media_urls", "status_callback")
    @classmethod
    def _are_urls(cls, value: Any) -> Any:
        for url in value if isinstance(value, list) else [value] if value is not None else []:
            plain_url(url)
        return value

    @field_validator("status_callback")
    @classmethod
    def _has_no_underscore(cls, value: str | None) -> str | None:
        if value is not None and "_" in (urlsplit(value).hostname or ""):
            raise ValueError("Twilio calls no host with an underscore in its name")
        return value

    @field_validator("validity")
    @classmethod
    def _is_within_twilios(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not timedelta(seconds=1) <= value <= _LONGEST_VALIDITY:
            raise ValueError("Twilio takes 1s to 10h")
        return value

    @model_validator(mode="after")
    def _has_one_content(self) -> SmsFields:
        if self.content_sid is not None and (self.body or self.media_urls):
            raise ValueError("`content_sid` stands in place of `body` and `media_urls`")
        if self.variables and self.content_sid is None:
            raise ValueError("`variables` goes with `content_sid`")
        return self
