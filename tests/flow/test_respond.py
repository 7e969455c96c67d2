"""`respond`: the sender is answered by what the steps saved; and, whatever goes wrong with that, with a 2xx in time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from relay.catch import Answer as Accepted
from relay.model import Event
from relay.testing import Answer, RecordingServer
from relay.web.body import BodyBudget
from relay.web.entrance import Entrance
from relay.web.proxies import Proxies
from tests.harness import Relay, eventually, relay_up, write_workspace

HEADERS = {"X-Key": "k"}


def workspace(folder: Path, sink: RecordingServer, recipes: dict[str, str], **source: Any) -> None:
    write_workspace(
        folder,
        {
            "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}, **source}},
            "connections": {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}},
        },
        recipes,
    )


def post(relay: Relay, body: Any) -> httpx.Response:
    return httpx.post(f"{relay.url}/in/chat", json=body, headers=HEADERS, timeout=90)


RESPOND = """
recipe: Look up and answer
catch: chat
when: $.id != 0
steps:
  lookup:
    to: sink
    with: {path: /lookup, json: {id: $.id}}
    save: {status: $.status, balance: $.balance}
respond:
  wait: %s
  as: %s
  body: %s
  late: {status: 202, body: %s}
"""


SAVED = "{status: $lookup.status, balance: $lookup.balance}"


def respond(form: str, body: str, late: str = "{state: pending}", wait: str = "5s") -> dict[str, str]:
    return {"answer": RESPOND % (wait, form, body, late)}


@pytest.mark.parametrize(
    ("form", "body", "kind", "expected"),
    [
        ("json", SAVED, "application/json", {"status": "ok", "balance": 12.5}),
        ("form", SAVED, "application/x-www-form-urlencoded", "status=ok&balance=12.5"),
        ("text", '"{{ $lookup.status }}: {{ $lookup.balance }}"', "text/plain; charset=utf-8", "ok: 12.5"),
    ],
)  # fmt: skip
def test_the_sender_gets_what_the_steps_saved(tmp_path: Path, form: str, body: str, kind: str, expected: Any) -> None:
    late = "{state: pending}" if form != "text" else "later"
    with RecordingServer(Answer(body={"status": "ok", "balance": 12.5})) as sink:
        workspace(tmp_path, sink, respond(form, body, late), event_id="$.id")
        with relay_up(tmp_path) as relay:
            answer = post(relay, {"id": 1})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == kind
            assert (answer.json() if form == "json" else answer.text) == expected
            again = post(relay, {"id": 1})
            assert again.text == answer.text, "a repeat gets the same answer"
            assert len(sink.requests) == 1
            nothing = post(relay, {"id": 0})
            assert nothing.json()["status"] == "accepted", "the recipe has nothing to say about this one"
            took = []
            for number in range(2, 30):
                started = time.perf_counter()
                assert post(relay, {"id": number}).status_code == 200
                took.append((time.perf_counter() - started) * 1000)
            print(f"answered in {sorted(took)[len(took) // 2]:.1f} ms (median of {len(took)})")


def test_an_answer_that_can_not_be_made_in_time_is_the_late_one(tmp_path: Path) -> None:
    with RecordingServer(Answer(delay_seconds=3, body={"status": "ok", "balance": 1})) as sink:
        workspace(tmp_path, sink, respond("xml", "{status: $lookup.status}", "{state: pending}", "500ms"))
        with relay_up(tmp_path) as relay:
            started = time.monotonic()
            answer = post(relay, {"id": 1})
            assert answer.status_code == 202
            assert "<state>pending</state>" in answer.text
            assert answer.headers["content-type"].startswith("application/xml")
            assert 0.4 < time.monotonic() - started < 2.5
            eventually(lambda: relay.rows("deliveries", "list", "--status", "delivered"))
            sink.default = Answer(404)
            started = time.monotonic()
            assert post(relay, {"id": 2}).status_code == 202
            assert time.monotonic() - started < 0.45, "a step that failed for good is not waited for"
            (told,) = eventually(lambda: [line for line in relay.log("event.answered") if "dead" in line["late"]])
            assert told["late"] == "lookup is dead"
            assert told["recipe"] == "answer"


# -- what can't be sent


LOOKUP = """
recipe: Look up and answer
catch: chat
steps:
  lookup:
    to: sink
    with: {path: /lookup, json: {id: "$.id?"}}
    save: {name: "$.name?"}
