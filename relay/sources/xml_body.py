"""XML as nested values, under the name of its root element.

- An element with text alone is that text, as it stands; an empty one is "".
- Attributes are "@name", and the text of an element that also has attributes or children is "#text", without the
  white space around it; no "#text" where that leaves nothing.
- Elements of one name beside each other are a list. One that is alone is not: `$..line` or `foreach` take both.
- Namespaces are left out: `<soap:Body>` is "Body", and `xmlns` is no attribute.
- A document type, an entity of its own and anything outside of the document are refused.
"""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from relay.errors import BodyError
from relay.sources.charset import is_utf8, to_text

#: Attributes count as elements.
MAX_ELEMENTS = 200_000
MAX_DEPTH = 100

#: The parser is told of a tag as a whole, when all of it has come; so one of many attributes has to be seen before.
_STEP = 65_536
_LONG_TAG = 1_000_000
_MAX_ATTRIBUTES = 20_000

_DECLARED = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"'>]{0,100})["']""")


def decode_xml(body: bytes, charset: str = "") -> dict[str, Any]:
    """Raises BodyError with line and column. A charset of the content type goes before the document's own."""
    builder = _Builder()
    charset = charset or _declared(body)
    document: bytes | str = body if is_utf8(charset) else to_text(body, charset)
    try:
        parser = DefusedXMLParser(target=builder, forbid_dtd=True)
        _feed(parser, document, builder)
        return _root(parser.close())
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise BodyError(f"the body isn't XML: {reason} at line {line}, column {column + 1}") from None
    except DefusedXmlException:
        raise BodyError("the body's XML has a document type or an entity of its own, which is refused") from None
    except (LookupError, ValueError) as error:
        raise BodyError(f"the body isn't XML: {error}") from None


def _declared(body: bytes) -> str:
    """What the document says of itself. The parser knows few charsets, and would take the name of any codec for one."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in body[:4]:
        return "utf-16-be" if body[:1] == b"\0" else "utf-16-le"
    match = _DECLARED.match(body)
    return match[1].decode("latin-1") if match else ""


def _feed(parser: DefusedXMLParser, document: bytes | str, builder: _Builder) -> None:
    sign = b"=" if isinstance(document, bytes) else "="
    fed = heard_at = heard = 0
    while fed < len(document):
        # Longer steps within a long tag: each makes the parser look through all of it again.
        unheard = fed - heard_at
        if unheard > _LONG_TAG and document.count(sign, heard_at, fed) > _MAX_ATTRIBUTES:  # type: ignore[arg-type]
            raise BodyError(f"a tag of the body's XML has more than {_MAX_ATTRIBUTES} attributes")
        step = max(_STEP, unheard // 4)
        parser.feed(document[fed : fed + step])
        # Newer parsers put off what they can't finish yet; what they haven't told would count as one long tag.
        getattr(parser, "flush", _nothing)()
        fed += step
        if builder.heard != heard:
            heard, heard_at = builder.heard, fed


def _nothing() -> None:
    """Older parsers put nothing off."""


def _root(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BodyError("the body isn't XML: it has no element")
    return value


class _Element:
    __slots__ = ("inner", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.inner: dict[str, Any] = {}
        self.text: list[str] = []

    def add(self, name: str, value: Any) -> None:
        found = self.inner.get(name)
        if found is None:
            self.inner[name] = value
        elif isinstance(found, list):
            found.append(value)
        else:
            self.inner[name] = [found, value]

    def value(self) -> Any:
        text = "".join(self.text)
        if not self.inner:
            return text
        text = text.strip()
        return {**self.inner, "#text": text} if text else self.inner


class _Builder:
    """The parser's target: makes the values while it reads, so that nothing grows that isn't bounded."""

    def __init__(self) -> None:
        self._open = [_Element("")]
        self._count = 0
        self.heard = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.heard += 1
        self._count += 1 + len(attributes)
        if self._count > MAX_ELEMENTS:
            raise BodyError(f"the body's XML has more than {MAX_ELEMENTS} elements and attributes")
        if len(self._open) > MAX_DEPTH:
            raise BodyError(f"the body's XML is nested deeper than {MAX_DEPTH} levels")
        element = _Element(_local(tag))
        for name, value in attributes.items():
            element.add("@" + _local(name), value)
        self._open.append(element)

    def end(self, _tag: str) -> None:
        self.heard += 1
        element = self._open.pop()
        self._open[-1].add(element.name, element.value())

    def data(self, text: str) -> None:
        self.heard += 1
        self._open[-1].text.append(text)

    def close(self) -> dict[str, Any]:
        return self._open[0].inner


def _local(name: str) -> str:
    """`{http://…}Body` as `Body`."""
    return name.rpartition("}")[2]
