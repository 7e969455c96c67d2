"""Shippo: shipments with their rates, and labels, which cost money.

https://docs.goshippo.com/api-reference/shipments/create-a-new-shipment
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.epoch import until
from connectors.common.vendor_words import HeaderSecret, one_line
from connectors.guides.shippo import GUIDE
from connectors.shippo.earlier import PENDING, Left, bought, earlier, is_marked, pending
from connectors.shippo.fields import LabelFields, ShipmentFields
from relay.connector import Call, Check, Context, Example, Limit
from relay.errors import DeliveryError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import HOLD_ON, RETRY_ON, Client, ClientOptions
from relay.model import Reply

_PAGE = 100
_PAGES = 5
#: Our clock and Shippo's may differ.
_CLOCKS = timedelta(minutes=10)
#: A page of shipments with all their rates takes megabytes.
_MAX_REPLY_BYTES = 32_000_000


class ShippoConfig(ApiConfig):
    base_url: str = Field("https://api.goshippo.com", description="Where the API lives.")
    token: HeaderSecret = Field(
        description="The API token: labels bought with shippo_test_… cost nothing, with shippo_live_… they do."
    )
    api_version: str = Field(
        "2018-02-08", pattern=r"^\d{4}-\d\d-\d\d$", description="Version of the API, whatever the account's own is."
    )
    limit: Limit = Field(
        Limit(rate="500/min"),
        description="Concurrency and rate of the connection's lane; Shippo takes 500 a minute of a live token, 50 "
        "of a test token.",
    )


@dataclass(frozen=True, slots=True)
class ShippoRequest(ApiRequest):
    """mark: what the object's metadata ends with, by which it is found."""

    mark: str = ""
    require_rates: bool = False


class CreateShipment(ApiAction[ShippoConfig, ShipmentFields]):
    name = "create_shipment"
    summary = "Create a shipment and get its rates. It costs nothing; a retry looks for the shipment first."
    With = ShipmentFields
    examples = (
        Example(
            "A parcel",
            {
                "address_from": {
                    "name": "Shop",
                    "street1": "215 Clayton St",
                    "city": "San Francisco",
                    "state": "CA",
                    "zip": "94117",
                    "country": "US",
                },
                "address_to": {
                    "name": "Harry Zhang",
                    "street1": "210 King St",
                    "city": "San Francisco",
                    "state": "CA",
                    "zip": "94107",
                    "country": "US",
                },
                "parcels": [
                    {"length": 10, "width": 8, "height": 4, "distance_unit": "in", "weight": 2, "mass_unit": "lb"}
                ],
                "metadata": "order 4711",
            },
        ),
    )

    def prepare(self, fields: ShipmentFields, call: Call) -> ApiRequest:
        # The key and not the id: where a delivered one is replayed on purpose, another shipment is wanted.
        mark = call.idempotency_key
        return _request(self.config, "POST", "/shipments/", body=fields.body(mark), mark=mark,
                        require_rates=fields.require_rates)  # fmt: skip

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, ShippoRequest)
        assert isinstance(self.connection, Shippo)
        left = Left(call)
        found = None
        if call.attempt > 1:
            query = {} if call.moment is None else {"object_created_gte": _utc(call)}
            async for shipment in self.connection.listed("/shipments/", query, left):
                if is_marked(shipment[1], outgoing.mark) and shipment[1].get("status") != "ERROR":
                    found = shipment
                    break
        # A lost answer is no unknown outcome: the next attempt looks.
        reply = found[0] if found else await self.connection.request(outgoing, left.call(), idempotent=True)
        shipment_made = found[1] if found else reply.body
        if not isinstance(shipment_made, Mapping):
            raise RetryableError(
                "the answer broke off before its rates; the next attempt looks for the shipment",
                status=reply.status, cause="shippo answer cut", received=dict(reply.received),
            )  # fmt: skip
        if shipment_made.get("status") in PENDING:
            raise pending("shipment", reply)
        rates = shipment_made.get("rates")
        if outgoing.require_rates and not rates:
            raise PermanentError(
                f"no carrier offers a rate: {self.connection.words(shipment_made) or 'Shippo says no reason'}",
                status=reply.status,
                cause="shippo no rates",
                received=dict(reply.received),
            )
        if found:
            return earlier("shipment", *found)
        return reply


class BuyLabel(ApiAction[ShippoConfig, LabelFields]):
    name = "buy_label"
    summary = "Buy the label of a rate, with money. A rate that has a label already is never bought again."
    With = LabelFields
    examples = (
        Example("The label of a rate", {"rate": "ec9f0d3adc9441449c85d315f0997fd5", "label_file_type": "PDF_4x6"}),
    )

    def prepare(self, fields: LabelFields, call: Call) -> ApiRequest:
        return _request(self.config, "POST", "/transactions/", body=fields.body(call.delivery_id),
                        mark=call.delivery_id)  # fmt: skip

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, ShippoRequest)
        assert isinstance(self.connection, Shippo)
        left = Left(call)
        # On first attempts as well: a replay is one, and its label may be paid for.
        async for reply, label in self.connection.listed("/transactions/", {"rate": outgoing.body["rate"]}, left):
            if label.get("status") == "ERROR":
                continue
            if is_marked(label, outgoing.mark):
                return bought(reply, label)
            raise PermanentError(
                f"the rate has a label already, {label.get('object_id')}: create a new shipment for another",
                cause="shippo rate is bought",
                received=dict(reply.received),
            )
        left.refuse_a_hasty_purchase()
        try:
            reply = await self.connection.request(outgoing, left.call())
        except RetryableError as error:
            if (error.status or 0) < 500:
                raise
            raise UnknownOutcomeError(
                f"{error.message}; the label may have been bought: look for its rate at Shippo",
                status=error.status, cause=error.cause, received=error.received,
            ) from None  # fmt: skip
        if isinstance(reply.body, Mapping) and reply.body.get("status") in PENDING:
            raise pending("label", reply)
        return reply


