from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.jira.config import JiraConfig
from connectors.jira.connector import Jira, search
from connectors.jira.text import document, wiki_text
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from relay.testing.server import Answer, Recorded
from tests.connectors.fake_jira import LOGIN_PAGE, FakeJira, refused

FIRST = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
SECOND = Call("dlv_1", "dlv_1", attempt=2, timeout=timedelta(seconds=5))
QUICK = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.3))
TASK = {"project": "OPS", "summary": "Empty page"}
MINUTE = timedelta(minutes=1)


def settings(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "connector": "jira",
        "base_url": url,
        "allow_private": True,
        "email": "relay@example.com",
        "api_token": "s3cret-ATATT/x=",
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def connection(url: str = "http://127.0.0.1:9", **more: Any) -> Jira:
    return Jira(Jira.Config.model_validate(settings(url, **more)), Context())


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Jira]:
    made = connection(url, **more)
    try:
        yield made
    finally:
        await made.aclose()


async def create(made: Jira, call: Call = FIRST, **fields: Any) -> Reply:
    return await made.send("create_issue", made.outgoing("create_issue", {**TASK, **fields}, call), call)


async def comment(made: Jira, call: Call = FIRST, **fields: Any) -> Reply:
    return await made.send("comment", made.outgoing("comment", {"issue": "OPS-1", "body": "a", **fields}, call), call)


async def failure(server: RecordingServer, call: Call = FIRST, **more: Any) -> DeliveryError:
    async with connected(server.url, **more) as made:
        with pytest.raises(DeliveryError) as caught:
            await create(made, call)
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


@pytest.fixture
def fake() -> FakeJira:
    return FakeJira()


@pytest.fixture
def server(fake: FakeJira) -> Iterator[RecordingServer]:
    with RecordingServer(default=fake.answer) as running:
        yield running


class TestContract(HttpConnectorContract):
    connector = Jira
    forbidden_holds = True
    idempotent = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        # The second looks first; the fake, which has indexed nothing, lets it create.
        with RecordingServer(default=FakeJira(indexed=0).answer) as server:
            async with connected(server.url) as made:
                await create(made, FIRST)
                await create(made, SECOND)
            first, look, second = server.requests
        assert first == second
        assert look.path == "/rest/api/3/search/jql"


class TestContractOfComments(HttpConnectorContract):
    connector = Jira
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return settings(url, email=None, api_token=None, token="s3cret-bearer", api_version=2)

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        return "comment", {"issue": "OPS-12", "body": "x"}

    async def test_every_attempt_sends_the_same_request(self) -> None:
        # Only an answer that names the comment is a success.
        with RecordingServer(default=Answer(201, {"id": "1"})) as server:
            async with connected(server.url) as made:
                await comment(made, FIRST)
                await comment(made, SECOND)
            first, second = server.requests
        assert first == second


# What goes out


async def test_an_issue_of_the_cloud_has_a_document_and_the_deliverys_label(
    server: RecordingServer, fake: FakeJira
) -> None:
    async with connected(server.url) as made:
        reply = await create(
            made,
            issue_type="Bug",
            description="one\ntwo\r\n\r\nthree",
            labels=["web shop", "feedback", "feedback"],
            fields={"priority": {"name": "High"}, "customfield_10010": None},
        )
    (request,) = server.requests
    assert request.target == "/rest/api/3/issue"
    assert request.json() == {
        "fields": {
            "project": {"key": "OPS"},
            "issuetype": {"name": "Bug"},
            "summary": "Empty page",
            "description": {
                "type": "doc",
                "version": 1,
                "content": [
                    {
                        "type": "paragraph",
                        "content": [
                            {"type": "text", "text": "one"},
                            {"type": "hardBreak"},
                            {"type": "text", "text": "two"},
                        ],
                    },
                    {"type": "paragraph", "content": [{"type": "text", "text": "three"}]},
                ],
            },
            "labels": ["web_shop", "feedback", "relay-dlv_1"],
            "priority": {"name": "High"},
        }
    }
    assert reply.status == 201
    assert isinstance(reply.body, dict)
    assert reply.body["key"] == "OPS-1"


