"""Masking: the same body with stand-ins for what is personal, and the list of what was masked, never with a value.

Two walks: the first learns who the people are, the second writes. So a name is masked in a transcript too, and in a
link, even if the transcript stands before the contact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.errors import BodyError
from relay.jsontext import dumps
from relay.model import JSON
from relay.recipes.drafting.regions import Regions
from relay.recipes.drafting.spelling import path_text
from relay.recipes.masking import xml_text
from relay.recipes.masking.meaning import Kind, kind_of
from relay.recipes.masking.stand_ins import StandIns
from relay.sources.json_body import decode_json

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Masked:
    """path   where it stands, such as `$.messages[*].text`
    kind      what it was taken for, such as `e-mail`
    """

    path: str
    kind: str


def masked_value(value: JSON) -> tuple[JSON, list[Masked]]:
    """A decoded body; its types and its keys stay what they are."""
    masking = _Masking(leaves(value))
    return masking.walk((), value), masking.list()


def masked_pairs(pairs: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[Masked]]:
    """A form's fields, or a query's."""
    every = [(name, _form_path(name), value) for name, value in pairs]
    masking = _Masking((path, value) for _, path, value in every)
    return [(masking.key(name), str(masking.leaf(path, value))) for name, path, value in every], masking.list()


def masked_xml(text: str) -> tuple[str, list[Masked]]:
    """An XML document as text. Its comments are left out."""
    found: list[tuple[Path, Any]] = []

    def note(path: Path, value: str) -> str:
        found.append((path, value))
        return value

    xml_text.replaced(text, note)
    masking = _Masking(found)
    return xml_text.replaced(text, lambda path, value: str(masking.leaf(path, value))), masking.list()


def masked_text(text: str) -> tuple[str, list[Masked]]:
    """Text without any structure: all of it is what somebody wrote."""
    made = StandIns().free_text(text)
    return made, [Masked("$", Kind.FREE_TEXT)] if made != text else []


def leaves(value: JSON, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that holds no others, with the keys and indexes that lead to it; those of JSON inside of text too."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, (*path, key))
        case list():
            for place, inner in enumerate(value):
                yield from leaves(inner, (*path, place))
        case str() if (inside := _json_inside(value)) is not None:
            yield from leaves(inside, path)
        case _:
            yield path, value


def _json_inside(text: str) -> dict[str, Any] | list[Any] | None:
    """Jotform's rawRequest, Slack's payload: a whole document as one text."""
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return None
    try:
        value = decode_json(text.encode())
    except (BodyError, UnicodeEncodeError):
        return None
    return value if isinstance(value, (dict, list)) else None


def _form_path(name: str) -> Path:
    """`data[merges][EMAIL]` as its keys."""
    return tuple(part for part in re.split(r"[\[\]]+", name) if part) or (name,)


class _Masking:
    def __init__(self, found: Iterable[tuple[Path, Any]]) -> None:
        every = list(found)
        self.regions = Regions(every)
        self.stand_ins = StandIns()
        self.kinds: dict[str, set[str]] = {}
        for path, value in every:
            kind = kind_of(path, value)
            if kind not in (Kind.OTHER, Kind.FREE_TEXT):
                self.made(kind, path, value)

    def list(self) -> list[Masked]:
        return [Masked(path, kind) for path, kinds in self.kinds.items() for kind in sorted(kinds)]

    def walk(self, path: Path, value: JSON) -> Any:
        match value:
            case dict():
                keys = self.keys(path, value)
                return {keys[key]: self.walk((*path, key), inner) for key, inner in value.items()}
            case list():
                return [self.walk((*path, place), inner) for place, inner in enumerate(value)]
            case _:
                return self.leaf(path, value)

    def leaf(self, path: Path, value: Any) -> Any:
        if isinstance(value, str) and (inside := _json_inside(value)) is not None:
            made = self.walk(path, inside)
            return value if made == inside else dumps(made).decode()
        kind = kind_of(path, value)
        if kind is not Kind.OTHER:
            self.note(path, kind)
            return self.made(kind, path, value)
        if not isinstance(value, str):
            return value
        made = self.stand_ins.inside(value)
        if made != value:
            self.note(path, "personal data inside")
        return made

    def made(self, kind: Kind, path: Path, value: Any) -> Any:
        key = next((key for key in reversed(path) if isinstance(key, str) and key != "#text"), "")
        region = self.regions.near(path) if kind is Kind.PHONE else None
        return self.stand_ins.of(kind, value, key, region)

    def key(self, key: str) -> str:
        """Some senders write an e-mail address as a key."""
        return self.stand_ins.inside(key) if "@" in key else key

    def keys(self, path: Path, value: Mapping[str, Any]) -> dict[str, str]:
        """Each key, and what it becomes; no two become one."""
        made: dict[str, str] = {}
        taken = set(value)
        for key in value:
            new = self.key(key)
            if new != key:
                self.note(path, "e-mail as a key")
                while new in taken:
                    new += "_"
                taken.add(new)
            made[key] = new
        return made

    def note(self, path: Path, kind: str) -> None:
        """A path with an address in it would show what was masked."""
        shown = [self.key(step) if isinstance(step, str) else step for step in path]
        text = re.sub(r"\[\d+\]", "[*]", path_text(shown))
        self.kinds.setdefault(text, set()).add(str(kind))
