"""Filters, each declared once: name, signature, one sentence, examples. Checks, messages and docs come from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relay.recipes.operators import MAX_ITEMS, MAX_TEXT, to_text
from relay.recipes.words import kind_of, shown

FILTERS: dict[str, Filter] = {}


class FilterError(ValueError):
    """A filter can't be used on this value; the message is a sentence and `name` the filter's."""

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Example:
    """An expression over a body, and what it gives; `None` for `gives` means null."""

    expression: str
    body: Any
    gives: Any


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter.

    run            called with the value and the arguments; before these the recipe's time zone where `zoned`, and its
                   tables where `tabled`
    check          refuses literal arguments that can never work, when the recipe is read (raises ValueError); after
                   the tables where `tabled`
    cost           where a value may take up to a second: how much of it this one may take, with its arguments
    check_leading  it is also made of those literals alone that come before what an event decides
    """

    name: str
    group: str
    signature: str
    doc: str
    examples: tuple[Example, ...]
    run: Callable[..., Any]
    least: int
    most: int
    zoned: bool
    tabled: bool = False
    check: Callable[..., Any] | None = None
    check_leading: bool = False
    cost: Callable[..., float] | None = None

    def bound(self, zone: Any, tables: Any) -> tuple[Any, ...]:
        """What `run` takes between the value and the arguments."""
        return (*((zone,) if self.zoned else ()), *((tables,) if self.tabled else ()))

    def arity(self) -> str:
        if self.most == 0:
            return "no arguments"
        if self.least == self.most:
            return f"{self.least} argument{'s' if self.least > 1 else ''}"
        return f"{self.least} to {self.most} arguments" if self.most < _ANY else f"at least {self.least} arguments"


_ANY = 20


def filter_of(
    group: str,
    doc: str,
    *examples: tuple[str, Any, Any],
    zoned: bool = False,
    tabled: bool = False,
    null: bool = False,
    check: Callable[..., Any] | None = None,
    check_leading: bool = False,
    cost: Callable[..., float] | None = None,
    name: str = "",
    signature: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a filter.

    examples  (expression, body, what it gives)
    zoned     the function takes the recipe's time zone after the value
    tabled    it takes the recipe's tables after that
    null      the function is called for null too; otherwise null passes through
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        own_name = name or function.__name__.rstrip("_")
        parameters = list(inspect.signature(function).parameters.values())[1 + zoned + tabled :]
        least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        FILTERS[own_name] = Filter(
            name=own_name,
            group=group,
            signature=signature or _signature(own_name, parameters),
            doc=doc,
            examples=tuple(Example(*example) for example in examples),
            run=_bounded(own_name, function, null=null),
            least=least,
            most=_ANY if variadic else len(parameters),
            zoned=zoned,
            tabled=tabled,
            check=check,
            check_leading=check_leading,
            cost=cost,
        )
        return function

    return declare


def _signature(name: str, parameters: list[inspect.Parameter]) -> str:
    if not parameters:
        return name
    words = []
    for parameter in parameters:
        word = parameter.name.rstrip("_")
        if parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"{word}…")
        elif parameter.default is parameter.empty:
            words.append(word)
        else:
            words.append(f"{word}={shown(parameter.default)}")
    return f"{name}({', '.join(words)})"


def _bounded(name: str, function: Callable[..., Any], *, null: bool) -> Callable[..., Any]:
    def run(value: Any, *args: Any) -> Any:
        if value is None and not null:
            return None
        try:
            result = function(value, *args)
        except FilterError as error:
            error.name = name
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            reason = str(error) if type(error) is ValueError else f"it doesn't work on {shown(value)}"
            raise FilterError(f"{name}: {reason}", name) from error
        if type(result) is str:
            if len(result) > MAX_TEXT:
                raise FilterError(f"{name}: the text gets longer than {MAX_TEXT} characters", name)
        elif type(result) is list and len(result) > MAX_ITEMS:
            raise FilterError(f"{name}: the list gets longer than {MAX_ITEMS} items", name)
        return result

    return run


def want_text(value: Any) -> str:
    """Text as it is; numbers, true and false as JSON writes them. Lists and objects are refused."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        raise ValueError(f"needs text, and this is {kind_of(value)}")
    return to_text(value)


def want_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"needs a list, and this is {kind_of(value)}")
    return value


def want_object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"needs an object, and this is {kind_of(value)}")
    return value


def want_count(value: Any, what: str, most: int = 100_000) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{what} is a whole number from 0 to {most}, not {shown(value)}")
    return value
