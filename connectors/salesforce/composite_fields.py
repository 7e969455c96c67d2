"""What a step may say of a composite."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.salesforce.records import NAME, OBJECT, RECORD_ID
from relay.connector import Fields

_REQUESTS = 25
_REFERENCE = r"^[A-Za-z]\w*$"
_POINTER = re.compile(r"([A-Za-z]\w*)\.\w+(?:\.\w+|\[\d+\])*", re.ASCII)


class Subrequest(Fields):
    id: str = Field(
        description="What the other requests, and the answer, call it: letters, digits and _.",
        pattern=_REFERENCE,
        max_length=80,
        examples=["account"],
    )
    do: Literal["create", "update", "upsert", "get"] = Field(description="What is done with the record.")
    object: str = OBJECT
    record: str | None = Field(None, pattern=RECORD_ID, description="For update and get: the record's id.")
    record_from: str | None = Field(
        None,
        description="For update and get, instead of `record`: the id that an earlier request gave.",
        examples=["account.id"],
    )
    external_id_field: str | None = Field(None, pattern=NAME, description="For upsert: the field that is one.")
    external_id: str | int | None = Field(None, description="For upsert: the record's value of it.")
    fields: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields by API name; null clears one. They are never read as references, whatever stands in them.",
    )
    from_: dict[str, str] = Field(
        default_factory=dict,
        alias="from",
        description="Fields that are filled with what an earlier request gave: `id.name`.",
        examples=[{"AccountId": "account.id"}],
    )
    select: list[str] = Field([], description="For get: the fields to read; all where none is said.")

    @field_validator("select")
    @classmethod
    def _are_names(cls, value: list[str]) -> list[str]:
        if not all(re.fullmatch(NAME, name) for name in value):
            raise ValueError("a field's API name holds letters, digits and _")
        return value

    @field_validator("fields", "from_")
    @classmethod
    def _have_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        wrong = next((name for name in value if not re.fullmatch(NAME, name, re.ASCII)), None)
        if wrong is not None:
            raise ValueError("a field's API name holds letters, digits and _")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> Subrequest:
        named = (self.record is not None) + (self.record_from is not None)
        keyed = self.external_id_field is not None and self.external_id is not None
        either = self.external_id_field is not None or self.external_id is not None
        if named != (1 if self.do in ("update", "get") else 0):
            raise ValueError("update and get take one of record and record_from, create and upsert neither")
        if keyed != (self.do == "upsert") or either != keyed:
            raise ValueError("upsert takes external_id_field and external_id, the others neither")
        if (self.do == "get") == bool(self.fields or self.from_):
            raise ValueError("get takes no fields; create, update and upsert take some")
        if self.select and self.do != "get":
            raise ValueError("`select` goes with get")
        if self.fields.keys() & self.from_.keys():
            raise ValueError("a field stands in both `fields` and `from`")
        return self

    def pointers(self) -> list[str]:
        return [*self.from_.values(), *([self.record_from] if self.record_from is not None else [])]


class CompositeFields(Fields):
    requests: list[Subrequest] = Field(
        min_length=1, max_length=_REQUESTS, description="At most 25, done in this order. (The number isn't verified.)"
    )
    all_or_none: bool = Field(
        True,
        description="Where one fails, none is done. `false` keeps what succeeded: a dead letter then tells what that "
        "was.",
    )

    @model_validator(mode="after")
    def _points_back(self) -> CompositeFields:
        known: set[str] = set()
        for one in self.requests:
            for pointer in one.pointers():
                found = _POINTER.fullmatch(pointer)
                if found is None:
                    raise ValueError("a reference is written as account.id: a request's id, a dot, and what it gave")
                if found[1] not in known:
                    raise ValueError(f"{one.id} refers to {found[1]}, which is no request before it")
            if one.id.lower() in {name.lower() for name in known}:
                raise ValueError(f"two requests have the id {one.id}")
            known.add(one.id)
        return self
