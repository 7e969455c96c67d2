"""Google Sheets: rows appended, and rows changed by a key, in one spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from pydantic import Field, model_validator

from connectors.common.vendor_words import one_line
from connectors.google_sheets.api import Errand, SheetsApi
from connectors.google_sheets.config import SheetsConfig
from connectors.google_sheets.rows import Cell, Row, cells, column, placed, plain, rows_with, runs, with_value
from connectors.google_sheets.tab import Headers, Missing, Tab
from connectors.guides.google_sheets import GUIDE
from relay.connector import Action, Call, Check, Context, Example, Fields, Outgoing
from relay.errors import DeliveryError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply

_SHEET = "The tab; the first one that is shown where it isn't said."
_MISSING = (
    "What becomes of values whose column isn't named in row 1: a dead letter (refuse), a new column at the right "
    "(add), or they are left out (ignore)."
)


class AppendFields(Fields):
    sheet: str = Field("", description=_SHEET, examples=["Chats"])
    row: dict[str, Any] | list[Any] | None = Field(
        None, description="One row: values by the columns' names in row 1, or a list of values from column A on."
    )
    rows: list[dict[str, Any] | list[Any]] | None = Field(None, description="Several rows, in one call.")
    missing_columns: Missing = Field("refuse", description=_MISSING)
    delivery_id_column: str | None = Field(
        None,
        min_length=1,
        description="A column for the delivery's id, which is read before anything is appended: a retry after an "
        "answer that never came finds its row there instead of appending it twice. Where a row gives this column a "
        "value of its own, as `$delivery.id`, that is looked for. Costs reading the column with every call.",
        examples=["Relay ID"],
    )

    @model_validator(mode="after")
    def _has_rows(self) -> AppendFields:
        if (self.row is None) == (not self.rows):
            raise ValueError("give one `row`, or several as `rows`")
        return self

    def all_rows(self) -> list[Row]:
        return list(self.rows or []) if self.row is None else [self.row]


class KeyFields(Fields):
    sheet: str = Field("", description=_SHEET, examples=["Contacts"])
    key_column: str = Field(min_length=1, description="The column that tells which row it is; `row` has its value.")
    row: dict[str, Any] = Field(
        description="Values by the columns' names. Null leaves a cell as it is, an empty text clears it."
    )
    missing_columns: Missing = Field("refuse", description=_MISSING)


@dataclass(frozen=True, slots=True)
class Append(Outgoing):
    """Rows to append. ids: what their delivery-id column holds, where there is one."""

    spreadsheet: str
    fields: AppendFields = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    key: str
    ids: tuple[str, ...] = ()

    def preview(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"append to": self.fields.sheet or "the first sheet", "spreadsheet": self.spreadsheet}
        shown["rows"] = list(self.rows)
        if self.ids:
            shown[self.fields.delivery_id_column or ""] = list(self.ids)
        return shown


@dataclass(frozen=True, slots=True)
class Change(Outgoing):
    spreadsheet: str
    fields: KeyFields = field(repr=False)
    row: dict[str, Cell] = field(repr=False)
    insert: bool

    @property
    def key(self) -> Cell:
        return self.row[self.fields.key_column.strip()]

    def preview(self) -> dict[str, Any]:
        what = "update or append in" if self.insert else "update in"
        where = {what: self.fields.sheet or "the first sheet", "spreadsheet": self.spreadsheet}
        return {**where, "where": {self.fields.key_column: self.key}, "row": self.row}


FieldsT = TypeVar("FieldsT", bound=Fields)
OutgoingT = TypeVar("OutgoingT", bound=Outgoing)


class _Action(Action[SheetsConfig, FieldsT, OutgoingT]):
    def tab(self, http: Any, sheet: str) -> Tab:
        connection = cast("GoogleSheets", self.connection)
        seconds = self.config.header_for.total_seconds()
        return Tab(http, self.config.spreadsheet, sheet, connection.headers, seconds)

    @property
    def api(self) -> GoogleSheets:
        return cast("GoogleSheets", self.connection)


class AppendRow(_Action[AppendFields, Append]):
    name = "append_row"
    summary = (
        "Append rows at the end of the table that begins in A1, as plain values: nothing is run as a formula. A batch "
        "is one call. Idempotent with `delivery_id_column`; without it, an answer that never came is an unknown "
        "outcome."
    )
    With = AppendFields
    batchable = True
    row_fields = ("row", "rows")
    examples = (
        Example("By position", {"row": ["Ana", "ana@example.com", 2]}),
        Example(
            "By the columns' names",
            {"sheet": "Chats", "row": {"Name": "Ana", "Rating": 2}, "delivery_id_column": "Relay ID"},
        ),
        Example("Several", {"rows": [{"Name": "Ana"}, {"Name": "Ben"}], "missing_columns": "add"}),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        common = {key: value for key, value in many[0].items() if key not in cls.row_fields}
        rows: list[Any] = []
        for fields in many:
            for key in {*common, *fields} - set(cls.row_fields):
                if common.get(key) != fields.get(key):
                    raise PermanentError(
                        f"deliveries of one batch differ in `{key}`", cause="batch of different sheets"
                    )
            rows.extend([fields["row"]] if fields.get("row") is not None else fields.get("rows") or [])
        return {**common, "rows": rows}

    def prepare(self, fields: AppendFields, call: Call) -> Append:
        rows = tuple(cells(row) for row in fields.all_rows())
        key = call.idempotency_key
        if fields.delivery_id_column is None:
            return Append(self.config.spreadsheet, fields, rows, key)
        ids = []
        for row, row_key in zip(rows, call.row_keys(len(rows)), strict=True):
            own = row.get(fields.delivery_id_column.strip()) if isinstance(row, dict) else None
            ids.append(plain(own) if own not in (None, "") else row_key)
        return Append(self.config.spreadsheet, fields, rows, key, tuple(ids))

    async def send(self, outgoing: Append, call: Call) -> Reply:
        return await self.api.run(partial(self._append, outgoing), call, repeats=bool(outgoing.ids))

    def _append(self, outgoing: Append, http: Any, errand: Errand) -> Reply:
        fields, tab = outgoing.fields, self.tab(http, outgoing.fields.sheet)
        id_column = (fields.delivery_id_column or "").strip()
        header: list[str] = []
        if id_column or any(isinstance(row, dict) for row in outgoing.rows):
            header = tab.fitted(outgoing.rows, fields.missing_columns, id_column or None)
        if not id_column:
            return appended(tab, [_filled(row, header) for row in outgoing.rows], errand)
        header, found = tab.look(header, id_column)
        index = column(header, id_column)
        left = _not_there(outgoing, {plain(value) for value in found[1:]})
        if not left:
            body: Any = {"rows": len(outgoing.rows), "fresh": False}
            return Reply(body, "the rows are there already, from an earlier attempt", errand.status)
        return appended(tab, [with_value(_filled(row, header), index, key) for row, key in left], errand)


def _filled(row: Row, header: Sequence[str]) -> list[Cell]:
    made = placed(row, header)
    if all(value is None or value == "" for value in made):
        raise PermanentError("none of the row's values has a column in the sheet", cause="empty row")
    return made


def _not_there(outgoing: Append, there: set[str]) -> list[tuple[Row, str]]:
    """The rows that no earlier attempt has appended. One call appends all of its rows or none."""
    mine = {value for value in there if value == outgoing.key or value.startswith(f"{outgoing.key}/")}
    left = []
    for row, key in zip(outgoing.rows, outgoing.ids, strict=True):
        made_up = key == outgoing.key or key.startswith(f"{outgoing.key}/")
        if not (mine if made_up else key in there):
            left.append((row, key))
    return left


def appended(tab: Tab, rows: Sequence[list[Cell]], errand: Errand) -> Reply:
    try:
        answer = tab.append(rows)
    except DeliveryError:
        tab.forget()
        raise
    count = f"{len(rows)} row" if len(rows) == 1 else f"{len(rows)} rows"
    if errand.cut:
        return Reply(
            {"rows": len(rows), "fresh": True}, f"appended {count} ({errand.cut})", errand.status, errand.record
        )
    updates = answer.get("updates")
    if not isinstance(updates, dict) or updates.get("updatedRows") != len(rows):
        kind = RetryableError if errand.repeats else UnknownOutcomeError
        message = f"Google Sheets answered {errand.status}, but not that {count} were appended; it may have been done"
        raise kind(message, status=errand.status, cause="not an answer of sheets")
    where = str(updates.get("updatedRange", ""))
    return Reply(
        {"range": where, "rows": len(rows), "fresh": True}, f"appended {count} at {where}", errand.status, errand.record
    )


class _ByKey(_Action[KeyFields, Change]):
    """The API can't write by a key, so a row that a person moves between looking and writing is missed: a moment."""

    With = KeyFields
    idempotent = True
    insert: ClassVar[bool]

    def prepare(self, fields: KeyFields, call: Call) -> Change:
        row = cells(fields.row)
        assert isinstance(row, dict)
        key = row.get(fields.key_column.strip())
        if key is None or key == "":
            raise PermanentError(f"the row has no value for its key, {fields.key_column!r}", cause="row without a key")
        return Change(self.config.spreadsheet, fields, row, self.insert)

    async def send(self, outgoing: Change, call: Call) -> Reply:
        return await self.api.run(partial(self._change, outgoing), call, repeats=True)

    def _change(self, outgoing: Change, http: Any, errand: Errand) -> Reply:
        fields, tab = outgoing.fields, self.tab(http, outgoing.fields.sheet)
        name = fields.key_column.strip()
        header, found = tab.look(tab.fitted([outgoing.row], fields.missing_columns, name), name)
        rows = rows_with(found, outgoing.key)
        if len(rows) > 1:
            numbers = ", ".join(map(str, rows[:5]))
            message = f"{len(rows)} rows have this {name!r} (rows {numbers}); none was changed"
            raise PermanentError(message, cause="several rows have the key")
        if not rows and not self.insert:
            raise PermanentError(f"no row has this {name!r}; `upsert_row` would append one", cause="no row has the key")
        if not rows:
            return appended(tab, [placed(outgoing.row, header)], errand)
        pieces = list(runs({key: value for key, value in outgoing.row.items() if key != name}, header))
        body: Any = {"row": rows[0], "rows": 1, "fresh": False}
        if not pieces:
            return Reply(body, f"row {rows[0]} is there, and nothing in it was to be changed", errand.status)
        answer = tab.write(rows[0], pieces)
        if "totalUpdatedCells" not in answer:
            raise RetryableError(
                f"Google Sheets answered {errand.status}, but not that cells were updated",
                status=errand.status,
                cause="not an answer of sheets",
            )
        return Reply(body, f"updated row {rows[0]}", errand.status, errand.record)


