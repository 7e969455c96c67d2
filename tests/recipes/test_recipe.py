"""Recipes: what is planned for an event, and what each step renders."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from relay.errors import ConfigError, RecipeError
from relay.recipes import EventView, PlannedStep, Recipe, Scope, parse_recipe
from relay.retry import DEFAULT_POLICY, RetryPolicy

View = Callable[..., EventView]

HEAD = "recipe: r\ncatch: chat\n"
RECIPE = """\
recipe: Low ratings
catch: chat
when: $.rating < 3
timezone: Europe/London
pick:
  name: $.contact.name | trim
  email: $.contact.email? | lower
  closed: $.closed_at | date("DD/MM/YYYY HH:mm")
steps:
  slack:
    to: desk
    with: {title: "{{ $name }} left unhappy at {{ $closed }} (row {{ $sheet.range }})"}
  sheet:
    to: desk
    with:
      row: {Name: $name, Email: $email, Rating: $.rating}
      fixed: [1, true, "$$5", 0123]
      none: null
    save:
      range: $.updates.range
  always:
    to: desk
    after: sheet
    when: $.notify?
    keep_empty: true
    timeout: 5s
    on_fail: ignore
    on_unknown: hold
    with: {a: $email, b: null, c: $.contact}
"""
BODY = {"rating": 2, "contact": {"name": " Ana "}, "closed_at": "2026-04-03T09:15:00Z"}


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe("low", RECIPE, "low.yaml")


def test_an_event_that_fits_is_picked_from_and_gets_a_delivery_for_each_step(recipe: Recipe, view: View) -> None:
    plan = recipe.plan(view(BODY))

    assert plan.skipped is None
    assert plan.picks == {"name": "Ana", "email": None, "closed": "03/04/2026 10:15"}
    # A step comes after those it waits for.
    assert plan.steps == [
        PlannedStep("sheet", "", (), None),
        PlannedStep("slack", "", ("sheet",), None),
        PlannedStep("always", "", ("sheet",), None),
    ]


def test_an_event_that_does_not_fit_is_skipped_for_a_reason_that_names_the_values(recipe: Recipe, view: View) -> None:
    plan = recipe.plan(view({"rating": 5}))

    assert plan.skipped == "when $.rating < 3: $.rating is 5"
    assert plan.steps == []


def test_a_pick_that_cannot_be_made_is_an_error_with_its_place(recipe: Recipe, view: View) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.plan(view({"rating": 1, "contact": {"nmae": "Ana"}, "closed_at": 0}))

    assert str(caught.value) == (
        "low.yaml:6:9: $.contact.name: no `name` in $.contact; did you mean `nmae`? there are `nmae`"
    )


def test_types_survive_and_nulls_are_left_out_but_not_of_a_row(recipe: Recipe, view: View) -> None:
    plan = recipe.plan(view(BODY))

    fields = recipe.steps["sheet"].render(Scope(view(BODY), plan.picks))

    assert fields == {"row": {"Name": "Ana", "Email": None, "Rating": 2}, "fixed": [1, True, "$5", "0123"]}


def test_keep_empty_keeps_nulls(recipe: Recipe, view: View) -> None:
    plan = recipe.plan(view(BODY))

    fields = recipe.steps["always"].render(Scope(view(BODY), plan.picks))

    assert fields == {"a": None, "b": None, "c": {"name": " Ana "}}


def test_a_step_uses_what_another_saved_of_its_reply(recipe: Recipe, view: View) -> None:
    scope = Scope(view(BODY), recipe.plan(view(BODY)).picks)
    saved, wrong = recipe.steps["sheet"].saved({"updates": {"range": "A7"}}, scope)

    fields = recipe.steps["slack"].render(Scope(view(BODY), scope.values, {"sheet": saved}))

    assert (saved, wrong) == ({"range": "A7"}, None)
    assert fields == {"title": "Ana left unhappy at 03/04/2026 10:15 (row A7)"}


def test_a_reply_that_lacks_what_is_saved_is_an_error_with_its_place(recipe: Recipe, view: View) -> None:
    saved, wrong = recipe.steps["sheet"].saved({"ok": True}, Scope(view(BODY)))
    assert saved == {}
    assert re.match(r"low\.yaml:20:14: .*the reply; there are `ok`", str(wrong))


def test_what_the_reply_has_is_saved_though_something_else_is_missing(view: View) -> None:
    text = "recipe: A\ncatch: c\nsteps:\n  one: {to: x, save: {a: $.a, b: $.b, c: $.c}}\n"
    saved, wrong = parse_recipe("r", text).steps["one"].saved({"a": 1, "c": 3}, Scope(view(BODY)))
    assert saved == {"a": 1, "c": 3}
    assert wrong is not None
    assert "no `b` in the reply" in str(wrong)


def test_what_is_used_without_a_question_mark_is_needed_hard(recipe: Recipe) -> None:
    assert recipe.steps["slack"].needs == ("sheet",)
    assert recipe.steps["slack"].hard_needs == {"sheet"}
    assert recipe.steps["always"].needs == ("sheet",)
    assert recipe.steps["always"].hard_needs == frozenset()


def test_a_step_has_its_own_timeout_and_ways_to_fail(recipe: Recipe) -> None:
    always = recipe.steps["always"]

    assert (always.timeout, always.on_fail, always.on_unknown) == (timedelta(seconds=5), "ignore", "hold")
    assert (recipe.steps["sheet"].timeout, recipe.steps["sheet"].retry) == (timedelta(seconds=30), None)


def test_the_version_follows_the_text(recipe: Recipe) -> None:
    assert len(recipe.version) == 12
    assert parse_recipe("low", RECIPE, "elsewhere.yaml").version == recipe.version
    assert parse_recipe("low", RECIPE + "\n", "low.yaml").version != recipe.version


def test_a_step_is_skipped_with_the_one_whose_values_it_cannot_do_without(view: View) -> None:
    recipe = parse_recipe(
        "r",
        HEAD + "steps:\n"
        "  c: {to: desk, with: {x: $b.id?}}\n"
        "  b: {to: desk, with: {x: $a.id}, save: {id: $.id}}\n"
        "  a: {to: desk, when: $.go, save: {id: $.id}}\n",
    )
    plan = recipe.plan(view({"go": False}))

    assert [(one.step, one.skipped) for one in plan.steps] == [
        ("a", "when $.go: $.go is false"),
        ("b", "it uses what a saves, and a was skipped"),
        ("c", None),
    ]
    # What was skipped has saved nothing: null with `?`, and an error without.
    assert recipe.steps["c"].render(Scope(view({"go": False}))) == {}
    with pytest.raises(RecipeError, match="`a` has nothing for this event"):
        recipe.steps["b"].render(Scope(view({"go": False})))


def test_a_step_that_waits_decides_when_it_is_its_turn(view: View) -> None:
    recipe = parse_recipe(
        "r",
        HEAD + "steps:\n  a: {to: desk, save: {id: $.id}}\n  b: {to: desk, when: $a.id > 1}\n",
    )
    plan = recipe.plan(view({}))

    assert [one.skipped for one in plan.steps] == [None, None]
    assert recipe.steps["b"].when_reason(Scope(view({}), {}, {"a": {"id": 2}})) is None
    assert recipe.steps["b"].when_reason(Scope(view({}), {}, {"a": {"id": 1}})) == "when $a.id > 1: $a.id is 1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"x": "yes"}, None),
        ({"x": [1]}, None),
        ({"x": None}, "when $.x?: $.x is null"),
        ({}, "when $.x?: $.x is null"),
        ({"x": ""}, 'when $.x?: $.x is ""'),
        ({"x": []}, "when $.x?: $.x is a list of 0"),
        ({"x": False}, "when $.x?: $.x is false"),
    ],
)
def test_when_holds_for_what_is_there(view: View, body: Any, reason: str | None) -> None:
    recipe = parse_recipe("r", HEAD + "when: $.x?\nsteps: {a: {to: desk}}\n")
    assert recipe.plan(view(body)).skipped == reason


def test_when_does_not_take_the_text_false_for_true(view: View) -> None:
    recipe = parse_recipe("r", HEAD + "when: $.x\nsteps: {a: {to: desk}}\n")
    with pytest.raises(RecipeError, match=r"r\.yaml:3:7: when .* is text, not true or false"):
        recipe.plan(view({"x": "false"}))


def test_the_recipes_when_may_use_a_pick_and_makes_no_others(view: View) -> None:
    recipe = parse_recipe(
        "r",
        HEAD + "when: $low\npick:\n  raw: $.rating\n  other: $.missing\n  low: $raw < 3\nsteps: {a: {to: desk}}\n",
    )
    assert recipe.plan(view({"rating": 5})).skipped == "when $low: $low is false"
    with pytest.raises(RecipeError, match="missing"):
        recipe.plan(view({"rating": 1}))


def test_null_in_text_is_nothing_and_python_is_never_seen(view: View) -> None:
    text = (
        HEAD
        + 'steps:\n  a:\n    to: desk\n    with: {t: "{{ $.n }}|{{ $.t }}|{{ $.f }}|{{ $.l }}|{{ $.o }}|{{ $.x }}"}\n'
    )
    recipe = parse_recipe("r", text)
    body = {"n": None, "t": True, "f": 2.5, "l": [None, "é"], "o": {"k": False}, "x": 10**30}

    rendered = recipe.steps["a"].render(Scope(view(body)))

    assert rendered["t"] == '|true|2.5|[null,"é"]|{"k":false}|' + "1" + "0" * 30


@pytest.mark.parametrize(
    ("written", "rendered"),
    [
        ('"$$5 off"', "$5 off"),
        ('"US$$ {{ $.n }}"', "US$ 1"),
        ('"costs $5"', "costs $5"),
        ("\"{{ '{{' }} {{ '}}' }}\"", "{{ }}"),
        ('\'{{ {"a": {"b": $.n}} | to_json }}\'', '{"a":{"b":1}}'),
        ("'{{ $.n }}{{ $.n }}'", "11"),
        ("'{{ $.n }}'", "1"),
        ("$.n", 1),
        ("{{{ $.n }}}", None),
    ],
)
def test_dollars_and_braces(view: View, written: str, rendered: Any) -> None:
    text = HEAD + f"steps:\n  a:\n    to: desk\n    with: {{t: {written}}}\n"
    if rendered is None:
        with pytest.raises(ConfigError, match="needs quotes around it"):
            parse_recipe("r", text)
        return
    assert parse_recipe("r", text).steps["a"].render(Scope(view({"n": 1}))) == {"t": rendered}


def test_delivery_id_is_known_when_a_step_renders(view: View) -> None:
    recipe = parse_recipe("r", HEAD + "steps:\n  a: {to: desk, with: {key: $delivery.id}}\n")
    assert recipe.steps["a"].render(Scope(view({}), delivery_id="dlv_1")) == {"key": "dlv_1"}


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("{after: [5m, 1h, 3h]}", RetryPolicy((timedelta(minutes=5), timedelta(hours=1), timedelta(hours=3)))),
        ("{after: [], jitter: 0}", RetryPolicy((), 0)),
        (
            "{times: 4, first: 30s, factor: 10, max: 1h, jitter: 0.2}",
            RetryPolicy((timedelta(seconds=30), timedelta(minutes=5), timedelta(minutes=50), timedelta(hours=1)), 0.2),
        ),
        ("patient", RetryPolicy((timedelta(days=1),))),
        ("default", DEFAULT_POLICY),
    ],
)
def test_retry_is_a_list_a_row_or_a_name(written: str, policy: RetryPolicy) -> None:
    named = {"patient": RetryPolicy((timedelta(days=1),))}
    recipe = parse_recipe("r", HEAD + f"steps:\n  a: {{to: desk, retry: {written}}}\n", retries=named)
    assert recipe.steps["a"].retry == policy


def test_an_older_version_compiles_without_the_workspaces_policies() -> None:
    assert parse_recipe("r", HEAD + "steps: {a: {to: desk, retry: gone}}\n").steps["a"].retry is None


def test_sending_the_body_as_it_is(view: View) -> None:
    recipe = parse_recipe("r", HEAD + "steps: {a: {to: desk, with: {json: $}}}\n")
    body = {"a": None, "b": [None, {"c": 1}]}
    assert recipe.steps["a"].render(Scope(view(body))) == {"json": body}
