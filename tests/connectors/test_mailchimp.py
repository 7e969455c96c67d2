from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.mailchimp import Mailchimp, subscriber_hash
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, RecordingServer
from tests.connectors.fake_mailchimp import KEY, LIST, OAUTH, FakeMailchimp, problem

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
ANA = {"list_id": LIST, "email": "Ana@Example.com"}
ANAS = subscriber_hash("ana@example.com")


class TestContract(HttpConnectorContract):
    connector = Mailchimp
    idempotent = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "mailchimp", "base_url": f"{url}/3.0", "allow_private": True, "api_key": KEY}

    async def test_403_is_what_the_connector_takes_it_for(self) -> None:
        """Without JSON it is Mailchimp's gateway under load; with JSON it is the key."""
        with RecordingServer() as server:
            server.answer(403, "<html>Forbidden</html>", headers={"Content-Type": "text/html"})
            assert isinstance(await self._failure(server.url), RetryableError)
            server.answer(403, problem(403, "Forbidden").body, headers={"Content-Type": "application/problem+json"})
            assert isinstance(await self._failure(server.url), HoldError)


class TestContractOfOauth(TestContract):
    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "mailchimp", "base_url": f"{url}/3.0", "allow_private": True, "oauth_token": OAUTH}


@pytest.fixture
def mailchimp() -> FakeMailchimp:
    return FakeMailchimp()


@pytest.fixture
def server(mailchimp: FakeMailchimp) -> Iterator[RecordingServer]:
    with RecordingServer(default=mailchimp) as made:
        yield made


def connection(**more: Any) -> Mailchimp:
    way_in = {} if "oauth_token" in more else {"api_key": KEY}
    config = {"connector": "mailchimp", "allow_private": True, **way_in, **more}
    return Mailchimp(Mailchimp.Config.model_validate(config), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Mailchimp]:
    made = connection(base_url=f"{url}/3.0", **more)
    try:
        yield made
    finally:
        await made.aclose()


async def put(url: str, call: Call = CALL, way_in: Mapping[str, Any] | None = None, **fields: Any) -> Reply:
    async with connected(url, **(way_in or {})) as made:
        return await made.send(None, made.outgoing(None, {**ANA, **fields}, call), call)


