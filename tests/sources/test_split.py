"""The way from a body to the list of its events."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from relay.model import JSON
from relay.sources.split import Split


@pytest.mark.parametrize(
    ("text", "body", "items"),
    [
        ("$[*]", [1, {"a": 2}], [1, {"a": 2}]),
        ("$[*]", {"a": [1]}, []),
        ("$[*]", [], []),
        ("$[*]", None, []),
        ("$[*]", "text", []),
        ("$.events[*]", {"events": [1, 2], "more": 3}, [1, 2]),
        ("$.events[*]", {"events": {"0": 1}}, []),
        ("$.events[*]", {"event": [1]}, []),
        ("$.events[*]", [1], []),
        ("$.a.b-c.d_e[*]", {"a": {"b-c": {"d_e": [None]}}}, [None]),
        (" $.a[*] ", {"a": [1]}, [1]),
    ],
)
def test_the_items_are_found(text: str, body: JSON, items: list[JSON]) -> None:
    assert Split.of(text).items(body) == items


@pytest.mark.parametrize(
    "text", ["", "$", "$.events", "events[*]", "$.a[0]", "$..a[*]", "$.a[*].b", "$.a[*][*]", "$.*"]
)
def test_any_other_way_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(PydanticCustomError, match=r"\$\.events\[\*\]"):
        Split.of(text)
