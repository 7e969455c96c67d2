"""Lob: postcards, printed and mailed. Every one costs money, so none is sent twice.

https://docs.lob.com/#tag/Postcards/operation/postcard_create
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.epoch import until
from connectors.common.vendor_words import HeaderSecret, one_line
from connectors.guides.lob import GUIDE
from connectors.lob.fields import MARK, PostcardFields
from relay.connector import Call, Check, Context, Example, Limit, secrets_in
from relay.errors import DeliveryError, HoldError, RetryableError
from relay.http import HOLD_ON, Redactor, Sorting
from relay.model import Reply

#: Lob forgets an idempotency key after 24 hours; from an hour before that on, we look first.
_KEY_IS_KNOWN = timedelta(hours=23)

_HOLD = {
    "invalid_api_key": "the key isn't taken: copy the secret key from Lob's settings anew",
    "unauthorized": "the key isn't taken: copy the secret key from Lob's settings anew",
    "unauthorized_token": "the key isn't taken: copy the secret key from Lob's settings anew",
    "publishable_key_not_allowed": "this is a publishable key: use the secret one",
    "email_required": "the account's e-mail address isn't verified: do that at Lob",
    "payment_method_unverified": "the account has no verified way to pay: add one at Lob",
    "billing_address_required": "the account has no billing address: add one at Lob",
    "feature_limit_reached": "the account has reached its limit: raise it at Lob",
    "unrecognized_endpoint": "there is no such address: check the connection's base_url",
    "unsupported_lob_version": "the account's version of the API isn't supported: change it at Lob",
}
_REMEDY = {
    "address_length_exceeds_limit": "shorten the address: both lines have at most 50 characters together",
    "failed_deliverability_strictness": "no mail can be delivered to this address: correct it, or make the account's "
    "strictness at Lob less strict",
    "foreign_return_address": "`from` must be in the US",
    "not_found": "the template or the address it names isn't in this environment: test and live have their own",
    "conflict": "look the postcard up at Lob before it is sent again",
}
_LATER = frozenset({"rate_limit_exceeded", "request_timeout", "service_unavailable", "invalid_file_download_time"})


class LobConfig(ApiConfig):
    base_url: str = Field("https://api.lob.com/v1", description="Where the API lives, with its version.")
    api_key: HeaderSecret = Field(
        description="The secret key: test_… prints nothing and costs nothing, live_… needs `live: true`."
    )
    live: bool = Field(False, description="Print, mail and pay for the postcards: required for a live key.")
    limit: Limit = Field(
        Limit(rate="150/5s"),
        description="Concurrency and rate of the connection's lane; Lob takes 150 requests in 5 seconds.",
    )

    @model_validator(mode="after")
    def _means_it(self) -> LobConfig:
        key = self.api_key.get_secret_value()
        if ":" in key:
            raise ValueError("`api_key` is the key alone, without a colon")
        if key.startswith(("test_pub", "live_pub")):
            raise ValueError("`api_key` is a publishable key, which can't send mail: use the secret one")
        if key.startswith("live_") and not self.live:
            raise ValueError(
                "`api_key` is a live key, which prints and costs money: say `live: true`, or use a test key"
            )
        if key.startswith("test_") and self.live:
            raise ValueError("`live: true` with a test key prints nothing: use the live key, or leave `live` out")
        return self


@dataclass(frozen=True, slots=True)
class PostcardRequest(ApiRequest):
    """mark: the delivery's key, which the postcard keeps in its metadata."""

    mark: str = ""


