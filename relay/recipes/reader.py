"""Reading a tree of YAML into values, noting every mistake with its place instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from relay.errors import ConfigError, Place
from relay.recipes.names import Names
from relay.recipes.recipe import Problem
from relay.recipes.render import mistakes_in
from relay.recipes.words import STUCK, kind_of, listed, missing_space, nearest, shown, unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain
from relay.units import parse_duration

T = TypeVar("T")


class Reader:
    """Collects problems of one file, in the name of one recipe or of none."""

    def __init__(self, recipe: str | None = None) -> None:
        self.recipe = recipe
        self.problems: list[Problem] = []
        self.meant: set[tuple[int, str]] = set()

    def error(self, place: Place, message: str, code: str = "mistake") -> None:
        """code: the kind of problem, one of `codes.CODES`."""
        self.problems.append(Problem(place, "error", message, self.recipe, code))

    def warning(self, place: Place, message: str, code: str = "doubt") -> None:
        self.problems.append(Problem(place, "warning", message, self.recipe, code))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    @contextmanager
    def noting(self, place: Place, code: str = "yaml") -> Iterator[None]:
        """Note a ConfigError and go on after the block."""
        try:
            yield
        except ConfigError as error:
            self.error(error.place or place, error.message, code)

    def compiled(self, place: Place, make: Callable[[], T], code: str = "expression") -> T | None:
        """What was made; None, and a note, where a ConfigError says it can't be."""
        try:
            return make()
        except ConfigError as error:
            self.error(error.place or place, error.message, code)
            return None

    def compiled_all(self, node: Node, names: Names, make: Callable[[], T]) -> T | None:
        """As `compiled`, of a value with values in it: each one that can't be read is noted."""
        try:
            return make()
        except ConfigError:
            for error in mistakes_in(node, names):
                self.error(error.place or node.place, error.message, "expression")
            return None

    def mapping(self, node: Node | None, what: str) -> Mapping | None:
        if node is None or isinstance(node, Mapping):
            return node
        message = f"{what} is written as `key: value`, and this is {_kind(node)}{_slip(node)}"
        self.error(node.place, message, "wrong-kind")
        return None

    def known_keys(self, node: Mapping, known: Iterable[str], what: str = "key") -> None:
        """Refuse the rest, each with the nearest known key. What that one was meant to be isn't missing as well."""
        known = list(known)
        for index, (key, key_node, _) in enumerate(node.items()):
            if key not in known:
                stuck = missing_space(key, known)
                hint = stuck or _outdented(node, index)
                self.error(key_node.place, unknown(what, key, known) + hint, f"unknown-{what}")
                self.meant.add((id(node), key.partition(":")[0] if stuck else nearest(key, known) or ""))

    def required(self, node: Mapping, key: str, remedy: str) -> Node | None:
        value = node.get(key)
        if value is None and (id(node), key) in self.meant:
            return None
        if value is None:
            self.error(node.place, f"`{key}:` is missing: {remedy}", "missing-key")
            return None
        if isinstance(value, Scalar) and value.value is None:
            self.error(node.keys[key].place, f"`{key}:` is empty: {remedy}", "missing-key")
            return None
        return value

    def text(self, node: Node | None, key: str) -> str | None:
        """A scalar's text. Numbers and the like are refused where they would not stay what was written."""
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.text.strip():
            return node.text
        if isinstance(node, Scalar) and node.value is not None and not isinstance(node.value, str):
            return node.text
        self.error(node.place, f"`{key}` is text, and this is {_kind(node)}", "wrong-kind")
        return None

    def texts(self, node: Node | None, key: str) -> dict[str, str]:
        mapping = self.mapping(node, f"`{key}`")
        found = {}
        for name, _, value in mapping.items() if mapping else ():
            text = self.text(value, name)
            if text is not None:
                found[name] = text
        return found

    def choice(self, node: Node | None, key: str, choices: tuple[str, ...]) -> str:
        """One of the choices; the first where it isn't written."""
        if node is None:
            return choices[0]
        word = plain(node)
        if isinstance(word, str) and word in choices:
            return word
        guess = nearest(word, choices) if isinstance(word, str) else None
        hint = f"did you mean `{guess}`? " if guess else ""
        self.error(node.place, f"`{key}` is one of {listed(choices)}; {hint}this is {shown(word)}", "wrong-value")
        return choices[0]

    def duration(self, node: Node | None, default: timedelta) -> timedelta:
        if node is None:
            return default
        try:
            duration = parse_duration(plain(node))
        except ValueError as error:
            self.error(node.place, str(error), "wrong-value")
            return default
        if duration <= timedelta(0):
            self.error(node.place, "a duration is longer than nothing", "wrong-value")
            return default
        return duration

    def boolean(self, node: Node | None, key: str, default: bool = False) -> bool:
        if node is None:
            return default
        value = plain(node)
        if not isinstance(value, bool):
            self.error(node.place, f"`{key}` is `true` or `false`, and this is {shown(value)}", "wrong-value")
            return default
        return value

    def items(self, node: Node | None, what: str) -> list[Node]:
        """The items of a list; one alone may stand without its dash."""
        match node:
            case None:
                return []
            case Sequence():
                return node.items
            case _:
                self.error(node.place, f"{what} is a list, and this is {_kind(node)}{_slip(node)}", "wrong-kind")
                return []


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "`key: value`"
    return "empty" if isinstance(node, Scalar) and not node.text.strip() else kind_of(plain(node))


def _slip(node: Node) -> str:
    """What a scalar or a list in the place of `key: value` was probably meant to be."""
    if isinstance(node, Sequence):
        return ": leave the `- ` out"
    if isinstance(node, Mapping):
        return ": begin each of its items with `- `"
    assert isinstance(node, Scalar)
    if match := STUCK.match(node.raw):
        return f": a space is missing after the colon, as in `{match[1]}: {match[2]}`"
    return ": a space is missing after the `-`" if re.match(r"-[^\s\d]", node.raw) else ""


def _outdented(node: Mapping, index: int) -> str:
    """An empty key with unknown ones beneath it: they were to be its own."""
    keys = list(node.values)
    for above in reversed(keys[:index]):
        value = node.values[above]
        if isinstance(value, Scalar) and value.value is None and not value.raw:
            return f"; if it belongs to `{above}`, indent it further"
        if value.place.line < node.keys[keys[index]].place.line - 1 and isinstance(value, Scalar):
            break
    return ""
