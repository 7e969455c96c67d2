"""Bytes to text, by the charset the sender names and never by guessing."""

from __future__ import annotations

from encodings import normalize_encoding
from encodings.aliases import aliases

from relay.errors import BodyError

#: Every charset Python knows by name. Only these are looked up: it remembers each name it failed to find for ever.
_KNOWN = frozenset(aliases) | frozenset(aliases.values())

#: Python calls these encodings too, but no sender writes a body in them, and some decode to what is no text.
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape", "utf_7", "u7", "utf7"})

_UTF8 = frozenset({"", "utf_8", "utf8", "us_ascii", "ascii"})


def is_utf8(charset: str) -> bool:
    """Also for none at all, and for ASCII, which is a part of it."""
    return not charset or _normal(charset) in _UTF8


def to_text(data: bytes, charset: str = "", what: str = "the body") -> str:
    """Text without its byte order mark. Raises BodyError that says at which byte it isn't `charset` (UTF-8)."""
    if is_utf8(charset):
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            place = f"{what} isn't UTF-8 at byte {error.start + 1}"
            raise BodyError(f"{place}; the sender names any other charset in its content type") from None
    name = _normal(charset)
    if name in _NOT_CHARSETS or name not in _KNOWN:
        raise BodyError(f"{what} claims a charset that isn't known: {charset[:40]!r}")
    try:
        text = data.decode(name)
        text.encode()  # some decoders let half a surrogate pair pass
    except UnicodeDecodeError as error:
        raise BodyError(f"{what} isn't {charset[:40]} at byte {error.start + 1}") from None
    except UnicodeEncodeError as error:
        raise BodyError(f"{what} has half of a surrogate pair at character {error.start + 1}") from None
    except (LookupError, ValueError):
        raise BodyError(f"{what} claims a charset that isn't one: {charset[:40]!r}") from None
    return text.removeprefix("\ufeff")


def _normal(charset: str) -> str:
    return normalize_encoding(charset).lower() if charset.isascii() else "?"
