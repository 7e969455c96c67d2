"""The commands that speak to a relay, against a real one: send, events, deliveries, dead, lanes, doctor."""

from __future__ import annotations

import contextlib
import json
import shutil
import time

import pytest
import redis

from relay import embedded
from tests.cli.conftest import Running
from tests.harness import eventually

SAMPLE = "recipes/samples/chat.json"


def rows(running: Running, *words: str) -> list[dict[str, object]]:
    done = running.run(*words, "--json")
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def sent(running: Running) -> str:
    """The id of an event that was sent, and whose deliveries have both ended."""
    done = running.run("send", "chat", SAMPLE, "--json")
    assert done.code == 0, done
    event = json.loads(done.out)["id"]

    def ended() -> bool:
        found = rows(running, "deliveries", "list", "--event", event)
        return {row["status"] for row in found} == {"delivered", "dead"}

    eventually(ended, pause=0.2)
    return str(event)


def letter_of(running: Running, event: str) -> str:
    (letter,) = rows(running, "dead", "list", "--event", event)
    return str(letter["id"])


def test_send_signs_as_the_source_would_and_what_it_posts_is_accepted(running: Running) -> None:
    done = running.run("send", "chat", SAMPLE)
    assert done.code == 0
    assert done.out.startswith("202 ")
    assert '"status":"accepted"' in done.out
    assert "s3cret-of-the-chat" not in done.out + done.err


def test_send_exits_with_1_where_the_relay_refuses(running: Running) -> None:
    other = running.relay.folder / "other"
    shutil.copytree(running.relay.folder / "recipes", other, dirs_exist_ok=True)
    text = (other / "relay.yaml").read_text()
    (other / "relay.yaml").write_text(text.replace("s3cret-of-the-chat", "another"))
    done = running.run("send", "chat", SAMPLE, "--recipes", str(other))
    assert done.code == 1
    assert done.out.startswith("401 ")


def test_send_to_a_source_that_nobody_knows_names_the_nearest(running: Running) -> None:
    done = running.run("send", "chatt", SAMPLE)
    assert done.code == 2
    assert "did you mean `chat`?" in done.err


def test_a_dead_letter_is_found_shown_and_replayed_by_its_id_without_a_question(running: Running) -> None:
    event = sent(running)
    letter = letter_of(running, event)
    shown = running.run("dead", "show", letter)
    assert "404" in shown.out
    assert "t0ken-of-the-sink" not in shown.out
    assert f"relay dead replay {letter}" in shown.err, "what to do next"
    done = running.run("dead", "replay", letter)
    assert (done.code, done.out) == (0, "1 queued\n")
    eventually(lambda: rows(running, "dead", "show", letter)[0]["status"] == "dead", pause=0.2)
    attempts = rows(running, "dead", "show", letter)[0]["attempts"]
    assert isinstance(attempts, list)
    keys = {attempt["sent"]["headers"]["idempotency-key"] for attempt in attempts}
    assert (len(attempts), keys) == (2, {letter}), "the same key for both attempts"


def test_replaying_what_is_delivered_is_asked_first_and_gets_a_key_of_its_own(running: Running) -> None:
    event = sent(running)
    (delivered,) = rows(running, "deliveries", "list", "--event", event, "--status", "delivered")
    done = running.run("dead", "replay", str(delivered["id"]), text="")
    assert done.code == 2
    assert "delivered already" in done.err
    assert running.run("dead", "replay", str(delivered["id"]), "--yes").code == 0
    eventually(lambda: rows(running, "deliveries", "show", str(delivered["id"]))[0]["status"] == "delivered", pause=0.2)
    assert rows(running, "deliveries", "show", str(delivered["id"]))[0]["idempotency_key"] == f"{delivered['id']}-r1"


def test_what_changes_many_things_shows_them_first_and_asks(running: Running) -> None:
    event = sent(running)
    dry = running.run("dead", "replay", "--event", event, "--dry-run")
    assert letter_of(running, event) in dry.out
    assert "1 would be replayed" in dry.err
    asked = running.run("dead", "replay", "--event", event, text="")
    assert asked.code == 2, "nobody is there to answer"
    assert "--yes" in asked.err


def test_an_event_is_shown_without_its_signature_and_its_body_byte_for_byte(running: Running) -> None:
    event = sent(running)
    shown = running.run("events", "show", event)
    assert "x-signature: ***" in shown.out
    assert running.run("events", "show", event, "--body").out == '{"name": "Ana"}'


@pytest.mark.parametrize("words", [["events", "show"], ["deliveries", "show"], ["dead", "show"], ["dead", "replay"]])
def test_an_id_that_nobody_knows_exits_with_1(running: Running, words: list[str]) -> None:
    done = running.run(*words, "dlv_nothing")
    assert done.code == 1
    assert "dlv_nothing" in done.err


