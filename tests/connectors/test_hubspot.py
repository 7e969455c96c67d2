from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hubspot.crm.objects import ApiClient, BasicApi, BatchApi, Configuration  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.hubspot.connector import HubSpot, Upsert
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_hubspot import TOKEN, FakeHubSpot
from tests.connectors.fake_oauth import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, FakeOAuth

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
ANA = {"object": "contacts", "id": "ana@example.com", "properties": {"firstname": "Ana"}}


class TestContract(HttpConnectorContract):
    connector = HubSpot
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "hubspot", "base_url": url, "allow_private": True, "token": TOKEN}


class TestContractOfUpserting(TestContract):
    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "upsert", ANA


def connection(url: str = "http://127.0.0.1:9", **settings: Any) -> HubSpot:
    given_ = {"connector": "hubspot", "base_url": url, "allow_private": True, "token": TOKEN, **settings}
    return HubSpot(HubSpot.Config.model_validate(given_), Context())


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[HubSpot]:
    made = connection(url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def sent(url: str, do: str, fields: Mapping[str, Any], call: Call = CALL, **settings: Any) -> Reply:
    async with connected(url, **settings) as made:
        return await made.send(do, made.outgoing(do, fields, call), call)


async def failure(url: str, do: str, fields: Mapping[str, Any], call: Call = CALL) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await sent(url, do, fields, call)
    return caught.value


def body_of(do: str, **fields: Any) -> Any:
    return connection().outgoing(do, fields, CALL).preview()["json"]


# What goes out


async def test_the_vendors_own_sdk_sends_the_same() -> None:
    with RecordingServer(default=FakeHubSpot()) as server:
        config = Configuration(host=server.url)
        config.access_token = TOKEN
        sdk = ApiClient(config)
        fields: dict[str, Any] = {"email": "ana@example.com", "firstname": "Ana"}
        link = {"to": {"id": "101"}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]}
        BasicApi(sdk).create("contacts", {"properties": fields, "associations": [link]})
        BasicApi(sdk).update("contacts", "ana@example.com", {"properties": {"age": "36"}}, id_property="email")
        row = {"idProperty": "email", "id": "ana@example.com", "properties": {"firstname": "Ana"}}
        BatchApi(sdk).upsert("contacts", {"inputs": [row]})
        theirs = list(server.requests)
    with RecordingServer(default=FakeHubSpot()) as server:
        linked = [{"to": 101, "type": 279}]
        await sent(server.url, "create", {"object": "contacts", "properties": fields, "associations": linked})
        update = {"object": "contacts", "id": "ana@example.com", "id_property": "email", "properties": {"age": 36}}
        await sent(server.url, "update", update)
        await sent(server.url, "upsert", ANA)
        ours = list(server.requests)
    assert len(ours) == len(theirs) == 3
    for our, their in zip(ours, theirs, strict=True):
        assert (our.method, our.path.replace("%40", "@")) == (their.method, their.path.replace("%40", "@"))
        assert (our.query, our.json()) == (their.query, their.json())
        assert our.headers["authorization"] == their.headers["authorization"]


def test_properties_are_text() -> None:
    given_ = {"a": 36, "b": True, "c": None, "d": 1.5, "e": ["x", 2], "f": "007", "g": 2**70, "h": []}
    assert body_of("create", object="contacts", properties=given_)["properties"] == {
        "a": "36",
        "b": "true",
        "c": "",
        "d": "1.5",
        "e": "x;2",
        "f": "007",
        "g": "1180591620717411303424",
        "h": "",
    }


@pytest.mark.parametrize(
    ("do", "fields", "why"),
    [
        ("create", {"object": "contacts", "properties": {"a": {"b": 1}}}, "must be one value"),
        ("create", {"object": "contacts", "properties": {"a": ["x;y", "z"]}}, "parts values"),
        ("create", {"object": "contacts/../deals", "properties": {}}, "object"),
        ("create", {"object": "contacts?x", "properties": {}}, "object"),
        ("update", {"object": "contacts", "id": "", "properties": {}}, "is none"),
        ("update", {"object": "contacts", "id": "..", "properties": {}}, "is none"),
        ("update", {"object": "contacts", "id": "\ud800", "properties": {}}, "half a character"),
        ("upsert", {"object": "contacts", "id": " ", "properties": {}}, "needs its email"),
        ("upsert", {"object": "contacts", "id": "a"}, "say id and properties, or rows"),
        ("upsert", {"object": "contacts", "properties": {}}, "say id and properties, or rows"),
        ("upsert", {**ANA, "rows": [{"id": "b", "properties": {}}]}, "say id and properties, or rows"),
        ("upsert", {"object": "contacts", "rows": []}, "rows"),
    ],
)
def test_what_makes_no_request_is_refused_before_it_is_sent(do: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(do, fields, CALL)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: text.strip(".")))
def test_an_id_never_leaves_its_place_in_the_address(text: str) -> None:
    fields = {"object": "contacts", "id": text, "properties": {}}
    url = connection().outgoing("update", fields, CALL).preview()["url"]
    assert url.startswith("http://127.0.0.1:9/crm/v3/objects/contacts/")
    assert not set("/?#&\\ ") & set(url.removeprefix("http://127.0.0.1:9/crm/v3/objects/contacts/"))


