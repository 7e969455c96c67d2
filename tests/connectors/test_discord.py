from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.discord import Discord
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, RecordingServer, assert_no_secret
from tests.connectors.fake_discord import TOKEN, WEBHOOK_ID, FakeDiscord

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))


def config_for(url: str) -> dict[str, Any]:
    webhook = f"https://discord.com/api/webhooks/{WEBHOOK_ID}/{TOKEN}"
    return {"connector": "discord", "base_url": url, "webhook": webhook, "allow_private": True}


class TestContract(HttpConnectorContract):
    connector = Discord

    def config_for(self, url: str) -> Mapping[str, Any]:
        return config_for(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        """Discord's truth: a 200 has the message in it."""
        do, fields = self.fields()
        with RecordingServer(Answer(200, {"id": "7"})) as server:
            async with self._connected(server.url) as connection:
                for attempt in (1, 2):
                    call = Call("dlv_1", "dlv_1", attempt=attempt)
                    await connection.send(do, connection.outgoing(do, fields, call), call)
            first, second = server.requests
        assert first == second


@pytest.fixture
def discord() -> FakeDiscord:
    return FakeDiscord()


@pytest.fixture
def server(discord: FakeDiscord) -> Iterator[RecordingServer]:
    with RecordingServer(discord) as server:
        yield server


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Discord]:
    connection = Discord(Discord.Config.model_validate({**config_for(url), **settings}), Context())
    try:
        yield connection
    finally:
        await connection.aclose()


async def send(url: str, settings: Mapping[str, Any] | None = None, **fields: Any) -> Reply:
    async with connected(url, **(settings or {})) as made:
        return await made.send(None, made.outgoing(None, fields, CALL), CALL)


