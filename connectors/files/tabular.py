"""CSV as the systems of this world want it: shared by the file and the SFTP connector."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.encode import to_text
from connectors.files.encoding import TextFormat, without_breaks
from connectors.files.rules import Column, check_rows
from relay.connector import Fields
from relay.errors import PermanentError

#: What a spreadsheet takes for a formula (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvFormat(TextFormat):
    delimiter: str = Field(",", description="What stands between two values; `tab` may be written out.")
    quote: Literal["minimal", "all", "none"] = Field(
        "minimal", description="Quote where it is needed, or every value, or none: what needs a quote is refused then."
    )
    header: bool = Field(True, description="Start the file with the columns' names.")
    escape_formulas: bool = Field(
        False,
        description="Put ' before text that a spreadsheet would run as a formula (= + - @). Off, because systems that "
        "import files take the ' for a part of a phone number; switch it on where people open the file.",
    )
    line_breaks: Literal["keep", "space", "refuse"] = Field(
        "keep", description="What becomes of a line break in a value: it stays, quoted; a space; or a dead letter."
    )

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, value: str) -> str:
        value = "\t" if value in ("tab", "\\t") else value
        if len(value) != 1 or value in '"\r\n\0':
            raise ValueError("a delimiter is one character, or `tab`")
        return value

    def start(self, columns: Sequence[str]) -> bytes:
        """What a new file starts with: the byte order mark and the header, where asked for."""
        return self.mark + self.header_line(columns)

    def header_line(self, columns: Sequence[str]) -> bytes:
        return self.line(columns, columns) if self.header else b""

    def line(self, values: Sequence[Any], columns: Sequence[str]) -> bytes:
        """One line. Raises PermanentError that names the column and the character the encoding lacks."""
        named = list(zip(values, columns, strict=True))
        try:
            cells = (self._cell(self._text(value, name), value, name) for value, name in named)
            return (self.delimiter.join(cells) + self.line_break).encode(self.encoding)
        except UnicodeEncodeError:
            # Before quoting, because the nearest letters of “ are a quote.
            fixed = (self._cell(self.fits(self._text(value, name), name), value, name) for value, name in named)
            return (self.delimiter.join(fixed) + self.line_break).encode(self.encoding)

    def _text(self, value: Any, column: str) -> str:
        return without_breaks(to_text(value), self.line_breaks, column)

    def _cell(self, text: str, value: Any, column: str) -> str:
        if self.escape_formulas and isinstance(value, str) and text.startswith(_FORMULA_STARTS):
            text = "'" + text
        if self.quote == "none":
            if any(c in text for c in (self.delimiter, "\r", "\n")) or text.startswith('"'):
                raise PermanentError(
                    f"the value of {column} would need quotes, and `quote` is none; say quote: all, another "
                    "delimiter, or take the sign out with a filter",
                    cause=f"column {column} needs quotes",
                )
            return text
        needed = any(c in text for c in (self.delimiter, '"', "\r", "\n")) or text != text.strip(" ")
        if needed or self.quote == "all":
            return '"' + text.replace('"', '""') + '"'
        return text


class CsvFields(Fields):
    """The part of a CSV action's `with` that says what is written."""

    path: str = Field(description="The file, in the connection's folder.", examples=["chats.csv"])
    row: dict[str, Any] | None = Field(None, description="One row: column and value, in the columns' order.")
    rows: list[dict[str, Any]] | None = Field(None, description="Several rows; the first gives the columns.")
    columns: dict[str, Any] | list[str | Column] | None = Field(
        None,
        description="The columns' names and order, for rows that lack some; an entry may be a mapping with `name` and "
        "rules for its values (`required`, `max`, `pattern`, `one_of`). Or, as one mapping, the same as `row`.",
        examples=[["STU_SURN", {"name": "STU_CODE", "required": True, "max": 12}]],
    )
    format: CsvFormat = Field(CsvFormat(), description="How the file is written.")

    @model_validator(mode="after")
    def _rows_in_one_way(self) -> CsvFields:
        given = [self.row is not None, self.rows is not None, isinstance(self.columns, dict)]
        if sum(given) != 1:
            raise ValueError("say exactly one of `row` (one) and `rows` (a list)")
        names = self.column_names()
        if not names:
            raise ValueError("a row needs at least one column")
        if len(set(names)) < len(names):
            raise ValueError("a column is named twice")
        return self

    def all_rows(self) -> list[dict[str, Any]]:
        if isinstance(self.columns, dict):
            return [self.columns]
        return self.rows if self.rows is not None else [self.row or {}]

    def column_names(self) -> list[str]:
        if isinstance(self.columns, list):
            return [column if isinstance(column, str) else column.name for column in self.columns]
        rows = self.all_rows()
        return list(rows[0]) if rows else []

    def lines(self, columns: Sequence[str]) -> bytes:
        """Every row in the order of `columns`. Raises PermanentError naming what they have no place for."""
        self._check_rules()
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

    def _check_rules(self) -> None:
        rules = [one for one in self.columns if isinstance(one, Column)] if isinstance(self.columns, list) else []
        if rules:
            names = [rule.name for rule in rules]
            rows = [{name: self.format.fits(to_text(row.get(name)), name) for name in names} for row in self.all_rows()]
            check_rows(rows, rules, self.path)

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
