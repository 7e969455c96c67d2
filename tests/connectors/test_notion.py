from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.notion.connector import Notion
from connectors.notion.limits import rich_text
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from tests.connectors.fake_notion import DATA_SOURCE, DATABASE, PAGE, FakeNotion, refused

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
TOKEN = "ntn_s3cret"
ANA: dict[str, Any] = {"data_source_id": DATA_SOURCE, "title": "Ana"}


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {"connector": "notion", "base_url": url, "allow_private": True, "token": TOKEN, **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Notion:
    return Notion(Notion.Config.model_validate(settings(url, **more)), Context())


def sent(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = connection().outgoing(None, fields, CALL).preview()["json"]
    return body


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Notion]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def create(made: Notion, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, fields or ANA, call), call)


async def failure(
    server: RecordingServer, fields: Any = None, *, call: Call = CALL, token: str = TOKEN
) -> DeliveryError:
    async with connected(server.url, token=token) as made:
        with pytest.raises(DeliveryError) as caught:
            await create(made, call, **(fields or {}))
    return caught.value


@pytest.fixture
def fake() -> FakeNotion:
    return FakeNotion()


@pytest.fixture
def server(fake: FakeNotion) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Notion
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        # An answer of {} names no page and is no delivery here, so the fake answers.
        with RecordingServer(default=FakeNotion().answer) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    await create(made, Call("dlv_1", "dlv_1", attempt=attempt))
            first, second = server.requests
        assert first == second


# What goes out


async def test_a_page_has_its_properties_in_notions_form(server: RecordingServer, fake: FakeNotion) -> None:
    properties = {
        "Email": {"email": "ana@example.com"},
        "Rating": {"number": 4},
        "Tags": {"multi_select": ["chat", {"name": "vip"}]},
        "Comment": {"rich_text": "=1+1 **bold** @everyone\n<b>"},
        "Stage": {"status": "New"},
        "Kind": {"select": "Bug"},
        "When": {"date": datetime(2026, 1, 2, tzinfo=UTC)},
        "Related": {"relation": [PAGE]},
        "Owner": {"people": [PAGE]},
        "Site": None,
    }
    async with connected(server.url) as made:
        reply = await create(made, **ANA, properties=properties)
    (request,) = server.requests
    assert request.headers["notion-version"] == "2025-09-03"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.json() == {
        "parent": {"type": "data_source_id", "data_source_id": DATA_SOURCE},
        "properties": {
            "title": {"title": [{"type": "text", "text": {"content": "Ana"}}]},
            "Email": {"email": "ana@example.com"},
            "Rating": {"number": 4},
            "Tags": {"multi_select": [{"name": "chat"}, {"name": "vip"}]},
            "Comment": {"rich_text": [{"type": "text", "text": {"content": "=1+1 **bold** @everyone\n<b>"}}]},
            "Stage": {"status": {"name": "New"}},
            "Kind": {"select": {"name": "Bug"}},
            "When": {"date": {"start": "2026-01-02T00:00:00+00:00"}},
            "Related": {"relation": [{"id": PAGE}]},
            "Owner": {"people": [{"id": PAGE}]},
        },
    }
    assert isinstance(reply.body, dict)
    assert reply.body["id"] == "page-1"
    assert len(fake.pages) == 1


async def test_an_older_version_takes_a_database(server: RecordingServer) -> None:
    async with connected(server.url, version="2022-06-28") as made:
        await create(made, database_id=DATABASE, title="Ana")
        with pytest.raises(PermanentError, match="say `database_id`, or set the connection's version"):
            await create(made)
    (request,) = server.requests
    assert request.headers["notion-version"] == "2022-06-28"
    assert request.json()["parent"] == {"type": "database_id", "database_id": DATABASE}


async def test_plain_text_becomes_paragraphs(server: RecordingServer, fake: FakeNotion) -> None:
    async with connected(server.url) as made:
        await create(made, page_id=PAGE, title="Notes", text="\r\nfirst\r\nline\r\n \r\n\r\n# second\n")
    (page,) = fake.pages
    texts = [block["paragraph"]["rich_text"][0]["text"]["content"] for block in page["children"]]
    assert texts == ["first\nline", "# second"]


async def test_a_long_text_is_split_and_nothing_of_it_lost(server: RecordingServer, fake: FakeNotion) -> None:
    long = "😀" * 1500 + "x" * 3001
    async with connected(server.url) as made:
        await create(made, **ANA, properties={"Comment": {"rich_text": long}}, text=long)
    (page,) = fake.pages
    pieces = page["properties"]["Comment"]["rich_text"]
    assert len(pieces) == 4
    assert "".join(piece["text"]["content"] for piece in pieces) == long