async def failure(url: str, call: Call = CALL, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await put(url, call, **fields)
    return caught.value


def test_a_member_is_named_by_the_hash_of_the_address_in_small_letters() -> None:
    for address in ("urist.mcvankab@freddiesjokes.com", " Urist.McVankab@FreddiesJokes.com "):
        assert subscriber_hash(address) == "62eeb292278cc15f5817cb78f7790b08"


@pytest.mark.parametrize(
    ("more", "host"),
    [
        ({}, "https://us6.api.mailchimp.com/3.0/lists/"),
        ({"api_key": "abc-us19"}, "https://us19.api.mailchimp.com/3.0/lists/"),
        ({"oauth_token": "t", "data_center": "us21"}, "https://us21.api.mailchimp.com/3.0/lists/"),
    ],
)
def test_the_data_centre_is_the_end_of_the_key(more: dict[str, Any], host: str) -> None:
    assert connection(**more).outgoing(None, ANA, CALL).preview()["url"] == f"{host}{LIST}/members/{ANAS}"


@pytest.mark.parametrize(
    "more",
    [
        {"api_key": "abc"},
        {"api_key": "abc-evil.example.com/"},
        {"api_key": "abc-us6\n"},
        {"oauth_token": "t"},
        {"oauth_token": "t", "data_center": "us6.evil.example"},
        {"api_key": KEY, "oauth_token": "t"},
        {"api_key": None},
    ],
)
def test_a_key_that_leads_nowhere_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connection(**more)


async def test_a_new_person_is_put_as_mailchimp_wants_it(server: RecordingServer, mailchimp: FakeMailchimp) -> None:
    reply = await put(
        server.url,
        merge_fields={"FNAME": "Zoë <b>", "AGE": 7},
        language="en",
        interests={"9143cf3bd1": True},
        email_type="text",
    )
    assert reply.status == 200
    (request,) = server.requests
    assert (request.method, request.target) == ("PUT", f"/3.0/lists/{LIST}/members/{ANAS}")
    assert request.json() == {
        "email_address": "Ana@Example.com",
        "status_if_new": "pending",
        "merge_fields": {"FNAME": "Zoë <b>", "AGE": 7},
        "language": "en",
        "interests": {"9143cf3bd1": True},
        "email_type": "text",
    }
    assert mailchimp.members[ANAS]["status"] == "pending"


async def test_an_oauth_token_gets_in_too(server: RecordingServer) -> None:
    assert (await put(server.url, way_in={"oauth_token": OAUTH})).status == 200


async def test_who_has_left_stays_away(server: RecordingServer, mailchimp: FakeMailchimp) -> None:
    await put(server.url, status_if_new="subscribed")
    mailchimp.members[ANAS]["status"] = "unsubscribed"
    await put(server.url, status_if_new="subscribed", merge_fields={"FNAME": "Ana"})
    assert mailchimp.members[ANAS]["status"] == "unsubscribed"
    assert mailchimp.members[ANAS]["merge_fields"] == {"FNAME": "Ana"}


@given(
    fields=st.fixed_dictionaries(
        {"status_if_new": st.sampled_from(["pending", "subscribed", "unsubscribed", "transactional"])},
        optional={
            "merge_fields": st.dictionaries(st.text(), st.text()),
            "tags": st.lists(st.text()),
            "language": st.text(),
        },
    )
)
@settings(max_examples=50, deadline=None)
def test_no_status_is_sent_that_was_not_asked_for_by_its_name(fields: dict[str, Any]) -> None:
    sent = connection().outgoing(None, {**ANA, **fields}, CALL).preview()["json"]
    assert "status" not in sent
    assert sent["email_address"] == "Ana@Example.com"


async def test_a_status_that_is_asked_for_by_its_name_is_set(server: RecordingServer, mailchimp: FakeMailchimp) -> None:
    await put(server.url, status_if_new="subscribed")
    await put(server.url, overwrite_status="unsubscribed")
    assert mailchimp.members[ANAS]["status"] == "unsubscribed"


async def test_tags_are_added_and_taken_away_by_a_second_request(
    server: RecordingServer, mailchimp: FakeMailchimp
) -> None:
    await put(server.url, tags=["old", "kept"])
    reply = await put(server.url, tags=[" Open day ", ""], remove_tags=["old"])
    assert reply.summary == "200 OK, and tagged"
    assert reply.body["email_address"] == "Ana@Example.com"  # type: ignore[index, call-overload]
    assert mailchimp.members[ANAS]["tags"] == {"kept", "Open day"}
    assert server.requests[-1].target == f"/3.0/lists/{LIST}/members/{ANAS}/tags"
    shown = connection().outgoing(None, {**ANA, "tags": ["a"]}, CALL).preview()
    assert shown["then"]["json"] == {"tags": [{"name": "a", "status": "active"}]}
    assert shown["then"]["url"] == f"{shown['url']}/tags"


async def test_tags_that_fail_are_set_by_the_next_attempt(server: RecordingServer, mailchimp: FakeMailchimp) -> None:
    server.answer(200, {"id": ANAS})
    server.answer(500)
    assert isinstance(await failure(server.url, tags=["a"]), RetryableError)
    await put(server.url, tags=["a"])
    assert mailchimp.members[ANAS]["tags"] == {"a"}


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_lost_answer_is_retried_and_makes_one_member(mailchimp: FakeMailchimp, instead: Any) -> None:
    lost = True

    def loses_answers(request: Any) -> Answer:
        answer = mailchimp(request)
        return Answer(instead=instead) if lost else answer

    with RecordingServer(default=loses_answers) as server:
        error = await failure(server.url, Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.4)))
        assert isinstance(error, RetryableError)
        lost = False
        await put(server.url)
    assert list(mailchimp.members) == [ANAS]


