from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from connectors.slack.connector import Slack, escaped
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, RecordingServer, assert_no_secret
from tests.connectors.fake_slack import TOKEN, WEBHOOK_PATH, FakeSlack, sdk_takes

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
PLAIN_TEXT = {"Content-Type": "text/html"}


def config_for(url: str) -> dict[str, Any]:
    return {
        "connector": "slack",
        "base_url": f"{url}/api",
        "webhook": f"{url}{WEBHOOK_PATH}",
        "token": TOKEN,
        "allow_private": True,
    }


class _Contract(HttpConnectorContract):
    connector = Slack
    forbidden_holds = True
    do: ClassVar[str]
    success: ClassVar[tuple[int, Any]]

    def config_for(self, url: str) -> Mapping[str, Any]:
        return config_for(url)

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        action = Slack.action_class(self.do)
        return self.do, action.examples[0].fields

    async def test_a_2xx_is_a_delivery(self) -> None:
        """Slack's truth: only with its `ok`."""
        do, fields = self.fields()
        status, body = self.success
        with RecordingServer(Answer(status, body)) as server:
            async with self._connected(server.url) as connection:
                reply = await connection.send(do, connection.outgoing(do, fields, CALL), CALL)
            server.answer(200, {})
            assert isinstance(await self._failure(server.url), UnknownOutcomeError)
        assert (reply.status, reply.body) == (status, body)

    async def test_every_attempt_sends_the_same_request(self) -> None:
        do, fields = self.fields()
        with RecordingServer(Answer(*self.success)) as server:
            async with self._connected(server.url) as connection:
                for attempt in (1, 2):
                    call = Call("dlv_1", "dlv_1", attempt=attempt)
                    await connection.send(do, connection.outgoing(do, fields, call), call)
            first, second = server.requests
        assert first == second


class TestContractOfAWebhook(_Contract):
    do = "webhook"
    success = (200, "ok")


class TestContractOfPostMessage(_Contract):
    do = "post_message"
    success = (200, {"ok": True, "ts": "1503435956.000247"})


@pytest.fixture
def slack() -> FakeSlack:
    return FakeSlack()


@pytest.fixture
def server(slack: FakeSlack) -> Iterator[RecordingServer]:
    with RecordingServer(slack) as server:
        yield server


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Slack]:
    config = {name: value for name, value in {**config_for(url), **settings}.items() if value is not None}
    connection = Slack(Slack.Config.model_validate(config), Context())
    try:
        yield connection
    finally:
        await connection.aclose()


async def send(url: str, do: str, settings: Mapping[str, Any] | None = None, **fields: Any) -> Reply:
    async with connected(url, **(settings or {})) as made:
        return await made.send(do, made.outgoing(do, fields, CALL), CALL)


