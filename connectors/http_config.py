"""What a connection of the HTTP connector may say."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from relay.connector import ConnectionConfig, Duration, Fields, Size

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
#: HTTP itself sets these; a recipe that did could smuggle a second request or leave for another virtual host.
OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})


class Basic(Fields):
    username: str = Field(description="Who the relay is to this API.")
    password: SecretStr = Field(description="The password; empty where the API takes a key as the user name.")


class Auth(Fields):
    """How the connection proves who it is: one of bearer, basic, header, query or path."""

    bearer: SecretStr | None = Field(None, description="Sent as `Authorization: Bearer …`.")
    basic: Basic | None = Field(None, description="User name and password.")
    header: str | None = Field(None, description="Name of the header that carries `value`.", examples=["X-Api-Key"])
    query: str | None = Field(None, description="Name of the query parameter that carries `value`.")
    value: SecretStr | None = Field(None, description="The key that goes with `header` or `query`.")
    path: SecretStr | None = Field(None, description="A secret end of the URL, as Slack's and Discord's webhooks have.")

    @model_validator(mode="after")
    def _one_way(self) -> Auth:
        given = [name for name in ("bearer", "basic", "header", "query", "path") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("say exactly one of bearer, basic, header, query and path")
        if (self.value is None) == (given[0] in ("header", "query")):
            raise ValueError("`value` goes with `header` and `query`, and with nothing else")
        if self.header is not None and (not _HEADER_NAME.fullmatch(self.header) or self.header.lower() in OUR_HEADERS):
            raise ValueError(f"{self.header!r} can't be the name of the header")
        in_header = self.bearer or (self.value if self.header is not None else None)
        if in_header is not None and not _HEADER_VALUE.fullmatch(in_header.get_secret_value()):
            raise ValueError("the secret holds a line break or a character that headers can't carry")
        return self


class HttpConfig(ConnectionConfig):
    base_url: str = Field(
        description="Where the API lives; steps add a path to it.", examples=["https://api.example.com"]
    )
    auth: Auth | None = Field(None, description="How the connection proves who it is.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    follow_redirects: bool = Field(False, description="Follow redirects on the same host that keep the request whole.")
    redirect_hosts: list[str] = Field(
        [], description="Other hosts that a redirect may lead to; they get no credentials."
    )
    verify_tls: bool = Field(True, description="Check the server's certificate.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the usual ones.")
    connect_timeout: Duration = Field(timedelta(seconds=10), description="How long making a connection may take.")
    idempotency_header: str | None = Field(
        "Idempotency-Key", description="Header that carries the delivery's key; null sends none."
    )
    idempotent: bool = Field(
        False, description="The API acts once on a key, however often it comes: an unknown outcome is then retried."
    )
    hold_on_403: bool = Field(False, description="403 means bad credentials here: hold the lane as for 401.")
    retry_on_409: bool = Field(False, description="409 gets better by itself here: retry it.")
    max_reply: Size = Field(1_000_000, ge=1, description="How much of a reply is read.")

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        if re.search(r"[\s\x00-\x1f\x7f\\]", value):
            raise ValueError("the URL holds a space, a backslash or a control character")
        try:
            parts = urlsplit(value)
            httpx.URL(value)
            port_is_fine = parts.port != 0
        except (ValueError, httpx.InvalidURL) as error:
            raise ValueError(f"this is no URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
            raise ValueError("a URL starts with https:// or http:// and names a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("put user name and password under auth: {basic: {username: …, password: …}}")
        if parts.fragment:
            raise ValueError("a URL that is called has no #fragment")
        return value

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            wrong = wrong_header(name, text)
            if wrong:
                raise ValueError(wrong)
        return value

    @field_validator("idempotency_header")
    @classmethod
    def _is_a_header_name(cls, value: str | None) -> str | None:
        if value is not None and (not _HEADER_NAME.fullmatch(value) or value.lower() in OUR_HEADERS):
            raise ValueError(f"{value!r} can't be the name of a header")
        return value


def wrong_header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        return f"{name!r} can't be the name of a header"
    if name.lower() in OUR_HEADERS:
        return f"the header {name} is set by the relay itself"
    if not _HEADER_VALUE.fullmatch(value):
        return f"the header {name} holds a line break or a character that headers can't carry"
    return ""
