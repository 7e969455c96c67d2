"""What a draft picks out of an event: which values, under which names, with which filters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.errors import ConfigError, Place, RecipeError
from relay.model import JSON
from relay.recipes.drafting.dates import date_filters, is_hinted
from relay.recipes.drafting.regions import Regions, region_of
from relay.recipes.drafting.spelling import path_text
from relay.recipes.expression import compile_expression
from relay.recipes.filters.text import lower
from relay.recipes.masking.meaning import Kind, kind_of, word_set, words_of
from relay.recipes.names import RESERVED, Names

Path = tuple[str | int, ...]

#: More would be no draft but a copy of the event; the next ones are offered as comments.
MOST_PICKED = 12
MOST_OFFERED = 24
MOST_LISTS = 3

#: A longer path is of no use to anybody, and an expression has a limit.
_MOST_PATH = 300
_MOST_NAME = 40

#: Alone these say nothing: `id` of what?
_GENERIC = word_set(
    "id type value status state text label key code url date number first last at time kind title count uuid"
)
_TAKEN = RESERVED | {"and", "or", "not", "in", "if", "else", "true", "false", "null", "now"}

_RANKS = {Kind.NAME: 100, Kind.EMAIL: 100, Kind.PHONE: 95, Kind.BIRTH: 70, Kind.ADDRESS: 40, Kind.FREE_TEXT: 20}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One value to pick.

    name        as it is picked: `closed_at`
    expression  `$.conversation.closed_at | date("YYYY-MM-DD HH:mm")`
    note        a comment for the admin; "" for none
    rank        how likely it is wanted
    """

    path: Path
    name: str
    expression: str
    note: str
    kind: Kind
    rank: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of the body: what a step may run for each item of."""

    path: Path
    name: str
    expression: str
    items: list[Any]


@dataclass(frozen=True, slots=True)
class Fields:
    """picked: the values of the draft, in the event's order. offered: others. more: how many are not even offered."""

    picked: list[Field] = field(default_factory=list)
    offered: list[Field] = field(default_factory=list)
    lists: list[Listed] = field(default_factory=list)
    more: int = 0


def fields_of(body: JSON, others: Sequence[JSON] = (), root: str = "$", zone: str = "UTC") -> Fields:
    """others: what the body is in further events of the source, or the other items of a list."""
    return _Finder(body, others, root).fields()


