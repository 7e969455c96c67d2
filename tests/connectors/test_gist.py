from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gist import Gist
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_gist import KEY, FakeGist, refused

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
ANA: dict[str, Any] = {"email": "ana@example.com", "name": "Ana"}
HELLO: dict[str, Any] = {"contact": 1046, "body": "Hello"}


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {"connector": "gist", "base_url": url, "allow_private": True, "api_key": KEY, **more}


def connection(url: str = "http://127.0.0.1:9") -> Gist:
    return Gist(Gist.Config.model_validate(settings(url)), Context())


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Gist]:
    made = connection(url)
    try:
        yield made
    finally:
        await made.aclose()


async def send(server: RecordingServer, do: str, fields: Mapping[str, Any], call: Call = CALL) -> Reply:
    async with connected(server.url) as made:
        return await made.send(do, made.outgoing(do, fields, call), call)


async def failure(
    server: RecordingServer, do: str = "upsert_contact", fields: Mapping[str, Any] = ANA, call: Call = CALL
) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(server, do, fields, call)
    return caught.value


@pytest.fixture
def fake() -> FakeGist:
    return FakeGist()


@pytest.fixture
def server(fake: FakeGist) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Gist
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)


class TestContractOfConversations(TestContract):
    idempotent = False

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "create_conversation", HELLO


class TestContacts:
    async def test_a_contact_is_made_and_then_updated(self, server: RecordingServer, fake: FakeGist) -> None:
        await send(server, "upsert_contact", {**ANA, "phone": "", "user_id": 4711, "tags": ["beta"]})
        signed = datetime(2026, 11, 1, tzinfo=UTC)
        await send(server, "upsert_contact", {**ANA, "signed_up_at": signed, "custom_properties": {"plan": "pro"}})
        assert len(fake.contacts) == 1
        assert server.requests[0].json() == {**ANA, "user_id": 4711, "tags": ["beta"]}
        assert server.requests[1].json() == {
            **ANA,
            "signed_up_at": int(signed.timestamp()),
            "custom_properties": {"plan": "pro"},
        }

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ("2026-11-01T10:00:00", 1793527200),
            ("2026-11-01T10:00:00+02:00", 1793520000),
            ("0001-01-01T00:00:00", -62135596800),
            (1793527200, 1793527200),
        ],
    )
    def test_a_time_without_a_zone_is_utc(self, monkeypatch: pytest.MonkeyPatch, given: Any, sent: int) -> None:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        try:
            out = connection().outgoing("upsert_contact", {**ANA, "signed_up_at": given}, CALL)
        finally:
            monkeypatch.undo()
            time.tzset()
        assert out.preview()["json"]["signed_up_at"] == sent

    async def test_nobody_is_subscribed_again(self, server: RecordingServer) -> None:
        await send(server, "upsert_contact", {**ANA, "unsubscribe": True})
        await send(server, "upsert_contact", {**ANA, "unsubscribe": False})
        sent = [request.json().get("unsubscribed_from_emails") for request in server.requests]
        assert sent == [True, None]

    async def test_a_tag_is_put_on_and_taken_off(self, server: RecordingServer, fake: FakeGist) -> None:
        await send(server, "upsert_contact", ANA)
        await send(server, "upsert_contact", {"email": "bo@example.com"})
        for _ in range(2):
            await send(server, "tag", {"name": "beta", "contacts": [1046, "bo@example.com"]})
        assert [one["tags"] for one in fake.contacts] == [["beta"], ["beta"]]
        await send(server, "tag", {"name": "beta", "contacts": ["1046"], "remove": True})
        assert [one["tags"] for one in fake.contacts] == [[], ["beta"]]


