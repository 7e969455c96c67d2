"""Microsoft Teams, by the webhook of a workflow ("When a Teams webhook request is received").

A 202 means that the workflow has taken the message, not that it has posted it: that is seen in the workflow's run
history. A workflow knows no key against repeats: after an unknown outcome the recipe's `on_unknown` decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, cast

from pydantic import Field, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.encode import to_json, to_text
from connectors.common.plain import plain_url
from connectors.common.secret_url import SecretUrl, host_of, pieces_of, rest_of
from connectors.guides.teams import GUIDE
from relay.connector import Call, Check, Context, Example, Fields, Limit, secrets_in
from relay.errors import DeliveryError, PermanentError, UnknownOutcomeError
from relay.http import HOLD_ON, Received, Redactor, Sorting
from relay.model import Reply

_MAX_BYTES = 28 * 1024
_CODE = re.compile(r"[A-Za-z]{1,60}")
#: How the retired connectors of Microsoft 365 said, with a 200, that nothing was posted. Not verified.
_OLD_FAILURE = re.compile(r"webhook (message delivery failed|bad request)", re.IGNORECASE)
_OLD_STATUS = re.compile(r"HTTP error (\d{3})")

_NEW_WEBHOOK = "copy the address from the workflow's first step again"
#: By the workflow service's codes: every message of the connection would fail alike.
_HOLD = {
    "WorkflowTriggerIsNotEnabled": "the workflow is switched off; switch it on in Power Automate",
    "WorkflowNotFound": f"the workflow was deleted; make a new one, and {_NEW_WEBHOOK}",
    "ResourceNotFound": f"the workflow was deleted; make a new one, and {_NEW_WEBHOOK}",
    "DirectApiAuthorizationRequired": f"the address isn't whole, or the workflow wants a sign-in; {_NEW_WEBHOOK}",
    "DirectApiInvalidAuthorizationScheme": f"the workflow wants a sign-in; let anyone trigger it, and {_NEW_WEBHOOK}",
    "AuthorizationFailed": f"the workflow's key was renewed; {_NEW_WEBHOOK}",
}
_RETRY = {"WorkflowTriggerThrottled", "TooManyRequests"}


class TeamsConfig(ApiConfig):
    base_url: str = Field(
        "", description="Not needed, as the webhook's address says it all: in place of its host, for tests and proxies."
    )
    webhook: SecretUrl = Field(
        description="Address of the workflow's webhook, whole: it is a secret, its `sig=` lets anyone post.",
        examples=["${TEAMS_WEBHOOK}"],
    )
    limit: Limit = Field(
        Limit(rate="4/s"),
        description="Concurrency and rate of the connection's lane: Teams slows down who sends over four a second.",
    )

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value) if value else value


class MessageFields(Fields):
    title: str | None = Field(None, description="In bold above the message; shown as it is.", examples=["New order"])
    text: str | None = Field(
        None, description="The message, in the Markdown of Adaptive Cards: data in it can link and format."
    )
    plain: str | None = Field(None, description="In place of text: shown as it is, whatever strangers wrote.")
    facts: dict[str, Any] = Field(
        {}, description="Names and values below it, in two columns; an empty value is left out. Markdown works in them."
    )
    links: dict[str, str] = Field(
        {}, description="Buttons that open a page: what stands on them, and an address with http:// or https://."
    )
    card: dict[str, Any] | None = Field(None, description="In place of all the others: a whole Adaptive Card.")

    @model_validator(mode="after")
    def _one_message(self) -> MessageFields:
        given = [name for name in ("title", "text", "plain", "facts", "links") if getattr(self, name)]
        if self.card is not None and given:
            raise ValueError(f"a card is the whole message; {' and '.join(given)} can't stand beside it")
        if self.card is None and not any(name in given for name in ("title", "text", "plain", "facts")):
            raise ValueError("the message is empty; give it title, text, plain, facts or card")
        if self.text is not None and self.plain is not None:
            raise ValueError("give text, which is Markdown, or plain, which is shown as it is, not both")
        return self


def _as_it_is(text: str, **style: Any) -> dict[str, Any]:
    """The one element of a card without Markdown is a run of text."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def card_of(fields: MessageFields) -> dict[str, Any]:
    """Version 1.4 is what Teams shows on every device."""
    body: list[dict[str, Any]] = []
    if fields.title:
        body.append(_as_it_is(fields.title, size="Large", weight="Bolder"))
    if fields.text:
        body.append({"type": "TextBlock", "text": fields.text, "wrap": True})
    if fields.plain:
        body.append(_as_it_is(fields.plain))
    facts = [{"title": str(name), "value": to_text(value)} for name, value in fields.facts.items()]
    facts = [fact for fact in facts if fact["value"]]
    if facts:
        body.append({"type": "FactSet", "facts": facts})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if fields.links:
        card["actions"] = [_link(title, address) for title, address in fields.links.items()]
    return card