class _Finder:
    def __init__(self, body: JSON, others: Sequence[JSON], root: str) -> None:
        self.body = body
        self.bodies = [body, *others]
        self.root = root
        self.regions = Regions(_values(body, ()))
        self.taken: set[str] = set(_TAKEN)

    def fields(self) -> Fields:
        found, lists = [], []
        for path, value in _values(self.body, ()):
            text = path_text(path, self.root)
            if len(text) > _MOST_PATH:
                continue
            if isinstance(value, list) and not _is_plain_list(value):
                lists.append((path, value, text))
            elif kind_of(path, value) is not Kind.SECRET:
                found.append((path, value, text))
        ranks = {path: _rank(path, value) for path, value, _ in found}
        best = sorted(ranks, key=lambda path: -ranks[path])
        picked, offered = set(best[:MOST_PICKED]), set(best[MOST_PICKED : MOST_PICKED + MOST_OFFERED])
        fields = Fields(more=max(0, len(best) - MOST_PICKED - MOST_OFFERED))
        # The picked ones get the short names.
        for wanted, into in ((picked, fields.picked), (offered, fields.offered)):
            into.extend(
                made
                for path, value, text in found
                if path in wanted and (made := self.field(path, value, text, ranks[path])) is not None
            )
        for path, value, text in lists[:MOST_LISTS]:
            fields.lists.append(Listed(path, self.name(path, "items"), text, value))
        return fields

    def field(self, path: Path, value: Any, text: str, rank: int) -> Field | None:
        seen = [_at(body, path) for body in self.bodies]
        values = [one for one in seen if one is not None and one is not _MISSING]
        optional = "?" if len(values) < len(seen) and path else ""
        kind = kind_of(path, value if value is not None else (values[0] if values else None))
        filters, note = self.filters(path, kind, values)
        plain = f"{text}{optional}"
        for chain in (filters, []):
            expression = " | ".join([plain, *chain])
            if self.works(expression):
                return Field(path, self.name(path, "value"), expression, note if chain == filters else "", kind, rank)
        return None

    def works(self, expression: str) -> bool:
        """In every event that was seen."""
        try:
            within = frozenset({"item"}) if self.root != "$" else frozenset()
            compiled = compile_expression(expression, Place(""), Names(within=within))
            for body in self.bodies:
                compiled.of({"": body, "item": body})
        except (ConfigError, RecipeError):
            return False
        return True

    def filters(self, path: Path, kind: Kind, values: list[Any]) -> tuple[list[str], str]:
        words = words_of(str(path[-1])) if path else []
        texts = [value for value in values if isinstance(value, str)]
        if values and all(isinstance(value, list) for value in values):
            return ['join(", ")'], ""
        if (dates := date_filters(words, values)) is not None:
            return dates
        if kind is Kind.PHONE:
            return self.phone(path, values)
        if len(texts) < len(values) or (not values and kind is Kind.OTHER):
            return [], ""
        padded = any(text != text.strip() for text in texts)
        if kind is Kind.EMAIL:
            return (["trim"] if padded else []) + ["lower"], "`email` in place of `lower` also checks the address"
        if kind is Kind.NAME:
            return ["trim"], ""
        if texts and all(text.lower() in ("true", "false") for text in texts):
            return ["bool"], "it comes as text"
        return (["trim"] if padded else []), ""

    def phone(self, path: Path, values: list[Any]) -> tuple[list[str], str]:
        regions = {region for value in values if (region := region_of(value))}
        region = regions.pop() if len(regions) == 1 else self.regions.near(path)
        if region is not None and not regions:
            return [f'phone("{region}")'], f"the region of numbers without a country code: {region}"
        if values and all(region_of(value) for value in values):
            return ["phone"], ""
        return [], '| phone("GB") makes it international: put in your own country\'s code'

    def name(self, path: Path, otherwise: str) -> str:
        """`$.contact.name` as `name`, a second one as `agent_name`: unique, and fit to stand behind a dollar sign."""
        keys = [snake(key) for key in path if isinstance(key, str)]
        keys = [key for key in keys if key] or [otherwise]
        lengths = range(2 if keys[-1] in _GENERIC and len(keys) > 1 else 1, len(keys) + 1)
        for length in lengths:
            name = _fit("_".join(keys[-length:]))
            if name not in self.taken:
                self.taken.add(name)
                return name
        base, number = _fit("_".join(keys[-lengths[0] :])), 2
        while f"{base}_{number}" in self.taken:
            number += 1
        self.taken.add(f"{base}_{number}")
        return f"{base}_{number}"


def snake(key: str) -> str:
    """`q3_fullName` as `full_name`; "" where nothing of it is left."""
    joined = str(lower("_".join(words_of(key))))
    return re.sub(r"\W+", "_", joined).strip("_")


def _fit(name: str) -> str:
    name = name[:_MOST_NAME].rstrip("_")
    return name if re.match(r"[^\W\d]\w*$", name) else f"field_{name}" if re.fullmatch(r"\w+", name) else "field"


def _values(value: JSON, path: Path) -> Iterator[tuple[Path, Any]]:
    """What holds no others, and lists as they are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, (*path, key))
    elif value != []:
        yield path, value


def _is_plain_list(value: list[Any]) -> bool:
    """Tags and the like: a list that can be read as one text."""
    return len(value) <= 50 and all(isinstance(item, (str, int, float)) for item in value)


def _at(body: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(body, dict) or step not in body:
            return _MISSING
        body = body[step]
    return body


def _rank(path: Path, value: Any) -> int:
    words = words_of(str(path[-1])) if path else []
    kind = kind_of(path, value)
    if kind in _RANKS:
        rank = _RANKS[kind]
    elif is_hinted(words):
        rank = 65
    elif "id" in words:
        rank = 60
    elif value is None:
        rank = 35
    elif isinstance(value, list):
        rank = 25
    elif isinstance(value, str):
        rank = 45 if len(value) <= 60 and "://" not in value else 15
    else:
        rank = 50
    # What stands far inside is rather a detail.
    return rank - 3 * len(path)
