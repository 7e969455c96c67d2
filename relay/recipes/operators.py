"""What `==`, `<`, `in`, `+` and `and` mean between JSON values: nothing is converted by itself, nothing crashes.

Every function raises ValueError with a sentence where the question makes no sense.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from relay.recipes.words import kind_of, shown

#: No text an expression makes is longer (in characters).
MAX_TEXT = 5_000_000
#: No list an expression makes is longer.
MAX_ITEMS = 500_000
#: No value that an expression makes holds more values, counted wherever they stand: a body of 10 MB has half as many.
MAX_VALUES = 5_000_000
#: Nor more characters in all its texts together.
MAX_ALL_TEXT = 4 * MAX_TEXT
#: No number an expression makes is bigger than this many bits.
MAX_BITS = 2048

_ISO_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

#: Text that a form or a checkbox sends for "no"; taken for true by mistake, it would send what must not be sent.
_NO_WORDS = frozenset({"false", "no", "off", "0", "n", "f"})


def truth(value: Any) -> bool:
    """Whether a condition holds: null, empty text, empty lists and objects, and 0 are no."""
    if value is True or value is False:
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _NO_WORDS:
        raise ValueError(f'{shown(value)} is text, not true or false: compare it (== {shown(value)}) or add "| bool"')
    return bool(value)


def to_iso(moment: datetime) -> str:
    """`2026-04-03T10:15:00Z`, with a fraction only where there is one."""
    text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_iso(value)
    raise TypeError(type(value).__name__)


_PLAIN = frozenset({int, bool, type(None)})


def measure(value: Any) -> bool:
    """Whether a value is JSON as it stands: no dates, no keys that aren't text.

    Raises ValueError where it is too large to be written. `[$, $, $]` takes no room until then: what stands in it three
    times is counted three times.
    """
    is_json = True
    values = characters = 0
    stack: list[Any] = [[value]]
    while stack:
        one = stack.pop()
        values += len(one)
        if type(one) is dict:
            for key in one:
                if type(key) is str:
                    characters += len(key)
                else:
                    is_json = False
            one = one.values()
        for item in one:
            kind = type(item)
            if kind is str:
                characters += len(item)
            elif kind is dict or kind is list:
                stack.append(item)
            elif kind is tuple:
                is_json = False
                stack.append(item)
            elif kind not in _PLAIN and (kind is not float or not math.isfinite(item)):
                is_json = False
        if values + len(stack) > MAX_VALUES or characters > MAX_ALL_TEXT:
            raise ValueError("the result gets too large")
    return is_json


def to_json(value: Any) -> str:
    if isinstance(value, (list, dict)):
        measure(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_default, allow_nan=False)


def to_text(value: Any) -> str:
    """A value inside text: null is nothing, true is `true`, lists and objects are JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case datetime():
            return to_iso(value)
        case _:
            return to_json(value)


def jsonable(value: Any) -> Any:
    """The value as JSON: dates become ISO text. Raises ValueError for what JSON can't hold and what is too large."""
    if isinstance(value, (list, dict, tuple)) and measure(value) and type(value) is not tuple:
        return value
    return _as_json(value)


def _as_json(value: Any) -> Any:
    match value:
        case None | bool() | str() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError("the result is not a number")
            return value
        case datetime():
            return to_iso(value)
        case list() | tuple():
            return [_as_json(item) for item in value]
        case dict():
            return {str(key): _as_json(item) for key, item in value.items()}
    raise ValueError(f"the result is {kind_of(value)}, which can't be sent")


#: Values that one comparison of lists or objects looks at: about a second's worth.
_MOST_COMPARED = 1_000_000


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    kind = type(left)
    if kind is type(right) and kind in _SCALARS:
        return bool(left == right)
    if isinstance(left, (list, dict)) and isinstance(right, (list, dict)):
        return _all_equal(left, right)
    return _same(left, right)


_SCALARS = frozenset({str, int, float, bool})
_NUMBERS = frozenset({int, float})


