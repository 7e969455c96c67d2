from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.azure_devops import AzureDevOps
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_azure_devops import SIGN_IN_PAGE, FakeAzureDevOps, refused

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
BUG = {"type": "Bug", "title": "Empty page"}


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {
        "connector": "azure_devops",
        "base_url": url,
        "allow_private": True,
        "organization": "contoso",
        "project": "Fabrikam Fiber",
        "pat": "s3cret-p/at",
        **more,
    }


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> AzureDevOps:
    return AzureDevOps(AzureDevOps.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[AzureDevOps]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def create(made: AzureDevOps, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, {**BUG, **fields}, call), call)


async def failure(server: RecordingServer, call: Call = CALL, **more: Any) -> DeliveryError:
    async with connected(server.url, **more) as made:
        with pytest.raises(DeliveryError) as caught:
            await create(made, call)
    return caught.value


@pytest.fixture
def fake() -> FakeAzureDevOps:
    return FakeAzureDevOps()


@pytest.fixture
def server(fake: FakeAzureDevOps) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = AzureDevOps
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        # An answer of {} names no work item and is no delivery here, so the fake answers.
        with RecordingServer(default=FakeAzureDevOps().answer) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    await create(made, Call("dlv_1", "dlv_1", attempt=attempt))
            first, second = server.requests
        assert first == second


# What goes out


async def test_a_work_item_is_made_by_a_patch_with_the_dollar_of_its_type(
    server: RecordingServer, fake: FakeAzureDevOps
) -> None:
    async with connected(server.url) as made:
        reply = await create(
            made,
            type="User Story",
            tags=["feedback", "web shop"],
            parent=12,
            fields={"System.AreaPath": "Fabrikam\\Web", "Microsoft.VSTS.Common.Priority": 2, "System.History": None},
        )
    (request,) = server.requests
    assert request.target == "/contoso/Fabrikam%20Fiber/_apis/wit/workitems/$User%20Story?api-version=7.1"
    assert request.headers["content-type"] == "application/json-patch+json"
    assert request.json() == [
        {"op": "add", "path": "/fields/System.Title", "value": "Empty page"},
        {"op": "add", "path": "/fields/System.Tags", "value": "feedback; web shop"},
        {"op": "add", "path": "/fields/System.AreaPath", "value": "Fabrikam\\Web"},
        {"op": "add", "path": "/fields/Microsoft.VSTS.Common.Priority", "value": 2},
        {
            "op": "add",
            "path": "/relations/-",
            "value": {
                "rel": "System.LinkTypes.Hierarchy-Reverse",
                "url": f"{server.url}/contoso/_apis/wit/workItems/12",
            },
        },
    ]
    assert isinstance(reply.body, dict)
    assert reply.body["id"] == 1 == len(fake.items)


@pytest.mark.parametrize("kind", ["$Bug", "Größe & Co"])
async def test_a_type_is_quoted_and_its_dollar_is_not(server: RecordingServer, kind: str) -> None:
    async with connected(server.url) as made:
        assert (await create(made, type=kind)).status == 200
        url = made.outgoing(None, {**BUG, "type": kind}, CALL).preview()["url"]
    (request,) = server.requests
    assert unquote(url) == unquote(server.url + request.target)
    assert "/workitems/$" in url
    assert "/workitems/$" in request.target


async def test_validating_only_creates_nothing(server: RecordingServer, fake: FakeAzureDevOps) -> None:
    async with connected(server.url) as made:
        await create(made, validate_only=True, bypass_rules=True, notify=False)
    (request,) = server.requests
    assert request.query == [
        ("api-version", "7.1"),
        ("validateOnly", "true"),
        ("bypassRules", "true"),
        ("suppressNotifications", "true"),
    ]
    assert fake.items == []


async def test_a_server_of_ones_own_has_its_path_and_its_version(server: RecordingServer) -> None:
    made = connection("https://tfs.example.com/tfs/", organization="DefaultCollection", api_version="5.0")
    url = made.outgoing(None, BUG, CALL).preview()["url"]
    assert url == (
        "https://tfs.example.com/tfs/DefaultCollection/Fabrikam%20Fiber/_apis/wit/workitems/$Bug?api-version=5.0"
    )


async def test_the_deliverys_id_becomes_a_tag_where_asked(server: RecordingServer, fake: FakeAzureDevOps) -> None:
    async with connected(server.url) as made:
        await create(made, tag_delivery=True, tags=["a"])
    assert fake.items[0]["fields"]["System.Tags"] == "a; dlv_1"
    search, creation = server.requests
    assert search.target == "/contoso/Fabrikam%20Fiber/_apis/wit/wiql?api-version=7.1"
    assert search.headers["content-type"].startswith("application/json")
    assert "/workitems/$Bug" in creation.target