@pytest.mark.parametrize("key", ["a/b?c#d", "%2e%2e", "../deals/7", "é ü", "a%2Fb", "a\r\nX: y", "a+b@c.d"])
async def test_an_id_arrives_as_it_was_given(key: str) -> None:
    fake = FakeHubSpot()
    fake.records["companies"]["7"] = {"erp_number": key}
    with RecordingServer(default=fake) as server:
        fields = {"object": "companies", "id": key, "id_property": "erp_number", "properties": {"name": "Seven"}}
        await sent(server.url, "update", fields)
    assert fake.records["companies"]["7"]["name"] == "Seven"


def test_a_newer_api_has_another_address() -> None:
    made = connection(api_version="2026-03").outgoing("upsert", ANA, CALL)
    assert made.preview()["url"] == "http://127.0.0.1:9/crm/objects/2026-03/contacts/batch/upsert"


@pytest.mark.parametrize(
    "settings",
    [
        {"token": None},
        {"token": "two\nlines"},
        {"oauth": {"token_url": "https://id", "client_id": "a", "client_secret": "b", "refresh_token": "c"}},
        {"api_version": "v3/../v1"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connection(**settings)


# Batches


def test_rows_of_a_batch_are_inputs_of_one_request() -> None:
    many = [{"object": "contacts", "id": f"a{n}@x.com", "properties": {"age": n}} for n in range(3)]
    merged = Upsert.merged([*many, {"object": "contacts", "rows": [{"id": "b@x.com", "properties": {}}]}])
    assert [one["id"] for one in body_of("upsert", **merged)["inputs"]] == [
        "a0@x.com",
        "a1@x.com",
        "a2@x.com",
        "b@x.com",
    ]


def test_a_record_that_is_there_twice_gets_what_comes_last() -> None:
    rows = [
        {"id": "Ana@X.com", "properties": {"firstname": "A", "age": 1}},
        {"id": "b@x.com", "properties": {}},
        {"id": " ana@x.com", "properties": {"age": 2}},
    ]
    assert body_of("upsert", object="contacts", rows=rows)["inputs"] == [
        {"idProperty": "email", "id": "ana@x.com", "properties": {"firstname": "A", "age": "2"}},
        {"idProperty": "email", "id": "b@x.com", "properties": {}},
    ]


def test_more_rows_than_it_takes_are_sent_in_halves() -> None:
    rows = [{"id": f"a{n}@x.com", "properties": {}} for n in range(101)]
    with pytest.raises(PermanentError, match="max: 100") as caught:
        body_of("upsert", object="contacts", rows=rows)
    assert caught.value.status == 413
    assert len(body_of("upsert", object="contacts", rows=rows[:100])["inputs"]) == 100


@pytest.mark.parametrize(("partial", "writes"), [(False, 7), (True, 18)])
async def test_a_bad_row_ends_up_alone_and_the_others_are_written(partial: bool, writes: int) -> None:
    fake = FakeHubSpot(partial=partial)
    rows: list[dict[str, Any]] = [{"id": f"a{n}@x.com", "properties": {"age": n}} for n in range(8)]
    rows[5]["id"] = "no address"
    dead: list[Any] = []
    statuses: set[int | None] = set()
    with RecordingServer(default=fake) as server:
        waiting = [rows]
        while waiting:  # as relay.batch does
            part = waiting.pop()
            try:
                await sent(server.url, "upsert", {"object": "contacts", "rows": part})
            except PermanentError as error:
                statuses.add(error.status)
                half = (len(part) + 1) // 2
                if len(part) > 1:
                    waiting += [part[:half], part[half:]]
                else:
                    dead += part
    assert dead == [rows[5]]
    assert statuses <= {400, 413, 422}
    assert len(fake.records["contacts"]) == 7
    assert fake.writes <= writes  # refused as a whole, no row is written twice


async def test_a_207_says_how_many_rows_and_why() -> None:
    with RecordingServer(default=FakeHubSpot(partial=True)) as server:
        rows: list[dict[str, Any]] = [{"id": one, "properties": {}} for one in ("a@x.com", "bad", "worse")]
        error = await failure(server.url, "upsert", {"object": "contacts", "rows": rows})
    assert isinstance(error, PermanentError)
    assert (error.status, error.cause) == (422, "hubspot VALIDATION_ERROR")
    assert "207 Multi-Status: 2 of the rows not taken, the first because: Property values were not valid" in str(error)
    assert error.received["status"] == 207


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        ({"numErrors": 2}, PermanentError, "hubspot partial"),
        ({"errors": [{"category": "RATE_LIMITS"}]}, RetryableError, "hubspot RATE_LIMITS"),
        ({"errors": [{"category": "RATE_LIMITS"}, {"category": "CONFLICT"}]}, PermanentError, "hubspot CONFLICT"),
        ({"errors": [{"category": "MISSING_SCOPES"}]}, HoldError, "hubspot MISSING_SCOPES"),
        (
            {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "no"},
            PermanentError,
            "hubspot OBJECT_NOT_FOUND",
        ),
        ({"status": "CANCELED", "results": []}, RetryableError, "hubspot cancelled"),
        ({"status": "COMPLETE", "results": []}, PermanentError, "hubspot wrote nothing"),
        ({"errors": "odd", "numErrors": "odd", "results": []}, PermanentError, "hubspot wrote nothing"),
    ],
)
async def test_a_success_that_is_none_is_found(body: dict[str, Any], kind: type[DeliveryError], cause: str) -> None:
    with RecordingServer() as server:
        server.answer(200, body)
        error = await failure(server.url, "upsert", ANA)
    assert (type(error), error.cause) == (kind, cause)


# What comes back


def said(category: str, message: str = "words", **more: Any) -> dict[str, Any]:
    return {"status": "error", "message": message, "correlationId": "c", "category": category, **more}


SCOPES = said("MISSING_SCOPES", errors=[{"context": {"requiredGranularScopes": ["crm.objects.contacts.write"]}}])
HOUR, TEN = timedelta(hours=1), timedelta(seconds=10)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "cause", "wait"),
    [
        (400, said("VALIDATION_ERROR"), {}, PermanentError, "hubspot VALIDATION_ERROR", None),
        (401, said("INVALID_AUTHENTICATION"), {}, HoldError, "hubspot INVALID_AUTHENTICATION", None),
        (401, said("EXPIRED_AUTHENTICATION"), {}, HoldError, "hubspot EXPIRED_AUTHENTICATION", None),
        (403, SCOPES, {}, HoldError, "hubspot MISSING_SCOPES", None),
        (403, "", {}, HoldError, "http 403", None),
        (404, said("OBJECT_NOT_FOUND"), {}, PermanentError, "hubspot OBJECT_NOT_FOUND", None),
        (409, said("CONFLICT"), {}, PermanentError, "hubspot CONFLICT", None),
        (410, said("GONE"), {}, HoldError, "http 410 gone", None),
        (414, "", {}, PermanentError, "http 414", None),
        (423, "", {}, RetryableError, "http 423", timedelta(seconds=2)),
        (477, "", {"Retry-After": "86400"}, RetryableError, "http 477", timedelta(days=1)),
        (429, said("RATE_LIMITS", policyName="TEN_SECONDLY_ROLLING"), {}, RetryableError, "hubspot rate limit", TEN),
        (
            429,
            said("RATE_LIMITS", policyName="SECONDLY"),
            {"X-HubSpot-RateLimit-Interval-Milliseconds": "1500"},
            RetryableError,
            "hubspot rate limit",
            timedelta(seconds=1.5),
        ),
        (429, said("RATE_LIMITS", policyName="DAILY"), {}, RetryableError, "hubspot daily limit", HOUR),
        (
            429,
            said("RATE_LIMITS", policyName="DAILY"),
            {"Retry-After": "7"},
            RetryableError,
            "hubspot daily limit",
            timedelta(seconds=7),
        ),
        (429, "<html>", {}, RetryableError, "hubspot rate limit", TEN),
        (400, said("RATE_LIMITS"), {}, RetryableError, "hubspot rate limit", TEN),
        (500, said("INTERNAL_ERROR"), {}, RetryableError, "hubspot INTERNAL_ERROR", None),
        (502, "<html>", {}, RetryableError, "http 502", None),
        (521, "", {}, RetryableError, "http 521", None),
        (524, "", {}, RetryableError, "http 524", None),
    ],
)
async def test_each_error_has_its_fate(
    status: int, body: Any, headers: dict[str, str], kind: type[DeliveryError], cause: str, wait: timedelta | None
) -> None:
    with RecordingServer() as server:
        server.answer(status, body, headers=headers)
        error = await failure(server.url, "create", {"object": "contacts", "properties": {}})
    assert (type(error), error.cause, error.status) == (kind, cause, status)
    assert (error.retry_after if isinstance(error, RetryableError) else None) == wait
    assert "\n" not in error.message


