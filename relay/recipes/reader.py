"""Reading a tree of YAML into values, noting every mistake with its place instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from relay.errors import ConfigError, Place
from relay.recipes.recipe import Problem
from relay.recipes.words import kind_of, listed, nearest, unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, plain
from relay.units import parse_duration

T = TypeVar("T")


class Reader:
    """Collects problems of one file, in the name of one recipe or of none."""

    def __init__(self, recipe: str | None = None) -> None:
        self.recipe = recipe
        self.problems: list[Problem] = []

    def error(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, "error", message, self.recipe))

    def warning(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, "warning", message, self.recipe))

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    @contextmanager
    def noting(self, place: Place) -> Iterator[None]:
        """Note a ConfigError and go on after the block."""
        try:
            yield
        except ConfigError as error:
            self.error(error.place or place, error.message)

    def compiled(self, place: Place, make: Callable[[], T]) -> T | None:
        """What was made; None, and a note, where a ConfigError says it can't be."""
        try:
            return make()
        except ConfigError as error:
            self.error(error.place or place, error.message)
            return None

    def mapping(self, node: Node | None, what: str) -> Mapping | None:
        if node is None or isinstance(node, Mapping):
            return node
        self.error(node.place, f"{what} is written as `key: value`, and this is {kind_of(plain(node))}")
        return None

    def known_keys(self, node: Mapping, known: Iterable[str], later: Iterable[str] = (), what: str = "key") -> None:
        """Refuse the rest, each with the nearest known key."""
        known, later = list(known), list(later)
        for key, key_node, _ in node.items():
            if key in later:
                self.error(key_node.place, f"`{key}` is not supported yet by this version")
            elif key not in known:
                self.error(key_node.place, unknown(what, key, known))

    def required(self, node: Mapping, key: str, remedy: str) -> Node | None:
        value = node.get(key)
        if value is None or (isinstance(value, Scalar) and value.value is None):
            self.error(node.keys[key].place if key in node else node.place, f"`{key}:` is missing: {remedy}")
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
        self.error(node.place, f"`{key}` is text, and this is {kind_of(plain(node)) if plain(node) != '' else 'empty'}")
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
        self.error(node.place, f"`{key}` is one of {listed(choices)}; {hint}this is {plain(node)!r}")
        return choices[0]

    def duration(self, node: Node | None, default: timedelta) -> timedelta:
        if node is None:
            return default
        try:
            duration = parse_duration(plain(node))
        except ValueError as error:
            self.error(node.place, str(error))
            return default
        if duration <= timedelta(0):
            self.error(node.place, "a duration is longer than nothing")
            return default
        return duration

    def boolean(self, node: Node | None, key: str, default: bool = False) -> bool:
        if node is None:
            return default
        value = plain(node)
        if not isinstance(value, bool):
            self.error(node.place, f"`{key}` is true or false")
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
                self.error(node.place, f"{what} is a list, and this is {kind_of(plain(node))}")
                return []
