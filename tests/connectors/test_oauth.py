from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from connectors.common.oauth import OAuth, TokenRedactor, Tokens
from relay.connector import secrets_in
from relay.errors import DeliveryError, HoldError, RetryableError
from relay.http import Client, ClientOptions, Redactor
from relay.testing import RecordingServer, assert_no_secret
from tests.connectors.fake_oauth import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, FakeOAuth, a_key

TEN_SECONDS = timedelta(seconds=10)
APP = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def settings_for(url: str, **more: Any) -> OAuth:
    return OAuth.model_validate({"token_url": f"{url}{FakeOAuth.path}", **APP, **more})


@asynccontextmanager
async def tokens_of(settings: OAuth, *, private: bool = True) -> AsyncIterator[Tokens]:
    client = Client(ClientOptions(allow_private=private))
    tokens = Tokens(client, settings)
    try:
        yield tokens
    finally:
        await tokens.aclose()
        await client.aclose()


async def failure(settings: OAuth, timeout: timedelta = TEN_SECONDS, *, private: bool = True) -> DeliveryError:
    async with tokens_of(settings, private=private) as tokens:
        with pytest.raises(DeliveryError) as caught:
            await tokens.headers(timeout)
    return caught.value


# Getting one


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"scope": "contacts.write deals.read"},
        {"client_auth": "basic"},
        {"refresh_token": REFRESH_TOKEN},
        {"refresh_token": REFRESH_TOKEN, "client_auth": "basic"},
        {"private_key": a_key()[0], "client_secret": None, "subject": "ana@example.com", "audience": "https://login"},
        {
            "private_key": a_key()[0].replace("\n", "\\n"),
            "client_secret": None,
            "subject": "ana@example.com",
            "audience": "https://login",
        },
    ],
)
async def test_a_token_is_given_to_whoever_asks_by_the_standard(more: dict[str, Any]) -> None:
    with RecordingServer(default=FakeOAuth(audience="https://login", subject="ana@example.com")) as server:
        async with tokens_of(settings_for(server.url, **more)) as tokens:
            assert await tokens.headers(TEN_SECONDS) == {"authorization": "Bearer token-s3cret-1"}
            assert (await tokens.get(TEN_SECONDS)).reply["token_type"] == "Bearer"
        assert len(server.requests) == 1


def test_an_assertion_is_good_for_three_minutes_and_names_its_scope() -> None:
    settings = settings_for("https://id", private_key=a_key()[0], scope="sheets", subject="ana")
    form = settings.form("", now=1_700_000_000.9)
    assert jwt.get_unverified_header(form["assertion"]) == {"alg": "RS256", "typ": "JWT"}
    claims = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert claims == {
        "iss": CLIENT_ID,
        "aud": "https://id/oauth/token",
        "iat": 1_700_000_000,
        "exp": 1_700_000_180,
        "sub": "ana",
        "scope": "sheets",
    }
    assert "scope" not in form


