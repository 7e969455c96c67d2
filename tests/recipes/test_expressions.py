"""Expressions read aloud: paths, names, comparisons, logic, arithmetic, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay.errors import ConfigError, RecipeError
from relay.recipes import Names

Evaluate = Callable[..., Any]

BODY: dict[str, Any] = {
    "contact": {"id": 1, "name": "Ana", "phone": None, "closed-at": "x", "2fa": True},
    "rating": 2,
    "tags": ["red", "green"],
    "items": [{"sku": "a", "qty": 1}, {"sku": "b|c", "qty": 2}, {"qty": 3}],
    "text": "5",
    "flag": False,
    "yes": [1],
    "lists": [[1], [2]],
    "big": 9007199254740993123,
    "at": "2026-04-03T10:00:00+02:00",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.rating", 2),
        ("$.contact.name", "Ana"),
        ('$.contact["closed-at"]', "x"),
        ("$.contact.2fa", True),
        ("$.tags[0]", "red"),
        ("$.tags[-1]", "green"),
        ("$.tags[*]", ["red", "green"]),
        ("$.tags[0:1]", ["red"]),
        ("$.items[*].sku", ["a", "b|c"]),
        ("$..sku", ["a", "b|c"]),
        ("$.items[?(@.qty > 1)].qty", [2, 3]),
        ('$.items[?(@.sku == "b|c")].qty', [2]),
        ("$.none[*].x", []),
        ("$.contact.email?", None),
        ("$.a.b.c?", None),
        ("$.contact.phone", None),
        ("$.big", 9007199254740993123),
        ("$.rating + 1", 3),
        ("10 / 4", 2.5),
        ("$.big / 1", 9007199254740993123),
        ("7 // 2 * 2 % 5 - 1", 0),
        ('$.contact.name + "!"', "Ana!"),
        ("$.rating < 3 and not $.flag", True),
        ("$.contact.email? or $.contact.name", "Ana"),
        ("$.rating in [1, 2]", True),
        ('"red" in $.tags', True),
        ('"blue" not in $.tags', True),
        ('"name" in $.contact', True),
        ('"n" in $.contact.name', True),
        ("$.contact.email? < 3", False),
        ("$.contact.email? > 3", False),
        ("$.contact.email? == null", True),
        ("$.flag == 0", False),
        ("$.text == 5", False),
        ("$.text | int == 5", True),
        ('"low" if $.rating < 3 else "high"', "low"),
        ("1 if $.flag else 2 if $.rating == 1 else 3", 3),
        ("$.yes == [true]", False),
        ("$.yes == [1]", True),
        ('{"a": [1, {"b": null}]} == {"a": [1, {"b": null}]}', True),
        ('{"a": [1, {"b": null}]} == {"a": [true, {"b": null}]}', False),
        ("[1] in $.lists", True),
        ("[true] in $.lists", False),
        ('{"n": $.rating, "l": [1, $.text]}', {"n": 2, "l": [1, "5"]}),
        ("($.tags | first) + ($.tags | last)", "redgreen"),
        ("-$.rating", -2),
        (r'"a\"b\\c\d"', 'a"b\\c\\d'),
        ('"$.rating | lower"', "$.rating | lower"),
        ("$.at < now()", True),
        ('$.at > "2026-04-03T07:59:00Z"', True),
        ('$headers["X-Id"]', "h1"),
        ("$query.token", "t"),
        ("$event.id", "evt_1"),
        ("$event.received_at", "2026-04-03T09:15:00.000Z"),
        ("$event.type", "closed"),
    ],
)
def test_expressions_mean_what_they_say(evaluate: Evaluate, text: str, value: Any) -> None:
    found = evaluate(text, BODY, headers={"x-id": "h1"}, query=[("token", "t")], kind="closed")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "$.contact.email",
            "$.contact.email: no `email` in $.contact; there are `id`, `name`, `phone`, `closed-at`, `2fa`",
        ),
        ("$.contact.nmae", "did you mean `name`?"),
        ("$.rating.x", "$.rating is a number, so it has no `x`"),
        ("$.contact.phone.x", "$.contact.phone is null, so it has no `x`"),
        ("$.tags[2]", "no item 2 in $.tags, which has 2"),
        ("$.tags.sku", "$.tags is a list, so `sku` is in its items"),
        ('$headers["x-no"]', "no `x-no` in $headers; there are `content-type`"),
        ("$.text < 3", 'text can\'t be compared with a number (add `| number` to the text): "5" < 3'),
        ("$.text * 3", "`*` doesn't work between text and a number"),
        ("$.contact.phone + 1", "add `| default(0)` where it may be absent"),
        ("$.rating / 0", "a division by zero has no result"),
        ("1 in $.text", "only text can be `in` text"),
        ("($.contact | keys)[9]", "there is no item 9"),
        ('$.contact.name | date("DD")', 'date: "Ana" is not an ISO 8601 date'),
    ],
)
def test_what_an_event_lacks_is_said_in_words_with_a_place(evaluate: Evaluate, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(text, BODY)
    assert message in str(caught.value)
    assert caught.value.place is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$nmae", "1:1: `$nmae` is not known here: did you mean `$name`?"),
        ("$sheet.rnge", "1:1: the step `sheet` saves no `rnge`: did you mean `range`?"),
        ("$slack.ts", "1:1: the step `slack` saves nothing: give it a `save:`"),
        ("$event.typ", "unknown part of $event `typ`: did you mean `type`?"),
        ("$item.x", "`$item` stands only in a step that has `foreach:`"),
        ("$.a | lowr", "1:7: unknown filter `lowr`: did you mean `lower`?"),
        ("$.a | truncate", "1:7: `truncate` takes 1 to 2 arguments, not 0"),
        ("$.a | lower(1)", "1:13: `lower` takes no arguments, not 1"),
        ('$.a | date("dd/MM/yyyy")', "1:12: date: in a date format the year is YYYY and the day is DD"),
        ('$.a | date("%d")', "not with %"),
        ('$.a | to_timezone("Europe/Lodnon")', "did you mean `Europe/London`?"),
        ('$.a | regex_extract("(a+)+")', "a repeat inside a repeat"),
        ('$.a | phone("gb")', "a two-letter country code in capitals"),
        ('$.a | map("lowr")', "unknown filter `lowr`: did you mean `lower`?"),
        ("$.a = 1", "1:5: `=` compares nothing: write `==`"),
        ("$.a && $.b", "1:5: `&&` is written `and`"),
        ("$.a || $.b", "1:5: `||` is written `or`"),
        ("$.a ~ $.b", '1:5: to join text, write "{{ $a }} {{ $b }}"'),
        ("$.a ** 2", "1:5: powers are not part of an expression"),
        ("$.a is 1", "1:5: write `==` for `is`"),
        ("1 < $.a < 3", "compare two values at a time"),
        ("$.a $.b", "1:5: something is missing between `$.a` and `$.b`"),
        ("$5 off", "text that starts with a dollar sign is written with two: `$$5`"),
        ("$.a ==", "1:5: a value is missing after `==`"),
        ("$.a == and 1", "`and` has no meaning here"),
        ("($.a", "1:1: this `(` is never closed"),
        ("$.a)", "1:4: `)` closes nothing"),
        ('$.a == "x', '1:8: the quote " that opens here is never closed'),
        ("$.a | pad(3", "has to be in quotes"),
        ("$.a[", "1:4: this `[` is never closed"),
        ("$.closed-at", '1:10: a key with a dash is written in brackets: ["closed-at"]'),
        ("$.a?.b", "1:4: `?` goes at the end of a path"),
        ("$.", "1:2: after `.` comes a key"),
        ("$.a.[0]", "after `.` comes a key"),
        ("name", 'a picked value is `$name`, text is "name"'),
        ("None", "`None` has no meaning here"),
        ("lower($.a)", "write it after a value, as in $.name | lower"),
        ("$.a if $.b", "`if` needs an `else`"),
        ("$.a if $.b if $.c else 1 else 2", "1:12: an `if` inside of an `if` is put in brackets"),
        ("-not $.a", "1:2: `not` behind `-` is put in brackets: (not …)"),
        ("$.a == not $.b", "1:8: `not` behind `==` is put in brackets"),
        ("$.a, $.b", "a comma has no meaning here"),
        ("“x”", "straight quotes are needed"),
        ("$.a | ", "after `|` comes the name of a filter"),
        ("$.a[*] =~ 'x'", "there is no `=~`"),
        ('$.a[?(@.b =~ "(a+)+")]', "a pattern is not part of a path"),
        ("$..a..b..c", "a path has `..` at most twice"),
        ("$.a.`len`", "after `.` comes a key"),
        ("", "an expression is missing here"),
        ("1e999", "this number is too long"),
        ("$.a + " * 1700 + "1", "at most 10000 characters"),
        ("(" * 60, "nested too deeply"),
        ("not " * 2000 + "1", "nested too deeply"),
    ],
)
def test_a_mistake_in_an_expression_is_found_when_it_is_read(evaluate: Evaluate, text: str, message: str) -> None:
    names = Names(picks=frozenset({"name"}), saves={"sheet": ("range",), "slack": ()})
    with pytest.raises(ConfigError) as caught:
        evaluate(text, {}, names)
    assert message in str(caught.value)
    assert caught.value.place is not None


def test_the_fast_way_and_the_sandbox_agree(evaluate: Evaluate) -> None:
    for text in ("$.rating < 3", "$.contact.name | upper", '$.tags | join("-") == "red-green"', "$.text in $.tags"):
        # Brackets send an expression through the sandbox.
        assert evaluate(text, BODY) == evaluate(f"({text})", BODY)


def test_a_date_is_iso_text_when_nothing_follows(evaluate: Evaluate) -> None:
    assert evaluate('"03/04/2026" | parse_date("DD/MM/YYYY")', {}) == "2026-04-03T00:00:00Z"


def test_and_and_or_look_no_further_than_they_need(evaluate: Evaluate) -> None:
    assert evaluate("$.flag and $.missing", BODY) is False
    assert evaluate("$.rating or $.missing", BODY) == 2


@pytest.mark.parametrize("word", ["false", "no", "0", "Off"])
def test_text_that_means_no_is_never_taken_for_yes(evaluate: Evaluate, word: str) -> None:
    with pytest.raises(RecipeError, match="is text, not true or false"):
        evaluate("$.consent and true", {"consent": word})
    assert evaluate("$.consent | bool and true", {"consent": word}) is False
