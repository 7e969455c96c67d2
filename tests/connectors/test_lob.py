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
from pydantic import ValidationError

from connectors.lob.connector import Lob
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.contract import CALL as CONTRACT_CALL
from relay.testing.server import Answer
from tests.connectors.fake_lob import KEY, FakeLob, refused

SENT = datetime.now(UTC)
CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5), moment=SENT)
HARRY = {
    "name": "Harry Zhang",
    "address_line1": "210 King St",
    "address_city": "San Francisco",
    "address_state": "CA",
    "address_zip": "94107",
}
GERMAN = {
    "name": "Ana",
    "address_line1": "Hauptstraße 1",
    "address_city": "Köln",
    "address_zip": "50667",
    "address_country": "DE",
}
CARD: dict[str, Any] = {"to": HARRY, "front": "tmpl_1", "back": "<b>Hi {{name}}</b>", "use_type": "operational"}


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {"connector": "lob", "base_url": f"{url}/v1", "allow_private": True, "api_key": KEY, **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Lob:
    return Lob(Lob.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Lob]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def create(made: Lob, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, {**CARD, **fields}, call), call)


async def failure(server: RecordingServer, call: Call = CALL, **more: Any) -> DeliveryError:
    async with connected(server.url, **more) as made:
        with pytest.raises(DeliveryError) as caught:
            await create(made, call)
    return caught.value


@pytest.fixture
def fake() -> FakeLob:
    return FakeLob()


@pytest.fixture
def server(fake: FakeLob) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Lob
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        """Lob's answer has an id: `{}` is no success there."""
        do, fields = self.fields()
        with RecordingServer(default=FakeLob().answer) as server:
            async with self._connected(server.url) as made:
                for attempt in (1, 2):
                    call = replace(CONTRACT_CALL, attempt=attempt)
                    await made.send(do, made.outgoing(do, fields, call), call)
            first, second = server.requests
        assert first == second


async def test_a_postcard_is_sent_as_lob_wants_it(server: RecordingServer, fake: FakeLob) -> None:
    async with connected(server.url) as made:
        reply = await create(
            made,
            size="6x9",
            mail_type="usps_standard",
            merge_variables={"name": "Ana"},
            metadata={"customer": "4711"},
            fields={"billing_group_id": "bg_1"},
            from_="adr_1",
        )
    assert isinstance(reply.body, dict)
    assert reply.body["id"] == "psc_1"
    (request,) = server.requests
    assert request.headers["idempotency-key"] == "dlv_1"
    assert request.json() == {
        "to": {**HARRY, "address_country": "US"},
        "from": "adr_1",
        "front": "tmpl_1",
        "back": "<b>Hi {{name}}</b>",
        "size": "6x9",
        "use_type": "operational",
        "mail_type": "usps_standard",
        "merge_variables": {"name": "Ana"},
        "metadata": {"customer": "4711", "relay_delivery": "dlv_1"},
        "billing_group_id": "bg_1",
    }
    assert len(fake.cards) == 1


async def test_lines_that_are_empty_in_the_event_are_left_out(server: RecordingServer, fake: FakeLob) -> None:
    async with connected(server.url) as made:
        await create(made, to={**HARRY, "company": "", "address_line2": None})
    assert fake.cards[0]["to"] == {**HARRY, "address_country": "US"}


async def test_mail_abroad_goes_out(server: RecordingServer, fake: FakeLob) -> None:
    async with connected(server.url) as made:
        await create(made, to=GERMAN, from_=HARRY)
    assert fake.cards[0]["to"]["address_country"] == "DE"


