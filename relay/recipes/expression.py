"""Expressions: compiled once when a recipe is read, evaluated many times.

The text is translated for the sandbox: each `$…` becomes a call that looks it up, filters stay filters. The shapes that
recipes are mostly made of (a path, a path with filters, two of them compared) skip the sandbox, and mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from jinja2.exceptions import TemplateSyntaxError

from relay import clock
from relay.errors import ConfigError, Place, RecipeError
from relay.recipes.arguments import literal, literals
from relay.recipes.filters import FILTERS, Filter, FilterError
from relay.recipes.names import Names
from relay.recipes.operators import COMPARISONS, jsonable
from relay.recipes.paths import At, Ref
from relay.recipes.sandbox import Sandbox
from relay.recipes.tokens import Token, tokenise
from relay.recipes.translate import translate
from relay.recipes.words import shown

Values = Mapping[str, Any]
Run = Callable[[Values], Any]


class HasValues(Protocol):
    """What an expression is evaluated on: root names and what they hold; "" is the body."""

    @property
    def values(self) -> Values: ...


_sandbox = Sandbox({name: one.run for name, one in FILTERS.items()})


@dataclass(frozen=True, slots=True)
class Expression:
    """`text` as it was written; `refs` are the paths it reads, wherever they stand in it."""

    text: str
    place: Place
    refs: tuple[Ref, ...]
    _run: Run = field(repr=False)
    _at: Mapping[str, Place] = field(repr=False, default_factory=dict)
    _made: bool = True

    @property
    def is_path(self) -> bool:
        """A path and nothing else."""
        return not self._made

    def evaluate(self, scope: HasValues) -> Any:
        """A JSON value. Raises RecipeError with the place of what can't be made."""
        return self.of(scope.values)

    def of(self, values: Values) -> Any:
        value = self.raw(values)
        if self._made:
            kind = type(value)
            if kind is str or kind is int or value is None or kind is bool:
                return value
            try:
                return jsonable(value)
            except (ValueError, RecursionError) as error:
                raise RecipeError(f"{self.text}: {error}", self.place) from error
        return value

    def raw(self, values: Values) -> Any:
        """As `of`, with dates still dates: for comparing, and for text."""
        try:
            return self._run(values)
        except RecipeError:
            raise
        except FilterError as error:
            raise RecipeError(str(error), self._at.get(error.name, self.place)) from error
        except ValueError as error:
            raise RecipeError(f"{self.text}: {error}", self.place) from error
        except Exception as error:
            # The engine's own errors are Python's words; the promise is a sentence with a place.
            raise RecipeError(f"{self.text} can't be worked out for this event ({error})", self.place) from error

    def seen(self, values: Values) -> str:
        """What the paths of the expression are in this event: `$.rating is 5 and $.name is null`."""
        parts: dict[str, str] = {}
        for ref in self.refs:
            try:
                parts[ref.text] = f"{ref.text} is {shown(ref.evaluate(values))}"
            except RecipeError:
                parts[ref.text] = f"{ref.text} is absent"
        return " and ".join(parts.values())


def compile_expression(text: str, place: Place, names: Names | None = None, at: At | None = None) -> Expression:
    """Compile. Raises ConfigError with the place of what is wrong: at(offset), or counted on from `place`."""
    names = names or Names()
    where: At = at or (lambda offset: Place(place.file, place.line, place.column + offset))
    tokens = tokenise(text, where)
    if not tokens:
        raise ConfigError("an expression is missing here", place)
    translated = translate(tokens, where, names.tables)
    for ref in translated.refs:
        names.check(ref)
    run = _simple(tokens, names) or _sandboxed(translated.source, translated.refs, names, where(0))
    is_path = len(tokens) == 1 and tokens[0].kind == "ref"
    return Expression(text.strip(), where(0), translated.refs, run, translated.filters, not is_path)


def _sandboxed(source: str, refs: tuple[Ref, ...], names: Names, place: Place) -> Run:
    try:
        compiled = _sandbox.expression(source)
    except (TemplateSyntaxError, RecursionError, SyntaxError) as error:
        message = error.message if isinstance(error, TemplateSyntaxError) else "it is nested too deeply"
        raise ConfigError(f"this expression can't be read: {message}", place) from None

    def now() -> datetime:
        return clock.now().astimezone(names.zone)

    def run(values: Values) -> Any:
        def look_up(index: int) -> Any:
            return refs[index].evaluate(values)

        return compiled({"_": look_up, "_z": names.zone, "_t": names.tables, "_now": now})

    return run


# --- the shapes that need no sandbox -------------------------------------------------------------------------------


def _simple(tokens: list[Token], names: Names) -> Run | None:
    """A run for `chain` or `chain comparison chain`; None for anything else."""
    left, position = _chain(tokens, 0, names)
    if left is None:
        return None
    if position == len(tokens):
        return left
    sign = tokens[position]
    symbol = sign.value if sign.is_sign("==", "!=", "<", "<=", ">", ">=") or sign.is_word("in") else None
    right, end = _chain(tokens, position + 1, names)
    if symbol is None or right is None or end != len(tokens):
        return None
    compare = COMPARISONS[symbol]
    # Bound as defaults: the checker knows they are functions, and a local is found faster than a closure's cell.
    return lambda values, left=left, right=right: compare(left(values), right(values))  # type: ignore[misc]


def _chain(tokens: list[Token], position: int, names: Names) -> tuple[Run | None, int]:
    """A path or a literal, with filters whose arguments are literals; (None, …) where it is anything else."""
    if position >= len(tokens):
        return None, position
    first = tokens[position]
    run: Run
    if first.kind == "ref":
        run = first.value.evaluate
        position += 1
    else:
        is_literal, constant, position = literal(tokens, position)
        if not is_literal:
            return None, position

        def run(values: Values, constant: Any = constant) -> Any:
            return constant

    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    while position + 1 < len(tokens) and tokens[position].is_sign("|"):
        one: Filter = FILTERS[tokens[position + 1].value]
        arguments, position = literals(tokens, position + 2)
        if arguments is None:
            return None, position
        calls.append((one.run, (*one.bound(names.zone, names.tables), *arguments)))
    return _piped(run, calls), position


def _piped(run: Run, calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> Run:
    if not calls:
        return run
    if len(calls) == 1:
        only, arguments = calls[0]
        return lambda values: only(run(values), *arguments)

    def piped(values: Values) -> Any:
        value = run(values)
        for function, arguments in calls:
            value = function(value, *arguments)
        return value

    return piped
