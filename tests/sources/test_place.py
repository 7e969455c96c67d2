from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.place import BodyPlace

BODY: Any = {"a": {"b": [{"c": 1}, {"c": "x"}, {}]}, "l": [[1], [2, 3]], "n": None}


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("a.b[*].c", [1, "x", None]),
        ("$.a.b[*].c", [1, "x", None]),
        ("a.b", [BODY["a"]["b"]]),
        ("l[*][*]", [1, 2, 3]),
        ("n", [None]),
        ("n.x", [None]),
        ("n[*]", [None]),
        ("a[*]", [None]),
        ("no.where", [None]),
    ],
)
def test_a_place_is_found_or_not(place: str, found: list[Any]) -> None:
    assert BodyPlace.of(place).found(BODY) == found


def test_a_place_may_be_in_a_list_itself() -> None:
    assert BodyPlace.of("[*].k").found([{"k": 1}, {"k": 2}]) == [1, 2]
    assert BodyPlace.of("$[*].k").found([]) == []


@pytest.mark.parametrize("place", ["a", "a.b", "a-b.c d", "a[*].b", "[*].a", "[*][*]", "event-data.signature"])
def test_a_place_is_written_as_it_is_read(place: str) -> None:
    assert str(BodyPlace.of(place)) == place
    assert BodyPlace.of(str(BodyPlace.of(place))) == BodyPlace.of(place)


@pytest.mark.parametrize(
    ("value", "text"), [("x", "x"), ("", ""), (7, "7"), (10**30, str(10**30)), (True, None), (1.5, None), ([], None)]
)
def test_a_text_and_a_whole_number_are_a_text(value: Any, text: str | None) -> None:
    assert BodyPlace.of("a").text({"a": value}) == text


def test_what_may_be_many_is_no_text() -> None:
    assert BodyPlace.of("[*]").text(["a", "b"]) is None
    assert BodyPlace.of("[*]").text([]) is None


def test_a_value_is_put_where_it_isn_t_yet_and_nothing_is_changed_in_its_place() -> None:
    assert BodyPlace.of("x.y").put({"a": 1}, "v") == {"a": 1, "x": {"y": "v"}}
    assert BodyPlace.of("a.b[*].c").put(BODY, "v")["a"]["b"] == [{"c": "v"}, {"c": "v"}, {"c": "v"}]
    assert BodyPlace.of("a.b[*].c").put(BODY, "v", only_where_it_is=True)["a"]["b"] == [{"c": "v"}, {"c": "v"}, {}]
    assert BodyPlace.of("x.y").put(BODY, "v", only_where_it_is=True) == BODY
    assert BodyPlace.of("l.x").put(BODY, "v") == BODY
    assert BODY["a"]["b"] == [{"c": 1}, {"c": "x"}, {}]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
)


@given(VALUES, st.sampled_from(["a", "a.b", "a[*].b", "[*].a", "[*]", "a[*][*]"]))
def test_whatever_is_found_is_replaced_in_every_body(data: Any, place: str) -> None:
    where = BodyPlace.of(place)
    replaced = where.put(data, "***", only_where_it_is=True)
    for before, after in zip(where.found(data), where.found(replaced), strict=True):
        assert after == "***" if before is not None else after in ("***", None)
