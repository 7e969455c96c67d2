"""The tests that live in recipes: they run as the relay would send, and say where and how something differs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from relay.connector import connector_class, connector_names
from relay.recipes import TestResult, accounts, run_tests

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
HEAD = RECIPE[: RECIPE.index("tests:")]
BODY = {"rating": 1, "contact": {"name": "Ana"}}


@pytest.fixture
def low(folder: Any) -> Any:
    folder.recipe(RECIPE)
    folder.sample(BODY)
    return folder


def only(folder: Any) -> TestResult:
    (result,) = run_tests(folder.load())
    assert result.passed == (not result.diff)
    return result


def diff(folder: Any) -> str:
    return only(folder).diff.replace(f"{folder.path}/", "")


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
    ("expect", "expected"),
    [
        ("{sheet: {title: Zoë}}", 'low.yaml:14:29: sheet.title\n    expected  "Zoë"\n    got       "Ana"'),
        (
            '{sheet: {row: {Rating: "1"}}}',
            'low.yaml:14:36: sheet.row.Rating\n    expected  "1" (text)\n    got       1 (a number)',
        ),
        (
            "{sheet: {row: {Rating: true}}}",
            "sheet.row.Rating\n    expected  true (true or false)\n    got       1 (a number)",
        ),
        (
            "{sheet: {row: {Nme: x}}}",
            'sheet.row.Nme\n    expected  "x"\n    got       nothing: it isn\'t sent; there are',
        ),
        ("{sheet: {subject: x}}", "there are `title`, `row`, `team`, `token`, `key`"),
        ("{sheet: {title: {a: 1}}}", 'expected  {"a":1}\n    got       "Ana" (text)'),
        ("{sheet: skipped}", 'low.yaml:14:14: sheet\n    expected  skipped\n    got       it goes out: {"title":"Ana"'),
        (
            "{rare: {title: never}}",
            "rare\n    expected  to be sent\n    got       skipped: when $.rating < 1: $.rating is 1",
        ),
        ('{call: {number: "7"}}', "call\n    it waits for the reply of sheet: write it under `replies:`"),
        ("{call: skipped}", "call\n    it waits for the reply of sheet: write it under `replies:`"),
        ("skipped", "low.yaml:14:13: expect\n    expected  skipped\n    got       this goes out: `sheet`, `call`"),
        ("{sheet: [{title: Ana}]}", "a list is for a step with `foreach`"),
        ("{sheet: 5}", "write what is expected of its `with`, or `skipped`"),
    ],
)
def test_what_is_not_met_is_shown_at_its_line(low: Any, expect: str, expected: str) -> None:
    low.recipe(f"{HEAD}tests:\n  - name: t\n    event: samples/chat.json\n    change: {{}}\n    expect: {expect}\n")
    assert expected in diff(low)


def test_null_stands_for_what_is_not_sent(low: Any) -> None:
    low.recipe(
        f"{HEAD}tests: [{{name: t, event: samples/chat.json, expect: {{sheet: {{tags: null, row: {{No: }}}}}}}}]\n"
    )
    assert diff(low) == ""


def test_only_what_differs_is_shown_of_long_values(low: Any) -> None:
    low.sample({"rating": 1, "contact": {"name": "x" * 300 + "Ana" + "y" * 300}})
    wanted = "x" * 300 + "Bo" + "y" * 300
    low.recipe(f"{HEAD}tests: [{{name: t, event: samples/chat.json, expect: {{sheet: {{title: {wanted}}}}}}}]\n")
    _, expected, got, mark = diff(low).splitlines()
    assert expected.startswith("    expected  …xxx")
    assert len(expected) < 130
    assert len(got) < 130
    assert got.index("Ana") == mark.index("^") == expected.index("Bo")


def test_of_texts_in_lines_the_lines_that_differ_are_shown(low: Any) -> None:
    low.sample({"rating": 1, "contact": {"name": "one\ntwo\nthree \nfour"}})
    low.recipe(
        f"{HEAD}tests:\n  - name: t\n    event: samples/chat.json\n    expect:\n      sheet:\n"
        "        title: |-\n          one\n          2\n          three\n          four\n"
    )
    assert diff(low) == (
        "low.yaml:15:16: sheet.title\n"
        "    the text differs in these lines: - expected, + got\n"
        "    - 2\n    - three\n    + two\n    + \"three \""
    )  # fmt: skip


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


def test_an_unknown_step_is_a_mistake_of_the_recipe_at_its_place(low: Any) -> None:
    low.recipe(RECIPE.replace("rare: skipped", "rarr: skipped"))
    assert low.lines(low.load()) == [
        "low.yaml:18:7: unknown step `rarr`: did you mean `rare`? there are `sheet`, `call`, `rare`"
    ]


# --- foreach ---

EACH = """\
recipe: Each
catch: chat
steps:
  each:
    to: desk
    do: note
    foreach: $.items
    when: $item.n > 0
    with: {title: "{{ $item.who }}", row: {n: $item.n, index: $index}}
    save: {id: $.id}
  sum: {to: desk, do: note, with: {title: all, row: {ids: $each.id}}}
