from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.salesforce.connector import Salesforce
from connectors.salesforce.records import Upsert
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_oauth import CLIENT_ID, CLIENT_SECRET, a_key
from tests.connectors.fake_salesforce import FakeSalesforce, FakeTokens

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
APP = {"connector": "salesforce", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "allow_private": True}
JWT = {"client_secret": None, "private_key": a_key()[0], "username": "ana@example.com"}
LEAD = {"object": "Lead", "external_id_field": "Ref__c", "external_id": "7", "fields": {"LastName": "Lovelace"}}
COURSE = {
    "id": "course", "do": "upsert", "object": "Course__c", "external_id_field": "Code__c", "external_id": "C/1",
    "fields": {"Name": "Computing"},
}  # fmt: skip
MEMBER = {
    "id": "lead", "do": "upsert", "object": "Lead", "external_id_field": "Ref__c", "external_id": 7,
    "fields": {"LastName": "Lovelace"}, "from": {"Company": "course.id"},
}  # fmt: skip
MADE = {"id": "made", "do": "create", "object": "Lead", "fields": {"LastName": "Lovelace"}}
BAD = {"id": "bad", "do": "create", "object": "Lead", "fields": {"Nope": 1}}
NEW = {"object": "Lead", "fields": {"LastName": "Lovelace"}}


class TestContract(HttpConnectorContract):
    connector = Salesforce
    login = "http://127.0.0.1:9"

    @pytest.fixture(autouse=True)
    def _tokens(self) -> Iterator[None]:
        with RecordingServer(default=FakeTokens()) as server:
            self.login = server.url
            yield

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {**APP, "base_url": url, "login_url": self.login}

    async def test_bad_credentials_hold_the_lane(self) -> None:
        # The first 401 only means that the session is over: it is begun anew.
        with RecordingServer() as server:
            server.answer(401)
            server.answer(401)
            error = await self._failure(server.url)
        assert isinstance(error, HoldError)


class TestContractOfComposites(TestContract):
    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "composite", {"requests": [COURSE, MEMBER]}

    async def test_a_2xx_is_a_delivery(self) -> None:
        # Only what came of each of the requests is an answer.
        with RecordingServer() as server:
            server.answer(200, {"compositeResponse": [result("course", 201, {"id": "1"}), result("lead", 204, None)]})
            reply = await sent(server.url, "composite", {"requests": [COURSE, MEMBER]}, login_url=self.login)
        assert reply.body == {"course": {"id": "1"}, "lead": None}

    async def test_every_attempt_sends_the_same_request(self) -> None:
        with RecordingServer(default=FakeSalesforce()) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    call = Call("dlv_1", "dlv_1", attempt=attempt)
                    await made.send("composite", made.outgoing("composite", {"requests": [COURSE]}, call), call)
            first, second = (one for one in server.requests if one.path != FakeTokens.path)
        assert first == second


class TestContractOfUpserting(TestContract):
    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "upsert", LEAD


