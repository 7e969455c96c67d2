"""`relay test`: what it prints, how it ends, and what --update writes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli import updating
from relay.recipes import run_tests
from tests.cli.conftest import Run
from tests.harness import environment

RELAY_YAML = """\
sources:
  chat: {verify: none}
connections:
  drop: {connector: file}
"""
RECIPE = """\
recipe: Chats to a file
catch: chat
when: $.rating < 3
steps:
  row:
    to: drop
    do: csv
    with: {path: chats.csv, row: {Name: $.name, Rating: $.rating}}
tests:
  - name: a low one is a row      # the first
    event: samples/chat.json
    expect:
      row:
        path: chats.csv
        row: {Name: 'Ana', Rating: 1}  # as it came
  - name: a good one is none
    event: samples/chat.json
    change: {$.rating: 5}
    expect: skipped
"""
#: Two values of the first test are wrong, and the second test is.
WRONG = RECIPE.replace("'Ana'", "'Bo'").replace("path: chats.csv\n        row", "path: chat.csv\n        row").replace(
    "    expect: skipped", "    expect: {row: {path: chats.csv}}"
)  # fmt: skip


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """The recipe's file."""
    folder = tmp_path / "recipes"
    (folder / "samples").mkdir(parents=True)
    (folder / "relay.yaml").write_text(RELAY_YAML)
    (folder / "samples" / "chat.json").write_text('{"name": "Ana", "rating": 1}')
    recipe = folder / "chats.yaml"
    recipe.write_text(RECIPE)
    return recipe


def test_each_test_is_told_and_the_last_line_counts(run: Run, chats: Path) -> None:
    done = run("test", "recipes")
    assert (done.code, done.err) == (0, "")
    assert done.out == "passed  chats: a low one is a row\npassed  chats: a good one is none\n2 passed, 0 failed\n"


