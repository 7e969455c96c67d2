"""One tab of a spreadsheet: what gspread is asked to do, in the connection's thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from connectors.google_sheets.rows import Cell, Row, column, missing, names, no_column
from relay.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from gspread.http_client import HTTPClient

Missing = Literal["refuse", "add", "ignore"]
#: Row 1 of each tab, and when it was read.
Headers = dict[str, tuple[float, list[str]]]

_PROPERTIES = "sheets.properties(sheetId,title,index,hidden,gridProperties)"
_RAW = "RAW"


class Tab:
    def __init__(self, http: HTTPClient, book: str, title: str, headers: Headers, header_seconds: float) -> None:
        self._http = http
        self._book = book
        self._title = title
        self._headers = headers
        self._header_seconds = header_seconds

    def at(self, cells: str) -> str:
        """A range of this tab. Without a tab's name, Google takes the first one that is shown."""
        from gspread.utils import absolute_range_name

        return absolute_range_name(self._title, cells) if self._title else cells

    def cells(self, row: int, first: int, width: int) -> str:
        """`B7:D7`; columns count from 0."""
        from gspread.utils import rowcol_to_a1

        return f"{rowcol_to_a1(row, first + 1)}:{rowcol_to_a1(row, first + width)}"

    def header(self, *, anew: bool = False) -> list[str]:
        kept = self._headers.get(self._title)
        if kept is not None and not anew and time.monotonic() - kept[0] < self._header_seconds:
            return kept[1]
        answer = self._http.values_get(self._book, self.at("1:1"))
        return self._keep(_first_row(answer))

    def _keep(self, header: Sequence[Any]) -> list[str]:
        named = names(header)
        self._headers[self._title] = (time.monotonic(), named)
        return named

    def forget(self) -> None:
        self._headers.pop(self._title, None)

    def fitted(self, rows: Sequence[Row], policy: Missing, needed: str | None = None) -> list[str]:
        """The header, with a column for all that the rows use. Raises PermanentError where one is missing."""
        header = self.header()
        if missing(rows, header, needed):
            header = self.header(anew=True)
        lacking = missing(rows, header, needed)
        if lacking and policy == "add":
            return self._widened(header, lacking)
        if lacking and (policy == "refuse" or needed in lacking):
            raise no_column(lacking, header)
        return header

    def _widened(self, header: list[str], more: Sequence[str]) -> list[str]:
        """Name further columns at the right of row 1; doing it twice names them once."""
        wide = len(header) + len(more)
        properties = self._properties()
        there = properties.get("gridProperties", {}).get("columnCount", wide)
        if wide > there:
            grow = {"sheetId": properties["sheetId"], "dimension": "COLUMNS", "length": wide - there}
            self._http.batch_update(self._book, {"requests": [{"appendDimension": grow}]})
        where = self.at(self.cells(1, len(header), len(more)))
        self._http.values_update(self._book, where, {"valueInputOption": _RAW}, {"values": [list(more)]})
        return self._keep([*header, *more])

    def _properties(self) -> dict[str, Any]:
        answer = self._http.fetch_sheet_metadata(self._book, {"fields": _PROPERTIES})
        sheets: list[dict[str, Any]] = dict(answer).get("sheets", [])
        tabs: list[dict[str, Any]] = [tab["properties"] for tab in sheets if "properties" in tab]
        fit = [tab for tab in tabs if tab.get("title") == self._title or (not self._title and not tab.get("hidden"))]
        if not fit:
            raise PermanentError(
                "the spreadsheet has no such sheet; name one of its tabs under `sheet`", cause="no such sheet"
            )
        fit.sort(key=lambda tab: int(tab.get("index", 0)))
        return fit[0]

    def look(self, header: list[str], name: str) -> tuple[list[str], list[Any]]:
        """(the header, what is in a column from row 1 on), read together: columns may have been moved since."""
        for _ in range(3):
            index = column(header, name)
            where = self.cells(1, index, 1).partition(":")[0].rstrip("1")
            answer = self._http.values_batch_get(
                self._book,
                [self.at("1:1"), self.at(f"{where}:{where}")],
                {"valueRenderOption": "UNFORMATTED_VALUE"},
            )
            ranges = answer.get("valueRanges") or []
            if len(ranges) != 2:
                raise RetryableError(
                    "Google Sheets answered other ranges than asked for", cause="not an answer of sheets"
                )
            now = self._keep(_first_row(ranges[0]))
            if now == header:
                return header, [row[0] if row else "" for row in ranges[1].get("values", [])]
            header = now
        raise RetryableError("the sheet's columns are being moved about", cause="columns are moving")

    def append(self, rows: Sequence[list[Cell]]) -> dict[str, Any]:
        """Google's answer.

        The table is looked for at A1, and not wherever a range without data makes Google look: rows would begin in
        another column. New rows are put in, so that what lies below the table isn't written over.
        """
        params: dict[str, Any] = {"valueInputOption": _RAW, "insertDataOption": "INSERT_ROWS"}
        answer: dict[str, Any] = self._http.values_append(self._book, self.at("A1"), params, {"values": list(rows)})
        return answer

    def write(self, row: int, pieces: Sequence[tuple[int, list[Cell]]]) -> dict[str, Any]:
        """Google's answer."""
        data = [{"range": self.at(self.cells(row, first, len(values))), "values": [values]} for first, values in pieces]
        answer: dict[str, Any] = self._http.values_batch_update(self._book, {"valueInputOption": _RAW, "data": data})
        return answer


def _first_row(answer: dict[str, Any]) -> list[Any]:
    values = answer.get("values") or [[]]
    return list(values[0])