@pytest.mark.parametrize("instead", ["reset", "close", "hang"])
async def test_a_retry_after_a_lost_answer_finds_its_work_item(
    fake: FakeAzureDevOps, instead: Literal["reset", "close", "hang"]
) -> None:
    lost = [True]

    def answer(request: Recorded) -> Answer:
        done = fake.answer(request)
        if "/workitems/" in request.target and lost:
            lost.clear()
            return Answer(instead=instead)
        return done

    with RecordingServer(default=answer) as server:
        async with connected(server.url) as made:
            with pytest.raises(RetryableError):
                await create(made, Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.4)), tag_delivery=True)
            reply = await create(made, Call("dlv_1", "dlv_1", attempt=2), tag_delivery=True)
            other = await create(made, Call("dlv_2", "dlv_2"), tag_delivery=True)
    assert reply.body == {"id": 1, "url": "https://x/1"}
    assert reply.summary == "work item 1 is there from an earlier attempt"
    assert isinstance(other.body, dict)
    assert other.body["id"] == 2 == len(fake.items)


async def test_an_apostrophe_cannot_end_the_text_of_the_search(server: RecordingServer) -> None:
    async with connected(server.url) as made:
        with pytest.raises(PermanentError):
            await create(made, Call("x' OR '1' = '1", "x"), tag_delivery=True)
    assert "CONTAINS 'x'' OR ''1'' = ''1'" in server.requests[0].json()["query"]


async def test_text_cannot_become_markup_or_a_second_line_of_the_title(
    server: RecordingServer, fake: FakeAzureDevOps
) -> None:
    evil = "<img src=x onerror=alert(1)>\r\n& @everyone"
    async with connected(server.url) as made:
        await create(made, title=f"a\r\nb\t{'x' * 250}", description=evil, repro=evil)
    fields = fake.items[0]["fields"]
    assert fields["System.Title"] == f"a b {'x' * 250}"
    shown = "&lt;img src=x onerror=alert(1)&gt;<br>&amp; @everyone"
    assert fields["System.Description"] == fields["Microsoft.VSTS.TCM.ReproSteps"] == shown


@given(st.text(max_size=300))
def test_any_title_is_one_line_or_refused(title: str) -> None:
    plain = " ".join(title.split())
    if not 0 < len(plain) <= 255:
        with pytest.raises(PermanentError, match="the title"):
            connection().outgoing(None, {"title": title}, CALL)
    else:
        (step,) = connection().outgoing(None, {"title": title}, CALL).preview()["json"]
        assert step["value"] == plain


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"title": " \n"}, "title is empty"),
        ({"title": "x" * 256}, r"256 characters and may have 255: use `\| truncate"),
        ({"type": "Bug/../x"}, "name of a work item type"),
        ({"type": "$"}, "name of a work item type"),
        ({"type": "Bug\nX"}, "name of a work item type"),
        ({"tags": ["a; b"]}, "semicolon"),
        ({"parent": 0}, "parent"),
        ({"fields": {"Title": "x"}}, "isn't the reference name"),
        ({"fields": {"System.A/../relations/-": "x"}}, "isn't the reference name"),
        ({"fields": {"system.title": "x"}}, "leave one out"),
        ({"fields": {"Custom.List": [1]}}, "one value"),
    ],
)
def test_what_azure_would_refuse_is_refused_before_it_is_sent(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(None, {**BUG, **fields}, CALL)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"pat": "a\nb"}, "no header takes"),
        ({"pat": ""}, "is empty"),
        ({"organization": "a/b"}, "not an address"),
        ({"project": ".."}, "not an address"),
        ({"api_version": "7.1&x=1"}, "pattern"),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


# What comes back


async def test_a_late_200_that_asks_for_a_pause_is_a_delivery(server: RecordingServer) -> None:
    headers = {"Retry-After": "5", "X-RateLimit-Resource": "core", "X-RateLimit-Delay": "2.5"}
    server.answer(200, {"id": 7, "fields": {}}, headers=headers)
    async with connected(server.url) as made:
        assert (await create(made)).status == 200


async def test_a_token_that_is_not_taken_holds_the_lane(server: RecordingServer) -> None:
    error = await failure(server, pat="expired")
    assert isinstance(error, HoldError)
    assert (error.status, error.cause) == (203, "azure devops sign-in")
    assert "make a new one" in error.message


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, {"Location": "https://app.vssps.visualstudio.com/_signin?realm=dev.azure.com"}),
        (203, {}),
        (200, {"Content-Type": "text/html; charset=utf-8"}),
    ],
)
async def test_every_form_of_the_sign_in_page_holds_the_lane(
    server: RecordingServer, status: int, headers: dict[str, str]
) -> None:
    server.answer(status, SIGN_IN_PAGE, headers=headers)
    error = await failure(server)
    assert isinstance(error, HoldError)
    assert error.cause == "azure devops sign-in"


