"""One mail as bytes: the same for every attempt of a delivery, so that a reader who gets it twice sees one."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import format_datetime
from hashlib import sha256

from connectors.smtp.address import Mailbox, header_text
from connectors.smtp.text import text_of
from relay.errors import PermanentError

_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_OURS = re.compile(
    r"bcc|cc|content-.*|date|from|message-id|mime-version|received|reply-to|resent-.*|return-path|sender|subject|to",
    re.IGNORECASE,
)
_CONTENT_TYPE = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]*)/([a-z0-9][a-z0-9!#$&^_.+-]*)", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_HEADERS = 30
#: RFC 5322: without its line end.
_MAX_LINE = 998
#: Reading longer HTML for the text beside it costs more than the text is worth; the mail then has its HTML alone.
_MAX_HTML_READ = 200_000


@dataclass(frozen=True, slots=True)
class Part:
    """An attached file."""

    filename: str
    content_type: str
    content: bytes

    def shown(self) -> dict[str, str | int]:
        digest = sha256(self.content).hexdigest()
        return {
            "filename": self.filename,
            "content_type": self.content_type,
            "bytes": len(self.content),
            "sha256": digest,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """What a mail is made of. `key` is the same for every attempt; so is `moment`."""

    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    reply_to: tuple[Mailbox, ...]
    subject: str
    headers: Mapping[str, str]
    text: str | None
    html: str | None
    parts: tuple[Part, ...]
    key: str
    moment: datetime | None

    @property
    def message_id(self) -> str:
        key = self.key if _KEY.fullmatch(self.key) else sha256(self.key.encode("utf-8", "replace")).hexdigest()
        return f"<{key}@{self.sender.domain}>"

    @property
    def date(self) -> str | None:
        """The clock has no say in it: where no moment is known the mail server dates the mail (RFC 6409, 8.2)."""
        return format_datetime(self.moment) if self.moment is not None else None

    @property
    def needs_utf8(self) -> bool:
        return any(who.needs_utf8 for who in (self.sender, *self.to, *self.cc, *self.reply_to))


def attachment(where: str, filename: str, content_type: str, base64: str | None, text: str | None) -> Part:
    """Raises PermanentError that names the field."""
    # What stands before a slash is a folder of the sender's; no reader's program should be led by it.
    name = header_text(filename, f"{where}.filename").replace("\\", "/").rpartition("/")[2].strip()
    if not name or name in (".", "..") or len(name.encode()) > 255:
        raise PermanentError(f"{where}.filename is no name of a file", cause="bad attachment")
    kind = _CONTENT_TYPE.fullmatch(content_type)
    if kind is None or kind[1].lower() in ("multipart", "message"):
        raise PermanentError(f"{where}.content_type is none that a file can have", cause="bad attachment")
    if text is not None:
        return Part(name, content_type, _utf8(text, f"{where}.text"))
    try:
        return Part(name, content_type, b64decode("".join((base64 or "").split()), validate=True))
    except (binascii.Error, ValueError):
        raise PermanentError(f"{where}.base64 is no base64", cause="bad attachment") from None


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Raises PermanentError for a header that isn't the step's to set."""
    for name in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise PermanentError("headers holds a name that no header can have", cause="bad header")
        if _OURS.fullmatch(name):
            raise PermanentError(f"headers.{name}: the relay sets this header itself", cause="bad header")
    if len(headers) > _MAX_HEADERS:
        raise PermanentError(f"headers has more than {_MAX_HEADERS}", cause="bad header")
    if len({name.lower() for name in headers}) < len(headers):
        raise PermanentError("headers names a header twice", cause="bad header")
    return {name: header_text(value, f"headers.{name}") for name, value in headers.items()}


def compose(draft: Draft) -> bytes:
    """The whole mail, with CRLF line ends and no line too long. Raises PermanentError where it can't be one."""
    message = EmailMessage(policy=policy.SMTPUTF8 if draft.needs_utf8 else policy.SMTP)
    names: list[str] = []
    for name, value in _headers(draft):
        try:
            message[name] = value
        except (ValueError, IndexError):  # IndexError: old releases of `email` on some odd values
            raise PermanentError(f"{name} can't be written as a header", cause="bad header") from None
        names.append(name)
    _fill(message, draft)
    _name_boundaries(message, draft)
    try:
        content = message.as_bytes()
    except (UnicodeEncodeError, ValueError, IndexError):
        raise PermanentError("the mail can't be written", cause="bad header") from None
    _check(content, names)
    return content


def _headers(draft: Draft) -> Iterator[tuple[str, str | tuple[object, ...]]]:
    yield "From", (draft.sender.header(),)
    for name, people in (("To", draft.to), ("Cc", draft.cc), ("Reply-To", draft.reply_to)):
        if people:
            yield name, tuple(who.header() for who in people)
    yield "Subject", draft.subject
    yield "Message-ID", draft.message_id
    if draft.date is not None:
        yield "Date", draft.date
    # RFC 3834: so that absence notes don't answer a program.
    if "auto-submitted" not in map(str.lower, draft.headers):
        yield "Auto-Submitted", "auto-generated"
    yield from draft.headers.items()


def _fill(message: EmailMessage, draft: Draft) -> None:
    html, text = draft.html, draft.text
    if text is None and html is not None and len(html) <= _MAX_HTML_READ:
        text = text_of(html)
    # Quoted-printable for both: no line is too long, and what was a bare CR or LF can't end the mail early.
    if text is not None:
        message.set_content(_lines(text, "text"), cte="quoted-printable")
        if html is not None:
            message.add_alternative(_lines(html, "html"), subtype="html", cte="quoted-printable")
    elif html is not None:
        message.set_content(_lines(html, "html"), subtype="html", cte="quoted-printable")
    for part in draft.parts:
        main, _, sub = part.content_type.partition("/")
        message.add_attachment(part.content, maintype=main, subtype=sub, filename=part.filename)


def _name_boundaries(message: EmailMessage, draft: Draft) -> None:
    """`email` draws them at random. These are the same each time, and `=_` is in no body (RFC 2045, 6.7)."""
    mark = sha256(draft.message_id.encode()).hexdigest()[:24]
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{mark}")


def _check(content: bytes, names: list[str]) -> None:
    """What was asked of `email` is what it wrote: a header more, or a line too long, would be somebody's doing."""
    found = BytesHeaderParser(policy=policy.compat32).parsebytes(content).keys()
    extra = [name for name in found if not name.lower().startswith(("content-", "mime-version"))]
    if extra != names:
        raise PermanentError("a header of the mail would have become several", cause="control character in a header")
    if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        raise PermanentError("the mail holds a bare line break", cause="bad mail")
    if max(map(len, content.split(b"\r\n"))) > _MAX_LINE:
        raise PermanentError("a header of the mail is longer than a line may be", cause="bad header")


def _lines(text: str, where: str) -> str:
    _utf8(text, where)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _utf8(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise PermanentError(f"{where} holds half a character", cause="text can't be encoded") from None