respond: %s
"""


def test_a_header_that_can_not_be_sent_makes_the_answer_the_late_one(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={"name": "Łukasz"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % "{headers: {X-Name: $lookup.name}, body: {ok: true}}"})
        with relay_up(tmp_path) as relay:
            answer = post(relay, {"id": 1})
            assert (answer.status_code, answer.json()) == (202, {"status": "pending"})
            (told,) = eventually(lambda: relay.log("event.answered"))
            assert "answer.yaml" in told["late"]
            assert "X-Name would hold `Ł`" in told["late"]
            sink.default = Answer(body={"name": "José"})
            good = httpx.post(f"{relay.url}/in/chat", json={"id": 2}, headers=HEADERS, timeout=30)
            assert (good.status_code, good.headers["X-Name"]) == (200, "José")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_leaves_the_connection_usable(tmp_path: Path, status: int) -> None:
    body = "{status: %d, wait: 2s, headers: {X-Name: $lookup.name}, late: {status: 204}}"
    with RecordingServer(Answer(body={"name": "Ana"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % (body % status)})
        with relay_up(tmp_path) as relay:
            place = httpx.URL(relay.url)
            with socket.create_connection((place.host, place.port), timeout=10) as connection:
                for number in range(2):
                    content = b'{"id": %d}' % number
                    connection.sendall(
                        b"POST /in/chat HTTP/1.1\r\nHost: x\r\nX-Key: k\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(content), content)
                    )
                    got = b""
                    while b"\r\n\r\n" not in got:
                        more = connection.recv(65536)
                        assert more, got
                        got += more
                    head, _, rest = got.partition(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 %d " % status), head
                    assert b"x-name: Ana" in head
                    assert rest == b""
                    connection.settimeout(0.1)
                    with pytest.raises(TimeoutError):
                        connection.recv(1)
                    connection.settimeout(10)
            sink.default = Answer(404)
            late = post(relay, {"id": 3})
            assert (late.status_code, late.content) == (204, b"")


# -- whatever else goes wrong once the event is accepted


ACCEPTED = Accepted(
    202, {"status": "accepted"}, event=Event("evt_1", "chat", "POST", "/in/chat", (), {}, b"", 0), event_id="evt_1"
)


class _Catcher:
    def admit(self, source: str, remote: str) -> int:
        return 1000

    def greets(self, source: str) -> bool:
        return False

    async def catch(self, *_: Any) -> Accepted:
        return ACCEPTED


class _Responder:
    """Answers as the test says."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.gone: Any = None

    def recipe(self, source: str) -> str:
        return "answer"

    async def respond(self, event: Event, event_id: str, accepted: Accepted, gone: asyncio.Future[None]) -> Accepted:
        self.gone = gone
        found = self.act()
        answer: Accepted = await found if asyncio.iscoroutine(found) else found
        return answer


async def enter(responder: _Responder, cancel_after: float | None = None) -> list[Message]:
    """A request at an entrance whose recipe answers so; what was sent."""
    sent: list[Message] = []
    unread: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> Message:
        if not unread:
            await asyncio.Event().wait()
        return unread.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    entrance = Entrance(_Catcher(), responder, Proxies(), BodyBudget())  # type: ignore[arg-type]
    scope: dict[str, Any] = {
        "type": "http", "scheme": "http", "method": "POST", "path": "/in/chat", "query_string": b"",
        "headers": [], "client": None,
    }  # fmt: skip
    request = asyncio.create_task(entrance(scope, receive, send))
    if cancel_after is not None:
        await asyncio.sleep(cancel_after)
        request.cancel()
    await asyncio.wait_for(request, 5)
    await asyncio.sleep(0)
    assert responder.gone.cancelled(), "nobody listens any longer for the sender to hang up"
    return sent


