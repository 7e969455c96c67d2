"""What admins get wrong in a recipe: each is told at its line and column, with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

GOOD = """\
recipe: Low ratings
catch: chat
when: $.rating < 3
pick:
  name: $.contact.name
steps:
  note:
    to: desk
    do: note
    with: {title: $name}
tests: []
"""


def change(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


MISTAKES = [
    (
        "a key that isn't known",
        change("catch: chat", "cach: chat"),
        "low.yaml:2:1: unknown key `cach`: did you mean `catch`?",
    ),
    (
        "a source that isn't there",
        change("catch: chat", "catch: caht"),
        "low.yaml:2:8: unknown source `caht`: did you mean `chat`?",
    ),
    ("no catch", change("catch: chat\n", ""), "low.yaml:1:1: `catch:` is missing: name the source it listens to"),
    ("no steps", GOOD[: GOOD.index("steps")], "low.yaml:1:1: `steps:` is missing: name at least one step"),
    (
        "a connection misspelt",
        change("to: desk", "to: dsk"),
        "low.yaml:8:9: unknown connection `dsk`: did you mean `desk`?",
    ),
    ("no connection", change("    to: desk\n", ""), "low.yaml:8:5: `to:` is missing: name a connection"),
    (
        "an action misspelt",
        change("do: note", "do: nte"),
        "low.yaml:9:9: unknown action of desk `nte`: did you mean `note`?",
    ),
    (
        "no action where there are two",
        change("    do: note\n", ""),
        "low.yaml:8:9: say what to do: `do:` is one of note, call",
    ),
    (
        "a field misspelt",
        change("{title: $name}", "{title: $name, tgas: []}"),
        "low.yaml:10:26: unknown key `tgas`: did you mean `tags`?",
    ),
    ("a field missing", change("{title: $name}", "{tags: [$name]}"), "low.yaml:10:11: `title:` is missing"),
    (
        "a nested field misspelt",
        change("title: $name", "title: $name, address: {stret: x}"),
        "low.yaml:10:36: unknown key `stret`: did you mean `street`?",
    ),
    (
        "a number for text",
        change("title: $name", "title: 5, tags: [$name]"),
        "low.yaml:10:19: `title`: it has to be text: put it in quotes",
    ),
    (
        "text for a list",
        change("title: $name", "title: $name, tags: red"),
        "low.yaml:10:32: `tags`: it has to be a list",
    ),
    (
        "with as text",
        change("{title: $name}", "$name"),
        "low.yaml:10:11: `with` is written as `key: value`, and this is text",
    ),
    (
        "a picked name misspelt",
        change("title: $name", "title: $nmae"),
        "low.yaml:10:19: `$nmae` is not known here: did you mean `$name`?",
    ),
    (
        "a name misspelt in text",
        change("title: $name", 'title: "hello {{ $nmae }}"'),
        "low.yaml:10:29: `$nmae` is not known here",
    ),
    (
        "braces that never close",
        change("title: $name", 'title: "hello {{ $name }"'),
        "low.yaml:10:26: this {{ is never closed by }}",
    ),
    (
        "nothing in braces",
        change("title: $name", 'title: "hello {{ }} $name"'),
        "low.yaml:10:26: there is nothing between {{ and }}",
    ),
    (
        "an expression that goes on as text",
        change("title: $name", 'title: "$name and {{ $name }}"'),
        "low.yaml:10:19: what starts with `$` is an expression as a whole",
    ),
    (
        "a dollar sign meant as one",
        change("title: $name", "title: $5 for $name"),
        "low.yaml:10:20: something is missing between",
    ),
    (
        "a filter misspelt",
        change("$.contact.name", "$.contact.name | uper"),
        "low.yaml:5:26: unknown filter `uper`: did you mean `upper`?",
    ),
    ("a single equals sign", change("$.rating < 3", "$.rating = 3"), "low.yaml:3:16: to compare, write `==`"),
    (
        "braces around when",
        change("$.rating < 3", '"{{ $.rating < 3 }}"'),
        "low.yaml:3:7: `when` is a condition as it stands, without {{ }}",
    ),
    (
        "unquoted braces",
        change("title: $name", "title: {{ $name }}"),
        "low.yaml:10:19: text with {{ … }} has to be in quotes",
    ),
    ("a tab", change("    do: note", "\tdo: note"), "low.yaml:9:1: YAML is indented with spaces; this line has a tab"),
    (
        "a key twice",
        change("    do: note", "    to: desk\n    do: note"),
        "low.yaml:9:5: `to` is written twice here, first in line 8",
    ),
    (
        "a time zone misspelt",
        change("pick:", "timezone: Europe/Lodnon\npick:"),
        'low.yaml:4:11: "Europe/Lodnon" is not a time zone such as Europe/London: did you mean `Europe/London`?',
    ),
    (
        "a duration without its unit",
        change("do: note", "do: note\n    timeout: 30"),
        "low.yaml:10:14: a duration is a number and its unit: 30s",
    ),
    (
        "a policy misspelt",
        change("do: note", "do: note\n    retry: patent"),
        "low.yaml:10:12: unknown retry policy `patent`: did you mean `patient`?",
    ),
    (
        "a policy that is half one",
        change("do: note", "do: note\n    retry: {times: 3}"),
        "low.yaml:10:12: `first:` is missing",
    ),
    (
        "a choice misspelt",
        change("do: note", "do: note\n    on_fail: ignored"),
        "low.yaml:10:14: `on_fail` is one of `dead_letter`, `ignore`; did you mean `ignore`?",
    ),
    ("a step and a pick of one name", change("  note:\n", "  name:\n"), "low.yaml:7:3: `name` is picked already"),
    (
        "a reserved name",
        change("  name: $.contact", "  event: $.contact"),
        "low.yaml:5:3: `event` always means the relay's own `$event`",
    ),
    (
        "a pick before its time",
        change("  name: $.contact.name", "  full: $name\n  name: $.contact.name"),
        "low.yaml:5:9: `$name` is picked further down: move it above",
    ),
    (
        "a dash in a pick's name",
        change("  name: $.contact.name", "  first-name: $.x\n  name: $.contact.name"),
        "low.yaml:5:3: the name of a picked value is letters, digits and `_`",
    ),
    (
        "after a step that isn't there",
        change("do: note", "do: note\n    after: [noote]"),
        "low.yaml:10:13: unknown step `noote`",
    ),
    ("after itself", change("do: note", "do: note\n    after: note"), "low.yaml:10:12: a step can't wait for itself"),
    (
        "a saved value of a step that saves none",
        change("tests: []", "  b: {to: desk, do: note, with: {title: $note.id}}"),
        "low.yaml:11:41: the step `note` saves nothing: give it a `save:`",
    ),
    (
        "a saved text",
        change("do: note", "do: note\n    save: {id: id}"),
        "low.yaml:10:16: what is saved is a path into the reply, such as $.id",
    ),
    (
        "foreach",
        change("do: note", "do: note\n    foreach: $.items[*]"),
        "low.yaml:10:5: `foreach` is not supported yet by this version",
    ),
    (
        "batch",
        change("do: note", "do: note\n    batch: {every: 1h}"),
        "low.yaml:10:5: `batch` is not supported yet by this version",
    ),
    (
        "order_by",
        change("do: note", "do: note\n    order_by: $.id"),
        "low.yaml:10:5: `order_by` is not supported yet by this version",
    ),
    ("respond", change("tests: []", "respond: {}"), "low.yaml:11:1: `respond` is not supported yet by this version"),
    ("tables", change("tests: []", "tables: {}"), "low.yaml:11:1: `tables` is not supported yet by this version"),
    ("types", change("tests: []", "types: {}"), "low.yaml:11:1: `types` is not supported yet by this version"),
    (
        "an expression that isn't one",
        change("$.contact.name", "now() | date('YYYY')"),
        "low.yaml:5:9: only what starts with `$` is an expression; write \"{{ now() | date('YYYY') }}\"",
    ),
    (
        "a test without expect",
        change("tests: []", "tests:\n  - {name: t, event: a.json}"),
        "low.yaml:12:5: `expect:` is missing",
    ),
    (
        "a test of another step",
        change("tests: []", "tests:\n  - {name: t, event: a.json, expect: {nite: skipped}}"),
        "low.yaml:12:39: unknown step `nite`: did you mean `note`?",
    ),
    (
        "a change that isn't a path",
        change("tests: []", "tests:\n  - {name: t, event: a.json, expect: skipped, change: {rating: 2}}"),
        "low.yaml:12:56: `rating` has no meaning here",
    ),
    ("a list for a recipe", "- recipe\n", "low.yaml:1:1: a recipe is written as `key: value` lines"),
    ("an empty file", "", "low.yaml:1:1: the file is empty"),
    (
        "a key with braces",
        change("{title: $name}", '{title: $name, row: {"{{ $name }}": 1}}'),
        "low.yaml:10:32: a key is taken as it is written",
    ),
]


@pytest.mark.parametrize(("mistake", "text", "message"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_a_mistake_is_told_at_its_place(folder: Any, mistake: str, text: str, message: str) -> None:
    folder.recipe(text)

    workspace = folder.load()

    assert "low" in workspace.broken
    assert "low" not in workspace.recipes
    assert any(line.startswith(message) for line in folder.lines(workspace)), folder.lines(workspace)


def test_the_recipe_that_the_mistakes_are_made_in_has_none(folder: Any) -> None:
    folder.recipe(GOOD)
    workspace = folder.load()
    assert folder.lines(workspace) == []
    assert folder.lines(workspace, "warning") == []


def test_a_path_in_the_midst_of_text_is_warned_about(folder: Any) -> None:
    folder.recipe(change("title: $name", 'title: "Hi $name, {{ $name }}, $5, US$$name, $.x and $nobody"'))
    assert folder.lines(folder.load(), "warning") == [
        "low.yaml:10:23: `$name` is sent as it stands; to put the value in, write {{ $name }}",
        "low.yaml:10:57: `$.x` is sent as it stands; to put the value in, write {{ $.x }}",
    ]


def test_a_circle_of_steps_is_named(folder: Any) -> None:
    folder.recipe(
        "recipe: r\ncatch: chat\nsteps:\n"
        "  a: {to: desk, do: note, with: {title: $c.id}, save: {id: $.id}}\n"
        "  b: {to: desk, do: note, with: {title: $a.id}, save: {id: $.id}}\n"
        "  c: {to: desk, do: note, with: {title: x}, after: b, save: {id: $.id}}\n"
    )
    assert folder.lines(folder.load()) == [
        "low.yaml:4:3: these steps wait for each other in a circle: a → c → b → a",
    ]


def test_every_mistake_of_a_file_is_told_at_once(folder: Any) -> None:
    folder.recipe(GOOD.replace("chat", "caht").replace("desk", "dsk").replace("$.contact", "$contact"))
    assert [line.split(": ")[0] for line in folder.lines(folder.load())] == [
        "low.yaml:2:8",
        "low.yaml:5:9",
        "low.yaml:8:9",
    ]


def test_places_inside_a_block_of_text_are_lines_of_the_file(folder: Any) -> None:
    folder.recipe(change("{title: $name}", "\n      title: |\n        Dear {{ $name }},\n        good {{ $bye }}!"))
    assert folder.lines(folder.load())[0].startswith("low.yaml:13:17: `$bye` is not known here")
