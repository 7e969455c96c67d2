"""Exit codes: 0 done, 1 the thing asked about is wrong, 2 wrong usage, 3 the relay cannot be reached."""

from __future__ import annotations

import socket

import pytest

from tests.cli.conftest import Run

WRONG = {
    "an unknown command": ["ded"],
    "an unknown flag": ["up", "--prot", "9000"],
    "a port that is none": ["up", "--port", "99999"],
    "no workers": ["up", "--workers", "0"],
    "an argument that is missing": ["send", "chat"],
    "a time that is none": ["events", "list", "--since", "yesterday"],
    "a status that is none": ["deliveries", "list", "--status", "ded"],
    "an event's status that is none": ["events", "list", "--status", "cought"],
    "a lane's status that is none": ["lanes", "list", "--status", "pawsed"],
    "a change to nothing": ["dead", "replay"],
    "a discard without a reason": ["dead", "discard", "dlv_1"],
    "a version that is none": ["dead", "replay", "dlv_1", "--version", "older"],
    "a replay of no events": ["events", "replay"],
    "a pause of no lane": ["lanes", "pause"],
    "a connector that is none": ["connectors", "htp"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_exits_with_2_and_no_traceback(run: Run, words: list[str]) -> None:
    done = run("init") if words[0] == "connectors" else None
    assert done is None or done.code == 0
    done = run(*words)
    assert done.code == 2, done
    assert "Traceback" not in done.err
    assert done.err.strip()


def test_a_wrong_status_is_told_with_the_one_that_was_meant(run: Run) -> None:
    assert "did you mean `dead`?" in run("deliveries", "list", "--status", "ded").err
    assert "did you mean `paused`?" in run("lanes", "list", "--status", "pawsed").err


ASKS_THE_STORE = [
    ["events", "list"],
    ["events", "show", "evt_1"],
    ["events", "replay", "evt_1"],
    ["deliveries", "list"],
    ["deliveries", "show", "dlv_1"],
    ["dead", "list"],
    ["dead", "show", "dlv_1"],
    ["dead", "replay", "--all", "--yes"],
    ["dead", "export"],
    ["lanes", "list"],
    ["lanes", "pause", "crm"],
    ["recipes", "history", "closed-chats"],
    ["recipes", "diff", "closed-chats"],
    ["recipes", "restore", "closed-chats", "3f2a", "--yes"],
    ["recipes", "show", "closed-chats", "--version", "3f2a"],
]


@pytest.mark.parametrize("words", ASKS_THE_STORE, ids=" ".join)
def test_where_no_relay_runs_it_exits_with_3_and_says_what_to_start(run: Run, words: list[str]) -> None:
    assert run("init").code == 0
    done = run(*words)
    assert done.code == 3, done
    assert "is `relay up` running?" in done.err
    assert done.out == ""


def test_a_store_that_is_named_and_away_is_told_by_its_flag(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        done = run("events", "list", "--redis-url", f"redis://127.0.0.1:{port}/0")
    assert done.code == 3
    assert "--redis-url" in done.err


def test_sending_to_a_port_where_nothing_listens_exits_with_3(run: Run) -> None:
    assert run("init").code == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = run("send", "chat", "recipes/samples/chat-closed.json", "--url", url)
    assert done.code == 3
    assert url in done.err


def test_a_bad_variable_is_told_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_KEEP", "7")
    done = run("events", "list")
    assert done.code == 2
    assert "RELAY_KEEP" in done.err
