"""From what a recipe says under `with` and `pick` to what is sent: constants, expressions, and text with `{{ … }}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.errors import ConfigError, Place, RecipeError
from relay.recipes.expression import Expression, Values, compile_expression
from relay.recipes.names import Names
from relay.recipes.operators import MAX_TEXT, measure, to_text
from relay.recipes.paths import Ref
from relay.recipes.tokens import expression_end
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence

Render = Callable[[Values], Any]


@dataclass(frozen=True, slots=True)
class Value:
    """Something to render. `refs` are the paths it reads; `is_constant` where it reads and calculates nothing."""

    run: Render
    refs: tuple[Ref, ...]
    is_constant: bool


#: What makes a whole text an expression: a `$` at its start, perhaps within brackets.
EXPRESSION = re.compile(r"(?:\(\s*)*\$(?!\$)")

#: What would be one if it began with a `$`.
_MEANT_AS_EXPRESSION = re.compile(r"now\(\)|not \(*\$")


def is_expression(text: str) -> bool:
    return EXPRESSION.match(text) is not None


def meant_as_expression(text: str) -> bool:
    """Text that would be sent as it stands, and was hardly meant so."""
    return _MEANT_AS_EXPRESSION.match(text) is not None


def is_dynamic(node: Node) -> bool:
    """Whether a value depends on the event, itself or in a part."""
    match node:
        case Scalar():
            return isinstance(node.value, str) and (is_expression(node.text) or "{{" in node.text)
        case Mapping():
            return any(is_dynamic(value) for value in node.values.values())
        case Sequence():
            return any(is_dynamic(item) for item in node.items)
    raise AssertionError(node)


def literal_text(text: str) -> str:
    return text.replace("$$", "$") if "$$" in text else text


def compile_value(node: Node, names: Names, *, keep_empty: bool = False) -> Value:
    """Raises ConfigError at the expression that is wrong.

    keep_empty  whether keys whose value is null stay; a null inside the event's own data always does
    """
    value = _compiled(node, names, keep_empty=keep_empty)
    return value if isinstance(node, Scalar) else _bounded(value, node.place)


def _compiled(node: Node, names: Names, *, keep_empty: bool = False) -> Value:
    match node:
        case Scalar():
            return _scalar(node, names)
        case Sequence():
            return _list([_compiled(item, names, keep_empty=keep_empty) for item in node.items])
        case Mapping():
            for key, key_node, _ in node.items():
                if "{{" in key:
                    raise _braces_in_key(key_node)
            parts = {
                key: _compiled(value, names, keep_empty=keep_empty) for key, _, value in node.items()
            }  # fmt: skip
            return _object(parts, keep_empty=keep_empty)
    raise AssertionError(node)


#: The fields of a `with` that are cells of a table.
ROWS = ("row", "rows", "columns")


def compile_fields(node: Mapping, names: Names, *, keep_empty: bool = False) -> Value:
    """A step's `with`. A row keeps its empty cells: without them its columns would depend on the event."""
    parts = {key: _compiled(value, names, keep_empty=keep_empty or key in ROWS) for key, value in node.values.items()}
    return _bounded(_object(parts, keep_empty=keep_empty), node.place)


def mistakes_in(node: Node, names: Names) -> Iterator[ConfigError]:
    """Every expression of a value that can't be read, and every key."""
    match node:
        case Scalar():
            try:
                _scalar(node, names)
            except ConfigError as error:
                yield error
        case Sequence():
            for item in node.items:
                yield from mistakes_in(item, names)
        case Mapping():
            for key, key_node, value in node.items():
                if "{{" in key:
                    yield _braces_in_key(key_node)
                yield from mistakes_in(value, names)


def _braces_in_key(key: Scalar) -> ConfigError:
    return ConfigError("a key is taken as it is written; only values can hold {{ … }}", key.place)


def _constant(value: Any) -> Value:
    return Value(lambda values: value, (), True)


