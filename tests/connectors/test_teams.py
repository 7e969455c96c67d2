from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.teams import Teams
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer, assert_no_secret
from tests.connectors.fake_teams import PATH, QUERY, SIGNATURE, FakeTeams

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
OLD_FAILURE = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error"
PLAIN_TEXT = {"Content-Type": "text/plain"}


def config_for(url: str) -> dict[str, Any]:
    return {"connector": "teams", "webhook": f"{url}{PATH}?{QUERY}", "allow_private": True}


class TestContract(HttpConnectorContract):
    connector = Teams
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return config_for(url)


class TestContractBehindAProxy(HttpConnectorContract):
    connector = Teams
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {**config_for("https://prod-7.westeurope.logic.azure.com:443"), "base_url": url}


@pytest.fixture
def teams() -> FakeTeams:
    return FakeTeams()


@pytest.fixture
def server(teams: FakeTeams) -> Iterator[RecordingServer]:
    with RecordingServer(teams) as server:
        yield server


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Teams]:
    connection = Teams(Teams.Config.model_validate({**config_for(url), **settings}), Context())
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
    config = Teams.Config.model_validate(config_for(url))
    assert_no_secret(config, caught.value.message, caught.value.cause, json.dumps(caught.value.received))
    return caught.value


def outgoing(**fields: Any) -> dict[str, Any]:
    made = Teams(Teams.Config.model_validate(config_for("https://prod-7.westeurope.logic.azure.com")), Context())
    return made.outgoing(None, fields, CALL).preview()


def card(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = outgoing(**fields)["json"]["attachments"][0]["content"]
    return made


# The request, as the workflow wants it


async def test_every_example_is_taken_by_the_workflow(server: RecordingServer, teams: FakeTeams) -> None:
    for example in Teams.actions[0].examples:
        await send(server.url, **example.fields)
    assert len(teams.cards) == len(Teams.actions[0].examples)


async def test_the_address_goes_out_as_it_was_copied(server: RecordingServer) -> None:
    await send(server.url, text="hello")
    await send("https://prod-7.westeurope.logic.azure.com", {"base_url": server.url}, text="hello")
    for request in server.requests:
        # aiohttp writes %2F as /, which is the same in a query.
        assert (request.path, request.query) == (PATH, parse_qsl(QUERY))
    assert "authorization" not in server.requests[0].headers


async def test_a_202_says_that_it_was_taken_and_not_that_it_was_posted(server: RecordingServer) -> None:
    reply = await send(server.url, text="hello")
    assert reply.status == 202
    assert "run history" in reply.summary


def test_a_card_of_title_text_facts_and_links() -> None:
    made = card(
        title="Order", text="**new**", facts={"n": 7, "paid": True, "note": None}, links={"Open": "https://e.com"}
    )
    assert (made["type"], made["version"]) == ("AdaptiveCard", "1.4")
    assert made["body"] == [
        {
            "type": "RichTextBlock",
            "inlines": [{"type": "TextRun", "text": "Order", "size": "Large", "weight": "Bolder"}],
        },
        {"type": "TextBlock", "text": "**new**", "wrap": True},
        {"type": "FactSet", "facts": [{"title": "n", "value": "7"}, {"title": "paid", "value": "true"}]},
    ]
    assert made["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "https://e.com"}]


def test_a_whole_card_travels_as_it_is() -> None:
    whole = {
        "type": "AdaptiveCard",
        "version": "1.5",
        "body": [{"type": "Table", "rows": []}],
        "msteams": {"width": "Full"},
    }
    assert card(card=whole) == whole


def test_the_preview_shows_the_host_and_no_secret() -> None:
    shown = outgoing(text="hello")
    assert shown["url"] == "https://prod-7.westeurope.logic.azure.com/***"
    assert "s3cret" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"webhook": "s3cret"}, "no address"),
        ({"webhook": "https://u:s3cret@h/x"}, "no address"),
        ({"webhook": "https://h?sig=s3cret"}, "nothing after its host"),
        ({"base_url": "ftp://h"}, "https://"),
    ],
)
def test_a_wrong_connection_is_refused_without_showing_its_secret(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        Teams.Config.model_validate({**config_for("http://h"), **settings})
    assert "s3cret" not in str(caught.value)


def test_teams_takes_four_messages_a_second() -> None:
    assert Teams.Config.model_validate(config_for("http://h")).limit.rate == "4/s"


# What strangers write


@given(st.text(min_size=1))
def test_plain_text_and_titles_stand_where_no_markdown_works(text: str) -> None:
    made = card(title=text, plain=text)
    assert [element["type"] for element in made["body"]] == ["RichTextBlock", "RichTextBlock"]
    assert [element["inlines"][0]["text"] for element in made["body"]] == [text, text]


async def test_what_a_stranger_wrote_links_nowhere(server: RecordingServer, teams: FakeTeams) -> None:
    await send(server.url, plain='[Bank](https://evil.example) <at>all</at>\n"}]')
    inlines = [{"type": "TextRun", "text": '[Bank](https://evil.example) <at>all</at>\n"}]'}]
    assert teams.cards[0]["body"] == [{"type": "RichTextBlock", "inlines": inlines}]


def test_a_button_leads_to_a_page() -> None:
    for address in ("javascript:alert(1)", "file:///etc/passwd", "", "e.com"):
        with pytest.raises(PermanentError, match="leads to no address"):
            outgoing(text="hello", links={"Open": address})


# Limits, before anything is sent


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "the message is empty"),
        ({"text": ""}, "the message is empty"),
        ({"links": {"Open": "https://e.com"}}, "the message is empty"),
        ({"facts": {"note": None}}, "body is empty"),
        ({"text": "a", "plain": "b"}, "not both"),
        ({"text": "a", "card": {"type": "AdaptiveCard"}}, "text can't stand beside it"),
        ({"card": {"type": "MessageCard", "version": "1.4", "body": [1]}}, "type: AdaptiveCard"),
        ({"card": {"type": "AdaptiveCard", "body": [1]}}, "a version"),
        ({"card": {"type": "AdaptiveCard", "version": "1.4", "body": []}}, "body is empty"),
        ({"text": "x" * 28_672}, "28672 are the most"),
        ({"text": "ü" * 14_300}, "28672 are the most"),
    ],
)
def test_what_teams_would_refuse_is_said_before(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why) as caught:
        outgoing(**fields)
    assert "xxxx" not in caught.value.message


