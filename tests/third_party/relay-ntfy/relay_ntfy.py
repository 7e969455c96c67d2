"""ntfy: notifications on phones and desktops. https://docs.ntfy.sh/publish/#publish-as-json"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from relay.connector import (
    Action,
    Call,
    Check,
    ConnectionConfig,
    Connector,
    Context,
    Example,
    Fields,
    Guide,
    Limit,
    Outgoing,
    Trouble,
    secrets_in,
)
from relay.errors import HoldError
from relay.http import (
    HIDDEN,
    Client,
    ClientOptions,
    HttpRequest,
    Received,
    Redactor,
    Sorting,
    base_headers,
    sort_response,
)
from relay.model import Reply

MESSAGE_BYTES = 4096


class NtfyConfig(ConnectionConfig):
    base_url: str = Field("https://ntfy.sh", pattern=r"^https?://[^/?#\s]+$", description="The server, without a path.")
    topic: str = Field(pattern=r"^[-_A-Za-z0-9]{1,64}$", description="The topic that people subscribe to.")
    token: SecretStr = Field(description="An access token, which starts with tk_.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    limit: Limit = Field(
        Limit(rate="12/min", concurrency=1),
        description="Concurrency and rate of the connection's lane. ntfy takes one request each five seconds.",
    )

    @field_validator("token")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr) -> SecretStr:
        if not (value.get_secret_value().isascii() and value.get_secret_value().isprintable()):
            raise ValueError("a token is printable ASCII on one line")
        return value


class NoteFields(Fields):
    message: str = Field(min_length=1, description="What to say, at most 4096 bytes.")
    title: str | None = Field(None, description="A title; else ntfy shows the topic.")
    priority: int | None = Field(
        None, ge=1, le=5, description="From 1 (silent) to 5 (urgent); 3 where nothing is said."
    )
    tags: list[str] = Field([], description="Tags; those that name an emoji are shown as one.", examples=[["warning"]])
    click: str | None = Field(None, description="An address that a tap on the notification opens.")

    @field_validator("message")
    @classmethod
    def _is_short_enough(cls, value: str) -> str:
        # ntfy would make an attachment of it, which no phone shows.
        if len(value.encode()) > MESSAGE_BYTES:
            raise ValueError(f"has {len(value.encode())} bytes; ntfy takes {MESSAGE_BYTES}: shorten it in the recipe")
        return value


@dataclass(frozen=True, slots=True)
class Note(Outgoing):
    url: str
    body: Mapping[str, Any]

    def preview(self) -> dict[str, Any]:
        headers = {"authorization": HIDDEN, "content-type": "application/json"}
        return {"method": "POST", "url": self.url, "headers": headers, "json": dict(self.body)}


class Publish(Action[NtfyConfig, NoteFields, Note]):
    name = "publish"
    summary = "Publish a notification. ntfy has no idempotency key: a repeat is a second notification."
    With = NoteFields
    examples = (
        Example("Text", {"message": "A chat got one star"}),
        Example(
            "With a title, loud", {"title": "Payment failed", "message": "Order 17", "priority": 4, "tags": ["warning"]}
        ),
    )
    connection: Ntfy

    def prepare(self, fields: NoteFields, call: Call) -> Note:
        given = fields.model_dump(exclude_none=True, exclude_defaults=True)
        return Note(f"{self.config.base_url}/", {"topic": self.config.topic, **given})

    async def send(self, outgoing: Note, call: Call) -> Reply:
        content = json.dumps(outgoing.body, ensure_ascii=False).encode()
        received = await self.connection.ask("POST", outgoing.url, call.timeout, content)
        return sort_response(received, self.connection.sorting)


class Ntfy(Connector[NtfyConfig]):
    name = "ntfy"
    summary = "ntfy: notifications on phones and desktops"
    Config = NtfyConfig
    actions = (Publish,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "ntfy", "topic": "support-alerts-x7", "token": "${NTFY_TOKEN}"}
    guide = Guide(
        setup=(
            "At ntfy.sh, or your own server, open Account, then Access tokens, and create one.",
            "Reserve the topic under Account, Reserved topics, so that nobody else publishes to it.",
            "Name topic and token in relay.yaml, and subscribe to the topic on a phone.",
        ),
        repeats="Nothing: ntfy has no idempotency key. After a lost answer the outcome is unknown, and the recipe's "
        "`on_unknown` decides whether a second notification is better than none.",
        limits=("A message has at most 4096 bytes; longer ones are refused before they are sent.",),
        troubles=(
            Trouble("http 401", "The token isn't taken: the lane waits.", "admin", "Create a new token.", "hold"),
            Trouble(
                "http 403", "The token may not publish to the topic.", "vendor", "Give its owner the right.", "hold"
            ),
        ),
        verified="ntfy's documentation and the source of its server; not the service itself.",
    )

    def __init__(self, config: NtfyConfig, context: Context) -> None:
        super().__init__(config, context)
        self.client = Client(ClientOptions(allow_private=config.allow_private, idle_seconds=context.idle_seconds))
        # The topic is the connection's: what one delivery may not, no delivery may. Hence 403 holds the lane.
        self.sorting = Sorting(hold_on=frozenset({401, 403}), redact=Redactor(secrets_in(config)))

    async def ask(self, method: str, url: str, timeout: timedelta, content: bytes = b"") -> Received:
        headers = base_headers({"authorization": f"Bearer {self.config.token.get_secret_value()}"}.items())
        if content:
            headers["content-type"] = "application/json"
        return await self.client.send(HttpRequest(method, url, headers, content), timeout=timeout)

    async def check(self, timeout: timedelta) -> Check:
        """Reading the account writes nothing, and a wrong token is a 401."""
        reply = sort_response(await self.ask("GET", f"{self.config.base_url}/v1/account", timeout), self.sorting)
        if not isinstance(reply.body, dict) or "username" not in reply.body:
            raise HoldError(f"{self.config.base_url} is no ntfy server: check base_url", cause="not ntfy")
        return Check(f"the token is {reply.body['username']}'s")

    async def aclose(self) -> None:
        await self.client.aclose()