def _same(left: Any, right: Any) -> bool:
    """1 is not true, though Python thinks so."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, datetime) is not isinstance(right, datetime):
        left, right = _moments(left, right) or (left, right)
    return bool(left == right)


def _all_equal(left: Any, right: Any) -> bool:
    """Lists and objects, with all that is in them."""
    pairs = [(left, right)]
    compared = 0
    while pairs:
        one, other = pairs.pop()
        compared += 1
        if compared > _MOST_COMPARED:
            raise ValueError("the values are too large to be compared")
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif isinstance(one, (list, dict)) or isinstance(other, (list, dict)) or not _same(one, other):
            return False
    return True


def _moments(left: Any, right: Any) -> tuple[datetime, datetime] | None:
    """Both as moments, where both are dates or ISO text with an offset; else None."""
    pair = []
    for value in (left, right):
        if isinstance(value, str) and _ISO_MOMENT.match(value):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            return None
        pair.append(value)
    return pair[0], pair[1]


def _order(symbol: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare_order(left: Any, right: Any) -> bool:
        if type(left) in _NUMBERS and type(right) in _NUMBERS:
            return holds(left, right)
        if left is None or right is None:
            return False
        if moments := _moments(left, right):
            return holds(*moments)
        if isinstance(left, str) and isinstance(right, str):
            return holds(left, right)
        hint = " (add `| number` to the text)" if {type(left), type(right)} & {str} else ""
        raise ValueError(
            f"{kind_of(left)} can't be compared with {kind_of(right)}{hint}: {shown(left)} {symbol} {shown(right)}"
        )

    return compare_order


def _contains(left: Any, right: Any) -> bool:
    match right:
        case None:
            return False
        case list() | tuple():
            if isinstance(left, (list, dict)):
                measure(right)
            return any(_equal(left, item) for item in right)
        case dict():
            return isinstance(left, str) and left in right
        case str():
            if left is None:
                return False
            if isinstance(left, str):
                return left in right
            raise ValueError(f"only text can be `in` text, and {shown(left)} is {kind_of(left)}")
    raise ValueError(f"`in` needs a list, an object or text on its right; {shown(right)} is {kind_of(right)}")


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _order("<", lambda left, right: left < right),
    "<=": _order("<=", lambda left, right: left <= right),
    ">": _order(">", lambda left, right: left > right),
    ">=": _order(">=", lambda left, right: left >= right),
    "in": _contains,
    "not in": lambda left, right: not _contains(left, right),
}


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    # A whole result stays an integer: 10 / 2 is 5, and big integers stay exact.
    "/": lambda left, right: left // right if isinstance(left, int) and left % right == 0 else left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
}


def arithmetic(symbol: str, left: Any, right: Any) -> Any:
    """`+ - * / // %` between numbers; `+` also joins text with text and list with list."""
    if _is_number(left) and _is_number(right):
        return _calculated(symbol, left, right)
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        _check_length(len(left) + len(right), MAX_TEXT, "characters")
        return left + right
    if symbol == "+" and isinstance(left, list) and isinstance(right, list):
        _check_length(len(left) + len(right), MAX_ITEMS, "items")
        return left + right
    hint = ""
    if isinstance(left, str) or isinstance(right, str):
        hint = "; to put values into text write {{ … }}, to calculate add `| number`"
    elif left is None or right is None:
        hint = "; add `| default(0)` where it may be absent"
    raise ValueError(f"`{symbol}` doesn't work between {kind_of(left)} and {kind_of(right)}{hint}")


def _check_length(length: int, most: int, unit: str) -> None:
    if length > most:
        raise ValueError(f"the result gets longer than {most} {unit}")


def _calculated(symbol: str, left: Any, right: Any) -> Any:
    try:
        result = _ARITHMETIC[symbol](left, right)
    except ZeroDivisionError:
        raise ValueError(f"{shown(left)} {symbol} 0: a division by zero has no result") from None
    except OverflowError:
        raise ValueError("the result is too large a number") from None
    too_large = result.bit_length() > MAX_BITS if isinstance(result, int) else not math.isfinite(result)
    if too_large:
        raise ValueError("the result is too large a number")
    return result


def negative(value: Any) -> Any:
    if not _is_number(value):
        raise ValueError(f"`-` needs a number, and {shown(value)} is {kind_of(value)}")
    return -value


def item_of(value: Any, key: Any) -> Any:
    """`(…)[key]`: an item of a list, an entry of an object, a character of text; never an attribute."""
    if isinstance(value, dict) and isinstance(key, str):
        if key in value:
            return value[key]
        raise ValueError(f"there is no `{key}` in {shown(value)}")
    if isinstance(value, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        if -len(value) <= key < len(value):
            return value[key]
        raise ValueError(f"there is no item {key} in {shown(value)}")
    raise ValueError(f"[{shown(key)}] doesn't work on {kind_of(value)}")