async def test_a_missing_scope_is_named() -> None:
    with RecordingServer() as server:
        server.answer(403, SCOPES)
        error = await failure(server.url, "upsert", ANA)
    assert "give the app the scopes crm.objects.contacts.write" in error.message


async def test_a_wrong_token_holds_the_lane() -> None:
    with RecordingServer(default=FakeHubSpot(token="another")) as server:
        error = await failure(server.url, "upsert", ANA)
    assert isinstance(error, HoldError)
    assert "check the connection's token" in error.message


async def test_a_contact_that_is_there_is_told_with_the_remedy() -> None:
    with RecordingServer(default=FakeHubSpot()) as server:
        fields = {"object": "contacts", "properties": {"email": "ana@example.com"}}
        await sent(server.url, "create", fields)
        error = await failure(server.url, "create", fields)
    assert isinstance(error, PermanentError)
    assert "Existing ID: 1000; where the record may be there already, use the action upsert" in error.message


@pytest.mark.parametrize(("rows", "kind", "status"), [(1, RetryableError, 409), (2, PermanentError, 422)])
async def test_two_upserts_that_met_are_tried_again(rows: int, kind: type[DeliveryError], status: int) -> None:
    with RecordingServer() as server:
        server.answer(409, said("CONFLICT"))
        many = [{"id": f"a{n}@x.com", "properties": {}} for n in range(rows)]
        error = await failure(server.url, "upsert", {"object": "contacts", "rows": many})
    assert (type(error), error.status) == (kind, status)


