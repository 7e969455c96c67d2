"""An XML document as text: laid out anew, or with its values replaced, and all else as it was written."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape, quoteattr

_TOKEN = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<", re.DOTALL)
_ATTRIBUTE = re.compile(r"""([^\s=<>/"']+)(\s*=\s*)("[^"]*"|'[^']*')""")
_NAME = re.compile(r"</?([^\s/>]+)")
_DECLARED = re.compile(r"""^\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)["']""")

Path = tuple[str, ...]


def declared_encoding(start: bytes) -> str:
    """The encoding that the document names in its first line; "" for none."""
    found = _DECLARED.match(start[:200].decode("latin-1"))
    return found[1] if found else ""


def as_utf8(text: str) -> str:
    """The same, with a first line that is right once the text is written as UTF-8."""
    return _DECLARED.sub(lambda found: found[0].replace(found[1], "utf-8"), text)


def laid_out(text: str) -> str:
    """One element a line, indented, where nothing but white space stands between. Whether the values are the same has
    to be looked at afterwards: an element that holds text and elements has none that is white space alone."""
    lines: list[str] = []
    depth = 0
    tokens = [token for token in _TOKEN.findall(text) if token.strip()]
    position = 0
    while position < len(tokens):
        line = token = tokens[position].strip()
        if token.startswith("</"):
            depth -= 1
        elif _opens(token):
            # What an element holds stays in its line as long as it is no element.
            end = position + 1
            while end < len(tokens) and not _opens(tokens[end]) and not tokens[end].startswith("</"):
                end += 1
            if end < len(tokens) and tokens[end].startswith("</"):
                line = "".join([token, *tokens[position + 1 : end + 1]])
                position = end
        lines.append("  " * max(depth, 0) + line)
        if line is token and _opens(token):
            depth += 1
        position += 1
    return "\n".join(lines) + "\n"


def _opens(token: str) -> bool:
    return token[:1] == "<" and token[1:2] not in ("/", "!", "?") and not token.endswith("/>") and len(token) > 2


def replaced(text: str, value: Callable[[Path, str], str]) -> str:
    """Every text and attribute replaced by what `value` gives for its path and its own value. Comments are left out:
    nobody knows what stands in one.

    path  the local names of the elements, and "@name" for an attribute
    """
    return "".join(_replaced(text, value))


def _replaced(text: str, value: Callable[[Path, str], str]) -> Iterator[str]:
    names: list[str] = []
    for token in _TOKEN.findall(text):
        if token.startswith("<!--"):
            continue
        if token.startswith("<![CDATA["):
            yield escape(value(tuple(names), token[9:-3]))
        elif token.startswith(("<?", "<!")) or token == "<":  # noqa: S105
            yield token
        elif token.startswith("</"):
            if names:
                names.pop()
            yield token
        elif token.startswith("<"):
            found = _NAME.match(token)
            names.append(_local(found[1]) if found else "")
            path = tuple(names)
            yield _ATTRIBUTE.sub(lambda one, path=path: _attribute(one, path, value), token)  # type: ignore[misc]
            if token.endswith("/>"):
                names.pop()
        elif token.strip():
            core = token.strip()
            start = token.index(core)
            yield token[:start] + escape(value(tuple(names), html.unescape(core))) + token[start + len(core) :]
        else:
            yield token


def _attribute(found: re.Match[str], path: Path, value: Callable[[Path, str], str]) -> str:
    name = found[1]
    if name == "xmlns" or name.startswith("xmlns:"):
        return found[0]
    made = value((*path, f"@{_local(name)}"), html.unescape(found[3][1:-1]))
    return f"{name}{found[2]}{quoteattr(made)}"


def _local(name: str) -> str:
    return name.rpartition(":")[2]
