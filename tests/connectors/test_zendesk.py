from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.zendesk.connector import Zendesk
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, RecordingServer
from tests.connectors.fake_zendesk import CREATED, EMAIL, OAUTH, TOKEN, FakeZendesk

TICKET = {"subject": "Portal", "body": "It stops."}


def call(attempt: int = 1, key: str = "dlv_1", seconds: float = 5) -> Call:
    return Call(key, key, attempt=attempt, timeout=timedelta(seconds=seconds))


class TestContract(HttpConnectorContract):
    connector = Zendesk
    idempotent = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "zendesk", "base_url": url, "allow_private": True, "email": EMAIL, "api_token": TOKEN}


class TestContractOfOauth(HttpConnectorContract):
    connector = Zendesk
    idempotent = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "zendesk", "base_url": url, "allow_private": True, "oauth_token": OAUTH}


class TestContractOfAComment(TestContract):
    """A comment has no key: whether a repeat adds a second one is not known."""

    idempotent = False

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "add_comment", {"ticket": 1, "body": "seen"}


@pytest.fixture
def zendesk() -> FakeZendesk:
    return FakeZendesk()


@pytest.fixture
def server(zendesk: FakeZendesk) -> Iterator[RecordingServer]:
    with RecordingServer(default=zendesk) as made:
        yield made


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Zendesk:
    way_in = {} if "oauth_token" in more else {"email": EMAIL, "api_token": TOKEN}
    config = {"connector": "zendesk", "base_url": url, "allow_private": True, **way_in, **more}
    return Zendesk(Zendesk.Config.model_validate(config), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Zendesk]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def do(url: str, action: str, fields: Mapping[str, Any], at: Call | None = None, **more: Any) -> Reply:
    at = at or call()
    async with connected(url, **more) as made:
        return await made.send(action, made.outgoing(action, fields, at), at)