class Shippo(ApiConnector[ShippoConfig]):
    """https://docs.goshippo.com/api-concepts/apihttp-status-codes"""

    name = "shippo"
    summary = "Shipments, rates and labels at Shippo."
    Config = ShippoConfig
    actions = (CreateShipment, BuyLabel)
    example: ClassVar[Mapping[str, Any]] = {"connector": "shippo", "token": "${SHIPPO_TOKEN}"}
    guide = GUIDE
    hold_on = HOLD_ON | {403}
    #: 409 is what too many requests at once are answered with.
    retry_on = RETRY_ON | {409}

    def __init__(self, config: ShippoConfig, context: Context) -> None:
        super().__init__(config, context)
        options = ClientOptions(
            allow_private=config.allow_private, idle_seconds=context.idle_seconds, max_reply_bytes=_MAX_REPLY_BYTES
        )
        self.client = Client(options)

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {
            "authorization": f"ShippoToken {self.config.token.get_secret_value()}",
            "accept": "application/json",
            "shippo-api-version": self.config.api_version,
        }

    async def listed(
        self, path: str, query: Mapping[str, Any], left: Left
    ) -> AsyncIterator[tuple[Reply, Mapping[str, Any]]]:
        """What a list holds, with the answer it stood in.

        Raises UnknownOutcomeError where it is too long to read, RetryableError where it is none: an answer that broke
        off must not pass for an empty list, or what it holds is made, and paid for, a second time.
        """
        for page in range(1, _PAGES + 1):
            asked = _request(self.config, "GET", path, query={**query, "results": _PAGE, "page": page})
            reply = await self.request(asked, left.call(), idempotent=True)
            body = reply.body if isinstance(reply.body, Mapping) else {}
            results = body.get("results")
            if not isinstance(results, list) or not all(isinstance(item, Mapping) for item in results):
                raise RetryableError(
                    "Shippo gave no list of what is there, so nothing was sent",
                    status=reply.status, cause="shippo search", received=dict(reply.received),
                )  # fmt: skip
            for item in results:
                yield reply, item
            if not body.get("next"):
                return
        raise UnknownOutcomeError(
            f"whether it is there can't be found out: Shippo lists more than {_PAGE * _PAGES}; look for its metadata",
            cause="shippo list too long",
        )

    async def check(self, timeout: timedelta) -> Check:
        asked = _request(self.config, "GET", "/carrier_accounts/", query={"results": _PAGE})
        reply = await self.request(asked, Call("check", "check", timeout=timeout), idempotent=True)
        results = reply.body.get("results") if isinstance(reply.body, Mapping) else None
        active = [account for account in results or () if isinstance(account, Mapping) and account.get("active")]
        kind = "test" if self.config.token.get_secret_value().startswith("shippo_test_") else "live"
        missing = () if active else ("no carrier account is active, so no shipment has rates: activate one at Shippo",)
        return Check(f"Shippo takes the {kind} token; {len(active)} carrier accounts are active", missing)

    def words(self, body: Mapping[str, Any]) -> str:
        """What Shippo says in `messages`, or of each field it refuses."""
        messages = body.get("messages")
        if isinstance(messages, list):
            said = [message.get("text") if isinstance(message, Mapping) else message for message in messages]
            return one_line("; ".join(str(text) for text in said if text), self.sorting.redact)
        if isinstance(body.get("detail"), str):
            return one_line(body["detail"], self.sorting.redact)
        return one_line("; ".join(_complaints(body)), self.sorting.redact)

    def judge(self, said: Said) -> DeliveryError | None:
        status, body = said.status, said.body if isinstance(said.body, Mapping) else {}
        if 200 <= status < 300:
            if body.get("status") == "ERROR":
                what = "label" if "rate" in body else "shipment"
                return said.permanent(f"Shippo made no {what}: {self.words(body)}", f"shippo {what} error")
            if said.received.cut or body.keys() & {"object_id", "results"}:
                return None
            return said.unknown("the answer names no object; look for it before it is sent again", "no object")
        words = self.words(body) or f"http {status}"
        if status == 429:
            return said.retry(f"too many requests: {words}", "http 429", _reset(said))
        if status in self.hold_on and body:
            return said.hold(f"{words}; check the token and the account at Shippo", f"http {status}")
        if status in (400, 422) and body:
            return said.permanent(words, "shippo refuses")
        return None


def _request(config: ShippoConfig, method: Literal["GET", "POST"], path: str, **more: Any) -> ShippoRequest:
    kind: Literal["", "json"] = "json" if method == "POST" else ""
    return ShippoRequest(method=method, base_url=config.base_url, path=path, kind=kind, **more)


def _utc(call: Call) -> str:
    assert call.moment is not None
    return (call.moment.astimezone(UTC) - _CLOCKS).strftime("%Y-%m-%dT%H:%M:%SZ")


def _complaints(body: Mapping[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for key, value in body.items():
        where = f"{path}.{key}" if path else str(key)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                found += _complaints(part, where)
            elif isinstance(part, str):
                found.append(part if key == "__all__" else f"{where}: {part}")
    return found[:5]


def _reset(said: Said) -> timedelta | None:
    """X-RateLimit-Reset; whether it is a moment or a time isn't documented."""
    reset = said.header("x-ratelimit-reset") or ""
    if not said.header("retry-after") and reset.isascii() and reset.isdigit() and len(reset) <= 5:
        return timedelta(seconds=int(reset))
    return until(said, "x-ratelimit-reset")