async def test_required_merge_fields_can_be_left_out_on_request(
    server: RecordingServer, mailchimp: FakeMailchimp
) -> None:
    mailchimp.required = {"FNAME"}
    error = await failure(server.url)
    assert isinstance(error, PermanentError)
    assert "Invalid Resource (merge_fields.FNAME)" in error.message
    assert (await put(server.url, skip_merge_validation=True)).status == 200


async def test_what_the_law_says_is_final(server: RecordingServer, mailchimp: FakeMailchimp) -> None:
    mailchimp.forgotten.add("Ana@Example.com")
    error = await failure(server.url)
    assert isinstance(error, PermanentError)
    assert error.cause == "mailchimp forgotten email not subscribed"
    mailchimp.forgotten.clear()
    await put(server.url)
    mailchimp.members[ANAS]["status"] = "cleaned"
    error = await failure(server.url, overwrite_status="subscribed")
    assert isinstance(error, PermanentError)
    assert error.cause == "mailchimp member in compliance state"
    assert "Ana@" not in error.message


@pytest.mark.parametrize(
    ("answer", "fate", "cause"),
    [
        (problem(400, "Bad Request"), PermanentError, "mailchimp bad request"),
        (problem(400, "Member Exists"), PermanentError, "mailchimp member exists"),
        (problem(400, "Invalid Resource", errors=["?", {"field": "a\nb"}]), PermanentError,
         "mailchimp invalid resource"),
        (problem(401, "API Key Invalid"), HoldError, "http 401"),
        (problem(403, "Wrong Datacenter"), HoldError, "mailchimp wrong datacenter"),
        (problem(403, "User Disabled"), HoldError, "mailchimp user disabled"),
        (Answer(403), RetryableError, "mailchimp load"),
        (problem(404, "Resource Not Found"), PermanentError, "mailchimp resource not found"),
        (Answer(404, "<html>"), PermanentError, "mailchimp 404"),
        (problem(405, "Method Not Allowed"), PermanentError, "mailchimp method not allowed"),
        (problem(422, "Requested Fields Invalid"), PermanentError, "mailchimp requested fields invalid"),
        (problem(429, "Too Many Requests"), RetryableError, "http 429"),
        (problem(500, "Internal Server Error"), RetryableError, "http 500"),
        (Answer(200, "<html>", {"Content-Type": "text/html"}), HoldError, "mailchimp web page"),
    ],
)  # fmt: skip
async def test_each_error_has_its_fate(answer: Answer, fate: type[DeliveryError], cause: str) -> None:
    with RecordingServer(default=answer) as server:
        error = await failure(server.url)
    assert type(error) is fate
    assert error.cause == cause
    assert "\n" not in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "ana"},
        {"email": "a b@c.d"},
        {"email": "a@b@c"},
        {"email": "a@b\nX: y"},
        {"list_id": "a/../b"},
        {"list_id": "a1\n"},
        {"status_if_new": "cleaned"},
        {"status": "subscribed"},
        {"tags": ["a"], "remove_tags": ["a "]},
    ],
)
def test_what_cannot_be_sent_is_refused_before(fields: dict[str, Any]) -> None:
    with pytest.raises(PermanentError):
        connection().outgoing(None, {**ANA, **fields}, CALL)


def test_the_lane_keeps_to_ten_connections() -> None:
    assert connection().config.limit.concurrency == 10


def test_a_key_that_isnt_set_yet_is_no_wrong_key() -> None:
    """A file is checked before its secrets are there; the lane waits for them."""
    Mailchimp.Config.model_validate({"connector": "mailchimp", "api_key": "${MAILCHIMP_KEY}"})
    with pytest.raises(ValidationError, match="data centre"):
        Mailchimp.Config.model_validate({"connector": "mailchimp", "api_key": "0123456789abcdef"})
