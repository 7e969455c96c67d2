"""Change single values in the text of a YAML file: comments, order, quotes and all the rest stay byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from relay.errors import ConfigError, Place
from relay.model import JSON
from relay.recipes.trying.comparing import Path
from relay.recipes.yaml_tree import parse, plain
from relay.recipes.yaml_writing import WIDTH, behind, block, identical, inline, key_of, literal

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_BOM = "\ufeff"
_STEP = 2
_HEADER_COMMENT = re.compile(r"\s+#.*$")
_COLON = re.compile(r"\s*:")
#: From the end of an item to the dash of the next: comments and empty lines lie between.
_DASH = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?\n)*[ \t]*-")


def edited(text: str, values: Mapping[Path, JSON], file: str) -> str:
    """The text with other values at these paths. Raises ConfigError where it can't be, or one can't be written in YAML.

    A key that isn't there is put before the last one of its mapping.
    """
    before = plain(parse(text, file))
    mark = _BOM if text.startswith(_BOM) else ""
    bare = text.removeprefix(_BOM)
    root = yaml.compose(bare, Loader=_Loader)
    assert root is not None, "it has been parsed"
    editor = _Editor(bare)
    changes = sorted((editor.change(root, path, value) for path, value in values.items()), reverse=True)
    made, end = bare, len(bare)
    for change in changes:
        if change.end > end:
            raise ConfigError("two of the changes are of the same lines", Place(file))
        made = made[: change.start] + change.text + made[change.end :]
        end = change.start
    if not identical(_safely(mark + made, file), _changed(before, values)):
        raise ConfigError("the new values can't be put into the file as it is written", Place(file))
    return mark + made


def _safely(text: str, file: str) -> JSON:
    try:
        return plain(parse(text, file))
    except ConfigError as error:
        message = f"the new values can't be put into the file as it is written ({error.message})"
        raise ConfigError(message, error.place) from None


def _changed(tree: Any, values: Mapping[Path, JSON]) -> Any:
    """The tree with the new values in it."""
    for path, value in values.items():
        target = tree
        for step in path[:-1]:
            target = target[step]
        last = path[-1]
        if isinstance(target, dict) and last not in target:
            *keys, behind_it = target.items()
            target.clear()
            target.update([*keys, (last, value), behind_it])
        else:
            target[last] = value
    return tree


@dataclass(frozen=True, slots=True, order=True)
class _Change:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a value stands.

    anchor  behind its key's colon, or behind its dash
    indent  of the line that its key or its dash is in
    key     how much of that line its key takes; 0 for an item
    flow    whether it is within { } or [ ]
    """

    node: yaml.Node
    anchor: int
    indent: int
    key: int
    flow: bool


