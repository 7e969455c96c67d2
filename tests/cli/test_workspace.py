"""init, check, recipes and connectors need no relay: they read files, and send nothing."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_init_writes_a_workspace_that_check_and_test_accept(run: Run, tmp_path: Path) -> None:
    done = run("init")
    assert done.code == 0
    assert "relay up" in done.out
    assert run("check").code == 0
    tested = run("test")
    assert tested.code == 0
    assert "0 failed" in tested.out
    assert (tmp_path / "recipes" / "secrets" / "chat-key").exists()


def test_init_refuses_to_overwrite(run: Run, tmp_path: Path) -> None:
    assert run("init", "mine").code == 0
    recipe = tmp_path / "mine" / "closed-chats.yaml"
    recipe.write_text("# changed\n")
    done = run("init", "mine")
    assert done.code == 2
    assert "is a workspace already" in done.err
    assert recipe.read_text() == "# changed\n"


def test_init_writes_the_cookbook_where_it_is_asked_to(run: Run, tmp_path: Path) -> None:
    done = run("init", "--cookbook")
    assert done.code == 0
    assert "relay test cookbook" in done.out
    checked = run("check", "cookbook", "--strict", "--ignore", "unset-secret")
    assert (checked.code, checked.out) == (0, "")
    assert "0 failed" in run("test", "cookbook").out
    shown = run("try", "meetings", "--recipes", "cookbook")
    assert (shown.code, "Campus tour" in shown.out) == (0, True)
    assert not (tmp_path / "recipes").exists()


def test_the_cookbook_goes_into_no_workspace(run: Run, tmp_path: Path) -> None:
    assert run("init", "mine").code == 0
    done = run("init", "--cookbook", "mine")
    assert done.code == 2
    assert "is a workspace already" in done.err
    assert not (tmp_path / "mine" / "meetings.yaml").exists()


def test_init_for_another_folder_says_how_to_run_it(run: Run) -> None:
    assert "relay up --recipes 'my recipes'" in run("init", "my recipes").out


def test_check_names_file_line_and_column_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    recipe = tmp_path / "recipes" / "closed-chats.yaml"
    recipe.write_text(recipe.read_text().replace("    to: drop", "    to: drup"))
    done = run("check")
    assert done.code == 1
    line = next(i for i, text in enumerate(recipe.read_text().splitlines(), 1) if "drup" in text)
    assert f"recipes/closed-chats.yaml:{line}:9: error: unknown connection `drup`: did you mean `drop`?" in done.out
    assert "1 error" in done.err


def test_check_is_for_scripts_too(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    (tmp_path / "recipes" / "empty.yaml").write_text("")
    done = run("check", "--json")
    assert done.code == 1
    (problem,) = [json.loads(line) for line in done.out.splitlines()]
    assert next(iter(problem)) == "name"
    assert (problem["status"], problem["recipe"], problem["line"]) == ("error", "empty", 1)
    assert problem["file"].endswith("recipes/empty.yaml")


def test_check_of_a_relay_yaml_that_is_no_yaml_names_the_place(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    (tmp_path / "recipes" / "relay.yaml").write_text("sources: [\n")
    done = run("check")
    assert done.code == 1
    assert "recipes/relay.yaml:" in done.err


def test_check_of_a_folder_that_is_no_workspace_is_no_success(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = run("check", "nothing")
    assert done.code == 1
    assert "relay.yaml" in done.err


def test_up_tells_a_relay_yaml_that_cannot_be_read_once_and_starts_nothing(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    (tmp_path / "recipes" / "relay.yaml").write_text("sources: [\n")
    done = run("up", "--port", "0")
    assert done.code == 1
    assert "recipes/relay.yaml:" in done.err
    assert done.out == ""
    assert not (tmp_path / "data").exists()


def test_a_recipe_that_nobody_knows_is_told_with_the_nearest(run: Run) -> None:
    assert run("init").code == 0
    for words in (["test", "--recipe", "closed-chat"], ["recipes", "show", "closed-chat"]):
        done = run(*words)
        assert done.code == 2
        assert "did you mean `closed-chats`?" in done.err
    done = run("try", "closed-chat", "--event", "recipes/samples/chat-closed.json")
    assert "did you mean `closed-chats`?" in done.err


def test_recipes_are_listed_with_what_is_wrong(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    (tmp_path / "recipes" / "empty.yaml").write_text("")
    rows = {row["name"]: row for row in map(json.loads, run("recipes", "list", "--json").out.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {"closed-chats": "valid", "empty": "broken"}
    shown = run("recipes", "show", "closed-chats")
    assert shown.out == (tmp_path / "recipes" / "closed-chats.yaml").read_text()


def test_connectors_are_listed_and_described(run: Run) -> None:
    listed = [json.loads(line) for line in run("connectors", "--json").out.splitlines()]
    assert {"http", "file", "sftp"} <= {row["name"] for row in listed}
    assert "base_url" in run("connectors", "http").out
