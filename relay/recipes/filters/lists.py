"""Lists and objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from relay.recipes.filters.registry import FILTERS, filter_of, want_list, want_object
from relay.recipes.operators import COMPARISONS, MAX_ITEMS, MAX_TEXT, measure, to_json, to_text
from relay.recipes.words import kind_of, shown, unknown

_GROUP = "Lists and objects"
_ROWS = {"lines": [{"sku": "A", "qty": 2, "kind": "book"}, {"sku": "B", "qty": 1, "kind": "pen"}]}


@filter_of(
    _GROUP,
    "A list as it is, and anything else as a list of one: XML and forms give one element alone as itself, and several "
    "as a list.",
    ("$.order.line | list", {"order": {"line": {"sku": "A"}}}, [{"sku": "A"}]),
    ("$.order.line | list", {"order": {"line": [{"sku": "A"}, {"sku": "B"}]}}, [{"sku": "A"}, {"sku": "B"}]),
    name="list",
)
def list_(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
    separator = to_text(separator)
    texts: list[str] = []
    length = 0
    for item in want_list(value):
        if item is not None:
            texts.append(to_text(item))
            length += len(texts[-1]) + len(separator)
            if length > MAX_TEXT + len(separator):
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
    measure(value)
    for item in want_list(value):
        seen.setdefault(to_json(item), item)
    return list(seen.values())


def _check_sort(key: Any = None, order: Any = "asc") -> None:
    if order not in ("asc", "desc"):
        raise ValueError(f'the order is "asc" or "desc", not {shown(order)}')


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
    check=_check_sort,
)
def sort(value: Any, key: str | None = None, order: str = "asc") -> list[Any]:
    _check_sort(key, order)
    path = _path(key)

    def by(item: Any) -> tuple[int, Any]:
        return _sort_key(_value_at(item, path))

    there = [item for item in want_list(value) if by(item)[0] < 9]
    absent = [item for item in value if by(item)[0] == 9]
    return sorted(there, key=by, reverse=order == "desc") + absent


def _path(key: Any) -> tuple[str, ...]:
    """The keys that lead to a value of an item; none for the item itself."""
    return () if key is None else tuple(str(key).split("."))


def _value_at(item: Any, path: tuple[str, ...]) -> Any:
    """null where it is missing."""
    for key in path:
        if not isinstance(item, dict):
            return None
        item = item.get(key)
    return item


def _check_map(tables: Any, name: Any, *arguments: Any) -> None:
    if name not in FILTERS:
        raise ValueError(unknown("filter", str(name), FILTERS))
    one = FILTERS[name]
    if name == "map":
        raise ValueError("map is not used inside map; flatten the list first")
    if not one.least <= len(arguments) <= one.most:
        raise ValueError(f"`{name}` takes {one.arity()}, not {len(arguments)}")
    if one.check is not None and arguments:
        one.check(*((tables,) if one.tabled else ()), *arguments)


@filter_of(
    _GROUP,
    "Another filter used on each item; its arguments follow its name.",
    ('$.tags | map("upper")', {"tags": ["red", "green"]}, ["RED", "GREEN"]),
    ('$.days | map("date", "DD/MM")', {"days": ["2026-04-03", "2026-12-24"]}, ["03/04", "24/12"]),
    zoned=True,
    tabled=True,
    check=_check_map,
    name="map",
)
def map_(value: Any, zone: Any, tables: Any, filter_: str, *arguments: Any) -> list[Any]:
    # What is written in the recipe was checked when it was read.
    one = FILTERS.get(filter_) if filter_ != "map" else None
    if one is None or not one.least <= len(arguments) <= one.most:
        _check_map(tables, filter_, *arguments)
        raise AssertionError(filter_)
    given = (*one.bound(zone, tables), *arguments)
    results = []
    size = 0
    cost = 0.0
    for item in want_list(value):
        if one.cost is not None:
            cost += one.cost(item, *arguments)
            if cost > 1:
                raise ValueError("the pattern takes too long for so many texts; use fewer `*` and `+`, or shorten them")
        result = one.run(item, *given)
        size += len(result) if isinstance(result, (str, list, dict)) else 1
        if size > MAX_TEXT:
            raise ValueError("the result gets too large")
        results.append(result)
    return results


#: `contains` is `in`, read from the item: whether its text or its list holds a value.
_WHERE: dict[str, Callable[[Any, Any], bool]] = {
    **COMPARISONS,
    "contains": lambda found, wanted: COMPARISONS["in"](wanted, found),
}


#: About a second's worth.
_MOST_COMPARISONS = 3_000_000


def _check_where(key: Any, wanted: Any = None, than: Any = ...) -> None:
    if not isinstance(key, str):
        raise ValueError(f"the key is text, not {shown(key)}")
    if than is not ... and wanted not in _WHERE:
        raise ValueError(f"{shown(wanted)} is not a comparison; there are {', '.join(_WHERE)}")


@filter_of(
    _GROUP,
    "The items whose key has a value; with an operator between them, whose key compares like that. A dot leads further "
    "in. Beside the usual operators there is `contains`, for text or lists that hold a value.",
    ('$.lines | where("kind", "book") | pluck("sku")', _ROWS, ["A"]),
    ('$.lines | where("qty", ">=", 1) | length', _ROWS, 2),
    ('$.lines | where("kind", "contains", "oo") | pluck("sku")', _ROWS, ["A"]),
    ('$.lines | where("kind", "not in", ["book", "map"]) | pluck("sku")', _ROWS, ["B"]),
    check=_check_where,
    signature='where(key, value) or where(key, "<", value)',
)
def where(value: Any, key: str, wanted: Any, than: Any = ...) -> list[Any]:
    _check_where(key, wanted, than)
    symbol = "=="
    if than is not ...:
        symbol, wanted = wanted, than
    compare, path = _WHERE[symbol], _path(key)
    if isinstance(wanted, (list, dict)) and len(want_list(value)) * len(wanted) > _MOST_COMPARISONS:
        raise ValueError(f"{len(value)} items and {len(wanted)} values are too many to compare each with each")
    return [item for item in want_list(value) if compare(_value_at(item, path), wanted)]


@filter_of(
    _GROUP,
    "The total of a list of numbers, or of one key of its items; nulls count nothing.",
    ("$.amounts | sum", {"amounts": [1.5, 2, None]}, 3.5),
    ('$.lines | sum("qty")', _ROWS, 3),
    name="sum",
)
def sum_(value: Any, key: str | None = None) -> int | float:
    path = _path(key)
    amounts = [_value_at(item, path) for item in want_list(value)]
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
    path = _path(key)
    return [_value_at(item, path) for item in want_list(value)]


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
