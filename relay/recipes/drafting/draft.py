"""A first recipe, drafted from an event: what is in it, under likely names, to a connection, with a test.

What is written is checked while it is drafted: every expression has been evaluated on the event, the step has been
tried, and what the test expects is what came out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.errors import ConfigError
from relay.model import JSON, Event
from relay.recipes import schema
from relay.recipes.accounts import Connection
from relay.recipes.clear_secrets import shaped_secrets
from relay.recipes.drafting.fields import Field, Listed, fields_of, snake
from relay.recipes.drafting.rehearsal import rehearsed
from relay.recipes.drafting.spelling import WIDTH, Noted, Said, block, comment, flow, path_text, scalar
from relay.recipes.drafting.step import WithDraft, actions_of, columns, step_name
from relay.recipes.masking.meaning import words_of
from relay.recipes.recipe import MOST_ITEMS
from relay.recipes.trying.trial import try_event, view_of
from relay.recipes.trying.tried import TryResult
from relay.recipes.workspace import Workspace

#: Keys whose values tell one kind of event from another.
_STATES = {"state", "status", "type", "event", "action", "kind", "topic"}
_CODE = re.compile(r"[A-Za-z][\w.-]{0,29}", re.ASCII)
#: In `types:`, a star stands for more.
_TYPE = re.compile(r"[^\s*?\[\]](?:[^*?\[\]]{0,98}[^\s*?\[\]])?")
_PLAIN_PATH = re.compile(r"\$(?:\.[A-Za-z_]\w*)+", re.ASCII)

#: So many items of a list tell what may be absent.
_MOST_LOOKED_AT = 100

#: What a test expects is to be read at a glance.
_MOST_EXPECTED = 5
_MOST_ITEMS_EXPECTED = 3
_LONGEST_EXPECTED = 60
#: An integer of more digits is not written again in the same form by every tool.
_BIGGEST_EXPECTED = 10**15


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be drafted.

    name     of the recipe: its file's stem
    sample   the sample's name within the workspace, and `event` what it is in a test
    others   what the body is in further events of the source: a path that lacks there gets a `?`
    beside   what a test says beside the sample: `headers` and `query`
    """

    name: str
    sample: str
    event: Event
    connection: str
    others: Sequence[JSON] = ()
    beside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def draft(workspace: Workspace, order: Order) -> str:
    """The recipe's text. Raises ConfigError where the connection can't be used, BodyError where the body can't be."""
    connection = workspace.connections[order.connection]
    if connection.connector_class is None:
        raise ConfigError(f"no step can be drafted for `{order.connection}`: {connection.held}")
    drafting = _Draft(workspace, order, connection)
    for text, step in drafting.attempts():
        results = _tried(workspace, order, text, step)
        if results:
            return text + drafting.test(step, results)
    example = f"relay connectors {connection.connector}"
    raise ConfigError(f"no step could be drafted for `{order.connection}`: `{example}` shows what its steps say")


def _tried(workspace: Workspace, order: Order, text: str, step: str) -> list[TryResult]:
    """What the drafted step would send; nothing where it can't, or the text has a mistake."""
    trial = rehearsed(workspace.folder, order.name, text)
    recipe = trial.recipes.get(order.name)
    if recipe is None:
        return []
    results = [one for one in try_event(recipe, trial, order.event).steps if one.step == step]
    is_sent = all(one.error is None and one.skipped is None and one.waits is None for one in results)
    return results if is_sent else []


