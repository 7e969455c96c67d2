from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.shippo.connector import Shippo
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.contract import CALL as CONTRACT_CALL
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_shippo import TOKEN, FakeShippo

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5), moment=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
SHOP = {"name": "Shop", "street1": "215 Clayton St", "city": "San Francisco", "state": "CA", "zip": "94117",
        "country": "US"}  # fmt: skip
PARCEL = {"length": 10, "width": 8.5, "height": "4", "distance_unit": "in", "weight": 2, "mass_unit": "lb"}
SHIPMENT: dict[str, Any] = {"address_from": SHOP, "address_to": "adr_000000001", "parcels": [PARCEL]}
LABEL: dict[str, Any] = {"rate": "rate_0001"}
Do = Literal["create_shipment", "buy_label"]


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {"connector": "shippo", "base_url": url, "allow_private": True, "token": TOKEN, **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Shippo:
    return Shippo(Shippo.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Shippo]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def send(server: RecordingServer, do: Do = "create_shipment", call: Call = CALL, **fields: Any) -> Reply:
    given = {**(SHIPMENT if do == "create_shipment" else LABEL), **fields}
    async with connected(server.url) as made:
        return await made.send(do, made.outgoing(do, given, call), call)


async def failure(
    server: RecordingServer, do: Do = "create_shipment", call: Call = CALL, **fields: Any
) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(server, do, call, **fields)
    return caught.value


@pytest.fixture
def fake() -> FakeShippo:
    return FakeShippo()


@pytest.fixture
def server(fake: FakeShippo) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Shippo
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_a_2xx_is_a_delivery(self) -> None:
        """A shipment has an object_id and rates."""
        do, fields = self.fields()
        with RecordingServer(default=FakeShippo().answer) as server:
            async with self._connected(server.url) as made:
                reply = await made.send(do, made.outgoing(do, fields, CONTRACT_CALL), CONTRACT_CALL)
            assert len(server.requests) == 1
        assert isinstance(reply.body, dict)
        assert (reply.status, reply.body["object_id"]) == (201, "shp_0001")

    async def test_every_attempt_sends_the_same_request(self) -> None:
        """A second attempt looks for the shipment of the first; where there is none, it sends the same."""
        do, fields = self.fields()
        fake = FakeShippo()
        with RecordingServer(default=fake.answer) as server:
            async with self._connected(server.url) as made:
                for attempt in (1, 2):
                    call = replace(CONTRACT_CALL, attempt=attempt)
                    await made.send(do, made.outgoing(do, fields, call), call)
                    fake.shipments.clear()
            first, _, third = server.requests
        assert first == third


async def test_a_shipment_is_sent_as_shippo_wants_it(server: RecordingServer) -> None:
    reply = await send(
        server,
        address_return={**SHOP, "street2": ""},
        parcels=[PARCEL, {"template": "USPS_SmallFlatRateBox", "weight": 1, "mass_unit": "lb"}],
        metadata="order\n4711",
        carrier_accounts=["acc_1"],
        extra={"signature_confirmation": "STANDARD"},
    )
    assert isinstance(reply.body, dict)
    assert reply.body["rates"][0]["object_id"] == "rate_0001"
    (request,) = server.requests
    assert request.json() == {
        "address_from": SHOP,
        "address_to": "adr_000000001",
        "address_return": SHOP,
        "parcels": [
            {"length": "10", "width": "8.5", "height": "4", "distance_unit": "in", "weight": "2", "mass_unit": "lb"},
            {"template": "USPS_SmallFlatRateBox", "weight": "1", "mass_unit": "lb"},
        ],
        "carrier_accounts": ["acc_1"],
        "extra": {"signature_confirmation": "STANDARD"},
        "metadata": "order 4711 dlv_1",
        "async": False,
    }


class TestRepeats:
    @pytest.mark.parametrize("instead", ["reset", "close", "hang"])
    @pytest.mark.parametrize(("do", "kind"), [("create_shipment", RetryableError), ("buy_label", UnknownOutcomeError)])
    async def test_a_lost_answer_makes_nothing_twice(
        self, do: Do, kind: type[DeliveryError], instead: Literal["reset", "close", "hang"]
    ) -> None:
        fake = FakeShippo()
        lost = [True]

        def answer(request: Recorded) -> Answer:
            made = fake.answer(request)
            return Answer(instead=instead) if request.method == "POST" and lost and lost.pop() else made

        with RecordingServer(default=answer) as server:
            error = await failure(server, do, replace(CALL, timeout=timedelta(seconds=0.5)))
            assert type(error) is kind
            reply = await send(server, do, replace(CALL, attempt=2))
        assert "earlier attempt" in reply.summary
        assert len(fake.shipments) + len(fake.labels) == 1

    async def test_the_shipments_since_the_event_are_looked_at(self, server: RecordingServer, fake: FakeShippo) -> None:
        fake.shipments += [{"object_id": f"shp_{n}", "metadata": f"dlv_x{n}"} for n in range(150)]
        await send(server, call=replace(CALL, attempt=2))
        assert [(request.method, dict(request.query).get("page")) for request in server.requests] == [
            ("GET", "1"),
            ("GET", "2"),
            ("POST", None),
        ]
        assert dict(server.requests[0].query)["object_created_gte"] == "2026-11-23T11:50:00Z"

    async def test_a_page_of_large_shipments_is_read_whole(self, server: RecordingServer, fake: FakeShippo) -> None:
        many = [{"object_id": f"shp_{n}", "metadata": f"dlv_x{n}", "rates": ["x" * 40_000]} for n in range(99)]
        fake.shipments += [*many, {"object_id": "shp_99", "metadata": "dlv_1", "rates": [{"object_id": "rate"}]}]
        assert "shp_99" in (await send(server, call=replace(CALL, attempt=2))).summary

    async def test_a_list_without_an_end_leaves_it_unknown(self, server: RecordingServer, fake: FakeShippo) -> None:
        fake.endless = True
        error = await failure(server, call=replace(CALL, attempt=2))
        assert isinstance(error, UnknownOutcomeError)
        assert fake.shipments == []

    async def test_a_replay_buys_no_second_label(self, server: RecordingServer, fake: FakeShippo) -> None:
        await send(server, "buy_label")
        reply = await send(server, "buy_label")
        assert "earlier attempt" in reply.summary
        assert len(fake.labels) == 1

    async def test_a_rate_of_another_delivery_is_not_bought_again(
        self, server: RecordingServer, fake: FakeShippo
    ) -> None:
        await send(server, "buy_label", replace(CALL, delivery_id="dlv_0"))
        error = await failure(server, "buy_label")
        assert isinstance(error, PermanentError)
        assert error.cause == "shippo rate is bought"
        assert len(fake.labels) == 1

    async def test_a_label_that_failed_may_be_bought(self, server: RecordingServer, fake: FakeShippo) -> None:
        fake.label_status = "ERROR"
        error = await failure(server, "buy_label")
        assert isinstance(error, PermanentError)
        assert "run out" in str(error)
        assert error.cause == "shippo label error"
        fake.label_status = "SUCCESS"
        await send(server, "buy_label")
        assert [label["status"] for label in fake.labels] == ["ERROR", "SUCCESS"]

    @pytest.mark.parametrize("do", ["create_shipment", "buy_label"])
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(200, '{"next": null, "results": []}', {"content-type": "application/json"}, instead="break off"),
            Answer(200, {"object_id": "x"}),
            Answer(200, {"results": None}),
            Answer(200, {"results": ["x"]}),
        ],
    )
    async def test_a_list_that_doesnt_tell_makes_nothing(
        self, server: RecordingServer, fake: FakeShippo, do: Do, answer: Answer
    ) -> None:
        server.answer(answer.status, answer.body, headers=answer.headers, instead=answer.instead)
        error = await failure(server, do, replace(CALL, attempt=2))
        assert isinstance(error, RetryableError)
        assert error.cause == "shippo search"
        assert fake.labels + fake.shipments == []

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    async def test_a_label_may_have_been_paid_for_where_the_server_failed(self, status: int) -> None:
        fake = FakeShippo()

        def answer(request: Recorded) -> Answer:
            return Answer(status) if request.method == "POST" else fake.answer(request)

        with RecordingServer(default=answer) as server:
            error = await failure(server, "buy_label")
        assert isinstance(error, UnknownOutcomeError)
        assert error.cause == f"http {status}"

    async def test_a_label_isnt_bought_without_time_for_the_answer(self) -> None:
        fake = FakeShippo()

        def answer(request: Recorded) -> Answer:
            return replace(fake.answer(request), delay_seconds=0.5 if request.method == "GET" else 0)

        with RecordingServer(default=answer) as server:
            error = await failure(server, "buy_label", replace(CALL, timeout=timedelta(seconds=0.6)))
        assert isinstance(error, RetryableError)
        assert error.cause == "no time left"
        assert fake.labels == []

    @pytest.mark.parametrize("state", ["QUEUED", "WAITING"])
    async def test_a_label_on_its_way_is_none_until_it_is_there(
        self, server: RecordingServer, fake: FakeShippo, state: str
    ) -> None:
        fake.label_status = state
        for _ in range(2):
            error = await failure(server, "buy_label")
            assert isinstance(error, RetryableError)
            assert error.cause == "shippo pending"
        fake.labels[0]["status"] = "SUCCESS"
        assert "earlier attempt" in (await send(server, "buy_label")).summary
        assert len(fake.labels) == 1

    @pytest.mark.parametrize("state", ["REFUNDED", "REFUNDPENDING"])
    async def test_a_refunded_label_is_none(self, server: RecordingServer, fake: FakeShippo, state: str) -> None:
        await send(server, "buy_label")
        fake.labels[0]["status"] = state
        error = await failure(server, "buy_label")
        assert isinstance(error, PermanentError)
        assert error.cause == "shippo label refunded"
        assert len(fake.labels) == 1

    async def test_a_shipment_that_failed_isnt_taken_for_the_deliverys(
        self, server: RecordingServer, fake: FakeShippo
    ) -> None:
        fake.shipments.append({"object_id": "shp_0", "status": "ERROR", "metadata": "dlv_1", "rates": []})
        reply = await send(server, call=replace(CALL, attempt=2), require_rates=False)
        assert isinstance(reply.body, dict)
        assert reply.body["object_id"] == "shp_0002"

    async def test_a_shipment_whose_answer_breaks_off_is_looked_for(self, fake: FakeShippo) -> None:
        lost = [True]

        def answer(request: Recorded) -> Answer:
            made = fake.answer(request)
            if request.method == "POST" and lost and lost.pop():
                return Answer(201, json.dumps(made.body), {"content-type": "application/json"}, instead="break off")
            return made

        with RecordingServer(default=answer) as server:
            error = await failure(server)
            assert isinstance(error, RetryableError)
            assert error.cause == "shippo answer cut"
            assert "earlier attempt" in (await send(server, call=replace(CALL, attempt=2))).summary
        assert len(fake.shipments) == 1

    async def test_a_shipment_replayed_on_purpose_isnt_the_first_one(
        self, server: RecordingServer, fake: FakeShippo
    ) -> None:
        await send(server)
        again = replace(CALL, idempotency_key="dlv_1-r1", attempt=2)
        for _ in range(2):
            reply = await send(server, call=again)
            assert isinstance(reply.body, dict)
            assert reply.body["object_id"] == "shp_0002"

    async def test_where_it_cant_be_looked_for_nothing_is_bought(
        self, server: RecordingServer, fake: FakeShippo
    ) -> None:
        server.answer(500)
        error = await failure(server, "buy_label")
        assert isinstance(error, RetryableError)
        assert fake.labels == []


