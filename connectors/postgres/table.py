"""A table's columns, asked of the catalogue once; rows as parameters by their types; the statement that writes them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from connectors.postgres.errors import CONTENT_REFUSED
from connectors.postgres.names import name_parts, quoted, table_name
from connectors.postgres.values import Column, ValueRefused, written
from relay.errors import PermanentError

# format_type with -1 gives the name of the type in general (`bpchar`, where null would give `character`: one of them).
_COLUMNS = """
SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS written, format_type(a.atttypid, a.atttypmod) AS shown,
  coalesce(b.typname, t.typname)::text AS kind,
  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
  coalesce(e.typname::text, '') AS element,
  ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l WHERE l.enumtypid IN (t.oid, b.oid, e.oid)) AS labels,
  (a.attgenerated::text <> '' OR a.attidentity::text = 'a') AS fixed,
  EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
    AND i.indimmediate AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS single
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
LEFT JOIN pg_catalog.pg_type e
  ON coalesce(b.typcategory, t.typcategory) = 'A' AND e.oid = coalesce(b.typelem, t.typelem)
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: Mapping[str, Column]

    def column(self, name: str) -> Column:
        """Raises PermanentError where it isn't there, or isn't ours to write."""
        column = self.columns.get(name)
        if column is None:
            near = difflib.get_close_matches(name, self.columns, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(list(self.columns)[:20])}"
            raise PermanentError(
                f"the table {self.name} has no column {name}; {hint}",
                status=CONTENT_REFUSED,
                cause=f"no column {name}",
            )
        if column.fixed:
            raise PermanentError(
                f"the table {self.name} makes the values of {name} itself; leave the column out",
                status=CONTENT_REFUSED,
                cause=f"generated column {name}",
            )
        return column

    def unchecked(self, names: Sequence[str]) -> tuple[str, ...]:
        """Columns of types that only the server can judge."""
        return tuple(name for name in names if name in self.columns and not self.columns[name].is_known)


async def load_table(connection: Any, text: str) -> Table:
    """Raises PermanentError where there is no such table that the user sees."""
    found: list[asyncpg.Record] = await connection.fetch(_COLUMNS, table_name(name_parts(text)))
    if not found:
        raise PermanentError(
            f"there is no table {text}, or the connection's user may not see it; names are case-sensitive here, and "
            "lower-case unless created in quotes",
            cause=f"no table {text}",
        )
    columns = [Column(**{**one, "labels": tuple(one["labels"])}) for one in map(dict, found)]
    return Table(text, {column.name: column for column in columns})


def parameters(
    table: Table, names: Sequence[str], rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> list[list[str | None]]:
    """A list for each column. Raises PermanentError that names row, column and type, but no value."""
    columns = [table.column(name) for name in names]
    lists: list[list[str | None]] = [[] for _ in names]
    for number, row in rows:
        for column, values in zip(columns, lists, strict=True):
            try:
                values.append(written(row[column.name], column))
            except ValueRefused as error:
                raise PermanentError(
                    f"row {number}: the column {column.name} of {table.name} is {column.shown}, and can't take {error}",
                    status=CONTENT_REFUSED,
                    cause=f"value for column {column.name}",
                ) from None
    return lists


def statement(table: Table, names: Sequence[str], conflict: str) -> str:
    """One INSERT for any number of rows: each parameter is a column's values, as texts."""
    into = ", ".join(quoted(name) for name in names)
    values = ", ".join(f"u.c{n}::{table.columns[name].written}" for n, name in enumerate(names))
    lists = ", ".join(f"${n}::text[]" for n, _ in enumerate(names, 1))
    called = ", ".join(f"c{n}" for n, _ in enumerate(names))
    where = table_name(name_parts(table.name))
    # The names and types are the catalogue's, quoted; every value is a parameter.
    return f"INSERT INTO {where} ({into}) SELECT {values} FROM unnest({lists}) AS u ({called}) {conflict}"  # noqa: S608


def on_conflict_update(names: Sequence[str], key: Sequence[str], keep: Sequence[str]) -> str:
    changed = [quoted(name) for name in names if name not in key and name not in keep]
    target = ", ".join(quoted(name) for name in key)
    if not changed:
        return f"ON CONFLICT ({target}) DO NOTHING"
    return f"ON CONFLICT ({target}) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in changed)}"
