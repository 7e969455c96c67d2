from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook as Judge

from connectors.webhook import Webhook, secret_bytes, signature
from relay import clock
from relay.connector import Call, Context
from relay.errors import HoldError, PermanentError, RetryableError
from relay.model import Reply
from relay.testing import HttpConnectorContract, Recorded, RecordingServer, assert_no_secret
from tests.connectors.fake_webhook import NEWER, SECRET, Receiver, judge

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5), moment=datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
EVENT = {"type": "chat.message.created", "data": {"id": "m_17", "text": "Zoë\r\nX-Evil: 1 @everyone"}}


class TestContract(HttpConnectorContract):
    connector = Webhook
    idempotent = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "webhook", "url": f"{url}/hooks", "secrets": [SECRET, NEWER], "allow_private": True}

    async def test_every_attempt_sends_the_same_request(self) -> None:
        """Each attempt is signed at its own moment, or a late one would be refused as a replay; the rest is alike."""
        do, fields = self.fields()
        with RecordingServer() as server:
            async with connected(server.url, secrets=[SECRET]) as made:
                for attempt in (1, 2):
                    with clock.stopped_at(clock.now_ms() - attempt * 60_000):
                        await made.send(do, made.outgoing(do, fields, again(attempt)), again(attempt))
            first, second = server.requests
        assert unsigned(first) == unsigned(second)
        assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
        for request in (first, second):
            judge(SECRET, request)


class TestContractWhere403MeansABadSecret(TestContract):
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {**super().config_for(url), "hold_on_403": True, "headers": {"X-Tenant": "t1"}}


def again(attempt: int) -> Call:
    return Call("dlv_1", "dlv_1", attempt=attempt, timeout=timedelta(seconds=5))


def unsigned(request: Recorded) -> Recorded:
    kept = {k: v for k, v in request.headers.items() if k not in ("webhook-timestamp", "webhook-signature")}
    return Recorded(request.method, request.target, kept, request.body)


def connection(url: str = "http://127.0.0.1:9/hooks", **settings: Any) -> Webhook:
    config = {"connector": "webhook", "url": url, "secrets": [SECRET], "allow_private": True, **settings}
    return Webhook(Webhook.Config.model_validate(config), Context())


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Webhook]:
    made = connection(url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def send(made: Webhook, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, fields or EVENT, call), call)


# What goes out


async def test_a_message_is_what_the_specifications_libraries_accept() -> None:
    with Receiver() as receiver:
        async with connected(receiver.url) as made:
            reply = await send(made)
        (request,) = receiver.server.requests
    assert reply.status == 204
    assert request.json() == {**EVENT, "timestamp": "2026-03-01T09:30:00Z"}
    assert request.headers["webhook-id"] == "dlv_1"
    assert abs(int(request.headers["webhook-timestamp"]) - clock.now_ms() / 1000) < 10
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", request.headers["webhook-signature"])


async def test_while_a_secret_is_being_changed_both_receivers_accept() -> None:
    with Receiver(SECRET) as old, Receiver(NEWER) as new:
        for receiver in (old, new):
            async with connected(receiver.url, secrets=[NEWER, SECRET]) as made:
                await send(made)
            (request,) = receiver.server.requests
            assert len(request.headers["webhook-signature"].split(" ")) == 2
        assert list(old.acted) == list(new.acted) == ["dlv_1"]


async def test_an_attempt_of_tomorrow_carries_tomorrows_time(sink: RecordingServer) -> None:
    async with connected(sink.url) as made:
        with clock.stopped_at(1_700_000_000_999):
            outgoing = made.outgoing(None, EVENT, CALL)
        with clock.stopped_at(1_700_086_400_000):
            await made.send(None, outgoing, CALL)
    assert sink.requests[0].headers["webhook-timestamp"] == "1700086400"


