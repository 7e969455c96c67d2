"""Slack's published limits of blocks, checked before anything is sent: Slack names no place in what it refuses.

https://docs.slack.dev/reference/block-kit/blocks. A block of a type that isn't listed here is sent as it is: new ones
come every few months.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.errors import PermanentError

MAX_TEXT = 40_000
MAX_BLOCKS = 50
MAX_ATTACHMENTS = 100
_MAX_BLOCK_ID = 255
_MAX_MARKDOWN = 12_000


@dataclass(frozen=True, slots=True)
class _Text:
    """A text object, or a bare text where `bare`. kinds: which types of text object may stand there."""

    most: int
    kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
    required: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True)
class _Items:
    most: int
    least: int = 1
    required: bool = False
    each: _Text | None = None


_PLAIN = ("plain_text",)

_BLOCKS: Mapping[str, Mapping[str, _Text | _Items]] = {
    "section": {"text": _Text(3000), "fields": _Items(10, each=_Text(2000))},
    "header": {"text": _Text(150, _PLAIN, required=True)},
    "context": {"elements": _Items(10, required=True)},
    "actions": {"elements": _Items(25, required=True)},
    "image": {
        "image_url": _Text(3000, bare=True),
        "alt_text": _Text(2000, bare=True, required=True),
        "title": _Text(2000, _PLAIN),
    },
    "markdown": {"text": _Text(_MAX_MARKDOWN, bare=True, required=True)},
    "rich_text": {"elements": _Items(10_000, least=0, required=True)},
    "divider": {},
}

_ELEMENTS: Mapping[str, Mapping[str, _Text | _Items]] = {
    "button": {
        "text": _Text(75, _PLAIN, required=True),
        "url": _Text(3000, bare=True),
        "value": _Text(2000, bare=True),
        "action_id": _Text(255, bare=True),
    },
    "image": {"image_url": _Text(3000, bare=True), "alt_text": _Text(2000, bare=True, required=True)},
}


def check_message(text: str, blocks: Sequence[Any], attachments: Sequence[Any]) -> None:
    """Raises PermanentError that names the first place that Slack would refuse, without what stands there."""
    wrong = next(_wrong(text, blocks, attachments), "")
    if wrong:
        raise PermanentError(f"Slack wouldn't take this message: {wrong}", cause="slack message refused")


def _wrong(text: str, blocks: Sequence[Any], attachments: Sequence[Any]) -> Iterator[str]:
    if not text.strip() and not blocks and not attachments:
        yield "it is empty; give it text, plain, blocks or attachments"
    if len(text) > MAX_TEXT:
        yield f"the text has {len(text)} characters, {MAX_TEXT} are the most; cut it with `| truncate`"
    if len(attachments) > MAX_ATTACHMENTS:
        yield f"attachments has {len(attachments)} items, {MAX_ATTACHMENTS} are the most"
    yield from _blocks(blocks, "blocks")
    for n, attachment in enumerate(attachments):
        if not isinstance(attachment, Mapping):
            yield f"attachments[{n}] is no mapping"
        elif isinstance(attachment.get("blocks"), list):
            yield from _blocks(attachment["blocks"], f"attachments[{n}].blocks")


def _blocks(blocks: Sequence[Any], where: str) -> Iterator[str]:
    if len(blocks) > MAX_BLOCKS:
        yield f"{where} has {len(blocks)} items, {MAX_BLOCKS} are the most"
    ids = set()
    markdown = 0
    for n, block in enumerate(blocks):
        place = f"{where}[{n}]"
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            yield f"{place} is no block: a block is a mapping with a type"
            continue
        identity = block.get("block_id")
        if identity is not None:
            if not isinstance(identity, str) or len(identity) > _MAX_BLOCK_ID:
                yield f"{place}.block_id is no text of at most {_MAX_BLOCK_ID} characters"
            elif identity in ids:
                yield f"{place}.block_id is another block's too"
            ids.add(str(identity))
        yield from _one(block, place)
        if block["type"] == "markdown":
            markdown += len(str(block.get("text")))
    if markdown > _MAX_MARKDOWN:
        yield f"the markdown blocks have {markdown} characters together, {_MAX_MARKDOWN} are the most"


def _one(block: Mapping[str, Any], place: str) -> Iterator[str]:
    kind = block["type"]
    yield from _parts(block, _BLOCKS.get(kind, {}), place)
    if kind == "section":
        if block.get("text") is None and block.get("fields") is None:
            yield f"{place} needs text or fields"
        if isinstance(block.get("accessory"), Mapping):
            yield from _element(block["accessory"], f"{place}.accessory")
    elif kind == "image" and (block.get("image_url") is None) == (block.get("slack_file") is None):
        yield f"{place} needs one of image_url and slack_file"
    elif kind in ("actions", "context") and isinstance(block.get("elements"), (list, tuple)):
        for n, element in enumerate(block["elements"]):
            if not isinstance(element, Mapping):
                yield f"{place}.elements[{n}] is no mapping"
            elif kind == "context" and element.get("type") in ("plain_text", "mrkdwn"):
                yield from _text(element, _Text(3000), f"{place}.elements[{n}]")
            else:
                yield from _element(element, f"{place}.elements[{n}]")


def _element(element: Mapping[str, Any], place: str) -> Iterator[str]:
    yield from _parts(element, _ELEMENTS.get(str(element.get("type")), {}), place)


def _parts(of: Mapping[str, Any], rules: Mapping[str, _Text | _Items], place: str) -> Iterator[str]:
    for name, rule in rules.items():
        value = of.get(name)
        if value is None:
            if rule.required:
                yield f"{place} needs {name}"
        elif isinstance(rule, _Text):
            yield from _text(value, rule, f"{place}.{name}")
        else:
            yield from _items(value, rule, f"{place}.{name}")


def _items(value: Any, rule: _Items, place: str) -> Iterator[str]:
    if not isinstance(value, (list, tuple)):
        yield f"{place} is no list"
        return
    if not rule.least <= len(value) <= rule.most:
        yield f"{place} has {len(value)} items, {rule.least} to {rule.most} can be"
    if rule.each is not None:
        for n, item in enumerate(value):
            yield from _text(item, rule.each, f"{place}[{n}]")


def _text(value: Any, rule: _Text, place: str) -> Iterator[str]:
    if rule.bare:
        text = value
    elif not isinstance(value, Mapping) or value.get("type") not in rule.kinds:
        yield f"{place} is no text: a text is {{type: {' or '.join(rule.kinds)}, text: …}}"
        return
    else:
        text, place = value.get("text"), f"{place}.text"
    if not isinstance(text, str):
        yield f"{place} is no text"
    elif not text:
        yield f"{place} is empty; leave the block out, or put a word there with `| default`"
    elif len(text) > rule.most:
        yield f"{place} has {len(text)} characters, {rule.most} are the most; cut it with `| truncate`"
