from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.stutalk.connector import Stutalk
from connectors.stutalk.rows import divided
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_stutalk import PASSWORD, ROOT, STUDENT, USERNAME, FakeStutalk

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
AUTH = {"basic": {"username": USERNAME, "password": PASSWORD}}
ASKED = {"process": "MDL_GET_STD", "keys": {"STU_CODE": 20159707, "MAP_CODE": "BIOC0001A4UD"}}
PUT: dict[str, Any] = {
    "process": "MDLGRADEPUSH",
    "keys": {"assessment-component": "BIOC0001A4UD-003", "student": "20159707/2-2023-T1-0"},
    "slash": "_",
    "body": {"actual_mark": "50.55", "actual_grade": ""},
}


def settings_for(url: str, **more: Any) -> dict[str, Any]:
    return {"connector": "stutalk", "base_url": f"{url}{ROOT}", "auth": AUTH, "allow_private": True, **more}


class TestContract(HttpConnectorContract):
    """By `put`, the first of its actions."""

    connector = Stutalk
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings_for(url)


class TestContractWherePutsAddSomething(TestContract):
    idempotent = False

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings_for(url, repeats=False)


class TestContractOfAsking(TestContract):
    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "get", ASKED

    async def test_a_2xx_is_a_delivery(self) -> None:
        # Only rows are an answer.
        with RecordingServer() as server:
            server.answer(201, [["A"], ["1"]])
            reply = await sent(server.url, "get", ASKED)
        assert (reply.status, reply.body) == (201, [{"A": "1"}])

    async def test_every_attempt_sends_the_same_request(self) -> None:
        with RecordingServer(default=FakeStutalk()) as server:
            async with self._connected(server.url) as made:
                for attempt in (1, 2):
                    call = Call("dlv_1", "dlv_1", attempt=attempt)
                    await made.send("get", made.outgoing("get", ASKED, call), call)
            first, second = server.requests
        assert first == second


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Stutalk:
    return Stutalk(Stutalk.Config.model_validate(settings_for(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Stutalk]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def sent(url: str, do: str, fields: Mapping[str, Any], call: Call = CALL, **more: Any) -> Reply:
    async with connected(url, **more) as made:
        return await made.send(do, made.outgoing(do, fields, call), call)


async def answered(do: str, body: Any, status: int = 200, **more: Any) -> DeliveryError | Reply:
    with RecordingServer() as server:
        server.answer(status, body, **more)
        try:
            return await sent(server.url, do, PUT if do == "put" else ASKED)
        except DeliveryError as error:
            return error


def address(keys: Mapping[str, Any], **more: Any) -> str:
    preview = connection().outgoing("get", {"process": "P", "keys": keys, **more}, CALL).preview()
    return str(preview["url"]).partition("/SIW_RWS")[2]


async def test_rows_come_back_as_objects() -> None:
    with RecordingServer(default=FakeStutalk()) as server:
        reply = await sent(server.url, "get", ASKED)
    assert reply.body == [STUDENT]
    assert reply.summary == "200 OK: 1 row"


async def test_a_put_changes_the_record_once_however_often_it_is_sent() -> None:
    fake = FakeStutalk()
    with RecordingServer(default=fake) as server:
        async with connected(server.url, success={"code": 0}) as made:
            for _ in range(3):
                reply = await made.send("put", made.outgoing("put", PUT, CALL), CALL)
            asked = await made.send("get", made.outgoing("get", {**ASKED, "hundredths": ["SAS_ACTM"]}, CALL), CALL)
        target = server.requests[0].target
    assert target == f"{ROOT}/MDLGRADEPUSH/assessment-component/BIOC0001A4UD-003/student/20159707_2-2023-T1-0"
    assert (fake.updates, fake.student["SAS_ACTM"]) == (1, "5055")
    assert reply.body == {"code": 0, "message": "Success"}
    assert asked.body == [{**STUDENT, "SAS_ACTM": "50.55"}]


async def test_a_slash_in_a_key_is_asked_for_as_the_process_reads_it() -> None:
    with RecordingServer(default=FakeStutalk()) as server:
        reply = await sent(server.url, "get", {"process": "MDL_BY_SPR", "keys": {"SPR_CODE": "20159707/2"}})
        assert server.requests[0].target.endswith("/SPR_CODE/20159707&&2")
    assert reply.body == [STUDENT]


@pytest.mark.parametrize(
    ("keys", "more", "path"),
    [
        ({"B": "2", "A": 1}, {}, "/P/B/2/A/1"),
        ({"A": "T1/2"}, {}, "/P/A/T1&&2"),
        ({"A": "T1/2"}, {"slash": "_"}, "/P/A/T1_2"),
        ({"A": "x_1"}, {"slash": "_"}, "/P/A/x_1"),
        ({"A": date(2024, 6, 7)}, {}, "/P/A/07-JUN-24"),
        ({"A": "?x=1#y %2e é"}, {}, "/P/A/%3Fx%3D1%23y%20%252e%20%C3%A9"),
        ({}, {}, "/P"),
    ],
)
def test_the_address_is_made_of_the_keys_in_their_order(
    keys: dict[str, Any], more: dict[str, Any], path: str
) -> None:  # fmt: skip
    assert address(keys, **more) == path


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"A": ""}, "empty"),
        ({"A": None}, "empty"),
        ({"A": " "}, "empty"),
        ({"A": ".."}, "dots alone"),
        ({"A": "a\r\nX: y"}, "control character"),
        ({"A": "a\\b"}, "backslash"),
        ({"A": "a&&b"}, "stands for a slash"),
        ({"A": ["x"]}, "one value"),
        ({"A": "\ud800"}, "half a character"),
        ({"../B": "x"}, "name of a field"),
    ],
)
def test_a_key_that_would_lead_elsewhere_is_refused_before_it_is_sent(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        address(keys)
    assert caught.value.cause == "stutalk key"


def test_a_slash_beside_what_stands_for_one_is_refused() -> None:
    with pytest.raises(PermanentError, match="another `slash`"):
        address({"A": "a_b/c"}, slash="_")


@given(st.text(max_size=20))
def test_no_value_adds_a_part_to_the_address(value: str) -> None:
    try:
        path = address({"A": value, "B": "1"})
    except PermanentError:
        return
    assert path.count("/") == 5
    assert path.startswith("/P/A/")
    assert path.endswith("/B/1")
    assert "?" not in path
    assert "#" not in path


@pytest.mark.parametrize(
    ("kept", "given_back"),
    [
        ("5055", "50.55"), (5055, "50.55"), ("5", "0.05"), ("0", "0.00"), ("-150", "-1.50"), ("10000", "100.00"),
        ("", ""), ("50.5", "50.5"), ("AB", "AB"), (None, None), (True, True),
    ],
)  # fmt: skip
def test_marks_are_given_back_as_people_write_them(kept: Any, given_back: Any) -> None:
    assert divided(kept) == given_back


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"bearer": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"header": "X-Api-Key", "value": "k3y"}, "x-api-key", "k3y"),
        ({"none": True}, "authorization", None),
    ],
)
async def test_it_proves_who_it_is_as_the_connection_says(auth: dict[str, Any], header: str, value: str | None) -> None:
    with RecordingServer() as server:
        server.answer(200, [["A"]])
        await sent(server.url, "get", ASKED, auth=auth)
        assert server.requests[0].headers.get(header) == value
    preview = connection(auth=auth).outgoing("get", ASKED, CALL).preview()
    assert preview["headers"] == ({header: "***"} if value else {})


