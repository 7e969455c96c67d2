"""An event as a sample to keep: the file that `samples/` gets, and what a test has to say beside it.

The file is laid out for reading where that changes nothing of what `$` is; where the body can't be decoded, it is the
raw bytes. What proves the sender is never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from python_multipart.multipart import parse_options_header

from relay import jsontext
from relay.errors import BodyError, ConfigError
from relay.model import JSON, Event
from relay.recipes.accounts import Source
from relay.recipes.masking import xml_text
from relay.recipes.masking.mask import Masked, masked_pairs, masked_text, masked_value, masked_xml
from relay.recipes.trying.samples import CONTENT_TYPES
from relay.sources.charset import to_text
from relay.sources.decode import decode
from relay.sources.json_body import decode_json
from relay.sources.redact import is_secret_name, redact_body
from relay.sources.unpack import unpacked

FOLDER = "samples"

_SPACE = b" \t\r\n\xef\xbb\xbf"

#: A longer body isn't looked through for personal data unless that is asked for: it would take seconds.
_MOST_LOOKED_THROUGH = 200_000

#: Two events of one hour are told apart by a number behind the name; more of them are not kept by hand.
_MOST_OF_A_NAME = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """A sample that can be written.

    suffix   `.json`, `.xml`, `.form` or `.txt`
    headers  that a test with it has to name, and `query` likewise; neither holds a secret
    masked   what stand-ins were put in for
    found    the kinds of personal data that it still holds, as far as they are recognised
    raw      why it is the body byte for byte; None where it was decoded
    """

    suffix: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    masked: tuple[Masked, ...] = ()
    found: tuple[str, ...] = ()
    raw: str | None = None


def kept(event: Event, source: Source | None, *, mask: bool = False) -> Kept:
    """Raises ConfigError where it is to be masked and can't be decoded: nobody would know what is in it."""
    return _Keeping(event, source).kept(mask=mask)


def content_type_of(name: str, body: bytes) -> str:
    """What a file is, by the ending of its name; by its look where that says nothing."""
    known = CONTENT_TYPES.get(Path(name).suffix.lower())
    if known:
        return known
    start = body.lstrip()[:1]
    if start in (b"{", b"["):
        return CONTENT_TYPES[".json"]
    if start == b"<":
        return CONTENT_TYPES[".xml"]
    is_form = re.fullmatch(rb"[\w.%+\[\]-]+=[^\s]*", body.strip()) is not None
    return CONTENT_TYPES[".form" if is_form else ".txt"]


def free_name(folder: Path, source: str, kind: str, one: Kept) -> str:
    """`samples/<source>-<kind>.json`: a name of the workspace that is free, or whose file is this sample already."""
    word = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")[:60] or "event"
    for number in range(1, _MOST_OF_A_NAME):
        name = f"{FOLDER}/{source}-{word}{'' if number == 1 else f'-{number}'}{one.suffix}"
        path = folder / name
        if not path.exists() or (path.is_file() and path.read_bytes() == one.body):
            return name
    raise ConfigError(f"{folder / FOLDER} has {_MOST_OF_A_NAME} samples of {source}-{word}: name this one with --as")


