"""Bodies that no sender is known to send, and may: any JSON, and samples in which something has changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from relay.model import JSON

Place = tuple[str | int, ...]
Change = Callable[[Any], Any]

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2026-04-03", "31/02/2026", "1775207700", "a@b", "yes", "\ud800", "😀", "{{ $.a }}", "\r\nX: y"])
)
_KEYS = st.sampled_from(["id", "name", "email", "type", "items", "0", ""])

VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)

_LARGE: dict[str, Callable[[], Any]] = {
    "letters": lambda: "x" * 200_000,
    "accents": lambda: "é" * 200_000,
    "spaces": lambda: " " * 200_000,
    "braces": lambda: "{" * 200_000,
    "digits": lambda: "1" * 200_000,
    "a number": lambda: 10**4_000,
    "a long list": lambda: [{"id": 1}] * 10_001,
    "a list of long texts": lambda: ["x" * 50_000] * 3,
    "a wide object": lambda: {str(one): one for one in range(2_000)},
}

#: What takes the square of a length would be noticed. By name: hypothesis shows what a strategy chooses from.
LARGE: st.SearchStrategy[Any] = st.sampled_from(sorted(_LARGE)).map(lambda name: _LARGE[name]())

#: What the destinations of the cookbook are asked for, and anything else.
REPLIES = VALUES | st.dictionaries(
    st.sampled_from(["students", "customers", "number", "errors", "numErrors", "key", "sid"]), VALUES
)

_GONE = "a value that goes"

_CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.just(lambda value: _GONE),
    st.just(lambda value: [value]),
    st.just(lambda value: {"value": value}),
    st.just(lambda value: value[0] if isinstance(value, list) and value else None),
    st.just(json.dumps),
    VALUES.map(lambda other: lambda value: other),
    VALUES.map(lambda other: lambda value: json.dumps(other)),
    LARGE.map(lambda other: lambda value: other),
)


def mutations(sample: JSON) -> st.SearchStrategy[JSON]:
    """The sample with one to four of its values dropped, wrapped, unwrapped, or replaced by something else."""
    changes = st.lists(st.tuples(st.sampled_from(list(_places(sample))), _CHANGES), min_size=1, max_size=4)
    return changes.map(lambda made: _changed(sample, made))


def _places(value: JSON, here: Place = ()) -> Iterator[Place]:
    yield here
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in parts:
        yield from _places(inner, (*here, name))


def _changed(sample: JSON, changes: list[tuple[Place, Change]]) -> JSON:
    holder: dict[str, Any] = {"body": copy.deepcopy(sample)}
    for place, change in changes:
        *way, last = ("body", *place)
        target: Any = holder
        try:
            for step in way:
                target = target[step]
            there = target[last]
        except (LookupError, TypeError):
            continue  # an earlier change took its place away
        if not isinstance(target, (dict, list)):
            continue  # there is a text now
        # A copy: a later change may reach into it, and hypothesis shows the same value again.
        value = copy.deepcopy(change(there))
        if value == _GONE:
            del target[last]
        else:
            target[last] = value
    return holder.get("body")
