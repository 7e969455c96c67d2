from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from connectors.guides.twilio import GUIDE
from connectors.twilio.connector import Twilio
from connectors.twilio.errors import _DEAD, _HOLD, _RETRY
from connectors.twilio.segments import GSM, GSM_TWO, segments
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Recorded
from tests.connectors.fake_twilio import ACCOUNT, FROM, KEY, SERVICE, TEMPLATE, FakeTwilio, message, refused

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
TEXT = {"to": "+15005551234", "body": "Your order is on its way."}
NOBODY: dict[str, Any] = {"from": None}
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "connector": "twilio",
        "base_url": url,
        "allow_private": True,
        "account_sid": ACCOUNT,
        "auth_token": "s3cret-auth/token",
        "from": FROM,
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def with_key(**more: Any) -> dict[str, Any]:
    return {"auth_token": None, "api_key_sid": KEY, "api_key_secret": "s3cret-key", **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Twilio:
    return Twilio(Twilio.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Twilio]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def sms(made: Twilio, call: Call = CALL, **fields: Any) -> Reply:
    given = {name: value for name, value in {**TEXT, **fields}.items() if value is not None}
    return await made.send(None, made.outgoing(None, given, call), call)


async def failure(server: RecordingServer, call: Call = CALL, more: Any = None, **fields: Any) -> DeliveryError:
    async with connected(server.url, **(more or {})) as made:
        with pytest.raises(DeliveryError) as caught:
            await sms(made, call, **fields)
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


def form(request: Recorded) -> list[tuple[str, str]]:
    return parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


@pytest.fixture
def fake() -> FakeTwilio:
    return FakeTwilio()


@pytest.fixture
def server(fake: FakeTwilio) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Twilio
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_a_2xx_is_a_delivery(self) -> None:
        # Only where it names the message.
        with RecordingServer() as server:
            server.answer(201, message())
            async with connected(server.url) as made:
                reply = await sms(made)
            assert len(server.requests) == 1
        assert (reply.status, reply.body) == (201, message())

    async def test_every_attempt_sends_the_same_request(self) -> None:
        with RecordingServer(default=FakeTwilio().answer) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    await sms(made, Call("dlv_1", "dlv_1", attempt=attempt))
            first, second = server.requests
        assert first == second

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
    async def test_what_may_get_better_is_retried_when_the_destination_says(self, status: int) -> None:
        """A text can't be taken back and there is no key: of a server error, only a 503 that asks for a repeat does."""
        with RecordingServer() as server:
            server.answer(status, headers={"Retry-After": "7"})
            error = await self._failure(server.url)
        assert error.status == status
        if status >= 500 and status != 503:
            assert isinstance(error, UnknownOutcomeError)
        else:
            assert isinstance(error, RetryableError)
            assert error.retry_after == timedelta(seconds=7)


# What goes out


class _ToTheFake(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own client, which speaks to the fake in place of api.twilio.com."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._url), *args, **more)


@pytest.mark.parametrize(
    ("fields", "its"),
    [
        ({}, {"from_": FROM}),
        ({"body": "Grüße & 50 % 😀\nzwei = 2+2"}, {"from_": FROM}),
        (
            {"messaging_service_sid": SERVICE, "media_urls": ["https://x.example/a b.png?x=1&y=2".replace(" ", "%20")]},
            {"media_url": ["https://x.example/a%20b.png?x=1&y=2"]},
        ),
        ({"media_urls": ["https://x.example/1.png", "https://x.example/2.png"]}, {"from_": FROM}),
        (
            {"body": None, "content_sid": TEMPLATE, "variables": {"1": "Ana", "2": 7, "3": "é"}},
            {"from_": FROM, "variables": None, "content_variables": '{"1": "Ana", "2": "7", "3": "é"}'},
        ),
        (
            {"status_callback": "https://relay.example.com/in/sms", "validity": "30m"},
            {"from_": FROM, "validity": None, "validity_period": 1800},
        ),
    ],
)
async def test_the_request_is_the_one_that_twilios_own_sdk_makes(
    server: RecordingServer, fake: FakeTwilio, fields: dict[str, Any], its: dict[str, Any]
) -> None:
    async with connected(server.url) as made:
        reply = await sms(made, **fields)
    client = _ToTheFake(server.url)
    sdk = Client(ACCOUNT, "s3cret-auth/token", http_client=client)
    same = {"media_url" if name == "media_urls" else name: value for name, value in {**TEXT, **fields}.items()}
    said = {name: value for name, value in {**same, **its}.items() if value is not None}
    answer = sdk.messages.create(**said)
    assert client.session is not None
    client.session.close()
    ours, theirs = server.requests
    assert (ours.method, ours.target) == (theirs.method, theirs.target) == ("POST", PATH)
    for name in ("authorization", "content-type", "accept"):
        assert ours.headers[name] == theirs.headers[name]
    assert sorted(form(ours)) == sorted(form(theirs))
    assert fake.messages[0] == fake.messages[1]
    assert isinstance(reply.body, dict)
    assert (reply.body["status"], answer.status) == ("queued", "queued")


async def test_an_api_key_signs_for_the_account_in_the_path(server: RecordingServer, fake: FakeTwilio) -> None:
    async with connected(server.url, **with_key()) as made:
        await sms(made)
    assert server.requests[0].path == PATH
    assert len(fake.messages) == 1


@pytest.mark.parametrize(
    ("config", "step", "sent"),
    [
        ({}, {}, {"From": FROM}),
        ({}, {"from": "ACME Shop"}, {"From": "ACME Shop"}),
        ({}, {"messaging_service_sid": SERVICE}, {"MessagingServiceSid": SERVICE}),
        ({"from": None, "messaging_service_sid": SERVICE}, {}, {"MessagingServiceSid": SERVICE}),
        ({"messaging_service_sid": SERVICE}, {}, {"From": FROM, "MessagingServiceSid": SERVICE}),
        ({"messaging_service_sid": SERVICE}, {"from": "12345"}, {"From": "12345"}),
    ],
)
async def test_the_steps_sender_goes_before_the_connections(
    server: RecordingServer, config: dict[str, Any], step: dict[str, Any], sent: dict[str, str]
) -> None:
    async with connected(server.url, **config) as made:
        await sms(made, **step)
    pairs = dict(form(server.requests[0]))
    assert {name: pairs[name] for name in ("From", "MessagingServiceSid") if name in pairs} == sent


@pytest.mark.parametrize("to", ["+15005551234", " +1 (500) 555-1234 ", "+1.500.555.1234"])
async def test_a_number_is_sent_without_its_separators(server: RecordingServer, to: str) -> None:
    async with connected(server.url) as made:
        await sms(made, to=to)
    assert ("To", "+15005551234") in form(server.requests[0])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"to": "0049151123456"}, "a number has a plus"),
        ({"to": "+0151123456"}, "a number has a plus"),
        ({"to": "+1500555123٤"}, "a number has a plus"),
        ({"to": "\u202a+15005551234"}, "a number has a plus"),
        ({"to": "+15005551234&Body=x"}, "a number has a plus"),
        ({"to": "+15005551234,+15005551235"}, "a number has a plus"),
        ({"body": "x" * 1601}, r"1601 characters and may have 1600: use `\| truncate"),
        ({"body": None}, "text is empty"),
        ({"body": " \n"}, "text is empty"),
        ({"body": "x" * 161, "max_segments": 1}, "takes 2 segments"),
        ({"body": "x" * 70 + "’", "max_segments": 1}, r"U\+2019"),
        ({"from": "much too long a name"}, "a sender is"),
        ({"messaging_service_sid": "MG1"}, "messaging_service_sid"),
        ({"content_sid": TEMPLATE}, "in place of `body`"),
        ({"variables": {"1": "x"}}, "goes with `content_sid`"),
        ({"media_urls": ["https://x.example/1"] * 11}, "media_urls"),
        ({"media_urls": ["file:///etc/passwd"]}, "starts with https"),
        ({"status_callback": "https://a_b.example/x"}, "underscore"),
        ({"validity": "11h"}, "1s to 10h"),
        ({"validity": "500ms"}, "1s to 10h"),
        ({"body": "\ud800"}, "half a character"),
    ],
)
def test_what_twilio_would_refuse_is_refused_before_it_is_sent(fields: dict[str, Any], why: str) -> None:
    given = {name: value for name, value in {**TEXT, **fields}.items() if value is not None}
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(None, given, CALL).content()  # type: ignore[attr-defined]


