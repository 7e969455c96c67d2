"""A webhook of your own: JSON, signed as Standard Webhooks says, so that the receiver can use any of its libraries."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.common.encode import to_json
from connectors.common.plain import plain_url, wrong_header
from connectors.guides.webhook import GUIDE
from relay import clock
from relay.connector import (
    Action,
    Call,
    Check,
    ConnectionConfig,
    Connector,
    Context,
    Example,
    Fields,
    Outgoing,
    secrets_in,
)
from relay.errors import HoldError, PermanentError
from relay.http import (
    HIDDEN,
    HOLD_ON,
    Client,
    ClientOptions,
    HttpRequest,
    Received,
    Redactor,
    Sorting,
    base_headers,
    redact_headers,
    redact_url,
    sort_response,
)
from relay.model import Reply

# The specification: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md
_OURS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"})
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
#: The specification's least and most: 192 and 512 bits. Svix, from which it came, lets a person choose up to 75 bytes.
_SECRET_BYTES = range(24, 76)


def secret_bytes(secret: str) -> bytes:
    """The key in `whsec_` and base64. Raises ValueError that says what is wrong, without the secret."""
    if secret.startswith(("whsk_", "whpk_")):
        raise ValueError("this is a key for asymmetric signatures; the relay signs with a shared secret, whsec_…")
    coded = secret.removeprefix("whsec_").rstrip("=")
    try:
        key = b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "a secret is base64 after whsec_; make one with: echo whsec_$(openssl rand -base64 32)"
        ) from None
    if len(key) not in _SECRET_BYTES:
        raise ValueError(
            f"a secret holds {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes, and this one {len(key)}; "
            "make one with: echo whsec_$(openssl rand -base64 32)"
        )
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """What `webhook-signature` says: one signature for each key, separated by spaces."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in keys)


