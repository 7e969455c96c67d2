"""Whatever the body holds: a plan, a skip, or an error with its place; never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError, Place, RecipeError
from relay.model import Event
from relay.recipes import EventView, Names, Scope, compile_expression, parse_recipe
from relay.recipes.filters import FILTERS
from relay.recipes.filters.lookup import EXAMPLES
from relay.recipes.parse import read_recipe

KEYS = st.sampled_from(["a", "b", "c", "name", "at", "items", "rating", ""])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-04-03", "2026-13-40T99:99:99Z", "1775207700", "9" * 400, "0000-00-00", "a@b", "\ud800"])
)
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)

RECIPE = parse_recipe(
    "all",
    """\
recipe: all
catch: chat
when: $.rating? != 5
timezone: Europe/London
pick:
  name: $.name? | trim | title
  at: $.at? | date("DD/MM/YYYY HH:mm")
  sum: $.items[*].b | sum
  soon: $.a? | add("1mo")
steps:
  a:
    to: desk
    with: {text: "{{ $name }} {{ $.b? }} {{ $.c? | to_json }}", n: $.rating? + 1, l: ["$.items?", $..a]}
  b:
    to: desk
    when: $.a? < 3 or $.b in $.items?
    with: {x: $.name | first_word | slug, y: $.c? | default("z")}
""",
)


def check_place(error: ConfigError | RecipeError) -> None:
    assert error.place is not None


def view(body: Any) -> EventView:
    return EventView(Event("evt_1", "chat", "POST", "/in/chat", (), {}, b"", 0), body)


@settings(max_examples=500, deadline=None)
@given(BODIES)
@example({"at": 1e300})
@example({"a": float(10**20)})
@example({"items": [{"b": 10**400}, {"b": 1.5}]})
def test_any_body_ends_in_a_plan_a_skip_or_an_error_with_a_place(body: Any) -> None:
    try:
        plan = RECIPE.plan(view(body))
    except RecipeError as error:
        check_place(error)
        return
    for planned in plan.steps:
        try:
            fields = RECIPE.steps[planned.step].render(Scope(view(body), plan.picks))
        except RecipeError as error:
            check_place(error)
        else:
            json.dumps(fields)


@pytest.mark.parametrize("name", sorted(FILTERS))
@settings(max_examples=60, deadline=None)
@given(body=BODIES)
def test_any_value_through_any_filter_is_a_value_or_an_error_in_words(name: str, body: Any) -> None:
    one = FILTERS[name]
    usual = {
        "date": '"DD/MM/YYYY"', "parse_date": '"DD/MM/YYYY"', "to_timezone": '"Asia/Tokyo"', "add": '"9999y"',
        "subtract": '"9999y"', "start_of": '"week"', "diff": '$, "days"', "regex_extract": r'"(\d+)"',
        "regex_replace": r'"(\w)", "\1\1"', "truncate": "3", "pad": "9", "round": "2", "format_number": "2",
        "currency": '"GBP"', "map": '"date", "YYYY"', "where": '"a", ">", 1', "hmac": '"key"', "replace": '"a", $',
        "pluck": '"a"', "default": "$", "phone": '"GB"', "sum": '"b"', "sort": '"a"',
        "lookup": '"tags"', "charset": '"cp1252"', "xml": '"a"',
    }  # fmt: skip
    arguments = f"({usual[name]})" if name in usual else ""
    assert arguments or one.least == 0
    expression = compile_expression(f"$ | {name}{arguments}", Place("f"), Names(tables=EXAMPLES))
    try:
        json.dumps(expression.evaluate(view(body)))
    except RecipeError as error:
        check_place(error)


SOUP = st.lists(
    st.sampled_from(
        [
            "$",
            "$.a",
            "$.b[*]",
            "$..c",
            "$name",
            "?",
            "|",
            "lower",
            "date",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "'x'",
            '"y"',
            "1",
            "2.5",
            "==",
            "<",
            "and",
            "or",
            "not",
            "in",
            "if",
            "else",
            "now",
            "true",
            "null",
            "+",
            "-",
            "*",
            "/",
            "%",
            "//",
            "is",
            ".",
            "_",
            "__class__",
            "{{",
            "}}",
            "{%",
            "\\",
            "'",
        ]
    ),
    max_size=12,
)


@settings(max_examples=600, deadline=None)
@given(SOUP, BODIES)
def test_any_expression_compiles_or_is_refused_and_then_gives_or_is_refused(words: list[str], body: Any) -> None:
    try:
        expression = compile_expression(" ".join(words), Place("f"), Names(picks=frozenset({"name"})))
    except ConfigError as error:
        check_place(error)
        return
    try:
        json.dumps(expression.of({"": body, "name": "Ana"}))
    except RecipeError as error:
        check_place(error)


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="recipe:catchst{}[]$.|\"'\n -#&*!@%`\tab01", max_size=120))
def test_any_text_is_a_recipe_or_has_problems_with_places(text: str) -> None:
    recipe, problems = read_recipe("r", "recipe: x\ncatch: y\n" + text, "r.yaml")
    assert recipe is not None or any(problem.severity == "error" for problem in problems)
    assert all(problem.place.line >= 1 for problem in problems)