async def test_a_label_is_bought_as_shippo_wants_it(server: RecordingServer) -> None:
    await send(server, "buy_label", label_file_type="PDF_4x6", order="ord_1")
    assert server.requests[-1].json() == {
        "rate": "rate_0001",
        "label_file_type": "PDF_4x6",
        "order": "ord_1",
        "metadata": "dlv_1",
        "async": False,
    }


class TestAnswers:
    async def test_a_shipment_without_rates_is_found(self, server: RecordingServer, fake: FakeShippo) -> None:
        fake.rates = False
        error = await failure(server)
        assert isinstance(error, PermanentError)
        assert error.cause == "shippo no rates"
        assert "No service for this address" in str(error)
        await send(server, require_rates=False)

    @pytest.mark.parametrize(
        ("status", "body", "kind", "cause"),
        [
            (201, {"object_id": "s", "status": "ERROR", "messages": [{"text": "bad"}]}, PermanentError,
             "shippo shipment error"),
            (201, {"id": 7}, UnknownOutcomeError, "no object"),
            (200, {}, UnknownOutcomeError, "no object"),
            (400, {"parcels": [{"__all__": ["bad"]}]}, PermanentError, "shippo refuses"),
            (422, {"detail": "bad"}, PermanentError, "shippo refuses"),
            (401, {"detail": "Token does not exist"}, HoldError, "http 401"),
            (403, {"detail": "no"}, HoldError, "http 403"),
            (404, {"detail": "Not found."}, PermanentError, "http 404"),
            (409, {"detail": "busy"}, RetryableError, "http 409"),
            (429, {"detail": "slow"}, RetryableError, "http 429"),
            (500, "", RetryableError, "http 500"),
        ],
    )  # fmt: skip
    async def test_each_answer_has_its_fate(
        self, server: RecordingServer, status: int, body: Any, kind: type[DeliveryError], cause: str
    ) -> None:
        server.answer(status, body)
        error = await failure(server)
        assert type(error) is kind
        assert error.cause == cause

    @pytest.mark.parametrize("as_moment", [True, False])
    async def test_the_wait_is_shippos_own(self, server: RecordingServer, as_moment: bool) -> None:
        reset = int(time.time()) + 30 if as_moment else 30
        server.answer(429, {"detail": "slow"}, headers={"X-RateLimit-Reset": str(reset)})
        error = await failure(server)
        assert isinstance(error, RetryableError)
        assert error.retry_after is not None
        assert timedelta(seconds=27) < error.retry_after <= timedelta(seconds=30)

    async def test_the_field_that_is_refused_is_named(self, server: RecordingServer) -> None:
        error = await failure(server, parcels=[{**PARCEL, "weight": 2000}])
        assert "Weight is too high." in str(error)

    async def test_the_token_and_line_breaks_stay_out(self, server: RecordingServer) -> None:
        server.answer(400, {"detail": f"a\nb {TOKEN}"})
        error = await failure(server)
        assert "\n" not in str(error)
        assert TOKEN not in json.dumps([str(error), error.received])