async def test_the_longest_message_is_taken(server: RecordingServer) -> None:
    around = len(json.dumps(outgoing(text="x")["json"], separators=(",", ":"))) - 1
    await send(server.url, text="x" * (28 * 1024 - around))
    assert len(server.requests[0].body) == 28 * 1024


# What comes back


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "WorkflowTriggerIsNotEnabled", HoldError),
        (404, "WorkflowNotFound", HoldError),
        (401, "DirectApiAuthorizationRequired", HoldError),
        (401, "SomethingElse", HoldError),
        (403, "IpAddressNotAllowed", HoldError),
        (400, "TriggerInputSchemaMismatch", PermanentError),
        (413, "RequestEntityTooLarge", PermanentError),
        (429, "WorkflowTriggerThrottled", RetryableError),
        (502, "NoResponse", UnknownOutcomeError),
        (502, "BadGateway", RetryableError),
        (504, "GatewayTimeout", RetryableError),
    ],
)
async def test_the_services_code_says_what_becomes_of_the_message(status: int, code: str, kind: type) -> None:
    with RecordingServer() as server:
        server.answer(status, {"error": {"code": code, "message": "words"}}, headers={"Retry-After": "7"})
        error = await failure(server.url, text="hello")
    assert type(error) is kind
    assert error.status == status
    if isinstance(error, RetryableError):
        assert error.retry_after == timedelta(seconds=7)


async def test_the_fakes_refusals_name_their_remedy(server: RecordingServer, teams: FakeTeams) -> None:
    for webhook, why in (
        (f"{server.url}/workflows/gone?{QUERY}", "was deleted"),
        (f"{server.url}{PATH}", "isn't whole"),
        (f"{server.url}{PATH}?{QUERY}x", "key was renewed"),
    ):
        error = await failure(server.url, {"webhook": webhook}, text="hello")
        assert isinstance(error, HoldError)
        assert why in error.message
    teams.enabled = False
    assert "switch it on" in (await failure(server.url, text="hello")).message
    teams.enabled = True
    bad = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock"}]}
    assert isinstance(await failure(server.url, card=bad), PermanentError)
    assert teams.cards == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with",
            RetryableError,
        ),
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 502",
            RetryableError,
        ),
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413",
            PermanentError,
        ),
        ("Webhook Bad Request - Null or empty event", PermanentError),
        ("<html>Sign in to your account</html>", UnknownOutcomeError),
    ],
)
async def test_a_200_with_an_error_inside_is_found(body: str, kind: type) -> None:
    with RecordingServer() as server:
        server.answer(200, body, headers=PLAIN_TEXT)
        error = await failure(server.url, text="hello")
    assert type(error) is kind


@pytest.mark.parametrize("body", ["1", "", "what the author of the workflow answers"])
async def test_any_other_2xx_is_a_delivery(body: str) -> None:
    with RecordingServer() as server:
        server.answer(200, body, headers=PLAIN_TEXT)
        assert (await send(server.url, text="hello")).summary == "200 OK"


async def test_the_signature_is_taken_out_of_what_is_kept_even_alone() -> None:
    with RecordingServer() as server:
        server.answer(400, f"the signature {SIGNATURE}, {quote(SIGNATURE, safe='')} of {PATH}", headers=PLAIN_TEXT)
        error = await failure(server.url, text="hello")
    assert "s3cret" not in json.dumps([error.message, error.received])


# The worst moment


@pytest.mark.parametrize("instead", ["close", "reset", "garbage"])
async def test_a_connection_cut_after_the_request_has_an_unknown_outcome(instead: str) -> None:
    with RecordingServer() as server:
        for _ in range(4):
            server.answer(instead=instead)
        error = await failure(server.url, text="hello")
    assert isinstance(error, UnknownOutcomeError)


async def test_a_2xx_that_breaks_off_is_a_delivery_all_the_same() -> None:
    with RecordingServer() as server:
        server.answer(202, "accepted", headers=PLAIN_TEXT, instead="break off")
        assert "broke off" in (await send(server.url, text="hello")).summary
