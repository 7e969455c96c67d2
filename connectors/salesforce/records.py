"""One record, or many of one object.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import Field, model_validator

from connectors.common.api import ApiAction, ApiRequest
from connectors.common.encode import to_text
from connectors.salesforce.config import SalesforceConfig
from relay.connector import Call, Example, Fields
from relay.errors import PermanentError

MAX_ROWS = 200
NAME = r"^[A-Za-z]\w*$"
RECORD_ID = r"^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$"
OBJECT = Field(description="The object by its API name.", pattern=NAME, examples=["Lead", "Course__c"])
_FIELDS = Field(description="Fields by API name; null clears one.", examples=[{"LastName": "Lovelace"}])


class CreateFields(Fields):
    object: str = OBJECT
    fields: dict[str, Any] = _FIELDS


class UpdateFields(Fields):
    object: str = OBJECT
    id: str = Field(description="The record's id.", pattern=RECORD_ID)
    fields: dict[str, Any] = _FIELDS


class Row(Fields):
    external_id: str | int = Field(description="The record's value of the external id.")
    fields: dict[str, Any] = _FIELDS


class UpsertFields(Fields):
    object: str = OBJECT
    external_id_field: str = Field(description="The field that is an external id.", pattern=NAME, examples=["Ref__c"])
    external_id: str | int | None = Field(
        None,
        description="The record's value of it. It becomes part of an address, where Salesforce doesn't find what ends "
        "like a file, as ana@example.inc does: give such as `rows`.",
    )
    fields: dict[str, Any] | None = Field(None, description=_FIELDS.description)
    rows: list[Row] | None = Field(
        None,
        min_length=1,
        description="Several records instead of one, each with `external_id` and `fields`; at most 200.",
    )
    update_only: bool = Field(False, description="Change the record if it is there; never create it. Not with `rows`.")

    @model_validator(mode="after")
    def _one_or_many(self) -> UpsertFields:
        one = self.external_id is not None
        if one == (self.rows is not None) or one != (self.fields is not None):
            raise ValueError("say external_id and fields, or rows")
        if self.rows is not None and self.update_only:
            raise ValueError("update_only is for one record, not for rows or a batch")
        return self


class Create(ApiAction[SalesforceConfig, CreateFields]):
    name = "create"
    summary = "Create a record. A repeat creates another: use upsert where the object has an external id."
    With = CreateFields
    examples = (Example("A lead", {"object": "Lead", "fields": {"LastName": "Lovelace", "Company": "Acme"}}),)

    def prepare(self, fields: CreateFields, call: Call) -> ApiRequest:
        return ApiRequest("POST", self.config.base_url, path_of(self.config, fields.object), "json", fields.fields)


class Update(ApiAction[SalesforceConfig, UpdateFields]):
    name = "update"
    summary = "Change fields of a record that is there."
    With = UpdateFields
    idempotent = True
    examples = (Example("A lead", {"object": "Lead", "id": "00Q5e00000abcdEEAQ", "fields": {"Status": "Working"}}),)

    def prepare(self, fields: UpdateFields, call: Call) -> ApiRequest:
        path = f"{path_of(self.config, fields.object)}/{fields.id}"
        return ApiRequest("PATCH", self.config.base_url, path, "json", fields.fields)


class Upsert(ApiAction[SalesforceConfig, UpsertFields]):
    name = "upsert"
    summary = (
        "Create a record, or change it where it is there, by an external id. "
        "A batch is one request of at most 200 rows: say `max: 200`."
    )
    With = UpsertFields
    idempotent = True
    batchable = True
    row_fields = ("external_id", "fields", "rows")
    examples = (
        Example(
            "A lead",
            {"object": "Lead", "external_id_field": "Ref__c", "external_id": "A/7", "fields": {"LastName": "Lovelace"}},
        ),
        Example(
            "Two at once",
            {
                "object": "Course__c",
                "external_id_field": "Code__c",
                "rows": [
                    {"external_id": "C1", "fields": {"Name": "Computing"}},
                    {"external_id": "C2", "fields": {"Name": "Commerce"}},
                ],
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        rows: list[Any] = []
        for one in many:
            rows += one.get("rows") or [{"external_id": one.get("external_id"), "fields": one.get("fields")}]
        common = {key: value for key, value in many[0].items() if key not in cls.row_fields}
        return {**common, "rows": rows}

    def prepare(self, fields: UpsertFields, call: Call) -> ApiRequest:
        config, by = self.config, fields.external_id_field
        if fields.rows is None:
            key = key_of(fields.external_id, by)
            path = f"{path_of(config, fields.object)}/{by}/{segment_of(key)}"
            query = {"updateOnly": True} if fields.update_only else {}
            return ApiRequest("PATCH", config.base_url, path, "json", without(by, key, fields.fields or {}), query)
        # Salesforce refuses a record that is there twice: what comes later overwrites, as it would one by one.
        combined: dict[str, dict[str, Any]] = {}
        for row in fields.rows:
            key = key_of(row.external_id, by)
            combined.setdefault(key, {}).update(without(by, key, row.fields))
        if len(combined) > MAX_ROWS:
            # 413, so that a batch is sent in halves.
            said = f"{len(combined)} rows are more than Salesforce takes at once: say `max: {MAX_ROWS}` under `batch`"
            raise PermanentError(said, status=413, cause="too many rows")
        records = [{"attributes": {"type": fields.object}, by: key, **row} for key, row in combined.items()]
        # All or none: a batch that is refused is sent again in halves, and no row of it is written twice.
        path = f"/services/data/v{config.api_version}/composite/sobjects/{fields.object}/{by}"
        return ApiRequest("PATCH", config.base_url, path, "json", {"allOrNone": True, "records": records})


def path_of(config: SalesforceConfig, kind: str) -> str:
    return f"/services/data/v{config.api_version}/sobjects/{kind}"


def key_of(value: str | int | None, by: str) -> str:
    key = to_text(value)
    if not key.strip():
        raise PermanentError(f"`external_id` is empty: it needs its {by}", cause="empty id")
    return key


def segment_of(key: str) -> str:
    if not key.strip("."):  # `.` and `..` would lead to another address
        raise PermanentError(
            f"`external_id` {key!r} can't be part of an address: give it as `rows`", cause="id refused"
        )
    try:
        return quote(key, safe="")
    except UnicodeEncodeError:
        raise PermanentError("`external_id` holds half a character", cause="not unicode") from None


def without(by: str, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Salesforce refuses the external id among the fields, where the address has it."""
    if by in fields and to_text(fields[by]) != key:
        raise PermanentError(f"{by} under `fields` is another than `external_id`", cause="two external ids")
    return {name: value for name, value in fields.items() if name != by}