def test_further_parameters_go_along_and_overrule_nothing() -> None:
    form = settings_for("https://id", extra={"audience": "api", "grant_type": "password"}).form("", now=0)
    assert form == {
        "audience": "api",
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"refresh_token": "x", "private_key": a_key()[0]}, "not both"),
        ({"client_secret": None}, "client_secret is required"),
        ({"client_secret": None, "refresh_token": "x", "client_auth": "basic"}, "client_secret is required"),
        ({"subject": "ana"}, "go with private_key"),
        ({"private_key": "s3cret no key"}, "no private key in PEM"),
        ({"token_url": "ftp://x"}, "https://"),
        ({"no_such_key": 1}, "no_such_key"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_them(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        settings_for("https://id", **more)
    assert "s3cret" not in str(caught.value)


def test_a_key_of_another_kind_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValidationError, match="must be an RSA key"):
        settings_for("https://id", private_key=key.decode())


# Keeping it


async def test_many_deliveries_at_once_fetch_one_token() -> None:
    with RecordingServer(default=FakeOAuth()) as server:
        async with tokens_of(settings_for(server.url)) as tokens:
            got = await asyncio.gather(*(tokens.headers(TEN_SECONDS) for _ in range(50)))
        assert len(server.requests) == 1
    assert {one["authorization"] for one in got} == {"Bearer token-s3cret-1"}


async def test_many_deliveries_whose_token_is_refused_make_one_new_one() -> None:
    with RecordingServer(default=FakeOAuth()) as server:
        async with tokens_of(settings_for(server.url)) as tokens:

            async def one(number: int) -> str:
                await tokens.headers(TEN_SECONDS)
                await asyncio.sleep(number * 0.01)  # the 401 of some comes when others have renewed it already
                return (await tokens.headers(TEN_SECONDS, anew=True))["authorization"]

            got = await asyncio.gather(*(one(number) for number in range(20)))
        assert len(server.requests) == 2
    assert set(got) == {"Bearer token-s3cret-2"}


@pytest.mark.parametrize(
    ("expires_in", "later", "fetched"),
    [
        (3600, 3500, 1),
        (3600, 3545, 2),
        ("3600", 3545, 2),
        (100, 85, 1),  # a tenth of a short life
        (100, 91, 2),
        (None, 1e6, 1),  # Salesforce doesn't say: it is kept until it is refused
        ("soon", 1e6, 1),
        (0, 1e6, 1),
    ],
)
async def test_it_is_kept_until_shortly_before_its_end(
    expires_in: Any, later: float, fetched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("connectors.common.oauth.time", SimpleNamespace(monotonic=lambda: clock[0], time=time.time))
    with RecordingServer(default=FakeOAuth(expires_in=expires_in)) as server:
        async with tokens_of(settings_for(server.url)) as tokens:
            await tokens.headers(TEN_SECONDS)
            clock[0] += later
            await tokens.headers(TEN_SECONDS)
        assert len(server.requests) == fetched


async def test_a_refresh_token_that_is_replaced_is_replaced_here_too() -> None:
    with RecordingServer(default=FakeOAuth(rotates=True)) as server:
        async with tokens_of(settings_for(server.url, refresh_token=REFRESH_TOKEN)) as tokens:
            for number in (1, 2, 3):
                assert (await tokens.headers(TEN_SECONDS, anew=True))["authorization"].endswith(str(number))


async def test_after_a_failure_it_is_asked_again() -> None:
    with RecordingServer(default=FakeOAuth()) as server:
        server.answer(503)
        async with tokens_of(settings_for(server.url)) as tokens:
            with pytest.raises(RetryableError):
                await tokens.headers(TEN_SECONDS)
            assert await tokens.headers(TEN_SECONDS)


async def test_a_delivery_that_is_given_up_leaves_the_token_to_the_others() -> None:
    fake = FakeOAuth()
    with RecordingServer(default=fake) as server:
        server.answer(200, {"access_token": "slow", "expires_in": 3600}, delay_seconds=0.3)
        async with tokens_of(settings_for(server.url)) as tokens:
            first = asyncio.create_task(tokens.get(TEN_SECONDS))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(tokens.get(TEN_SECONDS))
            await asyncio.sleep(0.05)
            first.cancel()
            assert (await second).value == "slow"
        assert len(server.requests) == 1


async def test_closing_stops_what_is_under_way() -> None:
    with RecordingServer() as server:
        server.answer(instead="hang")
        async with tokens_of(settings_for(server.url)) as tokens:
            asking = asyncio.create_task(tokens.get(TEN_SECONDS))
            await asyncio.sleep(0.05)
            asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


# What goes wrong


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause", "words"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired"}, HoldError, "token: invalid_grant", "still"),
        (401, {"error": "invalid_client"}, HoldError, "token: invalid_client", "check client_id"),
        (400, {"error": "unauthorized_client"}, HoldError, "token: unauthorized_client", "allow this way"),
        (400, {"error": "invalid_scope"}, HoldError, "token: invalid_scope", "check the scope"),
        (200, {"error": "bad_verification_code"}, HoldError, "token: bad_verification_code", "bad_verification"),
        (200, {}, HoldError, "token: http 200", "check token_url"),
        (200, "<html>log in</html>", HoldError, "token: http 200", "check token_url"),
        (200, {"access_token": "two\r\nlines: x"}, HoldError, "token: http 200", "check token_url"),
        (200, {"access_token": ""}, HoldError, "token: http 200", "check token_url"),
        (302, "", HoldError, "token: http 302", "check token_url"),
        (404, "no", HoldError, "token: http 404", "check token_url"),
        (429, {"error": "invalid_request"}, RetryableError, "token: invalid_request", "429"),
        (400, {"error": "temporarily_unavailable"}, RetryableError, "token: temporarily_unavailable", "400"),
        (400, {"error": "unknown_error", "error_description": "retry your request"}, RetryableError, None, "retry"),
        (400, {"error": "invalid_grant", "error_description": "login rate exceeded"}, RetryableError, None, "rate"),
        (500, {"error": "invalid_client"}, RetryableError, "token: invalid_client", "500"),
        (503, "down", RetryableError, "token: http 503", "503"),
    ],
)
async def test_each_answer_of_the_token_endpoint_has_its_fate(
    status: int, body: Any, kind: type[DeliveryError], cause: str | None, words: str
) -> None:
    with RecordingServer() as server:
        server.answer(status, body, headers={"Retry-After": "7"})
        error = await failure(settings_for(server.url))
    assert type(error) is kind
    assert cause in (None, error.cause)
    assert words in error.message
    assert "\n" not in error.message
    assert error.status == status
    if isinstance(error, RetryableError):
        assert error.retry_after == timedelta(seconds=7)


