"""Google Sheets v4, as strict as the discovery document (rev 20261019) and the error
messages that Google's users have published. What it does not know, it refuses.

    google = FakeGoogle()
    with RecordingServer(default=google) as server:
        key_file = google.key_file(server.url)
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from relay.testing import Answer, Recorded
from tests.connectors.fake_google_account import EMAIL, FakeAccount
from tests.connectors.fake_google_cells import RefusedError, Tab, checked, entered, index_of, letters, shown, wrong

BOOK = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"

_RANGE = re.compile(
    r"(?:(?P<title>'(?:[^']|'')+'|\w+)!)?(?P<c1>[A-Z]{0,3})(?P<r1>\d*)(?::(?P<c2>[A-Z]{0,3})(?P<r2>\d*))?"
)
_INPUT = ("RAW", "USER_ENTERED")
#: For each call: the query parameters and body fields that the discovery document names, as far as they are played.
_QUERY = {
    "get": {"majorDimension", "valueRenderOption", "dateTimeRenderOption"},
    "batchGet": {"ranges", "majorDimension", "valueRenderOption", "dateTimeRenderOption"},
    "append": {"valueInputOption", "insertDataOption", "includeValuesInResponse"},
    "update": {"valueInputOption", "includeValuesInResponse"},
    "batchUpdate": set[str](),
    "spreadsheet": {"ranges", "includeGridData"},
    "change": set[str](),
}
_SYSTEM = {"fields", "alt", "prettyPrint", "quotaUser", "key"}
_ENUMS = {
    "majorDimension": ("ROWS", "COLUMNS"),
    "valueRenderOption": ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"),
    "valueInputOption": _INPUT,
    "insertDataOption": ("OVERWRITE", "INSERT_ROWS"),
}


class FakeGoogle(FakeAccount):
    """shared     addresses that may write
    disabled   the project has the Sheets API switched off
    limit      cells of the whole book
    quota      writes that are left, or None
    """

    def __init__(self, *rows: list[Any]) -> None:
        super().__init__()
        self.tabs = [Tab("Hidden", [["x"]], hidden=True), Tab("Chats", [list(row) for row in rows])]
        self.shared = {EMAIL}
        self.disabled = False
        self.limit = 10_000_000
        self.quota: int | None = None
        self.protected: set[str] = set()

    @property
    def rows(self) -> list[list[Any]]:
        return self.tabs[1].rows

    def __call__(self, request: Recorded) -> Answer:
        try:
            if request.path == "/token":
                return self.token(request)
            return Answer(200, self._api(request))
        except RefusedError as refused:
            return refused.answer

    # -- the API

    def _api(self, request: Recorded) -> dict[str, Any]:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) < self.clock():
            raise RefusedError(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
                "valid authentication credential.",
            )
        if self.disabled:
            what = "Google Sheets API has not been used in project 1234 before or it is disabled."
            raise RefusedError(403, "PERMISSION_DENIED", what, "SERVICE_DISABLED")
        call, where = self._call(request)
        query = self._query(request, call)
        body = self._body(request)
        if request.method != "GET" and self.quota is not None:
            self.quota -= 1
            if self.quota < 0:
                what = "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per user'"
                raise RefusedError(429, "RESOURCE_EXHAUSTED", what, "RATE_LIMIT_EXCEEDED")
        handler = getattr(self, f"_{call}")
        answer: dict[str, Any] = handler(where, query, body)
        return answer

    def _call(self, request: Recorded) -> tuple[str, str]:
        match = re.fullmatch(r"/v4/spreadsheets/([\w-]+)(?:(:batchUpdate)|/values(?:(:\w+)|/(.+)))?", request.path)
        if match is None:
            raise RefusedError(404, "NOT_FOUND", "Not found.")
        book, change, several, where = match.groups()
        if book != BOOK:
            raise RefusedError(404, "NOT_FOUND", "Requested entity was not found.")
        if EMAIL not in self.shared:
            raise RefusedError(403, "PERMISSION_DENIED", "The caller does not have permission")
        verb, call = "GET", "spreadsheet"
        if change:
            verb, call = "POST", "change"
        elif several:
            verb, call = ("GET", "batchGet") if several == ":batchGet" else ("POST", several[1:])
        elif where and where.endswith(":append"):
            verb, call, where = "POST", "append", where.removesuffix(":append")
        elif where:
            verb, call = request.method, "get" if request.method == "GET" else "update"
        if call not in _QUERY or request.method != verb or (call == "update" and verb != "PUT"):
            raise RefusedError(404, "NOT_FOUND", "Not found.")
        if "/" in (where or "") or re.search(r"[^\w%.~:!'()*+,;=@&$-]", where or ""):
            raise RefusedError(404, "NOT_FOUND", "the range isn't percent-encoded")
        return call, unquote(where or "")

    def _query(self, request: Recorded, call: str) -> dict[str, list[str]]:
        query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
        for name, values in query.items():
            if name not in _QUERY[call] | _SYSTEM:
                raise wrong(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.')
            if name in _ENUMS and any(value not in _ENUMS[name] for value in values):
                raise wrong(f"Invalid value at '{name}' (TYPE_ENUM), \"{values[0]}\"")
        if call in ("append", "update") and "valueInputOption" not in query:
            raise wrong("'valueInputOption' is required but not specified")
        return query

    @staticmethod
    def _body(request: Recorded) -> dict[str, Any]:
        if request.method == "GET":
            if request.body:
                raise wrong("a GET has no body")
            return {}
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise wrong("Invalid JSON payload received.")
        body = request.json()
        assert isinstance(body, dict)
        return body

    @staticmethod
    def _known(body: dict[str, Any], *names: str) -> None:
        for name in body:
            if name not in names:
                raise wrong(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')

    def _find(self, where: str) -> tuple[Tab, int, int, int | None, int | None]:
        """(tab, first row, first column, last row, last column), from 0; None where the range is open."""
        match = _RANGE.fullmatch(where)
        if match is None or not (match["c1"] or match["r1"]):
            raise wrong(f"Unable to parse range: {where}")
        title = match["title"]
        if title is None:
            tab = next(tab for tab in self.tabs if not tab.hidden)
        else:
            title = title[1:-1].replace("''", "'") if title.startswith("'") else title
            found = [tab for tab in self.tabs if tab.title == title]
            if not found:
                raise wrong(f"Unable to parse range: {where}")
            tab = found[0]
        row, col = int(match["r1"] or 1) - 1, index_of(match["c1"]) if match["c1"] else 0
        if match["c2"] is None:
            return tab, row, col, row, col
        last_row = int(match["r2"]) - 1 if match["r2"] else None
        last_col = index_of(match["c2"]) if match["c2"] else None
        if max(last_row or row, row) >= tab.grid_rows or max(last_col or col, col) >= tab.columns:
            limits = f"Max rows: {tab.grid_rows}, max columns: {tab.columns}"
            raise wrong(f"Range ({where}) exceeds grid limits. {limits}")
        return tab, row, col, last_row, last_col

    def _values(self, where: str, render: str) -> dict[str, Any]:
        tab, row, col, last_row, last_col = self._find(where)
        rows = []
        for line in tab.rows[row : len(tab.rows) if last_row is None else last_row + 1]:
            part = [shown(value, render) for value in line[col : len(line) if last_col is None else last_col + 1]]
            while part and part[-1] == "":
                part.pop()
            rows.append(part)
        while rows and not rows[-1]:
            rows.pop()
        answer: dict[str, Any] = {"range": where, "majorDimension": "ROWS"}
        return answer | ({"values": rows} if rows else {})

    def _get(self, where: str, query: dict[str, list[str]], body: dict[str, Any]) -> dict[str, Any]:
        return self._values(where, query.get("valueRenderOption", ["FORMATTED_VALUE"])[0])

    def _batchGet(self, where: str, query: dict[str, list[str]], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        render = query.get("valueRenderOption", ["FORMATTED_VALUE"])[0]
        return {"spreadsheetId": BOOK, "valueRanges": [self._values(where, render) for where in query["ranges"]]}

    def _append(self, where: str, query: dict[str, list[str]], body: dict[str, Any]) -> dict[str, Any]:
        self._known(body, "range", "majorDimension", "values")
        tab, top, _, _, _ = self._find(where)
        rows = checked(body.get("values"))
        end = top
        while not tab.blank(end):
            end += 1
        wide = max([tab.columns, *map(len, rows)])
        if sum(t.grid_rows * t.columns for t in self.tabs) + len(rows) * wide > self.limit:
            what = (
                f"This action would increase the number of cells in the workbook above the limit of {self.limit} cells."
            )
            raise wrong(what)
        if query.get("insertDataOption") == ["INSERT_ROWS"]:
            tab.rows[end:end] = [[] for _ in rows]
            tab.grid_rows += len(rows)
        tab.columns = wide
        updates = self._written(tab, end, 0, rows, query["valueInputOption"][0])
        return {"spreadsheetId": BOOK, "tableRange": where, "updates": updates}

    def _update(self, where: str, query: dict[str, list[str]], body: dict[str, Any]) -> dict[str, Any]:
        self._known(body, "range", "majorDimension", "values")
        return self._put(where, body.get("values"), query["valueInputOption"][0])

    def _batchUpdate(self, where: str, query: Any, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._known(body, "valueInputOption", "data", "includeValuesInResponse")
        if body.get("valueInputOption") not in _INPUT:
            raise wrong("'valueInputOption' is required but not specified")
        for piece in body["data"]:
            self._known(piece, "range", "majorDimension", "values")
        done = [self._put(piece["range"], piece["values"], body["valueInputOption"]) for piece in body["data"]]
        cells = sum(one["updatedCells"] for one in done)
        return {"spreadsheetId": BOOK, "totalUpdatedCells": cells, "responses": done}

    def _put(self, where: str, values: Any, option: str) -> dict[str, Any]:
        tab, row, col, last_row, last_col = self._find(where)
        rows = checked(values)
        high, wide = (last_row or row) - row + 1, (last_col or col) - col + 1
        if len(rows) > high or max(map(len, rows)) > wide:
            raise wrong(f"Requested writing within range [{where}], but tried writing outside of it")
        if tab.title in self.protected:
            raise wrong(
                "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove "
                "protection if you need to edit."
            )
        return self._written(tab, row, col, rows, option)

    @staticmethod
    def _written(tab: Tab, row: int, col: int, rows: list[list[Any]], option: str) -> dict[str, Any]:
        count = 0
        for down, line in enumerate(rows):
            for right, value in enumerate(line):
                if value is not None:
                    count += 1
                    tab.put(row + down, col + right, entered(value) if option == "USER_ENTERED" else value)
        wide = max(map(len, rows))
        where = f"'{tab.title}'!{letters(col)}{row + 1}:{letters(col + wide - 1)}{row + len(rows)}"
        numbers = {"updatedRows": len(rows), "updatedColumns": wide, "updatedCells": count}
        return {"spreadsheetId": BOOK, "updatedRange": where, **numbers}

    def _spreadsheet(self, where: str, query: dict[str, list[str]], body: Any) -> dict[str, Any]:
        sheets = [
            {
                "properties": {
                    "sheetId": 100 + index,
                    "title": tab.title,
                    **({"index": index} if index else {}),  # as in proto3's JSON, a zero isn't written
                    **({"hidden": True} if tab.hidden else {}),
                    "gridProperties": {"columnCount": tab.columns},
                }
            }
            for index, tab in enumerate(self.tabs)
        ]
        return {"properties": {"title": "Chats of 2026"}, "sheets": sheets}

    def _change(self, where: str, query: Any, body: dict[str, Any]) -> dict[str, Any]:
        self._known(body, "requests")
        for request in body["requests"]:
            self._known(request, "appendDimension")
            grow = request["appendDimension"]
            self._known(grow, "sheetId", "dimension", "length")
            if grow["dimension"] != "COLUMNS" or not 100 <= grow["sheetId"] < 100 + len(self.tabs):
                raise wrong("Invalid requests[0].appendDimension: No grid with id")
            self.tabs[grow["sheetId"] - 100].columns += grow["length"]
        return {"spreadsheetId": BOOK, "replies": [{} for _ in body["requests"]]}
