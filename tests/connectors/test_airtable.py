from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.airtable import Airtable, Create, Upsert
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from tests.connectors.fake_airtable import FakeAirtable, refused

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
TOKEN = "pat.s3cret"
ANA = {"Email": "ana@example.com"}


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    basic = {"connector": "airtable", "base_url": url, "allow_private": True, "base": "appFake1", "token": TOKEN}
    return {**basic, **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Airtable:
    return Airtable(Airtable.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Airtable]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def write(made: Airtable, do: str = "create", call: Call = CALL, **fields: Any) -> Reply:
    step = {"table": "Contacts", **({"merge_on": ["Email"]} if do == "upsert" else {}), **fields}
    if "record" not in step and "records" not in step:
        step["record"] = ANA
    return await made.send(do, made.outgoing(do, step, call), call)


async def failure(
    server: RecordingServer, do: str = "create", call: Call = CALL, fields: Any = None, **more: Any
) -> DeliveryError:
    async with connected(server.url, **more) as made:
        with pytest.raises(DeliveryError) as caught:
            await write(made, do, call, **(fields or {}))
    return caught.value


@pytest.fixture
def fake() -> FakeAirtable:
    return FakeAirtable()


@pytest.fixture
def server(fake: FakeAirtable) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class _Contract(HttpConnectorContract):
    connector = Airtable
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        # An answer of {} names no record and is no delivery here, so the fake answers.
        do, fields = self.fields()
        with RecordingServer(default=FakeAirtable().answer) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    assert do is not None
                    await write(made, do, Call("dlv_1", "dlv_1", attempt=attempt), **fields)
            first, second = server.requests
        assert first == second


class TestContract(_Contract):
    pass


class TestContractOfUpsert(_Contract):
    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return Upsert.name, Upsert.examples[0].fields


# What goes out


async def test_records_are_created_as_they_are(server: RecordingServer, fake: FakeAirtable) -> None:
    records = [{**ANA, "Rating": 4, "Note": None}, {"Email": "=1+1\n<b>@everyone"}]
    async with connected(server.url) as made:
        reply = await write(made, records=records)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v0/appFake1/Contacts")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.json() == {"records": [{"fields": row} for row in records]}
    assert [row["fields"] for row in fake.rows] == records
    assert isinstance(reply.body, dict)


async def test_an_upsert_says_what_to_merge_on(server: RecordingServer, fake: FakeAirtable) -> None:
    async with connected(server.url) as made:
        await write(made, "upsert", record={**ANA, "Rating": 1})
        await write(made, "upsert", record={**ANA, "Note": "n"}, typecast=True)
    first, second = server.requests
    assert first.method == "PATCH"
    assert first.json() == {
        "performUpsert": {"fieldsToMergeOn": ["Email"]},
        "records": [{"fields": {**ANA, "Rating": 1}}],
    }
    assert second.json()["typecast"] is True
    assert [row["fields"] for row in fake.rows] == [{**ANA, "Rating": 1, "Note": "n"}]


async def test_a_tables_name_is_quoted_whole(server: RecordingServer) -> None:
    async with connected(server.url) as made:
        assert (await write(made, table="A/B & ç")).status == 200
    assert server.requests[0].target.startswith("/v0/appFake1/A%2FB%20")


@pytest.mark.parametrize("table", ["..", ".", " "])
def test_a_tables_name_cannot_climb(table: str) -> None:
    with pytest.raises(PermanentError, match="name of a table"):
        connection().outgoing("create", {"table": table, "record": ANA}, CALL)


@pytest.mark.parametrize(
    ("do", "fields", "why"),
    [
        ("create", {}, "exactly one of"),
        ("create", {"record": {}, "records": [{}]}, "exactly one of"),
        ("create", {"records": []}, "is empty"),
        ("create", {"records": [{}] * 11}, r"11 records are too many for one call, which takes 10"),
        ("upsert", {"record": ANA}, "merge_on: is required"),
        ("upsert", {"record": ANA, "merge_on": []}, "merge_on"),
        ("upsert", {"record": ANA, "merge_on": ["a", "b", "c", "d"]}, "merge_on"),
        ("upsert", {"record": ANA, "merge_on": ["Id"]}, "nothing in `Id`"),
        ("upsert", {"record": {"Email": ""}, "merge_on": ["Email"]}, "nothing in `Email`"),
    ],
)
def test_what_airtable_would_refuse_is_refused_before_it_is_sent(do: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(do, {"table": "Contacts", **fields}, CALL)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"token": "a\nb"}, "no header takes"),
        ({"base": "app/../x"}, "pattern"),
        ({"base": "tbl1"}, "pattern"),
        ({"throttle_wait": "30"}, "and its unit"),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


