"""CSV as the systems of this world want it: shared by the file and the SFTP connector."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.encode import to_text
from relay.connector import Fields
from relay.errors import PermanentError

_LINE_ENDS = {"lf": "\n", "crlf": "\r\n"}

#: What a spreadsheet takes for a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

#: Letters and signs that no decomposition turns into ASCII.
_PLAIN = str.maketrans(
    {
        "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i", "ħ": "h", "Ħ": "H",
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "…": "...",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "•": "*", "€": "EUR", "™": "TM",
    }
)  # fmt: skip


class CsvFormat(Fields):
    delimiter: str = Field(",", description="What stands between two values; `tab` may be written out.")
    encoding: str = Field("utf-8", description="How characters become bytes.", examples=["cp1252"])
    line_end: Literal["lf", "crlf"] = Field("lf", description="How a line ends; Windows systems want crlf.")
    bom: bool = Field(False, description="Start the file with a byte order mark, as Excel's `CSV UTF-8` does.")
    quote: Literal["minimal", "all"] = Field("minimal", description="Quote where it is needed, or every value.")
    header: bool = Field(True, description="Start the file with the columns' names.")
    escape_formulas: bool = Field(
        False,
        description="Put ' before text that a spreadsheet would run as a formula (= + - @). Off, because systems that "
        "import files take the ' for a part of a phone number; switch it on where people open the file.",
    )
    unencodable: Literal["fail", "replace", "transliterate"] = Field(
        "fail", description="What becomes of a character the encoding lacks: a dead letter, ?, or its nearest letters."
    )

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, value: str) -> str:
        value = "\t" if value in ("tab", "\\t") else value
        if len(value) != 1 or value in '"\r\n\0':
            raise ValueError("a delimiter is one character, or `tab`")
        return value

    @field_validator("encoding")
    @classmethod
    def _is_a_text_encoding(cls, value: str) -> str:
        try:
            "a".encode(value)
        except (LookupError, ValueError):
            raise ValueError(f"no encoding is called {value!r}; common are utf-8, cp1252 and iso-8859-1") from None
        if "a".encode(value) + "a".encode(value) != "aa".encode(value):
            raise ValueError(f"{value} marks every piece of text; say utf-8 or utf-16-le, and bom: true")
        return value

    @model_validator(mode="after")
    def _bom_only_for_unicode(self) -> CsvFormat:
        if self.bom and not codecs.lookup(self.encoding).name.startswith("utf"):
            raise ValueError(f"bom goes with utf encodings; {self.encoding} has no byte order mark")
        return self

    @property
    def line_break(self) -> str:
        return _LINE_ENDS[self.line_end]

    def start(self, columns: Sequence[str]) -> bytes:
        """What a new file starts with: the byte order mark and the header, where asked for."""
        mark = "\ufeff".encode(self.encoding) if self.bom else b""
        return mark + (self.line(columns, columns) if self.header else b"")

    def line(self, values: Sequence[Any], columns: Sequence[str]) -> bytes:
        """One line. Raises PermanentError that names the column and the character the encoding lacks."""
        cells = (self._cell(to_text(value), value) for value in values)
        try:
            return (self.delimiter.join(cells) + self.line_break).encode(self.encoding)
        except UnicodeEncodeError:
            # Before quoting, because the nearest letters of “ are a quote.
            named = zip(values, columns, strict=True)
            fixed = [self._cell(self._encodable(to_text(value), name), value) for value, name in named]
            return (self.delimiter.join(fixed) + self.line_break).encode(self.encoding)

    def _cell(self, text: str, value: Any) -> str:
        if self.escape_formulas and isinstance(value, str) and text.startswith(_FORMULA_STARTS):
            text = "'" + text
        needed = any(c in text for c in (self.delimiter, '"', "\r", "\n")) or text != text.strip(" ")
        if needed or self.quote == "all":
            return '"' + text.replace('"', '""') + '"'
        return text

    def _encodable(self, text: str, column: str) -> str:
        try:
            text.encode(self.encoding)
            return text
        except UnicodeEncodeError as error:
            if self.unencodable == "replace":
                return text.encode(self.encoding, "replace").decode(self.encoding)
            if self.unencodable == "transliterate":
                return "".join(self._nearest(c) for c in text)
            bad = text[error.start]
            raise PermanentError(
                f"{self.encoding} has no character for {bad!r} (U+{ord(bad):04X}) in column {column}; "
                "say unencodable: replace or transliterate, or another encoding",
                cause=f"{self.encoding} lacks a character in column {column}",
            ) from None

    def _nearest(self, character: str) -> str:
        for candidate in (character, _decomposed(character), _decomposed(character.translate(_PLAIN))):
            try:
                candidate.encode(self.encoding)
            except UnicodeEncodeError:
                continue
            if candidate:
                return candidate
        return "" if unicodedata.combining(character) else "?"


def _decomposed(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


class CsvFields(Fields):
    """The part of a CSV action's `with` that says what is written."""

    path: str = Field(description="The file, in the connection's folder.", examples=["chats.csv"])
    row: dict[str, Any] | None = Field(None, description="One row: column and value, in the columns' order.")
    rows: list[dict[str, Any]] | None = Field(None, description="Several rows; the first gives the columns.")
    columns: dict[str, Any] | list[str] | None = Field(
        None, description="The columns' names and order, for rows that lack some; or, as a mapping, the same as `row`."
    )
    format: CsvFormat = Field(CsvFormat(), description="How the file is written.")

    @model_validator(mode="after")
    def _rows_in_one_way(self) -> CsvFields:
        given = [self.row is not None, self.rows is not None, isinstance(self.columns, dict)]
        if sum(given) != 1:
            raise ValueError("say exactly one of `row` (one) and `rows` (a list)")
        if not self.column_names():
            raise ValueError("a row needs at least one column")
        return self

    def all_rows(self) -> list[dict[str, Any]]:
        if isinstance(self.columns, dict):
            return [self.columns]
        return self.rows if self.rows is not None else [self.row or {}]

    def column_names(self) -> list[str]:
        if isinstance(self.columns, list):
            return self.columns
        rows = self.all_rows()
        return list(rows[0]) if rows else []

    def lines(self, columns: Sequence[str]) -> bytes:
        """Every row in the order of `columns`. Raises PermanentError naming what they have no place for."""
        known = set(columns)
        written = []
        for number, row in enumerate(self.all_rows(), 1):
            extra = [name for name in row if name not in known]
            if extra:
                raise PermanentError(
                    f"row {number} of {self.path} has {', '.join(extra)}; the file's columns are {', '.join(columns)}",
                    cause="row with unknown columns",
                )
            written.append(self.format.line([row.get(name) for name in columns], columns))
        return b"".join(written)

    def whole(self) -> bytes:
        """A file of its own: header and rows."""
        columns = self.column_names()
        return self.format.start(columns) + self.lines(columns)

    def preview(self) -> dict[str, Any]:
        """The file's text as it would be written, for people."""
        text = self.whole().decode(self.format.encoding, "replace").removeprefix("\ufeff")
        return {"columns": self.column_names(), "rows": self.all_rows(), "text": text}