@pytest.mark.parametrize(
    "more",
    [
        {"auth": {}},
        {"auth": {"none": True, "bearer": "x"}},
        {"auth": {"header": "X-Key"}},
        {"auth": {"value": "x", "none": True}},
        {"auth": {"header": "Host", "value": "x"}},
        {"auth": {"bearer": "a\r\nb"}},
        {"slash": "%2F"},
        {"harmless": {"process": "../x"}},
    ],
)
def test_settings_that_cannot_work_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connection(**more)


# What comes back


@pytest.mark.parametrize("body", [[], [["A", "B"]], b""])
async def test_an_answer_without_rows_is_what_the_step_says(body: Any) -> None:
    with RecordingServer() as server:
        server.answer(200, body)
        server.answer(200, body)
        reply = await sent(server.url, "get", ASKED)
        assert (reply.body, reply.summary) == ([], "200 OK: no rows")
        with pytest.raises(PermanentError, match="no rows") as caught:
            await sent(server.url, "get", {**ASKED, "empty": "dead"})
    assert caught.value.cause == "stutalk no rows"


@pytest.mark.parametrize(
    "body",
    [
        {"error": "no such process"},
        [{"A": 1}],
        [["A", "A"], ["1", "2"]],
        [["A", 1], ["1", "2"]],
        [["A", "B"], ["1"]],
        "Error: SRS_1234",
        [["A"], ["x" * 1_100_000]],
    ],
)
async def test_what_is_no_rows_is_never_taken_for_some(body: Any) -> None:
    error = await answered("get", body)
    assert isinstance(error, PermanentError)
    assert error.cause == "stutalk not rows"


