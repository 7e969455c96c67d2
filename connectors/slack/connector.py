"""Slack: messages by an incoming webhook, or by chat.postMessage with a bot's token.

Slack knows no public key against repeats: after an unknown outcome the recipe's `on_unknown` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.secret_url import SecretUrl, host_of, pieces_of, rest_of
from connectors.common.vendor_words import HeaderSecret
from connectors.guides.slack import GUIDE
from connectors.slack.blocks import check_message
from connectors.slack.errors import sort_api, sort_webhook, whose_token
from relay.connector import Call, Check, Context, Example, Fields, Limit, secrets_in
from relay.errors import DeliveryError, PermanentError
from relay.http import HOLD_ON, Redactor, Sorting

_API = "https://slack.com/api"


class SlackConfig(ApiConfig):
    base_url: str = Field(
        _API, description="Where the Web API lives, for `post_message`; another one is for tests and proxies."
    )
    webhook: SecretUrl | None = Field(
        None, description="Address of an incoming webhook, for `webhook`: it belongs to one channel, and is a secret."
    )
    token: HeaderSecret | None = Field(
        None, description="A bot's token (xoxb-…) with the scope chat:write, for `post_message`."
    )
    limit: Limit = Field(
        Limit(rate="1/s"),
        description="Concurrency and rate of the connection's lane. Slack takes one message a second in a channel; "
        "raise it where the messages of `post_message` go to many channels.",
    )

    @model_validator(mode="after")
    def _can_do_something(self) -> SlackConfig:
        if self.webhook is None and self.token is None:
            raise ValueError("give it `webhook`, the address of an incoming webhook, or `token`, a bot's token")
        return self


class MessageFields(Fields):
    text: str | None = Field(
        None,
        description="The message in Slack's markup, sent as written: data in it can mention and link. At most 40,000 "
        "characters, 4,000 read well. Beside blocks it is what notifications show.",
        examples=["*New chat* from <https://example.com/u/7|Ana>"],
    )
    plain: str | None = Field(
        None,
        description="In place of text: shown as it is. `&`, `<` and `>` are escaped and markup is off, so that what "
        "strangers wrote mentions nobody.",
    )
    blocks: list[Any] = Field(
        [], description="Block Kit blocks, at most 50; Slack refuses more than about 13,000 characters in all of them."
    )
    attachments: list[Any] = Field([], description="Attachments of the old kind, at most 100: a coloured bar.")
    thread_ts: str | None = Field(
        None, description="Answer in the thread of the message with this `ts`.", examples=["1503435956.000247"]
    )
    unfurl_links: bool | None = Field(None, description="Whether Slack shows what links lead to.")
    unfurl_media: bool | None = Field(None, description="Whether Slack shows pictures and films that links lead to.")

    @model_validator(mode="after")
    def _one_text(self) -> MessageFields:
        if self.text is not None and self.plain is not None:
            raise ValueError("give text, which is Slack's markup, or plain, which is shown as it is, not both")
        return self

    def body(self) -> dict[str, Any]:
        """Raises PermanentError where Slack would refuse it."""
        text = self.text if self.plain is None else escaped(self.plain)
        check_message(text or "", self.blocks, self.attachments)
        body: dict[str, Any] = {}
        if text:
            body["text"] = text
            if self.plain is not None:
                body["mrkdwn"] = False
        for name in ("blocks", "attachments"):
            if getattr(self, name):
                body[name] = getattr(self, name)
        for name in ("thread_ts", "unfurl_links", "unfurl_media"):
            if getattr(self, name) is not None:
                body[name] = getattr(self, name)
        return body


class PostFields(MessageFields):
    channel: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[^\s\x00-\x1f]+$",
        description="Id of the channel, or of a person for a direct message; a public channel's name works, too.",
        examples=["C0123456789", "#support"],
    )
    reply_broadcast: bool | None = Field(None, description="Show an answer in a thread in the channel too.")
    username: str | None = Field(None, description="Name to post under; needs the scope chat:write.customize.")
    icon_emoji: str | None = Field(None, description="Emoji to post under, as `:bell:`; needs the same scope.")
    icon_url: str | None = Field(None, description="Picture to post under; needs the same scope.")

    def body(self) -> dict[str, Any]:
        own = ("reply_broadcast", "username", "icon_emoji", "icon_url")
        given = {name: getattr(self, name) for name in own if getattr(self, name) is not None}
        return {"channel": self.channel, **super().body(), **given}


def escaped(text: str) -> str:
    """The three characters that Slack's markup is made of, as https://docs.slack.dev/messaging/formatting-message-text
    asks. Nothing else: other entities would be shown as they are written."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _missing(name: str, other: str, do: str) -> PermanentError:
    return PermanentError(
        f"the connection has no `{name}`: give it one, or, as it has a `{other}`, say `do: {do}`",
        cause=f"slack {name} missing",
    )


