"""PostgreSQL: rows into a table, in one transaction a call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar, cast

from connectors.guides.postgres import GUIDE
from connectors.postgres.config import PostgresConfig
from connectors.postgres.errors import About
from connectors.postgres.fields import InsertFields, RowFields, UpsertFields, merged
from connectors.postgres.names import quoted
from connectors.postgres.session import Database
from connectors.postgres.table import Table, load_table, on_conflict_update, parameters, statement
from relay.connector import Action, Call, Check, Connector, Context, Example, Outgoing
from relay.errors import PermanentError
from relay.model import Reply

_Numbered = tuple[int, Mapping[str, Any]]
FieldsT = TypeVar("FieldsT", bound=RowFields)


@dataclass(frozen=True, slots=True)
class Rows(Outgoing):
    """repeatable: a repeat adds no row, so that a connection lost at COMMIT may be tried again."""

    table: str
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    options: Mapping[str, Any]
    repeatable: bool

    def preview(self) -> dict[str, Any]:
        return {"table": self.table, "rows": [dict(row) for row in self.rows], **self.options}


class _Write(Action[PostgresConfig, FieldsT, Rows]):
    """What both actions share: all rows of a call in one transaction, or none."""

    batchable = True
    row_fields = ("row", "rows")
    max_rows = 1000

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged(many)

    async def send(self, outgoing: Rows, call: Call) -> Reply:
        connection = cast("Postgres", self.connection)
        names = list(dict.fromkeys(name for row in outgoing.rows for name in row))
        table = connection.tables.get(outgoing.table)
        about = About(
            self.config, outgoing.table, outgoing.repeatable, table.unchecked(names) if table is not None else ()
        )

        async def write(open_: Any) -> int:
            table = await connection.table(open_, outgoing.table, names)
            return await self.write(open_, table, outgoing)

        try:
            written = await connection.database.transaction(call.timeout.total_seconds(), about, write)
        except PermanentError:
            connection.tables.pop(outgoing.table, None)  # it may have been altered: the next attempt asks anew
            raise
        return Reply(
            body={"table": outgoing.table, "rows": len(outgoing.rows), "written": written},
            summary=_told(outgoing, written),
        )

    async def write(self, connection: Any, table: Table, outgoing: Rows) -> int:
        """How many rows were written."""
        raise NotImplementedError


class Insert(_Write[InsertFields]):
    name = "insert"
    summary = "Add a row, or several."
    With = InsertFields
    examples = (
        Example(
            "A row that no retry doubles",
            {
                "table": "chats",
                "row": {"name": "Ana", "rating": 2, "at": "2026-04-03T10:15:00Z", "tags": {"campus": "north"}},
                "delivery_column": "relay_id",
            },
        ),
        Example(
            "Several rows, without those that are there",
            {"table": "crm.leads", "rows": [{"email": "ana@example.com"}], "conflict": "ignore"},
        ),
    )

    def prepare(self, fields: InsertFields, call: Call) -> Rows:
        rows = fields.all_rows()
        options: dict[str, Any] = {"conflict": fields.conflict}
        column = fields.delivery_column
        if column is not None:
            options["delivery_column"] = column
            for number, row in enumerate(rows, 1):
                if column in row and row[column] is None:
                    raise PermanentError(
                        f"row {number} has null for the delivery_column {column}", cause="null in the delivery_column"
                    )
            marks = zip(call.row_keys(len(rows)), rows, strict=True)
            rows = [{column: mark, **row} for mark, row in marks]
        return Rows(fields.table, tuple(rows), options, repeatable=column is not None)

    async def write(self, connection: Any, table: Table, outgoing: Rows) -> int:
        column = outgoing.options.get("delivery_column")
        conflict = "ON CONFLICT DO NOTHING" if outgoing.options["conflict"] == "ignore" else ""
        if column is not None:
            if not table.column(column).single:
                raise PermanentError(
                    f"the delivery_column {column} of {table.name} has no unique index of its own: "
                    f"CREATE UNIQUE INDEX ON {table.name} ({quoted(column)})",
                    cause="delivery_column without unique index",
                )
            conflict = conflict or f"ON CONFLICT ({quoted(column)}) DO NOTHING"
        count = 0
        for names, rows in _by_columns(outgoing.rows):
            values = parameters(table, names, rows)
            status: str = await connection.execute(statement(table, names, conflict), *values)
            count += int(status.rpartition(" ")[2])  # INSERT 0 3
        return count


class Upsert(_Write[UpsertFields]):
    name = "upsert"
    summary = "Add a row, or change the one that has the same key."
    With = UpsertFields
    idempotent = True
    examples = (
        Example(
            "A lead for each address",
            {"table": "crm.leads", "row": {"email": "ana@example.com", "name": "Ana"}, "key": ["email"]},
        ),
    )

    def prepare(self, fields: UpsertFields, call: Call) -> Rows:
        options = {"key": fields.key, **({"keep": fields.keep} if fields.keep else {})}
        return Rows(fields.table, tuple(fields.all_rows()), options, repeatable=True)

    async def write(self, connection: Any, table: Table, outgoing: Rows) -> int:
        key, keep = outgoing.options["key"], outgoing.options.get("keep", [])
        # In their order, one statement a row: the last of two with the same key is what stays, and one statement may
        # not write a row twice.
        for found, run in itertools.groupby(enumerate(outgoing.rows, 1), key=lambda one: tuple(sorted(one[1]))):
            names = list(found)
            values = parameters(table, names, list(run))
            for name in keep:
                table.column(name)
            sql = statement(table, names, on_conflict_update(names, key, keep))
            await connection.executemany(sql, [[[one] for one in row] for row in zip(*values, strict=True)])
        return len(outgoing.rows)


def _by_columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[str], list[_Numbered]]]:
    """Rows that name the same columns, together: a column that isn't named keeps its default."""
    groups: dict[tuple[str, ...], list[_Numbered]] = {}
    for number, row in enumerate(rows, 1):
        groups.setdefault(tuple(sorted(row)), []).append((number, row))
    for names, same in groups.items():
        yield list(names), same


