"""`relay sources`: what to paste where at each sender, and never a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.sources.presets import PRESETS
from relay.sources.words import REFERENCE, example, example_verify, ways
from tests.cli.conftest import Run

#: Good as text, base64, hexadecimal and a part of an address.
SECRET = "5ec4e7" * 6

PUBLIC_KEY = base64.b64encode(
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()

WORKSPACE = """
sources:
  git: {preset: github, secret: ["${NEW}", "${file:old}"]}
  gist: {preset: gist, verify: {path_token: "${TOKEN}"}}
  keyed: {verify: {any: [{query: key, equals: "${TOKEN}"}, {header: X-Key, equals: in-clear-s3cret}]}}
  open: {verify: none}
"""
RECIPE = """
recipe: Pushes
catch: git
steps: {row: {to: drop, do: csv, with: {path: a.csv, row: {id: $.id}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose secrets are set, and say so wherever they are shown."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "relay.yaml").write_text(WORKSPACE + "connections: {drop: {connector: file}}\n")
    (folder / "pushes.yaml").write_text(RECIPE)
    (folder / "old").write_text("old-s3cret\n")
    monkeypatch.setenv("NEW", "new-s3cret")
    monkeypatch.setenv("TOKEN", "token-s3cret")
    return folder


def shown(run: Run, *words: str) -> dict[str, Any]:
    done = run("sources", "show", *words, "--json")
    assert done.code == 0, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_the_list_says_of_each_source_how_it_is_proved_and_where_it_is(folder: Path, run: Run) -> None:
    rows = [json.loads(line) for line in run("sources", "list", "--json").out.splitlines()]
    assert [list(row)[:2] for row in rows] == [["name", "status"]] * 4
    assert {row["name"]: (row["status"], row["preset"], row["verified_by"]) for row in rows} == {
        "git": ("ok", "github", "X-Hub-Signature-256, HMAC-SHA256"),
        "gist": ("ok", "gist", "a token in the address"),
        "keyed": ("ok", None, "the query parameter key or the header X-Key"),
        "open": ("ok", None, "nothing"),
    }
    assert rows[1]["url"] == "http://127.0.0.1:8080/in/gist/${TOKEN}"


def test_a_source_that_can_t_be_used_says_why(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN")
    table = run("sources", "list").out
    assert "unavailable" in table
    assert "set TOKEN in the relay's environment" in table
    facts = shown(run, "git")
    assert facts["status"] == "ok"
    facts = shown(run, "gist")
    assert facts["status"] == "unavailable"
    assert "set TOKEN" in facts["reason"]
    assert [(one["name"], one["status"]) for one in facts["secrets"]] == [("${TOKEN}", "unset")]


@pytest.mark.parametrize("name", ["git", "gist", "keyed", "open"])
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["for people", "for scripts"])
def test_no_secret_is_shown_and_each_is_named(folder: Path, run: Run, name: str, flags: list[str]) -> None:
    done = run("sources", "show", name, *flags)
    assert done.code == 0
    assert "s3cret" not in done.out + done.err
    names = {"git": ["${NEW}", "${file:old}"], "gist": ["${TOKEN}"], "keyed": ["${TOKEN}", "in clear"], "open": []}
    for each in names[name]:
        assert each in done.out


def test_the_address_is_shown_whole_where_that_is_asked_for(folder: Path, run: Run) -> None:
    facts = shown(run, "gist", "--reveal")
    assert facts["url"] == "http://127.0.0.1:8080/in/gist/token-s3cret"
    assert any(facts["url"] in step for step in facts["setup"])
    assert shown(run, "keyed", "--reveal")["url"] == "http://127.0.0.1:8080/in/keyed?key=token-s3cret"
    assert "s3cret" not in json.dumps(shown(run, "git", "--reveal"))


def test_a_token_that_is_written_in_clear_is_shown_only_where_that_is_asked_for(folder: Path, run: Run) -> None:
    (folder / "relay.yaml").write_text("sources: {form: {verify: {path_token: in-clear-s3cret}}}\n")
    assert "s3cret" not in json.dumps(shown(run, "form"))
    assert shown(run, "form", "--reveal")["url"] == "http://127.0.0.1:8080/in/form/in-clear-s3cret"


def test_a_preset_names_the_sources_that_have_it(folder: Path, run: Run) -> None:
    facts = shown(run, "github")
    assert facts["status"] == "preset"
    assert facts["reason"].endswith("Sources with this preset: git")


def test_an_address_without_its_token_can_t_be_shown_whole(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKEN")
    done = run("sources", "show", "gist", "--reveal")
    assert done.code == 2
    assert "TOKEN" in done.err


def test_it_says_which_recipes_catch_a_source(folder: Path, run: Run) -> None:
    assert shown(run, "git")["caught_by"] == ["pushes"]
    assert shown(run, "open")["caught_by"] == []
    assert "no recipe" in run("sources", "show", "open").out
    (folder / "pushes.yaml").write_text(RECIPE.replace("$.id", "$.id |"))
    assert shown(run, "git")["broken_recipes"] == ["pushes"]


def test_behind_a_proxy_it_is_the_public_address(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_PUBLIC_URL", "https://relay.example.org/")
    assert shown(run, "git")["url"] == "https://relay.example.org/in/git"
    assert "https://relay.example.org/in/git" in run("sources", "show", "git").out


def test_steps_that_are_for_another_proof_say_so(folder: Path, run: Run) -> None:
    assert "this one is proved by a token in the address" in shown(run, "gist")["note"]
    assert shown(run, "git")["note"] is None


def test_a_misspelt_name_is_told_with_the_nearest_one(folder: Path, run: Run) -> None:
    done = run("sources", "show", "gitt")
    assert done.code == 2
    assert "did you mean `git`?" in done.err


def test_all_presets_are_listed_without_any_workspace(run: Run) -> None:
    rows = [json.loads(line) for line in run("sources", "list", "--presets", "--json").out.splitlines()]
    assert [row["name"] for row in rows] == sorted(PRESETS)
    assert all(row["vendor"] and row["sends"] and row["verified_by"] for row in rows)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_told_in_words(run: Run, name: str) -> None:
    done = run("sources", "show", name)
    assert done.code == 0
    for heading in ("URL", "content type", "proved by", "answer", "In relay.yaml"):
        assert f"\n{heading}" in done.out
    assert f"/in/{name}" in done.out
    assert not any("{secret}" in step or "{url}" in step for step in shown(run, name)["setup"])


@pytest.mark.parametrize("name", PRESETS)
def test_what_to_write_in_relay_yaml_makes_a_source_that_works(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    facts = shown(run, name)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "relay.yaml").write_text(facts["relay_yaml"])
    ecdsa = any(way.kind == "ecdsa" for way in ways(example_verify(PRESETS[name])))
    for reference in REFERENCE.findall(json.dumps(example(PRESETS[name]))):
        monkeypatch.setenv(reference, PUBLIC_KEY if ecdsa else SECRET)
    (row,) = [json.loads(line) for line in run("sources", "list", "--json").out.splitlines()]
    assert (row["status"], row["reason"]) == ("ok", "")
    source = shown(run, name)
    assert source["url"] == facts["url"]
    assert source["setup"] == facts["setup"]
    assert source["note"] is None
    assert {one["status"] for one in source["secrets"]} == {"set"}
    assert SECRET not in json.dumps(source)
