"""Decode a reply by its content type, so that `save` can pick from it. Never fails: what can't be decoded is text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import ParseError

import orjson
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from relay.model import JSON

#: orjson turns integers beyond 64 bits into floats; json keeps them exact.
_LONG_NUMBER = re.compile(rb"\d{19}")
_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)


def decode(body: bytes, content_type: str) -> JSON:
    """JSON, form and XML as data, everything else as text, nothing as None."""
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    try:
        return _decoder(kind)(body)
    except (ValueError, ParseError, DefusedXmlException, RecursionError):
        return _text(body, content_type)


def _decoder(kind: str) -> Callable[[bytes], JSON]:
    if kind == "application/json" or kind.endswith("+json"):
        return from_json
    if kind == "application/x-www-form-urlencoded":
        return _from_form
    if kind in ("application/xml", "text/xml") or kind.endswith("+xml"):
        return from_xml
    return _not_data


def _not_data(_: bytes) -> JSON:
    raise ValueError("text")


def _text(body: bytes, content_type: str) -> str:
    charset = _CHARSET.search(content_type)
    try:
        return body.decode(charset[1] if charset else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def from_json(body: bytes) -> JSON:
    """Big integers exact."""
    data: JSON = json.loads(body) if _LONG_NUMBER.search(body) else orjson.loads(body)
    return data


def _from_form(body: bytes) -> JSON:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        if name in found:
            earlier = found[name]
            found[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[name] = value
    return found


def from_xml(body: bytes) -> JSON:
    """`{root: {"@attribute": …, "#text": …, child: …}}`; repeated children are a list; entities are refused."""
    root = fromstring(body, forbid_dtd=True)
    return {_name(root.tag): _element(root)}


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _element(element: Any) -> JSON:
    content: dict[str, Any] = {f"@{_name(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = _name(child.tag), _element(child)
        if name not in content:
            content[name] = value
        elif isinstance(content[name], list):
            content[name].append(value)
        else:
            content[name] = [content[name], value]
    if not content:
        return element.text or ""
    text = (element.text or "").strip()
    if text:
        content["#text"] = text
    return content