tests:
  - name: t
    event: samples/chat.json
    replies: {each: %s}
    expect: {%s}
"""
ITEMS = {"items": [{"who": "a", "n": 1}, {"who": "b", "n": 0}, {"who": "c", "n": 3}]}


def each(folder: Any, expect: str, replies: str = "{id: 1}", items: Any = None) -> str:
    folder.sample({"items": items} if items is not None else ITEMS)
    folder.recipe(EACH % (replies, expect))
    return diff(folder)


@pytest.mark.parametrize(
    "expect",
    [
        "each: [{title: a, row: {n: 1}}, skipped, {row: {index: 2}}]",
        "each: [{}, skipped, {title: c, team: support}]",
        "sum: {row: {ids: [1, 1]}}",
    ],
)
def test_a_list_has_an_entry_for_each_item(folder: Any, expect: str) -> None:
    assert each(folder, expect) == ""


def test_replies_may_be_one_for_each_item(folder: Any) -> None:
    assert each(folder, "sum: {row: {ids: [7, 9]}}", "[{id: 7}, {id: 8}, {id: 9}]") == ""
    assert "`each` has 3 items, and there are replies for 2" in each(folder, "", "[{id: 7}, {id: 8}]")


def test_a_mapping_stands_for_every_item(folder: Any) -> None:
    sent = [{"who": "a", "n": 1}, {"who": "a", "n": 2}]
    assert each(folder, "each: {title: a}", items=sent) == ""
    assert "each[1]\n    expected  to be sent\n" in each(folder, "each: {row: {}}").replace("      ", "    ")
    assert each(folder, "each: skipped", items=[{"who": "a", "n": 0}] * 2) == ""
    assert each(folder, "each: skipped", items=[]) == ""
    assert each(folder, "each: []", items=[]) == ""


def test_what_differs_in_one_item_is_shown_with_the_item(folder: Any) -> None:
    assert each(folder, "each: [{title: a}, {title: b}, {title: x}]").splitlines() == [
        "low.yaml:16:33: each[1]",
        "    expected  to be sent",
        "    got       skipped: when $item.n > 0: $item.n is 0",
        "low.yaml:16:53: each[2].title",
        '    expected  "x"',
        '    got       "c"',
    ]


def test_what_differs_alike_in_every_item_is_shown_once(folder: Any) -> None:
    items = [{"who": "a", "n": 1}, {"who": "a", "n": 2}]
    assert each(folder, "each: {title: x}", items=items).splitlines() == [
        "low.yaml:16:28: each[*].title",
        '    expected  "x"',
        '    got       "a"',
    ]
    assert "each (what stands here is for every item)\n    each[1].row.n\n" in each(
        folder, "each: {row: {n: 1}}", items=items
    )


def test_another_number_of_items_is_told(folder: Any) -> None:
    assert "each\n    expected  2 items\n    got       3 items" in each(folder, "each: [{}, skipped]")
    assert "expected  1 item\n    got       no items: foreach $.items gives no items" in each(
        folder, "each: [{}]", items=[]
    )
    assert "each\n    expected  to be sent\n    got       skipped: foreach" in each(
        folder, "each: {title: a}", items=[]
    )


# --- answer, batch, clock ---

RESPOND = """\
recipe: Balance
catch: chat
steps:
  ask: {to: desk, do: note, with: {title: x}, save: {balance: $.balance}}
respond: {body: {balance: $ask.balance, at: '{{ now() | date("YYYY-MM-DD HH:mm") }}'}, late: {body: {status: later}}}
tests:
  - {name: t, event: samples/chat.json%s}
