"""`relay check` for people, for scripts, for GitHub's annotations and for tools that read SARIF."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from relay.cli import check_formats
from relay.errors import Place
from relay.recipes import Problem
from relay.recipes.codes import CODES, WARNINGS
from tests.cli.conftest import Run

RELAY_YAML = """\
sources:
  chat: {verify: none}
connections:
  drop: {connector: file}
"""
RECIPE = """\
recipe: Chats
catch: chat
pick: {name: $.name}
steps:
  row: {to: drop, do: csv, with: {path: a.csv, row: {Name: $.name}}}
tests: []
"""
CLEAN = RECIPE.replace("pick: {name: $.name}\n", "")
BROKEN = CLEAN.replace("to: drop", "to: drup")
UNVERIFIED = "relay.yaml:2:18: warning: `verify: none`: whoever knows the address of `chat` is believed"


def write(folder: Path, recipe: str = RECIPE, relay_yaml: str = RELAY_YAML) -> None:
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / "recipes" / "relay.yaml").write_text(relay_yaml)
    (folder / "recipes" / "chats.yaml").write_text(recipe)


def test_it_tells_people_what_is_wrong_where_and_sums_up(run: Run, tmp_path: Path) -> None:
    write(tmp_path)
    done = run("check", "recipes")
    assert done.code == 0
    assert done.out.splitlines() == [
        "recipes/chats.yaml:3:8: warning: `name` is picked, and nothing uses it",
        f"recipes/{UNVERIFIED}",
    ]
    assert done.err == "recipes: 1 recipe, 0 errors, 2 warnings\n"


def test_strict_fails_for_warnings_too(run: Run, tmp_path: Path) -> None:
    write(tmp_path)
    assert run("check", "recipes", "--strict").code == 1
    write(tmp_path, CLEAN, RELAY_YAML.replace("none}", "none} # relay: ignore unverified"))
    assert run("check", "recipes", "--strict").code == 0


def test_warnings_of_a_kind_can_be_left_out_where_they_say_nothing_new(run: Run, tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    done = run("check", "recipes", "--strict", "--ignore", "unverified", "--ignore", "no-tests")
    assert (done.code, done.out) == (0, "")
    write(tmp_path, BROKEN)
    assert run("check", "recipes", "--ignore", "unverified").code == 1
    done = run("check", "recipes", "--ignore", "unverifed")
    assert done.code == 2
    assert "did you mean `unverified`?" in done.err


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_for_scripts_it_is_one_object_a_line(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path, BROKEN)
    done = run("check", "recipes", *words)
    assert done.code == 1
    assert done.err == ""
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["name"], row["status"], row["code"]) for row in rows] == [
        ("recipes/chats.yaml:4:13", "error", "unknown-connection"),
        ("recipes/relay.yaml:2:18", "warning", "unverified"),
    ]
    assert list(rows[0]) == ["name", "status", "code", "message", "file", "line", "column", "recipe"]


def test_on_github_each_problem_is_an_annotation(run: Run, tmp_path: Path) -> None:
    write(tmp_path, BROKEN)
    done = run("check", "recipes", "--format", "github")
    assert done.code == 1
    error = "::error file=recipes/chats.yaml,line=4,col=13,title=relay check%3A unknown-connection"
    warning = "::warning file=recipes/relay.yaml,line=2,col=18,title=relay check%3A unverified"
    assert done.out.splitlines() == [
        f"{error}::unknown connection `drup`: did you mean `drop`?",
        f"{warning}::`verify: none`: whoever knows the address of `chat` is believed",
    ]


def test_an_annotation_is_escaped_as_github_reads_it() -> None:
    place = Place("recipes/50%, a:b.yaml", 3, 4)
    line = check_formats.github(Problem(place, "error", "100%\r\nof it: a, b"), {})
    assert line == (
        "::error file=recipes/50%25%2C a%3Ab.yaml,line=3,col=4,title=relay check%3A yaml::100%25%0D%0Aof it: a, b"
    )


def test_files_are_named_from_the_root_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "infra" / "relay").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "infra")
    assert check_formats.from_root("relay/a.yaml") == "relay/a.yaml"
    assert check_formats.from_root("relay/a.yaml", str(tmp_path)) == "infra/relay/a.yaml"
    assert check_formats.from_root(str(tmp_path / "infra" / "relay" / "a.yaml")) == "relay/a.yaml"
    assert check_formats.from_root("/elsewhere/a.yaml", str(tmp_path)) == "/elsewhere/a.yaml"


# What section 3 of the SARIF 2.1.0 standard asks of the objects that are written here, and no more than they have.
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": TEXT,
        "defaultConfiguration": {"properties": {"level": LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "rules": {"type": "array", "items": RULE, "uniqueItems": True},
    },
    "additionalProperties": False,
}
REGION = {
    "type": "object",
    "properties": {
        "startLine": {"type": "integer", "minimum": 1},
        "startColumn": {"type": "integer", "minimum": 1},
    },
    "additionalProperties": False,
}
ARTIFACT = {
    "type": "object",
    "properties": {
        "uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~!$&'()*+,;=@%/-]+$", "not": {"pattern": "^/|\\\\"}},
        "uriBaseId": {"type": "string"},
    },
    "additionalProperties": False,
}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {"artifactLocation": ARTIFACT, "region": REGION},
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "locations"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {"driver": DRIVER},
                        "additionalProperties": False,
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def sarif_of(text: str) -> Any:
    log = json.loads(text)
    assert [error.message for error in Draft7Validator(SARIF).iter_errors(log)] == []
    (one,) = log["runs"]
    for result in one["results"]:
        assert one["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return one


def test_sarif_has_a_rule_for_each_kind_and_a_place_for_each_problem(run: Run, tmp_path: Path) -> None:
    write(tmp_path, BROKEN)
    (tmp_path / "recipes" / "zwei Chats.yaml").write_text(BROKEN)
    done = run("check", "recipes", "--format", "sarif")
    assert done.code == 1
    one = sarif_of(done.out)
    assert [rule["id"] for rule in one["tool"]["driver"]["rules"]] == ["unknown-connection", "unverified"]
    assert [rule["shortDescription"]["text"] for rule in one["tool"]["driver"]["rules"]] == [
        CODES["unknown-connection"],
        CODES["unverified"],
    ]
    places = [result["locations"][0]["physicalLocation"] for result in one["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "recipes/chats.yaml", "recipes/relay.yaml", "recipes/zwei%20Chats.yaml",
    ]  # fmt: skip
    assert places[0]["region"] == {"startLine": 4, "startColumn": 13}
    assert [result["level"] for result in one["results"]] == ["error", "warning", "error"]


def test_sarif_of_a_workspace_without_a_problem_has_no_results(run: Run, tmp_path: Path) -> None:
    write(tmp_path, CLEAN, RELAY_YAML.replace("none}", "none} # relay: ignore unverified"))
    done = run("check", "recipes", "--format", "sarif")
    assert done.code == 0
    assert sarif_of(done.out)["results"] == []


@pytest.mark.parametrize("form", check_formats.FORMATS)
def test_a_relay_yaml_that_cannot_be_read_is_told_in_every_form(run: Run, tmp_path: Path, form: str) -> None:
    write(tmp_path, relay_yaml="sources: [\n")
    done = run("check", "recipes", "--format", form)
    assert done.code == 1
    assert "the `[` that opens here is never closed" in (done.err if form == "text" else done.out)
    if form == "sarif":
        assert len(sarif_of(done.out)["results"]) == 1


def test_a_form_that_nobody_knows_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    write(tmp_path)
    done = run("check", "recipes", "--format", "sarf")
    assert done.code == 2
    assert "did you mean `sarif`?" in done.err


def test_an_outdated_schema_is_told_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    assert run("schema", "--write").code == 0
    assert "out of date" not in run("check", "recipes").err
    write(tmp_path, CLEAN, RELAY_YAML.replace("drop:", "drop: {connector: file}\n  spare:"))
    before = (tmp_path / "recipes" / ".schema" / "recipe.json").read_text()
    assert "recipes/.schema is out of date: `relay schema --write` renews it" in run("check", "recipes").err
    assert (tmp_path / "recipes" / ".schema" / "recipe.json").read_text() == before


def test_every_code_in_the_program_is_a_kind_that_is_described() -> None:
    root = Path(__file__).parents[2] / "relay" / "recipes"
    used = set()
    for file in root.rglob("*.py"):
        for call in re.findall(r"\.(?:error|warning|noting|compiled)\((.*?)\n", file.read_text()):
            used.update(re.findall(r', "([a-z]+(?:-[a-z]+)+)"\)', call))
        used.update(re.findall(r'code="([a-z-]+)"', file.read_text()))
    assert len(used) > 15
    assert used <= CODES.keys()


def test_each_warning_that_can_be_ignored_has_its_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", page[page.index("| warning | says |") :], re.MULTILINE)
    assert dict(rows) == WARNINGS


def test_three_hundred_recipes_are_checked_within_seconds(run: Run, tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    text = (Path(__file__).parents[2] / "recipes" / "closed-chats.yaml").read_text().replace("to: crm", "to: drop")
    text = re.sub(
        r"    with:\n      method.*?(?=tests:)",
        "    do: json\n    with: {path: a, content: $.x}\n",
        text,
        flags=re.DOTALL,
    )
    for number in range(300):
        (tmp_path / "recipes" / f"chats-{number}.yaml").write_text(text.partition("tests:")[0] + "tests: []\n")
    start = time.perf_counter()
    done = run("check", "recipes")
    assert done.code == 0, done.out
    assert "301 recipes, 0 errors" in done.err
    # Measured at 0.7 s on two cores; the rest is for machines that are busy.
    assert time.perf_counter() - start < 20