async def failure(url: str, do: str, settings: Mapping[str, Any] | None = None, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(url, do, settings, **fields)
    assert "\n" not in caught.value.message
    config = Slack.Config.model_validate(config_for(url))
    assert_no_secret(config, caught.value.message, caught.value.cause, json.dumps(caught.value.received))
    return caught.value


def refused(do: str = "webhook", **fields: Any) -> str:
    made = Slack(Slack.Config.model_validate(config_for("http://127.0.0.1:9")), Context())
    with pytest.raises(PermanentError) as caught:
        made.outgoing(do, fields, CALL)
    return caught.value.message


# The request, as Slack wants it


async def test_every_example_is_taken_by_slack(server: RecordingServer, slack: FakeSlack) -> None:
    count = 0
    for action in Slack.actions:
        for example in action.examples:
            await send(server.url, action.name, **example.fields)
            count += 1
    assert len(slack.posted) == count


async def test_a_webhook_gets_the_message_and_never_the_token(server: RecordingServer, slack: FakeSlack) -> None:
    reply = await send(server.url, "webhook", text="hello", thread_ts="1.2", unfurl_links=False)
    (request,) = server.requests
    assert request.target == WEBHOOK_PATH
    assert TOKEN not in json.dumps(dict(request.headers))
    assert slack.posted == [{"text": "hello", "thread_ts": "1.2", "unfurl_links": False}]
    assert reply.body == "ok"


async def test_a_message_of_the_bot_names_its_channel_and_can_be_found_again(server: RecordingServer) -> None:
    reply = await send(server.url, "post_message", channel="C0123456789", text="hello", reply_broadcast=True)
    assert isinstance(reply.body, dict)
    assert reply.body["ts"] == "1503435956.000001"
    assert server.requests[0].json() == {"channel": "C0123456789", "text": "hello", "reply_broadcast": True}


async def test_slacks_own_sdk_sends_the_same_requests(server: RecordingServer) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "<&> ü 𝄞"}}]
    message: dict[str, Any] = {"text": "hello", "blocks": blocks, "unfurl_links": False, "unfurl_media": False}
    await send(server.url, "webhook", **message)
    WebhookClient(f"{server.url}{WEBHOOK_PATH}").send_dict(message)
    more = {**message, "channel": "C0123456789", "thread_ts": "1.2", "username": "Ana", "icon_emoji": ":bell:"}
    await send(server.url, "post_message", **more)
    WebClient(TOKEN, base_url=f"{server.url}/api/").chat_postMessage(**more)
    ours, theirs = server.requests[::2], server.requests[1::2]
    for mine, judge in zip(ours, theirs, strict=True):
        assert (mine.method, mine.target, mine.json()) == (judge.method, judge.target, judge.json())
        for name in ("content-type", "authorization"):
            spelled = [request.headers.get(name, "").replace("; ", ";") for request in (mine, judge)]
            assert spelled[0] == spelled[1], name


def test_the_preview_shows_the_host_and_no_secret() -> None:
    made = Slack(Slack.Config.model_validate(config_for("https://hooks.slack.com")), Context())
    preview = made.outgoing("webhook", {"text": "hello"}, CALL).preview()
    assert preview["url"] == "https://hooks.slack.com/***"
    assert "authorization" not in preview["headers"]
    other = made.outgoing("post_message", {"channel": "C1", "text": "hello"}, CALL).preview()
    assert other["headers"]["authorization"] == "***"
    assert_no_secret(made.config, preview, other, repr(made.outgoing("webhook", {"text": "hello"}, CALL)))


def test_slack_takes_a_message_a_second_in_a_channel() -> None:
    assert Slack.Config.model_validate(config_for("http://h")).limit.rate == "1/s"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"webhook": None, "token": None}, "give it `webhook`"),
        ({"webhook": "s3cret/no/address"}, "no address that can be called"),
        ({"webhook": "https://hooks.slack.com"}, "nothing after its host"),
        ({"webhook": "https://hooks.slack.com:s3cret/x"}, "no address that can be called"),
        ({"token": "xoxb-s3cret\n"}, "line break"),
    ],
)
def test_a_wrong_connection_is_named_without_its_secret(settings: dict[str, Any], why: str) -> None:
    config = {name: value for name, value in {**config_for("http://h"), **settings}.items() if value is not None}
    with pytest.raises(ValidationError, match=why) as caught:
        Slack.Config.model_validate(config)
    assert "s3cret" not in str(caught.value)


def test_an_action_whose_secret_is_missing_says_which_to_use() -> None:
    for missing, do, other in (("webhook", "webhook", "post_message"), ("token", "post_message", "webhook")):
        config = {name: value for name, value in config_for("http://h").items() if name != missing}
        made = Slack(Slack.Config.model_validate(config), Context())
        with pytest.raises(PermanentError, match=f"no `{missing}`.*`do: {other}`"):
            made.outgoing(do, Slack.action_class(do).examples[0].fields, CALL)


# What strangers write


@given(st.text())
def test_plain_text_holds_no_markup_and_comes_back_whole(text: str) -> None:
    made = escaped(text)
    assert "<" not in made
    assert ">" not in made
    assert made.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