def _scalar(node: Scalar, names: Names) -> Value:
    text = node.text
    if not isinstance(node.value, str):
        return _constant(node.value)
    if is_expression(text):
        expression = whole_expression(node, names)
        return Value(expression.of, expression.refs, False)
    if "{{" in text:
        return _text(node, names)
    if meant_as_expression(text):
        raise ConfigError(f'only what starts with `$` is an expression; write "{{{{ {text} }}}}"', node.place)
    return _constant(literal_text(text))


def whole_expression(node: Scalar, names: Names) -> Expression:
    """The whole text as one expression."""
    if "{{" in node.text and expression_end(node.text, node.text.index("{{") + 2) > 0:
        raise ConfigError(
            "what starts with `$` is an expression as a whole; to mix text and values, put each value in {{ … }}",
            node.place,
        )
    return compile_expression(node.text, node.place, names, node.at)


def _text(node: Scalar, names: Names) -> Value:
    parts: list[str | Expression] = []
    position = 0
    text = node.text
    while (start := text.find("{{", position)) >= 0:
        end = expression_end(text, start + 2)
        if end < 0:
            raise ConfigError("this {{ is never closed by }}", node.at(start))
        if start > position:
            parts.append(literal_text(text[position:start]))
        inside = text[start + 2 : end]
        if not inside.strip():
            raise ConfigError("there is nothing between {{ and }}", node.at(start))
        offset = start + 2 + len(inside) - len(inside.lstrip())

        def at(within: int, offset: int = offset) -> Any:
            return node.at(offset + within)

        parts.append(compile_expression(inside.strip(), node.at(offset), names, at))
        position = end + 2
    if position < len(text):
        parts.append(literal_text(text[position:]))
    refs = tuple(ref for part in parts if isinstance(part, Expression) for ref in part.refs)
    return Value(_filled(parts, node), refs, False)


def _filled(parts: list[str | Expression], node: Scalar) -> Render:
    def run(values: Values) -> str:
        pieces = []
        length = 0
        for part in parts:
            if type(part) is str:
                pieces.append(part)
                length += len(part)
                continue
            assert isinstance(part, Expression)
            value = part.raw(values)
            if type(value) is not str:
                try:
                    value = to_text(value)
                except (ValueError, TypeError, RecursionError) as error:
                    raise RecipeError(f"{part.text} can't be put into text ({error})", part.place) from error
            pieces.append(value)
            length += len(value)
            # On the way: eight hundred times a body of a megabyte would be made before it is found too long.
            if length > MAX_TEXT:
                raise RecipeError(f"the text gets longer than {MAX_TEXT} characters", node.place)
        return "".join(pieces)

    return run


def _bounded(value: Value, place: Place) -> Value:
    """The same, refused where it gets too large to be written: values that repeat each other double at every step."""
    if value.is_constant:
        return value

    def run(values: Values) -> Any:
        made = value.run(values)
        if type(made) is dict or type(made) is list:
            try:
                measure(made)
            except ValueError as error:
                raise RecipeError(str(error), place) from error
        return made

    return Value(run, value.refs, False)


def _list(items: list[Value]) -> Value:
    refs = tuple(ref for item in items for ref in item.refs)
    if all(item.is_constant for item in items):
        constant = [item.run({}) for item in items]
        return Value(lambda values: constant, (), True)
    runs = [item.run for item in items]
    return Value(lambda values: [run(values) for run in runs], refs, False)


def _object(parts: dict[str, Value], *, keep_empty: bool) -> Value:
    refs = tuple(ref for part in parts.values() for ref in part.refs)
    if all(part.is_constant for part in parts.values()):
        constant = {
            key: value for key, part in parts.items() if (value := part.run({})) is not None or keep_empty
        }  # fmt: skip
        return Value(lambda values: constant, (), True)
    runs = [(key, part.run) for key, part in parts.items()]
    if keep_empty:
        return Value(lambda values: {key: run(values) for key, run in runs}, refs, False)
    return Value(
        lambda values: {key: value for key, run in runs if (value := run(values)) is not None}, refs, False
    )  # fmt: skip
