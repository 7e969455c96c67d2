"""Text that was probably meant otherwise: it works as written, and a warning says how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from relay.errors import Place
from relay.recipes.render import is_expression
from relay.recipes.tokens import expression_end
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence

_PATH = re.compile(r"(?<!\$)\$(?:\.([^\W\d]\w*)|([^\W\d]\w*)|\{([A-Za-z_]\w*|file:[^{}]*)\})")

_LOOKUP = re.compile(r"""\blookup\s*\(\s*(?:\\?["']+([^"'\\]*)\\?["'])?""")

#: A comment has a space behind its sign; what has none was mostly meant as text, such as a channel or a number.
_SWALLOWED = re.compile(r"[ \t]+(#[^\s#=\-].*)$")


def stray_paths(node: Node, names: Collection[str]) -> Iterator[tuple[Place, str]]:
    """`$name` and `$.path` in the midst of text, where they are only text.

    names  those that are known; a `$word` that isn't one of them is left in peace
    """
    match node:
        case Mapping():
            for value in node.values.values():
                yield from stray_paths(value, names)
        case Sequence():
            for item in node.items:
                yield from stray_paths(item, names)
        case Scalar() if isinstance(node.value, str) and not is_expression(node.text):
            for start, piece in _outside_braces(node.text):
                for found in _PATH.finditer(piece):
                    message = ""
                    if found[3]:
                        message = (
                            f"`{found[0]}` is filled in in relay.yaml alone, and sent as it stands here: "
                            "a secret stands at the connection"
                        )
                    elif found[1] or found[2] in names:
                        message = f"`{found[0]}` is sent as it stands; to put the value in, write {{{{ {found[0]} }}}}"
                    if message:
                        yield node.at(start + found.start()), message
        case _:
            return


def swallowed(root: Node, text: str) -> Iterator[tuple[Place, str]]:
    """Values that lose their end, or all, to a comment: `channel: #general` is empty.

    text  the file that the tree was read from
    """
    if " #" not in text:
        return
    lines = text.splitlines()
    for node in _scalars(root):
        line = lines[node.place.line - 1] if node.place.line <= len(lines) else ""
        if node.raw[:1] in ("'", '"', "|", ">") or "\n" in node.raw:
            continue
        after = node.place.column - 1 + len(node.raw)
        # An empty value stands right behind its colon, or wherever the next thing begins.
        found = _SWALLOWED.match(line, after) if node.raw or line[after - 1 : after] == ":" else None
        if found:
            place = Place(node.place.file, node.place.line, found.start(1) + 1)
            yield place, f"`{found[1][:40]}` is a comment in YAML: put the whole value in quotes if it belongs to it"


def unused_tables(tables: Node | None, text: str) -> Iterator[tuple[Place, str]]:
    """A recipe's own tables that nothing looks up."""
    read = looked_up([text])
    if isinstance(tables, Mapping) and read is not None:
        for name, key, _ in tables.items():
            if name not in read:
                yield key.place, f"nothing looks up the table `{name}`"


def looked_up(texts: Iterable[str]) -> set[str] | None:
    """The tables that recipes name in `lookup("…")`; None where one says by a value which table it is."""
    found = set()
    for text in texts:
        for match in _LOOKUP.finditer(text):
            if match[1] is None:
                return None
            found.add(match[1])
    return found


def _scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Mapping():
            for value in node.values.values():
                yield from _scalars(value)
        case Sequence():
            for item in node.items:
                yield from _scalars(item)


def _outside_braces(text: str) -> Iterator[tuple[int, str]]:
    position = 0
    while (start := text.find("{{", position)) >= 0 and (end := expression_end(text, start + 2)) >= 0:
        yield position, text[position:start]
        position = end + 2
    yield position, text[position:]