class TestMoney:
    @pytest.mark.parametrize("instead", ["reset", "close", "hang"])
    async def test_a_lost_answer_is_asked_for_again_and_makes_no_second_postcard(
        self, instead: Literal["reset", "close", "hang"]
    ) -> None:
        fake = FakeLob()
        lost = [True]

        def answer(request: Any) -> Answer:
            made = fake.answer(request)
            return Answer(instead=instead) if lost and lost.pop() else made

        with RecordingServer(default=answer) as server:
            async with connected(server.url) as made:
                call = replace(CALL, timeout=timedelta(seconds=0.5))
                with pytest.raises(RetryableError):
                    await create(made, call)
                reply = await create(made, replace(CALL, attempt=2))
            assert len(server.requests) == 2
        assert isinstance(reply.body, dict)
        assert reply.body["id"] == "psc_1"
        assert len(fake.cards) == 1

    async def test_a_200_that_breaks_off_is_a_postcard(self, server: RecordingServer) -> None:
        server.answer(200, '{"id": "psc_1", "object": "postcard"}', instead="break off")
        async with connected(server.url) as made:
            reply = await create(made)
        assert reply.status == 200

    async def test_when_lob_has_forgotten_the_key_the_postcard_is_looked_for(
        self, server: RecordingServer, fake: FakeLob
    ) -> None:
        async with connected(server.url) as made:
            await create(made, replace(CALL, moment=SENT - timedelta(hours=22)))
            fake.kept.clear()
            reply = await create(made, replace(CALL, moment=SENT - timedelta(days=2)))
            assert len(fake.cards) == 1
            assert "earlier attempt" in reply.summary
            await create(made, replace(CALL, delivery_id="dlv_2", idempotency_key="dlv_2", moment=SENT - timedelta(9)))
        assert [card["metadata"]["relay_delivery"] for card in fake.cards] == ["dlv_1", "dlv_2"]

    async def test_one_that_was_delivered_and_is_replayed_on_purpose_is_sent_again(
        self, server: RecordingServer, fake: FakeLob
    ) -> None:
        """Such a replay has another key, whether Lob still knows the first or not."""
        old = replace(CALL, moment=SENT - timedelta(days=2))
        async with connected(server.url) as made:
            await create(made, old)
            for _ in range(2):
                await create(made, replace(old, idempotency_key="dlv_1-r1"))
        assert [card["metadata"]["relay_delivery"] for card in fake.cards] == ["dlv_1", "dlv_1-r1"]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(200, '{"data": [{"id": "psc_1"}]}', {"content-type": "application/json"}, instead="break off"),
            Answer(200, {"id": "psc_1"}),
            Answer(200, {"data": [{"id": "psc_9", "metadata": {"relay_delivery": "dlv_9"}}]}),
            Answer(200, {"data": ["psc_1"]}),
        ],
    )
    async def test_a_list_that_doesnt_tell_prints_nothing(
        self, server: RecordingServer, fake: FakeLob, answer: Answer
    ) -> None:
        server.answer(answer.status, answer.body, headers=answer.headers, instead=answer.instead)
        error = await failure(server, replace(CALL, moment=SENT - timedelta(days=2)))
        assert isinstance(error, RetryableError)
        assert error.cause == "lob search"
        assert fake.cards == []

    async def test_where_it_cant_be_looked_for_nothing_is_sent(self, server: RecordingServer, fake: FakeLob) -> None:
        server.answer(503)
        error = await failure(server, replace(CALL, moment=SENT - timedelta(days=2)))
        assert isinstance(error, RetryableError)
        assert fake.cards == []

    @pytest.mark.parametrize(
        ("key", "live", "words"),
        [
            ("live_s3cret", False, "live: true"),
            ("test_s3cret", True, "prints nothing"),
            ("test_pub_s3cret", False, "publishable"),
            ("live_pub_s3cret", True, "publishable"),
            ("test_s3cret:", False, "colon"),
        ],
    )
    def test_a_key_that_doesnt_fit_is_refused_in_words(self, key: str, live: bool, words: str) -> None:
        with pytest.raises(ValidationError, match=words) as caught:
            connection(api_key=key, live=live)
        assert "s3cret" not in str(caught.value)

    async def test_a_key_of_no_kind_waits_for_the_word(self, server: RecordingServer) -> None:
        error = await failure(server, api_key="s3cret")
        assert isinstance(error, HoldError)
        assert error.cause == "lob live key"
        assert server.requests == []

    async def test_a_live_key_with_the_word_is_used(self, server: RecordingServer, fake: FakeLob) -> None:
        fake.key = "live_s3cret"
        async with connected(server.url, api_key="live_s3cret", live=True) as made:
            await create(made)
        assert len(fake.cards) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "code", "kind", "words"),
        [
            (401, "invalid_api_key", HoldError, "secret key"),
            (401, "email_required", HoldError, "verified"),
            (401, "payment_method_unverified", HoldError, "pay"),
            (403, "publishable_key_not_allowed", HoldError, "secret one"),
            (403, "billing_address_required", HoldError, "billing address"),
            (403, "feature_limit_reached", HoldError, "limit"),
            (403, "something_new", HoldError, "account"),
            (404, "unrecognized_endpoint", HoldError, "base_url"),
            (404, "not_found", PermanentError, "environment"),
            (409, "conflict", PermanentError, "look the postcard up"),
            (422, "invalid", PermanentError, "No."),
            (422, "failed_deliverability_strictness", PermanentError, "strictness"),
            (422, "address_length_exceeds_limit", PermanentError, "50"),
            (422, "invalid_file_download_time", RetryableError, "No."),
            (408, "request_timeout", RetryableError, "No."),
            (429, "rate_limit_exceeded", RetryableError, "No."),
            (503, "service_unavailable", RetryableError, "No."),
            (500, "internal_server_error", RetryableError, ""),
        ],
    )
    async def test_each_code_has_its_fate(
        self, server: RecordingServer, status: int, code: str, kind: type[DeliveryError], words: str
    ) -> None:
        answer = refused(status, code)
        server.answer(answer.status, answer.body)
        error = await failure(server)
        assert type(error) is kind
        assert words in str(error)
        assert error.status == status
        assert error.cause == ("http 500" if status == 500 else f"lob {code}")

    async def test_the_wait_is_lobs_own(self, server: RecordingServer) -> None:
        reset = str(int(time.time()) + 4)
        server.answer(429, refused(429, "rate_limit_exceeded").body, headers={"X-Rate-Limit-Reset": reset})
        error = await failure(server)
        assert isinstance(error, RetryableError)
        assert error.retry_after is not None
        assert timedelta(seconds=2) < error.retry_after <= timedelta(seconds=4)

    @pytest.mark.parametrize("reset", ["soon", "-1", "9" * 40, ""])
    async def test_a_reset_that_cant_be_read_is_none(self, server: RecordingServer, reset: str) -> None:
        server.answer(429, refused(429, "rate_limit_exceeded").body, headers={"X-Rate-Limit-Reset": reset})
        error = await failure(server)
        assert isinstance(error, RetryableError)
        assert error.retry_after is None

    @pytest.mark.parametrize("body", [{}, {"error": {"message": "No.", "code": "invalid"}}, "<html>ok</html>", []])
    async def test_a_200_without_a_postcard_is_no_delivery(self, server: RecordingServer, body: Any) -> None:
        server.answer(200, body)
        error = await failure(server)
        assert isinstance(error, RetryableError)

    async def test_words_of_many_lines_and_the_key_stay_out(self, server: RecordingServer) -> None:
        answer = refused(422, "invalid", f"a\nb {KEY} " + "x" * 900)
        server.answer(answer.status, answer.body)
        error = await failure(server)
        assert "\n" not in str(error)
        assert len(str(error)) < 400
        assert KEY not in json.dumps([str(error), error.received])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"to": "Harry Zhang"}, "adr_"),
        ({"to": {**HARRY, "name": ""}}, "`name` or a `company`"),
        ({"to": {**HARRY, "name": "a\nb"}}, "line break"),
        ({"to": {**HARRY, "name": "x" * 41}}, "40"),
        ({"to": {**HARRY, "address_zip": "9410"}}, "12345"),
        ({"to": {**HARRY, "address_state": "California"}}, "two letters"),
        ({"to": {**HARRY, "address_zip": "", "address_city": ""}}, "address_zip"),
        ({"to": {**HARRY, "address_line1": "x" * 30, "address_line2": "y" * 21}}, "50"),
        ({"to": GERMAN}, "`from`"),
        ({"to": GERMAN, "from": HARRY, "size": "6x9"}, "4x6"),
        ({"from": GERMAN}, "in the US"),
        ({"from": "somebody"}, "adr_"),
        ({"front": "front.pdf"}, "https://"),
        ({"front": "http://files.example.com/a.pdf"}, "https://"),
        ({"back": "<" + "x" * 10_000}, "10000"),
        ({"size": "A4"}, "4x6"),
        ({"use_type": "fun"}, "marketing"),
        ({"mail_type": "usps_standard"}, "4x6"),
        ({"merge_variables": {"first name": 1}}, "space"),
        ({"merge_variables": {"a": "x" * 25_000}}, "25000"),
        ({"metadata": {str(n): "" for n in range(20)}}, "19"),
        ({"metadata": {"a": 'a "b"'}}, "quote"),
        ({"metadata": {"relay_delivery": "x"}}, "relay_delivery"),
        ({"fields": {"size": "6x9"}}, "key of its own"),
        ({"fields": {"idempotency_key": "x"}}, "key of its own"),
        ({"description": "x" * 256}, "255"),
        ({"to": {**HARRY, "name": " \t"}}, "`name` or a `company`"),
        ({"to": {**HARRY, "address_line1": "  "}}, "address_line1"),
    ],
)
def test_what_lob_would_refuse_is_found_before_it_is_sent(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        connection().outgoing(None, {**CARD, **fields}, CALL)
    assert words in str(caught.value)


def test_use_type_is_required() -> None:
    with pytest.raises(PermanentError, match="use_type: is required"):
        connection().outgoing(None, {key: value for key, value in CARD.items() if key != "use_type"}, CALL)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=50), max_size=5))
def test_what_an_event_brings_stays_data(variables: dict[str, str]) -> None:
    preview = connection().outgoing(None, {**CARD, "merge_variables": variables}, CALL).preview()
    assert preview["json"].get("merge_variables", {}) == variables
    assert preview["json"]["back"] == CARD["back"]


class TestCheck:
    async def test_it_writes_nothing_and_says_what_the_key_is_for(self, server: RecordingServer, fake: FakeLob) -> None:
        async with connected(server.url) as made:
            check = await made.check(timedelta(seconds=5))
        assert "test environment" in check.found
        assert check.missing == ()
        assert [request.method for request in server.requests] == ["GET"]
        assert fake.cards == []

    async def test_a_key_that_isnt_taken_fails(self, server: RecordingServer, fake: FakeLob) -> None:
        fake.key = "test_other"
        async with connected(server.url) as made:
            with pytest.raises(HoldError):
                await made.check(timedelta(seconds=5))