def _link(title: str, address: str) -> dict[str, Any]:
    if not address.lower().startswith(("https://", "http://")):
        raise _refused(f"the link {title[:40]!r} leads to no address with http:// or https://")
    return {"type": "Action.OpenUrl", "title": title, "url": address}


def _refused(why: str) -> PermanentError:
    return PermanentError(f"Teams wouldn't take this message: {why}", cause="teams message refused")


class Post(ApiAction[TeamsConfig, MessageFields]):
    name = "post"
    summary = "Post a card to the workflow's channel or chat; a 202 means that the workflow has taken it."
    With = MessageFields
    examples = (
        Example("Text", {"text": "**New chat** from Ana"}),
        Example(
            "Title, facts and a button",
            {
                "title": "New order",
                "plain": "No [onions] please",
                "facts": {"Number": 7, "Total": "12.50"},
                "links": {"Open": "https://example.com/orders/7"},
            },
        ),
        Example(
            "A whole card",
            {"card": {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "Hello"}]}},
        ),
    )

    def prepare(self, fields: MessageFields, call: Call) -> ApiRequest:
        card = fields.card if fields.card is not None else card_of(fields)
        if card.get("type") != "AdaptiveCard" or not isinstance(card.get("version"), str):
            raise _refused("a card has `type: AdaptiveCard` and a version, as '1.4'")
        if not card.get("body"):
            raise _refused("the card's body is empty")
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        body = {"type": "message", "attachments": [attachment]}
        size = len(to_json(body))
        if size > _MAX_BYTES:
            raise _refused(f"it has {size} bytes, {_MAX_BYTES} are the most; cut its texts with `| truncate`")
        base = cast("Teams", self.connection).reach_url()
        return ApiRequest("POST", base, "", kind="json", body=body, hidden=(), hidden_path=True)


class Teams(ApiConnector[TeamsConfig]):
    name = "teams"
    summary = "Messages in Microsoft Teams, by a workflow's webhook."
    guide = GUIDE
    Config = TeamsConfig
    actions = (Post,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "teams", "webhook": "${TEAMS_WEBHOOK}"}
    # The signature is all there is of credentials; 403 is an address that the workflow doesn't let in.
    hold_on = HOLD_ON | {403}

    def __init__(self, config: TeamsConfig, context: Context) -> None:
        super().__init__(config, context)
        redact = Redactor([*secrets_in(config), *pieces_of(config.webhook)])
        self.sorting = Sorting(retry_on=self.retry_on, hold_on=self.hold_on, redact=redact)

    def secret_path(self) -> str:
        return rest_of(self.config.webhook)

    def reach_url(self) -> str:
        return self.config.base_url or host_of(self.config.webhook)

    async def check(self, timeout: timedelta) -> Check:
        host = await self.client.reach(self.reach_url(), timeout)
        return Check(f"{host} can be reached; a workflow can't be tried without running it, so its address wasn't")

    def sorted(self, received: Received) -> Reply:
        reply = super().sorted(received)
        if reply.status != 202:
            return reply
        return replace(reply, summary=f"{reply.summary}: the workflow has it; its run history says whether it posted")

    def judge(self, said: Said) -> DeliveryError | None:
        if 200 <= said.status < 300:
            return _old_failure(said)
        error = said.body.get("error") if isinstance(said.body, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            return None
        cause = f"teams {code}"
        if code in _HOLD:
            return said.hold(f"{code}: {_HOLD[code]}", cause)
        if said.status == 502 and code == "NoResponse":
            return _no_response(said, cause)
        if said.status == 429 or code in _RETRY:
            return said.retry(f"{code}: more than the workflow takes", cause)
        if 400 <= said.status < 500 and said.status not in self.hold_on | self.retry_on | {410}:
            return said.permanent(f"{code}: the attempt's record has the workflow's words", cause)
        return None


def _no_response(said: Said, cause: str) -> UnknownOutcomeError:
    # A workflow with a Response step that it didn't reach: the steps before it may have posted.
    return said.unknown("NoResponse: the workflow began and didn't finish, so it may have posted", cause)


def _old_failure(said: Said) -> DeliveryError | None:
    """A retired connector's 200 with an error as its text. Anything else is what the workflow's author answers."""
    text = said.body if isinstance(said.body, str) else ""
    if text.lstrip()[:1] == "<":
        return said.unknown("with a page, so it may not have been the workflow", "teams answered a page")
    if not _OLD_FAILURE.match(text):
        return None
    found = _OLD_STATUS.search(text)
    status = int(found[1]) if found else 400
    words = f"but nothing was posted (HTTP error {status} within Teams)"
    if status == 429 or status >= 500:
        return said.retry(words, f"teams failure {status}", timedelta(seconds=30) if status == 429 else None)
    return said.permanent(words, f"teams failure {status}")
