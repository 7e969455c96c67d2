"""What a step says: the key, what the object holds, and what is kept beside it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from connectors.common.plain import HEADER_NAME, HEADER_VALUE
from connectors.files.documents import JsonFields, JsonlFields, XmlFields
from connectors.files.tabular import CsvFields
from relay.connector import Fields

_TAGS, _TAG_NAME, _TAG_VALUE = 10, 128, 256
_METADATA_BYTES = 2048


class Beside(Fields):
    """The same for each format."""

    unique: bool = Field(
        True,
        description="Put a piece of the delivery's key before the extension, so that no two deliveries share a name.",
    )
    content_type: str | None = Field(None, description="Where it isn't the format's own.")
    metadata: dict[str, Any] = Field({}, description="Metadata: name and value, in ASCII, together 2 KB at most.")
    tags: dict[str, Any] = Field({}, description="Tags: name and value, ten at most. Cloudflare R2 has none.")

    @field_validator("content_type")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or not HEADER_VALUE.fullmatch(value)):
            raise ValueError("is empty, or holds a character that no header takes")
        return value

    @field_validator("metadata")
    @classmethod
    def _fits_headers(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, text in value.items():
            if not HEADER_NAME.fullmatch(name) or name.lower() == "relay-sha256":
                raise ValueError(f"{name[:60]!r} can't be the name of metadata")
            if not HEADER_VALUE.fullmatch(str(text)):
                raise ValueError(f"the metadata {name} holds a line break or a character that isn't ASCII")
        if sum(len(name) + len(str(text)) for name, text in value.items()) > _METADATA_BYTES:
            raise ValueError("metadata is more than 2 KB")
        return value

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(value) > _TAGS:
            raise ValueError("an object has ten tags at most")
        if any(not 0 < len(name) <= _TAG_NAME or len(str(text)) > _TAG_VALUE for name, text in value.items()):
            raise ValueError("a tag's name has 1 to 128 characters, and its value 256 at most")
        return value


class S3CsvFields(CsvFields, Beside):
    pass


class S3JsonlFields(JsonlFields, Beside):
    pass


class S3JsonFields(JsonFields, Beside):
    pass


class S3XmlFields(XmlFields, Beside):
    pass


class S3TextFields(Beside):
    path: str = Field(description="The key, below the connection's prefix.", examples=["chats/{{ $event.id }}.txt"])
    text: str = Field(description="What the object holds, in UTF-8.")