async def test_what_a_stranger_wrote_mentions_nobody(server: RecordingServer, slack: FakeSlack) -> None:
    await send(server.url, "webhook", plain='<!channel> <https://evil.example|Bank> &lt;"\nnext')
    assert slack.posted == [
        {"text": '&lt;!channel&gt; &lt;https://evil.example|Bank&gt; &amp;lt;"\nnext', "mrkdwn": False}
    ]


async def test_text_is_slacks_markup_as_it_is_written(server: RecordingServer, slack: FakeSlack) -> None:
    await send(server.url, "webhook", text="<https://e.com|Ana> &amp; <@U1>")
    assert slack.posted == [{"text": "<https://e.com|Ana> &amp; <@U1>"}]


def test_a_channel_is_one_word() -> None:
    for channel in ("", "C1\nC2", "C 1"):
        assert "channel" in refused("post_message", channel=channel, text="hello")
    assert "not both" in refused(text="a", plain="b")


# Limits, before anything is sent


def _text(length: int, kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": kind, "text": "x" * length}


def _button(**more: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "button", "text": _text(5, "plain_text"), **more}]}


@pytest.mark.parametrize(
    ("block", "where"),
    [
        ({"type": "section", "text": _text(3001)}, r"blocks\[1\].text.text has 3001 characters, 3000 are the most"),
        ({"type": "section", "fields": [_text(1)] * 11}, "fields has 11 items, 1 to 10"),
        ({"type": "section"}, "needs text or fields"),
        ({"type": "section", "text": _text(0)}, "is empty"),
        ({"type": "header", "text": _text(151, "plain_text")}, "has 151 characters, 150"),
        ({"type": "context", "elements": [_text(1)] * 11}, "elements has 11 items"),
        ({"type": "context", "elements": []}, "elements has 0 items"),
        ({"type": "actions", "elements": [_button()["elements"][0]] * 26}, "elements has 26 items"),
        (_button(text=_text(76, "plain_text")), r"elements\[0\].text.text has 76"),
        (_button(url="https://e.com/" + "x" * 3000), r"elements\[0\].url has"),
        (_button(value="x" * 2001), r"elements\[0\].value has"),
        ({"type": "image", "image_url": "https://e.com/a.png", "alt_text": "x" * 2001}, "alt_text has 2001"),
        ({"type": "markdown", "text": "x" * 12_001}, "12000 are the most"),
        ({"type": "divider", "block_id": "x" * 256}, "block_id"),
        ({"type": "divider", "block_id": "first"}, "another block's"),
        # What the SDK lets through, and Slack refuses.
        ({"type": "section", "fields": [_text(2001)]}, r"fields\[0\].text has 2001"),
        ({"type": "header", "text": _text(5)}, "is no text"),
        ({"text": _text(1)}, "is no block"),
        ("*bold*", "is no block"),
    ],
)
def test_a_block_that_slack_would_refuse_is_named_by_its_place(block: Any, where: str) -> None:
    made = Slack(Slack.Config.model_validate(config_for("http://127.0.0.1:9")), Context())
    with pytest.raises(PermanentError, match=where) as caught:
        made.outgoing("webhook", {"blocks": [{"type": "divider", "block_id": "first"}, block]}, CALL)
    assert "xxxx" not in caught.value.message


@given(
    st.sampled_from(["section", "header", "markdown", "image", "button", "context", "block_id"]),
    st.sampled_from([1, 75, 76, 150, 151, 255, 256, 2000, 2001, 3000, 3001, 12_000, 12_001]),
)
def test_what_slacks_sdk_refuses_is_refused(kind: str, length: int) -> None:
    words = "x" * length
    blocks: dict[str, Any] = {
        "section": {"type": "section", "text": _text(length)},
        "header": {"type": "header", "text": _text(length, "plain_text")},
        "markdown": {"type": "markdown", "text": words},
        "image": {"type": "image", "image_url": "https://e.com/a.png", "alt_text": words},
        "button": _button(value=words),
        "context": {"type": "context", "elements": [_text(1)] * min(length, 12)},
        "block_id": {"type": "divider", "block_id": words},
    }
    block = blocks[kind]
    made = Slack(Slack.Config.model_validate(config_for("http://127.0.0.1:9")), Context())
    if sdk_takes(block):
        made.outgoing("webhook", {"blocks": [block]}, CALL)
    else:
        with pytest.raises(PermanentError):
            made.outgoing("webhook", {"blocks": [block]}, CALL)


