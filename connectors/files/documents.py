"""What a step says about a JSON Lines, JSON or XML file: shared by the file and the SFTP connector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.encode import to_json, to_xml
from connectors.files.encoding import bom_of, encodable, known_encoding
from relay.connector import Fields

#: What Python calls otherwise than XML parsers do.
_XML_NAMES = {
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
    "cp1254": "windows-1254",
    "latin-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "ascii": "us-ascii",
}


class JsonlFields(Fields):
    path: str = Field(description="The file, in the connection's folder.", examples=["events.jsonl"])
    record: Any = Field(None, description="One record: a line of JSON.")
    records: list[Any] | None = Field(None, description="Several records, a line each.")

    @model_validator(mode="after")
    def _records_in_one_way(self) -> JsonlFields:
        if ("record" in self.model_fields_set) == (self.records is not None):
            raise ValueError("say exactly one of `record` (one) and `records` (a list)")
        return self

    def lines(self) -> bytes:
        return b"".join(to_json(record) + b"\n" for record in self.all_records())

    def all_records(self) -> list[Any]:
        return self.records if self.records is not None else [self.record]


class JsonFields(Fields):
    path: str = Field(description="The file, in the connection's folder.", examples=["chats/{{ $event.id }}.json"])
    content: Any = Field(description="What the file holds.")

    def whole(self) -> bytes:
        return to_json(self.content) + b"\n"


class XmlFields(Fields):
    path: str = Field(description="The file, in the connection's folder.", examples=["chats/{{ $event.id }}.xml"])
    root: str | None = Field(None, description="Name of the root element, where `content` doesn't bring it.")
    content: dict[str, Any] = Field(
        description='What the file holds: `"@name"` is an attribute, `"#text"` the text, a list repeats its element.'
    )

    encoding: str = Field("utf-8", description="How characters become bytes; the document says it.")
    unencodable: Literal["xml", "fail", "replace", "transliterate"] = Field(
        "xml",
        description="What becomes of a character the encoding lacks: its number, as `&#350;`, which every parser turns "
        "back into it; a dead letter; ?; or its nearest letters.",
    )
    bom: bool = Field(False, description="Start the file with a byte order mark.")

    @field_validator("encoding")
    @classmethod
    def _is_a_text_encoding(cls, value: str) -> str:
        return known_encoding(value)

    @model_validator(mode="after")
    def _bom_only_for_unicode(self) -> XmlFields:
        bom_of(self.encoding, self.bom)
        return self

    def whole(self) -> bytes:
        content: Any = self.content
        if self.encoding.lower() not in ("utf-8", "utf8"):
            content = self._fitted(content, "the document")
        text = to_xml(content, self.root).decode()
        if self.encoding.lower() not in ("utf-8", "utf8"):
            encodable(self.root or "", self.encoding, "fail", "the root's name")
            # Little and big end are the mark's to say; the declaration names the family (XML 1.0, 4.3.3).
            family = re.sub(r"(?i)^(utf-(?:16|32))-[lb]e$", r"\1", self.encoding)
            text = text.replace('encoding="UTF-8"', f'encoding="{_XML_NAMES.get(family.lower(), family)}"', 1)
        return (
            bom_of(self.encoding, self.bom)
            + text.encode(self.encoding, "xmlcharrefreplace")
            + "\n".encode(self.encoding)
        )

    def _fitted(self, value: Any, where: str) -> Any:
        """The content with nothing in it that the encoding lacks. Names can't be spelled by numbers."""
        if isinstance(value, Mapping):
            for name in value:
                encodable(str(name), self.encoding, "fail", "an element's name")
            return {name: self._fitted(inner, f"element {name}") for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._fitted(inner, where) for inner in value]
        if isinstance(value, str) and self.unencodable != "xml":
            return encodable(value, self.encoding, self.unencodable, where)
        return value
