"""Tables that `lookup` looks into: a CSV file of the workspace, or rows written in a recipe under `tables:`."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from relay.errors import ConfigError, Place
from relay.model import JSON
from relay.recipes import yaml_tree
from relay.recipes.files import Files, table_file
from relay.recipes.unicode import normal
from relay.recipes.words import kind_of, nearest

if TYPE_CHECKING:
    from relay.recipes.reader import Reader

MAX_ROWS = 200_000
MAX_COLUMNS = 200
#: Up to here the nearest key is looked for among all: with more, one misspelt key would take seconds.
_NEAREST_OF = 1000
#: And of what is longer than this, none is near.
_NEAREST_TO = 200

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by key.

    columns   the names of a row's cells, in a file the key's first; () where a row is written as one value
    rows      by key, as `key_of` spells it: the cells of the row
    alone     the number of the cell that a row is, where no column is named; None where it is an object of all
    place     where the table is written
    version   changes with what it holds
    problems  what is wrong with the file: places and sentences
    broken    it can't be looked into. With problems and not broken, it is what the file held before
    """

    name: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[JSON, ...]] = field(compare=False, repr=False)
    alone: int | None
    place: Place = field(compare=False)
    version: str
    problems: tuple[tuple[Place, str], ...] = ()
    broken: bool = False

    def find(self, value: Any, column: str | None = None) -> JSON:
        """What stands at a key: a column of its row, or else all of it.

        Raises KeyError where there is no such row, ValueError for a value that no key can be.
        """
        cells = self.rows[key_of(value)]
        if column is not None:
            return cells[self.columns.index(column)]
        return cells[self.alone] if self.alone is not None else dict(zip(self.columns, cells, strict=True))

    def nearest_key(self, value: Any) -> str | None:
        key = key_of(value)
        if len(key) > _NEAREST_TO:
            return None
        if len(self.rows) <= _NEAREST_OF:
            return nearest(key, self.rows)
        folded = key.casefold()
        return next((one for one in self.rows if one.casefold() == folded), None)


def key_of(value: Any) -> str:
    """A value as a person writes it in a table: 7 and 7.0 are `7`, true is `true`. Raises ValueError.

    Blanks around it don't count, and neither does how an accent is stored; small and capital letters do.
    """
    match value:
        case str():
            text = value.strip()
            return normal("NFC", text)
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e16:
            return str(int(value))
        case int() if value.bit_length() < 4096:
            return str(value)
        case float():
            return repr(value)
    raise ValueError(f"a row is found by text or a number, and this is {kind_of(value)}")


# --- files ---


def read_tables(
    files: Files, known: Mapping[str, Table] | None = None, kept: Mapping[str, str] | None = None
) -> dict[str, Table]:
    """The tables of a workspace's folder, by name.

    known  what was read before: a table whose file holds the same is taken from there
    kept   by file (`tables/courses.csv`), the text that last had no error: it is in force where there is one now
    """
    tables: dict[str, Table] = {}
    for name in files.tables:
        path = str(files.path(table_file(name)))
        try:
            text = files.text(table_file(name))
        except ConfigError as error:
            problem = (error.place or Place(path), error.message)
            table = Table(name, (), {}, None, Place(path), "", (problem,), broken=True)
        else:
            before = (known or {}).get(name)
            table = before if before is not None and before.version == _version(text) else table_of(name, text, path)
        last = (kept or {}).get(table_file(name))
        if table.broken and last is not None and not (valid := table_of(name, last, path)).broken:
            table = replace(valid, problems=table.problems)
        tables[name] = table
    return tables