def _told(outgoing: Rows, written: int) -> str:
    number = len(outgoing.rows)
    rows = f"{number} row" if number == 1 else f"{number} rows"
    if written == number:
        return f"wrote {rows} into {outgoing.table}"
    if number == 1:
        return f"the row is in {outgoing.table} already"
    return f"wrote {written} of {rows} into {outgoing.table}; the others are there already"


class Postgres(Connector[PostgresConfig]):
    name = "postgres"
    summary = "PostgreSQL: rows added to a table or changed in it, all rows of a call in one transaction."
    Config = PostgresConfig
    actions = (Insert, Upsert)
    guide = GUIDE
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "postgres",
        "host": "db.example.ac.uk",
        "database": "crm",
        "user": "relay",
        "password": "${PGPASSWORD}",
    }

    def __init__(self, config: PostgresConfig, context: Context) -> None:
        super().__init__(config, context)
        self.database = Database(config, context.idle_seconds)
        self.tables: dict[str, Table] = {}

    async def table(self, connection: Any, name: str, columns: Sequence[str]) -> Table:
        """From the cache, where that knows all the columns: one may have been added since."""
        known = self.tables.get(name)
        if known is None or not known.columns.keys() >= set(columns):
            known = self.tables[name] = await load_table(connection, name)
        return known

    async def check(self, timeout: timedelta) -> Check:
        async def ask(connection: Any) -> tuple[str, str, str]:
            sql = "SELECT current_user::text, current_database()::text, current_setting('server_version')"
            user, database, version = await connection.fetchrow(sql)
            return user, database, version

        user, database, version = await self.database.transaction(timeout.total_seconds(), About(self.config), ask)
        return Check(f"{self.config.host} is PostgreSQL {version}; its database {database} takes us as {user}")

    async def aclose(self) -> None:
        await self.database.aclose()