async def failure(url: str, settings: Mapping[str, Any] | None = None, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(url, settings, **fields)
    assert "\n" not in caught.value.message
    config = Discord.Config.model_validate(config_for(url))
    assert_no_secret(config, caught.value.message, caught.value.cause, json.dumps(caught.value.received))
    return caught.value


def outgoing(**fields: Any) -> dict[str, Any]:
    made = Discord(Discord.Config.model_validate(config_for("https://discord.com/api/v10")), Context())
    return made.outgoing(None, fields, CALL).preview()


# The request, as Discord wants it


async def test_every_example_is_taken_by_discord(server: RecordingServer, discord: FakeDiscord) -> None:
    for example in Discord.actions[0].examples:
        await send(server.url, **example.fields)
    assert len(discord.posted) == len(Discord.actions[0].examples)


async def test_a_message_is_confirmed_with_its_id(server: RecordingServer, discord: FakeDiscord) -> None:
    reply = await send(server.url, content="hello", thread_id="2", username="Ana", silent=True)
    (request,) = server.requests
    assert request.target == f"/webhooks/{WEBHOOK_ID}/{TOKEN}?wait=true&thread_id=2"
    assert "authorization" not in request.headers
    assert discord.posted == [
        {"allowed_mentions": {"parse": []}, "content": "hello", "username": "Ana", "flags": 4096}
    ]  # fmt: skip
    assert isinstance(reply.body, dict)
    assert reply.body["id"] == "1"


def test_the_preview_shows_the_host_and_no_secret() -> None:
    shown = outgoing(content="hello", thread_id="2")
    assert shown["url"] == "https://discord.com/api/v10/webhooks/***?wait=true&thread_id=2"
    assert TOKEN not in json.dumps(shown)
    assert WEBHOOK_ID not in json.dumps(shown)


@pytest.mark.parametrize(
    "webhook",
    [
        f"https://discord.com/api/webhooks/{WEBHOOK_ID}/{TOKEN}",
        f"https://discordapp.com/api/v6/webhooks/{WEBHOOK_ID}/{TOKEN}/",
        f"https://canary.discord.com/api/v10/webhooks/{WEBHOOK_ID}/{TOKEN}",
    ],
)
async def test_any_spelling_of_the_address_goes_to_version_ten(server: RecordingServer, webhook: str) -> None:
    await send(server.url, {"webhook": webhook}, content="hello")
    assert server.requests[0].path == f"/webhooks/{WEBHOOK_ID}/{TOKEN}"
    assert Discord.Config.model_fields["base_url"].default == "https://discord.com/api/v10"


@pytest.mark.parametrize(
    "webhook",
    [
        "s3cret",
        "https://discord.com/api/webhooks/s3cret",
        f"https://discord.com/api/webhooks/{WEBHOOK_ID}/s3cret?wait=true",
        f"https://discord.com/api/webhooks/{WEBHOOK_ID}/s3cret/slack",
        f"https://discord.com/api/webhooks/{WEBHOOK_ID}/s3cret\n",
    ],
)
def test_a_wrong_address_is_refused_without_showing_it(webhook: str) -> None:
    with pytest.raises(ValidationError, match="webhook") as caught:
        Discord.Config.model_validate({**config_for("http://h"), "webhook": webhook})
    assert "s3cret" not in str(caught.value)


def test_discord_takes_five_messages_in_two_seconds() -> None:
    assert Discord.Config.model_validate(config_for("http://h")).limit.rate == "5/2s"


# What strangers write


async def test_data_mentions_nobody_unless_the_recipe_says_so(server: RecordingServer, discord: FakeDiscord) -> None:
    await send(server.url, content="@everyone @here <@&7>\n<@1>")
    await send(server.url, content="@everyone", allowed_mentions={"parse": ["everyone"]})
    assert discord.mentioned == [[], ["everyone"]]


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_no_text_gets_out_of_its_place(text: str) -> None:
    if len(text) <= 256:
        body = outgoing(content=text, embeds=[{"title": text}])["json"]
        assert body == {"content": text, "embeds": [{"title": text}], "allowed_mentions": {"parse": []}}


def test_a_thread_cannot_lead_elsewhere() -> None:
    for thread in ("2&wait=false", "../2", "", "x", "2\n"):
        with pytest.raises(PermanentError, match="thread_id"):
            outgoing(content="hello", thread_id=thread)


# Limits, before anything is sent


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "it is empty"),
        ({"content": " "}, "it is empty"),
        ({"content": "x" * 2001}, "content has 2001 characters, 2000 are the most"),
        ({"embeds": [{"title": "x"}] * 11}, "embeds has 11 items"),
        ({"embeds": [{"title": "x" * 257}]}, r"embeds\[0\].title has 257"),
        ({"embeds": [{"description": "x" * 4097}]}, r"embeds\[0\].description has 4097"),
        ({"embeds": [{"footer": {"text": "x" * 2049}}]}, r"embeds\[0\].footer.text has 2049"),
        ({"embeds": [{"author": {"name": "x" * 257}}]}, r"embeds\[0\].author.name has 257"),
        ({"embeds": [{"fields": [{"name": "x", "value": "x" * 1025}]}]}, r"fields\[0\].value has 1025"),
        ({"embeds": [{"fields": [{"name": "x" * 257, "value": "x"}]}]}, r"fields\[0\].name has 257"),
        ({"embeds": [{"fields": [{"name": "x", "value": "x"}] * 26}]}, r"embeds\[0\].fields has 26 items"),
        ({"embeds": [{"fields": [{"name": "x", "value": ""}]}]}, r"fields\[0\] needs value"),
        ({"embeds": [{"fields": ["x"]}]}, r"fields\[0\] needs name"),
        ({"embeds": [{"fields": "x"}]}, "fields is no list"),
        ({"embeds": [{"title": 7}]}, "title is no text"),
        ({"embeds": [{"description": "x" * 3001}] * 2}, "6002 characters together, 6000"),
        ({"content": "x", "username": ""}, "username"),
        ({"content": "x", "username": "x" * 81}, "username"),
        ({"content": "x", "thread_id": "2", "thread_name": "x"}, "not both"),
    ],
)
def test_what_discord_would_refuse_is_named_by_its_place(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        outgoing(**fields)
    assert "xxxx" not in caught.value.message


# What comes back


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, 10015, HoldError),
        (401, 50027, HoldError),
        (403, 40333, HoldError),
        (404, 10003, PermanentError),
        (400, 50006, PermanentError),
        (400, 50035, PermanentError),
        (400, 50083, PermanentError),
        (400, 220001, PermanentError),
        (400, 220003, PermanentError),
        (400, 999_999, PermanentError),
        (429, 20028, RetryableError),
        (400, 20016, RetryableError),
        (503, 130000, RetryableError),
    ],
)
async def test_discords_code_says_what_becomes_of_the_message(status: int, code: int, kind: type) -> None:
    with RecordingServer() as server:
        server.answer(status, {"code": code, "message": "words"})
        error = await failure(server.url, content="hello")
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        ({"retry_after": 0.529, "global": False}, {"Retry-After": "1"}, timedelta(milliseconds=529)),
        ({"retry_after": 64.57, "global": True}, {}, timedelta(seconds=64.57)),
        ({"retry_after": 3}, {}, timedelta(seconds=3)),
        ({"retry_after": -1}, {"Retry-After": "5"}, timedelta(seconds=5)),
        ({"retry_after": 1e300}, {"Retry-After": "5"}, timedelta(seconds=5)),
        ({"retry_after": "soon"}, {"Retry-After": "5"}, timedelta(seconds=5)),
        ({}, {}, None),
        ("<html>error code: 1015</html>", {"Retry-After": "600"}, timedelta(minutes=10)),
    ],
)
async def test_too_many_messages_wait_as_long_as_discord_says(
    body: Any, headers: dict[str, str], wait: timedelta | None
) -> None:
    with RecordingServer() as server:
        server.answer(429, body, headers=headers)
        error = await failure(server.url, content="hello")
    assert isinstance(error, RetryableError)
    assert error.retry_after == wait
    assert ("of all its webhooks" in error.message) == ("global" in body and body["global"])


