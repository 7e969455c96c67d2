"""Text that was probably meant otherwise: it works as written, and a warning says how it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from relay.errors import Place
from relay.recipes.render import is_expression
from relay.recipes.tokens import expression_end
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence

_PATH = re.compile(r"(?<!\$)\$(?:\.([^\W\d]\w*)|([^\W\d]\w*))")


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
                    if found[1] or found[2] in names:
                        message = f"`{found[0]}` is sent as it stands; to put the value in, write {{{{ {found[0]} }}}}"
                        yield node.at(start + found.start()), message
        case _:
            return


def _outside_braces(text: str) -> Iterator[tuple[int, str]]:
    position = 0
    while (start := text.find("{{", position)) >= 0 and (end := expression_end(text, start + 2)) >= 0:
        yield position, text[position:start]
        position = end + 2
    yield position, text[position:]
