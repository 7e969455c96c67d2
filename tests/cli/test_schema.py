"""`relay schema` prints what editors read, or writes it where they look."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from jsonschema import Draft7Validator

from relay import starter
from relay.cli import processes
from relay.recipes import schema
from relay.settings import Settings
from tests.cli.conftest import Run


def test_it_prints_the_schema_of_a_recipe_of_this_workspace(run: Run) -> None:
    assert run("init").code == 0
    for words in (("schema",), ("schema", "recipe")):
        done = run(*words)
        assert done.code == 0
        printed = json.loads(done.out)
        Draft7Validator.check_schema(printed)
        assert printed["properties"]["catch"]["enum"] == ["chat", "inbox"]


def test_it_prints_the_schema_of_relay_yaml(run: Run) -> None:
    done = run("schema", "workspace")
    assert done.code == 0
    assert {"sources", "connections"} <= json.loads(done.out)["properties"].keys()


def test_without_a_workspace_or_in_general_any_name_passes(run: Run) -> None:
    assert "enum" not in json.loads(run("schema").out)["properties"]["catch"]
    assert run("init").code == 0
    assert "enum" not in json.loads(run("schema", "--general").out)["properties"]["catch"]


def test_it_writes_into_the_workspace_or_into_a_folder(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    done = run("schema", "--write", "--output", "schemas", "--recipes", "recipes")
    assert done.code == 0
    assert done.out.splitlines() == [
        "Wrote schemas/recipe.json",
        "Wrote schemas/workspace.json",
        "recipes/.schema is up to date.",
    ]
    for name in ("recipe.json", "workspace.json"):
        assert (tmp_path / "schemas" / name).read_text() == (tmp_path / "recipes" / ".schema" / name).read_text()


def test_init_writes_the_schemas_that_its_files_name(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    folder = tmp_path / "recipes"
    for file in folder.glob("*.yaml"):
        line = file.read_text().partition("\n")[0]
        assert line in schema.MODELINES.values()
        assert (folder / line.partition("$schema=")[2]).exists()
    assert schema.FOLDER not in (folder / ".gitignore").read_text()
    assert starter.is_example(folder)


def test_up_renews_the_schemas_where_there_are_any(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    folder = tmp_path / "recipes"
    settings = Settings.read({"recipes": folder})
    with (folder / "relay.yaml").open("a") as file:
        file.write("  spare: {connector: file}\n")
    processes._prepare(settings)
    assert '"spare"' in (folder / ".schema" / "recipe.json").read_text()

    shutil.rmtree(folder / ".schema")
    processes._prepare(settings)
    assert not (folder / ".schema").exists()


def test_what_makes_no_sense_is_wrong_usage(run: Run) -> None:
    for words in (["recipy"], ["--write"], ["--write", "--general"]):
        done = run("schema", *words)
        assert done.code == 2
        assert "error:" in done.err


def test_a_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("schema", "--output", "file/x")
    assert done.code == 2
    assert "can't be written into file/x" in done.err