async def test_data_center_has_version_2_a_path_a_bearer_token_and_text() -> None:
    fake = FakeJira(kind="server")
    with RecordingServer(default=fake.answer) as server:
        more = {"email": None, "api_token": None, "token": "s3cret-bearer", "api_version": 2}
        async with connected(f"{server.url}/jira/", **more) as made:
            await create(made, project="10000", issue_type="10001", description="a\nb")
            again = await create(made, SECOND)
            await comment(made, body="seen")
    creation, look, note = server.requests
    assert (creation.target, look.target) == ("/jira/rest/api/2/issue", "/jira/rest/api/2/search")
    assert note.target == "/jira/rest/api/2/issue/OPS-1/comment"
    assert creation.headers["authorization"] == "Bearer s3cret-bearer"
    assert creation.json()["fields"]["description"] == "a\nb"
    assert again.summary == "OPS-1 is there from an earlier attempt"
    assert fake.comments == ["seen"]


@pytest.mark.parametrize(
    ("url", "version", "path"),
    [
        ("https://acme.atlassian.net", 3, "/rest/api/3/search/jql"),
        ("https://acme.atlassian.net", 2, "/rest/api/2/search/jql"),
        ("https://api.atlassian.com/ex/jira/1-2", 2, "/rest/api/2/search/jql"),
        ("https://jira.example.com", 2, "/rest/api/2/search"),
    ],
)
def test_the_search_is_where_each_kind_of_jira_has_it(url: str, version: int, path: str) -> None:
    config = JiraConfig.model_validate(settings(url, api_version=version))
    assert search(config, "relay-x").path == path


@given(st.text(max_size=40))
def test_no_label_can_end_the_text_of_the_search(label: str) -> None:
    jql = search(JiraConfig.model_validate(settings()), label).body["jql"]
    inner = jql.removeprefix('labels = "').removesuffix('"')
    assert '"' not in inner.replace("\\\\", "").replace('\\"', "")
    assert inner.replace('\\"', '"').replace("\\\\", "\\").count('"') == label.count('"')


async def test_a_strange_key_makes_a_label_without_space_or_quote(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url) as made:
        await create(made, Call("d", 'x" OR summary ~ "y'))
        await create(made, Call("d", 'x" OR summary ~ "y', attempt=2))
    assert fake.issues[0]["fields"]["labels"] == ["relay-x__OR_summary____y"]
    assert len(fake.issues) == 1


async def test_without_a_mark_there_is_no_label_and_no_search(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url, mark="none") as made:
        await create(made, SECOND)
    assert len(server.requests) == 1
    assert "labels" not in fake.issues[0]["fields"]


# Injection and limits


def _texts(document_: Mapping[str, Any]) -> str:
    paragraphs = (
        "".join("\n" if node["type"] == "hardBreak" else node["text"] for node in block["content"])
        for block in document_["content"]
    )
    return "\n\n".join(paragraphs)


@given(st.text(max_size=300))
def test_a_document_holds_its_text_and_nothing_but_text(text: str) -> None:
    made = document(text)
    for block in made["content"]:
        assert block["type"] == "paragraph"
        for node in block["content"]:
            assert node == {"type": "hardBreak"} or (set(node) == {"type", "text"} and node["text"])
    assert "".join(_texts(made).split("\n")) == "".join(text.split("\n"))


@given(st.text(alphabet="\\[]{}!~ab\n", max_size=60))
def test_plain_text_is_no_wiki_markup(text: str) -> None:
    made = wiki_text(text)
    rest = made.replace("&#92;", "")
    while "\\" in rest:  # every backslash left stands before one of these, and is not itself escaped
        before, _, after = rest.partition("\\")
        assert not set(before) & set("[]{}!")
        assert after[0] in "[]{}!"
        rest = after[1:]
    assert not set(rest) & set("[]{}!")


async def test_markup_mentions_and_line_breaks_stay_text(fake: FakeJira) -> None:
    evil = "{html}<script>{html} [~admin] \\[~admin] !https://x/p.png! @everyone\x00"
    with RecordingServer(default=fake.answer) as server:
        async with connected(server.url, api_version=2) as made:
            await create(made, summary="a\r\nb\tc", description=evil)
            await create(made, description="*b* [x|https://x]", wiki=True)
    first, second = (issue["fields"] for issue in fake.issues)
    assert first["summary"] == "a b c"
    shown = "\\{html\\}<script>\\{html\\} \\[~admin\\] &#92;\\[~admin\\] \\!https://x/p.png\\! @everyone\ufffd"
    assert first["description"] == shown
    assert second["description"] == "*b* [x|https://x]"


@pytest.mark.parametrize("summary", ["x" * 255, "😀" * 127, "a" + "\n" * 300 + "b"])
async def test_the_longest_summary_is_taken(server: RecordingServer, summary: str) -> None:
    async with connected(server.url) as made:
        assert (await create(made, summary=summary, description="y" * 32_767)).status == 201