def _fails() -> Any:
    raise KeyError("nobody thought of it")


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (_fails, "KeyError: 'nobody thought of it'"),
        (lambda: Accepted(200, b"", {"X-Name": "Łukasz"}), "UnicodeEncodeError"),
        (lambda: Accepted(200, {"a": object()}), "TypeError"),
        (lambda: asyncio.sleep(60), "relay is stopping"),
    ],
    ids=["an error of ours", "a header that can't be sent", "a body that can't be sent", "cancelled"],
)
def test_what_is_accepted_is_answered_so_whatever_goes_wrong_with_the_answer(
    act: Callable[[], Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = asyncio.run(enter(_Responder(act), 0.1 if why == "relay is stopping" else None))
    assert [message.get("status") for message in sent] == [202, None]
    assert sent[1]["body"] == b'{"status":"accepted"}'
    told = "".join(capsys.readouterr())
    assert "answer.failed" in told
    assert why in told


# -- while a sender waits


@contextmanager
def waiting(relay: Relay, body: Any) -> Iterator[Callable[[], tuple[float, httpx.Response]]]:
    """A sender that waits for its answer meanwhile. Gives what tells when it got which."""
    got: list[tuple[float, httpx.Response | Exception]] = []

    def send() -> None:
        try:
            answer: httpx.Response | Exception = post(relay, body)
        except httpx.HTTPError as error:
            answer = error
        got.append((time.monotonic(), answer))

    def answered() -> tuple[float, httpx.Response]:
        sender.join(90)
        when, answer = got[0]
        assert isinstance(answer, httpx.Response), repr(answer)
        return when, answer

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield answered
    finally:
        sender.join(90)


def test_who_waits_when_relay_is_stopped_gets_the_late_answer_at_once(tmp_path: Path) -> None:
    with RecordingServer(Answer(delay_seconds=4, body={"name": "Ana"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % "{wait: 1m, body: {name: $lookup.name}}"})
        with relay_up(tmp_path) as relay:
            with waiting(relay, {"id": 1}) as first, waiting(relay, {"id": 2}) as second:
                eventually(lambda: len(sink.requests) == 2)
                stopped = time.monotonic()
                relay.process.send_signal(signal.SIGTERM)
                for answered in (first, second):
                    when, answer = answered()
                    assert (answer.status_code, answer.json()) == (202, {"status": "pending"})
                    assert when - stopped < 1
            assert relay.process.wait(30) == 0
            told = relay.log("event.answered")
            assert len(told) == 2
            assert all(one["late"].startswith("lookup is ") and "relay is stopping" in one["late"] for one in told)
            assert not relay.log("answer.failed")
        sink.default = Answer(body={"name": "Ana"})
        with relay_up(tmp_path) as relay:
            eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == 2)


def test_the_wait_of_a_sender_that_hangs_up_ends(tmp_path: Path) -> None:
    with RecordingServer(Answer(delay_seconds=3, body={"name": "Ana"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % "{wait: 1m, body: {name: $lookup.name}}"})
        with relay_up(tmp_path) as relay:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{relay.url}/in/chat", json={"id": 1}, headers=HEADERS, timeout=0.5)
            (told,) = eventually(lambda: relay.log("event.answered"), 2)
            assert "the sender hung up after" in told["late"]
            assert told["took_ms"] < 1500
            eventually(lambda: relay.rows("deliveries", "list", "--status", "delivered"))
            assert not relay.log("answer.failed")


def test_who_waits_while_the_store_is_killed_is_answered_when_it_is_back(tmp_path: Path) -> None:
    with RecordingServer(Answer(delay_seconds=1.5, body={"name": "Ana"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % "{wait: 30s, body: {name: $lookup.name}}"})
        with relay_up(tmp_path) as relay:
            started = time.monotonic()
            with waiting(relay, {"id": 1}) as answered:
                eventually(lambda: sink.requests)
                os.kill(relay.children()["valkey"].pid, signal.SIGKILL)
                when, answer = answered()
            assert (answer.status_code, answer.json()) == (200, {"name": "Ana"})
            assert when - started < 15
            again = post(relay, {"id": 2})
            assert (again.status_code, again.json()) == (200, {"name": "Ana"})


def test_a_store_that_is_stuck_keeps_nobody_longer_than_was_said(tmp_path: Path) -> None:
    with RecordingServer(Answer(delay_seconds=4, body={"name": "Ana"})) as sink:
        workspace(tmp_path, sink, {"answer": LOOKUP % "{wait: 2s, body: {name: $lookup.name}}"})
        with relay_up(tmp_path) as relay:
            started = time.monotonic()
            with waiting(relay, {"id": 1}) as answered:
                eventually(lambda: sink.requests)
                store = relay.children()["valkey"]
                store.suspend()
                try:
                    when, answer = answered()
                finally:
                    store.resume()
            assert (answer.status_code, answer.json()) == (202, {"status": "pending"})
            assert 1.9 < when - started < 3
            eventually(lambda: relay.rows("deliveries", "list", "--status", "delivered"))
