"""What came of a test is written into it: nothing but the values that differ, each at its own place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.recipes import Workspace, run_tests
from relay.recipes.trying.updating import Offer, offers, unmet, updated
from relay.recipes.yaml_tree import parse, plain
from relay.recipes.yaml_writing import identical
from tests.recipes.test_yaml_edit import TEXT, VALUE

RECIPE = """\
# What this is for.
recipe: Low ratings
catch: chat
pick: {name: $.contact.name}
steps:
  sheet: {to: desk, do: note, with: {title: $name, row: {Name: $name, Rating: $.rating, At: $.at?}}, save: {id: $.id}}
  call: {to: desk, do: call, with: {number: "{{ $sheet.id }}"}}   # only then
  each: {to: desk, do: note, foreach: $.items?, when: $item.n > 0, with: {title: "{{ $item.who }}", row: {n: $item.n}}}
  rare: {to: desk, do: note, when: $.rating < 1, with: {title: never}}
respond: {body: {id: $sheet.id?, name: $name}}

tests:
  # The first one.
  - name: t
    event: samples/chat.json
    replies: {sheet: {id: 7}}
EXPECT
"""
BODY = {
    "rating": 1,
    "contact": {"name": "Ana"},
    "items": [{"who": "a", "n": 1}, {"who": "b", "n": 0}, {"who": "c", "n": 3}],
}


def recipe(expect: str) -> str:
    return RECIPE.replace("EXPECT\n", "".join(f"    {line}\n" for line in expect.splitlines()))


def offered(folder: Any, expect: str, body: Any = None) -> tuple[Workspace, list[Offer]]:
    folder.sample(BODY if body is None else body)
    folder.recipe(recipe(expect))
    workspace = folder.load()
    assert not workspace.broken, workspace.broken
    return workspace, offers(workspace, run_tests(workspace))


def after(folder: Any, expect: str, body: Any = None) -> str:
    """The test's lines as they are after all of it was written; the rest of the file has to be as it was."""
    workspace, found = offered(folder, expect, body)
    assert [one.why for one in found] == [None] * len(found)
    old, new = recipe(expect), updated(workspace.recipes["low"], found)
    head = RECIPE.partition("EXPECT")[0]
    assert new.startswith(head)
    folder.recipe(new)
    assert [one.diff for one in run_tests(folder.load())] == [""]
    assert (new == old) == (not found)
    return new.removeprefix(head).rstrip("\n").replace("\n    ", "\n").removeprefix("    ")


