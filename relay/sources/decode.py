"""A body's bytes as a JSON-like value: what `$` is in a recipe.

With `auto` the content type says what it is. Where it says nothing (none, an unknown one, text/plain), a body that
looks like JSON or XML and is it, is taken for it; the rest is text where it is UTF-8, and else {"base64": …}.
Without a body, the query string is the data, nested like a form. A packed body (`Content-Encoding`) is unpacked first.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from python_multipart.multipart import parse_options_header

from relay.errors import BodyError
from relay.model import JSON, Event
from relay.sources.charset import to_text
from relay.sources.config import SourceConfig
from relay.sources.form_body import decode_form, nest
from relay.sources.json_body import decode_json
from relay.sources.multipart_body import decode_multipart
from relay.sources.unpack import MOST_BYTES, unpack
from relay.sources.xml_body import decode_xml

_JSON_TYPES = frozenset({"application/json", "text/json", "application/x-json", "application/x-javascript"})
_XML_TYPES = frozenset({"application/xml", "text/xml"})
_FORM_TYPE = "application/x-www-form-urlencoded"
_MULTIPART_TYPE = "multipart/form-data"

_JSON_START = re.compile(rb"[ \t\r\n]*(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]")
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*<\?xml\s")

#: A longer body may take longer to decode than others should wait: up to 0.2 s for each MB, where it is made for that.
_LONG_BYTES = 256_000


def decode_event(event: Event, config: SourceConfig | None) -> JSON:
    """A caught event's data, as its source says; by its content type where the source is no more. Raises BodyError."""
    if event.part:
        return decode_json(event.body)
    how, json_field = (config.decode, config.json_field) if config is not None else ("auto", None)
    return decode(
        event.body,
        event.content_type,
        event.query,
        event.method,
        how=how,
        json_field=json_field,
        encoding=event.headers.get("content-encoding", ""),
        limit=config.max_body if config is not None else MOST_BYTES,
    )


def takes_long(event: Event) -> bool:
    """Whether decoding may take so long that it isn't done where others wait."""
    return len(event.body) > _LONG_BYTES or "content-encoding" in event.headers


def decode(
    body: bytes,
    content_type: str,
    query: Iterable[tuple[str, str]] = (),
    method: str = "POST",
    *,
    how: str = "auto",
    json_field: str | None = None,
    encoding: str = "",
    limit: int = MOST_BYTES,
) -> JSON:
    """Raises BodyError that says where the body stops making sense.

    method      makes no difference: senders do put a body into a GET, and leave it out of a POST
    how         a source's `decode`: auto, json, form, xml, text or query
    json_field  the form field that holds the event as JSON: where it is there, it is the data
    encoding    the request's `content-encoding`
    limit       to how many bytes a packed body may be unpacked: the source's `max_body`, as if it had come that way
    """
    if how == "query" or (not body and how != "text"):
        return nest(query)
    if encoding:
        body = unpack(body, encoding, limit)
    if how == "auto" and content_type == "application/json":
        return decode_json(body)
    media, charset = _media_type(content_type)
    if how == "auto":
        how = _kind(media)
        if media == _FORM_TYPE and _JSON_START.match(body):
            # What curl -d and axios call a form where nobody says what it is.
            with suppress(BodyError):
                return decode_json(body, charset)
    match how:
        case "json":
            return decode_json(body, charset)
        case "form":
            fields = decode_multipart(body, content_type) if media == _MULTIPART_TYPE else decode_form(body, charset)
            return _lifted(fields, json_field)
        case "xml":
            return decode_xml(body, charset)
        case "text":
            return to_text(body, charset)
        case _:
            return _by_its_look(body, media, charset)


def _media_type(content_type: str) -> tuple[str, str]:
    """`Text/XML; charset="utf-8"` as ("text/xml", "utf-8")."""
    if not content_type:
        return "", ""
    media, options = parse_options_header(content_type.encode("latin-1", "replace"))
    return media.decode("latin-1").strip(), options.get(b"charset", b"").decode("latin-1").strip()


def _kind(media: str) -> str:
    if media in _JSON_TYPES or media.endswith("+json"):
        return "json"
    if media in {_FORM_TYPE, _MULTIPART_TYPE}:
        return "form"
    if media in _XML_TYPES or media.endswith("+xml"):
        return "xml"
    if media.startswith("text/") and media != "text/plain":
        return "text"
    return ""


def _by_its_look(body: bytes, media: str, charset: str) -> JSON:
    """For a content type that says nothing of what is inside."""
    try:
        if _JSON_START.match(body):
            return decode_json(body, charset)
        if _XML_START.match(body):
            return decode_xml(body, charset)
    except BodyError:
        pass  # it only looked like it
    if media == "text/plain" or charset:
        return to_text(body, charset)
    try:
        return to_text(body)
    except BodyError:
        return {"base64": base64.b64encode(body).decode("ascii")}


def _lifted(fields: dict[str, Any], json_field: str | None) -> JSON:
    text = fields.get(json_field) if json_field else None
    if not isinstance(text, str):
        return fields
    try:
        return decode_json(text.encode())
    except BodyError as error:
        raise BodyError(f"the form's field {json_field}: {error}") from None
