from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.ga4 import Ga4
from relay.connector import Call, Context
from relay.errors import DeliveryError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, RecordingServer, assert_no_secret
from tests.connectors.fake_ga4 import MEASUREMENT_ID, SECRET, FakeGa4

NOW = datetime.now(UTC)
CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5), moment=NOW)
LEAD: dict[str, Any] = {"client_id": "1.2", "name": "generate_lead", "params": {"value": 20}}


def settings_for(url: str, **more: Any) -> dict[str, Any]:
    ours = {"connector": "ga4", "base_url": url, "allow_private": True}
    return {**ours, "measurement_id": MEASUREMENT_ID, "api_secret": SECRET, **more}


class TestContract(HttpConnectorContract):
    connector = Ga4

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings_for(url)


class TestContractOfDebug(TestContract):
    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "debug", LEAD

    async def test_a_2xx_is_a_delivery(self) -> None:
        """Only where the validation server says that nothing is wrong."""
        with RecordingServer() as server:
            server.answer(201, {"id": 7})
            assert isinstance(await self._failure(server.url), RetryableError)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        async with analytics() as (_, made, server):
            for attempt in (1, 2):
                await send(made, "debug", Call("d", "k", attempt=attempt, moment=NOW), **LEAD)
        first, second = server.requests
        assert first == second


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Ga4:
    return Ga4(Ga4.Config.model_validate(settings_for(url, **more)), Context())


@asynccontextmanager
async def analytics(**more: Any) -> AsyncIterator[tuple[FakeGa4, Ga4, RecordingServer]]:
    fake = FakeGa4()
    with RecordingServer(default=fake) as server:
        made = connection(server.url, **more)
        try:
            yield fake, made, server
        finally:
            await made.aclose()


