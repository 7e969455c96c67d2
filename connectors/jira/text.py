"""Texts as Jira takes them: the document format of version 3, the wiki markup of version 2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from relay.errors import PermanentError

SUMMARY_CHARACTERS = 255
TEXT_CHARACTERS = 32_767

#: Neither XML nor Jira's database holds these.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: What starts a macro, a link or a mention, and an image.
_WIKI = re.compile(r"[\\{}\[\]!]")


def _size(text: str) -> int:
    """Jira counts as Java does: a character beyond the first 65,536 is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def one_line_summary(text: str) -> str:
    """Jira refuses a summary with a line break."""
    summary = " ".join(_UNSHOWABLE.sub("\ufffd", text).split())
    if not summary:
        raise PermanentError("the summary is empty", cause="empty summary")
    if (size := _size(summary)) > SUMMARY_CHARACTERS:
        raise PermanentError(
            f"the summary has {size} characters and may have {SUMMARY_CHARACTERS}: use `| truncate(255)`",
            cause="summary too long",
        )
    return summary


def long_text(value: str | Mapping[str, Any], version: int, what: str, *, wiki: bool) -> str | Mapping[str, Any]:
    """A description or a comment as this version of the API takes it. Raises PermanentError where it can't be."""
    if isinstance(value, str):
        plain = _UNSHOWABLE.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n"))
        sent: str | Mapping[str, Any] = document(plain) if version == 3 else plain if wiki else wiki_text(plain)
        size = _size(sent) if isinstance(sent, str) else _size(plain)
        if version == 3 and wiki:
            raise PermanentError("`wiki` goes with `api_version: 2`; version 3 takes a document", cause="jira markup")
    else:
        _is_document(value, version, what)
        sent, size = value, sum(map(_size, _texts(value)))
    if not size:
        raise PermanentError(f"the {what} is empty", cause=f"empty {what}")
    if size > TEXT_CHARACTERS:
        raise PermanentError(
            f"the {what} has {size} characters and may have {TEXT_CHARACTERS}: use `| truncate(32000)`",
            cause=f"{what} too long",
        )
    return sent


def document(text: str) -> dict[str, Any]:
    """Plain text as a document: an empty line parts paragraphs, and nothing in it is markup.

    https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
    """
    paragraphs = [part.strip("\n") for part in re.split(r"\n{2,}", text)]
    content = [{"type": "paragraph", "content": list(_lines(part))} for part in paragraphs if part]
    return {"type": "doc", "version": 1, "content": content}


def _lines(paragraph: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(paragraph.split("\n")):
        if number:
            yield {"type": "hardBreak"}
        if line:  # a text of no characters is refused
            yield {"type": "text", "text": line}


def wiki_text(text: str) -> str:
    """Plain text for a field with wiki markup: no macro, link, mention or image comes of it.

    Bold and the like are left: a field may also show its text as it is, and then each escape is seen. A backslash is an
    entity, since two of them are a line break and the character after them would be bare.
    """
    return _WIKI.sub(lambda found: "&#92;" if found[0] == "\\" else f"\\{found[0]}", text)


def _is_document(value: Mapping[str, Any], version: int, what: str) -> None:
    if version == 2:
        raise PermanentError(
            f"the {what} is a mapping, and version 2 of the API takes text: write text, or set api_version: 3",
            cause="jira document",
        )
    if value.get("type") != "doc" or value.get("version") != 1 or not isinstance(value.get("content"), list):
        raise PermanentError(
            f"the {what} is a mapping and no Atlassian document: {{type: doc, version: 1, content: […]}}",
            cause="jira document",
        )


def _texts(node: Any) -> Iterator[str]:
    """Every text of a document. An explicit stack: a hostile event may nest deeper than Python's own."""
    rest = [node]
    while rest:
        one = rest.pop()
        if isinstance(one, Mapping):
            if isinstance(one.get("text"), str):
                yield one["text"]
            elif one.get("type") in ("mention", "emoji", "inlineCard", "media", "rule", "date", "status"):
                yield " "
            rest.append(one.get("content"))
        elif isinstance(one, list):
            rest.extend(one)