def test_nobody_to_send_it_is_named() -> None:
    with pytest.raises(PermanentError, match="in the connection or in the step"):
        connection(**NOBODY).outgoing(None, TEXT, CALL)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"auth_token": "a\nb"}, "no header takes"),
        ({"auth_token": None}, "either `auth_token`"),
        ({"api_key_sid": KEY, "api_key_secret": "x"}, "either `auth_token`"),
        (with_key(api_key_secret=None), "`api_key_sid` goes with"),
        ({"account_sid": "AC1/../x"}, "account_sid"),
        ({"from": "+1 500"}, "a sender is"),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


# Segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("x" * 151 + "€" + "x" * 153, 2),
        ("x" * 152 + "€" + "x" * 151, 2),
        ("x" * 152 + "€" + "x" * 152, 3),  # the euro isn't parted
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),  # 33 in each: the 67th unit would part one
        ("ç", 1),
        ("ç" * 71, 2),
    ],
)
def test_segments_are_counted_as_they_are_charged(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(alphabet=sorted(GSM | GSM_TWO | set("я😀’")), max_size=400))
def test_segments_are_never_fewer_than_the_bits_need_nor_one_sign_a_segment_more(text: str) -> None:
    gsm = set(text) <= GSM | GSM_TWO
    size = sum(2 if sign in GSM_TWO else 1 for sign in text) if gsm else len(text.encode("utf-16-le")) // 2
    alone, each = (160, 153) if gsm else (70, 67)
    if size <= alone:
        assert segments(text) == 1
    else:
        assert -(-size // each) <= segments(text) <= -(-size // (each - 1))


# What comes back


@pytest.mark.parametrize(
    ("fields", "code", "remedy"),
    [
        ({"to": "+15005550001"}, 21211, "correct it"),
        ({"to": "+15005550002"}, 21612, "another `from`"),
        ({"to": "+15005550003"}, 21408, "Geo permissions"),
        ({"to": "+15005550004"}, 21610, "sent STOP: send them nothing again"),
        ({"to": "+15005550009"}, 21614, "no mobile number"),
        ({"to": "+15005550010"}, 21608, "verify the number"),
        ({"from": "+15005550007"}, 21606, "another `from`"),
        ({"from": "+15005550001"}, 21212, "`from`"),
        ({"messaging_service_sid": f"MG{'f' * 32}"}, 21701, "messaging_service_sid"),
        ({"body": None, "content_sid": f"HX{'f' * 32}"}, 21654, "content_sid"),
    ],
)
async def test_a_refused_message_is_dead_with_its_code_and_the_remedy(
    server: RecordingServer, fake: FakeTwilio, fields: dict[str, Any], code: int, remedy: str
) -> None:
    error = await failure(server, **fields)
    assert type(error) is PermanentError
    assert error.cause == f"twilio {code}"
    assert remedy in error.message
    assert f"docs/api/errors/{code}" in error.message
    assert "555" not in error.message  # nobody's number
    assert fake.messages == []


async def test_too_long_by_twilios_count_is_dead(server: RecordingServer) -> None:
    server.answer(400, refused(400, 21617, "The concatenated message body exceeds the 1600 character limit").body)
    error = await failure(server)
    assert type(error) is PermanentError
    assert "truncate" in error.message


async def test_an_unknown_code_has_twilios_words_without_the_number_in_them(server: RecordingServer) -> None:
    server.answer(400, refused(400, 21999, "Number +1 (500) 555-1234 is\nodd in 2026").body)
    error = await failure(server)
    assert type(error) is PermanentError
    assert error.cause == "twilio 21999"
    assert "Number … is odd in 2026" in error.message


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 20003), (403, 20003), (404, 20404), (403, 20005), (403, 20008), (400, 10001), (403, 20403)],
)
async def test_what_concerns_the_account_holds_the_lane(server: RecordingServer, status: int, code: int) -> None:
    server.answer(status, refused(status, code).body)
    error = await failure(server)
    assert isinstance(error, HoldError)
    assert error.cause == f"twilio {code}"


