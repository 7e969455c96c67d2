"""How text becomes bytes: the encoding, what becomes of characters it lacks, line ends, byte order mark."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import Literal

from pydantic import Field, field_validator, model_validator

from relay.connector import Fields
from relay.errors import PermanentError

_LINE_ENDS = {"lf": "\n", "crlf": "\r\n"}
#: Whatever some reader takes for the end of a line: mainframes know NEL, printers the form feed.
_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

#: Letters and signs that no decomposition turns into ASCII.
_PLAIN = str.maketrans(
    {
        "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i", "ħ": "h", "Ħ": "H",
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "…": "...",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "•": "*", "€": "EUR", "™": "TM",
    }
)  # fmt: skip


def known_encoding(value: str) -> str:
    """For validators. Raises ValueError."""
    try:
        "a".encode(value)
    except (LookupError, ValueError):
        raise ValueError(f"no encoding is called {value!r}; common are utf-8, cp1252 and iso-8859-1") from None
    if "a".encode(value) + "a".encode(value) != "aa".encode(value):
        raise ValueError(f"{value} marks every piece of text; say utf-8 or utf-16-le, and bom: true")
    return value


def bom_of(encoding: str, bom: bool) -> bytes:
    """The byte order mark. Raises ValueError where one is asked for that the encoding hasn't."""
    if not bom:
        return b""
    if not codecs.lookup(encoding).name.startswith("utf"):
        raise ValueError(f"bom goes with utf encodings; {encoding} has no byte order mark")
    return "\ufeff".encode(encoding)


def encodable(text: str, encoding: str, policy: str, where: str) -> str:
    """The text with nothing in it that the encoding lacks. Raises PermanentError naming the place and the character."""
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError as error:
        if policy == "replace":
            return text.encode(encoding, "replace").decode(encoding)
        if policy == "transliterate":
            return "".join(_nearest(c, encoding) for c in text)
        bad = text[error.start]
        raise PermanentError(
            f"{encoding} has no character for {bad!r} (U+{ord(bad):04X}) in {where}; "
            "say unencodable: replace or transliterate, or another encoding",
            cause=f"{encoding} lacks a character in {where}",
        ) from None


def _nearest(character: str, encoding: str) -> str:
    for candidate in (character, _decomposed(character), _decomposed(character.translate(_PLAIN))):
        try:
            candidate.encode(encoding)
        except UnicodeEncodeError:
            continue
        if candidate:
            return candidate
    return "" if unicodedata.combining(character) else "?"


def _decomposed(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


class TextFormat(Fields):
    encoding: str = Field("utf-8", description="How characters become bytes.", examples=["cp1252"])
    line_end: Literal["lf", "crlf"] = Field("lf", description="How a line ends; Windows systems want crlf.")
    bom: bool = Field(False, description="Start the file with a byte order mark, as Excel's `CSV UTF-8` does.")
    unencodable: Literal["fail", "replace", "transliterate"] = Field(
        "fail", description="What becomes of a character the encoding lacks: a dead letter, ?, or its nearest letters."
    )

    @field_validator("encoding")
    @classmethod
    def _is_a_text_encoding(cls, value: str) -> str:
        return known_encoding(value)

    @model_validator(mode="after")
    def _bom_only_for_unicode(self) -> TextFormat:
        bom_of(self.encoding, self.bom)
        return self

    @property
    def line_break(self) -> str:
        return _LINE_ENDS[self.line_end]

    @property
    def mark(self) -> bytes:
        return bom_of(self.encoding, self.bom)

    def fits(self, text: str, column: str) -> str:
        return encodable(text, self.encoding, self.unencodable, f"column {column}")

    def record(self, text: str, what: str) -> bytes:
        """A line of its own, such as a header record."""
        return (encodable(text, self.encoding, self.unencodable, what) + self.line_break).encode(self.encoding)


def without_breaks(text: str, policy: str, column: str) -> str:
    """A value that doesn't end its line: `keep` leaves it, `space` puts spaces, `refuse` raises PermanentError."""
    if policy == "keep" or _BREAK.search(text) is None:
        return text
    if policy == "space":
        return _BREAK.sub(" ", text)
    raise PermanentError(
        f"the value of {column} has a line break, which the file can't hold; say line_breaks: space in `format`",
        cause=f"line break in column {column}",
    )