async def send(made: Ga4, do: str = "event", call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(do, made.outgoing(do, fields, call), call)


async def test_an_event_arrives_with_its_time_and_is_kept() -> None:
    async with analytics() as (fake, made, server):
        reply = await send(made, **LEAD, user_id="u", user_properties={"plan": "free", "none": None})
    (request,) = server.requests
    assert request.path == "/mp/collect"
    assert dict(request.query) == {"measurement_id": MEASUREMENT_ID, "api_secret": SECRET}
    assert request.json() == {
        "client_id": "1.2",
        "user_id": "u",
        "timestamp_micros": round(NOW.timestamp() * 1_000_000),
        "user_properties": {"plan": {"value": "free"}},
        "events": [{"name": "generate_lead", "params": {"value": 20}}],
    }
    assert fake.kept == [{"name": "generate_lead", "params": {"value": 20}}]
    assert reply.summary == "204 No Content, which Google says to anything"


async def test_a_wrong_secret_is_not_seen_which_is_why_it_is_said() -> None:
    async with analytics(api_secret="another") as (fake, made, _):
        reply = await send(made, **LEAD)
    assert fake.kept == []
    assert reply.status == 204


LONG = "x" * 101


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "n" * 41}, "longer than 40"),
        ({"name": "_mine"}, "Google's own names"),
        ({"name": "ga_mine"}, "Google's own names"),
        ({"name": "2nd"}, "start with a letter"),
        ({"name": "a b"}, "only letters"),
        ({"name": "a\n"}, "only letters"),
        ({"name": "session_start"}, "is Google's own"),
        ({"name": "a", "params": {f"p{n}": n for n in range(26)}}, "26 parameters"),
        ({"name": "a", "params": {"p": LONG}}, "101 characters"),
        ({"name": "a", "params": {"p" * 41: 1}}, "longer than 40"),
        ({"name": "a", "params": {"google_x": 1}}, "Google's own names"),
        ({"name": "a", "params": {"p": {"q": 1}}}, "list or a mapping"),
        ({"name": "a", "user_properties": {"p" * 25: 1}}, "longer than 24"),
        ({"name": "a", "user_properties": {"p": "x" * 37}}, "37 characters"),
        ({"name": "a", "user_properties": {"p": []}}, "list or a mapping"),
        ({"name": "a", "user_properties": {f"p{n}": 1 for n in range(26)}}, "26 user properties"),
        ({"events": [{"name": "a"}] * 26}, "26 events"),
        ({"name": "a", "params": {"items": [{"item_name": "x" * 1000}] * 140}}, "bytes"),
        ({}, "give one event"),
        ({"name": "a", "events": [{"name": "b"}]}, "give one event"),
        ({"events": [{"name": "b"}], "params": {"a": 1}}, "each of `events` has its own"),
    ],
)
def test_what_analytics_would_drop_is_refused_before_it_is_sent(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        connection().outgoing("event", {"client_id": "1.2", **fields}, CALL)
    assert "\n" not in str(caught.value)
    assert LONG not in str(caught.value)


async def test_what_is_at_the_limits_is_kept() -> None:
    params = {**{f"p{n}": "x" * 100 for n in range(24)}, "items": [{"item_id": 1}]}
    async with analytics() as (fake, made, _):
        await send(made, client_id="1.2", events=[{"name": "n" * 40, "params": params}] * 25)
    assert len(fake.kept) == 25


def test_analytics_360_has_longer_values() -> None:
    assert connection(longest_value=500).outgoing("event", {**LEAD, "params": {"p": "x" * 500}}, CALL).preview()


async def test_what_is_older_than_72_hours_is_refused() -> None:
    old = Call("d", "k", moment=NOW - timedelta(hours=73))
    async with analytics() as (_, made, server):
        with pytest.raises(PermanentError, match="72 hours"):
            await send(made, "event", old, **LEAD)
        assert server.requests == []
        with pytest.raises(PermanentError, match="timestamp_micros: VALUE_INVALID"):
            await send(made, "debug", old, **LEAD)


async def test_debug_says_what_google_finds() -> None:
    async with analytics() as (fake, made, server):
        reply = await send(made, "debug", **LEAD)
        assert reply.summary == "200 OK: nothing is wrong with it"
        assert [request.path for request in server.requests] == ["/debug/mp/collect"]
        assert fake.kept == []
        found = {"fieldPath": "events", "description": f"bad\nname {SECRET}", "validationCode": "NAME_INVALID"}
        server.answer(200, {"validationMessages": [found]})
        with pytest.raises(PermanentError, match="events: NAME_INVALID: bad name") as caught:
            await send(made, "debug", **LEAD)
    assert caught.value.cause == "refused by the validation server"
    assert_no_secret(made.config, str(caught.value), caught.value.received)


@pytest.mark.parametrize("instead", ["reset", "garbage", "close"])
async def test_no_answer_is_unknown_and_of_debug_a_retry(instead: Any) -> None:
    async with analytics() as (_, made, server):
        for do, kind in (("event", UnknownOutcomeError), ("debug", RetryableError)):
            server.answer(instead=instead)
            with pytest.raises(DeliveryError) as caught:
                await send(made, do, **LEAD)
            assert type(caught.value) is kind


async def test_a_server_error_is_retried() -> None:
    async with analytics() as (_, made, server):
        server.default = Answer(503)
        with pytest.raises(RetryableError):
            await send(made, **LEAD)


def test_the_secret_is_hidden_and_the_id_is_checked() -> None:
    preview = connection().outgoing("event", LEAD, CALL).preview()
    assert preview["url"].endswith(f"/mp/collect?measurement_id={MEASUREMENT_ID}&api_secret=***")
    assert "authorization" not in preview["headers"]
    with pytest.raises(ValidationError):
        connection(measurement_id="UA-1")


# A rehearsal


async def rehearsed(server: RecordingServer, **fields: Any) -> tuple[str, ...]:
    made = Ga4(Ga4.Config.model_validate(settings_for(server.url)), Context())
    try:
        return await made.rehearse(None, made.outgoing("event", {**LEAD, **fields}, CALL), CALL)
    finally:
        await made.aclose()


async def test_a_rehearsal_asks_the_validation_server_and_records_nothing() -> None:
    fake = FakeGa4()
    old = round((NOW - timedelta(days=4)).timestamp() * 1_000_000)
    with RecordingServer(default=fake) as server:
        assert await rehearsed(server) == ()
        (found,) = await rehearsed(server, timestamp_micros=old)
        assert {request.path for request in server.requests} == {"/debug/mp/collect"}
    assert found == "timestamp_micros: VALUE_INVALID: Measurement timestamp_micros is too old."
    assert fake.kept == []


async def test_a_rehearsal_that_is_not_answered_is_no_approval() -> None:
    with RecordingServer() as server, pytest.raises(RetryableError, match="nothing that its validation server says"):
        await rehearsed(server)
