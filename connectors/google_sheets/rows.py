"""Rows of a sheet: what a cell can hold, which column a value belongs to, which row has a key. All of it pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.common.encode import to_text
from relay.errors import PermanentError

Cell = str | int | float | bool | None
#: A row by its columns' names, or by position from column A.
Row = dict[str, Any] | list[Any]

#: "Your input contains more than the maximum of 50000 characters in a single cell."
MAX_CELL = 50_000
#: The last column is ZZZ.
MAX_COLUMNS = 18_278
#: Sheets keeps numbers as doubles: a longer one would lose its last digits, so it goes as text.
_EXACT = 2**53


def cell(value: Any, where: str) -> Cell:
    """A value as it is sent. Null leaves a cell as it is; lists and mappings go as JSON. Raises PermanentError."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PermanentError(f"{where} is no number that a cell can hold", cause="not a number")
        return value
    text = to_text(value)
    if len(text) > MAX_CELL:
        raise PermanentError(
            f"{where} has {len(text)} characters, and a cell holds {MAX_CELL}; shorten it, as with `| truncate`",
            cause="text too long for a cell",
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PermanentError(f"{where} holds half a character, which can't be sent", cause="not unicode") from None
    return text


def cells(row: Row) -> Row:
    """A row with its values as they are sent. Raises PermanentError."""
    if isinstance(row, list):
        if len(row) > MAX_COLUMNS:
            raise PermanentError(f"a sheet has {MAX_COLUMNS} columns at most", cause="too many columns")
        made: Row = [cell(value, f"value {number}") for number, value in enumerate(row, 1)]
        values = made
    else:
        if any(not name.strip() for name in row):
            raise PermanentError("a column of the row has no name", cause="column without a name")
        made = {name.strip(): cell(value, f"the column {name[:80]!r}") for name, value in row.items()}
        values = list(made.values())
    if all(value is None or value == "" for value in values):
        # Google would append it, and write the next one over it.
        raise PermanentError("the row is empty", cause="empty row")
    return made


def names(header: Sequence[Any]) -> list[str]:
    return [to_text(name).strip() for name in header]


def missing(rows: Sequence[Row], header: Sequence[str], more: str | None = None) -> list[str]:
    """Columns that the rows use and the header lacks, in their order."""
    used = [name for row in rows if isinstance(row, Mapping) for name in row]
    known = set(header)
    return [name for name in dict.fromkeys([*used, *([more] if more else [])]) if name not in known]


def column(header: Sequence[str], name: str) -> int:
    """Its index from 0. Raises PermanentError where there are two or none."""
    found = [index for index, other in enumerate(header) if other == name]
    if not found:
        raise no_column([name], header)
    if len(found) > 1:
        raise PermanentError(f"the sheet has {len(found)} columns named {name!r}", cause="two columns of one name")
    return found[0]


def no_column(wanted: Sequence[str], header: Sequence[str]) -> PermanentError:
    shown = ", ".join(repr(name[:80]) for name in wanted[:8])
    if not any(header):
        message = f"row 1 of the sheet, where the columns' names are to be, is empty; it needs {shown}"
    else:
        known = ", ".join(name[:40] for name in header[:20] if name)
        message = f"the sheet has no column {shown}; row 1 has {known}"
    remedy = "name it there, or say missing_columns: add or ignore"
    return PermanentError(f"{message}; {remedy}", cause="column missing")


def placed(row: Row, header: Sequence[str]) -> list[Cell]:
    """A row's values by position. What has no column is left out."""
    if isinstance(row, list):
        return list(row)
    values: dict[int, Cell] = {}
    for name, value in row.items():
        if name in header:
            values[column(header, name)] = value
    return [values.get(index) for index in range(max(values, default=-1) + 1)]


def with_value(row: list[Cell], index: int, value: Cell) -> list[Cell]:
    wide = row + [None] * (index + 1 - len(row))
    wide[index] = value
    return wide


def rows_with(found: Sequence[Any], key: Cell) -> list[int]:
    """Numbers of the rows, from 2, that have the key in this column; `found` starts with the header."""
    wanted = plain(key)
    return [number for number, value in enumerate(found, 1) if number > 1 and plain(value) == wanted]


def plain(value: Any) -> str:
    """Keys are compared as text: 7 and 7.0 are the same number, 7 and 007 are not the same text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return to_text(value)


def runs(row: Mapping[str, Cell], header: Sequence[str]) -> Iterator[tuple[int, list[Cell]]]:
    """The row's values as pieces without gaps: (index of the first column, values). Nulls are gaps."""
    values = {column(header, name): value for name, value in row.items() if name in header and value is not None}
    start, piece = 0, list[Cell]()
    for index in sorted(values):
        if piece and index != start + len(piece):
            yield start, piece
            piece = []
        if not piece:
            start = index
        piece.append(values[index])
    if piece:
        yield start, piece