def test_the_published_rate_is_the_lanes_default() -> None:
    assert connection().config.limit.rate_in() == (5, timedelta(seconds=1))


# Many rows in one call


def test_a_batch_is_one_call_with_its_rows_in_order() -> None:
    many: list[dict[str, Any]] = [{"table": "T", "record": {"n": 1}}, {"table": "T", "records": [{"n": 2}, {"n": 3}]}]
    assert Create.merged(many) == {"table": "T", "records": [{"n": 1}, {"n": 2}, {"n": 3}]}
    with pytest.raises(PermanentError, match="differ in `typecast`"):
        Create.merged([*many, {"table": "T", "record": {}, "typecast": True}])


def test_a_batch_of_more_than_ten_is_refused_as_too_large_and_so_sent_in_halves() -> None:
    rows = [{"table": "T", "record": {"n": n}} for n in range(11)]
    with pytest.raises(PermanentError) as caught:
        Create.merged(rows)
    assert caught.value.status == 413
    assert len(Create.merged(rows[:10])["records"]) == 10


async def test_two_rows_of_one_batch_for_one_record_make_one(server: RecordingServer, fake: FakeAirtable) -> None:
    shared = {"table": "Contacts", "merge_on": ["Email"]}
    rows = [{**ANA, "Rating": 1, "Note": "old"}, {"Email": "b@example.com"}, {**ANA, "Rating": 2}]
    merged = Upsert.merged([{**shared, "record": row} for row in rows])
    async with connected(server.url) as made:
        await made.send("upsert", made.outgoing("upsert", merged, CALL), CALL)
    assert [row["fields"] for row in fake.rows] == [{**ANA, "Rating": 2, "Note": "old"}, {"Email": "b@example.com"}]


@given(st.lists(st.tuples(st.integers(0, 3), st.dictionaries(st.sampled_from("abc"), st.integers())), min_size=1))
def test_rows_for_one_record_end_as_if_they_had_come_one_by_one(rows: list[tuple[int, dict[str, int]]]) -> None:
    rows = rows[:10]
    wanted: dict[int, dict[str, int]] = {}
    for key, row in rows:
        wanted.setdefault(key, {"key": key}).update(row)
    records = [{"key": key, **row} for key, row in rows]
    sent = connection().outgoing("upsert", {"table": "T", "merge_on": ["key"], "records": records}, CALL)
    assert [row["fields"] for row in sent.preview()["json"]["records"]] == list(wanted.values())


# What comes back


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause"),
    [
        (400, refused(400, "INVALID_JSON", "x").body, PermanentError, "airtable INVALID_JSON"),
        (401, refused(401, "AUTHENTICATION_REQUIRED", "x").body, HoldError, "airtable AUTHENTICATION_REQUIRED"),
        (403, {"error": "INVALID_PERMISSIONS"}, HoldError, "airtable INVALID_PERMISSIONS"),
        (404, {"error": "NOT_FOUND"}, PermanentError, "airtable NOT_FOUND"),
        (404, {"error": {"type": "TABLE_NOT_FOUND"}}, PermanentError, "airtable TABLE_NOT_FOUND"),
        (413, {"error": "REQUEST_TOO_LARGE"}, PermanentError, "airtable REQUEST_TOO_LARGE"),
        (422, refused(422, "UNKNOWN_FIELD_NAME", "x").body, PermanentError, "airtable UNKNOWN_FIELD_NAME"),
        (422, {"error": 7}, PermanentError, "http 422"),
        (500, {"error": "SERVER_ERROR"}, RetryableError, "http 500"),
        (503, {"error": {"type": "SERVICE_UNAVAILABLE"}}, RetryableError, "http 503"),
    ],
)
async def test_an_error_is_a_text_or_an_object(
    server: RecordingServer, status: int, body: Any, kind: type[DeliveryError], cause: str
) -> None:
    server.answer(status, body)
    error = await failure(server)
    assert type(error) is kind
    assert (error.status, error.cause) == (status, cause)


