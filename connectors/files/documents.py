"""What a step says about a JSON Lines, JSON or XML file: shared by the file and the SFTP connector."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from connectors.common.encode import to_json, to_xml
from relay.connector import Fields


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

    def whole(self) -> bytes:
        return to_xml(self.content, self.root) + b"\n"
