"""What a path matches in a body. Conditions are jsonpath-ng's; the rest is walked here, in bounded time and memory.

jsonpath-ng keeps where each match stands, which is for changing it; only the value is wanted here, and that is some
fifty times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jsonpath_ng import DatumInContext
from jsonpath_ng.ext.parser import parse as parse_jsonpath

from relay.recipes.jsonpath import Segment
from relay.recipes.operators import MAX_ITEMS

#: Values that one path looks at: about half a second's worth. Twice what a body of 10 MB can hold.
_MOST_LOOKS = 10_000_000
#: What one value in a condition costs, in such looks.
_CONDITION_LOOKS = 20
#: jsonpath-ng's notes on this many items are held at a time.
_CHUNK = 1000
_TOO_MANY = f"the path matches more than {MAX_ITEMS} values"


def matches(segments: Sequence[Segment], root: Any) -> list[Any]:
    """The values, in the order of the body. The segments are `prepared`. Raises ValueError for too many to look at."""
    walk = _Walk(root)
    nodes = [root]
    for segment in segments:
        inside = walk.containers(nodes) if segment.deep else nodes
        nodes = walk.selected(segment, inside)
        if not nodes:
            break
    return nodes


def prepared(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The segments with their conditions as jsonpath-ng has them: what is done once a recipe, not once an event."""
    return tuple(
        replace(segment, value=parsed("$" + segment.spelt.removeprefix("..")).right)
        if segment.kind == "condition"
        else segment
        for segment in segments
    )


@lru_cache(maxsize=2048)
def parsed(jsonpath: str) -> Any:
    """jsonpath-ng's own form of a path that was spelt for it."""
    return parse_jsonpath(jsonpath)


class _Walk:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.looks = 0

    def look(self, count: int) -> None:
        self.looks += count
        if self.looks > _MOST_LOOKS:
            raise ValueError("the path goes through more of the body than an event is worth; name more of its keys")

    def containers(self, nodes: list[Any]) -> list[Any]:
        """Every list and object in the nodes, itself before what is in it: what `..` looks into."""
        found: list[Any] = []
        for node in nodes:
            stack = [node]
            while stack:
                one = stack.pop()
                if type(one) is dict:
                    children: Iterable[Any] = reversed(one.values())
                elif type(one) is list:
                    children = reversed(one)
                else:
                    continue
                self.look(len(one) + 1)
                found.append(one)
                stack.extend([child for child in children if type(child) is dict or type(child) is list])
        return found

    def selected(self, segment: Segment, nodes: list[Any]) -> list[Any]:
        if segment.kind == "names" and len(segment.value) == 1:
            # What most paths are made of, at a tenth of the time.
            (name,) = segment.value
            found = [node[name] for node in nodes if type(node) is dict and name in node]
        else:
            found = self.each(segment, nodes)
        self.look(len(nodes) + len(found))
        if len(found) > MAX_ITEMS:
            raise ValueError(_TOO_MANY)
        return found

    def each(self, segment: Segment, nodes: list[Any]) -> list[Any]:
        select: Callable[[Segment, Any], Iterable[Any]] = getattr(self, segment.kind)
        found: list[Any] = []
        for node in nodes:
            found.extend(select(segment, node))
            # Here as well: each of the nodes may be as large as the body.
            if len(found) > MAX_ITEMS:
                raise ValueError(_TOO_MANY)
        return found

    def names(self, segment: Segment, node: Any) -> Iterable[Any]:
        return [node[name] for name in segment.value if name in node] if type(node) is dict else ()

    def indexes(self, segment: Segment, node: Any) -> Iterable[Any]:
        if type(node) is not list:
            return ()
        return [node[index] for index in segment.value if -len(node) <= index < len(node)]

    def every(self, segment: Segment, node: Any) -> Iterable[Any]:
        return node.values() if type(node) is dict else node if type(node) is list else ()

    def slice(self, segment: Segment, node: Any) -> Iterable[Any]:
        start, stop, step = segment.value
        # RFC 9535 2.3.4.2.2: a step of 0 takes nothing; Python refuses it.
        return node[start:stop:step] if type(node) is list and step != 0 else ()

    def condition(self, segment: Segment, node: Any) -> Iterable[Any]:
        children = list(self.every(segment, node))
        self.look(len(children) * _CONDITION_LOOKS)
        root = DatumInContext(self.root)
        found: list[Any] = []
        for start in range(0, len(children), _CHUNK):
            # Its parent is the body, for a `$` inside of the condition.
            chunk = DatumInContext(children[start : start + _CHUNK], context=root)
            found.extend(match.value for match in segment.value.find(chunk))
        return found
