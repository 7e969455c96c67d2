"""The order of a recipe's steps."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest

from relay.recipes.graph import circle, in_order


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({}, None),
        ({"a": ["b"], "b": []}, None),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, None),
        ({"a": ["gone"]}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b", "c", "b"]),
    ],
)
def test_a_circle_is_found(needs: dict[str, Sequence[str]], found: list[str] | None) -> None:
    assert circle(needs) == found


def test_steps_come_after_those_they_wait_for_and_else_as_they_were_written() -> None:
    assert in_order({"d": [], "a": ["c", "b"], "b": [], "c": ["b", "gone"]}) == ["d", "b", "c", "a"]


class Needs(dict[str, list[str]]):
    """A mapping of which one can tell whether it is still there."""


def test_nothing_is_left_that_only_the_collector_could_take_apart() -> None:
    """It rests while recipes are parsed, and never looks again at what was parsed then."""
    gc.disable()
    try:
        needs = Needs(a=["b"], b=[])
        there = weakref.ref(needs)
        assert circle(needs) is None
        assert in_order(needs) == ["b", "a"]
        del needs
        assert there() is None
    finally:
        gc.enable()