async def test_the_fakes_refusals_name_their_remedy(server: RecordingServer, discord: FakeDiscord) -> None:
    gone = {"webhook": f"https://discord.com/api/webhooks/1/{TOKEN}"}
    wrong = {"webhook": f"https://discord.com/api/webhooks/{WEBHOOK_ID}/other"}
    for settings, cause in ((gone, "discord 10015"), (wrong, "discord 50027")):
        error = await failure(server.url, settings, content="hello")
        assert isinstance(error, HoldError)
        assert error.cause == cause
        assert "make a new webhook" in error.message
    assert "check thread_id" in (await failure(server.url, content="hello", thread_id="9")).message
    assert "forum channels only" in (await failure(server.url, content="hello", thread_name="New")).message
    discord.forum = True
    assert "give thread_name" in (await failure(server.url, content="hello")).message
    assert (await send(server.url, content="hello", thread_name="New")).status == 200


async def test_a_refused_form_is_named_by_its_fields_and_not_by_its_words(server: RecordingServer) -> None:
    error = await failure(server.url, content="secret words", username="Clyde", embeds=[{"colour": 1}])
    assert isinstance(error, PermanentError)
    assert "username (USERNAME_INVALID_CONTAINS)" in error.message
    assert "embeds.0 (UNKNOWN_FIELD)" in error.message
    assert "secret words" not in error.message


async def test_a_2xx_without_a_message_may_not_have_been_discord() -> None:
    with RecordingServer() as server:
        server.answer(200, "<html>sign in</html>", headers={"Content-Type": "text/html"})
        assert isinstance(await failure(server.url, content="hello"), UnknownOutcomeError)
        server.answer(204)
        assert (await send(server.url, content="hello")).status == 204


# The worst moment


@pytest.mark.parametrize("instead", ["close", "reset", "garbage"])
async def test_a_connection_cut_after_the_request_has_an_unknown_outcome(instead: str) -> None:
    with RecordingServer() as server:
        for _ in range(4):
            server.answer(instead=instead)
        error = await failure(server.url, content="hello")
    assert isinstance(error, UnknownOutcomeError)


async def test_a_200_that_breaks_off_is_a_delivery_all_the_same() -> None:
    with RecordingServer() as server:
        server.answer(200, '{"id":"7","content":"hello"}', instead="break off")
        reply = await send(server.url, content="hello")
    assert "broke off" in reply.summary
