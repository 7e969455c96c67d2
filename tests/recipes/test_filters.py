"""Every filter by its own examples, and what each refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import Names, compile_expression
from relay.recipes.filters import FILTERS, Example
from relay.recipes.filters.docs import GROUPS, page
from relay.recipes.filters.lookup import EXAMPLES
from relay.recipes.filters.moments import read, write

Evaluate = Callable[..., Any]
LONDON = Names(zone=ZoneInfo("Europe/London"))
DOCS = Path(__file__).parents[2] / "docs" / "filters.md"


@pytest.mark.parametrize(
    "example", [one for filter_ in FILTERS.values() for one in filter_.examples], ids=lambda one: one.expression
)
def test_each_example_gives_what_the_docs_say(evaluate: Evaluate, example: Example) -> None:
    found = evaluate(example.expression, example.body, Names(tables=EXAMPLES))
    assert found == example.gives
    assert type(found) is type(example.gives)


def test_the_page_of_filters_is_current() -> None:
    assert {one.group for one in FILTERS.values()} == set(GROUPS)
    assert DOCS.read_text() == page(), "run: python -m relay.recipes.filters.docs > docs/filters.md"


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_is_documented_with_an_example_of_its_own(name: str) -> None:
    one = FILTERS[name]
    assert one.doc.endswith(".")
    assert any(f"| {name}" in example.expression for example in one.examples)


@pytest.mark.parametrize("name", sorted(set(FILTERS) - {"default"}))
def test_null_passes_through_every_filter_but_default(name: str) -> None:
    one = FILTERS[name]
    assert one.run(None, *["x"] * one.least) is None


@pytest.mark.parametrize(
    ("text", "body", "message"),
    [
        ('$ | date("DD/MM/YYYY")', "03/04/2026", "no other form is guessed at; read it with parse_date"),
        ('$ | date("DD/MM/YYYY")', "2026-02-30", 'there is no such date as "2026-02-30"'),
        ('$ | date("DD/MM/YYYY")', 1e30, "is not a unix time"),
        ('$ | date("DD/MM/YYYY")', True, "true or false is not a date"),
        ('$ | parse_date("DD/MM/YYYY")', "31/02/2026", "there is no such date"),
        ('$ | parse_date("DD/MM/YYYY")', "2026-04-03", "doesn't look like DD/MM/YYYY"),
        ('$ | parse_date("D MMM YYYY")', "3 Foo 2026", "there is no such date"),
        ("$ | from_unix", "soon", '"soon" is not a unix time'),
        ("$ | number", "1.234,56", "is not a number"),
        ("$ | number", "12,34", "is not a number"),
        ("$ | number", "", "is not a number"),
        ("$ | int", [], "a list is not a number"),
        ("$ | int", "1e999", "is too large a number"),
        ("$ | email", "ana@localhost", "is not an e-mail address"),
        ("$ | phone", "020 7946 0958", "name the region"),
        ('$ | phone("GB")', "12", "is not a possible phone number"),
        ("$ | email", "ana@", "is not an e-mail address"),
        ("$ | bool", "maybe", "is neither yes nor no"),
        ("$ | country", "Atlantis", "is not a country that is known here"),
        ("$ | upper", {"a": 1}, "needs text, and this is an object"),
        ("$ | first", "abc", "needs a list, and this is text"),
        ("$ | keys", [1], "needs an object, and this is a list"),
        ("$ | sum", ["1"], 'use map("number") first'),
        ("$ | sort", [{"a": 1}], "an object has no order; name the key"),
        ("$ | from_json", "{", "this is not JSON"),
        ("$ | from_json", "NaN", "NaN is not JSON"),
        ("$ | from_base64", "%%%", "is not text in base64"),
        ('$ | where("a", "<", 3)', [{"a": "x"}], "text can't be compared with a number"),
        ('$ | regex_replace("a", $)', r"a\2", "the pattern has no bracket number 2"),
    ],
)
def test_what_a_filter_cannot_be_used_on_is_said_in_words(
    evaluate: Evaluate, text: str, body: Any, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(text, body)
    assert message in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml:1:5: ")


@pytest.mark.parametrize(
    ("text", "body", "value"),
    [
        ('$ | date("HH:mm")', "2026-07-01T12:00:00Z", "13:00"),
        ('$ | date("HH:mm")', "2026-01-01T12:00:00Z", "12:00"),
        ('$ | date("HH:mm Z")', "2026-07-01T12:00:00", "12:00 +01:00"),
        ('$ | parse_date("DD/MM/YYYY HH:mm")', "01/07/2026 12:00", "2026-07-01T12:00:00+01:00"),
        # The clocks go forward on 29 March 2026 at 01:00, and back on 25 October at 02:00.
        ('$ | add("1d") | date("DD HH:mm Z")', "2026-03-28T12:00:00", "29 12:00 +01:00"),
        ('$ | add("24h") | date("DD HH:mm Z")', "2026-03-28T12:00:00", "29 13:00 +01:00"),
        ('$ | date("HH:mm Z")', "2026-03-29T01:30:00", "02:30 +01:00"),
        ('$ | subtract("1d") | date("DD HH:mm Z")', "2026-10-25T12:00:00", "24 12:00 +01:00"),
        ('$ | start_of("day")', "2026-07-01T23:30:00Z", "2026-07-02T00:00:00+01:00"),
        ('$ | start_of("week") | date("dddd DD")', "2026-04-05", "Monday 30"),
        ('$ | add("1y") | date("YYYY-MM-DD")', "2024-02-29", "2025-02-28"),
        ('$ | subtract("2mo") | date("YYYY-MM-DD")', "2026-01-31", "2025-11-30"),
        ('$ | date("YYYY")', "1775207700", "2026"),
        ('$ | date("YYYY")', 1775207700123, "2026"),
        ('$ | to_timezone("Asia/Tokyo") | date("HH:mm")', "2026-07-01T12:00:00Z", "21:00"),
        ("$ | to_unix", "2026-04-03 10:15:00", 1775207700),
    ],
)
def test_dates_are_read_and_written_in_the_recipes_time_zone(
    evaluate: Evaluate, text: str, body: Any, value: Any
) -> None:
    assert evaluate(text, body, LONDON) == value


@given(st.datetimes(timezones=st.just(ZoneInfo("UTC"))).map(lambda one: one.replace(microsecond=0)))
def test_a_date_that_was_written_is_read_back(moment: Any) -> None:
    for form in ("YYYY-MM-DD HH:mm:ss", "DD.MM.YYYY h:mm:ss A", "D MMMM YYYY H:mm:ss Z"):
        assert read(write(moment, form), form, moment.tzinfo) - moment == timedelta(0)


def test_a_literal_argument_that_can_never_work_is_found_when_the_recipe_is_read() -> None:
    for text in (
        '$ | add("2 days")', '$ | start_of("decade")', '$ | currency("£")', '$ | hash("sha3")', '$ | truncate("9")',
        '$ | pad(6, "00")', '$ | pad(6, "0", "up")', "$ | round(99)", '$ | format_number(2, 1)', '$ | split("")',
        '$ | replace("", "x")', '$ | regex_replace("(a+)+", $)', r'$ | regex_replace("a", "\1")', '$ | csv("::")',
        '$ | sort("qty", "down")', '$ | where("qty", "=>", 1)', '$ | country("alpha4")', '$ | xml("an order")',
        '$ | charset("cp1253x")', '$ | charset("zip")', '$ | charset("utf-8", "drop")', '$ | map("map", "lower")',
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            compile_expression(text, Place("f"))
        assert caught.value.place is not None


def test_big_integers_stay_exact(evaluate: Evaluate) -> None:
    assert evaluate("$ | int", "9007199254740993") == 9007199254740993
    assert evaluate("$ | sum", [9007199254740993, 1]) == 9007199254740994
    assert evaluate("$ | to_json", 9007199254740993123) == "9007199254740993123"
    assert evaluate("$ | round", 9007199254740993) == 9007199254740993
    assert evaluate("$ | format_number", 10**400) == f"{10**400:,}"
