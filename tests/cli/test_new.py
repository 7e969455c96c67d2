"""relay capture and relay new: from a real event, or a file, to a recipe that works as it is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run, Running
from tests.harness import eventually

SAMPLE = "recipes/samples/chat-closed.json"


@pytest.fixture
def starter(run: Run) -> Run:
    assert run("init").code == 0
    return run


def works(run: Run) -> None:
    checked = run("check")
    assert (checked.code, checked.out) == (0, "")
    assert "0 failed" in run("test").out


# --- relay new ---


def test_in_the_starter_workspace_it_drafts_from_the_sample_and_the_draft_works(starter: Run, tmp_path: Path) -> None:
    done = starter("new")
    assert done.code == 0, done
    first, *rest = done.out.splitlines()
    path = tmp_path / "recipes" / "chat-to-drop.yaml"
    assert first == f"Wrote {path}: what chat sends, to drop, and a test with samples/chat-closed.json."
    assert (rest[0], len(rest)) == ("Next:", 3)
    assert "relay try chat-to-drop --event " in done.out
    assert "relay test --recipe chat-to-drop" in done.out
    works(starter)
    assert starter("try", "chat-to-drop", "--event", SAMPLE).code == 0


def test_a_second_draft_gets_a_name_of_its_own_and_overwrites_nothing(starter: Run, tmp_path: Path) -> None:
    assert starter("new").code == 0
    first = (tmp_path / "recipes" / "chat-to-drop.yaml").read_text()
    assert starter("new").code == 0
    assert (tmp_path / "recipes" / "chat-to-drop-2.yaml").exists()
    assert (tmp_path / "recipes" / "chat-to-drop.yaml").read_text() == first
    works(starter)


def test_a_file_from_elsewhere_is_kept_as_a_sample(starter: Run, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text('{"id":7,"contact":{"name":"Ana Sousa","email":"ana@x.example"}}')
    done = starter("new", "exports", "--source", "chat", "--event", "export.json", "--to", "crm", "--json")
    row = json.loads(done.out)
    assert (row["name"], row["status"], row["sample"]) == ("exports", "drafted", "samples/chat-export.json")
    assert json.loads((tmp_path / "recipes" / row["sample"]).read_text())["id"] == 7
    works(starter)


def test_a_draft_of_masked_data_holds_none_of_it(starter: Run, tmp_path: Path) -> None:
    done = starter("new", "masked", "--event", SAMPLE, "--source", "chat", "--mask")
    assert done.code == 0, done
    assert "$.contact.email     e-mail" in done.out
    recipe = yaml.safe_load((tmp_path / "recipes" / "masked.yaml").read_text())
    sample = recipe["tests"][0]["event"]
    written = (tmp_path / "recipes" / "masked.yaml").read_text() + (tmp_path / "recipes" / sample).read_text()
    assert "Sousa" not in written
    assert "ana." not in written.lower()
    assert "Sousa" in (tmp_path / SAMPLE).read_text(), "what was there is as it was"
    works(starter)


def test_a_type_in_a_header_is_wanted_and_the_next_command_says_it(starter: Run, tmp_path: Path) -> None:
    relay_yaml = tmp_path / "recipes" / "relay.yaml"
    text = relay_yaml.read_text().replace(
        "connections:", '  git: {preset: github, secret: "${file:secrets/chat-key}"}\nconnections:'
    )
    relay_yaml.write_text(text)
    (tmp_path / "push.json").write_text('{"ref": "refs/heads/main", "pusher": {"name": "ana"}}')
    done = starter("new", "pushes", "--source", "git", "--event", "push.json", "-H", "X-GitHub-Event: push")
    assert done.code == 0, done
    assert "-H 'x-github-event: push'" in done.out
    recipe = yaml.safe_load((tmp_path / "recipes" / "pushes.yaml").read_text())
    assert recipe["types"] == ["push"]
    assert recipe["tests"][0]["headers"] == {"x-github-event": "push"}
    works(starter)


def test_what_other_samples_of_the_source_lack_may_be_absent(starter: Run, tmp_path: Path) -> None:
    (tmp_path / "recipes" / "samples" / "chat-short.json").write_text(
        '{"conversation": {"id": "c-1", "state": "open"}}'
    )
    assert starter("new", "x", "--source", "chat", "--event", SAMPLE).code == 0
    picks = yaml.safe_load((tmp_path / "recipes" / "x.yaml").read_text())["pick"]
    assert picks["conversation_id"] == "$.conversation.id"
    assert picks["email"] == "$.contact.email? | lower"


def test_where_there_is_nothing_to_draft_from_it_says_what_to_do(starter: Run, tmp_path: Path) -> None:
    done = starter("new", "--source", "inbox")
    assert done.code == 2
    assert "`relay capture inbox`" in done.err
    assert "`relay new --source inbox --event FILE`" in done.err


@pytest.mark.parametrize(
    ("relay_yaml", "hint"),
    [
        ("sources: {}\nconnections: {drop: {connector: file}}\n", "has no source yet"),
        ("sources: {chat: {verify: none}}\nconnections: {}\n", "has no connection yet"),
    ],
)
def test_an_unfinished_relay_yaml_is_told_what_to_write(
    starter: Run, tmp_path: Path, relay_yaml: str, hint: str
) -> None:
    (tmp_path / "recipes" / "relay.yaml").write_text(relay_yaml)
    done = starter("new")
    assert done.code == 2
    assert hint in done.err
    assert "such as" in done.err


def test_without_a_workspace_it_says_how_to_get_one(run: Run) -> None:
    for words in (["new"], ["capture", "chat"]):
        done = run(*words)
        assert done.code == 1
        assert "relay init" in done.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--to", "drup"], "did you mean `drop`?"),
        (["--source", "chatt"], "did you mean `chat`?"),
        (["closed-chats"], "there is a closed-chats.yaml already"),
        (["relay"], "there is a relay.yaml already"),
        (["../x"], "letters, digits"),
        (["--source", "chat", "--event", "nothing.json"], "nothing.json: No such file"),
        (["--event", "nothing.json"], "--source chat or inbox"),
        (["--event", SAMPLE, "-H", "x"], "NAME: VALUE"),
    ],
)
def test_what_cannot_be_is_told_with_the_nearest_or_the_remedy(starter: Run, words: list[str], hint: str) -> None:
    done = starter("new", *words)
    assert done.code == 2
    assert hint in done.err


def test_a_body_that_cannot_be_decoded_makes_no_recipe(starter: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": ')
    done = starter("new", "x", "--source", "chat", "--event", "x.json")
    assert done.code == 1
    assert "the body isn't JSON" in done.err
    assert not (tmp_path / "recipes" / "x.yaml").exists()


# --- relay capture, of files ---


def test_a_file_is_kept_laid_out_and_named_after_itself(starter: Run, tmp_path: Path) -> None:
    (tmp_path / "opened.json").write_text('{"a":{"b":1}}')
    done = starter("capture", "chat", "--file", "opened.json")
    assert done.code == 0, done
    assert (tmp_path / "recipes/samples/chat-opened.json").read_text() == '{\n  "a": {\n    "b": 1\n  }\n}\n'
    assert "relay new --source chat --event " in done.out


def test_standard_input_is_kept_as_what_it_looks_like(starter: Run, tmp_path: Path) -> None:
    for text, name in (
        ('{"a": 1}', "x.json"),
        ("a=1&b=2\n", "x.form"),
        ("<a><b>1</b></a>", "x.xml"),
        ("Hello", "x.txt"),
    ):
        assert starter("capture", "chat", "--file", "-", "--as", "x", text=text).code == 0
        assert (tmp_path / "recipes" / "samples" / name).exists()
    assert (tmp_path / "recipes" / "samples" / "x.form").read_text() == "a=1&b=2"


def test_what_is_there_is_overwritten_only_where_that_is_said(starter: Run, tmp_path: Path) -> None:
    path = tmp_path / "recipes" / "samples" / "mine.json"
    path.write_text("{}\n")
    done = starter("capture", "chat", "--file", "-", "--as", "mine.json", text='{"a": 1}')
    assert done.code == 2
    assert "Overwrite it?" in done.err
    assert path.read_text() == "{}\n"
    assert starter("capture", "chat", "--file", "-", "--as", "mine", "--yes", text='{"a": 1}').code == 0
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x.xml"])
def test_a_sample_is_named_within_its_folder_and_ends_as_what_it_is(starter: Run, name: str) -> None:
    done = starter("capture", "chat", "--file", SAMPLE, "--as", name)
    assert done.code == 2
    assert "--as" in done.err


def test_what_was_masked_is_listed_without_a_value(starter: Run) -> None:
    done = starter("capture", "chat", "--file", SAMPLE, "--as", "masked", "--mask", "--json")
    row = json.loads(done.out)
    assert (row["name"], row["status"]) == ("samples/masked.json", "kept")
    assert {"path": "$.contact.email", "kind": "e-mail"} in row["masked"]
    assert "Sousa" not in done.out


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["chatt"], 2, "did you mean `chat`?"),
        (["chat", "--last", "--file", "x"], 2, "say one of them"),
        (["chat", "--timeout", "5"], 2, "a duration is a number and its unit"),
        (["chat"], 3, "is `relay up` running?"),
        (["chat", "--last"], 3, "is `relay up` running?"),
    ],
)
def test_how_capture_is_used_wrongly(starter: Run, words: list[str], code: int, hint: str) -> None:
    done = starter("capture", *words)
    assert done.code == code
    assert hint in done.err


# --- with a relay ---

BODY = "recipes/samples/chat.json"


def post(running: Running, body: str) -> str:
    path = running.relay.folder / "posted.json"
    path.write_text(body)
    return str(json.loads(running.run("send", "chat", str(path), "--json").out)["id"])


def test_it_waits_for_the_next_event_tells_where_to_post_and_keeps_it(running: Running) -> None:
    post(running, '{"name": "before"}')
    words = [sys.executable, "-m", "relay", "capture", "chat", "--as", "next", "--yes", "--timeout", "30s"]
    waiting = subprocess.Popen(
        words, env=running.relay.environment | {"RELAY_PORT": os.environ["RELAY_PORT"]}, cwd=running.relay.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert waiting.stderr is not None
    told = ""
    while "Waiting" not in told:
        told += waiting.stderr.readline()
    assert f"{running.relay.url}/in/chat" in told
    assert "relay send chat FILE" in told, "it is signed over its body, which curl can't do"
    event = post(running, '{"name": "after"}')
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    assert f"Kept {event} as " in out
    assert json.loads((running.relay.folder / "recipes/samples/next.json").read_text()) == {"name": "after"}


def _hears_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_the_waiting_without_a_word_of_python(running: Running) -> None:
    words = [sys.executable, "-m", "relay", "capture", "chat"]
    waiting = subprocess.Popen(
        words,
        env=running.relay.environment,
        cwd=running.relay.folder,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has what it runs in the background ignore Ctrl-C, and so would we have inherited it.
        preexec_fn=_hears_ctrl_c,
    )
    assert waiting.stderr is not None
    while "Waiting" not in waiting.stderr.readline():
        pass
    time.sleep(0.3)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=15)
    assert waiting.returncode == 1
    assert err.strip() == "Nothing was kept."


def test_no_event_in_time_keeps_nothing(running: Running) -> None:
    done = running.run("capture", "chat", "--timeout", "100ms")
    assert done.code == 1
    assert "came in time" in done.err


def test_a_stored_event_is_kept_by_its_id_or_as_the_last(running: Running) -> None:
    event = post(running, '{"name": "one"}')
    done = running.run("capture", "chat", "--event", event, "--as", "one", "--yes", "--json")
    assert json.loads(done.out)["event"] == event
    assert "s3cret" not in (running.relay.folder / "recipes/samples/one.json").read_text()
    post(running, '{"name": "two"}')
    assert running.run("capture", "chat", "--last", "--as", "two", "--yes").code == 0
    assert json.loads((running.relay.folder / "recipes/samples/two.json").read_text()) == {"name": "two"}
    assert running.run("capture", "chat", "--event", "evt_nothing").code == 1


def test_a_recipe_is_drafted_from_the_newest_event_and_what_the_others_lack_may_be_absent(running: Running) -> None:
    post(running, '{"name": "Ana"}')
    event = post(running, '{"name": "Ben", "email": "ben@x.example"}')

    def there() -> bool:
        return json.loads(running.run("events", "list", "-n", "1", "--json").out)["id"] == event

    eventually(there)
    done = running.run("new", "drafted", "--source", "chat", "--event", event, "--to", "drop")
    assert done.code == 0, done
    picks = yaml.safe_load((running.relay.folder / "recipes" / "drafted.yaml").read_text())["pick"]
    assert picks == {"name": "$.name | trim", "email": "$.email? | lower"}
