"""Any expression that the grammar can make, on any body: a value of JSON, or an error in words with its place."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError, RecipeError
from relay.recipes import compile_expression, yaml_tree
from relay.recipes.recipe import Condition
from relay.recipes.render import compile_value
from tests.recipes.grammar import BODIES, EXPRESSIONS, NAMES, PLACE, values_of

SLOWLY = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check_place(error: ConfigError | RecipeError) -> None:
    assert error.place is not None


def check(error: ConfigError | RecipeError) -> None:
    assert error.place is not None
    assert error.place.file == "recipe.yaml"
    assert error.place.line == 3
    assert error.message.strip()


def check_json(value: Any) -> None:
    """Nothing that only Python has: no dates, no tuples, no keys that aren't text, no numbers that aren't numbers."""
    stack = [value]
    while stack:
        one = stack.pop()
        assert one is None or type(one) in (bool, int, float, str, list, dict), type(one)
        if isinstance(one, float):
            assert math.isfinite(one)
        if isinstance(one, dict):
            assert all(type(key) is str for key in one)
            stack.extend(one.values())
        if isinstance(one, list):
            stack.extend(one)


@SLOWLY
@given(EXPRESSIONS, BODIES)
@example("- not []", None)
@example('{1: $, "a": [now()]}', {"a": 1})
@example('($.a | parse_date("YYYY-MM-DD")) == ($.a | date("YYYY"))', {"a": "2026-04-03"})
@example("$.a == [1]", {"a": [True]})
@example('$ | map("lookup", "tags")', [True, 7.0, [], {}])
@example("$.a | parse_date($)", {"a": "x"})
@example("(now())[0]", None)
@example("[now()] | unique | sort", None)
@example("$ | charset($)", "\ud800")
@example("$ | xml | from_json", {"a\x00": 1})
def test_it_gives_json_or_an_error_with_its_place(text: str, body: Any) -> None:
    try:
        expression = compile_expression(text, PLACE, NAMES)
    except ConfigError as error:
        check(error)
        return
    try:
        check_json(expression.of(values_of(body)))
    except RecipeError as error:
        check(error)


@SLOWLY
@given(EXPRESSIONS, BODIES)
def test_as_a_condition_it_holds_or_says_why_not_or_is_an_error_with_its_place(text: str, body: Any) -> None:
    try:
        condition = Condition(compile_expression(text, PLACE, NAMES))
    except ConfigError as error:
        check(error)
        return
    try:
        reason = condition.reason(values_of(body))
    except RecipeError as error:
        check(error)
    else:
        assert reason is None or reason.startswith("when ")


@SLOWLY
@given(EXPRESSIONS, BODIES)
def test_inside_of_text_it_is_text_or_an_error_with_a_place(text: str, body: Any) -> None:
    written = json.dumps(f"a {{{{ {text} }}}} b")
    try:
        node = yaml_tree.parse(f"\n\n    {written}", "recipe.yaml")
        run = compile_value(node, NAMES).run
    except ConfigError as error:
        check_place(error)
        return
    try:
        made = run(values_of(body))
    except RecipeError as error:
        check_place(error)
    else:
        assert isinstance(made, str)


@SLOWLY
@given(EXPRESSIONS, BODIES, BODIES)
def test_evaluating_changes_neither_the_body_nor_what_comes_next(text: str, body: Any, other: Any) -> None:
    try:
        expression = compile_expression(text, PLACE, NAMES)
    except ConfigError:
        return
    if "now" in text:
        return
    before = json.dumps(body)
    first = _made(expression, body)
    _made(expression, other)
    assert _made(expression, body) == first
    assert json.dumps(body) == before


def _made(expression: Any, body: Any) -> str:
    try:
        return json.dumps(expression.of(values_of(body)))
    except RecipeError as error:
        return str(error)


@SLOWLY
@given(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]), BODIES, BODIES)
def test_the_short_ways_and_the_sandbox_agree(sign: str, left: Any, right: Any) -> None:
    body = {"l": left, "r": right}
    short = compile_expression(f"$.l {sign} $.r", PLACE, NAMES)
    # Brackets lead an expression through the sandbox.
    long = compile_expression(f"($.l {sign} $.r)", PLACE, NAMES)
    assert _made(short, body).replace("(", "").replace(")", "") == _made(long, body).replace("(", "").replace(")", "")
