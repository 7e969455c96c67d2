"""Twilio: text messages (SMS and MMS).

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from connectors.common.api import ApiAction, ApiConnector, ApiRequest, Said
from connectors.common.encode import to_text
from connectors.common.vendor_words import one_line
from connectors.guides.twilio import GUIDE
from connectors.twilio.config import SmsFields, TwilioConfig
from connectors.twilio.errors import meaning
from connectors.twilio.segments import GSM, GSM_TWO, segments
from relay.connector import Call, Check, Context, Example, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import HOLD_ON, Redactor, Sorting

_BODY_CHARACTERS = 1600


class SendSms(ApiAction[TwilioConfig, SmsFields]):
    name = "sms"
    summary = (
        "Send a text message. Twilio knows no idempotency key: after a lost answer or a server error it may have been "
        "sent, and the step's `on_unknown` decides whether to repeat."
    )
    With = SmsFields
    examples = (
        Example("A text", {"to": "+15005551234", "from": "+15005550006", "body": "Your order is on its way."}),
        Example(
            "One segment at most, and not after half an hour",
            {
                "to": "+49 151 12345678",
                "from": "ACME",
                "body": "The service is down.",
                "validity": "30m",
                "max_segments": 1,
            },
        ),
    )

    def prepare(self, fields: SmsFields, call: Call) -> ApiRequest:
        form: dict[str, Any] = {"To": fields.to, **self._sender(fields)}
        if fields.content_sid is not None:
            form["ContentSid"] = fields.content_sid
            if fields.variables:
                # Twilio takes no numbers there.
                values = {name: to_text(value) for name, value in fields.variables.items()}
                form["ContentVariables"] = json.dumps(values, ensure_ascii=False)
        elif fields.body is not None and fields.body.strip():
            form["Body"] = _text(fields.body, fields.max_segments)
        elif not fields.media_urls:
            raise PermanentError("the text is empty: give `body`, `media_urls` or `content_sid`", cause="empty text")
        if fields.media_urls:
            form["MediaUrl"] = fields.media_urls
        if fields.status_callback is not None:
            form["StatusCallback"] = fields.status_callback
        if fields.validity is not None:
            form["ValidityPeriod"] = int(fields.validity.total_seconds())
        path = f"/2010-04-01/Accounts/{self.config.account_sid}/Messages.json"
        return ApiRequest("POST", self.config.base_url, path, "form", form, headers={"accept": "application/json"})

    def _sender(self, fields: SmsFields) -> dict[str, str]:
        """The step's own, else the connection's; a sender out of a service's pool where both are said."""
        for one in (fields, self.config):
            said = {"From": one.from_, "MessagingServiceSid": one.messaging_service_sid}
            form = {name: value for name, value in said.items() if value}
            if form:
                return form
        raise PermanentError(
            "nobody sends it: say `from` or `messaging_service_sid`, in the connection or in the step",
            cause="twilio no sender",
        )


def _text(body: str, most: int | None) -> str:
    text = body.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > _BODY_CHARACTERS:
        raise PermanentError(
            f"the text has {len(text)} characters and may have {_BODY_CHARACTERS}: use `| truncate(1600)`",
            cause="text too long",
        )
    if most is not None and (count := segments(text)) > most:
        odd = sorted({sign for sign in text if sign not in GSM and sign not in GSM_TWO})
        why = f" (with signs such as U+{ord(odd[0]):04X}, 70 fit into one and not 160)" if odd else ""
        raise PermanentError(
            f"the text takes {count} segments and `max_segments` is {most}{why}: shorten it in the recipe",
            cause="too many segments",
        )
    return text


class Twilio(ApiConnector[TwilioConfig]):
    name = "twilio"
    summary = "Text messages by Twilio."
    Config = TwilioConfig
    actions = (SendSms,)
    guide = GUIDE
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "twilio",
        "account_sid": f"AC{'0' * 32}",
        "api_key_sid": f"SK{'0' * 32}",
        "api_key_secret": "${TWILIO_SECRET}",
        "from": "+15005550006",
    }
    hold_on = HOLD_ON | {403}

    def __init__(self, config: TwilioConfig, context: Context) -> None:
        super().__init__(config, context)
        secret = config.auth_token or config.api_key_secret
        assert secret is not None
        pair = f"{config.api_key_sid or config.account_sid}:{secret.get_secret_value()}"
        proof = b64encode(pair.encode()).decode()
        self._headers = {"authorization": f"Basic {proof}"}
        self.sorting = Sorting(self.retry_on, self.hold_on, Redactor([*secrets_in(config), proof]))

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return self._headers

    def judge(self, said: Said) -> DeliveryError | None:
        return meaning(said, self.sorting.redact)

    async def check(self, timeout: timedelta) -> Check:
        """https://www.twilio.com/docs/iam/api/account#fetch-an-account-resource"""
        sid = self.config.account_sid
        try:
            body = await self._asked("", {}, timeout)
        except HoldError:
            if self.config.api_key_sid is None:
                raise
            # A standard key may do all but this: what it may see are the messages.
            await self._asked("/Messages", {"PageSize": 1}, timeout)
            return Check(f"Twilio takes the API key for the account {sid}; such a key can't see more of the account")
        if not body.get("sid"):
            raise PermanentError("that isn't Twilio's answer; check base_url", cause="not the api")
        name = one_line(body.get("friendly_name") or "without a name", self.sorting.redact)
        missing = []
        if body.get("status") != "active":
            state = one_line(body.get("status"), self.sorting.redact)
            missing.append(f"the account is {state}: look into Twilio's console, mostly at its billing")
        if body.get("type") == "Trial":
            missing.append(
                "it is a trial account: it sends to verified numbers only, with a line of its own before each text; "
                "verify the numbers or upgrade the account"
            )
        if not (self.config.from_ or self.config.messaging_service_sid):
            missing.append("the connection has no sender: each step must say `from` or `messaging_service_sid`")
        return Check(f"Twilio's account {sid} ({name}) takes the credentials", tuple(missing))

    async def _asked(self, below: str, query: Mapping[str, Any], timeout: timedelta) -> Mapping[str, Any]:
        path = f"/2010-04-01/Accounts/{self.config.account_sid}{below}.json"
        asked = ApiRequest(
            "GET", self.config.base_url, path, query=query, headers={"accept": "application/json"}
        )  # fmt: skip
        try:
            said = await self.ask(asked, timeout)
        except UnknownOutcomeError as error:
            raise RetryableError(
                "Twilio can't say at the moment; try again", status=error.status, cause=error.cause
            ) from None  # fmt: skip
        return said.body if isinstance(said.body, dict) else {}