DOCUMENT = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x"}]}]}


async def test_a_document_is_sent_as_it_is(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url) as made:
        await create(made, description=DOCUMENT)
        await comment(made, body=DOCUMENT)
    assert fake.issues[0]["fields"]["description"] == DOCUMENT == fake.comments[0]


@pytest.mark.parametrize(
    ("fields", "more", "why"),
    [
        ({"summary": " \n"}, {}, "summary is empty"),
        ({"summary": "x" * 256}, {}, r"256 characters and may have 255: use `\| truncate"),
        ({"summary": "😀" * 128}, {}, "256 characters"),
        ({"description": "x" * 32_768}, {}, "32768 characters and may have 32767"),
        ({"description": "x" * 32_768}, {"api_version": 2}, "32768 characters"),
        ({"description": {"type": "doc"}}, {}, "no Atlassian document"),
        ({"description": {**DOCUMENT, "content": [{"text": "x" * 32_768}]}}, {}, "32768 characters"),
        ({"description": DOCUMENT}, {"api_version": 2}, "set api_version: 3"),
        ({"description": "x", "wiki": True}, {}, "`wiki` goes with `api_version: 2`"),
        ({"project": 'OPS" OR'}, {}, "project"),
        ({"issue_type": ""}, {}, "issue_type"),
        ({"labels": ["x" * 256]}, {}, "255 characters"),
        ({"fields": {"summary": "x"}}, {}, "key of its own in the step: `summary`"),
        ({"fields": {"issuetype": {"id": "1"}}}, {}, "`issue_type`"),
        ({"fields": {"Story Points": 1}}, {}, "isn't a field's id"),
    ],
)
def test_what_jira_would_refuse_is_refused_before_it_is_sent(
    fields: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(PermanentError, match=why):
        connection(**more).outgoing("create_issue", {**TASK, **fields}, FIRST)


@pytest.mark.parametrize("fields", [{"issue": "OPS-1/../2"}, {"issue": "OPS"}, {"body": ""}, {"body": "x" * 32_768}])
def test_a_comment_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PermanentError):
        connection().outgoing("comment", {"issue": "OPS-1", "body": "a", **fields}, FIRST)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"api_token": "a\nb"}, "no header takes"),
        ({"api_token": None}, "either `email` and `api_token`, or `token`"),
        ({"email": None}, "goes with `api_token`"),
        ({"token": "x"}, "either"),
        ({"email": "a:b"}, "without colon"),
        ({"url": "https://acme.atlassian.net/rest/api/3"}, "without /rest"),
        ({"api_version": 4}, "api_version"),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**more)


# The worst moments


@pytest.mark.parametrize("instead", ["reset", "close", "hang", "garbage"])
async def test_a_retry_after_a_lost_answer_finds_its_issue(
    fake: FakeJira, instead: Literal["reset", "close", "hang", "garbage"]
) -> None:
    lost = [True]

    def answer(request: Recorded) -> Answer:
        done = fake.answer(request)
        return Answer(instead=instead) if lost and lost.pop() else done

    with RecordingServer(default=answer) as server:
        async with connected(server.url) as made:
            with pytest.raises(RetryableError, match="looks for its label") as caught:
                await create(made, QUICK)
            reply = await create(made, SECOND)
            other = await create(made, Call("dlv_2", "dlv_2", attempt=2))
    assert caught.value.retry_after == MINUTE
    assert reply.summary == "OPS-1 is there from an earlier attempt"
    assert isinstance(reply.body, dict)
    assert isinstance(other.body, dict)
    assert (reply.body["key"], other.body["key"]) == ("OPS-1", "OPS-2")
    assert len(fake.issues) == 2


async def test_a_server_error_waits_until_the_search_knows_unless_jira_says_when(server: RecordingServer) -> None:
    server.answer(502, b"Bad Gateway")
    server.answer(503, b"", headers={"Retry-After": "5"})
    first, second = await failure(server), await failure(server)
    assert isinstance(first, RetryableError)
    assert isinstance(second, RetryableError)
    assert (first.retry_after, second.retry_after) == (MINUTE, timedelta(seconds=5))


async def test_without_a_mark_a_lost_answer_is_an_unknown_outcome(server: RecordingServer) -> None:
    server.answer(instead="reset")
    assert isinstance(await failure(server, mark="none"), UnknownOutcomeError)