class UpdateRow(_ByKey):
    name = "update_row"
    summary = "Change cells of the one row that has the key in its column. No such row, or several, is a dead letter."
    insert = False
    examples = (Example("By e-mail", {"key_column": "Email", "row": {"Email": "ana@example.com", "Status": "closed"}}),)


class UpsertRow(_ByKey):
    name = "upsert_row"
    summary = "Change the row that has a value in its key column, or append it where no row has."
    insert = True
    examples = (
        Example(
            "A contact",
            {"sheet": "Contacts", "key_column": "Email", "row": {"Email": "ana@example.com", "Name": "Ana"}},
        ),
    )


class GoogleSheets(SheetsApi):
    name = "google_sheets"
    summary = (
        "Rows in a Google spreadsheet, by a service account. Share the spreadsheet with the account's address, and let "
        "nobody else append to it at the same time."
    )
    guide = GUIDE
    Config = SheetsConfig
    actions = (AppendRow, UpdateRow, UpsertRow)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "google_sheets",
        "spreadsheet": "https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
        "service_account": "${file:secrets/google.json}",
    }

    def __init__(self, config: SheetsConfig, context: Context) -> None:
        super().__init__(config, context)
        self.headers: Headers = {}

    async def check(self, timeout: timedelta) -> Check:
        """Read the spreadsheet's title. Whether the account may write too, Google tells only who writes."""

        def look(http: Any, errand: Errand) -> Any:
            return http.fetch_sheet_metadata(self.config.spreadsheet, {"fields": "properties.title"})

        try:
            answer = await self.run(look, Call("check", "check", timeout=timeout), repeats=True)
        except PermanentError as error:
            if error.cause != "spreadsheet not found":
                raise
            raise PermanentError(
                f"{error.message}, and share it with {self.email}, as Editor", status=404, cause=error.cause
            ) from None
        title = one_line(dict(answer).get("properties", {}).get("title") or "?", self.hiding)
        return Check(f"the account opens {title}; to write, it has to be shared with {self.email} as Editor")
