"""XML as nested values, under the name of its root element.

- An element with text alone is that text, as it stands; an empty one is "".
- Attributes are "@name", and the text of an element that also has attributes or children is "#text", without the
  white space around it; no "#text" where that leaves nothing.
- Elements of one name beside each other are a list. One that is alone is not: `$..line` or `foreach` take both.
- Namespaces are left out: `<soap:Body>` is "Body", and `xmlns` is no attribute.
- A document type, an entity of its own and anything outside of the document are refused.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from relay.errors import BodyError
from relay.sources.charset import to_text

MAX_ELEMENTS = 200_000
MAX_DEPTH = 100


def decode_xml(body: bytes, charset: str = "") -> dict[str, Any]:
    """Raises BodyError with line and column. A charset of the content type goes before the document's own."""
    builder = _Builder()
    document: bytes | str = to_text(body, charset) if charset else body
    try:
        parser = DefusedXMLParser(target=builder, forbid_dtd=True)
        parser.feed(document)
        return _root(parser.close())
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise BodyError(f"the body isn't XML: {reason} at line {line}, column {column + 1}") from None
    except DefusedXmlException:
        raise BodyError("the body's XML has a document type or an entity of its own, which is refused") from None
    except (LookupError, ValueError) as error:
        raise BodyError(f"the body isn't XML: {error}") from None


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

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise BodyError(f"the body's XML has more than {MAX_ELEMENTS} elements")
        if len(self._open) > MAX_DEPTH:
            raise BodyError(f"the body's XML is nested deeper than {MAX_DEPTH} levels")
        element = _Element(_local(tag))
        for name, value in attributes.items():
            element.add("@" + _local(name), value)
        self._open.append(element)

    def end(self, _tag: str) -> None:
        element = self._open.pop()
        self._open[-1].add(element.name, element.value())

    def data(self, text: str) -> None:
        self._open[-1].text.append(text)

    def close(self) -> dict[str, Any]:
        return self._open[0].inner


def _local(name: str) -> str:
    """`{http://…}Body` as `Body`."""
    return name.rpartition("}")[2]