def connection(url: str = "http://127.0.0.1:9", **settings: Any) -> Salesforce:
    return Salesforce(Salesforce.Config.model_validate({**APP, "base_url": url, **settings}), Context())


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Salesforce]:
    made = connection(url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def sent(url: str, do: str, fields: Mapping[str, Any], call: Call = CALL, **settings: Any) -> Reply:
    async with connected(url, **settings) as made:
        return await made.send(do, made.outgoing(do, fields, call), call)


async def failure(url: str, do: str, fields: Mapping[str, Any], call: Call = CALL, **settings: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sent(url, do, fields, call, **settings)
    return caught.value


async def answered(do: str, status: int, body: Any, **more: Any) -> DeliveryError:
    with RecordingServer() as server, RecordingServer(default=FakeTokens()) as login:
        for _ in range(2 if status == 401 else 1):
            server.answer(status, body, **more)
        return await failure(server.url, do, LEAD if do == "upsert" else NEW, login_url=login.url)


@pytest.mark.parametrize("settings", [{}, JWT])
async def test_records_are_made_changed_and_found_again(settings: dict[str, Any]) -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        async with connected(server.url, **settings) as made:
            for do, fields in (
                ("create", NEW),
                ("update", {"object": "Lead", "id": f"00Q{1:015d}", "fields": {"Company": None}}),
                ("upsert", LEAD),
                ("upsert", {**LEAD, "fields": {"Ref__c": 7, "Company": "Acme"}, "update_only": True}),
            ):
                await made.send(do, made.outgoing(do, fields, CALL), CALL)
        assert [request.path for request in server.requests].count(FakeTokens.path) == 1
    assert list(fake.records["Lead"].values()) == [
        {"LastName": "Lovelace", "Company": None},
        {"Ref__c": "7", "LastName": "Lovelace", "Company": "Acme"},
    ]


@pytest.mark.parametrize("key", ["a/b?c#d", "../Course__c/1", "%2e%2e", "é ü", "a\r\nX: y", "a+b@c.d", "a%2Fb"])
async def test_an_external_id_arrives_as_it_was_given(key: str) -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        await sent(server.url, "upsert", {**LEAD, "external_id": key})
    assert [record["Ref__c"] for record in fake.records["Lead"].values()] == [key]


@pytest.mark.parametrize(
    ("do", "fields", "why"),
    [
        ("create", {"object": "Lead/1", "fields": {}}, "object"),
        ("update", {"object": "Lead", "id": "../x", "fields": {}}, "id"),
        ("upsert", {**LEAD, "external_id": ".."}, "give it as `rows`"),
        ("upsert", {**LEAD, "external_id": " "}, "needs its Ref__c"),
        ("upsert", {**LEAD, "external_id": "\ud800"}, "half a character"),
        ("upsert", {**LEAD, "external_id_field": "a/b"}, "external_id_field"),
        ("upsert", {**LEAD, "fields": {"Ref__c": "8"}}, "another than"),
        ("upsert", {**LEAD, "rows": [{"external_id": "1", "fields": {}}]}, "say external_id and fields, or rows"),
        ("upsert", {"object": "Lead", "external_id_field": "Ref__c", "external_id": "1"}, "say external_id"),
    ],
)
def test_what_makes_no_request_is_refused_before_it_is_sent(do: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(do, fields, CALL)


@pytest.mark.parametrize(
    "settings",
    [
        {"client_secret": None},
        {"username": "ana"},
        {**JWT, "username": None},
        {**JWT, "private_key": "none"},
        {"login_url": "ftp://x"},
        {"api_version": "v62"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connection(**settings)


# Batches


def test_rows_become_one_collection_where_the_later_overwrites() -> None:
    rows = [{**LEAD, "external_id": key, "fields": {"Score__c": n}} for n, key in enumerate(["a", "b", "a"])]
    assert connection().outgoing("upsert", Upsert.merged(rows), CALL).preview()["json"] == {
        "allOrNone": True,
        "records": [
            {"attributes": {"type": "Lead"}, "Ref__c": "a", "Score__c": 2},
            {"attributes": {"type": "Lead"}, "Ref__c": "b", "Score__c": 1},
        ],
    }


def test_more_rows_than_it_takes_are_sent_in_halves() -> None:
    rows = [{**LEAD, "external_id": n} for n in range(201)]
    with pytest.raises(PermanentError, match="max: 200") as caught:
        connection().outgoing("upsert", Upsert.merged(rows), CALL)
    assert caught.value.status == 413


async def test_a_bad_row_ends_up_alone_and_no_other_is_written_twice() -> None:
    fake = FakeSalesforce()
    rows: list[dict[str, Any]] = [{**LEAD, "external_id": str(n)} for n in range(8)]
    rows[5]["fields"] = {"LastName": "x" * 81}
    dead: list[Any] = []
    found: set[tuple[int | None, str]] = set()
    with RecordingServer(default=fake) as server:
        waiting = [rows]
        while waiting:  # as relay.batch does
            part = waiting.pop()
            try:
                await sent(server.url, "upsert", Upsert.merged(part))
            except PermanentError as error:
                found.add((error.status, error.cause))
                half = (len(part) + 1) // 2
                if len(part) > 1:
                    waiting += [part[:half], part[half:]]
                else:
                    dead += part
    assert dead == [rows[5]]
    assert found == {(422, "salesforce STRING_TOO_LONG")}
    assert (len(fake.records["Lead"]), fake.writes) == (7, 7)


# What comes back


def said(code: str, message: str = "words") -> list[dict[str, Any]]:
    return [{"message": message, "errorCode": code, "fields": []}]


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause", "wait"),
    [
        (300, ["/services/data/v62.0/sobjects/Lead/1"], PermanentError, "salesforce 300", None),
        (400, said("REQUIRED_FIELD_MISSING"), PermanentError, "salesforce REQUIRED_FIELD_MISSING", None),
        (400, said("INVALID_FIELD"), PermanentError, "salesforce INVALID_FIELD", None),
        (400, said("STRING_TOO_LONG"), PermanentError, "salesforce STRING_TOO_LONG", None),
        (400, said("DUPLICATES_DETECTED"), PermanentError, "salesforce DUPLICATES_DETECTED", None),
        (400, said("UNABLE_TO_LOCK_ROW"), RetryableError, "salesforce UNABLE_TO_LOCK_ROW", None),
        (401, said("INVALID_SESSION_ID"), HoldError, "salesforce INVALID_SESSION_ID", None),
        (403, said("API_DISABLED_FOR_ORG"), HoldError, "salesforce API_DISABLED_FOR_ORG", None),
        (403, said("INSUFFICIENT_ACCESS"), PermanentError, "salesforce INSUFFICIENT_ACCESS", None),
        (
            403,
            said("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            RetryableError,
            "salesforce REQUEST_LIMIT_EXCEEDED",
            timedelta(hours=1),
        ),
        (
            403,
            said("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
            RetryableError,
            "salesforce REQUEST_LIMIT_EXCEEDED",
            None,
        ),
        (404, said("NOT_FOUND"), PermanentError, "salesforce NOT_FOUND", None),
        (409, said("CONFLICT"), RetryableError, "salesforce CONFLICT", None),
        (410, said("GONE"), HoldError, "http 410 gone", None),
        (500, said("UNKNOWN_EXCEPTION"), RetryableError, "salesforce UNKNOWN_EXCEPTION", None),
        (503, said("SERVER_UNAVAILABLE"), RetryableError, "salesforce SERVER_UNAVAILABLE", None),
        (503, "<html>", RetryableError, "http 503", None),
    ],
)
async def test_each_error_has_its_fate(
    status: int, body: Any, kind: type[DeliveryError], cause: str, wait: timedelta | None
) -> None:
    error = await answered("upsert", status, body)
    assert (type(error), error.cause, error.status) == (kind, cause, status)
    assert (error.retry_after if isinstance(error, RetryableError) else None) == wait
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("codes", "kind", "cause"),
    [
        (["ALL_OR_NONE_OPERATION_ROLLED_BACK", "UNABLE_TO_LOCK_ROW"], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        (["UNABLE_TO_LOCK_ROW", "INVALID_FIELD"], PermanentError, "salesforce UNABLE_TO_LOCK_ROW"),
        (["API_CURRENTLY_DISABLED"], HoldError, "salesforce API_CURRENTLY_DISABLED"),
        ([], PermanentError, "salesforce refused"),
    ],
)
async def test_a_success_that_is_none_is_found(codes: list[str], kind: type[DeliveryError], cause: str) -> None:
    error = await answered(
        "upsert", 200, [{"success": False, "errors": [{"statusCode": code}]} for code in codes or [""]]
    )
    assert (type(error), error.cause) == (kind, cause)


async def test_a_session_that_is_over_is_begun_anew_once() -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        async with connected(server.url) as made:
            await made.send("upsert", made.outgoing("upsert", LEAD, CALL), CALL)
            fake.tokens.given += 1  # the session that is in use is over
            await made.send("upsert", made.outgoing("upsert", LEAD, CALL), CALL)
            server.answer(400, said("INVALID_FIELD", f"{fake.tokens.token} {CLIENT_SECRET}\r\n"))
            with pytest.raises(PermanentError) as caught:
                await made.send("upsert", made.outgoing("upsert", LEAD, CALL), CALL)
        assert [request.path for request in server.requests].count(FakeTokens.path) == 2
    assert fake.writes == 2
    assert "s3cret" not in json.dumps([caught.value.message, caught.value.received])


async def test_requests_go_where_the_tokens_answer_says() -> None:
    tokens = FakeTokens()
    with RecordingServer() as instance, RecordingServer(default=tokens) as login:
        tokens.reply["instance_url"] = instance.url
        await sent(login.url, "upsert", LEAD)
        assert len(instance.requests) == len(login.requests) == 1
        tokens.reply["instance_url"] = "ftp://x"
        error = await failure(login.url, "upsert", LEAD)
    assert (type(error), error.cause) == (HoldError, "instance_url refused")
    with pytest.raises(HoldError):
        connection("https://acme.my.salesforce.com")._instance("http://acme.my.salesforce.com")


async def test_a_wrong_secret_holds_the_lane() -> None:
    with RecordingServer(default=FakeSalesforce()) as server:
        error = await failure(server.url, "upsert", LEAD, client_secret="wrong")
    assert (type(error), error.cause) == (HoldError, "token: invalid_client")


# The worst moments


async def test_an_upsert_whose_answer_got_lost_is_repeated_and_makes_no_second_record() -> None:
    fake, lost = FakeSalesforce(), ["reset"]

    def lossy(request: Recorded) -> Answer:
        answer = fake(request)
        return Answer(instead="reset") if request.path != FakeTokens.path and lost and lost.pop() else answer

    with RecordingServer(default=lossy) as server:
        assert isinstance(await failure(server.url, "upsert", LEAD), RetryableError)
        await sent(server.url, "upsert", LEAD)
    assert len(fake.records["Lead"]) == 1


async def test_a_create_whose_answer_got_lost_has_an_unknown_outcome() -> None:
    assert isinstance(await answered("create", 200, "", instead="reset"), UnknownOutcomeError)


# Composites


def result(name: str, status: int, body: Any) -> dict[str, Any]:
    return {"referenceId": name, "httpStatusCode": status, "httpHeaders": {}, "body": body}


async def test_a_composite_makes_later_records_of_what_came_of_earlier_ones() -> None:
    fake = FakeSalesforce()
    reads = {"id": "read", "do": "get", "object": "Lead", "record_from": "lead.id", "select": ["LastName"]}
    changes = {"id": "change", "do": "update", "object": "Lead", "record_from": "lead.id", "fields": {"Score__c": 5}}
    with RecordingServer(default=fake) as server:
        for _ in range(2):
            reply = await sent(server.url, "composite", {"requests": [COURSE, MEMBER, changes, reads]})
    (course,), (lead,) = fake.records["Course__c"], fake.records["Lead"]
    assert fake.records["Lead"][lead] == {"Ref__c": "7", "LastName": "Lovelace", "Company": course, "Score__c": 5}
    assert isinstance(reply.body, dict)
    assert set(reply.body) == {"course", "lead", "change", "read"}
    assert reply.body["read"]["LastName"] == "Lovelace"


async def test_all_or_none_writes_nothing_and_names_the_one_that_was_refused() -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        error = await failure(server.url, "composite", {"requests": [COURSE, MADE, BAD]})
    assert (type(error), error.cause, error.status) == (PermanentError, "salesforce INVALID_FIELD", 400)
    assert "Salesforce refused bad: INVALID_FIELD" in error.message
    assert "nothing was written" in error.message
    assert fake.writes == 0


async def test_a_composite_that_is_partly_done_with_a_create_in_it_is_never_repeated() -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        error = await failure(server.url, "composite", {"requests": [MADE, BAD], "all_or_none": False})
    assert (type(error), error.cause) == (PermanentError, "salesforce partly done")
    assert "made was written" in error.message
    assert fake.writes == 1


LOCKED = said("UNABLE_TO_LOCK_ROW")
HALTED = said("PROCESSING_HALTED")
GONE = said("API_DISABLED_FOR_ORG")
FINE = {"id": "1", "success": True, "errors": []}


@pytest.mark.parametrize(
    ("asked", "all_or_none", "results", "kind", "cause"),
    [
        ([COURSE, MEMBER], True, [(400, LOCKED), (400, HALTED)], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        ([COURSE, MEMBER], True, [(400, HALTED), (400, LOCKED)], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        ([MADE, COURSE], True, [(400, HALTED), (400, LOCKED)], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        ([COURSE, MEMBER], False, [(201, FINE), (400, LOCKED)], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        ([MADE, COURSE], False, [(201, FINE), (400, LOCKED)], PermanentError, "salesforce partly done"),
        ([MADE, COURSE], False, [(400, LOCKED), (400, LOCKED)], RetryableError, "salesforce UNABLE_TO_LOCK_ROW"),
        ([COURSE, MEMBER], True, [(503, None), (400, HALTED)], RetryableError, "salesforce refused"),
        ([COURSE, MEMBER], True, [(403, GONE), (400, HALTED)], HoldError, "salesforce API_DISABLED_FOR_ORG"),
        ([COURSE, MEMBER], True, [(300, ["/a", "/b"]), (400, HALTED)], PermanentError, "salesforce 300"),
        ([COURSE, MEMBER], True, [(400, HALTED), (400, HALTED)], PermanentError, "salesforce PROCESSING_HALTED"),
        (
            [COURSE, MEMBER],
            True,
            [(200, {"success": False, "errors": [{"statusCode": "STRING_TOO_LONG"}]}), (400, HALTED)],
            PermanentError,
            "salesforce STRING_TOO_LONG",
        ),
    ],
)
async def test_what_came_of_each_part_decides(
    asked: list[Any], all_or_none: bool, results: list[Any], kind: type[DeliveryError], cause: str
) -> None:
    told = [result(one["id"], *found) for one, found in zip(asked, results, strict=True)]
    with RecordingServer() as server, RecordingServer(default=FakeTokens()) as login:
        server.answer(200, {"compositeResponse": told})
        fields = {"requests": asked, "all_or_none": all_or_none}
        error = await failure(server.url, "composite", fields, login_url=login.url)
    assert (type(error), error.cause) == (kind, cause)
    assert "\n" not in error.message


@pytest.mark.parametrize(("asked", "kind"), [([COURSE], RetryableError), ([MADE], UnknownOutcomeError)])
@pytest.mark.parametrize("body", [{}, {"compositeResponse": []}, {"compositeResponse": [{}]}, "<html>"])
async def test_an_answer_that_does_not_tell_of_each_part_is_no_success(
    body: Any, asked: list[Any], kind: type[DeliveryError]
) -> None:
    with RecordingServer() as server, RecordingServer(default=FakeTokens()) as login:
        server.answer(200, body)
        error = await failure(server.url, "composite", {"requests": asked}, login_url=login.url)
    assert (type(error), error.cause) == (kind, "salesforce composite without results")


async def test_a_composite_with_a_create_whose_answer_got_lost_has_an_unknown_outcome() -> None:
    with RecordingServer() as server, RecordingServer(default=FakeTokens()) as login:
        server.answer(instead="reset")
        error = await failure(server.url, "composite", {"requests": [COURSE, MADE]}, login_url=login.url)
    assert isinstance(error, UnknownOutcomeError)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ([{**COURSE, "id": "a b"}], "id"),
        ([COURSE, COURSE], "two requests have the id course"),
        ([MEMBER, COURSE], "no request before it"),
        ([COURSE, {**MEMBER, "from": {"Company": "course"}}], "written as account.id"),
        ([COURSE, {**MEMBER, "from": {"Company": "course.id}@{x.y"}}], "written as account.id"),
        ([COURSE, {**MEMBER, "from": {"LastName": "course.id"}}], "both `fields` and `from`"),
        ([{**COURSE, "external_id": None}], "upsert takes"),
        ([{**MADE, "record": "00Q5e00000abcdEEAQ"}], "create and upsert neither"),
        ([{"id": "a", "do": "get", "object": "Lead"}], "record_from"),
        ([{"id": "a", "do": "get", "object": "Lead", "record": "00Q5e00000abcdEEAQ", "fields": {"A": 1}}], "no fields"),
        ([{"id": "a", "do": "create", "object": "Lead"}], "some"),
        ([{**MADE, "select": ["Id"]}], "goes with get"),
        ([{**MADE, "fields": {"a/b": 1}}], "API name"),
        ([{**MADE, "fields": {"LastName": "@{course.id}"}}], "take for a reference"),
        ([{**MADE, "fields": {"Owner": {"Ref__c": ["@{course.id}"]}}}], "take for a reference"),
        ([{**COURSE, "external_id": "@{x.id}"}], "take for a reference"),
        ([{**COURSE, "external_id": ".."}], "can't be part of an address"),
        ([{**MADE, "id": f"r{n}"} for n in range(26)], "at most 25"),
        ([], "at least 1"),
    ],
)
def test_a_composite_that_cannot_work_is_refused_before_it_is_sent(asked: list[Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing("composite", {"requests": asked}, CALL)


# The harmless call


async def test_the_harmless_call_says_whose_token_it_is_and_how_many_requests_are_left() -> None:
    fake = FakeSalesforce()
    with RecordingServer(default=fake) as server:
        async with connected(server.url) as made:
            found = await made.check(timedelta(seconds=5))
            assert (
                found.found
                == "127.0.0.1 took the token of ana@example.com; 14,998 of 15,000 requests of 24 hours are left"
            )
            assert found.missing == ()
            fake.userinfo, fake.remaining = False, 12
            found = await made.check(timedelta(seconds=5))
        assert found.found == "127.0.0.1 took the token; 12 of 15,000 requests of 24 hours are left"
        assert "hardly any" in found.missing[0]
        async with connected(server.url, client_secret="wrong") as made:
            with pytest.raises(HoldError, match="client_secret"):
                await made.check(timedelta(seconds=5))
    assert fake.writes == 0
