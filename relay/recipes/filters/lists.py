"""Lists and objects."""

from __future__ import annotations

import math
from typing import Any

from relay.recipes.filters.registry import FILTERS, filter_of, want_list, want_object
from relay.recipes.operators import COMPARISONS, MAX_ITEMS, MAX_TEXT, to_json, to_text
from relay.recipes.words import kind_of, shown, unknown

_GROUP = "Lists and objects"
_ROWS = {"lines": [{"sku": "A", "qty": 2, "kind": "book"}, {"sku": "B", "qty": 1, "kind": "pen"}]}


@filter_of(
    _GROUP,
    "The first item of a list; null where it is empty.",
    ("$.tags | first", {"tags": ["red", "green"]}, "red"),
    ("$.tags | first", {"tags": []}, None),
)
def first(value: Any) -> Any:
    return want_list(value)[0] if want_list(value) else None


@filter_of(
    _GROUP,
    "The last item of a list; null where it is empty.",
    ("$.tags | last", {"tags": ["red", "green"]}, "green"),
)
def last(value: Any) -> Any:
    return want_list(value)[-1] if want_list(value) else None


@filter_of(
    _GROUP,
    "One text of all items, with a separator between them; nulls are left out.",
    ('$.tags | join("; ")', {"tags": ["red", None, "green"]}, "red; green"),
)
def join(value: Any, separator: str = ", ") -> str:
    texts = [to_text(item) for item in want_list(value) if item is not None]
    separator = to_text(separator)
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        raise ValueError(f"the text gets longer than {MAX_TEXT} characters")
    return separator.join(texts)


@filter_of(
    _GROUP,
    "How many items, keys or characters there are.",
    ("$.tags | length", {"tags": ["red", "green"]}, 2),
    ("$.name | length", {"name": "Zoë"}, 3),
)
def length(value: Any) -> int:
    if not isinstance(value, (list, dict, str)):
        raise ValueError(f"{kind_of(value)} has no length")
    return len(value)


@filter_of(
    _GROUP,
    "Each item once, in the order they came.",
    ("$.tags | unique", {"tags": ["red", "green", "red"]}, ["red", "green"]),
)
def unique(value: Any) -> list[Any]:
    # JSON tells 1 from true and "1", which a set of Python values would not.
    seen: dict[str, Any] = {}
    for item in want_list(value):
        seen.setdefault(to_json(item), item)
    return list(seen.values())


def _sort_key(item: Any) -> tuple[int, Any]:
    match item:
        case None:
            return (9, 0)
        case bool():
            return (0, item)
        case int() | float():
            return (1, item)
        case str():
            return (2, item)
        case _:
            raise ValueError(f"{kind_of(item)} has no order; name the key to sort by")


@filter_of(
    _GROUP,
    "In rising order, by a key where the items are objects; nulls come last. Say `desc` for falling order.",
    ("$.ratings | sort", {"ratings": [3, 1, 2]}, [1, 2, 3]),
    ('$.lines | sort("qty") | pluck("sku")', _ROWS, ["B", "A"]),
    ('$.lines | sort("qty", "desc") | pluck("sku")', _ROWS, ["A", "B"]),
)
def sort(value: Any, key: str | None = None, order: str = "asc") -> list[Any]:
    if order not in ("asc", "desc"):
        raise ValueError(f'the order is "asc" or "desc", not {shown(order)}')

    def by(item: Any) -> tuple[int, Any]:
        return _sort_key(_value_of(item, key) if key is not None else item)

    there = [item for item in want_list(value) if by(item)[0] < 9]
    absent = [item for item in value if by(item)[0] == 9]
    return sorted(there, key=by, reverse=order == "desc") + absent


def _value_of(item: Any, key: Any) -> Any:
    """A key of an item; dots lead further in; null where it is missing."""
    for part in str(key).split("."):
        if not isinstance(item, dict):
            return None
        item = item.get(part)
    return item


def _check_map(name: Any, *arguments: Any) -> None:
    if name not in FILTERS:
        raise ValueError(unknown("filter", str(name), FILTERS))
    one = FILTERS[name]
    if not one.least <= len(arguments) <= one.most:
        raise ValueError(f"`{name}` takes {one.arity()}, not {len(arguments)}")
    if one.check is not None and arguments:
        one.check(*arguments)


