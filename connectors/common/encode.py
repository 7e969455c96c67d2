"""Turn a step's values into the bytes of a body: JSON, a form, XML. Shared by the connectors that come with Relay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus
from xml.sax.saxutils import escape, quoteattr

import orjson

from relay.errors import PermanentError

_XML_NAME = re.compile(r"[A-Za-z_\u00c0-\ufffd][\w.\u00b7-]*(:[A-Za-z_\u00c0-\ufffd][\w.\u00b7-]*)?")
#: What XML 1.0 can't hold, not even as a character reference.
_XML_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ORJSON = orjson.OPT_NON_STR_KEYS


def to_json(value: Any) -> bytes:
    """Compact JSON; integers of any size stay exact."""
    try:
        return orjson.dumps(value, option=_ORJSON)
    except (TypeError, ValueError):
        # Integers beyond 64 bits and lone surrogates, which orjson refuses.
        try:
            return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise PermanentError(f"this can't be written as JSON: {error}", cause="not json") from None


def to_text(value: Any) -> str:
    """One value in a cell, a form field or an element: numbers as JSON writes them, true and false, nothing as ''."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Mapping, list, tuple)):
        return to_json(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def query_pairs(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A mapping as name and value pairs: lists repeat the name, nested mappings take brackets, null is left out."""
    for name, value in fields.items():
        yield from _pairs(str(name), value)


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _pairs(name, inner)
    else:
        yield name, to_text(value)


def to_form(fields: Mapping[str, Any]) -> bytes:
    """`application/x-www-form-urlencoded`, in UTF-8."""
    return urlencoded(fields).encode("ascii")


def urlencoded(fields: Mapping[str, Any]) -> str:
    try:
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in query_pairs(fields))
    except UnicodeEncodeError:
        raise PermanentError("a value holds half a character, which can't be sent", cause="not unicode") from None


def to_xml(document: Any, root: str | None = None) -> bytes:
    """`{root: {"@attribute": …, "#text": …, child: …}}` as XML 1.0 in UTF-8; lists repeat the element.

    Where `root` is given, the document is what is inside it.
    """
    if root is not None:
        document = {root: document}
    if not isinstance(document, Mapping) or len(document) != 1:
        found = f"{len(document)} of them" if isinstance(document, Mapping) else "no mapping"
        raise _not_xml(f"an XML document has one root element; this has {found}")
    ((name, content),) = document.items()
    if isinstance(content, (list, tuple)):
        raise _not_xml(f"the root element {name} can't be repeated; put the list inside it")
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_element(str(name), content))).encode()


def _element(name: str, content: Any) -> Iterator[str]:
    if not _XML_NAME.fullmatch(name):
        raise _not_xml(f"{name!r} can't be the name of an XML element")
    if isinstance(content, (list, tuple)):
        for one in content:
            yield from _element(name, one)
        return
    if not isinstance(content, Mapping):
        text = _characters(to_text(content), name)
        yield f"<{name}>{_escaped(text)}</{name}>" if text else f"<{name}/>"
        return
    yield f"<{name}"
    inside: list[str] = []
    for key, value in content.items():
        if str(key).startswith("@"):
            yield f" {_attribute(str(key)[1:], value)}"
        elif key == "#text":
            inside.append(_escaped(_characters(to_text(value), name)))
        else:
            inside.extend(_element(str(key), value))
    text = "".join(inside)
    yield f">{text}</{name}>" if text else "/>"


def _escaped(text: str) -> str:
    # A bare carriage return would be read back as a line feed.
    return escape(text, {"\r": "&#13;"})


def _attribute(name: str, value: Any) -> str:
    if not _XML_NAME.fullmatch(name):
        raise _not_xml(f"{name!r} can't be the name of an XML attribute")
    if isinstance(value, (Mapping, list, tuple)):
        raise _not_xml(f"the attribute {name} must be one value")
    # quoteattr turns line breaks into references, which is what keeps them over a parser's normalisation.
    return f"{name}={quoteattr(_characters(to_text(value), name))}"


def _characters(text: str, where: str) -> str:
    bad = _XML_FORBIDDEN.search(text)
    if bad:
        raise _not_xml(f"{where} holds the character U+{ord(bad[0]):04X}, which XML can't")
    return text


def _not_xml(message: str) -> PermanentError:
    return PermanentError(message, cause="not xml")
