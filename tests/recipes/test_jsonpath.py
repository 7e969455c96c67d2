"""Paths by RFC 9535: its Compliance Test Suite, jsonpath-ng beside the walk, and what a body may cost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext import parse as parse_jsonpath

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes import Names, compile_expression
from relay.recipes.paths import scan_ref
from tests.recipes.jsonpath.differences import DIFFERENCES, suite
from tests.recipes.jsonpath.page import page

Evaluate = Callable[..., Any]
DOCS = Path(__file__).parents[2] / "docs" / "jsonpath.md"
SUITE = suite()
DIFFERENT = {name: one for one in DIFFERENCES for name in one.names}


def found(selector: str, document: Any) -> list[Any]:
    """The RFC's list of what a path finds. A path of keys and numbers gives one value here, or says what is missing."""
    expression = compile_expression(selector, Place("cts"))
    try:
        value = expression.of({"": document})
    except RecipeError:
        return []
    is_list = any(ref.segments is not None for ref in expression.refs)
    return list(value) if is_list else [value]


def as_json(value: Any) -> str:
    """JSON's own equality: 1 is not true, and the order of keys doesn't count."""
    return json.dumps(value, sort_keys=True)


def verdict(case: dict[str, Any]) -> str:
    try:
        compile_expression(case["selector"], Place("cts"))
    except ConfigError as error:
        return "right" if case.get("invalid_selector") else f"refused: {error.message}"
    if case.get("invalid_selector"):
        return "taken"
    right = [case["result"]] if "result" in case else case["results"]
    result = found(case["selector"], case["document"])
    return "right" if as_json(result) in map(as_json, right) else f"wrong: {result}"


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case["name"])
def test_each_case_of_the_suite_holds_or_differs_as_the_list_says(case: dict[str, Any]) -> None:
    different = DIFFERENT.get(case["name"])
    if different is None:
        assert verdict(case) == "right"
    else:
        assert verdict(case).startswith(different.here)
        assert different.says in verdict(case)


def test_the_list_of_differences_names_cases_of_the_suite_once_each() -> None:
    names = [name for one in DIFFERENCES for name in one.names]
    assert len(names) == len(set(names))
    assert set(names) <= {case["name"] for case in SUITE}
    assert len(SUITE) == len({case["name"] for case in SUITE}) > 600


