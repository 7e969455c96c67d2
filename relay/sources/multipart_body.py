"""`multipart/form-data`: text parts are form fields, file parts {"filename", "content_type", "size", "base64"}."""

from __future__ import annotations

import base64
import logging
import re
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from relay.errors import BodyError
from relay.sources.charset import to_text
from relay.sources.form_body import MAX_FIELDS, nest

# It logs each broken body, with a piece of it. Ours is told once, by who asked for it.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def decode_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    """Raises BodyError, also where the body ends before its closing boundary: a part of it got lost on the way."""
    parts = _Parts()
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise BodyError("the multipart body's content type doesn't name its boundary")
    # The parser walks through both byte by byte; neither is in what a sender means.
    delimiter = b"\r\n--" + boundary
    if body.count(delimiter) > MAX_FIELDS + 1:
        raise BodyError(f"the form has more than {MAX_FIELDS} fields")
    if re.search(re.escape(delimiter) + rb"[ \t]{256}", body):
        raise BodyError("the body isn't multipart: there is too much white space behind its boundary")
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise BodyError(f"the body isn't multipart: {error}") from None
    if not parts.complete:
        raise BodyError("the multipart body ends before its closing boundary")
    return nest(parts.fields)


class _Parts:
    """Listens to the parser, and keeps each part when it ends."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, Any]] = []
        self.complete = False
        self._headers: dict[str, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._data = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.fields) >= MAX_FIELDS:
            raise BodyError(f"the form has more than {MAX_FIELDS} fields")
        self._headers = {}
        self._data.clear()

    def _header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _finish(self) -> None:
        self.complete = True

    def _end(self) -> None:
        _, disposition = parse_options_header(self._headers.get("content-disposition", b""))
        content_type, options = parse_options_header(self._headers.get("content-type", b""))
        name = disposition.get(b"name", b"").decode("utf-8", "replace")
        filename = disposition.get(b"filename")
        data = bytes(self._data)
        if filename is None:
            charset = options.get(b"charset", b"").decode("latin-1")
            try:
                self.fields.append((name, to_text(data, charset, f"the part {len(self.fields) + 1} of the body")))
                return
            except BodyError:
                # Without a name for its charset it is some file, only one that has no name.
                if charset or content_type in (b"", b"text/plain"):
                    raise
        self.fields.append((name, file_value(data, content_type.decode("latin-1"), filename or b"")))


def file_value(data: bytes, content_type: str, filename: bytes = b"") -> dict[str, Any]:
    """What stands for a file in the decoded body."""
    return {
        "filename": filename.decode("utf-8", "replace"),
        "content_type": content_type,
        "size": len(data),
        "base64": base64.b64encode(data).decode("ascii"),
    }