def test_a_block_of_a_kind_we_do_not_know_is_sent_as_it_is() -> None:
    made = Slack(Slack.Config.model_validate(config_for("http://127.0.0.1:9")), Context())
    block = {"type": "hologram", "depth": [1, {"a": None}]}
    assert made.outgoing("webhook", {"blocks": [block]}, CALL).preview()["json"] == {"blocks": [block]}


def test_the_limits_of_a_whole_message() -> None:
    assert "it is empty" in refused()
    assert "it is empty" in refused(text=" ")
    assert "40001 characters" in refused(text="x" * 40_001)
    assert "80000 characters" in refused(plain="<" * 20_000)
    assert "blocks has 51 items" in refused(blocks=[{"type": "divider"}] * 51)
    assert "attachments has 101 items" in refused(attachments=[{"text": "a"}] * 101)
    assert "attachments[0].blocks[0]" in refused(attachments=[{"blocks": [{"type": "section"}]}])
    assert "together" in refused(blocks=[{"type": "markdown", "text": "x" * 7000}] * 2)


# What comes back


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "invalid_payload", PermanentError),
        (400, "user_not_found", PermanentError),
        (400, "no_text", PermanentError),
        (400, "too_many_attachments", PermanentError),
        (400, "invalid_blocks", PermanentError),
        (400, "a_word_of_tomorrow", PermanentError),
        (403, "action_prohibited", HoldError),
        (403, "invalid_token", HoldError),
        (404, "channel_not_found", HoldError),
        (404, "no_service", HoldError),
        (404, "no_team", HoldError),
        (410, "channel_is_archived", HoldError),
        (500, "rollup_error", RetryableError),
        (429, "rate_limited", RetryableError),
    ],
)
async def test_a_webhooks_word_says_what_becomes_of_the_message(status: int, word: str, kind: type) -> None:
    with RecordingServer() as server:
        server.answer(status, word, headers={**PLAIN_TEXT, "Retry-After": "9"})
        error = await failure(server.url, "webhook", text="hello")
    assert type(error) is kind
    assert (error.status, error.cause) == (status, f"slack {word}")
    assert word in error.message
    if isinstance(error, RetryableError):
        assert error.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *(
            (word, HoldError)
            for word in [
                "not_authed",
                "invalid_auth",
                "account_inactive",
                "token_revoked",
                "token_expired",
                "missing_scope",
                "no_permission",
                "not_allowed_token_type",
                "ekm_access_denied",
                "access_denied",
                "accesslimited",
                "team_access_not_granted",
                "enterprise_is_restricted",
                "two_factor_setup_required",
                "deprecated_endpoint",
            ]
        ),
        *(
            (word, RetryableError)
            for word in [
                "ratelimited",
                "rate_limited",
                "message_limit_exceeded",
                "service_unavailable",
                "request_timeout",
                "team_added_to_org",
            ]
        ),
        ("internal_error", UnknownOutcomeError),
        ("fatal_error", UnknownOutcomeError),
        *(
            (word, PermanentError)
            for word in [
                "channel_not_found",
                "not_in_channel",
                "is_archived",
                "msg_too_long",
                "no_text",
                "invalid_blocks",
                "msg_blocks_too_long",
                "restricted_action",
                "too_many_attachments",
                "invalid_arguments",
                "a_word_of_tomorrow",
            ]
        ),
    ],
)
async def test_a_200_with_ok_false_is_sorted_by_its_error(word: str, kind: type) -> None:
    with RecordingServer() as server:
        server.answer(200, {"ok": False, "error": word})
        error = await failure(server.url, "post_message", channel="C1", text="hello")
    assert type(error) is kind
    assert error.cause == f"slack {word}"


