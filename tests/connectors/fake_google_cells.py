"""The cells of the Google Sheets fake, and what Google says of those it doesn't take."""

from __future__ import annotations

import re
from typing import Any

from relay.testing import Answer


class RefusedError(Exception):
    def __init__(self, code: int, status: str, message: str, reason: str = "") -> None:
        error: dict[str, Any] = {"code": code, "message": message, "status": status}
        if reason:
            kind = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
        self.answer = Answer(code, {"error": error})


def wrong(message: str) -> RefusedError:
    return RefusedError(400, "INVALID_ARGUMENT", message)


class Tab:
    """Cells as they are kept: text, numbers, truth values, and ("formula", text) for what runs."""

    def __init__(self, title: str, rows: list[list[Any]], columns: int = 26, hidden: bool = False) -> None:
        self.title = title
        self.rows = rows
        self.columns = columns
        self.hidden = hidden
        self.grid_rows = max(1000, len(rows))

    def get(self, row: int, column: int) -> Any:
        return self.rows[row][column] if row < len(self.rows) and column < len(self.rows[row]) else ""

    def put(self, row: int, column: int, value: Any) -> None:
        while len(self.rows) <= row:
            self.rows.append([])
        line = self.rows[row]
        line.extend([""] * (column + 1 - len(line)))
        line[column] = value

    def blank(self, row: int) -> bool:
        return row >= len(self.rows) or all(value == "" for value in self.rows[row])


def checked(values: Any) -> list[list[Any]]:
    if not isinstance(values, list) or not values or not all(isinstance(row, list) for row in values):
        raise wrong("Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue)")
    for down, row in enumerate(values):
        for right, value in enumerate(row):
            if isinstance(value, (dict, list)):
                raise wrong(f"Invalid values[{down}][{right}]: struct_value")
            if isinstance(value, str) and len(value) > 50_000:
                raise wrong("Your input contains more than the maximum of 50000 characters in a single cell.")
    return values


def entered(value: Any) -> Any:
    """What Sheets makes of a text as if it had been typed."""
    if isinstance(value, str) and value[:1] in ("=", "+"):
        return ("formula", value)
    return float(value) if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) else value


def shown(value: Any, render: str) -> Any:
    if isinstance(value, tuple):
        return "#EXECUTED"
    if render == "UNFORMATTED_VALUE" or isinstance(value, str):
        return value
    return str(value).upper() if isinstance(value, bool) else str(value)


def index_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def letters(index: int) -> str:
    name, number = "", index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name