def test_what_differs_is_shown_with_what_was_expected_above_what_came(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    done = run("test", "recipes")
    assert done.code == 1
    assert (
        done.out
        == """\
failed  chats: a low one is a row
        recipes/chats.yaml:14:15: row.path
            expected  "chat.csv"
            got       "chats.csv"
        recipes/chats.yaml:15:21: row.row.Name
            expected  "Bo"
            got       "Ana"
failed  chats: a good one is none
        recipes/chats.yaml:19:14: row
            expected  to be sent
            got       skipped: when $.rating < 3: $.rating is 5
0 passed, 2 failed
"""
    )


def test_a_broken_recipe_counts_as_a_failure_and_others_run(run: Run, chats: Path) -> None:
    chats.with_name("broken.yaml").write_text("recipe: [\n")
    done = run("test", "recipes")
    assert done.code == 1
    assert "broken  broken: see relay check" in done.err
    assert done.out.endswith("2 passed, 1 failed\n")
    assert run("test", "recipes", "--recipe", "chats").code == 0
    assert run("test", "recipes", "--recipe", "recipes/chats.yaml").code == 0


def test_it_is_for_scripts_too(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    done = run("test", "recipes", "--json")
    assert done.code == 1
    first, second = [json.loads(line) for line in done.out.splitlines()]
    assert list(first)[:2] == ["name", "status"]
    assert (first["name"], first["status"], first["passed"]) == ("chats: a low one is a row", "failed", False)
    assert first["place"] == "recipes/chats.yaml:14:15"
    assert first["diff"].startswith('recipes/chats.yaml:14:15: row.path\n    expected  "chat.csv"')
    assert [one["about"] for one in first["differences"]] == ["row.path", "row.row.Name"]
    assert second["recipe"] == "chats"


# --- --update ---


def test_update_writes_what_came_and_the_tests_pass(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    chats.chmod(0o640)
    done = run("test", "recipes", "--update", "--yes")
    assert done.code == 0, done
    assert done.out == (
        "updated recipes/chats.yaml: 3 values\n"
        "passed  chats: a low one is a row\npassed  chats: a good one is none\n2 passed, 0 failed\n"
    )
    assert chats.read_text() == RECIPE.replace("expect: skipped", "expect: {row: skipped}")
    assert chats.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in chats.parent.iterdir() if path.name.startswith(".chats")] == []


def test_a_recipe_that_is_a_link_stays_one(run: Run, chats: Path, tmp_path: Path) -> None:
    chats.write_text(WRONG)
    elsewhere = chats.rename(tmp_path / "elsewhere.yaml")
    chats.symlink_to(elsewhere)
    assert run("test", "recipes", "--update", "--yes").code == 0
    assert chats.is_symlink()
    assert "Name: 'Ana'" in elsewhere.read_text()


def test_a_dry_run_shows_what_would_be_written_and_writes_nothing(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    done = run("test", "recipes", "--update", "--dry-run")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[:2] == ["--- recipes/chats.yaml", "+++ recipes/chats.yaml"]
    assert "-        row: {Name: 'Bo', Rating: 1}  # as it came" in lines
    assert "+        row: {Name: 'Ana', Rating: 1}  # as it came" in lines
    assert sum(line.startswith(("+ ", "- ")) for line in lines) == 6
    assert lines[-1] == "0 passed, 2 failed"
    assert chats.read_text() == WRONG


def test_where_nothing_differs_nothing_is_written(run: Run, chats: Path) -> None:
    before = chats.stat().st_mtime_ns
    done = run("test", "recipes", "--update", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "2 passed, 0 failed")
    assert chats.stat().st_mtime_ns == before
    assert run("test", "recipes", "--update").code == 0, "there is nothing to ask"


def test_without_a_terminal_somebody_has_to_say_yes(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    done = run("test", "recipes", "--update")
    assert done.code == 2
    assert "3 values in 1 recipe would be written. Say --yes to go on" in done.err
    assert chats.read_text() == WRONG


@pytest.mark.parametrize("flag", ["--yes", "--dry-run"])
def test_the_flags_of_update_do_nothing_alone(run: Run, chats: Path, flag: str) -> None:
    done = run("test", "recipes", flag)
    assert done.code == 2
    assert f"{flag} goes with --update" in done.err


def test_update_is_for_scripts_too(run: Run, chats: Path) -> None:
    chats.write_text(WRONG)
    done = run("test", "recipes", "--update", "--dry-run", "--json")
    (row,) = [json.loads(line) for line in done.out.splitlines()]
    assert (row["name"], row["status"], row["values"]) == ("recipes/chats.yaml", "would update", 3)
    rows = [json.loads(line) for line in run("test", "recipes", "--update", "--yes", "--json").out.splitlines()]
    assert [row["status"] for row in rows] == ["updated", "passed", "passed"]
    assert rows[0]["diff"] == row["diff"]


def test_what_no_value_would_mend_stays_as_it_is(run: Run, chats: Path) -> None:
    text = WRONG.replace("samples/chat.json\n    expect", "samples/none.json\n    expect")
    chats.write_text(text)
    done = run("test", "recipes", "--update", "--yes")
    assert done.code == 1
    assert "there is no sample" in done.out
    assert done.out.endswith("1 passed, 1 failed\n")
    assert "'Bo'" in chats.read_text(), "nothing is known of what that test sends"


def test_a_recipe_whose_tests_still_fail_is_put_back(run: Run, chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that sends the time of day would."""
    chats.write_text(WRONG)
    wrong = run_tests(updating.load_workspace(chats.parent))
    monkeypatch.setattr(updating, "run_tests", lambda *_: wrong)
    done = run("test", "recipes", "--update", "--yes")
    assert done.code == 1
    assert "put back  recipes/chats.yaml: the test “a low one is a row” still fails: " in done.err
    assert done.out.endswith("0 passed, 2 failed\n")
    assert chats.read_text() == WRONG


# --- asked on a terminal ---


def asked(chats: Path, answers: str, *, meanwhile: str | None = None) -> tuple[int, str]:
    """(exit code, what was printed), where a person types the answers. meanwhile: the file's text before they do."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "test", "recipes", "--update"],
        env=environment(chats.parent.parent),
        cwd=chats.parent.parent,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.close(terminal)
    assert process.stdout is not None
    printed = b""
    while b"(y/n/all/quit)" not in printed:
        printed += process.stdout.read1()
    if meanwhile is not None:
        chats.write_text(meanwhile)
    os.write(master, answers.encode())
    rest, _ = process.communicate(timeout=30)
    os.close(master)
    return process.returncode, (printed + rest).decode()


def test_each_difference_is_shown_and_asked_about(chats: Path) -> None:
    chats.write_text(WRONG)
    code, printed = asked(chats, "n\nperhaps\ny\ny\n")
    assert code == 1
    assert "(1 of 3) chats: a low one is a row" in printed
    assert '  recipes/chats.yaml:15:21: row.row.Name\n      expected  "Bo"\n      got       "Ana"\n' in printed
    assert '  to be written: "Ana"' in printed
    assert "y: write it" in printed, "a word that is none of the answers"
    assert printed.endswith("1 passed, 1 failed\n")
    text = chats.read_text()
    assert ("path: chat.csv" in text, "'Ana'" in text, "{row: skipped}" in text) == (True, True, True)


def test_all_takes_the_rest_and_quit_keeps_what_was_agreed_to(chats: Path) -> None:
    chats.write_text(WRONG)
    assert asked(chats, "all\n")[0] == 0
    chats.write_text(WRONG)
    code, printed = asked(chats, "y\nquit\n")
    assert (code, "(3 of 3)" in printed) == (1, False)
    assert chats.read_text() == WRONG.replace("chat.csv", "chats.csv")
    chats.write_text(WRONG)
    assert asked(chats, "\x04")[0] == 1, "the end of the input"
    assert chats.read_text() == WRONG


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(chats: Path) -> None:
    chats.write_text(WRONG)
    code, printed = asked(chats, "all\n", meanwhile=WRONG + "# mine\n")
    assert code == 2
    assert "recipes/chats.yaml was changed meanwhile: run it again. Nothing was written." in printed
    assert chats.read_text() == WRONG + "# mine\n"