class _Editor:
    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def change(self, root: yaml.Node, path: Path, value: JSON) -> _Change:
        spot = _Spot(root, 0, 0, 0, False)
        for step in path[:-1]:
            spot = self.inside(spot, step)
        if isinstance(spot.node, yaml.MappingNode) and path[-1] not in [key.value for key, _ in spot.node.value]:
            return self.added(spot, str(path[-1]), value)
        spot = self.inside(spot, path[-1])
        if spot.flow:
            return self.within_flow(spot, value)
        if self.is_block(spot.node):
            return self.for_block(spot, value)
        return self.for_line(spot, value)

    def inside(self, spot: _Spot, step: str | int) -> _Spot:
        """Raises ConfigError: the file was changed meanwhile."""
        node = spot.node
        flow = spot.flow or not self.is_block(node)
        column = node.start_mark.column
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    start = key.end_mark.index
                    colon = _COLON.match(self.text, start, max(start, value.start_mark.index))
                    anchor = colon.end() if colon else start
                    return _Spot(value, anchor, column, anchor - key.start_mark.index, flow)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item = node.value[step]
            if flow:
                return _Spot(item, item.start_mark.index, column, 0, flow)
            start = self.end(node.value[step - 1]) if step else node.start_mark.index
            dash = _DASH.match(self.text, start)
            return _Spot(item, dash.end() if dash else item.start_mark.index, column, 0, flow)
        raise ConfigError(f"there is no `{step}` in the file any more")

    def is_block(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.CollectionNode) and not node.flow_style

    def end(self, node: yaml.Node) -> int:
        """Where a value ends: a block's own mark is where the next thing begins, behind comments and empty lines."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            last = node.value[-1]
            return self.end(last[1] if isinstance(node, yaml.MappingNode) else last)
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            header = self.text[start:end].partition("\n")[0]
            written = self.text[start:end]
            kept = (
                written.removesuffix("\n").removesuffix("\r") if "+" in header.partition("#")[0] else written.rstrip()
            )
            return start + len(kept)
        return end

    def line_end(self, position: int) -> int:
        found = self.text.find("\n", position)
        end = len(self.text) if found < 0 else found
        return end - 1 if self.text[end - 1 : end] == "\r" and end > position else end

    # -- the forms that a value may stand in

    def added(self, spot: _Spot, key: str, value: JSON) -> _Change:
        node = spot.node
        assert isinstance(node, yaml.MappingNode)
        flow = spot.flow or not self.is_block(node)
        spelt = key_of(key)
        if not node.value:
            return _Change(node.start_mark.index + 1, node.start_mark.index + 1, f"{spelt}: {inline(value, flow=True)}")
        last = node.value[-1][0].start_mark
        if flow:
            return _Change(last.index, last.index, f"{spelt}: {inline(value, flow=True)}, ")
        written = behind(value, last.column, len(spelt) + 1, self.newline)
        return _Change(last.index, last.index, f"{spelt}:{written}{self.newline}{' ' * last.column}")

    def within_flow(self, spot: _Spot, value: JSON) -> _Change:
        start, end = spot.node.start_mark.index, self.end(spot.node)
        written = inline(value, flow=True, like=self.text[start : start + 1] if end > start else "")
        if start == end:
            # An empty value: `{a: }`, `{a}`.
            start = end = spot.anchor
            is_bare = spot.key and self.text[spot.anchor - 1 : spot.anchor] != ":"
            written = f": {written}" if is_bare else f" {written}"
        return _Change(start, end, written)

    def for_line(self, spot: _Spot, value: JSON) -> _Change:
        """In place of what stands in its key's line."""
        start, end = spot.node.start_mark.index, self.end(spot.node)
        header, comment = self.header(spot.node)
        tail = self.line_end(end)
        below = self.text[end:tail]
        lines = literal(value, spot.indent + _STEP, self.newline) if isinstance(value, str) else ""
        if lines and (header in ("|", ">") or self.is_long(spot, inline(value))):
            sign, _, rest = lines.partition(self.newline)
            return self.put(spot, start, tail, f"{sign}{comment or below.rstrip()}{self.newline}{rest}")
        if isinstance(value, (dict, list)) and value and self.is_long(spot, inline(value)):
            return self.below(spot, value, comment or below.rstrip())
        return self.put(spot, start, end, inline(value, like=header) + comment)

    def for_block(self, spot: _Spot, value: JSON) -> _Change:
        """In place of a block, which stands below its key, or behind its dash."""
        start, end = spot.node.start_mark.index, self.end(spot.node)
        if isinstance(value, (dict, list)) and value:
            column = spot.node.start_mark.column
            # A list may stand in its key's column, an object may not.
            deeper = " " * _STEP if spot.key and column <= spot.indent else ""
            return _Change(start, end, deeper + block(value, column + len(deeper), self.newline))
        between = self.text[spot.anchor : start].rstrip()
        return _Change(spot.anchor, end, f" {inline(value)}{between}")

    def below(self, spot: _Spot, value: JSON, comment: str) -> _Change:
        """A block in place of what stands in a line."""
        start, end = spot.node.start_mark.index, self.end(spot.node)
        indent = spot.indent + _STEP
        if not spot.key and not comment:
            return self.put(spot, start, end, block(value, indent, self.newline))
        between = self.text[spot.anchor : start].rstrip()
        written = f"{between}{comment}{self.newline}{' ' * indent}{block(value, indent, self.newline)}"
        return _Change(spot.anchor, self.line_end(end) if comment else end, written)

    def put(self, spot: _Spot, start: int, end: int, written: str) -> _Change:
        """With a space, where an empty value has none before it."""
        has_space = self.text[start - 1 : start].isspace() or start == 0
        return _Change(start, end, written if has_space else f" {written}")

    def is_long(self, spot: _Spot, written: str) -> bool:
        return spot.indent + spot.key + 1 + len(written) > WIDTH

    def header(self, node: yaml.Node) -> tuple[str, str]:
        """(the sign that a scalar begins with, the comment behind the header of text in lines, with its space)."""
        raw = self.text[node.start_mark.index : node.end_mark.index]
        if not isinstance(node, yaml.ScalarNode) or node.style not in ("|", ">"):
            return raw[:1], ""
        comment = _HEADER_COMMENT.search(raw.partition("\n")[0].rstrip("\r"))
        return raw[:1], comment[0] if comment else ""