class _Draft:
    def __init__(self, workspace: Workspace, order: Order, connection: Connection) -> None:
        self.workspace = workspace
        self.order = order
        self.connection = connection
        self.source = order.event.source
        view = view_of(workspace, order.event)
        self.body = view.body
        self.type = view.event.type
        # A list of objects is many events in one: a delivery for each.
        is_list = isinstance(self.body, list) and 0 < len(self.body) <= MOST_ITEMS
        self.each = is_list and isinstance(self.body[0], dict)  # type: ignore[index]
        if self.each:
            assert isinstance(self.body, list)
            self.fields = fields_of(self.body[0], self.body[1:_MOST_LOOKED_AT], root="$item")
        else:
            self.fields = fields_of(self.body, order.others)
        self.picked = [one for one in self.fields.picked if _is_harmless(one.expression)]
        self.offered = [one for one in self.fields.offered if _is_harmless(one.expression)]

    def attempts(self) -> Iterator[tuple[str, str]]:
        """(the recipe without its tests, its step's name), the likeliest first."""
        kind = self.connection.connector_class
        assert kind is not None
        taken = {one.name for one in (*self.picked, *self.offered)}
        for cells in (self.cells(), {"received": Said("$event.received_at")}):
            for action, example in actions_of(kind):
                step = step_name(action.name, self.order.connection, taken)
                fields = WithDraft(cells, self.picked, self.source).of(action, example)
                if self.each:
                    fields = {key: _per_item(value) for key, value in fields.items()}
                do = action.name if len(kind.actions) > 1 else None
                used = self.picked if cells.keys() != {"received"} and not self.each else []
                yield "\n".join(self.lines(used, step, do, fields, taken | {step})) + "\n", step

    def cells(self) -> dict[str, Said]:
        """What is sent of the event: name → expression."""
        if self.each:
            return {one.name: Said(one.expression) for one in self.picked} or {"item": Said("$item")}
        return {one.name: Said(f"${one.name}") for one in self.picked} or {"received": Said("$event.received_at")}

    def lines(
        self, picked: list[Field], step: str, do: str | None, fields: Mapping[str, Any], taken: set[str]
    ) -> Iterator[str]:
        if (self.workspace.folder / schema.FOLDER).is_dir():
            yield schema.MODELINES["recipe"]
        yield f"# Drafted by `relay new` from {comment(self.order.sample)}. Change what isn't meant like this."
        yield f"recipe: {scalar(f'Events of {self.source} to {self.order.connection}')}"
        yield f"catch: {scalar(self.source)}"
        if _TYPE.fullmatch(self.type):
            yield f"types: {flow([self.type])}  # events of other types are none of this recipe's business"
        yield from self.condition()
        yield from self.timezone()
        if picked or (self.offered and not self.each):
            yield from self.picks(picked)
        yield "steps:"
        yield f"  {step}:"
        others = [name for name in self.workspace.connections if name != self.order.connection]
        yield f"    to: {scalar(self.order.connection)}" + (
            f"  # or {comment(', '.join(others[:3]))}" if others else ""
        )
        if do is not None:
            yield f"    do: {scalar(do)}"
        if self.each:
            yield "    foreach: $  # the body is a list: one delivery for each item"
        yield "    with:"
        yield from block(fields, 6)
        yield from self.suggestions(fields, do, taken)

    def condition(self) -> Iterator[str]:
        """A value that may well decide whether an event is wanted."""
        for one in () if self.each else (*self.picked, *self.offered):
            value = _walked(self.body, one.path)
            words = words_of(str(one.path[-1])) if one.path else []
            path = path_text(one.path)
            if (
                _STATES & set(words)
                and isinstance(value, str)
                and _CODE.fullmatch(value)
                and _PLAIN_PATH.fullmatch(path)
            ):
                yield f'# when: {path} == "{value}"  # only these events; without it, all'
                return

    def timezone(self) -> Iterator[str]:
        """That of the other recipes, where they agree on one."""
        zones = {recipe.zone for recipe in self.workspace.recipes.values()}
        dates = any("date(" in one.expression for one in self.picked)
        if len(zones) == 1 and zones != {"UTC"}:
            yield f"timezone: {scalar(zones.pop())}"
        elif dates:
            yield "# timezone: Europe/London  # where dates are read and written; without it, UTC"

    def picks(self, picked: list[Field]) -> Iterator[str]:
        yield "# $ is the event's body. A `?` behind a path: it may be absent." if picked else "# In the event:"
        yield "pick:" if picked else "# pick:"
        for one in picked:
            yield from _pick_line(one, "  ")
        if self.offered:
            yield "  # Also there; take the # away to pick it:"
            for one in self.offered:
                yield from _pick_line(one, "  # ")
        if self.fields.more:
            yield f"  # … and {self.fields.more} more in {comment(self.order.sample)}"

    def suggestions(self, fields: Mapping[str, Any], do: str | None, taken: set[str]) -> Iterator[str]:
        """For a list inside of the body, a step that runs for each of its items."""
        if self.each:
            return
        for one in self.fields.lists:
            name = step_name(one.name, one.name, taken)
            taken.add(name)
            yield f"  # One delivery for each of {comment(one.expression)} ({len(one.items)} in this event):"
            yield f"  # {name}:"
            yield f"  #   to: {scalar(self.order.connection)}"
            if do is not None:
                yield f"  #   do: {scalar(do)}"
            yield f"  #   foreach: {scalar(Said(one.expression))}"
            yield "  #   with:"
            for line in block(self.item_fields(one, fields), 6):
                yield f"  # {line[2:]}"

    def item_fields(self, one: Listed, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The step's own `with`, with an item in place of the event."""
        cells: dict[str, Said] = {}
        first = one.items[0]
        if isinstance(first, dict):
            rest = [item for item in one.items[1:] if isinstance(item, dict)]
            found = fields_of(first, rest, root="$item").picked[:4]
            cells = {each.name: Said(each.expression) for each in found if _is_harmless(each.expression)}
        cells = cells or {"item": Said("$item")}
        made: dict[str, Any] = {}
        for key, value in fields.items():
            if isinstance(value, Mapping):
                made[key] = columns(cells) if key in ("row", "columns") else cells
            elif isinstance(value, Said) and value.text.startswith(f"{self.source}."):
                made[key] = Said(f"{self.source}-{snake(one.name)}{value.text.removeprefix(self.source)}")
            else:
                made[key] = _per_item(value)
        return made

    def test(self, step: str, results: list[TryResult]) -> str:
        """The sample, and what it sends."""
        of_type = f" of type {self.type}" if _TYPE.fullmatch(self.type) else ""
        case: dict[str, Any] = {"event": self.order.sample}
        for key, values in self.order.beside.items():
            # Empty ones can't be written in a test, and say nothing.
            said = {name: value for name, value in values.items() if value.strip()}
            case |= {key: said} if said else {}
        case["expect"] = {step: self.expected(results)}
        lines = ["tests:", f"  - name: {scalar(f'an event{of_type} is sent to {self.order.connection}')}"]
        return "\n".join([*lines, *block(case, 4)]) + "\n"

    def expected(self, results: list[TryResult]) -> Any:
        """Of what goes out, the first few values that say something; of many items, that they go out."""
        if self.each:
            return [self.telling(one) for one in results] if len(results) <= _MOST_ITEMS_EXPECTED else {}
        return self.telling(results[0])

    def telling(self, result: TryResult) -> dict[str, Any]:
        """People and dates before all else."""
        names = sorted(self.picked, key=lambda one: -one.rank)[:_MOST_EXPECTED]
        wanted = {one.name for one in names} | columns({one.name: Said("") for one in names}).keys()
        made: dict[str, Any] = {}
        for key, value in (result.fields or {}).items():
            if isinstance(value, dict):
                inner = {name: one for name, one in value.items() if name in wanted or not self.picked}
                inner = {name: one for name, one in inner.items() if _is_telling(one) and _is_telling(name)}
                if inner:
                    made[key] = inner
        return made


def _per_item(value: Any) -> Any:
    """A file for each event becomes one for each item."""
    if isinstance(value, Noted):
        return Noted(_per_item(value.value), value.comment)
    return (
        Said(value.text.replace("{{ $event.id }}", "{{ $event.id }}-{{ $index }}"))
        if isinstance(value, Said)
        else value
    )


def _pick_line(one: Field, margin: str) -> Iterator[str]:
    line = f"{margin}{scalar(one.name)}: {scalar(Said(one.expression))}"
    note = f"  # {comment(one.note)}" if one.note else ""
    if note and len(line) + len(note) > WIDTH:
        yield f"{margin}# ↓ {comment(one.note)}"
        yield line
    else:
        yield line + note


def _is_telling(value: Any) -> bool:
    """Short, and nothing that has to stay secret."""
    if isinstance(value, str):
        is_short = 0 < len(value) <= _LONGEST_EXPECTED and value.isprintable()
        return is_short and _is_harmless(value)
    if isinstance(value, int):
        return abs(value) < _BIGGEST_EXPECTED
    return isinstance(value, float)


def _is_harmless(text: str) -> bool:
    return not any(shaped_secrets(text, ""))


def _walked(body: JSON, path: Iterable[str | int]) -> Any:
    value: Any = body
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
