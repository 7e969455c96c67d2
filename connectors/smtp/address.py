"""Mail addresses from events: one each, and nothing else in them.

The `email` package reads addresses leniently (what it can't read it passes on), and on some releases of Python 3.11 it
decodes `=?utf-8?q?a=0AX-Evil:_1?=` while a header is set and writes the line break out again. So everything that
goes into a header is looked at here first.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.headerregistry import Address

import idna

from relay.errors import PermanentError

#: C0, DEL, C1 and the two line separators of Unicode: some programs take each of them for the end of a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED = re.compile(r'(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"\s*+|(?P<bare>[^<>"@,;]*+))<(?P<address>[^<>\s]*+)>')
_LOCAL = re.compile(r'[^\s()<>\[\]:;@\\,".]+(?:\.[^\s()<>\[\]:;@\\,".]+)*')
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_MAX_NAME = 200
_MAX_ADDRESS = 254
#: Folding a header takes longer than its length; no mail program writes one so long.
_MAX_HEADER = 5000


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address. The domain is spelled in ASCII; the local part is as it was given."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        return not self.local.isascii()

    def header(self) -> Address:
        return Address(self.name, self.local, self.domain)

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


def header_text(value: str, where: str) -> str:
    """A header's value, encoded words decoded. Raises PermanentError where it could be more than one header."""
    _refuse_control(value, where)
    if len(value) > _MAX_HEADER:
        raise PermanentError(f"{where} is longer than {_MAX_HEADER} characters", cause="bad header")
    if "=?" in value:
        try:
            value = str(make_header(decode_header(value)))
        except (HeaderParseError, LookupError, ValueError):
            raise PermanentError(f"{where} holds an encoded word that can't be read", cause="bad header") from None
        _refuse_control(value, where)
        if "=?" in value:
            raise PermanentError(f"{where} holds an encoded word that can't be read", cause="bad header")
    return value


def _refuse_control(value: str, where: str) -> None:
    if _CONTROL.search(value):
        message = f"{where} holds a line break or another control character, which a mail's header can't carry"
        raise PermanentError(message, cause="control character in a header")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PermanentError(f"{where} holds half a character", cause="text can't be encoded") from None


def mailbox(text: str, where: str, name: str = "") -> Mailbox:
    """`ana@example.com` or `Ana Lee <ana@example.com>`. Raises PermanentError that names the field, not the value."""
    _refuse_control(text, where)
    bare = text.strip()
    if len(bare) > 2 * (_MAX_NAME + _MAX_ADDRESS):
        raise PermanentError(f"{where} is longer than a mail address may be", cause="not a mail address")
    named = _NAMED.fullmatch(bare)
    if named is not None:
        quoted = named["quoted"]
        name = name or (re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else named["bare"])
        bare = named["address"]
    local, at, domain = bare.rpartition("@")
    local = unicodedata.normalize("NFC", local)
    name = header_text(name.strip(), where)
    ascii_domain = _ascii(domain)
    # `email` would decode an encoded word in the local part too.
    if not at or not _LOCAL.fullmatch(local) or "=?" in local or not ascii_domain or len(local.encode()) > 64:
        message = f"{where} is no mail address; give one each (several as a list), a name as {{name: …, address: …}}"
        raise PermanentError(message, cause="not a mail address")
    if len(local.encode()) + 1 + len(ascii_domain) > _MAX_ADDRESS or len(name) > _MAX_NAME:
        raise PermanentError(f"{where} is longer than a mail address may be", cause="not a mail address")
    return Mailbox(name, local, ascii_domain)


def _ascii(domain: str) -> str:
    """ "" where it is no domain."""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return ""
    domain = domain.lower()
    return domain if _DOMAIN.fullmatch(domain) else ""
