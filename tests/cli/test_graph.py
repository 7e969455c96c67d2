"""relay recipes graph and clone: they read files, and clone writes one that was checked before."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.cli.conftest import Run


def test_the_starter_is_drawn_as_mermaid_or_as_svg(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    done = run("recipes", "graph")
    assert done.code == 0
    assert done.out.startswith("flowchart LR\n")
    done = run("recipes", "graph", "--output", "all.svg")
    assert (done.code, done.out) == (0, "Wrote all.svg: 1 recipe from 1 source to 2 connections.\n")
    assert ET.fromstring((tmp_path / "all.svg").read_text()).tag.endswith("svg")
    assert run("recipes", "graph", "closed-chats", "--format", "svg").out.startswith("<svg ")


def test_a_recipe_that_nobody_knows_is_told_with_the_nearest(run: Run) -> None:
    assert run("init").code == 0
    for words in (["graph", "closed-chat"], ["clone", "closed-chat", "x"]):
        done = run("recipes", *words)
        assert done.code == 2
        assert "did you mean `closed-chats`?" in done.err


def test_a_drawing_that_mermaid_would_refuse_is_told_and_written_all_the_same(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    text = (tmp_path / "recipes" / "closed-chats.yaml").read_text()
    for number in range(130):
        (tmp_path / "recipes" / f"copy-{number}.yaml").write_text(text)
    done = run("recipes", "graph")
    assert "take --format svg" in done.err
    assert done.out.startswith("flowchart LR\n")


def test_a_clone_is_a_recipe_of_its_own_that_passes_its_tests(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    done = run("recipes", "clone", "closed-chats", "closed-chats-2")
    path = tmp_path / "recipes" / "closed-chats-2.yaml"
    assert (done.code, done.out) == (0, f"Wrote {path}, a copy of closed-chats.\n")
    assert run("check").code == 0
    assert run("test", "--recipe", "closed-chats-2").code == 0
    old = (tmp_path / "recipes" / "closed-chats.yaml").read_text().splitlines()
    new = (tmp_path / "recipes" / "closed-chats-2.yaml").read_text().splitlines()
    assert [line for line, other in zip(new, old, strict=True) if line != other] == [
        "recipe: Closed chats to a CSV file and to the CRM (closed-chats-2)"
    ]


def test_a_clone_for_another_source_and_connection_says_what_it_changed(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    relay_yaml = tmp_path / "recipes" / "relay.yaml"
    relay_yaml.write_text(relay_yaml.read_text() + "  vault: {connector: file, folder: vault}\n")
    words = ("--source", "inbox", "--to", "drop=vault", "--title", "Chats into the vault", "--json")
    row = json.loads(run("recipes", "clone", "closed-chats", "vaulted", *words).out)
    path = tmp_path / "recipes" / "vaulted.yaml"
    assert list(row)[:2] == ["name", "status"]
    assert row == {
        "name": "vaulted",
        "status": "cloned",
        "file": str(path),
        "from": "closed-chats",
        "source": "inbox",
        "to": {"drop": "vault"},
    }
    text = path.read_text()
    assert "\nrecipe: Chats into the vault\ncatch: inbox\n" in f"\n{text}"
    assert "    to: vault\n" in text


def test_a_clone_that_would_be_broken_is_not_written(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    done = run("recipes", "clone", "closed-chats", "wrong", "--to", "drop=crm")
    assert done.code == 1
    assert "recipes/wrong.yaml:" in done.err
    assert "Nothing was written" in done.err
    assert not (tmp_path / "recipes" / "wrong.yaml").exists()


def test_a_clone_never_overwrites_and_leaves_no_folder(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    for name in ("closed-chats", "relay", "../other", "a/b", ""):
        done = run("recipes", "clone", "closed-chats", name)
        assert done.code == 2, name
    assert sorted(path.name for path in (tmp_path / "recipes").glob("*.yaml")) == ["closed-chats.yaml", "relay.yaml"]


def test_names_that_are_not_there_are_told_with_the_nearest(run: Run) -> None:
    assert run("init").code == 0
    for words, hint in (
        (["--source", "inbx"], "did you mean `inbox`?"),
        (["--to", "drop=crn"], "did you mean `crm`?"),
        (["--to", "drup=crm"], "did you mean `drop`?"),
        (["--to", "drop"], "write OLD=NEW"),
    ):
        done = run("recipes", "clone", "closed-chats", "x", *words)
        assert done.code == 2
        assert hint in done.err