class CreatePostcard(ApiAction[LobConfig, PostcardFields]):
    name = "create_postcard"
    summary = "Print and mail a postcard. A repeat of the same delivery makes no second one."
    With = PostcardFields
    idempotent = True
    examples = (
        Example(
            "A template kept at Lob",
            {
                "to": {
                    "name": "Harry Zhang",
                    "address_line1": "210 King St",
                    "address_city": "San Francisco",
                    "address_state": "CA",
                    "address_zip": "94107",
                },
                "front": "tmpl_d2eccf0bc9d3fb5",
                "back": "tmpl_7e5c1e1e5b5f6f3",
                "use_type": "operational",
                "merge_variables": {"name": "Harry", "code": "SPRING"},
            },
        ),
        Example(
            "To an address kept at Lob",
            {
                "to": "adr_210a8d4b0b76d77b",
                "front": "https://files.example.com/front.pdf",
                "back": "<html><body>Hello {{name}}</body></html>",
                "size": "6x9",
                "use_type": "marketing",
                "merge_variables": {"name": "Ana"},
            },
        ),
    )

    def prepare(self, fields: PostcardFields, call: Call) -> ApiRequest:
        return PostcardRequest(
            method="POST",
            base_url=self.config.base_url,
            path="/postcards",
            kind="json",
            # The key and not the id: where a delivered one is replayed on purpose, another postcard is wanted.
            body=fields.body(call.idempotency_key),
            headers={"idempotency-key": call.idempotency_key},
            mark=call.idempotency_key,
        )

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, PostcardRequest)
        assert isinstance(self.connection, Lob)
        self.connection.refuse_an_unnamed_key()
        if call.moment is None or datetime.now(UTC) - call.moment < _KEY_IS_KNOWN:
            return await self.connection.request(outgoing, call, idempotent=True)
        clock = asyncio.get_running_loop().time
        end = clock() + call.timeout.total_seconds()
        searched = await self.connection.request(self._search(outgoing.mark), call, idempotent=True)
        found = searched.body.get("data") if isinstance(searched.body, dict) else None
        if not isinstance(found, list) or not all(_is_marked(card, outgoing.mark) for card in found):
            # An answer that broke off must not pass for an empty list.
            raise RetryableError(
                "Lob gave no list of what an earlier attempt made, so nothing was sent",
                status=searched.status, cause="lob search", received=dict(searched.received),
            )  # fmt: skip
        for card in found:
            assert isinstance(card, dict)
            return replace(searched, body=card, summary=f"postcard {card.get('id')} is there from an earlier attempt")
        rest = timedelta(seconds=max(end - clock(), 0.001))
        return await self.connection.request(outgoing, replace(call, timeout=rest), idempotent=True)

    def _search(self, mark: str) -> ApiRequest:
        query = {f"metadata[{MARK}]": mark, "limit": 1}
        return ApiRequest(method="GET", base_url=self.config.base_url, path="/postcards", query=query)


def _is_marked(card: Any, mark: str) -> bool:
    metadata = card.get("metadata") if isinstance(card, dict) else None
    return isinstance(metadata, dict) and metadata.get(MARK) == mark


class Lob(ApiConnector[LobConfig]):
    name = "lob"
    summary = "Postcards, printed and mailed by Lob."
    Config = LobConfig
    actions = (CreatePostcard,)
    example: ClassVar[Mapping[str, Any]] = {"connector": "lob", "api_key": "${LOB_API_KEY}"}
    guide = GUIDE
    hold_on = HOLD_ON | {402, 403}

    def __init__(self, config: LobConfig, context: Context) -> None:
        super().__init__(config, context)
        pair = b64encode(f"{config.api_key.get_secret_value()}:".encode()).decode()
        self._headers = {"authorization": f"Basic {pair}", "accept": "application/json"}
        self.sorting = Sorting(self.retry_on, self.hold_on, Redactor([*secrets_in(config), pair]))

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return self._headers

    def refuse_an_unnamed_key(self) -> None:
        """A key that says of itself neither `test_` nor `live_` may cost money as well."""
        if not (self.config.live or self.config.api_key.get_secret_value().startswith("test_")):
            raise HoldError("the key isn't a test key: say `live: true` where it may cost money", cause="lob live key")

    async def check(self, timeout: timedelta) -> Check:
        self.refuse_an_unnamed_key()
        call = Call("check", "check", timeout=timeout)
        asked = ApiRequest(method="GET", base_url=self.config.base_url, path="/postcards", query={"limit": 1})
        await self.request(asked, call, idempotent=True)
        meant = "postcards are printed and paid for" if self.config.live else "nothing is printed, nothing costs money"
        return Check(f"Lob takes the key for its {'live' if self.config.live else 'test'} environment: {meant}")

    def judge(self, said: Said) -> DeliveryError | None:
        status, body = said.status, said.body if isinstance(said.body, dict) else {}
        error = body.get("error")
        error = error if isinstance(error, dict) else {}
        code = str(error.get("code") or "").lower()
        words = one_line(error.get("message") or code or f"http {status}", self.sorting.redact)
        if 200 <= status < 300:
            if not error and (said.received.cut or body.keys() & {"id", "data"}):
                return None
            # With the same key a repeat makes no second one.
            return said.retry(f"no postcard in the answer: {words}", f"lob {code}" if code else "no postcard")
        if status == 429 or code in _LATER:
            return said.retry(words, f"lob {code}" if code else "http 429", until(said, "x-rate-limit-reset"))
        if code in _HOLD:
            return said.hold(f"{words}; {_HOLD[code]}", f"lob {code}")
        if status in self.hold_on and error:
            return said.hold(
                f"{words}; check the key and the account at Lob", f"lob {code}" if code else f"http {status}"
            )
        if code and 400 <= status < 500 and status not in self.retry_on and status != 410:
            remedy = f"; {_REMEDY[code]}" if code in _REMEDY else ""
            return said.permanent(f"{words}{remedy}", f"lob {code}")
        return None