@pytest.mark.parametrize("instead", ["reset", "hang", "garbage"])
async def test_a_search_that_is_lost_creates_nothing(server: RecordingServer, fake: FakeJira, instead: str) -> None:
    server.answer(instead=instead)
    error = await failure(server, Call("dlv_1", "dlv_1", attempt=2, timeout=timedelta(seconds=0.3)))
    assert isinstance(error, RetryableError)
    assert fake.issues == []


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, refused(400, "Field 'labels' does not exist or you do not have permission to view it.").body, "dead"),
        (200, {"id": 1}, "retry"),
        (200, {}, "retry"),
        (429, {}, "retry"),
    ],
)
async def test_a_search_that_fails_creates_nothing(
    server: RecordingServer, fake: FakeJira, status: int, body: Any, kind: str
) -> None:
    server.answer(status, body)
    error = await failure(server, SECOND)
    assert type(error) is (PermanentError if kind == "dead" else RetryableError)
    assert fake.issues == []


@pytest.mark.parametrize("issues", [["OPS-1"], [None], {"0": {"key": "OPS-1"}}, [{"fields": {}}]])
async def test_a_search_that_doesnt_name_what_it_found_creates_nothing(
    server: RecordingServer, fake: FakeJira, issues: Any
) -> None:
    server.answer(200, {"issues": issues})
    error = await failure(server, Call("dlv_1", "dlv_1", attempt=2))
    assert isinstance(error, RetryableError)
    assert error.cause == "jira search"
    assert fake.issues == []


async def test_a_replay_looks_where_the_connection_says_always(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url, look="always") as made:
        await create(made)
        await create(made)
    assert len(fake.issues) == 1
    assert [request.path.rpartition("/")[2] for request in server.requests] == ["jql", "issue", "jql"]


async def test_an_answer_that_breaks_off_is_a_delivery(server: RecordingServer) -> None:
    server.answer(201, b'{"id":"7","key":"OPS-7"}', headers={"content-type": "application/json"}, instead="break off")
    async with connected(server.url) as made:
        assert "broke off" in (await create(made)).summary


@pytest.mark.parametrize("body", [{}, [], b"", "ok"])
async def test_a_200_that_names_no_issue_is_no_delivery(server: RecordingServer, body: Any) -> None:
    server.answer(200, body)
    server.answer(200, body)
    assert isinstance(await failure(server, mark="none"), UnknownOutcomeError)
    marked = await failure(server)
    assert isinstance(marked, RetryableError)
    assert marked.retry_after == MINUTE


# What comes back


@pytest.mark.parametrize(
    ("status", "answer", "kind", "cause", "remedy"),
    [
        (400, refused(400, project="valid project is required"), PermanentError, "jira field project", "may see it"),
        (400, refused(400, issuetype="Specify a valid issue type"), PermanentError, "jira field issuetype", "type's"),
        (400, refused(400, customfield_1="Team is required."), PermanentError, "jira field customfield_1", "`fields`"),
        (400, refused(400, description="CONTENT_LIMIT_EXCEEDED"), PermanentError, "jira text too long", "truncate"),
        (400, refused(400, "Something odd."), PermanentError, "jira refused", "Something odd."),
        (403, refused(403, "No permission."), PermanentError, "jira forbidden", "give it that permission"),
        (403, refused(403, project="You cannot do this here."), PermanentError, "jira forbidden", "cannot do this"),
        (403, refused(403, "The IP address isn't in the allowlist."), HoldError, "http 403", "IP address"),
        (403, Answer(403, {"message": "Forbidden by the gateway."}), HoldError, "http 403", "the gateway"),
        (404, refused(404, "Project gone."), PermanentError, "jira not found", "account may see it"),
        (500, refused(500, "Internal server error"), RetryableError, "http 500", ""),
    ],
)
async def test_an_error_has_jiras_words_its_field_and_the_remedy(
    server: RecordingServer, status: int, answer: Answer, kind: type[DeliveryError], cause: str, remedy: str
) -> None:
    server.answer(status, answer.body)
    error = await failure(server)
    assert type(error) is kind
    assert error.cause == cause
    assert remedy in error.message


async def test_the_fake_and_the_connector_agree_on_what_is_wrong(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url) as made:
        for fields, cause in (
            ({"project": "NONE"}, "jira field project"),
            ({"issue_type": "Epos"}, "jira field issuetype"),
            ({"fields": {"customfield_9": 1}}, "jira field customfield_9"),
        ):
            with pytest.raises(PermanentError) as caught:
                await create(made, **fields)
            assert caught.value.cause == cause
        with pytest.raises(PermanentError, match="Issue does not exist") as caught:
            await comment(made, issue="OPS-99")
    assert caught.value.cause == "jira not found"
    assert fake.issues == []