class WebhookConfig(ConnectionConfig):
    url: str = Field(description="Where the webhook goes.", examples=["https://api.example.com/hooks/relay"])
    secrets: list[SecretStr] = Field(
        min_length=1,
        max_length=5,
        description="The shared secret, `whsec_` and base64 of 24 bytes or more. While it is being changed, the new "
        "and the old one: each signs, and the receiver may check with either.",
        examples=[["${WEBHOOK_SECRET}"]],
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Further headers of every request.")
    hold_on_403: bool = Field(False, description="403 means a bad secret there: hold the lane as for 401.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the usual ones.")

    @field_validator("url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value)

    @field_validator("secrets")
    @classmethod
    def _are_keys(cls, value: list[SecretStr]) -> list[SecretStr]:
        texts = [secret.get_secret_value() for secret in value]
        # `${NAME}` is put in before a connection is made: only an example in a page still has it.
        keys = [secret_bytes(text) for text in texts if not text.startswith("${")]
        if len(set(keys)) < len(keys):
            raise ValueError("the same secret stands here twice; leave one out")
        return value

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            wrong = wrong_header(name, text)
            if name.lower() in _OURS:
                wrong = f"the header {name} is set by the relay itself"
            if wrong:
                raise ValueError(wrong)
        return value


class PostFields(Fields):
    model_config = ConfigDict(populate_by_name=False)

    type: str | None = Field(
        None,
        description="What happened, in words joined by dots; goes with `data`.",
        examples=["chat.message.created"],
    )
    data: dict[str, Any] | None = Field(
        None,
        description="What it happened to. The body is `type`, `timestamp` (when the event came to the relay) and "
        "`data`, as the specification recommends.",
    )
    json_: Any = Field(None, alias="json", description="The whole body, instead of `type` and `data`.")

    @model_validator(mode="after")
    def _one_body(self) -> PostFields:
        whole = "json_" in self.model_fields_set
        if whole == (self.type is not None or self.data is not None):
            raise ValueError("say either `type` and `data`, or `json`")
        if not whole and (self.type is None or self.data is None):
            raise ValueError("`type` and `data` go together")
        if self.type is not None and not _EVENT_TYPE.fullmatch(self.type):
            raise ValueError("type: letters, digits and _, in words joined by dots, such as chat.message.created")
        return self


@dataclass(frozen=True, slots=True)
class Post(Outgoing):
    """One message. Its time and its signatures are the attempt's: they are made when it is sent."""

    url: str
    message_id: str
    headers: Mapping[str, str] = field(repr=False)
    body: Any
    content: bytes = field(repr=False)

    def preview(self) -> dict[str, Any]:
        signed = {"webhook-id": self.message_id, "webhook-timestamp": HIDDEN, "webhook-signature": HIDDEN}
        return {
            "method": "POST",
            "url": redact_url(self.url),
            "headers": redact_headers(self.headers) | signed,
            "json": self.body,
        }


class Send(Action[WebhookConfig, PostFields, Post]):
    name = "send"
    summary = (
        "Send one signed message; any 2xx answer is a delivery. A receiver that remembers `webhook-id`, as the "
        "specification asks, acts once on it, so an unknown outcome is sent again."
    )
    With = PostFields
    idempotent = True
    examples = (
        Example(
            "As the specification recommends",
            {"type": "chat.message.created", "data": {"id": "m_17", "from": "ana@example.com", "text": "Hello"}},
        ),
        Example("A body of your own", {"json": {"event": "enrolled", "student": "20159707"}}),
    )

    def __init__(self, connection: Connector[WebhookConfig]) -> None:
        super().__init__(connection)
        config = self.config
        self._static = {
            **base_headers(),
            **{name.lower(): value for name, value in config.headers.items()},
            "content-type": "application/json",
        }
        self._keys = tuple(secret_bytes(secret.get_secret_value()) for secret in config.secrets)
        bare = (secret.get_secret_value().removeprefix("whsec_") for secret in config.secrets)
        self.sorting = Sorting(
            hold_on=HOLD_ON | ({403} if config.hold_on_403 else set()), redact=Redactor([*secrets_in(config), *bare])
        )

    def prepare(self, fields: PostFields, call: Call) -> Post:
        if "json_" in fields.model_fields_set:
            body = fields.json_
        else:
            # The event's moment and not the clock's: a retry must be the same message.
            when = {"timestamp": call.moment.isoformat().replace("+00:00", "Z")} if call.moment is not None else {}
            body = {"type": fields.type, **when, "data": fields.data}
        return Post(self.config.url, call.idempotency_key, self._static, body, to_json(body))

    async def send(self, outgoing: Post, call: Call) -> Reply:
        assert isinstance(self.connection, Webhook)
        timestamp = clock.now_ms() // 1000
        headers = {
            **outgoing.headers,
            "webhook-id": outgoing.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._keys, outgoing.message_id, timestamp, outgoing.content),
        }
        request = HttpRequest("POST", outgoing.url, headers, outgoing.content)
        received = await self.connection.client.send(request, timeout=call.timeout, idempotent=True)
        return self._sorted(received)

    def _sorted(self, received: Received) -> Reply:
        host, line, status = received.host, received.line, received.status
        if status in self.sorting.hold_on:
            raise HoldError(
                f"{host} answered {line}: it doesn't take the signature; compare `secrets` with the receiver's secret, "
                "and the clocks of both machines",
                status=status,
                cause=f"http {status}",
                received=received.record(self.sorting.redact),
            )
        if 300 <= status < 400:
            raise PermanentError(
                f"{host} answered {line}; no redirect is followed: put the right address into the connection's url",
                status=status,
                cause=f"http {status}",
                received=received.record(self.sorting.redact),
            )
        return sort_response(received, self.sorting)


class Webhook(Connector[WebhookConfig]):
    name = "webhook"
    summary = (
        "Webhooks of your own, signed as Standard Webhooks says; receivers check them with its libraries or Svix's."
    )
    guide = GUIDE
    Config = WebhookConfig
    actions = (Send,)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "webhook",
        "url": "https://api.example.com/hooks/relay",
        "secrets": ["${WEBHOOK_SECRET}"],
        "limit": {"concurrency": 8},
    }

    def __init__(self, config: WebhookConfig, context: Context) -> None:
        super().__init__(config, context)
        self.client = Client(
            ClientOptions(allow_private=config.allow_private, ca_file=config.ca_file, idle_seconds=context.idle_seconds)
        )

    async def check(self, timeout: timedelta) -> Check:
        host = await self.client.reach(self.config.url, timeout)
        return Check(f"{host} can be reached; whether it takes the signature is seen at the first message")

    async def aclose(self) -> None:
        await self.client.aclose()