def table_of(name: str, text: str, file: str) -> Table:
    """A CSV file's text as a table; `broken`, with its problems, where there is an error."""
    reading = _Reading(file)
    rows = reading.table(text.removeprefix("\ufeff"))
    alone = 1 if len(reading.columns) == 2 else None
    problems = tuple(reading.problems)
    return Table(name, reading.columns, rows, alone, Place(file), _version(text), problems, broken=bool(problems))


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class _Reading:
    """One CSV file. Every error is noted; at too many it stops."""

    _ENOUGH = 20

    def __init__(self, file: str) -> None:
        self.file = file
        self.columns: tuple[str, ...] = ()
        self.problems: list[tuple[Place, str]] = []

    def note(self, line: int, message: str) -> None:
        self.problems.append((Place(self.file, line), message))

    def table(self, text: str) -> dict[str, tuple[str, ...]]:
        rows: dict[str, tuple[str, ...]] = {}
        lines: dict[str, int] = {}
        for line, cells in self.records(text):
            if not self.columns:
                self.heading(line, cells)
                if not self.columns:
                    break
                continue
            if len(self.problems) >= self._ENOUGH:
                break
            if len(rows) == MAX_ROWS:
                self.note(line, f"a table has at most {MAX_ROWS:,} rows")
                break
            row = self.row(line, cells)
            key = key_of(row[0]) if row is not None else ""
            if key in rows:
                self.note(line, f"`{key}` is there twice, first in line {lines[key]}: keep one")
            elif row is not None:
                rows[key], lines[key] = row, line
        if not self.columns and not self.problems:
            self.note(1, "the table is empty: its first line names the columns, such as code,title")
        return rows

    def records(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Each row that isn't blank, with the line it begins in; blanks around a cell are taken off."""
        first = text.partition("\n")[0]
        # Without a comma in the heading it is one of the others that Excel writes in many countries.
        delimiter = next((sign for sign in _DELIMITERS if sign in first), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield line, stripped
                line = reader.line_num + 1
        except csv.Error as error:
            reason = "a cell is too long" if "limit" in str(error) else "its quotes don't match"
            self.note(line, f"this row can't be read as CSV: {reason}; inside of quotes, a quote is written twice")

    def heading(self, line: int, cells: list[str]) -> None:
        while cells and not cells[-1]:
            cells = cells[:-1]
        if len(cells) < 2:
            self.note(line, "a table has two columns or more: the key, and what belongs to it, such as code,title")
        elif len(cells) > MAX_COLUMNS:
            self.note(line, f"a table has at most {MAX_COLUMNS} columns")
        elif not all(cells):
            self.note(line, f"column {cells.index('') + 1} has no name: the first line names every column")
        elif len(set(cells)) < len(cells):
            twice = next(cell for cell in cells if cells.count(cell) > 1)
            self.note(line, f"two columns are called `{twice}`: every column has a name of its own")
        else:
            self.columns = tuple(cells)

    def row(self, line: int, cells: list[str]) -> tuple[str, ...] | None:
        width = len(self.columns)
        if len(cells) < width or any(cells[width:]):
            hint = "; a cell that holds the separator is in quotes" if len(cells) > width else ""
            self.note(line, f"this row has {len(cells)} cells, and the table has {width} columns{hint}")
        elif not cells[0]:
            self.note(line, f"this row has no key: `{self.columns[0]}` is empty")
        else:
            return tuple(cells[:width])
        return None


# --- in a recipe ---


def inline_tables(reader: Reader, node: yaml_tree.Node | None, known: Mapping[str, Table]) -> dict[str, Table]:
    """A recipe's `tables:`, added to those of the workspace. What is wrong is noted at its place.

    known  the workspace's tables: no two tables share a name
    """
    tables = dict(known)
    mapping = reader.mapping(node, "`tables`")
    for name, key, rows in mapping.items() if mapping is not None else ():
        if name in known:
            message = f"there is a table `{name}` already, in {known[name].place.file}: give this one another name"
            reader.error(key.place, message)
        else:
            tables[name] = _Inline(reader, name).table(key.place, rows)
    return tables


class _Inline:
    """One table of a recipe: `key: value` lines, or `key: {column: value}` lines."""

    def __init__(self, reader: Reader, name: str) -> None:
        self.reader = reader
        self.name = name
        self.broken = False

    def error(self, place: Place, message: str) -> None:
        self.reader.error(place, message)
        self.broken = True

    def table(self, place: Place, node: yaml_tree.Node) -> Table:
        rows: dict[str, tuple[JSON, ...]] = {}
        columns: tuple[str, ...] = ()
        if not isinstance(node, yaml_tree.Mapping) or not node.values:
            self.error(node.place, f"the table `{self.name}` is written as key: value, or key: {{column: value}}")
        else:
            first = next(iter(node.values.values()))
            columns = tuple(first.values) if isinstance(first, yaml_tree.Mapping) else ()
            for _, key, row in node.items():
                spelt = key_of(key.text)
                if spelt in rows:
                    self.error(key.place, f"`{spelt}` is there twice: keep one")
                rows[spelt] = self.cells(columns, row)
        return Table(self.name, columns, rows, None if columns else 0, place, "", broken=self.broken)

    def cells(self, columns: tuple[str, ...], row: yaml_tree.Node) -> tuple[JSON, ...]:
        if isinstance(row, yaml_tree.Mapping) is not bool(columns):
            self.error(row.place, "the rows of a table are alike: each a value, or each {column: value}")
        elif not isinstance(row, yaml_tree.Mapping):
            return (self.constant(row),)
        elif odd := sorted(set(row.values) ^ set(columns)):
            self.error(row.place, f"the rows of a table have the same columns, and `{odd[0]}` is not in all of them")
        else:
            return tuple(self.constant(row.values[column]) for column in columns)
        return ()

    def constant(self, node: yaml_tree.Node) -> JSON:
        match node:
            case yaml_tree.Mapping():
                return {name: self.constant(value) for name, value in node.values.items()}
            case yaml_tree.Sequence():
                return [self.constant(item) for item in node.items]
            case yaml_tree.Scalar():
                if isinstance(node.value, str) and _LOOKS_LIKE_A_PATH.search(node.text):
                    self.error(node.place, "a table holds values as they stand, and this is one that is looked up")
                return node.value.replace("$$", "$") if isinstance(node.value, str) else node.value
        raise AssertionError(node)


_LOOKS_LIKE_A_PATH = re.compile(r"^\$(?:[.\[]|[^\W\d])|\{\{")
