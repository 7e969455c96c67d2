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

from connectors.rally import Rally
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from tests.connectors.fake_rally import FakeRally, result

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
KEY = "_s3cret/key"


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    return {"connector": "rally", "base_url": url, "allow_private": True, "api_key": KEY, **more}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Rally:
    return Rally(Rally.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Rally]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def create(made: Rally, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, {"name": "Empty page", **fields}, call), call)


async def failure(server: RecordingServer, call: Call = CALL, fields: Any = None, **more: Any) -> DeliveryError:
    async with connected(server.url, **more) as made:
        with pytest.raises(DeliveryError) as caught:
            await create(made, call, **(fields or {}))
    return caught.value


@pytest.fixture
def fake() -> FakeRally:
    return FakeRally()


@pytest.fixture
def server(fake: FakeRally) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Rally

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_a_2xx_is_a_delivery(self) -> None:
        # Only one that names what was made: Rally answers 200 to most mistakes.
        made = {"_ref": "https://rally/defect/7", "ObjectID": 7}
        with RecordingServer() as server:
            server.answer(200, result("CreateResult", Object=made))
            async with connected(server.url) as connection:
                reply = await create(connection)
        assert (reply.status, reply.body) == (200, result("CreateResult", Object=made))

    async def test_every_attempt_sends_the_same_request(self) -> None:
        with RecordingServer(default=FakeRally().answer) as server:
            async with connected(server.url) as made:
                for attempt in (1, 2):
                    await create(made, Call("dlv_1", "dlv_1", attempt=attempt))
            first, second = server.requests
        assert first == second


# What goes out


async def test_an_artifact_is_wrapped_in_its_type(server: RecordingServer, fake: FakeRally) -> None:
    async with connected(server.url, project=123, workspace="/workspace/1") as made:
        reply = await create(made, fields={"Severity": "Major Problem", "Owner": None, "c_Source": "chat"})
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/slm/webservice/v2.0/defect/create")
    assert request.query == [("workspace", "/workspace/1")]
    assert request.headers["zsessionid"] == KEY
    assert request.json() == {
        "Defect": {
            "Name": "Empty page",
            "Project": "/project/123",
            "Severity": "Major Problem",
            "c_Source": "chat",
        }
    }
    assert isinstance(reply.body, dict)
    assert reply.body["CreateResult"]["Object"]["FormattedID"] == "DE1"
    assert len(fake.artifacts) == 1


@pytest.mark.parametrize(
    ("kind", "path", "key"),
    [
        ("UserStory", "hierarchicalrequirement", "HierarchicalRequirement"),
        ("story", "hierarchicalrequirement", "HierarchicalRequirement"),
        ("PortfolioItem/Feature", "portfolioitem/feature", "PortfolioItem/Feature"),
    ],
)
async def test_a_type_is_called_what_rally_calls_it(server: RecordingServer, kind: str, path: str, key: str) -> None:
    async with connected(server.url) as made:
        await create(made, type=kind)
    (request,) = server.requests
    assert request.path == f"/slm/webservice/v2.0/{path}/create"
    assert list(request.json()) == [key]


@pytest.mark.parametrize("project", [123, "123", "/project/123"])
async def test_a_project_is_a_number_or_a_reference(server: RecordingServer, fake: FakeRally, project: Any) -> None:
    async with connected(server.url, project=9) as made:
        await create(made, project=project)
    assert fake.artifacts[0]["Project"] == "/project/123"


async def test_text_cannot_become_markup_or_a_second_line_of_the_name(server: RecordingServer, fake: FakeRally) -> None:
    async with connected(server.url) as made:
        await create(made, name="a\r\nb", description='<script>x</script>\n"@everyone" & =1+1')
    assert fake.artifacts[0]["Name"] == "a b"
    shown = "&lt;script&gt;x&lt;/script&gt;<br>&quot;@everyone&quot; &amp; =1+1"
    assert fake.artifacts[0]["Description"] == shown


