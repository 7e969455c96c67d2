"""What Notion takes in one request: https://developers.notion.com/reference/request-limits.

Notion counts characters as JavaScript does, in UTF-16 units (its pages don't say so: the stricter reading is kept to).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.common.encode import to_json
from relay.errors import PermanentError

_TEXT = 2000
_LONGEST = {"url": 2000, "email": 200, "phone_number": 200, "expression": 1000, "content": _TEXT}
_MOST = dict.fromkeys(("title", "rich_text", "caption", "multi_select", "relation", "people", "children"), 100)
_BLOCKS = 1000
_BYTES = 500_000


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def rich_text(text: str) -> list[dict[str, Any]]:
    """A text as Notion's rich text, in pieces that it takes; an empty one is an empty list."""
    return [{"type": "text", "text": {"content": piece}} for piece in _pieces(text)]


def _pieces(text: str) -> Iterator[str]:
    start = units = 0
    for at, character in enumerate(text):
        width = 2 if character > "\uffff" else 1
        if units + width > _TEXT:
            yield text[start:at]
            start, units = at, 0
        units += width
    if text[start:]:
        yield text[start:]


def check(body: Mapping[str, Any]) -> None:
    """Raises PermanentError that names the place where a request goes beyond what Notion takes."""
    if len(to_json(body)) > _BYTES:
        raise PermanentError("the page is larger than 500 KB, which Notion doesn't take", cause="notion limit")
    blocks = _walk(body, "")
    if blocks > _BLOCKS:
        raise PermanentError(f"the page has {blocks} blocks and may have {_BLOCKS}", cause="notion limit")


def _walk(node: Any, place: str) -> int:
    """How many blocks are in it."""
    if isinstance(node, (list, tuple)):
        return sum(_walk(one, f"{place}[{number}]") for number, one in enumerate(node))
    if not isinstance(node, Mapping):
        return 0
    blocks = 0
    for key, value in node.items():
        inner = f"{place}.{key}" if place else str(key)
        if isinstance(value, str) and key in _LONGEST and _units(value) > _LONGEST[key]:
            raise _beyond(inner, _units(value), "characters", _LONGEST[key])
        if isinstance(value, (list, tuple)) and key in _MOST and len(value) > _MOST[key]:
            raise _beyond(inner, len(value), "elements", _MOST[key])
        blocks += _walk(value, inner) + (len(value) if key == "children" and isinstance(value, (list, tuple)) else 0)
    return blocks


def _beyond(place: str, found: int, what: str, most: int) -> PermanentError:
    remedy = f"; use `| truncate({most})`" if what == "characters" else ""
    return PermanentError(f"{place} has {found} {what} and Notion takes {most}{remedy}", cause="notion limit")
