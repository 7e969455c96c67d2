"""Fixed width: each value at its place in the line, as mainframes and older student systems want it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.common.encode import to_text
from connectors.files.encoding import TextFormat, without_breaks
from connectors.files.rules import Column, check_rows
from relay.connector import Fields
from relay.errors import PermanentError


class FixedColumn(Column):
    width: int = Field(ge=1, le=10_000, description="How wide the column is.", examples=[12])
    align: Literal["left", "right"] = Field("left", description="Where a shorter value stands.")
    pad: str = Field(" ", description="What fills the room: one character, such as 0 before numbers.")
    too_long: Literal["refuse", "cut"] = Field(
        "refuse", description="What becomes of a longer value: a dead letter, or as much of its start as there is room."
    )

    @field_validator("pad")
    @classmethod
    def _is_one_character(cls, value: str) -> str:
        if len(value) != 1 or value in "\r\n\0":
            raise ValueError("pad is one character")
        return value


class FixedFormat(TextFormat):
    width_in: Literal["characters", "bytes"] = Field(
        "characters", description="What a width counts; they differ where a character takes several bytes."
    )
    line_breaks: Literal["space", "refuse"] = Field(
        "refuse", description="What becomes of a line break in a value: a dead letter, or a space."
    )


class FixedFields(Fields):
    path: str = Field(description="The file, in the connection's folder.", examples=["students.txt"])
    columns: list[FixedColumn] = Field(
        min_length=1, description="The columns in their order: `name`, `width`, and how a value stands in it."
    )
    row: dict[str, Any] | None = Field(None, description="One row: column and value.")
    rows: list[dict[str, Any]] | None = Field(None, description="Several rows.")
    format: FixedFormat = Field(FixedFormat(), description="How the file is written.")

    @model_validator(mode="after")
    def _makes_sense(self) -> FixedFields:
        if (self.row is None) == (self.rows is None):
            raise ValueError("say exactly one of `row` (one) and `rows` (a list)")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("a column is named twice")
        for column in self.columns:
            if column.pad.encode(self.format.encoding, "ignore") == b"":
                raise ValueError(f"{self.format.encoding} has no character for the pad of {column.name}")
            if self.format.width_in == "bytes" and len(column.pad.encode(self.format.encoding, "replace")) != 1:
                raise ValueError(f"the pad of {column.name} takes more than one byte; count in characters")
        return self

    def all_rows(self) -> list[dict[str, Any]]:
        return self.rows if self.rows is not None else [self.row or {}]

    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    def lines(self) -> bytes:
        """Every row. Raises PermanentError naming row, column and rule."""
        form, known = self.format, {column.name for column in self.columns}
        texts: list[dict[str, str]] = []
        for number, row in enumerate(self.all_rows(), 1):
            extra = [name for name in row if name not in known]
            if extra:
                raise PermanentError(
                    f"row {number} of {self.path} has {', '.join(extra)}; the file's columns are "
                    f"{', '.join(column.name for column in self.columns)}",
                    cause="row with unknown columns",
                )
            texts.append(
                {
                    name: form.fits(without_breaks(to_text(row.get(name)), form.line_breaks, name), name)
                    for name in known
                }
            )
        check_rows(texts, self.columns, self.path)
        return b"".join(self._line(number, row) for number, row in enumerate(texts, 1))

    def _line(self, number: int, row: Mapping[str, str]) -> bytes:
        cells = [self._cell(number, column, row[column.name]) for column in self.columns]
        return b"".join(cells) + self.format.line_break.encode(self.format.encoding)

    def _cell(self, number: int, column: FixedColumn, text: str) -> bytes:
        while (room := column.width - self._size(text)) < 0:
            if column.too_long == "refuse":
                raise PermanentError(
                    f"{self.path}: row {number}, {column.name} takes {self._size(text)} {self.format.width_in}, and "
                    f"the column is {column.width} wide; cut it with a filter, or say too_long: cut",
                    cause=f"column {column.name} is too narrow",
                )
            # A character takes a byte at least: what is left to be taken off one by one is never much.
            text = text[: min(column.width, len(text) - 1)]
        filler = column.pad * room
        text = text + filler if column.align == "left" else filler + text
        return text.encode(self.format.encoding)

    def _size(self, text: str) -> int:
        return len(text) if self.format.width_in == "characters" else len(text.encode(self.format.encoding))

    def preview(self) -> dict[str, Any]:
        """The file's text as it would be written, for people."""
        text = self.lines().decode(self.format.encoding, "replace")
        return {"columns": self.column_names(), "rows": self.all_rows(), "text": text}
