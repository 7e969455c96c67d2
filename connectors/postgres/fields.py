"""What a step says: into which table, which rows, and what becomes of those that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.postgres.names import column_name, name_parts
from relay.connector import Fields
from relay.errors import PermanentError


class RowFields(Fields):
    table: str = Field(
        description="The table, as `table` or `schema.table`; spelt as PostgreSQL keeps it, which is in lower case "
        "unless it was created in quotes.",
        examples=["chats", "crm.leads"],
    )
    row: dict[str, Any] | None = Field(
        None, description="One row: column and value. A column that isn't named keeps its default; null writes NULL."
    )
    rows: list[dict[str, Any]] | None = Field(None, description="Several rows, written all together or not at all.")

    @field_validator("table")
    @classmethod
    def _is_a_table(cls, value: str) -> str:
        name_parts(value)
        return value

    @model_validator(mode="after")
    def _rows_in_one_way(self) -> RowFields:
        if (self.row is None) == (self.rows is None):
            raise ValueError("say exactly one of `row` (one) and `rows` (a list)")
        if not self.all_rows():
            raise ValueError("`rows` is empty")
        if not all(self.all_rows()):
            raise ValueError("a row needs at least one column")
        for row in self.all_rows():
            for name in row:
                column_name(name)
        return self

    def all_rows(self) -> list[dict[str, Any]]:
        return self.rows if self.rows is not None else [self.row or {}]


class InsertFields(RowFields):
    conflict: Literal["error", "ignore"] = Field(
        "error",
        description="What becomes of a row that a unique column or index refuses: a dead letter, or it is left out "
        "and counts as delivered. To change the row that is there, use `upsert`.",
    )
    delivery_column: str | None = Field(
        None,
        description="A column with a unique index of its own, of type text: the delivery's id is written there, so "
        "that a retry makes no second row. Rows that bring a value for it (`$delivery.id`) keep theirs.",
        examples=["relay_id"],
    )

    @field_validator("delivery_column")
    @classmethod
    def _is_a_column(cls, value: str | None) -> str | None:
        return column_name(value) if value is not None else None


class UpsertFields(RowFields):
    key: list[str] = Field(
        min_length=1,
        description="The columns that say which row is meant; a unique index or the primary key covers exactly them.",
        examples=[["email"]],
    )
    keep: list[str] = Field(
        [], description="Columns that are written into a new row only, and left as they are in one that is there."
    )

    @field_validator("key", "keep")
    @classmethod
    def _are_columns(cls, value: list[str]) -> list[str]:
        return [column_name(name) for name in value]

    @model_validator(mode="after")
    def _every_row_has_its_key(self) -> UpsertFields:
        for number, row in enumerate(self.all_rows(), 1):
            for name in self.key:
                # NULL equals nothing, so each attempt would add a row.
                if row.get(name) is None:
                    raise ValueError(f"row {number} has no value for the key column {name}")
        return self


def merged(many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `with` of one call for several: their rows together."""
    rows: list[Any] = []
    first = {key: value for key, value in many[0].items() if key not in ("row", "rows")}
    for fields in many:
        rest = {key: value for key, value in fields.items() if key not in ("row", "rows")}
        for key in {**first, **rest}:
            if first.get(key) != rest.get(key):
                raise PermanentError(f"deliveries of one batch differ in `{key}`", cause="batch of different tables")
        if "row" in fields:
            rows.append(fields["row"])
        else:
            rows.extend(fields.get("rows") or [])
    return {**first, "rows": rows}
