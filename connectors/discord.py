"""Discord, by a channel's webhook.

Discord knows no key against repeats at webhooks: after an unknown outcome the recipe's `on_unknown` decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.secret_url import PLACEHOLDER, SecretUrl, pieces_of
from connectors.common.vendor_words import one_line
from connectors.guides.discord import GUIDE
from relay.connector import Call, Check, Context, Example, Fields, Limit, secrets_in
from relay.errors import DeliveryError, PermanentError
from relay.http import Redactor, Sorting, retry_after
from relay.model import JSON

_WEBHOOK = re.compile(r"/webhooks/(\d{1,20})/([\w.-]{1,200})/?$", re.ASCII)
_MAX_CONTENT = 2000
_MAX_EMBEDS = 10
_MAX_EMBED_CHARACTERS = 6000
_MAX_FIELDS = 25
#: Where texts stand in an embed, and how long they may be.
_EMBED_TEXTS = {("title",): 256, ("description",): 4096, ("footer", "text"): 2048, ("author", "name"): 256}
_FIELD_TEXTS = {"name": 256, "value": 1024}
_SILENT = 1 << 12

_NEW_WEBHOOK = "make a new webhook (the channel's settings, Integrations) and put its address into the connection"
#: By Discord's own codes: every message of the connection would fail alike.
_HOLD = {
    10015: f"the webhook was deleted; {_NEW_WEBHOOK}",
    50027: f"the webhook's token is wrong; {_NEW_WEBHOOK}",
    40333: "Cloudflare keeps the relay's address out; ask Discord's support",
}
_RETRY = {20016, 20022, 20028, 20029, 40062, 130000}
_PERMANENT = {
    10003: "there is no such thread; check thread_id",
    50006: "the message is empty",
    50035: "Discord refuses the form of",
    50083: "the thread is archived",
    160005: "the thread is locked",
    220001: "the webhook's channel is a forum: give thread_name or thread_id",
    220002: "give thread_name or thread_id, not both",
    220003: "thread_name is for forum channels only",
}


class DiscordConfig(ApiConfig):
    base_url: str = Field(
        "https://discord.com/api/v10",
        description="Where the API lives; another one is for tests and proxies. The version stays ten, whatever the "
        "webhook's address says: older ones give waits in another unit.",
    )
    webhook: SecretUrl = Field(
        description="Address of the channel's webhook, as Discord shows it: it is a secret.",
        examples=["${DISCORD_WEBHOOK}"],
    )
    limit: Limit = Field(
        Limit(rate="5/2s"),
        description="Concurrency and rate of the connection's lane: Discord takes five messages in two seconds.",
    )

    @field_validator("webhook")
    @classmethod
    def _is_a_webhook(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not _WEBHOOK.search(text) and not PLACEHOLDER.fullmatch(text):
            raise ValueError(
                "a webhook's address ends with /webhooks/…/…, without a ?query; say the thread in a step's thread_id"
            )
        return value


class MessageFields(Fields):
    content: str = Field(
        "", description="The message in Discord's Markdown, at most 2,000 characters.", examples=["**New order**"]
    )
    embeds: list[dict[str, Any]] = Field(
        [], description="At most ten embeds: title, description, url, color, fields (name, value, inline), footer, …"
    )
    username: str | None = Field(None, min_length=1, max_length=80, description="Name to post under.")
    avatar_url: str | None = Field(None, description="Picture to post under.")
    allowed_mentions: dict[str, Any] = Field(
        {"parse": []},
        description="Who may be mentioned. By default nobody, whatever the message says: `@everyone` in an event's "
        "data stays text.",
        examples=[{"parse": ["users"]}, {"roles": ["41771983423143936"]}],
    )
    thread_id: str | None = Field(None, pattern=r"^\d{1,20}$", description="Post in this thread of the channel.")
    thread_name: str | None = Field(
        None, min_length=1, max_length=100, description="In a forum: start a thread of this name."
    )
    silent: bool = Field(False, description="Post without a notification.")
    tts: bool = Field(False, description="Have the message read out.")


class Post(ApiAction[DiscordConfig, MessageFields]):
    name = "post"
    summary = "Post a message to the webhook's channel; the reply's `id` names it."
    With = MessageFields
    examples = (
        Example("Text", {"content": "**New chat** from Ana"}),
        Example(
            "An embed, under a name",
            {
                "username": "Orders",
                "embeds": [{"title": "Order 7", "color": 5763719, "fields": [{"name": "Total", "value": "12.50"}]}],
            },
        ),
        Example(
            "In a thread, mentioning people",
            {"content": "<@1>", "thread_id": "2", "allowed_mentions": {"users": ["1"]}},
        ),
    )

    def prepare(self, fields: MessageFields, call: Call) -> ApiRequest:
        wrong = next(_wrong(fields), "")
        if wrong:
            raise PermanentError(f"Discord wouldn't take this message: {wrong}", cause="discord message refused")
        body: dict[str, Any] = {"allowed_mentions": fields.allowed_mentions}
        for name in ("content", "embeds", "username", "avatar_url", "thread_name", "tts"):
            if getattr(fields, name):
                body[name] = getattr(fields, name)
        if fields.silent:
            body["flags"] = _SILENT
        # Without wait, Discord says 204 before it knows whether it will post.
        query = {"wait": "true", **({"thread_id": fields.thread_id} if fields.thread_id else {})}
        return ApiRequest(
            "POST", self.config.base_url, "/webhooks", kind="json", body=body, query=query, hidden=(), hidden_path=True
        )  # fmt: skip


def _wrong(fields: MessageFields) -> Iterator[str]:
    if not fields.content.strip() and not fields.embeds:
        yield "it is empty; give it content or embeds"
    if fields.thread_id and fields.thread_name:
        yield "give thread_id or thread_name, not both"
    yield from _too_long(fields.content, _MAX_CONTENT, "content")
    if len(fields.embeds) > _MAX_EMBEDS:
        yield f"embeds has {len(fields.embeds)} items, {_MAX_EMBEDS} are the most"
    total = 0
    for n, embed in enumerate(fields.embeds):
        texts = list(_texts(embed, f"embeds[{n}]"))
        for place, text, most in texts:
            yield from _too_long(text, most, place)
            total += len(text) if isinstance(text, str) else 0
        inner = embed.get("fields")
        if inner is not None and not isinstance(inner, list):
            yield f"embeds[{n}].fields is no list"
        elif inner is not None and len(inner) > _MAX_FIELDS:
            yield f"embeds[{n}].fields has {len(inner)} items, {_MAX_FIELDS} are the most"
        for m, field in enumerate(inner or []):
            for name in _FIELD_TEXTS:
                if not isinstance(field, Mapping) or not field.get(name):
                    yield f"embeds[{n}].fields[{m}] needs {name}"
    if total > _MAX_EMBED_CHARACTERS:
        yield f"the embeds have {total} characters together, {_MAX_EMBED_CHARACTERS} are the most"


def _texts(embed: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any, int]]:
    for path, most in _EMBED_TEXTS.items():
        value: Any = embed
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            yield f"{where}.{'.'.join(path)}", value, most
    inner = embed.get("fields")
    for n, field in enumerate(inner if isinstance(inner, list) else []):
        for name, most in _FIELD_TEXTS.items():
            if isinstance(field, Mapping) and field.get(name) is not None:
                yield f"{where}.fields[{n}].{name}", field[name], most


def _too_long(text: Any, most: int, place: str) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{place} is no text"
    elif len(text) > most:
        yield f"{place} has {len(text)} characters, {most} are the most; cut it with `| truncate`"


class Discord(ApiConnector[DiscordConfig]):
    name = "discord"
    summary = "Messages in Discord, by a channel's webhook."
    guide = GUIDE
    Config = DiscordConfig
    actions = (Post,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "discord", "webhook": "${DISCORD_WEBHOOK}"}

    def __init__(self, config: DiscordConfig, context: Context) -> None:
        super().__init__(config, context)
        redact = Redactor([*secrets_in(config), *pieces_of(config.webhook)])
        self.sorting = Sorting(retry_on=self.retry_on, hold_on=self.hold_on, redact=redact)

    def secret_path(self) -> str:
        found = _WEBHOOK.search(self.config.webhook.get_secret_value())
        return f"/{found[1]}/{found[2]}" if found else ""

    async def check(self, timeout: timedelta) -> Check:
        """A webhook may be looked at by whoever has its address."""
        asked = ApiRequest("GET", self.config.base_url, "/webhooks", hidden=(), hidden_path=True)
        said = await self.ask(asked, timeout)
        body = said.body if isinstance(said.body, dict) else {}
        if "channel_id" not in body:
            raise said.permanent("that isn't a webhook; copy its address again", "discord answered no webhook")
        name, channel = (one_line(body.get(key) or "?", self.sorting.redact) for key in ("name", "channel_id"))
        return Check(f"Discord knows the webhook: {name}, which posts to the channel {channel}")

    def judge(self, said: Said) -> DeliveryError | None:
        body = said.body if isinstance(said.body, dict) else {}
        if 200 <= said.status < 300:
            if said.status == 204 or said.received.cut or "id" in body:
                return None
            return said.unknown("without the message, so it may not have been Discord", "discord answered no message")
        code = body.get("code") if type(body.get("code")) is int else 0
        wait = _wait(said, body)
        if said.status == 429 or code in _RETRY:
            everywhere = " of all its webhooks together" if body.get("global") is True else ""
            return said.retry(f"more than Discord takes{everywhere}", "discord rate limit", wait)
        if code in _HOLD:
            return said.hold(_HOLD[code], f"discord {code}")
        if not code or said.status >= 500 or said.status in self.hold_on:
            return None
        words = _PERMANENT.get(code, "the attempt's record has Discord's words")
        if code == 50035:
            words = f"{words} {', '.join(list(_places(body.get('errors')))[:5]) or 'the message'}"
        return said.permanent(f"code {code}: {words}", f"discord {code}")


def _wait(said: Said, body: Mapping[str, JSON]) -> timedelta | None:
    """The body's `retry_after` is exact, in seconds with a fraction; the header is rounded up."""
    seconds = body.get("retry_after")
    if isinstance(seconds, (int, float)) and type(seconds) is not bool and 0 <= seconds < 10_000_000:
        return timedelta(seconds=seconds)
    return retry_after(said.header("retry-after"))


def _places(errors: Any, path: str = "") -> Iterator[str]:
    """`embeds.0.title (BASE_TYPE_MAX_LENGTH)` of each error in the tree: names and codes, never what was sent."""
    if not isinstance(errors, Mapping):
        return
    for name, inner in errors.items():
        if name == "_errors" and isinstance(inner, list):
            codes = [str(one.get("code", "")) for one in inner if isinstance(one, Mapping)]
            known = ", ".join(code for code in codes if re.fullmatch(r"[A-Z0-9_]{1,60}", code))
            yield f"{path or 'the message'} ({known})" if known else path or "the message"
        elif re.fullmatch(r"[a-z0-9_]{1,40}", str(name)):
            yield from _places(inner, f"{path}.{name}" if path else str(name))