@filter_of(
    _GROUP,
    "Another filter used on each item; its arguments follow its name.",
    ('$.tags | map("upper")', {"tags": ["red", "green"]}, ["RED", "GREEN"]),
    ('$.days | map("date", "DD/MM")', {"days": ["2026-04-03", "2026-12-24"]}, ["03/04", "24/12"]),
    zoned=True,
    check=_check_map,
    name="map",
)
def map_(value: Any, zone: Any, filter_: str, *arguments: Any) -> list[Any]:
    _check_map(filter_, *arguments)
    if filter_ == "map":
        raise ValueError("map is not used inside map; flatten the list first")
    one = FILTERS[filter_]
    given = (zone, *arguments) if one.zoned else arguments
    results = []
    size = 0
    for item in want_list(value):
        result = one.run(item, *given)
        size += len(result) if isinstance(result, (str, list)) else 1
        if size > MAX_TEXT:
            raise ValueError("the result gets too large")
        results.append(result)
    return results


_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in")


def _check_where(key: Any, operator: Any = None, value: Any = None) -> None:
    if not isinstance(key, str):
        raise ValueError(f"the key is text, not {shown(key)}")


@filter_of(
    _GROUP,
    "The items whose key has a value; with an operator between them, whose key compares like that.",
    ('$.lines | where("kind", "book") | pluck("sku")', _ROWS, ["A"]),
    ('$.lines | where("qty", ">=", 1) | length', _ROWS, 2),
    check=_check_where,
    signature='where(key, value) or where(key, "<", value)',
)
def where(value: Any, key: str, wanted: Any, than: Any = ...) -> list[Any]:
    _check_where(key)
    symbol = "=="
    if than is not ...:
        if wanted not in _OPERATORS:
            raise ValueError(f"{shown(wanted)} is not a comparison; there are {', '.join(_OPERATORS)}")
        symbol, wanted = wanted, than
    compare = COMPARISONS[symbol]
    return [item for item in want_list(value) if compare(_value_of(item, key), wanted)]


@filter_of(
    _GROUP,
    "The total of a list of numbers, or of one key of its items; nulls count nothing.",
    ("$.amounts | sum", {"amounts": [1.5, 2, None]}, 3.5),
    ('$.lines | sum("qty")', _ROWS, 3),
    name="sum",
)
def sum_(value: Any, key: str | None = None) -> int | float:
    amounts = [_value_of(item, key) if key is not None else item for item in want_list(value)]
    numbers = [amount for amount in amounts if amount is not None]
    for amount in numbers:
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise ValueError(f'{shown(amount)} is {kind_of(amount)}, not a number; use map("number") first')
    # fsum adds decimal fractions without the error that grows with each step; integers stay exact.
    return math.fsum(numbers) if any(isinstance(amount, float) for amount in numbers) else sum(numbers)


@filter_of(
    _GROUP,
    "One list out of a list of lists.",
    ("$.groups | flatten", {"groups": [["a", "b"], ["c"], "d"]}, ["a", "b", "c", "d"]),
)
def flatten(value: Any) -> list[Any]:
    flat: list[Any] = []
    for item in want_list(value):
        if isinstance(item, list):
            flat.extend(item)
        else:
            flat.append(item)
        if len(flat) > MAX_ITEMS:
            raise ValueError(f"the list gets longer than {MAX_ITEMS} items")
    return flat


@filter_of(
    _GROUP,
    "One key of each item; null where an item lacks it. A dot leads further in.",
    ('$.lines | pluck("sku")', _ROWS, ["A", "B"]),
)
def pluck(value: Any, key: str) -> list[Any]:
    return [_value_of(item, key) for item in want_list(value)]


@filter_of(_GROUP, "The keys of an object.", ("$.answers | keys", {"answers": {"q1": "yes", "q2": "no"}}, ["q1", "q2"]))
def keys(value: Any) -> list[Any]:
    return list(want_object(value))


@filter_of(
    _GROUP,
    "The values of an object.",
    ("$.answers | values", {"answers": {"q1": "yes", "q2": "no"}}, ["yes", "no"]),
)
def values(value: Any) -> list[Any]:
    return list(want_object(value).values())


@filter_of(
    _GROUP,
    "A list of `{key, value}` for each entry of an object.",
    ("$.answers | entries", {"answers": {"q1": "yes"}}, [{"key": "q1", "value": "yes"}]),
)
def entries(value: Any) -> list[Any]:
    return [{"key": key, "value": one} for key, one in want_object(value).items()]