_BLOCKS = [
    {"type": "header", "text": {"type": "plain_text", "text": "New order"}},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Total*\n12.50"}]},
]


class Webhook(ApiAction[SlackConfig, MessageFields]):
    name = "webhook"
    summary = "Post a message to the channel of an incoming webhook."
    With = MessageFields
    examples = (
        Example("Text", {"text": "*New chat* from Ana"}),
        Example("What a stranger wrote", {"plain": "<!channel> & friends"}),
        Example("Blocks", {"text": "New order", "blocks": _BLOCKS}),
    )

    def prepare(self, fields: MessageFields, call: Call) -> ApiRequest:
        webhook = self.config.webhook
        if webhook is None:
            raise _missing("webhook", "token", "post_message")
        return ApiRequest(
            "POST", host_of(webhook), "", kind="json", body=fields.body(), hidden=(), hidden_path=True
        )  # fmt: skip


class PostMessage(ApiAction[SlackConfig, PostFields]):
    name = "post_message"
    summary = "Post a message to any channel the bot is in (chat.postMessage); the reply's `ts` names it."
    With = PostFields
    examples = (
        Example("Text", {"channel": "C0123456789", "text": "*New chat* from Ana"}),
        Example("In a thread", {"channel": "C0123456789", "plain": "1 < 2", "thread_ts": "1503435956.000247"}),
        Example("Blocks", {"channel": "#orders", "text": "New order", "blocks": _BLOCKS, "username": "Orders"}),
    )

    def prepare(self, fields: PostFields, call: Call) -> ApiRequest:
        if self.config.token is None:
            raise _missing("token", "webhook", "webhook")
        return ApiRequest("POST", self.config.base_url, "/chat.postMessage", kind="json", body=fields.body())


class Slack(ApiConnector[SlackConfig]):
    name = "slack"
    summary = "Messages in Slack, by an incoming webhook or a bot's token."
    guide = GUIDE
    Config = SlackConfig
    actions = (Webhook, PostMessage)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "slack",
        "webhook": "${SLACK_WEBHOOK}",
        "token": "${SLACK_BOT_TOKEN}",
    }
    hold_on = HOLD_ON | {403}

    def __init__(self, config: SlackConfig, context: Context) -> None:
        super().__init__(config, context)
        pieces = pieces_of(config.webhook) if config.webhook is not None else []
        redact = Redactor([*secrets_in(config), *pieces])
        self.sorting = Sorting(retry_on=self.retry_on, hold_on=self.hold_on, redact=redact)

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        """For `post_message` alone: the webhook's requests hide no header, and get none."""
        token = self.config.token
        return {"authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}

    def secret_path(self) -> str:
        return rest_of(self.config.webhook) if self.config.webhook is not None else ""

    def reach_url(self) -> str:
        return host_of(self.config.webhook) if self.config.webhook is not None else self.config.base_url

    async def check(self, timeout: timedelta) -> Check:
        """A webhook can't be tried without posting; a bot's token can: https://docs.slack.dev/reference/methods/auth.test"""
        found: list[str] = []
        missing: tuple[str, ...] = ()
        if self.config.token is not None:
            answer = await self.ask(ApiRequest("POST", self.config.base_url, "/auth.test", kind="form"), timeout)
            known, missing = whose_token(answer)
            found.append(known)
        if self.config.webhook is not None:
            host = await self.client.reach(self.reach_url(), timeout)
            found.append(f"{host} can be reached; the webhook can't be tried without posting")
        return Check("; ".join(found), missing)

    def judge(self, said: Said) -> DeliveryError | None:
        # The Web API answers in JSON; a webhook in one word of plain text, but a workflow's webhook as the API does.
        in_json = isinstance(said.body, dict) or "json" in (said.header("content-type") or "")
        return sort_api(said) if in_json else sort_webhook(said)
