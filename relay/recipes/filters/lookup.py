"""Looking into tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.errors import Place
from relay.recipes.filters.registry import filter_of
from relay.recipes.tables import Table
from relay.recipes.words import listed, shown, unknown

_NOTHING = object()

#: What the examples look into.
EXAMPLES: Mapping[str, Table] = {
    "courses": Table(
        name="courses",
        columns=("code", "title", "school"),
        rows={"G100": ("G100", "Mathematics", "Science"), "Q300": ("Q300", "English", "Humanities")},
        alone=None,
        place=Place("tables/courses.csv"),
        version="1",
    ),
    "tags": Table(
        name="tags",
        columns=("id", "tag"),
        rows={"7": ("7", "vip"), "8": ("8", "new")},
        alone=1,
        place=Place("tables/tags.csv"),
        version="1",
    ),
}


def _table(tables: Mapping[str, Table], name: Any, column: Any) -> Table:
    """Raises ValueError where there is no such table, or no such column in it."""
    table = tables.get(name) if isinstance(name, str) else None
    if table is None and not tables:
        raise ValueError(f"unknown table `{name}`: it would be a file, tables/{name}.csv, or rows under `tables:`")
    if table is None:
        raise ValueError(unknown("table", str(name), tables))
    if table.broken:
        raise ValueError(f"the table `{name}` has errors, which are told at {table.place}")
    if column is not None and column not in table.columns:
        if not table.columns:
            raise ValueError(f"a row of `{name}` is one value: it has no column `{column}`")
        raise ValueError(unknown(f"column of `{name}`", str(column), table.columns))
    return table


def _check(tables: Mapping[str, Table], name: Any, column: Any = None, otherwise: Any = None) -> None:
    _table(tables, name, column)


@filter_of(
    "Tables",
    "The row of a table that has the value as its key: one column of it, or all as an object; where a row has but a "
    "key and one value, that value. A value without a row is an error, unless you say what to take then.",
    ('$.course | lookup("courses", "title")', {"course": "G100"}, "Mathematics"),
    ('$.course | lookup("courses")', {"course": "Q300"}, {"code": "Q300", "title": "English", "school": "Humanities"}),
    ('$.tag | lookup("tags")', {"tag": 7}, "vip"),
    ('$.tag | lookup("tags", "tag", "other")', {"tag": 99}, "other"),
    ('$.course | lookup("courses", null, null)', {"course": "X999"}, None),
    ('$.tags | map("lookup", "tags")', {"tags": [8, " 7 "]}, ["new", "vip"]),
    tabled=True,
    check=_check,
    check_leading=True,
    signature="lookup(table, column=null, otherwise)",
)
def lookup(
    value: Any, tables: Mapping[str, Table], name: str, column: str | None = None, otherwise: Any = _NOTHING
) -> Any:
    table = _table(tables, name, column)
    try:
        return table.find(value, column)
    except KeyError:
        if otherwise is not _NOTHING:
            return otherwise
    guess = table.nearest_key(value)
    hint = f"; did you mean {shown(guess)}?" if guess is not None else ""
    there = f"; there are {listed(table.rows)}" if len(table.rows) <= 12 and guess is None else ""
    raise ValueError(f"the table `{name}` has no row {shown(value)}{hint}{there}")