@given(st.text(max_size=300))
def test_any_name_is_one_line_or_refused(name: str) -> None:
    plain = " ".join(name.split())
    if not 0 < len(plain) <= 256:
        with pytest.raises(PermanentError, match="the name"):
            connection().outgoing(None, {"name": name}, CALL)
    else:
        sent = connection().outgoing(None, {"name": name}, CALL).preview()["json"]
        assert sent == {"Defect": {"Name": plain}}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "\n"}, "name is empty"),
        ({"name": "x" * 257}, "may have 256"),
        ({"type": "defect/../../x"}, "a type of Rally"),
        ({"type": "Defect?key=1"}, "a type of Rally"),
        ({"project": "/project/1?x"}, "ObjectID of a project"),
        ({"fields": {"name": "x"}}, "leave one out"),
        ({"fields": {"a b": "x"}}, "name of an attribute"),
    ],
)
def test_what_rally_would_refuse_is_refused_before_it_is_sent(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(None, {"name": "x", **fields}, CALL)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"api_key": "a\r\nb"}, "no header takes"),
        ({"api_key": ""}, "is empty"),
        ({"project": "Team A"}, "ObjectID of a project"),
        ({"workspace": "x"}, "ObjectID of a workspace"),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


# What comes back


@pytest.mark.parametrize("name", ["CreateResult", "OperationResult"])
@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        ("Not authorized to perform action: Invalid key", HoldError, "rally not authorized"),
        ("Not authorized to create: Defect", HoldError, "rally not authorized"),
        ("Validation error: Defect.Name should not be null", PermanentError, "rally validation error"),
        ("Could not read: could not read all instances of class Project", PermanentError, "rally could not read"),
        ("Cannot parse object reference", PermanentError, "rally error"),
        ('Could not convert: "not authorized; try again"', PermanentError, "rally could not convert"),
        ("ConcurrencyConflictException: modified since being read", RetryableError, "rally passing error"),
        ("An unexpected error has occurred. We have recorded this error", RetryableError, "rally passing error"),
    ],
)
async def test_a_200_with_errors_is_a_failure(
    server: RecordingServer, name: str, error: str, kind: type[DeliveryError], cause: str
) -> None:
    server.answer(200, result(name, error))
    found = await failure(server)
    assert type(found) is kind
    assert (found.status, found.cause) == (200, cause)
    assert error in found.message


async def test_a_429_with_errors_inside_still_waits_as_told(server: RecordingServer) -> None:
    server.answer(429, result("OperationResult", "Too many requests"), headers={"Retry-After": "11"})
    found = await failure(server)
    assert isinstance(found, RetryableError)
    assert found.retry_after == timedelta(seconds=11)


async def test_a_wrong_key_and_a_wrong_artifact_are_told_apart_by_the_fake(
    server: RecordingServer, fake: FakeRally
) -> None:
    assert isinstance(await failure(server, api_key="_other"), HoldError)
    for fields, words in (
        ({"type": "Defekt"}, "Not a valid type"),
        ({"fields": {"Color": "red"}}, 'attribute "Color" can not be set'),
        ({"project": 9}, "could not read referenced object"),
    ):
        found = await failure(server, fields=fields)
        assert isinstance(found, PermanentError)
        assert words in found.message
    assert fake.artifacts == []


async def test_warnings_are_a_delivery(server: RecordingServer) -> None:
    body = result("CreateResult", Object={"_ref": "https://rally/defect/1"})
    body["CreateResult"]["Warnings"] = ["Please update your client to use the latest version of the API."]
    server.answer(200, body)
    async with connected(server.url) as made:
        assert (await create(made)).status == 200


@pytest.mark.parametrize(
    "body", [{}, b"", "<html>Log in</html>", {"CreateResult": {"Errors": []}}, {"CreateResult": None}, [1]]
)
async def test_a_200_that_names_no_artifact_is_an_unknown_outcome(server: RecordingServer, body: Any) -> None:
    server.answer(200, body)
    assert isinstance(await failure(server), UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    server.answer(200, json.dumps(result("CreateResult", Object={"_ref": "x"})), instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await create(made)).summary


@pytest.mark.parametrize("instead", ["reset", "close", "garbage", "hang"])
async def test_a_cut_before_the_answer_is_an_unknown_outcome(server: RecordingServer, instead: str) -> None:
    server.answer(instead=instead)
    error = await failure(server, Call("d", "d", timeout=timedelta(seconds=0.5)))
    assert isinstance(error, UnknownOutcomeError)


async def test_the_key_is_in_no_error(server: RecordingServer) -> None:
    server.answer(200, result("CreateResult", f"Validation error: you sent\n{KEY}"))
    error = await failure(server)
    assert KEY not in json.dumps([error.message, error.cause, error.received])
    assert "\n" not in error.message