@pytest.mark.parametrize("one", [one for one in DIFFERENCES if one.here == "refused"], ids=lambda one: one.what)
def test_the_example_of_each_difference_shows_it(one: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_expression(one.example, Place("f"))
    assert one.says in caught.value.message


def test_the_page_of_paths_is_current() -> None:
    assert DOCS.read_text() == page(), "run: python -m tests.recipes.jsonpath.page > docs/jsonpath.md"


# --- what the page says beside the suite ---

BODY = {
    "lines": [
        {"sku": "a", "qty": 2, "kind": "book", "active": False, "closed-at": 1},
        {"sku": "b", "qty": "5", "email": None},
        {"sku": "c", "qty": 0, "kind": "pen"},
    ],
    "wanted": "c",
    "order": {"line": {"sku": "x"}},
    "at": {"@id": "7", "#text": "t"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.lines[?(@.qty > 1)].sku", ["a"]),
        ('$.lines[?(@.kind == "book" && @.qty != 0)].sku', ["a"]),
        ("$.lines[?(@.sku == $.wanted)].qty", [0]),
        ("$.lines[?(@.email)].sku", ["b"]),
        ("$.lines[?(!@.email)].sku", ["a", "c"]),
        ("$.lines[?(@.active)].sku", ["a"]),
        ("$.lines[?(@.active == true)].sku", []),
        ('$.lines[?(@.kind != "book")].sku', ["b", "c"]),
        ("$.lines[?(1 < @.qty)].sku", ["a"]),
        ("$.lines[?(@.qty == 2e0)].sku", ["a"]),
        ('$.lines[?(@["closed-at"] == 1)].sku', ["a"]),
        ("$.lines[?((@.qty == 2 || @.qty == 0) && @.kind)].sku", ["a", "c"]),
        ('$.lines[0, 2]["sku", "qty"]', ["a", 2, "c", 0]),
        ("$.lines[::2].sku", ["a", "c"]),
        ("$.lines[::0].sku", []),
        ("($.lines[*].sku)[0]", "a"),
        ("$.order.line[*].sku", []),
        ("$.order.line | list | pluck('sku')", ["x"]),
        ("$.lines | list | length", 3),
        ("$.at.@id", "7"),
        ("$.at.#text", "t"),
        ("$..@id", ["7"]),
        (r'$["lines"][0]["\u0073ku"]', "a"),
        ('$.lines | where("sku", $.wanted) | length', 1),
    ],
)
def test_what_the_page_says_is_so(evaluate: Evaluate, text: str, value: Any) -> None:
    assert evaluate(text, BODY) == value


def test_headers_are_found_in_any_case_also_where_there_are_many(evaluate: Evaluate) -> None:
    assert evaluate('$headers["X-A", "X-B"]', {}, headers={"x-a": "1", "x-b": "2"}) == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$items[?(@.x == $.y)]", "1:17: inside [?…] behind $items there is the item (@) alone"),
        ("$.items[?(@.x == $name)]", '1:18: inside [?…] there are the item (@) and the body ($) alone'),
        ("$.items[$name]", "as in ($.items)[$index]"),
        ("$.a[key]", '1:5: inside [ ] stands a number, a "key", `*`, or a condition'),
        ("$.a[(@.length-1)]", "the last item is [-1]"),
        ("$.a[?(@.b == x)]", '1:14: text is in quotes: "x"'),
        ("$.a[?(@.b = 1)]", "1:11: `=` compares nothing: write `==`"),
        ("$.a[?(@.b == 1 and @.c)]", "1:16: inside [?…] write `&&`"),
        ("$.a[?(not @.b)]", "inside [?…] write `!` before a path"),
        ("$.a[?(@.b == True)]", "1:14: write `true`"),
        ('$.a[?(@.b in ["x"])]', "`in` is not part of a path"),
        ("$.a[?(@.b * 2 > 3)]", "1:11: nothing is calculated inside of a path"),
        ("$.a[?(@.closed-at == 1)]", '1:15: a key with a dash is written in brackets: ["closed-at"]'),
        ("$.a[?(@.b == “x”)]", "straight quotes are needed"),
        ("$.a[?(@.b == 05)]", "this is not a number as JSON writes it"),
        ("$.a[?(@.b == 1e999)]", "this number is too long"),
        ("$.a[?(@..b)]", "inside [?…] there is no `..`"),
        ('$.a[?(@["b", "c"])]', "inside [?…] brackets take one key or number"),
        ("$.a[?(@.b == @.c[*])]", "what is compared is one value"),
        ("$.a[?(@.c[*] == 1)]", "what is compared is one value"),
        ("$.a[?(5 == 5)]", "a condition compares something of the item"),
        ("$.a[?(true)]", "a condition compares something of the item"),
        ("$.a[?(@.b == 1", "1:6: this `(` is never closed"),
        ("$.a[?@.b == 1", "1:4: this `[` is never closed"),
        ('$.a["x', '1:5: the quote " that opens here is never closed'),
        ('$.a["b" "c"]', "a `]` is missing, or quotes"),
        (r'$.a["\d"]', r"`\d` has no meaning in a path; a backslash itself is written \\"),
        (r'$.a["\ud800"]', "has no meaning in a path"),
        ("$.a[01]", "01 is not the number of an item"),
        ("$.a[*] [0]", "1:8: a path has no spaces in it; for an item of all that it matches, put it in brackets"),
        ("$..closed-at", '1:11: a key with a dash is written in brackets: ["closed-at"]'),
        ("$.a[?" + "(" * 30, "nested too deeply"),
        ("$" + ".a" * 600 + "[*]", "this path is too long"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_path_is_told_at_its_place(evaluate: Evaluate, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate(text, {}, Names(picks=frozenset({"items", "name"})))
    assert message in str(caught.value)


def test_an_object_where_a_list_was_meant_is_told_with_the_remedy(evaluate: Evaluate) -> None:
    with pytest.raises(
        RecipeError, match=r"\$\.order\.line is an object, not a list; .* `\| list` makes a list of both"
    ):
        evaluate("$.order.line[0]", BODY)


# --- the walk and jsonpath-ng find the same ---

KEYS = st.sampled_from(["a", "b", "c", "a b", "*", "'", "\\", "é", "0", ""])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "é", "1"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)
QUOTED = KEYS.map(lambda key: json.dumps(key, ensure_ascii=False))
INDEXES = st.integers(-4, 4).map(str)
BOUNDS = st.none() | st.integers(-3, 3)
SLICES = st.tuples(BOUNDS, BOUNDS, BOUNDS).map(lambda s: ":".join("" if one is None else str(one) for one in s))
ONE = st.one_of(st.just(""), QUOTED.map(lambda key: f"[{key}]"), INDEXES.map(lambda index: f"[{index}]"))
LITERALS = st.sampled_from(["null", "true", "false", "1", "-2", "0.5", "1e0", '"a"', "'é'"])
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
QUERIES = st.tuples(st.sampled_from("@$"), ONE, ONE).map("".join)
COMPARISONS = (
    st.tuples(QUERIES, SIGNS, LITERALS | QUERIES).map(" ".join)
    | st.tuples(LITERALS, SIGNS, QUERIES).map("".join)
    | QUERIES.map(lambda query: f"!{query}")
    | QUERIES
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.tuples(inner, st.sampled_from([" && ", "||"]), inner).map("".join) | inner.map(lambda c: f"({c})"),
    max_leaves=4,
).map(lambda condition: f"?{condition}")
SELECTORS = (
    st.lists(QUOTED, min_size=1, max_size=3).map(",".join)
    | st.lists(INDEXES, min_size=1, max_size=3).map(", ".join)
    | SLICES
    | st.just("*")
    | CONDITIONS
)
SEGMENTS = st.tuples(st.sampled_from(["", "", "", ".."]), SELECTORS).map(lambda s: f"{s[0]}[{s[1]}]")
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda segments: "$" + "".join(segments))


@settings(max_examples=1500, deadline=None)
@given(PATHS.filter(lambda path: path.count("..") <= 2), DOCUMENTS)
def test_the_walk_finds_what_jsonpath_ng_finds(path: str, document: Any) -> None:
    ref, end = scan_ref(path, 0, lambda offset: Place("f", 1, offset + 1))
    assert end == len(path)
    spelt = "".join(segment.spelt for segment in ref.segments) if ref.segments is not None else None
    if spelt is None:
        spelt = "".join(f"['{_escaped(step)}']" if isinstance(step, str) else f"[{step}]" for step in ref.steps)
    expected = [match.value for match in parse_jsonpath("$" + spelt).find(document)]
    assert as_json(found(path, document)) == as_json(expected)


def _escaped(step: str) -> str:
    return step.replace("\\", "\\\\").replace("'", "\\'")


@settings(max_examples=1500, deadline=None)
@given(st.text(alphabet="$@.[]?()*:,'\"\\&|!=<> -01ab", max_size=30).map(lambda text: "$" + text), DOCUMENTS)
def test_any_path_is_refused_by_place_or_finds_something(path: str, document: Any) -> None:
    try:
        expression = compile_expression(path, Place("f"))
    except ConfigError as error:
        check_place(error)
        return
    try:
        expression.of({"": document})
    except RecipeError as error:
        check_place(error)


def check_place(error: ConfigError | RecipeError) -> None:
    assert error.place is not None


# --- what a body can cost ---


def nested(depth: int, inside: Any) -> Any:
    for _ in range(depth):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("$..*..*", nested(900, list(range(400_000)))),
        ("$..*..x", nested(900, list(range(400_000)))),
        ("$..[*]..[?(@.a)]", nested(900, list(range(100_000)))),
        ("$" + "[0,0]" * 150, nested(150, 1)),
        ("$" + "[0,-1]" * 150, nested(150, 1)),
        ("$..*", list(range(2_000_000))),
        ("$..id", [{"id": 1}] * 600_000),
        ("$[?(@ == $[0])]", list(range(2_000_000))),
    ],
)
def test_a_body_cannot_make_a_path_go_on_for_ever(evaluate: Evaluate, path: str, body: Any) -> None:
    started = time.perf_counter()
    with pytest.raises(RecipeError, match=r"matches more than|goes through more of the body"):
        evaluate(path, body)
    assert time.perf_counter() - started < 8


def test_a_whole_body_of_ten_megabytes_is_looked_through(evaluate: Evaluate) -> None:
    body = {"rows": [{"id": n, "tags": ["a", "b"]} for n in range(300_000)]}
    assert len(evaluate("$..id", body)) == 300_000