async def test_labels_that_are_not_on_the_screen_name_both_remedies(server: RecordingServer, fake: FakeJira) -> None:
    fake.labels_on_screen = False
    error = await failure(server)
    assert error.cause == "jira field labels"
    assert "create screen" in error.message
    assert "mark: none" in error.message


async def test_a_wrong_token_holds_the_lane(server: RecordingServer) -> None:
    error = await failure(server, api_token="expired")
    assert isinstance(error, HoldError)
    assert error.cause == "jira credentials"
    assert "make a new token" in error.message


@pytest.mark.parametrize(
    ("status", "headers", "cause"),
    [
        (403, {"X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=https://x/login.jsp"}, "jira captcha"),
        (401, {"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}, "jira captcha"),
        (404, {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}, "jira credentials"),
        (302, {"Location": "https://id.atlassian.com/login?continue=x"}, "jira login page"),
        (200, {"Content-Type": "text/html;charset=UTF-8"}, "jira login page"),
        (404, {"Content-Type": "text/html;charset=UTF-8"}, "jira no such api"),
    ],
)
async def test_what_every_delivery_would_meet_holds_the_lane(
    server: RecordingServer, status: int, headers: dict[str, str], cause: str
) -> None:
    server.answer(status, LOGIN_PAGE, headers=headers)
    error = await failure(server)
    assert isinstance(error, HoldError)
    assert error.cause == cause


async def test_version_3_at_a_data_center_says_which_version_to_set() -> None:
    with RecordingServer(default=FakeJira(kind="server").answer) as server:
        error = await failure(server)
    assert isinstance(error, HoldError)
    assert "api_version: 2" in error.message


async def test_a_rate_limit_waits_as_long_as_jira_says(server: RecordingServer) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%MZ")
    reason = {"RateLimit-Reason": "jira-burst-based"}
    server.answer(429, {}, headers={**reason, "Retry-After": "30", "X-RateLimit-Reset": soon})
    server.answer(429, {}, headers={**reason, "X-RateLimit-Reset": soon})
    server.answer(429, {}, headers={"X-RateLimit-Reset": "2026-13-99T99:99Z"})
    waits = []
    causes = []
    for _ in range(3):
        error = await failure(server)
        assert isinstance(error, RetryableError)
        waits.append(error.retry_after)
        causes.append(error.cause)
    assert waits[0] == timedelta(seconds=30)
    assert waits[1] is not None
    assert timedelta(seconds=110) < waits[1] <= timedelta(minutes=3)
    assert waits[2] is None
    assert causes == ["jira rate limit jira-burst-based"] * 2 + ["jira rate limit"]


async def test_neither_the_token_nor_its_base64_is_in_an_error(server: RecordingServer) -> None:
    pair = "cmVsYXlAZXhhbXBsZS5jb206czNjcmV0LUFUQVRUL3g9"
    server.answer(400, refused(400, f"you sent s3cret-ATATT/x= and {pair}").body)
    error = await failure(server)
    text = json.dumps([error.message, error.cause, error.received])
    assert "s3cret" not in text
    assert pair not in text


# The harmless call


async def test_the_check_says_who_we_are_and_writes_nothing(server: RecordingServer, fake: FakeJira) -> None:
    async with connected(server.url) as made:
        assert (await made.check(timedelta(seconds=5))).found == "Jira at 127.0.0.1 answers as Relay Bot"
        fake.active = False
        assert "deactivated" in (await made.check(timedelta(seconds=5))).missing[0]
    assert {(request.method, request.target) for request in server.requests} == {("GET", "/rest/api/3/myself")}


@pytest.mark.parametrize("more", [{"api_token": "no"}, {"api_version": 2, "email": "x"}])
async def test_a_check_that_fails_says_why(server: RecordingServer, more: dict[str, Any]) -> None:
    async with connected(server.url, **more) as made:
        with pytest.raises(HoldError, match="token"):
            await made.check(timedelta(seconds=5))


async def test_a_check_that_is_not_answered_by_jira_says_so(server: RecordingServer) -> None:
    server.answer(200, {"hello": "world"})
    async with connected(server.url) as made:
        with pytest.raises(PermanentError, match="check base_url"):
            await made.check(timedelta(seconds=5))
