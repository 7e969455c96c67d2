"""The text of HTML, read once from front to back: Python's own parser takes hours over what is never closed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_BREAKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})
_HIDDEN = frozenset({"script", "style"})

_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*)")
#: To the end of a tag, past quoted values that hold a `>`. The plus signs forbid to go back, which keeps it linear.
_REST = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|))*+>""")
_CLOSED = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in _HIDDEN}

#: No character has such a number; Python refuses to read one of more than 4,300 digits.
_NO_CHARACTER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{7,});?")


def text_of_html(text: str) -> str:
    """Without tags, comments, scripts and styles; a block is a line. What is never closed is no tag: it stays text."""
    if "<" not in text:
        return _unescaped(text).strip()
    lines = (" ".join(line.split()) for line in _unescaped("".join(_pieces(text))).split("\n"))
    return "\n".join(line for line in lines if line)


def _unescaped(text: str) -> str:
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text)) if "&" in text else text


def _pieces(text: str) -> Iterator[str]:
    position = 0
    while (start := text.find("<", position)) >= 0:
        yield text[position:start]
        tag = _TAG.match(text, start)
        if tag is None:
            end = _end_of_other(text, start)
            if end == start + 1:
                yield "<"
        else:
            rest = _REST.match(text, tag.end())
            end = rest.end() if rest else -1
        if end < 0:
            yield text[start:]
            return
        position = end
        name = tag[1].lower() if tag else ""
        if name in _BREAKS:
            yield "\n"
        elif name in _HIDDEN and text[start + 1] != "/":
            closed = _CLOSED[name].search(text, position)
            if closed is None:
                return
            position = closed.start()
    yield text[position:]


def _end_of_other(text: str, start: int) -> int:
    """The offset after a comment, a declaration, or a `<` that is one; -1 where a comment is never closed."""
    if text.startswith("<!--", start):
        return _after("-->", text, start + 4)
    if text.startswith(("<!", "<?", "</"), start):
        return _after(">", text, start + 2)
    return start + 1


def _after(sign: str, text: str, position: int) -> int:
    found = text.find(sign, position)
    return found + len(sign) if found >= 0 else -1