@given(st.text(alphabet=st.sampled_from("a\n😀é"), max_size=30).map(lambda text: text * 211))
def test_any_text_in_pieces_is_the_text(text: str) -> None:
    pieces = [item["text"]["content"] for item in rich_text(text)]
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode("utf-16-le")) // 2 <= 2000 for piece in pieces)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"title": "x"}, "exactly one of data_source_id"),
        ({**ANA, "page_id": PAGE}, "exactly one of data_source_id"),
        ({"data_source_id": "../users"}, "32 hexadecimal digits"),
        ({**ANA, "text": "a", "children": [{}]}, "`text` or `children`"),
        ({**ANA, "properties": {"title": {"title": "x"}}}, "not both"),
        ({"page_id": PAGE, "properties": {"Email": {"email": "x"}}}, "a title and no other"),
        ({**ANA, "properties": {"Email": "x"}}, "Email"),
    ],
)
def test_a_wrong_with_is_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        sent(**fields)


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": {"content": content}}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"properties": {"C": {"rich_text": [_text("x" * 2001)]}}},
            r"properties\.C\.rich_text\[0\]\.text\.content has",
        ),
        ({"properties": {"C": {"rich_text": [_text("😀" * 1001)]}}}, "2002 characters and Notion takes 2000"),
        ({"properties": {"C": {"rich_text": [_text("x")] * 101}}}, "101 elements and Notion takes 100"),
        ({"properties": {"C": {"rich_text": "x" * 200_001}}}, "101 elements and Notion takes 100"),
        ({"properties": {"C": {"email": "x" * 201}}}, r"properties\.C\.email has 201 characters"),
        ({"properties": {"C": {"phone_number": "1" * 201}}}, "takes 200"),
        ({"properties": {"C": {"url": "https://" + "x" * 2000}}}, r"use `\| truncate\(2000\)`"),
        ({"properties": {"C": {"rich_text": [{"equation": {"expression": "x" * 1001}}]}}}, "takes 1000"),
        ({"properties": {"C": {"multi_select": ["x"] * 101}}}, "101 elements"),
        ({"text": "x\n\n" * 101}, "children has 101 elements"),
        ({"children": [{"paragraph": {"children": [{}] * 100}}] * 10}, "1010 blocks and may have 1000"),
        ({"properties": {f"C{n}": {"rich_text": "x" * 100_000} for n in range(5)}}, "larger than 500 KB"),
    ],
)
def test_notions_limits_are_checked_before_anything_is_sent(more: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        sent(**ANA, **more)
    assert caught.value.cause == "notion limit"


def test_what_is_just_within_the_limits_is_sent() -> None:
    sent(**ANA, properties={"C": {"rich_text": [_text("x" * 2000)] * 100}})
    sent(**ANA, properties={"C": {"url": "x" * 2000}, "D": {"email": "x" * 200}}, text="x\n\n" * 100)


@pytest.mark.parametrize(
    ("more", "why"), [({"token": "a\nb"}, "no header takes"), ({"version": "latest\r\nX: y"}, "pattern")]
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


def test_the_published_rate_is_the_lanes_default() -> None:
    assert connection().config.limit.rate_in() == (3, timedelta(seconds=1))


# What comes back


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_json", PermanentError),
        (400, "invalid_request_url", PermanentError),
        (400, "invalid_request", PermanentError),
        (400, "validation_error", PermanentError),
        (400, "missing_version", HoldError),
        (401, "unauthorized", HoldError),
        (403, "restricted_resource", HoldError),
        (404, "object_not_found", PermanentError),
        (409, "conflict_error", RetryableError),
        (429, "rate_limited", RetryableError),
        (500, "internal_server_error", RetryableError),
        (502, "bad_gateway", RetryableError),
        (503, "service_unavailable", RetryableError),
        (503, "database_connection_unavailable", RetryableError),
        (504, "gateway_timeout", RetryableError),
        (529, "service_overload", RetryableError),
    ],
)
async def test_each_of_notions_codes_has_its_fate(
    server: RecordingServer, status: int, code: str, kind: type[DeliveryError]
) -> None:
    server.answer(status, refused(status, code, "In Notion's\nwords.").body, headers={"Retry-After": "9"})
    error = await failure(server)
    assert type(error) is kind
    assert (error.status, error.cause) == (status, f"notion {code}")
    assert f"{code}: In Notion's words." in error.message
    if isinstance(error, RetryableError):
        assert error.retry_after == timedelta(seconds=9)


async def test_what_the_fake_refuses_has_its_remedy(server: RecordingServer, fake: FakeNotion) -> None:
    assert isinstance(await failure(server, token="ntn_other"), HoldError)
    gone = await failure(server, {"data_source_id": "0" * 32, "title": "x"})
    assert isinstance(gone, PermanentError)
    assert "add the integration" in gone.message
    wrong = await failure(server, {**ANA, "properties": {"Colour": {"select": "red"}}})
    assert isinstance(wrong, PermanentError)
    assert "Colour is not a property that exists" in wrong.message
    assert fake.pages == []


async def test_a_200_that_says_error_is_no_delivery(server: RecordingServer) -> None:
    server.answer(200, refused(200, "validation_error", "x").body)
    assert isinstance(await failure(server), PermanentError)


@pytest.mark.parametrize("body", [{}, [], b"", "<html>"])
async def test_a_200_that_names_no_page_is_an_unknown_outcome(server: RecordingServer, body: Any) -> None:
    server.answer(200, body)
    assert isinstance(await failure(server), UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    body = json.dumps({"object": "page", "id": "x"})
    server.answer(200, body, headers={"content-type": "application/json"}, instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await create(made)).summary


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_cut_before_the_answer_is_an_unknown_outcome(server: RecordingServer, instead: str) -> None:
    server.answer(instead=instead)
    error = await failure(server, call=Call("d", "d", timeout=timedelta(seconds=0.4)))
    assert isinstance(error, UnknownOutcomeError)


async def test_the_token_is_in_no_error(server: RecordingServer) -> None:
    server.answer(400, refused(400, "validation_error", f"you sent {TOKEN}").body)
    error = await failure(server)
    assert TOKEN not in json.dumps([error.message, error.cause, error.received])
