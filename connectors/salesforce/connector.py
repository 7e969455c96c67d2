"""Salesforce: any object, by its REST API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from connectors.common.api import ApiRequest, Said
from connectors.common.oauth import OAuth
from connectors.common.oauth_api import OAuthConnector
from connectors.common.plain import plain_url
from connectors.guides.salesforce import GUIDE
from connectors.salesforce.composite import Composite
from connectors.salesforce.config import SalesforceConfig
from connectors.salesforce.errors import errors_in, verdict
from connectors.salesforce.records import Create, Update, Upsert
from relay.connector import Call, Check, Guide
from relay.errors import DeliveryError, HoldError, PermanentError
from relay.http import RETRY_ON, Received

#: What stands at the good rows of a collection that was refused as a whole.
_ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"


class Salesforce(OAuthConnector[SalesforceConfig]):
    name = "salesforce"
    summary = "Salesforce: records of any object."
    Config = SalesforceConfig
    actions = (Create, Update, Upsert, Composite)
    guide: ClassVar[Guide | None] = GUIDE
    retry_on = RETRY_ON | {409}
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "salesforce",
        "base_url": "https://acme.my.salesforce.com",
        "client_id": "3MVG9…",
        "client_secret": "${SALESFORCE_SECRET}",
    }

    _reached = ""

    def oauth_settings(self) -> OAuth:
        return self.config.oauth()

    async def _sent(self, outgoing: ApiRequest, call: Call, *, idempotent: bool | None, anew: bool) -> Received:
        assert self.tokens is not None
        token = await self.tokens.get(call.timeout, anew=anew)
        instance = self._instance(token.reply.get("instance_url"))
        self._reached = urlsplit(instance).hostname or instance
        return await super()._sent(replace(outgoing, base_url=instance), call, idempotent=idempotent, anew=False)

    def _instance(self, url: object) -> str:
        if url is None:
            return self.config.base_url
        try:
            instance = plain_url(str(url))
        except ValueError:
            instance = ""
        # The token must not leave a secure connection.
        if not instance or (urlsplit(instance).scheme, urlsplit(self.config.base_url).scheme) == ("http", "https"):
            raise HoldError("the token's answer names an instance_url that can't be used", cause="instance_url refused")
        return instance

    def judge(self, said: Said) -> DeliveryError | None:
        if said.status == 300:
            return said.permanent("the external id belongs to several records; make it unique", "salesforce 300")
        if 200 <= said.status < 300:
            items = said.body if isinstance(said.body, list) else [said.body]
            failed = [one for one in items if isinstance(one, dict) and one.get("success") is False]
            errors = [error for one in failed for error in errors_in(one.get("errors"), "statusCode")]
            real = [error for error in errors if error[0] != _ROLLED_BACK] or errors
            if not failed:
                return None
            error = self._sorted_by_code(said, real or [("", "it doesn't say why")], passing=False)
            if type(error) is PermanentError:
                # Told as a refusal of its content (422), a batch is sent again in halves until the bad row is alone.
                return PermanentError(error.message, status=422, cause=error.cause, received=error.received)
            return error
        errors = list(errors_in(said.body, "errorCode"))
        return self._sorted_by_code(said, errors, passing=self._passes(said.status)) if errors else None

    def _passes(self, status: int) -> bool:
        return status in self.retry_on or status >= 500

    def _sorted_by_code(self, said: Said, errors: list[tuple[str, str]], *, passing: bool) -> DeliveryError | None:
        found = verdict(errors, said.status, self.sorting.redact, passing=passing)
        if found.fate == "hold":
            return said.hold(found.words, found.cause)
        if found.fate == "retry":
            return said.retry(found.words, found.cause, None if said.header("retry-after") else found.wait)
        return said.permanent(found.words, found.cause) if said.status != 410 else None

    async def check(self, timeout: timedelta) -> Check:
        limits = (await self.ask(self._asking(f"/services/data/v{self.config.api_version}/limits"), timeout)).body
        daily = limits.get("DailyApiRequests") if isinstance(limits, dict) else None
        most, left = (daily.get("Max"), daily.get("Remaining")) if isinstance(daily, dict) else (None, None)
        try:
            person = (await self.ask(self._asking("/services/oauth2/userinfo"), timeout)).body
        except (HoldError, PermanentError):
            person = None  # the app isn't let in to who its user is: no delivery needs that
        who = person.get("preferred_username") if isinstance(person, dict) else None
        found = f"{self._reached} took the token{f' of {who}' if isinstance(who, str) else ''}"
        if not isinstance(most, int) or not isinstance(left, int):
            return Check(found)
        found = f"{found}; {left:,} of {most:,} requests of 24 hours are left"
        if left * 50 > most:
            return Check(found)
        return Check(found, ("hardly any requests are left: deliver in batches, or buy more from Salesforce",))

    def _asking(self, path: str) -> ApiRequest:
        return ApiRequest("GET", self.config.base_url, path)