"""


def respond(folder: Any, test: str) -> str:
    folder.sample(BODY)
    folder.recipe(RESPOND % test)
    return diff(folder)


def test_the_answer_is_compared_with_what_respond_gives(folder: Any) -> None:
    reply = ", replies: {ask: {balance: 5}}"
    assert respond(folder, f"{reply}, answer: {{balance: 5}}") == ""
    assert respond(folder, f"{reply}, answer: {{balance: 5, at: 2026-01-01 12:00}}") == "", "the clock stands still"
    assert respond(folder, f"{reply}, answer: {{balance: 6}}") == (
        "low.yaml:7:89: answer.balance\n    expected  6\n    got       5"
    )  # fmt: skip


def test_without_a_reply_the_answer_is_the_late_one_and_a_difference_says_so(folder: Any) -> None:
    assert respond(folder, ", answer: {status: later}") == ""
    lines = respond(folder, ", answer: {balance: 5}").splitlines()
    assert lines[-1] == "    this is the answer of `late`: no reply of ask is given"


def test_no_answer_to_an_event_that_is_not_wanted(folder: Any) -> None:
    folder.sample(BODY)
    folder.recipe((RESPOND % ", answer: {balance: 5}").replace("steps:", "when: $.rating > 1\nsteps:"))
    assert diff(folder).endswith('expected  {"balance":5}\n    got       none: when $.rating > 1: $.rating is 1')


def test_it_is_the_samples_moment_in_a_test_and_nowhere_else(folder: Any) -> None:
    folder.sample({})
    folder.recipe(
        "recipe: r\ncatch: chat\nsteps:\n"
        "  a: {to: desk, do: note, with: {title: '{{ now() | date(\"YYYY-MM-DD\") }} {{ $event.received_at }}'}}\n"
        "tests: [{name: t, event: samples/chat.json, expect: {a: {title: 2026-01-01 2026-01-01T12:00:00.000Z}}}]\n"
    )
    workspace = folder.load()
    assert [one.diff for one in run_tests(workspace)] == [""]
    time.sleep(0.002)
    assert [one.diff for one in run_tests(workspace)] == [""]


def test_a_row_of_a_batch_is_compared_as_the_recipe_says_it_and_as_it_is_sent(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "connector_class", connector_class)
    monkeypatch.setattr(accounts, "connector_names", connector_names)
    folder.write("relay.yaml", "sources: {chat: {verify: none}}\nconnections: {drop: {connector: file}}\n")
    folder.sample({"id": 7})
    folder.recipe(
        "recipe: r\ncatch: chat\nsteps:\n"
        "  a:\n    to: drop\n    do: csv\n    batch: {every: 1h}\n"
        "    with: {path: 'r{{ $batch.time | date(\"YYYYMMDD\") }}.csv', row: {Id: $.id, Of: $batch.count}}\n"
        "tests:\n  - name: t\n    event: samples/chat.json\n"
        "    expect: {a: {path: r20260101.csv, row: {Id: 7, Of: 1}, columns: [Id, Of], rows: [{Id: 7}]}}\n"
    )
    assert diff(folder) == ""


# --- the test of a source that says what its events are ---


def test_the_sources_own_type_decides_on_types(folder: Any) -> None:
    folder.write(
        "relay.yaml",
        "sources: {chat: {verify: none, event_type: $.kind}}\nconnections: {desk: {connector: desk, team: x}}\n",
    )
    folder.sample({"kind": "closed"})
    folder.recipe(
        "recipe: r\ncatch: chat\ntypes: opened\nsteps: {a: {to: desk, do: note, with: {title: x}}}\n"
        "tests:\n  - {name: t, event: samples/chat.json, expect: skipped}\n"
        "  - {name: u, event: samples/chat.json, change: {$.kind: opened}, expect: {a: {title: x}}}\n"
    )
    assert [one.diff for one in run_tests(folder.load())] == ["", ""]


def test_results_can_be_told_as_json(low: Any) -> None:
    low.recipe(RECIPE.replace("title: Bo", "title: Bob"))
    first = run_tests(low.load())[0]
    assert [(one.about, one.path, one.value) for one in first.differences] == [
        ("sheet.title", ("tests", 0, "expect", "sheet", "title"), "Bo")
    ]
    assert json.dumps([one.lines for one in first.differences])
    assert Path(first.place.file).name == "low.yaml"