def test_the_vector_of_the_specifications_libraries() -> None:
    key = Judge(SECRET)
    body = '{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    moment = datetime.fromtimestamp(1614265330, UTC)
    assert key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body) == expected
    signed = signature([secret_bytes(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body.encode())
    assert signed == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n\x00é", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=JSON, moment=st.integers(0, 4_000_000_000), key=st.binary(min_size=24, max_size=64))
def test_any_body_is_signed_as_the_library_signs_it(body: Any, moment: int, key: bytes) -> None:
    outgoing = connection().outgoing(None, {"json": body}, CALL)
    content: bytes = outgoing.content  # type: ignore[attr-defined]
    theirs = Judge(key).sign("dlv_1", datetime.fromtimestamp(moment, UTC), content.decode())
    assert signature([key], "dlv_1", moment, content) == theirs


def test_a_preview_is_complete_and_does_not_depend_on_the_clock() -> None:
    made = connection("https://api.example.com/hooks?token=s3cret", headers={"X-Api-Key": "k"})
    previews = []
    for ms in (0, 10**12):
        with clock.stopped_at(ms):
            previews.append(made.outgoing(None, EVENT, CALL).preview())
    assert previews[0] == previews[1]
    assert previews[0]["url"] == "https://api.example.com/hooks?token=***"
    headers = previews[0]["headers"]
    assert headers["webhook-id"] == "dlv_1"
    assert headers["webhook-timestamp"] == headers["webhook-signature"] == headers["x-api-key"] == "***"
    assert previews[0]["json"]["timestamp"] == "2026-03-01T09:30:00Z"


# What comes back


async def test_a_wrong_secret_holds_the_lane_and_names_the_remedy() -> None:
    with Receiver(NEWER) as receiver:
        async with connected(receiver.url) as made:
            with pytest.raises(
                HoldError, match=r"401 Unauthorized: .* compare `secrets` with the receiver's"
            ) as caught:
                await send(made)
    assert caught.value.cause == "http 401"
    assert_no_secret(made.config, str(caught.value), caught.value.received)


async def test_a_redirect_is_never_followed(sink: RecordingServer) -> None:
    for status in (301, 302, 303, 307, 308):
        sink.answer(status, headers={"Location": "/elsewhere"})
        async with connected(sink.url) as made:
            with pytest.raises(PermanentError, match="into the connection's url"):
                await send(made)
    assert {request.path for request in sink.requests} == {"/"}


async def test_410_switches_off_and_says_who_turns_it_on(sink: RecordingServer) -> None:
    sink.answer(410)
    async with connected(sink.url) as made:
        with pytest.raises(HoldError, match="wants no more; the connection is off until an operator turns it on"):
            await send(made)


async def test_a_receiver_that_asks_to_wait_is_waited_for(sink: RecordingServer) -> None:
    for status, header, wait in ((429, "120", 120), (503, "5", 5), (502, None, None)):
        sink.answer(status, headers={"Retry-After": header} if header else {})
        async with connected(sink.url) as made:
            with pytest.raises(RetryableError) as caught:
                await send(made)
        assert caught.value.retry_after == (timedelta(seconds=wait) if wait is not None else None)


@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage", "break off"])
async def test_a_repeat_after_a_cut_connection_is_acted_on_once(instead: str) -> None:
    """The worst moment: the receiver acted, and its answer got lost."""
    with Receiver() as receiver:
        async with connected(receiver.url) as made:
            receiver.server.answer(200, b"0123456789", instead=instead)
            short = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.4), moment=CALL.moment)
            if instead == "break off":
                await send(made, short)  # the status had come, and it alone decides
            else:
                with pytest.raises(RetryableError):
                    await send(made, short)
            receiver.acted["dlv_1"] = receiver.server.requests[0].body
            await send(made)
        assert len(receiver.acted) == 1
        assert len({request.body for request in receiver.server.requests}) == 1


async def test_an_answer_that_echoes_the_secret_bare_is_redacted(sink: RecordingServer) -> None:
    sink.answer(422, {"echo": SECRET.removeprefix("whsec_")})
    async with connected(sink.url) as made:
        with pytest.raises(PermanentError) as caught:
            await send(made)
    assert SECRET.removeprefix("whsec_") not in f"{caught.value} {caught.value.received}"


# What may be written


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"secrets": []}, "at least 1"),
        ({"secrets": ["whsec_" + "A" * 20]}, "holds 24 to 75 bytes, and this one 15; make one with"),
        ({"secrets": ["whsec_" + "A" * 120]}, "and this one 90"),
        ({"secrets": ["whsec_not base64!"]}, r"base64 after whsec_; make one with: echo whsec_\$\(openssl"),
        ({"secrets": ["whsk_" + "A" * 44]}, "asymmetric"),
        ({"secrets": [SECRET, SECRET.removeprefix("whsec_")]}, "twice"),
        ({"url": "https://u:p@x"}, "user name and password"),
        ({"headers": {"Webhook-Id": "1"}}, "set by the relay itself"),
        ({"headers": {"X-A": "b\nc"}}, "line break"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        connection(**({"url": wrong["url"]} if "url" in wrong else wrong))
    assert SECRET not in str(caught.value)


def test_a_secret_is_read_with_and_without_its_prefix_and_padding() -> None:
    for spelled in (NEWER, NEWER.rstrip("="), NEWER.removeprefix("whsec_")):
        connection(secrets=[spelled])
        ours = signature([secret_bytes(spelled)], "a", 1, b"")
        assert ours == Judge(NEWER).sign("a", datetime.fromtimestamp(1, UTC), "")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "either `type` and `data`, or `json`"),
        ({"type": "a.b"}, "go together"),
        ({"data": {}}, "go together"),
        ({"type": "a.b", "data": {}, "json": {}}, "either"),
        ({"type": "a b\n", "data": {}}, "words joined by dots"),
        ({"type": "a..b", "data": {}}, "words joined by dots"),
    ],
)
def test_a_wrong_with_is_named(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(None, fields, CALL)