async def test_words_of_an_answer_stay_on_one_line_and_without_the_token() -> None:
    with RecordingServer() as server:
        server.answer(400, said("VALIDATION_ERROR", f"a\r\nb {TOKEN} " + "x" * 5000))
        error = await failure(server.url, "upsert", ANA)
    assert TOKEN not in json.dumps([error.message, error.received])
    assert "\n" not in error.message
    assert len(error.message) < 400


# The worst moments


@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage"])
async def test_an_upsert_whose_answer_got_lost_is_repeated_and_makes_no_second_record(instead: str) -> None:
    fake = FakeHubSpot()
    lost = [instead]

    def lossy(request: Recorded) -> Answer:
        answer = fake(request)
        return Answer(instead=lost.pop()) if lost else answer  # type: ignore[arg-type]

    with RecordingServer(default=lossy) as server:
        call = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.4))
        assert isinstance(await failure(server.url, "upsert", ANA, call), RetryableError)
        await sent(server.url, "upsert", ANA)
    assert list(fake.records["contacts"].values()) == [{"email": "ana@example.com", "firstname": "Ana"}]


async def test_a_create_whose_answer_got_lost_has_an_unknown_outcome() -> None:
    with RecordingServer() as server:
        server.answer(instead="reset")
        error = await failure(server.url, "create", {"object": "notes", "properties": {}})
    assert isinstance(error, UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_told_by_its_status() -> None:
    with RecordingServer() as server:
        server.answer(200, '{"status": "COMPLETE", "results": [{"id": "1"}]}', instead="break off")
        assert "broke off" in (await sent(server.url, "upsert", ANA)).summary


# With tokens that are fetched


async def test_a_token_of_an_app_is_fetched_and_renewed_once_after_a_401() -> None:
    tokens, hubspot = FakeOAuth(), FakeHubSpot()

    def both(request: Recorded) -> Answer:
        if request.path == FakeOAuth.path:
            return tokens(request)
        hubspot.token = "token-s3cret-2"  # the first isn't taken any more
        return hubspot(request)

    with RecordingServer(default=both) as server:
        app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        oauth = {"token_url": f"{server.url}{FakeOAuth.path}", **app}
        async with connected(server.url, token=None, oauth=oauth) as made:
            for _ in range(2):
                await made.send("upsert", made.outgoing("upsert", ANA, CALL), CALL)
            asked = [request.path for request in server.requests]
            assert asked.count(FakeOAuth.path) == 2
            assert len(asked) == 5
            server.answer(400, said("VALIDATION_ERROR", "token-s3cret-2 and s3cret/+& pass"))
            with pytest.raises(PermanentError) as caught:
                await made.send("upsert", made.outgoing("upsert", ANA, CALL), CALL)
    assert "s3cret" not in json.dumps([caught.value.message, caught.value.received])
