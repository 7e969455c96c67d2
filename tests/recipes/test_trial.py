"""Dry runs, and the tests that live in recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError
from relay.recipes import parse_recipe, run_tests, sample_event, try_event
from relay.recipes.samples import changed

RECIPE = """\
recipe: Low ratings
catch: chat
when: $.rating < 3
pick:
  name: $.contact.name | trim
steps:
  sheet: {to: desk, do: note, with: {title: $name, row: {Name: $name, Rating: $.rating}}, save: {id: $.id}}
  call: {to: desk, do: call, with: {number: "{{ $sheet.id }}"}}
  rare: {to: desk, do: note, when: $.rating < 1, with: {title: never}}
tests:
  - name: a low rating is noted
    event: samples/chat.json
    change: {$.rating: 2, $.contact.name: " Bo "}
    replies: {sheet: {id: 7}}
    expect:
      sheet: {title: Bo, team: support, row: {Rating: 2}}
      call: {number: "7"}
      rare: skipped
  - name: a good one is not
    event: samples/chat.json
    change: {$.rating: 5}
    expect: skipped
"""
BODY = {"rating": 1, "contact": {"name": "Ana"}, "lines": [{"qty": 1}, {"qty": 2}]}


@pytest.fixture
def low(folder: Any) -> Any:
    folder.recipe(RECIPE)
    folder.sample(BODY)
    return folder


def test_a_recipes_own_tests_run_through_the_connector(low: Any) -> None:
    results = run_tests(low.load())
    assert [(one.recipe, one.name, one.passed, one.diff) for one in results] == [
        ("low", "a low rating is noted", True, ""),
        ("low", "a good one is not", True, ""),
    ]


def test_they_run_without_the_secrets_too(low: Any) -> None:
    assert all(one.passed for one in run_tests(low.load(env={})))


def test_only_the_recipes_asked_for_are_tested(low: Any) -> None:
    assert run_tests(low.load(), only=["other"]) == []


@pytest.mark.parametrize(
    ("expect", "diff"),
    [
        ("{sheet: {title: Zoë}}", 'low.yaml:14:29: sheet.title: expected "Zoë"\n    but it is "Ana"'),
        (
            '{sheet: {row: {Rating: "1"}}}',
            'low.yaml:14:36: sheet.row.Rating: expected "1"\n    but it is 1 (text, and it is a number)',
        ),
        ("{sheet: {row: {Nme: x}}}", "sheet.row.Nme: it isn't sent; there are `Name`, `Rating`"),
        ("{sheet: {subject: x}}", "sheet.subject: it isn't sent; there are `title`, `row`, `team`, `token`, `key`"),
        ("{sheet: skipped}", "sheet: expected skipped, but it goes out"),
        ("{rare: {title: never}}", "rare: expected to be sent, but it is skipped: when $.rating < 1: $.rating is 1"),
        ('{call: {number: "7"}}', "call: it waits for the reply of sheet; write it under `replies:`"),
        ("skipped", "expected skipped, but this goes out: `sheet`, `call`"),
    ],
)
def test_what_is_not_met_is_shown_at_its_line(low: Any, expect: str, diff: str) -> None:
    head = RECIPE[: RECIPE.index("tests:")]
    low.recipe(f"{head}tests:\n  - name: t\n    event: samples/chat.json\n    change: {{}}\n    expect: {expect}\n")
    (result,) = run_tests(low.load())
    assert not result.passed
    assert diff in result.diff.replace(f"{low.path}/", "")


def test_a_pick_that_cannot_be_made_fails_a_test_once(low: Any) -> None:
    low.sample({"rating": 1})
    result = run_tests(low.load())[0]
    assert not result.passed
    assert "$.contact" in result.diff
    low.sample({"rating": 1, "contact": {}})
    low.recipe(RECIPE.replace('    change: {$.rating: 2, $.contact.name: " Bo "}\n', ""))
    assert run_tests(low.load())[0].diff.count("no `name` in $.contact") == 1


def test_a_sample_that_is_not_there_fails_a_test(folder: Any) -> None:
    folder.recipe(RECIPE)
    assert "there is no sample" in run_tests(folder.load())[0].diff


def test_trying_shows_each_outgoing_call_and_what_waits_for_a_reply(low: Any) -> None:
    workspace = low.load()
    recipe = workspace.recipes["low"]
    event = sample_event("chat", low.path / "samples/chat.json")

    sheet, call, rare = try_event(recipe, workspace, event)

    assert (sheet.connection, sheet.connector, sheet.do) == ("desk", "desk", "note")
    assert sheet.preview is not None
    assert sheet.preview["token"] == "***"
    assert sheet.fields == {"title": "Ana", "row": {"Name": "Ana", "Rating": 1}}
    assert call.waits == "waits for the reply of sheet; give one with --reply sheet=FILE"
    assert rare.skipped == "when $.rating < 1: $.rating is 1"

    answered = try_event(recipe, workspace, event, {"sheet": {"id": 9}})
    assert answered[1].preview == {"number": "9"}


def test_trying_names_what_cannot_be_made(low: Any) -> None:
    workspace = low.load()
    recipe = workspace.recipes["low"]
    low.sample({"rating": 1, "contact": {"name": "impossible"}})
    event = sample_event("chat", low.path / "samples/chat.json")
    assert try_event(recipe, workspace, event)[0].error == (f"{low.path}/low.yaml:7:15: the desk takes no such title")
    low.write("samples/broken.json", "{")
    broken = try_event(recipe, workspace, sample_event("chat", low.path / "samples/broken.json"))
    assert all("the body can't be decoded" in (one.error or "") for one in broken)


def test_a_rendered_value_of_the_wrong_kind_is_an_error_of_the_step(low: Any) -> None:
    low.sample({"rating": 1, "contact": {"name": "Ana"}})
    low.recipe(RECIPE.replace("title: $name", "title: $.rating"))
    workspace = low.load()
    first = try_event(workspace.recipes["low"], workspace, sample_event("chat", low.path / "samples/chat.json"))[0]
    assert first.error is not None
    assert "title" in first.error


def test_a_held_connection_says_why_and_is_tried_all_the_same(low: Any) -> None:
    workspace = low.load(env={})
    event = sample_event("chat", low.path / "samples/chat.json")
    first = try_event(workspace.recipes["low"], workspace, event)[0]
    assert first.preview is not None
    assert first.held is not None
    assert "${DESK_TOKEN} isn't set" in first.held


def test_a_stored_version_renders_as_the_one_on_disk(low: Any) -> None:
    workspace = low.load()
    stored = parse_recipe("low", RECIPE)
    event = sample_event("chat", low.path / "samples/chat.json")
    assert [one.fields for one in try_event(stored, workspace, event)] == [
        one.fields for one in try_event(workspace.recipes["low"], workspace, event)
    ]


def test_the_type_of_an_event_is_what_its_source_says(low: Any) -> None:
    low.write(
        "relay.yaml",
        "sources:\n  chat: {verify: none, event_type: $.kind}\nconnections:\n  desk: {connector: desk, team: x}\n",
    )
    low.recipe("recipe: r\ncatch: chat\nsteps: {a: {to: desk, do: note, with: {title: $event.type}}}\n")
    low.sample({"kind": "closed"})
    workspace = low.load()
    event = sample_event("chat", low.path / "samples/chat.json")
    assert try_event(workspace.recipes["low"], workspace, event)[0].fields == {"title": "closed"}


@pytest.mark.parametrize(
    ("where", "value", "result"),
    [
        ("$.rating", 5, {**BODY, "rating": 5}),
        ("$.new", 1, {**BODY, "new": 1}),
        ("$.lines[0].qty", 9, {**BODY, "lines": [{"qty": 9}, {"qty": 2}]}),
        ("$.lines[*].qty", 0, {**BODY, "lines": [{"qty": 0}, {"qty": 0}]}),
        ("$", [1], [1]),
    ],
)
def test_a_change_sets_what_is_at_a_path(where: str, value: Any, result: Any) -> None:
    assert changed(json.loads(json.dumps(BODY)), where, value) == result


@pytest.mark.parametrize("where", ["$.contct.name", "$.lines[9].qty", "$.rating.x", "$.none[*]", "$.lines.x"])
def test_a_change_at_a_path_that_is_not_there_is_refused(where: str) -> None:
    with pytest.raises(ConfigError):
        changed(json.loads(json.dumps(BODY)), where, 1)


@pytest.mark.parametrize(
    ("name", "text", "content_type"),
    [
        ("a.json", "{}", "application/json"),
        ("a.xml", "<a/>", "application/xml"),
        ("a.txt", "hi", "text/plain; charset=utf-8"),
        ("a.form", "a=1", "application/x-www-form-urlencoded"),
    ],
)
def test_a_sample_has_the_content_type_of_its_ending(tmp_path: Path, name: str, text: str, content_type: str) -> None:
    (tmp_path / name).write_text(text)
    event = sample_event("chat", tmp_path / name, headers={"X-Id": "1"}, query={"a": "b"})
    assert event.content_type == content_type
    assert event.headers["x-id"] == "1"
    assert event.query == (("a", "b"),)


def test_a_form_can_be_changed_and_xml_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.form").write_text("a=1&b[c]=2")
    event = sample_event("chat", tmp_path / "a.form", {"$.b.c": "x y", "$.d": ["p", "q"]})
    assert event.body == b"a=1&b%5Bc%5D=x+y&d%5B0%5D=p&d%5B1%5D=q"
    (tmp_path / "a.xml").write_text("<a>1</a>")
    with pytest.raises(ConfigError, match="only JSON and form samples can be changed"):
        sample_event("chat", tmp_path / "a.xml", {"$.a": "2"})
    with pytest.raises(ConfigError, match="a sample's name ends in"):
        sample_event("chat", tmp_path / "a.pdf")
    (tmp_path / "a.pdf").write_text("{}")
    assert sample_event("chat", tmp_path / "a.pdf", headers={"Content-Type": "application/json"}).body == b"{}"