async def failure(url: str, action: str, fields: Mapping[str, Any], at: Call | None = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await do(url, action, fields, at)
    return caught.value


async def test_a_ticket_is_made_as_zendesk_wants_it(server: RecordingServer, zendesk: FakeZendesk) -> None:
    fields = {
        **TICKET,
        "requester_email": "zoë@example.com",
        "tags": ["new portal", " feedback ", ""],
        "priority": "high",
        "custom_fields": {"360001": "MIT", "360002": True},
        "external_id": "fb-7",
        "group_id": 12,
    }
    reply = await do(server.url, "create_ticket", fields)
    assert reply.status == 201
    assert reply.body["ticket"]["id"] == 1  # type: ignore[index, call-overload]
    assert server.requests[0].json() == {
        "ticket": {
            "subject": "Portal",
            "comment": {"body": "It stops.", "public": True},
            "requester": {"name": "zoë@example.com", "email": "zoë@example.com"},
            "tags": ["new_portal", "feedback"],
            "priority": "high",
            "external_id": "fb-7",
            "group_id": 12,
            "custom_fields": [{"id": 360001, "value": "MIT"}, {"id": 360002, "value": True}],
        }
    }
    assert server.requests[0].headers["idempotency-key"] == "dlv_1"


async def test_an_oauth_token_gets_in_too(server: RecordingServer) -> None:
    assert (await do(server.url, "create_ticket", TICKET, oauth_token=OAUTH)).status == 201


async def test_one_delivery_makes_one_ticket_however_often_it_is_sent(
    server: RecordingServer, zendesk: FakeZendesk
) -> None:
    await do(server.url, "create_ticket", TICKET)
    reply = await do(server.url, "create_ticket", TICKET, call(attempt=2))
    assert reply.summary == "201 Created (an earlier attempt had made the ticket)"
    await do(server.url, "create_ticket", TICKET, call(key="dlv_2"))
    assert len(zendesk.tickets) == 2


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_ticket_whose_answer_was_lost_is_not_made_twice(zendesk: FakeZendesk, instead: Any) -> None:
    def loses_the_first_answer(request: Any) -> Answer:
        answer = zendesk(request)
        return answer if len(server.requests) > 1 else Answer(instead=instead)

    with RecordingServer(default=loses_the_first_answer) as server:
        error = await failure(server.url, "create_ticket", TICKET, call(seconds=0.5))
        assert isinstance(error, RetryableError)
        await do(server.url, "create_ticket", TICKET, call(attempt=2))
    assert len(zendesk.tickets) == 1


async def test_an_answer_that_breaks_off_is_a_ticket_all_the_same(server: RecordingServer) -> None:
    server.answer(201, b'{"ticket":{"id":1}}', instead="break off")
    assert "broke off" in (await do(server.url, "create_ticket", TICKET)).summary


async def test_a_key_with_another_ticket_is_refused_for_good(server: RecordingServer) -> None:
    await do(server.url, "create_ticket", TICKET)
    error = await failure(server.url, "create_ticket", {**TICKET, "body": "other"}, call(attempt=2))
    assert isinstance(error, PermanentError)
    assert error.cause == "zendesk key reused"


async def test_a_comment_and_a_change_reach_the_ticket(server: RecordingServer, zendesk: FakeZendesk) -> None:
    await do(server.url, "create_ticket", TICKET)
    await do(server.url, "add_comment", {"ticket": "1", "body": "seen"})
    await do(server.url, "add_comment", {"ticket": 1, "body": "<b>done</b>", "html": True, "public": True})
    await do(server.url, "update_ticket", {"ticket": 1, "status": "solved", "subject": "Done", "tags": ["a b"]})
    (ticket,) = zendesk.tickets
    assert ticket["comments"][1:] == [
        {"body": "seen", "public": False},
        {"html_body": "<b>done</b>", "public": True},
    ]
    assert (ticket["status"], ticket["subject"], ticket["tags"]) == ("solved", "Done", ["a_b"])
    assert [request.target for request in server.requests[1:]] == ["/api/v2/tickets/1.json"] * 3


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_comment_whose_answer_was_lost_is_not_added_again_by_itself(
    server: RecordingServer, instead: Any
) -> None:
    server.answer(instead=instead)
    error = await failure(server.url, "add_comment", {"ticket": 1, "body": "x"}, call(seconds=0.5))
    assert isinstance(error, UnknownOutcomeError)
    server.answer(instead=instead)
    again = await failure(server.url, "update_ticket", {"ticket": 1, "status": "open"}, call(seconds=0.5))
    assert isinstance(again, RetryableError)


async def test_a_stamp_makes_a_repeat_of_a_comment_harmless(zendesk: FakeZendesk) -> None:
    def loses_the_second_answer(request: Any) -> Answer:
        answer = zendesk(request)
        return Answer(instead="reset") if len(server.requests) == 2 else answer

    with RecordingServer(default=loses_the_second_answer) as server:
        await do(server.url, "create_ticket", TICKET)
        comment = {"ticket": 1, "body": "seen", "updated_stamp": CREATED}
        assert isinstance(await failure(server.url, "add_comment", comment), RetryableError)
        error = await failure(server.url, "add_comment", comment, call(attempt=2))
    assert isinstance(error, UnknownOutcomeError)
    assert "earlier attempt" in error.message
    assert len(zendesk.tickets[0]["comments"]) == 2


@pytest.mark.parametrize(("action", "change"), [("add_comment", {"body": "x"}), ("update_ticket", {"status": "open"})])
async def test_a_ticket_that_has_changed_since_its_stamp_is_left_alone(
    server: RecordingServer, action: str, change: dict[str, Any]
) -> None:
    await do(server.url, "create_ticket", TICKET)
    error = await failure(server.url, action, {"ticket": 1, "updated_stamp": "2020-01-01T00:00:00Z", **change})
    assert isinstance(error, PermanentError)
    assert (error.status, error.cause) == (409, "zendesk ticket changed")
    server.answer(409, {"error": "UpdateConflict"}, headers={"Retry-After": "3"})
    retried = await failure(server.url, action, {"ticket": 1, **change})
    assert isinstance(retried, RetryableError)
    assert retried.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("status", "body", "fate", "cause"),
    [
        (400, {"error": "InvalidValue", "description": "no"}, PermanentError, "zendesk InvalidValue"),
        (401, {"error": "Couldn't authenticate you"}, HoldError, "http 401"),
        (403, {"error": {"title": "Forbidden", "message": "no access"}}, PermanentError, "zendesk Forbidden"),
        (403, {"error": "Forbidden", "description": "missing the following required scopes: write"}, HoldError,
         "zendesk scope missing"),
        (404, {"error": "RecordNotFound", "description": "Not found"}, PermanentError, "zendesk RecordNotFound"),
        (404, {"error": {"title": "No help desk at x.zendesk.com", "message": "…"}}, HoldError,
         "zendesk no such account"),
        (404, "<html>", PermanentError, "zendesk 404"),
        (413, "", PermanentError, "zendesk 413"),
        (422, {"error": "RecordInvalid", "details": None}, PermanentError, "zendesk RecordInvalid"),
        (422, ["?"], PermanentError, "zendesk 422"),
        (422, {"error": 7, "details": {"a\nb": 1, "x y": []}}, PermanentError, "zendesk 422"),
        (429, {"error": "APIRateLimitExceeded"}, RetryableError, "http 429"),
        (503, {"error": "ServiceUnavailable"}, RetryableError, "http 503"),
        (504, "<html>", RetryableError, "http 504"),
    ],
)  # fmt: skip
async def test_each_error_has_its_fate(
    server: RecordingServer, status: int, body: Any, fate: type[DeliveryError], cause: str
) -> None:
    server.answer(status, body, headers={"Retry-After": "9"})
    error = await failure(server.url, "create_ticket", TICKET)
    assert type(error) is fate
    assert (error.status, error.cause) == (status, cause)
    assert "\n" not in error.message
    if isinstance(error, RetryableError):
        assert error.retry_after == timedelta(seconds=9)