async def test_too_many_messages_wait_as_long_as_slack_says() -> None:
    with RecordingServer() as server:
        server.answer(429, {"ok": False, "error": "ratelimited"}, headers={"Retry-After": "30"})
        error = await failure(server.url, "post_message", channel="C1", text="hello")
    assert isinstance(error, RetryableError)
    assert error.retry_after == timedelta(seconds=30)


async def test_the_fakes_refusals_name_their_remedy(server: RecordingServer, slack: FakeSlack) -> None:
    wrong = await failure(server.url, "post_message", {"token": "xoxb-other"}, channel="C0123456789", text="a")
    assert isinstance(wrong, HoldError)
    assert "OAuth & Permissions" in wrong.message
    slack.scopes.clear()
    lacking = await failure(server.url, "post_message", channel="C0123456789", text="a")
    assert isinstance(lacking, HoldError)
    assert "the scope chat:write " in lacking.message
    slack.scopes.add("chat:write")
    assert "/invite" in (await failure(server.url, "post_message", channel="C9", text="a")).message
    gone = await failure(server.url, "webhook", {"webhook": f"{server.url}/services/T0/B9/gone"}, text="a")
    assert isinstance(gone, HoldError)
    assert "make a new incoming webhook" in gone.message
    assert slack.posted == []


async def test_words_that_are_no_words_of_slack_stay_out_of_the_message() -> None:
    for word in ("Bad Thing\nhappened", "x" * 500, {"a": 1}, None):
        with RecordingServer() as server:
            server.answer(200, {"ok": False, "error": word})
            error = await failure(server.url, "post_message", channel="C1", text="hello")
        assert isinstance(error, UnknownOutcomeError)
        assert "Bad Thing" not in error.message


async def test_a_200_that_is_not_slacks_is_no_delivery() -> None:
    messages: list[tuple[str, dict[str, Any]]] = [("webhook", {}), ("post_message", {"channel": "C1"})]
    for do, fields in messages:
        for body, kind in (("<html>sign in</html>", "text/html"), ("okay", "text/plain"), ("{}", "application/json")):
            with RecordingServer() as server:
                server.answer(200, body, headers={"Content-Type": kind})
                error = await failure(server.url, do, text="a", **fields)
            assert isinstance(error, UnknownOutcomeError), (do, body)


async def test_a_workflows_webhook_answers_in_json() -> None:
    with RecordingServer(Answer(200, {"ok": True})) as server:
        assert (await send(server.url, "webhook", text="a")).status == 200


async def test_the_webhooks_address_is_taken_out_of_what_is_kept_even_in_parts() -> None:
    with RecordingServer() as server:
        server.answer(400, f"no hook {WEBHOOK_PATH.rpartition('/')[2]} here", headers=PLAIN_TEXT)
        error = await failure(server.url, "webhook", text="a")
    assert "s3cret" not in json.dumps([error.message, error.received])


# The worst moment


@pytest.mark.parametrize("do", ["webhook", "post_message"])
@pytest.mark.parametrize("instead", ["close", "reset", "garbage"])
async def test_a_connection_cut_after_the_request_has_an_unknown_outcome(do: str, instead: str) -> None:
    with RecordingServer() as server:
        for _ in range(4):
            server.answer(instead=instead)
        error = await failure(server.url, do, **Slack.action_class(do).examples[0].fields)
    assert isinstance(error, UnknownOutcomeError)


async def test_an_answer_that_breaks_off_is_a_delivery_where_its_status_tells() -> None:
    json_kind = {"Content-Type": "application/json"}
    with RecordingServer() as server:
        server.answer(200, "ok", headers=PLAIN_TEXT, instead="break off")
        assert (await send(server.url, "webhook", text="a")).status == 200
        server.answer(200, '{"ok":true,"ts":"1.2","channel":"C1"}', headers=json_kind, instead="break off")
        error = await failure(server.url, "post_message", channel="C1", text="a")
    assert isinstance(error, UnknownOutcomeError)
    assert "broke off" in error.message
