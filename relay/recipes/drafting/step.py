"""The step of a draft: an action's `with`, filled by what the action declares and shows in its own examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from relay.connector import Action, Connector
from relay.recipes.drafting.fields import Field
from relay.recipes.drafting.spelling import Noted, Said, literal
from relay.recipes.masking.meaning import Kind, words_of

#: Settings whose text is for people to read.
_PROSE = {"text", "message", "body", "note", "comment", "description", "summary", "subject", "title", "content"}
_SHORT = {"subject", "title", "summary"}

Values = Mapping[str, Any]


def actions_of(kind: type[Connector[Any]]) -> Iterator[tuple[type[Action[Any, Any, Any]], Values]]:
    """Each action with each of its examples, the simplest first; one without examples with none."""
    for action in kind.actions:
        for example in action.examples or (None,):
            yield action, example.fields if example is not None else {}


class WithDraft:
    """cells  what is sent of the event: name → expression
    people    the fields that they come from, to find an address or a number among them
    source    whose events these are
    """

    def __init__(self, cells: Mapping[str, Said], people: list[Field], source: str) -> None:
        self.cells = cells
        self.people = people
        self.source = source

    def of(self, action: type[Action[Any, Any, Any]], example: Values) -> dict[str, Any]:
        """A `with`, as it is written: required settings, what carries data, and the plain text of the example."""
        made: dict[str, Any] = {}
        has_data = False
        for name, info in action.With.model_fields.items():
            key = info.alias or name
            if key not in example and not info.is_required():
                continue
            if _takes_anything(info.annotation):
                # One setting carries the event; what else is free stays as the example has it.
                made[key] = example[key] if has_data and key in example else self.data(key)
                has_data = True
            elif _takes_text(info.annotation):
                made[key] = self.text(key, info, example.get(key))
            elif info.is_required():
                made[key] = example.get(key, _first(info))
        return made

    def data(self, key: str) -> dict[str, Any]:
        """Columns are read by people, JSON by programs."""
        if key in ("row", "columns"):
            return columns(self.cells)
        return dict(self.cells)

    def text(self, key: str, info: FieldInfo, example: Any) -> Any:
        words = set(words_of(key))
        if words & _PROSE:
            names = [name for name, one in self.cells.items() if "{{" not in one.text]
            shown = names[: 1 if words & _SHORT else 3]
            inside = ", ".join(f"{{{{ {self.cells[name].text} }}}}" for name in shown)
            return Said(f"{literal(self.source)}: {inside}" if inside else f"An event of {literal(self.source)}")
        for wanted, kind in (("email", Kind.EMAIL), ("phone", Kind.PHONE), ("number", Kind.PHONE), ("to", Kind.EMAIL)):
            found = next(
                (self.cells[one.name] for one in self.people if one.kind is kind and one.name in self.cells), None
            )
            if wanted in words and found is not None:
                return found
        text = str(_first(info) or example or "")
        if text.endswith((".csv", ".jsonl")) and "{{" not in text:
            path = PurePosixPath(text)
            return Said(str(path.with_name(f"{self.source}{path.suffix}")))
        return Noted(Said(text if "{{" in text else literal(text)), _sentence(info))


def columns(cells: Mapping[str, Said]) -> dict[str, Any]:
    """`closed_at` as the column `Closed at`."""
    made: dict[str, Any] = {}
    for name, cell in cells.items():
        column = name.replace("_", " ").capitalize()
        made[name if column in made else column] = cell
    return made


def _sentence(info: FieldInfo) -> str:
    return (info.description or "").split("; ")[0].rstrip(".")


def _first(info: FieldInfo) -> Any:
    return info.examples[0] if info.examples else None


def _plain_types(annotation: Any) -> list[Any]:
    """The members of `A | None`, of `Annotated[A, …]` and of A alone."""
    if hasattr(annotation, "__metadata__"):
        return _plain_types(get_args(annotation)[0])
    members = get_args(annotation) if get_origin(annotation) not in (dict, list, tuple) else ()
    inner = [one for member in members if member is not type(None) for one in _plain_types(member)]
    return inner if members and inner else [annotation]


def _takes_anything(annotation: Any) -> bool:
    """Any, or a mapping with keys of one's own and whatever values."""
    return any(
        one is Any or (get_origin(one) in (dict, Mapping) and get_args(one)[-1:] == (Any,))
        for one in _plain_types(annotation)
    )


def _takes_text(annotation: Any) -> bool:
    return any(one is str for one in _plain_types(annotation)) and not any(
        isinstance(one, type) and issubclass(one, BaseModel) for one in _plain_types(annotation)
    )


def step_name(action: str, connection: str, taken: set[str]) -> str:
    """After the connection, with letters, digits and `_`, and after nothing that is picked."""
    name = re.sub(r"\W+", "_", connection).strip("_").lower() or action
    name = name if re.match(r"[^\W\d]\w*$", name) else f"to_{name}"
    number, made = 2, name
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made
