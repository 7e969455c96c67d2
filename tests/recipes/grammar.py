"""Expressions and bodies made by the rules of the language, for properties that hold of all of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from relay.errors import Place
from relay.recipes.filters import FILTERS
from relay.recipes.filters.lookup import EXAMPLES
from relay.recipes.filters.registry import Filter
from relay.recipes.names import Names

NAMES = Names(picks=frozenset({"name"}), saves={"sheet": ("range",)}, tables=EXAMPLES)

_KEYS = st.sampled_from(["a", "b", "c", "name", "at", "items", "rating", ""])
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2026-04-03T09:15:00Z", "2026-13-40", "1775207700", "9" * 400, "a@b.co", "020 7946 0958", "yes"])
    | st.sampled_from(["G100", "<p>a</p>", "1,250.5", "__class__", "{{ $.a }}", "{0.__class__}", "\ud800", "e\u0301"])
)
BODIES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=15
)

_PATHS = st.sampled_from(
    [
        "$", "$.a", "$.b?", "$.a.b?", "$.items[*]", "$.items[*].a", "$..a", "$.items[0]?", '$["a b"]?', "$.items[-1:]",
        "$.items[?(@.a > 1)]", '$..[?(@.name == "a" || !@.b)]', "$name", "$sheet.range?", "$event.id", "$headers",
        "$query.a?", '$.items["a", "b"]',
    ]
)  # fmt: skip
_TEXTS = st.text(max_size=6).map(lambda text: text.replace("\\", "").replace('"', "")) | st.sampled_from(
    ["a", "DD/MM/YYYY", "2d", "days", "GB", r"(\w+)", "cp1252", "tags", "upper", "sha256", "Europe/London", "==", "in"]
)
_LITERALS = st.one_of(
    st.sampled_from(["true", "false", "null", "now()", "0", "1", "2.5", "1e3", "-1", "99999999999999999999"]),
    st.integers(0, 10**20).map(str),
    _TEXTS.map(lambda text: f'"{text}"'),
    _TEXTS.map(lambda text: "'" + text.replace("'", "") + "'"),
)
_SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "//", "%", "and", "or", "in", "not in"])


def _piped(inner: st.SearchStrategy[str], one: Filter) -> st.SearchStrategy[str]:
    most = min(one.most, 3)
    arguments = st.lists(_LITERALS | inner, min_size=one.least, max_size=most).map(", ".join)
    return st.tuples(inner, arguments).map(lambda made: f"{made[0]} | {one.name}" + (f"({made[1]})" if made[1] else ""))


def _from_examples(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Filters with arguments that they are meant for."""
    calls = [
        e.expression.partition(" | ")[2] for one in FILTERS.values() for e in one.examples if " | " in e.expression
    ]
    return st.tuples(inner, st.sampled_from(calls)).map(" | ".join)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, _SIGNS, inner).map(" ".join),
        inner.map(lambda one: f"not {one}"),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"-{one}"),
        st.tuples(inner, inner, inner).map(lambda made: f"{made[0]} if {made[1]} else {made[2]}"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(_TEXTS.map(json.dumps), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
        st.tuples(inner, _LITERALS | inner).map(lambda made: f"({made[0]})[{made[1]}]"),
        st.sampled_from(list(FILTERS.values())).flatmap(lambda one: _piped(inner, one)),
        _from_examples(inner),
    )


EXPRESSIONS: st.SearchStrategy[str] = st.recursive(_PATHS | _LITERALS, _compound, max_leaves=8)


def values_of(body: Any) -> dict[str, Any]:
    """What an expression is evaluated on."""
    return {
        "": body,
        "name": "Ana",
        "sheet": {"range": "A7"},
        "event": {"id": "evt_1", "received_at": "2026-04-03T09:15:00.000Z", "type": ""},
        "headers": {"x-id": "1"},
        "query": {},
    }


PLACE = Place("recipe.yaml", 3, 5)
