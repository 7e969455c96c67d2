"""A plain text made of an HTML mail, for readers that show no HTML and filters that distrust mail without a text.

By one scan, not by `html.parser`: events bring the HTML, and on some releases of Python 3.11 200 KB of `<!--` keep that
parser busy for half a minute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

#: A line of their own; and those with an empty line around them.
_APART = frozenset(("blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"))
_BLOCKS = _APART | frozenset(
    ("address", "article", "br", "dd", "div", "dt", "footer", "form", "header", "hr", "li", "main", "section", "tr")
)
_UNSEEN = frozenset(("script", "style", "title", "template"))
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)([^<>]*+)>")
_ATTRIBUTE = re.compile(r"""\b(href|alt)=("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_MAX_ATTRIBUTES = 4000


def text_of(html: str) -> str:
    """What a person reads of it, links with their address behind them."""
    lines = [" ".join(line.split()) for line in "".join(_pieces(_without_comments(html))).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _without_comments(html: str) -> str:
    kept, at = [], 0
    while (start := html.find("<!--", at)) >= 0:
        kept.append(html[at:start])
        end = html.find("-->", start + 4)
        if end < 0:
            return "".join(kept)
        at = end + 3
    kept.append(html[at:])
    return "".join(kept)


def _pieces(html: str) -> Iterator[str]:
    at, unseen, link, linked = 0, "", "", ""
    for tag in _TAG.finditer(html):
        closing, name = bool(tag[1]), tag[2].lower()
        words = "" if unseen else _words(html[at : tag.start()])
        at = tag.end()
        linked += words if link else ""
        yield words
        if unseen:
            unseen = "" if closing and name == unseen else unseen
        elif name in _UNSEEN:
            unseen = "" if closing else name
        elif name in _BLOCKS:
            yield "\n\n" if name in _APART else "\n"
            yield "- " if name == "li" and not closing else ""
        elif name in ("td", "th"):
            yield " "
        elif name == "img":
            yield _attribute(tag[3], "alt")
        elif name == "a":
            if link and linked.strip() != link:
                yield f" ({link})"
            target = "" if closing else _attribute(tag[3], "href")
            link, linked = (target, "") if target.startswith(("http://", "https://")) else ("", "")
    if not unseen:
        yield _words(html[at:])


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", unescape(text))


def _attribute(attributes: str, wanted: str) -> str:
    for found in _ATTRIBUTE.finditer(attributes[:_MAX_ATTRIBUTES]):
        if found[1].lower() == wanted:
            return _words(found[2].strip("\"'"))
    return ""