async def test_rows_are_read_however_they_are_labelled() -> None:
    found = await answered("get", '[["A"],["1"]]', headers={"content-type": "text/plain"})
    assert isinstance(found, Reply)
    assert found.body == [{"A": "1"}]


async def test_a_column_that_is_not_there_is_named() -> None:
    with RecordingServer(default=FakeStutalk()) as server, pytest.raises(PermanentError, match="no column SAS_AGRM"):
        await sent(server.url, "get", {**ASKED, "hundredths": ["SAS_AGRM"]})


@pytest.mark.parametrize("do", ["get", "put"])
async def test_a_page_instead_of_data_holds_the_lane(do: str) -> None:
    error = await answered(do, "<html>Please log in</html>", headers={"content-type": "text/html"})
    assert (type(error), getattr(error, "cause", "")) == (HoldError, "stutalk page")


async def test_a_success_that_is_none_is_found() -> None:
    fake = FakeStutalk()
    with RecordingServer(default=fake) as server:
        with pytest.raises(PermanentError, match=r"`code` is '-1', and `success` asks for '0'") as caught:
            await sent(server.url, "put", {**PUT, "body": {"actual_mark": "999"}}, success={"code": 0})
        server.answer(200, {})
        with pytest.raises(PermanentError, match="`code` isn't there"):
            await sent(server.url, "put", PUT, success={"code": 0})
    assert caught.value.cause == "stutalk says no success"
    assert fake.updates == 0


async def test_a_record_that_is_not_there_is_dead() -> None:
    with RecordingServer(default=FakeStutalk()) as server, pytest.raises(PermanentError) as caught:
        await sent(server.url, "put", {**PUT, "keys": {**PUT["keys"], "student": "1/1-2023-T1-0"}})
    assert (caught.value.status, caught.value.cause) == (404, "http 404")


async def test_a_wrong_password_holds_the_lane_and_is_not_told() -> None:
    auth = {"basic": {"username": USERNAME, "password": "wr0ng-word"}}
    with RecordingServer(default=FakeStutalk()) as server, pytest.raises(HoldError) as caught:
        await sent(server.url, "get", ASKED, auth=auth)
    assert "wr0ng-word" not in str(caught.value)


# The harmless call


async def test_the_harmless_call_is_the_process_that_the_connection_names() -> None:
    harmless = {"process": "MDL_BY_SPR", "keys": {"SPR_CODE": "20159707/2"}}
    fake = FakeStutalk()
    with RecordingServer(default=fake) as server:
        async with connected(server.url, harmless=harmless) as made:
            found = await made.check(timedelta(seconds=5))
        async with connected(server.url) as made:
            untried = await made.check(timedelta(seconds=5))
        assert [request.method for request in server.requests] == ["GET"]
    assert found.found == "the process MDL_BY_SPR answered 200 OK: 1 row"
    assert "weren't tried" in untried.found


# The worst moments


@pytest.mark.parametrize("instead", ["reset", "close", "hang"])
async def test_a_put_whose_answer_got_lost_is_repeated_and_changes_nothing_more(instead: Any) -> None:
    fake, lost = FakeStutalk(), [True]

    def lossy(request: Recorded) -> Answer:
        answer = fake(request)
        return Answer(instead=instead) if lost and lost.pop() else answer

    call = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.5))
    with RecordingServer(default=lossy) as server:
        with pytest.raises(RetryableError):
            await sent(server.url, "put", PUT, call)
        await sent(server.url, "put", PUT)
    assert fake.updates == 1


async def test_where_a_put_adds_something_a_lost_answer_is_an_unknown_outcome() -> None:
    with RecordingServer() as server:
        server.answer(instead="reset")
        with pytest.raises(UnknownOutcomeError):
            await sent(server.url, "put", PUT, repeats=False)


async def test_rows_that_broke_off_are_asked_for_again() -> None:
    error = await answered("get", b'[["A"],["1"],["2"]]', instead="break off")
    assert (type(error), getattr(error, "cause", "")) == (RetryableError, "answer broke off")