@pytest.mark.parametrize(
    ("status", "key", "message", "kind"),
    [
        (400, "RuleValidationException", "TF401320: Rule Error for field Severity.", PermanentError),
        (400, "VssPropertyValidationException", "You must pass a valid patch document.", PermanentError),
        (401, "UnauthorizedRequestException", "TF400813: The user '' is not authorized.", HoldError),
        (401, "AccessCheckException", "Access Denied: The Personal Access Token used has expired.", HoldError),
        (403, "AccessDeniedException", "TF50309: You do not have sufficient permissions.", HoldError),
        (404, "WorkItemTypeNotFoundException", "VS402323: Work item type Bugg does not exist.", PermanentError),
        (404, "ProjectDoesNotExistWithNameException", "TF200016: The project does not exist: x.", HoldError),
        (500, "ServerException", "TF400898: An Internal Error Occurred.", RetryableError),
        (503, "ServiceUnavailable", "TF503000: Unavailable.", RetryableError),
    ],
)
async def test_an_error_has_azures_words_and_its_kind_as_cause(
    server: RecordingServer, status: int, key: str, message: str, kind: type[DeliveryError]
) -> None:
    server.answer(status, refused(status, key, message).body)
    error = await failure(server)
    assert type(error) is kind
    assert message.partition(":")[0] in error.message
    assert error.cause == (key if status < 500 else f"http {status}")


async def test_the_fake_and_the_connector_agree_on_what_is_wrong(server: RecordingServer) -> None:
    async with connected(server.url) as made:
        for fields, cause in (
            ({"fields": {"Custom.Nothing": 1}}, "WorkItemTrackingFieldDefinitionNotFoundException"),
            ({"type": "Epos"}, "WorkItemTypeNotFoundException"),
        ):
            with pytest.raises(PermanentError) as caught:
                await create(made, **fields)
            assert caught.value.cause == cause
    assert isinstance(await failure(server, project="Other"), HoldError)


async def test_a_block_waits_as_long_as_azure_says(server: RecordingServer) -> None:
    body = refused(429, "", "TF400733: The request has been canceled: Request was blocked").body
    server.answer(429, body, headers={"Retry-After": "30", "X-RateLimit-Reset": "1"})
    server.answer(429, body, headers={"X-RateLimit-Reset": str(int(time.time()) + 60)})
    server.answer(429, body, headers={"X-RateLimit-Reset": "soon"})
    waits = []
    for _ in range(3):
        error = await failure(server)
        assert isinstance(error, RetryableError)
        assert "TF400733" in error.message
        waits.append(error.retry_after)
    assert waits[0] == timedelta(seconds=30)
    assert waits[1] is not None
    assert timedelta(seconds=50) < waits[1] <= timedelta(seconds=60)
    assert waits[2] is None


@pytest.mark.parametrize("body", [{}, [], b"", "ok"])
async def test_a_200_that_names_no_work_item_is_an_unknown_outcome(server: RecordingServer, body: Any) -> None:
    server.answer(200, body)
    assert isinstance(await failure(server), UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    server.answer(200, b'{"id": 7, "fields": {}}', headers={"content-type": "application/json"}, instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await create(made)).summary


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_cut_before_the_answer_is_an_unknown_outcome(server: RecordingServer, instead: str) -> None:
    server.answer(instead=instead)
    error = await failure(server, Call("d", "d", timeout=timedelta(seconds=0.5)))
    assert isinstance(error, UnknownOutcomeError)


async def test_neither_the_token_nor_its_base64_is_in_an_error(server: RecordingServer) -> None:
    server.answer(400, refused(400, "X", "you sent s3cret-p/at and OnMzY3JldC1wL2F0").body)
    error = await failure(server)
    text = json.dumps([error.message, error.cause, error.received])
    assert "s3cret" not in text
    assert "OnMzY3JldC1wL2F0" not in text


# A rehearsal


async def test_a_rehearsal_applies_the_rules_and_makes_no_work_item() -> None:
    fake = FakeAzureDevOps()
    with RecordingServer(default=fake.answer) as server:
        async with connected(server.url) as made:
            good = await made.rehearse(None, made.outgoing(None, {**BUG, "tag_delivery": True}, CALL), CALL)
            (wrong,) = await made.rehearse(None, made.outgoing(None, {**BUG, "fields": {"My.Nope": 1}}, CALL), CALL)
        assert [dict(request.query).get("validateOnly") for request in server.requests] == ["true", "true"]
        async with connected(server.url, pat="wrong") as made:
            with pytest.raises(HoldError):
                await made.rehearse(None, made.outgoing(None, BUG, CALL), CALL)
    assert good == ()
    assert "TF51535: Cannot find field My.Nope." in wrong
    assert fake.items == []