def test_lists_are_json_lines_with_id_and_status_first(running: Running) -> None:
    sent(running)
    for words in (["events", "list"], ["deliveries", "list"], ["dead", "list"], ["lanes", "list"]):
        for row in rows(running, *words):
            assert next(iter(row)) in ("id", "name")
            assert "status" in row
    assert len(rows(running, "deliveries", "list", "--limit", "1")) == 1


def test_since_leaves_out_what_is_older(running: Running) -> None:
    sent(running)
    assert rows(running, "events", "list", "--since", "1h")
    time.sleep(1.1)
    assert rows(running, "events", "list", "--since", "1s") == []


def test_dead_letters_are_counted_by_cause_and_exported_whole(running: Running) -> None:
    event = sent(running)
    causes = rows(running, "dead", "list", "--by-cause")
    assert {str(row["name"]) for row in causes} == {"http 404"}
    exported = running.run("dead", "export", "--event", event)
    letter = json.loads(exported.out)
    assert letter["event"]["body"] == '{"name": "Ana"}'
    assert "t0ken-of-the-sink" not in exported.out


def test_discarding_keeps_who_and_why(running: Running) -> None:
    letter = letter_of(running, sent(running))
    done = running.run("dead", "discard", letter, "--reason", "a test")
    assert (done.code, done.out) == (0, "1 discarded\n")
    assert "a test" in str(rows(running, "deliveries", "show", letter)[0]["summary"])
    assert running.run("dead", "discard", letter, "--reason", "again").code == 1


def test_an_edit_that_changes_nothing_is_not_kept_and_an_edit_of_what_is_delivered_is_refused(running: Running) -> None:
    event = sent(running)
    same = running.run("dead", "edit", letter_of(running, event), "--file", "-", text='{"name": "Ana"}')
    assert same.code == 0
    assert "nothing was kept" in same.err
    (delivered,) = rows(running, "deliveries", "list", "--event", event, "--status", "delivered")
    refused = running.run("dead", "edit", str(delivered["id"]), "--file", "-", text="{}")
    assert refused.code == 2
    assert "only a dead letter can be edited" in refused.err


def test_a_lane_is_paused_with_a_reason_and_what_comes_meanwhile_waits_until_it_is_resumed(running: Running) -> None:
    assert running.run("lanes", "pause", "drop", "--reason", "the disk is moved").out == "1 paused\n"
    (lane,) = rows(running, "lanes", "list", "--status", "paused")
    assert lane["name"] == "drop"
    assert "the disk is moved" in str(lane["reason"])
    event = json.loads(running.run("send", "chat", SAMPLE, "--json").out)["id"]
    eventually(lambda: rows(running, "lanes", "list", "--status", "paused")[0]["waiting"], pause=0.2)
    assert running.run("lanes", "resume", "drop").out == "1 resumed\n"

    def delivered() -> list[dict[str, object]]:
        return rows(running, "deliveries", "list", "--event", event, "--status", "delivered")

    eventually(delivered, pause=0.2)
    assert running.run("lanes", "resume", "nothing").code == 1


def test_doctor_finds_nothing_wrong_with_the_embedded_store(running: Running) -> None:
    done = running.run("doctor", "--json")
    assert done.code == 0, done
    found = [json.loads(line) for line in done.out.splitlines()]
    settings = {row["name"]: row for row in found if row["kind"] == "setting"}
    assert settings["recipes"]["status"] == "RELAY_RECIPES"
    assert settings["workers"]["status"] == "default"
    store = [row for row in found if row["kind"] == "finding" and row["name"] == "store"]
    assert [row["status"] for row in store] == ["ok"], store


def test_doctor_mends_what_disagrees_in_the_store_while_the_relay_runs(running: Running) -> None:
    def books(option: str, code: int) -> list[tuple[str, str]]:
        done = running.run("doctor", option, "--json")
        assert done.code == code, done
        found = [json.loads(line) for line in done.out.splitlines()]
        return [(row["status"], row["message"]) for row in found if row["name"] == "books"]

    event = sent(running)
    ((status, message),) = books("--books", 0)
    assert status == "ok"
    assert message.endswith("keys looked at: everything is where it should be")
    with contextlib.closing(redis.Redis.from_url(embedded.url(running.relay.folder / "data"))) as client:
        client.hset(f"relay:e:{event}", "open", 5)
        client.zadd("relay:x:dead", {"dlv_nothing": 1})
    assert sorted(books("--books", 1)) == [
        ("error", "dlv_nothing: x:dead lists it, and it is not there; relay doctor --mend mends it"),
        ("error", f"{event}: it counts 5 open deliveries, and there are 1; relay doctor --mend mends it"),
    ]
    assert "dlv_nothing: x:dead lists it, and it is not there; mended" in [text for _, text in books("--mend", 0)]
    assert [status for status, _ in books("--books", 0)] == ["ok"]