async def test_a_refused_value_is_named_by_its_field_and_not_shown(server: RecordingServer) -> None:
    error = await failure(server.url, "create_ticket", {**TICKET, "requester_email": "ana-private"})
    assert isinstance(error, PermanentError)
    assert "RecordInvalid (requester)" in error.message
    assert "ana-private" not in error.message


async def test_a_web_page_is_no_ticket(server: RecordingServer) -> None:
    server.answer(200, "<html>Sign in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    error = await failure(server.url, "create_ticket", TICKET)
    assert isinstance(error, HoldError)


def test_what_is_too_long_or_empty_is_refused_before_it_is_sent() -> None:
    made = connection(max_comment=10)
    made.outgoing("create_ticket", {"subject": "s", "body": "é" * 5}, call())
    with pytest.raises(PermanentError, match="11 bytes"):
        made.outgoing("create_ticket", {"subject": "s", "body": "é" * 5 + "x"}, call())
    for action, fields in [
        ("create_ticket", {"subject": "", "body": "x"}),
        ("create_ticket", {"subject": "s", "body": "x", "requester_name": "Ana"}),
        ("create_ticket", {"subject": "s", "body": "x", "priority": "big"}),
        ("create_ticket", {"subject": "s", "body": "x", "custom_fields": {"name": 1}}),
        ("update_ticket", {"ticket": 1}),
        ("update_ticket", {"ticket": "1/../2", "status": "open"}),
        ("add_comment", {"ticket": 0, "body": "x"}),
    ]:
        with pytest.raises(PermanentError):
            made.outgoing(action, fields, call())


@given(text=st.text(min_size=1), tag=st.text())
@settings(max_examples=50, deadline=None)
def test_whatever_an_event_says_stays_one_value(text: str, tag: str) -> None:
    preview = connection().outgoing("create_ticket", {"subject": text, "body": text, "tags": [tag]}, call()).preview()
    ticket = preview["json"]["ticket"]
    assert ticket["comment"] == {"body": text, "public": True}
    assert ticket["subject"] == text
    assert not any(character.isspace() for made in ticket.get("tags", []) for character in made)
    assert TOKEN not in str(preview)


@pytest.mark.parametrize(
    "way_in",
    [
        {},
        {"email": "a@b.c"},
        {"api_token": "t"},
        {"email": "a@b.c", "api_token": "t", "oauth_token": "o"},
        {"email": "a@b.c", "oauth_token": "o"},
        {"oauth_token": "o\nX: 1"},
    ],
)
def test_there_is_one_way_in(way_in: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Zendesk.Config.model_validate({"connector": "zendesk", "base_url": "https://acme.zendesk.com", **way_in})


def test_the_lane_keeps_to_the_smallest_plan() -> None:
    assert connection().config.limit.rate_in() == (200, timedelta(minutes=1))