async def test_what_the_fake_refuses_has_its_fate_and_its_remedy(server: RecordingServer, fake: FakeAirtable) -> None:
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"record": {"Colour": "red"}}, "name the fields as the table does"),
        ({"record": {"Rating": "four"}}, "set `typecast: true`"),
    ]
    for fields, words in mistakes:
        error = await failure(server, fields=fields)
        assert isinstance(error, PermanentError)
        assert words in error.message
    wrong: list[tuple[dict[str, Any], dict[str, Any]]]
    wrong = [({"token": "pat.other"}, {}), ({}, {"table": "Gone"}), ({"base": "appOther"}, {})]
    for more, fields in wrong:
        error = await failure(server, fields=fields, **more)
        assert isinstance(error, HoldError)
        assert "data.records:write" in error.message
    assert fake.rows == []


@pytest.mark.parametrize(
    "body",
    [b"", {"error": {"type": "RATE_LIMIT_REACHED", "message": "x"}}, {"errors": [{"error": "RATE_LIMIT_REACHED"}]}],
)
async def test_a_429_waits_thirty_seconds_where_it_says_nothing_else(server: RecordingServer, body: Any) -> None:
    server.answer(429, body)
    server.answer(429, body, headers={"Retry-After": "2"})
    server.answer(429, body)
    waits = []
    settings: list[dict[str, Any]] = [{}, {}, {"throttle_wait": "1m"}]
    for more in settings:
        error = await failure(server, **more)
        assert isinstance(error, RetryableError)
        waits.append(error.retry_after)
    assert waits == [timedelta(seconds=30), timedelta(seconds=2), timedelta(minutes=1)]


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "x"}]},
        {"error": {"type": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "x"}},
        {"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED"},
    ],
)
async def test_the_months_calls_used_up_hold_the_lane(server: RecordingServer, body: Any) -> None:
    server.answer(429, body)
    error = await failure(server)
    assert isinstance(error, HoldError)
    assert error.cause == "airtable monthly limit"
    assert "upgrade" in error.message


async def test_records_without_their_attachments_are_not_called_delivered(server: RecordingServer) -> None:
    details = {"message": "partialSuccess", "reasons": ["attachmentsFailedUploading"]}
    server.answer(200, {"records": [{"id": "rec1"}], "details": details})
    error = await failure(server)
    assert isinstance(error, PermanentError)
    assert "attachmentsFailedUploading" in error.message


@pytest.mark.parametrize("body", [{}, [], b"", {"records": []}, {"records": [{"id": "a"}, {"id": "b"}]}])
async def test_a_200_that_names_not_what_was_sent_is_an_unknown_outcome(server: RecordingServer, body: Any) -> None:
    server.answer(200, body)
    assert isinstance(await failure(server), UnknownOutcomeError)


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_cut_before_the_answer_is_unknown_for_create_and_retried_for_upsert(
    server: RecordingServer, instead: str
) -> None:
    short = Call("d", "d", timeout=timedelta(seconds=0.4))
    server.answer(instead=instead)
    assert isinstance(await failure(server, "create", short), UnknownOutcomeError)
    server.answer(instead=instead)
    assert isinstance(await failure(server, "upsert", short), RetryableError)


async def test_an_upsert_repeated_after_a_lost_answer_makes_no_second_record(fake: FakeAirtable) -> None:
    with RecordingServer(default=fake.answer) as server:
        async with connected(server.url) as made:
            await write(made, "upsert")  # done, and its answer lost
            server.answer(instead="reset")
            with pytest.raises(RetryableError):
                await write(made, "upsert")
            await write(made, "upsert", Call("dlv_1", "dlv_1", attempt=2))
    assert len(fake.rows) == 1


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    body = json.dumps({"records": [{"id": "rec1", "fields": {}}]})
    server.answer(200, body, headers={"content-type": "application/json"}, instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await write(made)).summary


async def test_the_token_is_in_no_error(server: RecordingServer) -> None:
    server.answer(422, refused(422, "INVALID_REQUEST_UNKNOWN", f"you sent\n{TOKEN}").body)
    error = await failure(server)
    assert TOKEN not in json.dumps([error.message, error.cause, error.received])
    assert "\n" not in error.message
