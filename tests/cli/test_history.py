"""relay recipes history, diff, restore and show --version, beside a running relay."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.cli.history import write_whole
from relay.errors import ConfigError
from relay.recipes import version_of
from relay.testing import RecordingServer
from tests.cli.conftest import Run, _in_this_process, workspace
from tests.flow.test_races import store_of
from tests.harness import Relay, eventually, relay_up

TEXTS = [
    f"# {word}\nrecipe: {word}\ncatch: chat\nsteps:\n  a: {{to: sink, with: {{path: /{word}}}}}\n" for word in "abc"
]
A, B, C = map(version_of, TEXTS)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A recipe that has had three versions: a, b, c."""
    folder = tmp_path_factory.mktemp("relay")
    with RecordingServer() as sink:
        workspace(folder, sink.url)
        (folder / "recipes" / "one.yaml").write_text(TEXTS[0])
        with relay_up(folder) as relay:
            for text in TEXTS[1:]:
                save(relay, text)
            yield relay


def save(relay: Relay, text: str, event: str = "workspace.reloaded") -> None:
    """Save, and wait until both processes have seen it."""
    since = len(relay.lines)
    (relay.folder / "recipes" / "one.yaml").write_text(text)
    eventually(lambda: len([line for line in relay.lines[since:] if line.get("event") == event]) == 2)


@pytest.fixture
def running(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Relay, Run]]:
    for name, value in relay.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RELAY_USER", "ana")
    monkeypatch.chdir(relay.folder)
    yield relay, _in_this_process(monkeypatch, capsys)
    path = relay.folder / "recipes" / "one.yaml"
    for old in path.parent.glob("one.yaml.bak*"):
        old.unlink()
    path.write_text(TEXTS[2])
    since = len(relay.lines)
    for name in ("web", "worker"):
        relay.children()[name].send_signal(signal.SIGHUP)
    eventually(lambda: len([1 for line in relay.lines[since:] if line.get("event") == "workspace.reloaded"]) == 2)


def rows(run: Run, *words: str) -> list[dict[str, Any]]:
    done = run("recipes", *words, "--json")
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_history_is_newest_first_with_lines_changed_and_where_the_file_stands(running: tuple[Relay, Run]) -> None:
    _, run = running
    found = rows(run, "history", "one")
    assert [next(iter(row)) for row in found] == ["name"] * len(found)
    newest, second, *_, oldest = found
    assert (newest["status"], newest["version"], newest["until"], newest["file"]) == ("in force", C, None, True)
    assert (second["status"], second["version"], second["until"]) == ("earlier", B, newest["from"])
    assert (newest["added"], newest["removed"]) == (3, 3)
    assert (oldest["version"], oldest["added"], oldest["removed"]) == (A, 5, 0)
    assert all(row["by"].split()[0] in ("web", "worker") for row in found)
    table = run("recipes", "history", "one").out
    assert f"{C}  in force" in table
    assert "+3 −3" in table


def test_a_file_with_an_error_stands_above_what_is_in_force(running: tuple[Relay, Run]) -> None:
    relay, run = running
    text = TEXTS[2].replace("sink", "snik")
    save(relay, text, "workspace.refused")
    newest, second, *_ = rows(run, "history", "one")
    assert (newest["status"], newest["version"], newest["file"]) == ("refused", version_of(text), True)
    assert (newest["added"], newest["removed"]) == (1, 1)
    assert (second["status"], second["version"], second["file"]) == ("in force", C, False)
    assert "unknown connection `snik`" in run("recipes", "history", "one").err
    diff = run("recipes", "diff", "one").out
    assert "-  a: {to: sink, with: {path: /c}}" in diff
    assert "+  a: {to: snik, with: {path: /c}}" in diff


def test_a_recipe_that_nobody_knows_is_told_with_the_nearest(running: tuple[Relay, Run]) -> None:
    _, run = running
    for words in (["history", "on"], ["diff", "on"], ["restore", "on", "a"], ["show", "on", "--version", "a"]):
        done = run("recipes", *words)
        assert done.code == 2
        assert "did you mean `one`?" in done.err


def test_two_versions_are_compared_and_prefixes_will_do(running: tuple[Relay, Run]) -> None:
    _, run = running
    lines = run("recipes", "diff", "one", A[:5], B).out.splitlines()
    assert lines[:2] == [f"--- one@{A}", f"+++ one@{B}"]
    assert "-# a" in lines
    assert "+# b" in lines
    (row,) = rows(run, "diff", "one", A[:5], B)
    assert (row["name"], row["status"], row["from"], row["to"]) == ("one", "different", A, B)
    assert row["diff"].splitlines() == lines


def test_without_versions_the_last_two_are_compared_where_the_file_is_in_force(running: tuple[Relay, Run]) -> None:
    _, run = running
    (row,) = rows(run, "diff", "one")
    assert row["to"] == C
    assert row["from"] in (A, B)