class TestConversations:
    async def test_one_is_started_and_answered(self, server: RecordingServer, fake: FakeGist) -> None:
        await send(server, "upsert_contact", ANA)
        await send(server, "create_conversation", {**HELLO, "title": "Feed\nback", "custom_properties": {"n": 1}})
        await send(server, "reply", {"conversation": 88, "teammate": 9539, "body": "a & b\n<script>"})
        assert server.requests[1].json() == {
            "from": {"id": 1046},
            "body": "Hello",
            "title": "Feed back",
            "custom_properties": {"n": 1},
        }
        assert fake.messages == [
            {
                "message_type": "reply",
                "from": {"type": "teammate", "teammate_id": 9539},
                "body": "a &amp; b<br>&lt;script&gt;",
            }
        ]

    @pytest.mark.parametrize("instead", ["reset", "close", "hang"])
    async def test_a_lost_answer_is_unknown(self, instead: Literal["reset", "close", "hang"]) -> None:
        fake = FakeGist(contacts=[{"id": 1046, "email": "ana@example.com"}])

        def answer(request: Recorded) -> Answer:
            fake.answer(request)
            return Answer(instead=instead)

        with RecordingServer(default=answer) as server:
            call = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.5))
            error = await failure(server, "create_conversation", HELLO, call)
        assert isinstance(error, UnknownOutcomeError)
        assert len(fake.conversations) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "cause"),
        [
            (200, PermanentError, "gist refuses"),
            (400, PermanentError, "gist refuses"),
            (422, PermanentError, "gist refuses"),
            (404, PermanentError, "gist not found"),
            (401, HoldError, "http 401"),
            (403, HoldError, "http 403"),
            (429, RetryableError, "http 429"),
            (503, RetryableError, "http 503"),
        ],
    )
    async def test_each_status_has_its_fate(
        self, server: RecordingServer, status: int, kind: type[DeliveryError], cause: str
    ) -> None:
        answer = refused(status, "It is\nnot so")
        server.answer(answer.status, answer.body)
        error = await failure(server)
        assert type(error) is kind
        assert error.cause == cause
        assert "It is not so" in str(error) or kind is RetryableError

    @pytest.mark.parametrize(
        "body",
        [{"error": "No."}, {"error": {"message": "No."}}, {"errors": ["No."]}, {"errors": {"email": ["No."]}}],
    )
    async def test_an_error_is_read_in_whatever_form_it_has(self, server: RecordingServer, body: Any) -> None:
        server.answer(422, body)
        assert "No." in str(await failure(server))

    async def test_a_page_is_no_success(self, server: RecordingServer) -> None:
        server.answer(200, "<html>", headers={"content-type": "text/html"})
        error = await failure(server)
        assert isinstance(error, UnknownOutcomeError)
        assert error.cause == "gist page"

    async def test_the_key_stays_out(self, server: RecordingServer) -> None:
        server.answer(422, {"errors": [{"message": f"bad {KEY}"}]})
        error = await failure(server)
        assert KEY not in json.dumps([str(error), error.received])


@pytest.mark.parametrize(
    ("do", "fields", "words"),
    [
        ("upsert_contact", {"name": "Ana"}, "`email` or `user_id`"),
        ("upsert_contact", {"email": "ana"}, "e-mail address"),
        ("upsert_contact", {**ANA, "tags": ["a\nb"]}, "tags"),
        ("tag", {"name": "beta", "contacts": []}, "contacts"),
        ("tag", {"name": "beta", "contacts": ["ana"]}, "by its id"),
        ("tag", {"name": "", "contacts": [1]}, "name"),
        ("create_conversation", {**HELLO, "body": " "}, "empty"),
        ("create_conversation", {**HELLO, "contact": 0}, "contact"),
        ("reply", {"conversation": "../1", "teammate": 1, "body": "x"}, "conversation"),
        ("create_conversation", {**HELLO, "contact": True}, "contact"),
        ("reply", {"conversation": True, "teammate": 1, "body": "x"}, "conversation"),
        ("reply", {"conversation": 1, "teammate": True, "body": "x"}, "teammate"),
        ("reply", {"conversation": 10**40, "teammate": 1, "body": "x"}, "conversation"),
        ("tag", {"name": "x", "contacts": [True]}, "by its id"),
        ("upsert_contact", {"user_id": True}, "user_id"),
        ("upsert_contact", {**ANA, "signed_up_at": True}, "signed_up_at"),
        ("upsert_contact", {**ANA, "signed_up_at": 1793527200000}, "seconds"),
    ],
)
def test_what_gist_would_refuse_is_found_before_it_is_sent(do: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        connection().outgoing(do, fields, CALL)
    assert words in str(caught.value)


@given(st.text(min_size=1, max_size=80).filter(str.strip))
def test_no_text_becomes_markup(text: str) -> None:
    body = connection().outgoing("create_conversation", {**HELLO, "body": text}, CALL).preview()["json"]["body"]
    assert "<" not in body.replace("<br>", "")
    as_is = {**HELLO, "body": text, "markup": "as_is"}
    assert connection().outgoing("create_conversation", as_is, CALL).preview()["json"]["body"] == text


class TestCheck:
    async def test_it_writes_nothing(self, server: RecordingServer, fake: FakeGist) -> None:
        async with connected(server.url) as made:
            check = await made.check(timedelta(seconds=5))
            fake.key = "other"
            with pytest.raises(HoldError):
                await made.check(timedelta(seconds=5))
        assert check.missing == ()
        assert {request.method for request in server.requests} == {"GET"}
