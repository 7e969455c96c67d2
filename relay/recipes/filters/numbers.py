"""Numbers. A comma is never guessed to be a decimal point."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from relay.recipes.filters.registry import filter_of, want_count
from relay.recipes.operators import MAX_BITS
from relay.recipes.words import kind_of, shown

_GROUP = "Numbers"
_NUMBER = re.compile(r"^[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?$")
_INTEGER = re.compile(r"^[-+]?\d+$")

#: Symbols of the currencies that have one everywhere; the others are written with their code.
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹", "KRW": "₩", "NGN": "₦", "UAH": "₴", "PLN": "zł"}
#: Currencies without cents.
_WHOLE = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "UGX", "XAF", "XOF", "PYG", "RWF"})
_CODE = re.compile(r"^[A-Z]{3}$")


def to_number(value: Any) -> int | float:
    """A number, or text that is one. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{kind_of(value)} is not a number")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text or not any(map(str.isdigit, text)) or not _NUMBER.match(text) or len(text) > 300:
        raise ValueError(f"{shown(value)} is not a number")
    text = text.replace(",", "")
    number = int(text) if _INTEGER.match(text) else float(text)
    if number - number != 0:
        raise ValueError(f"{shown(value)} is too large a number")
    return number


@filter_of(
    _GROUP,
    "Reads text as a number; commas are taken for thousands only where they stand like that.",
    ("$.total | number", {"total": "1,250.50"}, 1250.5),
    ("$.count | number", {"count": "7"}, 7),
)
def number(value: Any) -> int | float:
    return to_number(value)


@filter_of(
    _GROUP,
    "A whole number; what follows the decimal point is cut off.",
    ("$.total | int", {"total": "12.9"}, 12),
    ("$.id | int", {"id": "9007199254740993"}, 9007199254740993),
    name="int",
)
def int_(value: Any) -> int:
    found = to_number(int(value) if isinstance(value, bool) else value)
    return int(found)


@filter_of(
    _GROUP,
    "Rounded to so many decimal places; halves go away from zero. Without places, a whole number.",
    ("$.rating | round(1)", {"rating": 4.25}, 4.3),
    ("$.rating | round", {"rating": 2.5}, 3),
    check=lambda places=0: _check_places(places),
    name="round",
)
def round_(value: Any, places: int = 0) -> int | float:
    found = _rounded(value, places)
    return float(found) if places else int(found)


def _check_places(places: Any) -> None:
    want_count(places, "the number of places", 15)


def _rounded(value: Any, places: int) -> Decimal:
    _check_places(places)
    amount = to_number(value)
    if isinstance(amount, int) and amount.bit_length() > MAX_BITS:
        raise ValueError("the number is too large")
    exact = Decimal(repr(amount))
    if exact.adjusted() + places > 25:
        # Nothing is left to round; Decimal's own precision would refuse it.
        return exact
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _check_format(places: Any = 0, thousands: Any = ",", point: Any = ".") -> None:
    _check_places(places)
    if not all(isinstance(mark, str) and len(mark) <= 3 for mark in (thousands, point)):
        raise ValueError("the marks for thousands and for the decimal point are text")


@filter_of(
    _GROUP,
    "A number as text with so many decimal places, and a mark between thousands.",
    ("$.total | format_number(2)", {"total": 1234567.5}, "1,234,567.50"),
    ('$.total | format_number(2, " ", ",")', {"total": 1234567.5}, "1 234 567,50"),
    check=_check_format,
)
def format_number(value: Any, places: int = 0, thousands: Any = ",", point: Any = ".") -> str:
    _check_format(places, thousands, point)
    text = f"{_rounded(value, places):,f}"
    return text.translate(str.maketrans({",": thousands, ".": point}))


def _check_currency(code: Any, *_: Any) -> None:
    if not isinstance(code, str) or not _CODE.match(code):
        raise ValueError(f'a currency is its three-letter code, such as "GBP", not {shown(code)}')


@filter_of(
    _GROUP,
    "An amount of money as text, by the currency's code.",
    ('$.total | currency("GBP")', {"total": 1234.5}, "£1,234.50"),
    ('$.total | currency("CHF")', {"total": -20}, "-CHF 20.00"),
    check=_check_currency,
)
def currency(value: Any, code: str) -> str:
    _check_currency(code)
    text = format_number(value, 0 if code in _WHOLE else 2)
    sign = "-" if text.startswith("-") else ""
    return f"{sign}{_SYMBOLS.get(code, code + ' ')}{text.removeprefix('-')}"