def test_one_version_is_compared_with_the_file(running: tuple[Relay, Run]) -> None:
    _, run = running
    (row,) = rows(run, "diff", "one", A)
    assert (row["from"], row["to"].endswith("one.yaml")) == (A, True)
    done = run("recipes", "diff", "one", C)
    assert (done.code, done.out) == (0, "")
    assert "are the same" in done.err


def test_a_version_that_nobody_knows_or_that_may_be_several_is_told(running: tuple[Relay, Run]) -> None:
    _, run = running
    done = run("recipes", "show", "one", "--version", "zzz")
    assert done.code == 2
    assert "unknown version `zzz`" in done.err
    done = run("recipes", "diff", "one", "")
    assert done.code == 2
    assert "write more of it" in done.err
    assert run("recipes", "diff", "one", A, B, C).code == 2


def test_show_gives_an_older_text_as_it_was(running: tuple[Relay, Run]) -> None:
    _, run = running
    assert run("recipes", "show", "one", "--version", A[:6]).out == TEXTS[0]
    (row,) = rows(run, "show", "one", "--version", C)
    assert (row["name"], row["status"], row["version"], row["text"]) == ("one", "in force", C, TEXTS[2])


def test_restore_shows_what_it_would_do_and_asks(running: tuple[Relay, Run]) -> None:
    relay, run = running
    path = relay.folder / "recipes" / "one.yaml"
    dry = run("recipes", "restore", "one", A, "--dry-run")
    assert dry.code == 0
    assert "+# a" in dry.out
    asked = run("recipes", "restore", "one", A)
    assert asked.code == 2
    assert "--yes" in asked.err
    assert path.read_text() == TEXTS[2]


def test_what_is_restored_is_in_force_and_in_the_audit(running: tuple[Relay, Run]) -> None:
    relay, run = running
    since = len(relay.lines)
    done = run("recipes", "restore", "one", A[:7], "--yes")
    assert done.code == 0, done
    assert f"Wrote {A}" in done.out
    assert (relay.folder / "recipes" / "one.yaml").read_text() == TEXTS[0]
    eventually(lambda: len([1 for line in relay.lines[since:] if line.get("event") == "workspace.reloaded"]) == 2)
    newest, *_ = rows(run, "history", "one")
    assert (newest["version"], newest["status"]) == (A, "in force")
    assert list((relay.folder / "recipes").glob("*.bak*")) == [], "what it held is in the history"

    with store_of(relay) as store:
        entry = json.loads(store.xrevrange("relay:audit", count=1)[0][1]["j"])
    assert (entry["who"], entry["what"], entry["id"], entry["version"]) == ("ana", "restore", "one", A)


def test_what_the_file_held_is_kept_where_no_history_has_it(running: tuple[Relay, Run]) -> None:
    relay, run = running
    drafts = ["recipe: [\n", "recipe: {\n"]
    for draft in drafts:
        save(relay, draft, "workspace.refused")
        (row,) = rows(run, "restore", "one", C, "--yes")
        assert row["status"] == "restored"
        assert Path(row["kept_as"]).read_text() == draft
    kept = sorted(path.name for path in (relay.folder / "recipes").glob("*.bak*"))
    assert kept == ["one.yaml.bak", "one.yaml.bak1"], "none is written over another"
    (row,) = rows(run, "restore", "one", C)
    assert row["status"] == "as it was"


def test_what_today_s_relay_yaml_would_refuse_is_not_restored_unless_it_is_forced(running: tuple[Relay, Run]) -> None:
    relay, run = running
    root = relay.folder / "recipes" / "relay.yaml"
    text = root.read_text()
    root.write_text(text.replace("chat:", "form:"))
    try:
        done = run("recipes", "restore", "one", A, "--yes")
        assert done.code == 1
        assert f"one@{A}:3:8: unknown source `chat`" in done.err
        assert (relay.folder / "recipes" / "one.yaml").read_text() == TEXTS[2]
        assert run("recipes", "restore", "one", A, "--yes", "--force").code == 0
        assert (relay.folder / "recipes" / "one.yaml").read_text() == TEXTS[0]
    finally:
        root.write_text(text)


def test_a_recipe_that_was_deleted_can_be_had_again(running: tuple[Relay, Run]) -> None:
    relay, run = running
    path = relay.folder / "recipes" / "one.yaml"
    since = len(relay.lines)
    path.unlink()
    eventually(lambda: len([1 for line in relay.lines[since:] if "recipes_removed" in line]) == 2)
    newest, *_ = rows(run, "history", "one")
    assert (newest["status"], newest["version"]) == ("removed", None)
    since = len(relay.lines)
    assert run("recipes", "restore", "one", C, "--yes").code == 0
    eventually(lambda: len([1 for line in relay.lines[since:] if "recipes_added" in line]) == 2)
    assert path.read_text() == TEXTS[2]


# -- writing


def test_a_file_is_written_whole_with_the_rights_and_the_link_it_has(tmp_path: Path) -> None:
    path, link = tmp_path / "a.yaml", tmp_path / "link.yaml"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, "new\r\nlines\n")
    assert path.read_bytes() == b"new\r\nlines\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.yaml", "link.yaml"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"a\.yaml can't be written: No space left on device"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]