@pytest.mark.parametrize(
    ("do", "fields", "words"),
    [
        ("create_shipment", {"address_to": "somewhere nice"}, "object_id"),
        ("create_shipment", {"address_to": {"name": "Ana"}}, "country"),
        ("create_shipment", {"parcels": []}, "parcels"),
        ("create_shipment", {"parcels": ["a box"]}, "object_id"),
        ("create_shipment", {"parcels": [{**PARCEL, "weight": 0}]}, "above 0"),
        ("create_shipment", {"parcels": [{**PARCEL, "weight": "NaN"}]}, "above 0"),
        ("create_shipment", {"parcels": [{**PARCEL, "weight": "heavy"}]}, "a number"),
        ("create_shipment", {"parcels": [{**PARCEL, "weight": 1.00001}]}, "four after"),
        ("create_shipment", {"parcels": [{**PARCEL, "height": ""}]}, "template"),
        ("create_shipment", {"parcels": [{**PARCEL, "template": "box"}]}, "not both"),
        ("create_shipment", {"metadata": "x" * 61}, "60"),
        ("buy_label", {"rate": "../addresses"}, "rate"),
        ("buy_label", {"label_file_type": "DOC"}, "PDF"),
    ],
)
def test_what_shippo_would_refuse_is_found_before_it_is_sent(do: Do, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        connection().outgoing(do, {**(SHIPMENT if do == "create_shipment" else LABEL), **fields}, CALL)
    assert words in str(caught.value)


@given(st.decimals(min_value="0.0001", max_value="999999", places=4))
def test_a_weight_stays_what_it_is(weight: Any) -> None:
    fields = {**SHIPMENT, "parcels": [{**PARCEL, "weight": weight}]}
    sent = connection().outgoing("create_shipment", fields, CALL).preview()["json"]["parcels"][0]["weight"]
    assert float(sent) == float(weight)
    assert "e" not in sent.lower()


class TestCheck:
    async def test_it_writes_nothing_and_names_what_is_missing(self, server: RecordingServer, fake: FakeShippo) -> None:
        async with connected(server.url) as made:
            check = await made.check(timedelta(seconds=5))
            fake.accounts = [{"object_id": "acc_1", "active": False}]
            without = await made.check(timedelta(seconds=5))
        assert "test token" in check.found
        assert check.missing == ()
        assert "activate" in without.missing[0]
        assert {request.method for request in server.requests} == {"GET"}

    async def test_a_token_that_isnt_taken_fails(self, server: RecordingServer, fake: FakeShippo) -> None:
        fake.token = "other"
        async with connected(server.url) as made:
            with pytest.raises(HoldError):
                await made.check(timedelta(seconds=5))