class _Keeping:
    def __init__(self, event: Event, source: Source | None) -> None:
        self.event = event
        self.source = source
        media, options = parse_options_header(event.content_type.encode("latin-1", "replace"))
        self.media = media.decode("latin-1")
        self.charset = options.get(b"charset", b"").decode("latin-1")
        declared = source.declared if source is not None else None
        self.how = declared.decode if declared is not None else "auto"
        self.json_field = declared.json_field if declared is not None else None
        self.secrets = source.config.secrets if source is not None and source.config is not None else ()
        hidden = declared.secret_params if declared is not None else frozenset()
        self.query = [(name, value) for name, value in event.query if not self.is_secret(name, hidden)]
        self.hidden = declared.secret_headers if declared is not None else frozenset()

    def is_secret(self, name: str, also: frozenset[str]) -> bool:
        return name in also or is_secret_name(name)

    def kept(self, *, mask: bool) -> Kept:
        headers, query = dict(self.asked("headers")), dict(self.asked("query"))
        try:
            self.event = event = unpacked(self.event)
            value = decode(
                event.body,
                event.content_type,
                self.query,
                how="json" if event.part else self.how,
                json_field=self.json_field,
            )
        except BodyError as error:
            if mask:
                raise ConfigError(f"only a body that can be decoded can be masked, and {error}") from None
            body = self.event.body
            suffix = next(end for end, one in CONTENT_TYPES.items() if one == content_type_of("", body))
            return Kept(suffix, self.without_secrets(body), headers, query, raw=str(error))
        suffix, text, content_type = self.form(value)
        if mask and isinstance(text, bytes):
            raise ConfigError("this body can't be masked: it holds files, or is of a kind that isn't known")
        if content_type:
            headers["content-type"] = content_type
        if self.how == "query":
            query = dict(self.query)
        if isinstance(text, bytes):
            return Kept(suffix, text, headers, query)
        if not mask and len(text) > _MOST_LOOKED_THROUGH:
            return Kept(suffix, text.encode(), headers, query)
        made, found = self.masked(suffix, text)
        if not mask:
            return Kept(suffix, text.encode(), headers, query, found=tuple(dict.fromkeys(one.kind for one in found)))
        pairs, more = masked_pairs(query.items())
        return Kept(suffix, made.encode(), headers, dict(pairs), (*found, *more))

    def asked(self, root: str) -> Iterator[tuple[str, str]]:
        """What the source's `event_type` reads of the request: without it, the type would not be known."""
        expression = self.source.event_type if self.source is not None else None
        there = self.event.headers if root == "headers" else dict(self.query)
        for ref in expression.refs if expression is not None else ():
            name = str(ref.steps[0]) if ref.root == root and ref.steps else ""
            if name in there and not self.is_secret(name, self.hidden):
                yield name, there[name]

    def form(self, value: JSON) -> tuple[str, str | bytes, str]:
        """(suffix, text, a content type where the suffix doesn't tell it): the first that decodes to the same value."""
        wanted = jsontext.dumps(value)
        for suffix, make in self.forms(value):
            try:
                text = make()
                found = decode(text.encode(), CONTENT_TYPES[suffix], (), how=self.how, json_field=self.json_field)
            except (BodyError, ConfigError, UnicodeError):
                continue
            if jsontext.dumps(found) == wanted:
                return suffix, self.text_without_secrets(suffix, text), ""
        return ".txt", self.without_secrets(self.event.body), self.event.content_type or "application/octet-stream"

    def forms(self, value: JSON) -> Iterator[tuple[str, Callable[[], str]]]:
        body, media = self.event.body, self.media
        if not body or self.how == "query":
            yield ".form", lambda: urlencode(self.query)
        if "form" in media or self.how == "form":
            yield ".form", lambda: urlencode(self.pairs())
        if "json" in media or self.how == "json" or body.lstrip(_SPACE)[:1] in (b"{", b"["):
            yield ".json", lambda: laid_out_json(value)
        if "xml" in media or self.how == "xml" or body.lstrip(_SPACE)[:1] == b"<":
            yield ".xml", lambda: xml_text.laid_out(self.xml())
            yield ".xml", self.xml
        yield ".txt", lambda: to_text(body, self.charset)

    def pairs(self) -> list[tuple[str, str]]:
        """A form's fields as they came; those of a multipart form by what they decode to."""
        if "multipart" not in self.media:
            return parse_qsl(self.event.body.decode("ascii"), keep_blank_values=True, errors="strict")
        value = decode(self.event.body, self.event.content_type, how="form")
        return list(_fields(value, "")) if isinstance(value, dict) else []

    def xml(self) -> str:
        encoding = self.charset or xml_text.declared_encoding(self.event.body)
        return xml_text.as_utf8(to_text(self.event.body, encoding))

    def masked(self, suffix: str, text: str) -> tuple[str, list[Masked]]:
        match suffix:
            case ".json":
                value, found = masked_value(decode_json(text.encode()))
                return laid_out_json(value), found
            case ".form":
                pairs, found = masked_pairs(parse_qsl(text, keep_blank_values=True))
                return urlencode(pairs), found
            case ".xml":
                return masked_xml(text)
            case _:
                return masked_text(text)

    def text_without_secrets(self, suffix: str, text: str) -> str:
        if not self.secrets:
            return text
        if suffix == ".json":
            return laid_out_json(redact_body(decode_json(text.encode()), self.secrets))
        if suffix == ".form":
            pairs = parse_qsl(text, keep_blank_values=True)
            return urlencode([(name, redact_body(value, self.secrets)) for name, value in pairs])
        return str(redact_body(text, self.secrets))

    def without_secrets(self, body: bytes) -> bytes:
        # Byte for byte: latin-1 has a character for every byte.
        secrets = [secret.encode().decode("latin-1") for secret in self.secrets]
        return str(redact_body(body.decode("latin-1"), secrets)).encode("latin-1")


def laid_out_json(value: JSON) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _fields(value: JSON, name: str) -> Iterator[tuple[str, str]]:
    """A decoded form as fields that decode to it again: `a[b]=1`; a list repeats its name."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _fields(inner, f"{name}[{key}]" if name else key)
        case list():
            for place, inner in enumerate(value):
                yield from _fields(inner, name if isinstance(inner, str) else f"{name}[{place}]")
        case _:
            yield name, str(value)