async def test_what_is_said_of_the_credentials_is_said_to_all_who_wait() -> None:
    with RecordingServer() as server:
        server.answer(401, {"error": "invalid_client"}, delay_seconds=0.1)
        async with tokens_of(settings_for(server.url)) as tokens:
            got = await asyncio.gather(*(tokens.get(TEN_SECONDS) for _ in range(9)), return_exceptions=True)
        assert len(server.requests) == 1
    assert all(isinstance(one, HoldError) for one in got)
    assert len({id(one) for one in got}) == 9


async def test_nobody_there_is_retried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failure(settings_for(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert (type(error), error.cause) == (RetryableError, "no connection")


@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage"])
async def test_a_token_endpoint_that_gives_no_answer_is_no_unknown_outcome(instead: str) -> None:
    with RecordingServer() as server:
        server.answer(instead=instead)
        error = await failure(settings_for(server.url), timedelta(seconds=0.6))
    assert type(error) is RetryableError


async def test_a_private_address_is_refused_unless_allowed() -> None:
    with RecordingServer() as server:
        error = await failure(settings_for(server.url), private=False)
        assert not server.requests
    assert (type(error), error.cause) == (HoldError, "private address refused")


# Nothing secret is shown


@pytest.mark.parametrize(
    "more", [{}, {"refresh_token": REFRESH_TOKEN}, {"private_key": a_key()[0], "client_auth": "basic"}]
)
async def test_no_secret_is_in_an_error_or_a_record(more: Mapping[str, Any]) -> None:
    settings = OAuth.model_validate({"token_url": "https://id/oauth/token", **APP, **more})
    echo = " ".join(secret for secret in secrets_in(settings))
    with RecordingServer() as server:
        body = {"error": "invalid_grant", "error_description": f"{echo}\r\nno", "access_token": "half s3cret"}
        server.answer(400, body)
        error = await failure(settings_for(server.url, **more))
    shown = json.dumps([str(error), error.cause, error.received], ensure_ascii=False)
    assert_no_secret(settings, shown, repr(settings), settings.model_dump_json())
    assert "half s3cret" not in shown


async def test_the_token_in_use_is_taken_out_of_texts() -> None:
    with RecordingServer(default=FakeOAuth()) as server:
        async with tokens_of(settings_for(server.url)) as tokens:
            redact = TokenRedactor(Redactor(["other-s3cret"]), tokens)
            assert redact("token-s3cret-1 other-s3cret") == "token-s3cret-1 ***"
            token = await tokens.get(TEN_SECONDS)
            assert redact("token-s3cret-1 other-s3cret") == "*** ***"
    assert "s3cret" not in repr(token)