async def test_wrong_credentials_and_a_wrong_account_hold_the_lane(server: RecordingServer) -> None:
    for more, cause in (
        ({"auth_token": "old"}, "twilio 20003"),
        (with_key(api_key_secret="old"), "twilio 20003"),
        (with_key(account_sid=f"AC{'e' * 32}"), "twilio 20404"),
    ):
        error = await failure(server, more=more)
        assert isinstance(error, HoldError)
        assert error.cause == cause


@pytest.mark.parametrize(("code", "cause"), [(20429, "twilio 20429"), (21611, "twilio 21611"), (63038, "twilio 63038")])
async def test_too_much_at_once_is_tried_again_when_twilio_says(server: RecordingServer, code: int, cause: str) -> None:
    server.answer(429, refused(429, code).body, headers={"Retry-After": "3"})
    error = await failure(server)
    assert isinstance(error, RetryableError)
    assert (error.retry_after, error.cause) == (timedelta(seconds=3), cause)


async def test_a_full_queue_of_the_sender_is_tried_again(server: RecordingServer) -> None:
    busy: dict[str, Any] = {"from": "+15005550008"}
    error = await failure(server, **busy)
    assert isinstance(error, RetryableError)
    assert "queue" in error.message


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_may_have_sent_it(server: RecordingServer, status: int) -> None:
    server.answer(status, refused(status, 20500, "Internal Server Error").body)
    error = await failure(server)
    assert isinstance(error, UnknownOutcomeError)
    assert "message log" in error.message


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"status": "failed", "error_code": 30007, "error_message": "Message filtered"}, "twilio 30007"),
        ({"status": "undelivered", "error_code": 30003, "error_message": "Unreachable"}, "twilio 30003"),
        ({"status": "failed"}, "twilio failed"),
        ({"status": "canceled"}, "twilio canceled"),
        ({"status": "queued", "error_code": 21610}, "twilio 21610"),
    ],
)
async def test_a_201_that_says_failed_is_no_delivery(server: RecordingServer, more: dict[str, Any], cause: str) -> None:
    server.answer(201, message(**more))
    error = await failure(server)
    assert type(error) is PermanentError
    assert error.cause == cause