def merged_rows(many: Sequence[Mapping[str, Any]], one: str, several: str) -> dict[str, Any]:
    """The `with` of one call for several: their rows together. Raises PermanentError where more than rows differ."""
    rows: list[Any] = []
    first = {key: value for key, value in many[0].items() if key not in (one, several)}
    for fields in many:
        rest = {key: value for key, value in fields.items() if key not in (one, several)}
        if isinstance(rest.get("columns"), Mapping):
            rows.append(rest.pop("columns"))
        elif one in fields:
            rows.append(fields[one])
        else:
            rows.extend(fields.get(several) or [])
        for key in {**first, **rest}:
            if key != "columns" and first.get(key) != rest.get(key):
                raise PermanentError(f"deliveries of one batch differ in `{key}`", cause="batch of different files")
    if isinstance(first.get("columns"), Mapping):
        del first["columns"]
    if one == "row" and not isinstance(first.get("columns"), list):
        # Null settings are left out of rows, so any row may lack a column that another has.
        first["columns"] = list(dict.fromkeys(name for row in rows for name in row))
    return {**first, several: rows}


def read_header(start: bytes, form: CsvFormat) -> list[str] | None:
    """The columns a file starts with, as far as `start` shows them; None where the header can't be read."""
    try:
        text = start.decode(form.encoding, "replace").removeprefix("\ufeff")
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter), None)
    except csv.Error:
        return None
