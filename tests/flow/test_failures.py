"""Destinations that fail: what may get better is retried, what won't waits for an operator, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay.testing import Answer, RecordingServer
from tests.flow.test_kills import post_all, workspace
from tests.harness import Relay, eventually, relay_up, write_workspace

EVENTS = 500


def post(relay: Relay, source: str, body: dict[str, Any], key: str = "k") -> str:
    answer = httpx.post(f"{relay.url}/in/{source}", json=body, headers={"X-Key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def post_events(relay: Relay, number: int) -> set[str]:
    accepted: set[str] = set()
    asyncio.run(post_all(relay, number, 32, accepted))
    return accepted


@pytest.mark.timeout(120)
def test_a_destination_that_answers_503_for_ten_seconds_gets_everything_in_the_end(tmp_path: Path) -> None:
    with RecordingServer(Answer(503)) as sink:
        workspace(tmp_path, sink)
        recipe = tmp_path / "recipes" / "forward.yaml"
        quick = "to: sink\n    retry: {times: 10, first: 1s, factor: 2, max: 4s}"
        recipe.write_text(recipe.read_text().replace("to: sink", quick))
        with relay_up(tmp_path) as relay:
            healed = threading.Timer(10, lambda: setattr(sink, "default", Answer(body={})))
            healed.start()
            accepted = post_events(relay, EVENTS)
            assert len(accepted) == EVENTS
            eventually(lambda: relay.rows("deliveries", "list", "--status", "retrying"))

            def delivered() -> int:
                return len(relay.rows("deliveries", "list", "--status", "delivered", "--limit", "1000"))

            eventually(lambda: delivered() == EVENTS, 90, pause=0.5)
            assert relay.rows("dead", "list") == []
            healed.join()


@pytest.mark.timeout(120)
def test_what_a_destination_refuses_is_a_dead_letter_each_and_one_replay_delivers_them_all(tmp_path: Path) -> None:
    with RecordingServer(Answer(404, body={"error": "no such list"})) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            accepted = post_events(relay, EVENTS)
            eventually(lambda: len(relay.rows("dead", "list", "--limit", "1000")) == EVENTS, 60, pause=0.3)
            assert len(sink.requests) == EVENTS, "a 404 is not tried twice"
            keys = Counter(request.headers["idempotency-key"] for request in sink.requests)
            groups = relay.rows("dead", "list", "--by-cause")
            assert [(group["count"], group["connection"]) for group in groups] == [(EVENTS, "sink")]
            assert "404" in groups[0]["name"]

            assert relay.cli("dead", "replay", "--connection", "sink", "--dry-run").count("dlv_") == EVENTS
            assert len(relay.rows("dead", "list", "--limit", "1000")) == EVENTS, "a dry run changes nothing"
            assert "--yes" in refused(relay, "dead", "replay", "--all")

            sink.default = Answer(body={})
            sink.requests.clear()
            assert relay.rows("dead", "replay", "--all", "--yes") == [{"queued": EVENTS}]
            eventually(lambda: len(sink.requests) >= EVENTS, 60)
            eventually(lambda: not relay.rows("dead", "list"))
            assert {request.json()["id"] for request in sink.requests} == accepted
            again = Counter(request.headers["idempotency-key"] for request in sink.requests)
            assert again == keys, "the same keys: a destination that took one before can tell"


def refused(relay: Relay, *words: str) -> str:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "relay", *words], env=relay.environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    return done.stderr


def test_bad_credentials_hold_the_lane_and_a_resume_delivers_what_waited(tmp_path: Path) -> None:
    with RecordingServer(Answer(401)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            for number in range(20):
                post(relay, "chat", {"id": f"h{number}"})
            lane = eventually(lambda: relay.rows("lanes", "list", "--status", "held"))[0]
            assert lane["name"] == "sink"
            assert "401" in lane["reason"]
            eventually(lambda: relay.rows("lanes", "list", "--status", "held")[0]["waiting"] == 20)
            tried = len(sink.requests)
            assert tried <= 16, "what was in flight when the first 401 came; nobody after that"
            assert relay.rows("dead", "list") == []
            readiness = httpx.get(f"{relay.url}/readyz")
            assert readiness.status_code == 200
            assert [lane["name"] for lane in readiness.json()["lanes"]] == ["sink"]

            sink.default = Answer(body={})
            assert "1 resumed" in relay.cli("lanes", "resume", "sink")
            eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == 20)


def test_gone_switches_the_lane_off(tmp_path: Path) -> None:
    with RecordingServer(Answer(410)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            post(relay, "chat", {"id": "g"})
            assert eventually(lambda: relay.rows("lanes", "list", "--status", "off"))[0]["name"] == "sink"
            assert relay.rows("deliveries", "list")[0]["status"] == "waiting"


def test_retry_after_moves_the_next_attempt_later(tmp_path: Path) -> None:
    with RecordingServer(Answer(429, headers={"Retry-After": "3000"})) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            post(relay, "chat", {"id": "r"})
            delivery = eventually(lambda: relay.rows("deliveries", "list", "--status", "retrying"))[0]
            shown = relay.rows("deliveries", "show", delivery["id"])[0]
            assert shown["attempts"][0]["status"] == 429
            lane = next(row for row in relay.rows("lanes", "list") if row["name"] == "sink")
            due = time.mktime(time.strptime(lane["next_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            assert 2900 < due - time.time() < 3100


def test_steps_wait_for_what_they_use_and_go_on_after_a_replay(tmp_path: Path) -> None:
    answers = {"/first": Answer(422, body={"error": "no name"}), "/second": Answer(body={})}
    with RecordingServer() as sink:
        sink.by_path = answers
        write_workspace(
            tmp_path,
            {
                "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}}},
                "connections": {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}},
            },
            {
                "chain": {
                    "recipe": "Two steps",
                    "catch": "chat",
                    "steps": {
                        "first": {
                            "to": "sink",
                            "with": {"path": "/first", "json": {"name": "$.name"}},
                            "save": {"id": "$.id"},
                        },
                        "second": {"to": "sink", "with": {"path": "/second", "json": {"contact": "$first.id"}}},
                    },
                }
            },
        )
        with relay_up(tmp_path) as relay:
            post(relay, "chat", {"name": ""})
            letter = eventually(lambda: relay.rows("dead", "list"))[0]
            assert letter["step"] == "first"
            second = next(row for row in relay.rows("deliveries", "list") if row["step"] == "second")
            assert second["status"] == "waiting"
            assert [request.path for request in sink.requests] == ["/first"]

            mended = tmp_path / "mended.json"
            mended.write_text('{"name": "Ana"}')
            sink.by_path["/first"] = Answer(201, body={"id": 7})
            relay.cli("dead", "edit", letter["id"], "--file", str(mended), "--note", "name from the form", "--replay")
            eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == 2)
            assert sink.requests[1].json() == {"name": "Ana"}
            assert sink.requests[2].json() == {"contact": 7}
            shown = relay.rows("deliveries", "show", letter["id"])[0]
            assert [attempt["outcome"] for attempt in shown["attempts"]] == ["permanent", "delivered"]
            assert shown["edits"][0]["note"] == "name from the form"
            assert shown["edits"][0]["by"]
            original = relay.cli("events", "show", letter["event"], "--body")
            assert original in ('{"name":""}', '{"name": ""}'), "the event stays as it came"


def test_a_reply_that_broke_off_before_what_a_step_saves_is_asked_for_again(tmp_path: Path) -> None:
    """Else the next step could never go: nothing that an operator replays would bring the value."""
    with RecordingServer() as sink:
        sink.by_path = {"/first": Answer(201, body={"id": 7}), "/second": Answer(body={})}
        account = {"connector": "http", "base_url": sink.url, "allow_private": True, "idempotent": True}
        first = {
            "to": "sink",
            "with": {"path": "/first", "json": {}},
            "save": {"id": "$.id"},
            "retry": {"after": ["0.1s"]},
        }
        second = {"to": "sink", "with": {"path": "/second", "json": {"contact": "$first.id"}}}
        write_workspace(
            tmp_path,
            {"sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}}}, "connections": {"sink": account}},
            {"chain": {"recipe": "Two steps", "catch": "chat", "steps": {"first": first, "second": second}}},
        )
        with relay_up(tmp_path) as relay:
            sink.answer(201, b'{"id": 7}', headers={"Content-Type": "application/json"}, instead="break off")
            post(relay, "chat", {})
            eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == 2)
            assert [request.path for request in sink.requests] == ["/first", "/first", "/second"]
            assert sink.requests[0].headers["idempotency-key"] == sink.requests[1].headers["idempotency-key"]
            assert sink.requests[2].json() == {"contact": 7}


def test_a_dead_letter_is_discarded_only_with_a_reason(tmp_path: Path) -> None:
    with RecordingServer(Answer(404)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            post(relay, "chat", {"id": "d"})
            letter = eventually(lambda: relay.rows("dead", "list"))[0]
            assert "--reason" in refused(relay, "dead", "discard", letter["id"], "--yes")
            assert "1 discarded" in relay.cli("dead", "discard", letter["id"], "--reason", "a test", "--yes")
            assert relay.rows("dead", "list") == []
            shown = relay.rows("deliveries", "show", letter["id"])[0]
            assert shown["status"] == "discarded"
            assert "a test" in shown["summary"]
            relay.cli("dead", "discard", letter["id"], "--reason", "twice", "--yes", code=1)
