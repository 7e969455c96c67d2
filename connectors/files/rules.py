"""What a system that imports files demands of its columns, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator
from pydantic_core import SchemaError

from connectors.common.encode import to_text
from relay.connector import Fields
from relay.errors import PermanentError

#: So many broken rules are named; whoever mends them sees the rest then.
_NAMED = 10


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str]:
    # Pydantic's own engine takes linear time, whatever the pattern: values come from strangers.
    return TypeAdapter(Annotated[str, StringConstraints(pattern=f"^(?:{pattern})$")])


class Column(Fields):
    name: str = Field(min_length=1, description="The column's name.", examples=["STU_CODE"])
    required: bool = Field(False, description="Whether an empty value is refused.")
    max: int | None = Field(None, ge=1, description="How many characters a value has at most.", examples=[12])
    pattern: str | None = Field(
        None,
        description="What a whole value looks like, as a regular expression; an empty one is not held to it.",
        examples=["[0-9]{8}(/[0-9])?"],
    )
    one_of: list[str] | None = Field(
        None, min_length=1, description="The values there are; an empty one is not held to them.", examples=[["M", "F"]]
    )

    @field_validator("pattern")
    @classmethod
    def _can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                _matcher(value)
            except SchemaError:
                raise ValueError("isn't a regular expression we know (there is no look-ahead, no \\1)") from None
        return value

    @field_validator("one_of", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: Any) -> Any:
        return [to_text(one) for one in value] if isinstance(value, list) else value

    def broken(self, text: str) -> Iterator[str]:
        """Each rule the text breaks, in words that don't show it."""
        if not text.strip():
            if self.required:
                yield "is required and is empty"
            return
        if self.max is not None and len(text) > self.max:
            yield f"has {len(text)} characters, and {self.max} is the most"
        if self.one_of is not None and text not in self.one_of:
            yield f"is none of {', '.join(self.one_of[:20])}"
        if self.pattern is not None:
            try:
                _matcher(self.pattern).validate_python(text)
            except ValidationError:
                yield f"doesn't look like {self.pattern}"


def check_rows(rows: Sequence[Mapping[str, str]], columns: Sequence[Column], path: str) -> None:
    """Raises PermanentError naming row, column and rule of what is wrong, and never the value."""
    wrong: list[str] = []
    causes: list[str] = []
    for number, row in enumerate(rows, 1):
        for column in columns:
            for rule in column.broken(row.get(column.name, "")):
                wrong.append(f"row {number}, {column.name} {rule}")
                causes.append(column.name)
    if wrong:
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise PermanentError(f"{path}: {'; '.join(wrong[:_NAMED])}{more}", cause=f"column {causes[0]} breaks a rule")