WRITTEN = """\
values that differ, and no others
expect: {sheet: {title: Bo, row: {Rating: 1}}}  # why
->
expect: {sheet: {title: Ana, row: {Rating: 1}}}  # why

quotes and comments stay
expect:
  sheet:
    title: 'Bo'  # who
    row:
      Rating: 9
->
expect:
  sheet:
    title: 'Ana'  # who
    row:
      Rating: 1

several steps
expect: {call: {number: "8"}, sheet: {team: "none"}}
->
expect: {call: {number: "7"}, sheet: {team: "support"}}

a number in place of a text
expect: {sheet: {row: {Rating: '1'}}}
->
expect: {sheet: {row: {Rating: 1}}}

what isn't sent is null
expect: {sheet: {row: {Nme: Ana, At: now}, tags: [a]}}
->
expect: {sheet: {row: {Nme: null, At: null}, tags: null}}

skipped for sent, and the other way round
expect: {rare: {title: never}, sheet: skipped}
->
expect: {rare: skipped, sheet: {title: Ana, row: {Name: Ana, Rating: 1, At: null}}}

in lines
expect:
  rare:
    title: never
  call: skipped
->
expect:
  rare: skipped
  call: {number: "7"}

what was left empty
expect:
  call:
  rare:  # to be seen
->
expect:
  call: {number: "7"}
  rare: skipped  # to be seen

item by item
expect:
  each:
    - skipped
    - skipped
    - {row: {n: 4}}
->
expect:
  each:
    - {title: a, row: {n: 1}}
    - skipped
    - {row: {n: 3}}

what stood for every item becomes a list
expect: {each: {title: a}}
->
expect: {each: [{title: a}, skipped, {title: c}]}

another number of items
expect: {each: [{title: x}]}
->
expect: {each: [{title: a}, skipped, {title: c, row: {n: 3}}]}

items in place of skipped
expect: {each: skipped}
->
expect: {each: [{title: a, row: {n: 1}}, skipped, {title: c, row: {n: 3}}]}

a list for a step without items
expect: {sheet: [{title: x}]}
->
expect: {sheet: {title: Ana, row: {Name: Ana, Rating: 1, At: null}}}

the answer
expect: {rare: skipped}
answer: {id: 8, name: Bo}
->
expect: {rare: skipped}
answer: {id: 7, name: Ana}

an answer that isn't known yet
expect: {}
answer:  # not known yet
->
expect: {}
answer: {id: 7, name: Ana}  # not known yet

an expect that is missing
answer: {id: 7}
->
expect:
  sheet: {title: Ana, row: {Name: Ana, Rating: 1, At: null}}
  call: {number: "7"}
  each: [{title: a, row: {n: 1}}, skipped, {title: c, row: {n: 3}}]
  rare: skipped
answer: {id: 7}
"""
CASES = dict(case.rstrip("\n").split("\n", 1) for case in WRITTEN.split("\n\n"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_came_is_written_where_it_differs(folder: Any, case: str) -> None:
    expect, _, result = case.partition("\n->\n")
    assert after(folder, expect) == result


def test_what_stands_for_every_item_is_changed_once_where_all_are_alike(folder: Any) -> None:
    items = {**BODY, "items": [{"who": "a", "n": 1}, {"who": "a", "n": 2}]}
    assert after(folder, "expect: {each: {title: x}}", items) == "expect: {each: {title: a}}"
    assert after(folder, "expect: {each: {row: {n: 1}}}", items) == "expect: {each: [{row: {n: 1}}, {row: {n: 2}}]}"
    nothing = {**BODY, "items": []}
    assert after(folder, "expect:\n  each:\n    - {}\n    - {}", nothing) == "expect:\n  each: []"
    assert after(folder, "expect: {each: {title: a}}", nothing) == "expect: {each: skipped}"


def test_where_nothing_differs_nothing_is_offered(folder: Any) -> None:
    assert offered(folder, "expect: {sheet: {title: Ana}}")[1] == []


def test_what_waits_or_fails_cannot_be_expected(folder: Any) -> None:
    folder.sample(BODY)
    folder.recipe(
        recipe("expect: {call: {number: 8}, sheet: {title: Bo}}").replace("    replies: {sheet: {id: 7}}\n", "")
    )
    workspace = folder.load()
    found = offers(workspace, run_tests(workspace))
    assert [one.difference.about for one in found] == ["sheet.title"]
    assert offered(folder, "expect: {sheet: {title: Bo}}", {"rating": 1, "contact": {}})[1] == []


def test_what_yaml_cannot_hold_is_offered_with_the_reason(folder: Any) -> None:
    _, (one,) = offered(folder, "expect: {sheet: {row: {At: now}}}", {**BODY, "at": {"k" * 2000: 1}})
    assert one.why is not None
    assert "can't be written in YAML" in one.why


def test_a_recipe_that_does_not_keep_its_word_is_to_be_put_back(folder: Any) -> None:
    workspace, found = offered(folder, "expect: {sheet: {title: Bo}}")
    before = run_tests(workspace)
    assert unmet(workspace, "low", found, before, []) is None
    why = unmet(workspace, "low", found, before, before)
    assert why is not None
    assert why.startswith("the test “t” still fails: ")
    folder.recipe("recipe: [")
    why = unmet(folder.load(), "low", found, before, [])
    assert why is not None
    assert "low.yaml:1:9" in why


ANY = """\
# note
recipe: 'R'
catch: chat
steps:
  sheet: {to: desk, do: note, with: {title: x, row: {v: $.v, w: 2}}}
tests:
  - name: t
    event: samples/chat.json
    expect: EXPECT
"""
# The styles that a value may stand in.
STYLES = [
    "{sheet: {row: {v: %s, w: 1}}}  # note",
    "\n      sheet:  # note\n        row:\n          # note\n          v: %s  # note\n          w: 1",
    "\n      sheet:\n        row: {v: %s,  # note\n          w: 1}",
    "\n      sheet:\n        row:\n          v:\n            - 1\n            - 2\n\n          # note\n          w: 1",
    "\n      sheet:\n        row:\n          v:\n            a: 1\n          w: 1",
    "\n      sheet:\n        row:\n          v: |  # note\n            a\n            b\n\n          w: 1",
    "\n      sheet:\n        row:\n          v:\n          w: 1",
]


@given(
    style=st.sampled_from(STYLES),
    old=st.sampled_from(["x", "'x'", '"x"', "17", "null", "[1, 2]", "{a: 1}"]),
    value=st.one_of(TEXT, VALUE),
    newline=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_is_written_so_that_the_test_passes_and_all_else_is_as_it_was(
    folder: Any, style: str, old: str, value: Any, newline: str
) -> None:
    text = ANY.replace("EXPECT", style % old if "%" in style else style)
    text = text.replace("\n", newline)
    folder.write("low.yaml", "")
    Path(folder.path / "low.yaml").write_bytes(text.encode())
    folder.sample({"v": value})
    workspace = folder.load()
    found = offers(workspace, run_tests(workspace))

    new = updated(workspace.recipes["low"], found)

    (folder.path / "low.yaml").write_bytes(new.encode())
    assert [one.diff for one in run_tests(folder.load())] == [""]
    tree: Any = plain(parse(new, "low.yaml"))
    row = tree["tests"][0]["expect"]["sheet"]["row"]
    for one in found:
        if one.difference.path[-1] == "v":
            assert identical(row["v"], json.loads(json.dumps(value)))
    assert identical({**row, "v": None}, {"v": None, "w": 2}), "the other value that differs, and no more"
    assert new.startswith(text[: text.index("expect:")])
    assert new.count("# note") == text.count("# note")
    assert new.count(newline) == new.count("\n") or newline == "\n"