@pytest.mark.parametrize("state", ["queued", "accepted", "scheduled", "sending", "sent", "delivered"])
async def test_a_201_on_its_way_is_a_delivery(server: RecordingServer, state: str) -> None:
    server.answer(201, message(status=state))
    async with connected(server.url) as made:
        assert (await sms(made)).status == 201


@pytest.mark.parametrize("body", [{}, [], b"", "<html>"])
async def test_a_201_that_names_no_message_is_an_unknown_outcome(server: RecordingServer, body: Any) -> None:
    server.answer(201, body)
    error = await failure(server)
    assert isinstance(error, UnknownOutcomeError)
    assert error.cause == "twilio names no message"


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_lost_answer_is_an_unknown_outcome(server: RecordingServer, instead: str) -> None:
    server.answer(instead=instead)
    assert isinstance(await failure(server, Call("d", "d", timeout=timedelta(seconds=0.3))), UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    server.answer(201, json.dumps(message()), headers={"content-type": "application/json"}, instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await sms(made)).summary


async def test_neither_a_secret_nor_its_base64_is_in_an_error(server: RecordingServer) -> None:
    proof = connection()._headers["authorization"].partition(" ")[2]
    server.answer(400, refused(400, 21999, f"you sent s3cret-auth/token and {proof}").body)
    error = await failure(server)
    text = json.dumps([error.message, error.cause, error.received])
    assert "s3cret" not in text
    assert proof not in text


# The harmless call


async def test_the_check_names_the_account_and_sends_nothing(server: RecordingServer, fake: FakeTwilio) -> None:
    async with connected(server.url) as made:
        check = await made.check(timedelta(seconds=5))
    assert check.found == f"Twilio's account {ACCOUNT} (ACME) takes the credentials"
    assert check.missing == ()
    assert [request.method for request in server.requests] == ["GET"]


async def test_the_check_says_what_is_missing(server: RecordingServer, fake: FakeTwilio) -> None:
    fake.status, fake.type = "suspended", "Trial"
    async with connected(server.url, **NOBODY) as made:
        suspended, trial, sender = (await made.check(timedelta(seconds=5))).missing
    assert "suspended" in suspended
    assert "verified numbers only" in trial
    assert "no sender" in sender


async def test_a_standard_key_which_sees_no_account_is_checked_by_the_messages(server: RecordingServer) -> None:
    async with connected(server.url, **with_key()) as made:
        assert "takes the API key" in (await made.check(timedelta(seconds=5))).found
    assert [request.method for request in server.requests] == ["GET", "GET"]
    assert server.requests[1].target == f"{PATH}?PageSize=1"


@pytest.mark.parametrize("more", [{"auth_token": "old"}, with_key(api_key_secret="old")])
async def test_a_check_with_wrong_credentials_says_so(server: RecordingServer, more: dict[str, Any]) -> None:
    async with connected(server.url, **more) as made:
        with pytest.raises(HoldError, match="credentials aren't taken"):
            await made.check(timedelta(seconds=5))


async def test_a_check_that_meets_a_server_error_is_no_unknown_outcome(server: RecordingServer) -> None:
    server.answer(500, {})
    async with connected(server.url) as made:
        with pytest.raises(RetryableError):
            await made.check(timedelta(seconds=5))


async def test_a_check_that_is_not_answered_by_twilio_says_so(server: RecordingServer) -> None:
    server.answer(200, {"hello": "world"})
    async with connected(server.url) as made:
        with pytest.raises(PermanentError, match="check base_url"):
            await made.check(timedelta(seconds=5))


def test_a_code_has_one_fate_and_those_that_hold_or_repeat_have_a_row() -> None:
    assert not (_DEAD.keys() & _HOLD.keys() | _DEAD.keys() & _RETRY.keys() | _HOLD.keys() & _RETRY.keys())
    fates = {cause: trouble.fate for trouble in GUIDE.troubles for cause in trouble.cause.split(", ")}
    assert {fates[f"twilio {code}"] for code in _HOLD} == {"hold"}
    assert {fates[f"twilio {code}"] for code in _RETRY} == {"retry"}
    assert {fates.get(f"twilio {code}", "dead") for code in _DEAD} == {"dead"}
