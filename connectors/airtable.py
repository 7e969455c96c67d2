"""Airtable: create records, or update those that are there by what they have in some fields.

https://airtable.com/developers/web/api/create-records and update-multiple-records
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest, Said
from connectors.common.encode import to_json
from connectors.common.vendor_words import HeaderSecret, one_line
from connectors.guides.airtable import GUIDE
from relay.connector import Call, Check, Duration, Example, Fields, Limit
from relay.errors import DeliveryError, PermanentError, UnknownOutcomeError
from relay.http import HOLD_ON
from relay.model import Reply

_MOST_RECORDS = 10
_MOST_KEYS = 3
_ROWS = ("record", "records")
_USED_UP = "BILLING_LIMIT_EXCEEDED"
_REMEDIES = {
    "UNKNOWN_FIELD_NAME": "name the fields as the table does",
    "INVALID_MULTIPLE_CHOICE_OPTIONS": "add the choice to the field, or set `typecast: true`",
    "INVALID_VALUE_FOR_COLUMN": "send what the field holds, or set `typecast: true`",
}


class AirtableConfig(ApiConfig):
    base_url: str = Field("https://api.airtable.com", description="Where Airtable's API lives.")
    base: str = Field(pattern=r"^app[A-Za-z0-9]+$", description="Id of the base.", examples=["appLkNDICXNqxSDhG"])
    token: HeaderSecret = Field(
        description="A personal access token with the scope data.records:write and access to the base."
    )
    throttle_wait: Duration = Field(
        timedelta(seconds=30), description="How long a 429 that doesn't say so waits; Airtable asks for 30 seconds."
    )
    limit: Limit = Field(
        Limit(rate="5/s"),
        description="Concurrency and rate of the connection's lane. Airtable takes 5 requests a second for a base, and "
        "50 for all bases of a token's owner.",
    )


class RecordFields(Fields):
    table: str = Field(description="Id or name of the table; an id survives renaming.", examples=["tblltp5DTLOhEkGXG"])
    record: dict[str, Any] | None = Field(
        None, description="One record: its fields by name or id; null ones are sent and empty a cell."
    )
    records: list[dict[str, Any]] | None = Field(None, description="Several records in one call, at most 10.")
    typecast: bool = Field(False, description="Let Airtable turn texts into what the field holds, and add choices.")

    @field_validator("table")
    @classmethod
    def _is_a_table(cls, value: str) -> str:
        if not value.strip() or value in (".", ".."):
            raise ValueError("the id or the name of a table")
        return value

    @model_validator(mode="after")
    def _one_of_them(self) -> RecordFields:
        if (self.record is None) == (self.records is None):
            raise ValueError("say exactly one of `record` and `records`")
        if self.records == []:
            raise ValueError("`records` is empty")
        return self

    def rows(self) -> list[dict[str, Any]]:
        return self.records if self.records is not None else [self.record or {}]


class UpsertFields(RecordFields):
    merge_on: list[str] = Field(
        min_length=1,
        max_length=_MOST_KEYS,
        description="One to three fields that together tell records apart, by name or id; each record has them.",
        examples=[["Email"]],
    )


RecordsT = TypeVar("RecordsT", bound=RecordFields)


class _Write(ApiAction[AirtableConfig, RecordsT]):
    batchable = True
    row_fields = _ROWS
    max_rows = _MOST_RECORDS

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        first = {key: value for key, value in many[0].items() if key not in _ROWS}
        rows: list[Any] = []
        for fields in many:
            rest = {key: value for key, value in fields.items() if key not in _ROWS}
            for key in {**first, **rest}:
                if first.get(key) != rest.get(key):
                    raise PermanentError(f"deliveries of one batch differ in `{key}`", cause="batch of different calls")
            rows.extend([fields["record"]] if fields.get("record") is not None else fields.get("records") or [])
        _at_most_ten(rows)
        return {**first, "records": rows}

    def _request(self, method: Any, fields: RecordFields, rows: list[dict[str, Any]], **more: Any) -> ApiRequest:
        _at_most_ten(rows)
        body: dict[str, Any] = {**more, "records": [{"fields": row} for row in rows]}
        if fields.typecast:
            body["typecast"] = True
        path = f"/v0/{self.config.base}/{quote(fields.table, safe='')}"
        return ApiRequest(method=method, base_url=self.config.base_url, path=path, kind="json", body=body)

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        reply = await super().send(outgoing, call)
        written = reply.body.get("records") if isinstance(reply.body, dict) else None
        sent = len(outgoing.body["records"])
        if isinstance(written, list) and len(written) != sent:
            raise UnknownOutcomeError(
                f"Airtable wrote {len(written)} of {sent} records; look at the table before they are sent again",
                status=reply.status,
                cause="airtable count",
                received=dict(reply.received),
            )
        return reply


def _at_most_ten(rows: Sequence[Any]) -> None:
    if len(rows) > _MOST_RECORDS:
        # As Airtable's own refusal would: a batch that is too large is then sent in halves.
        raise PermanentError(
            f"{len(rows)} records are too many for one call, which takes {_MOST_RECORDS}",
            status=413,
            cause="too many records",
        )


class Create(_Write[RecordFields]):
    name = "create"
    summary = "Create records. Airtable knows no idempotency key: where a repeat must do no harm, use `upsert`."
    With = RecordFields
    examples = (
        Example("One record", {"table": "Contacts", "record": {"Email": "ana@example.com", "Rating": 4}}),
        Example(
            "Several",
            {"table": "tblltp5DTLOhEkGXG", "records": [{"Email": "a@example.com"}, {"Email": "b@example.com"}]},
        ),
    )

    def prepare(self, fields: RecordFields, call: Call) -> ApiRequest:
        return self._request("POST", fields, fields.rows())


class Upsert(_Write[UpsertFields]):
    name = "upsert"
    summary = "Update the record that has the same values in `merge_on`, or create it; a repeat does no harm."
    With = UpsertFields
    idempotent = True
    examples = (
        Example(
            "By e-mail",
            {
                "table": "Contacts",
                "merge_on": ["Email"],
                "record": {"Email": "ana@example.com", "Tags": ["chat", "vip"]},
                "typecast": True,
            },
        ),
    )

    def prepare(self, fields: UpsertFields, call: Call) -> ApiRequest:
        merge_on = list(dict.fromkeys(fields.merge_on))
        # Of two rows for one record, both would be created: neither is there when Airtable looks. (Not verified.)
        rows: dict[bytes, dict[str, Any]] = {}
        for row in fields.rows():
            missing = [name for name in merge_on if row.get(name) in (None, "")]
            if missing:
                raise PermanentError(
                    f"a record has nothing in `{missing[0]}`, which `merge_on` tells records apart by",
                    cause="record without its key",
                )
            key = to_json([row[name] for name in merge_on])
            rows[key] = {**rows.get(key, {}), **row}
        return self._request("PATCH", fields, list(rows.values()), performUpsert={"fieldsToMergeOn": merge_on})


class Airtable(ApiConnector[AirtableConfig]):
    """https://support.airtable.com/docs/airtable-api-common-troubleshooting"""

    name = "airtable"
    summary = "Records of an Airtable base."
    guide = GUIDE
    Config = AirtableConfig
    actions = (Create, Upsert)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "airtable",
        "base": "appLkNDICXNqxSDhG",
        "token": "${AIRTABLE_TOKEN}",
    }
    hold_on = HOLD_ON | {403}

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.config.token.get_secret_value()}"}

    async def check(self, timeout: timedelta) -> Check:
        """https://airtable.com/developers/web/api/get-user-id-scopes, which tells scopes of OAuth's tokens only."""
        said = await self.ask(ApiRequest("GET", self.config.base_url, "/v0/meta/whoami"), timeout)
        body = said.body if isinstance(said.body, dict) else {}
        if "id" not in body:
            raise said.permanent("it doesn't say whose token it is; check base_url", "not the api")
        who = one_line(body.get("email") or body["id"], self.sorting.redact)
        scopes = body.get("scopes")
        missing: tuple[str, ...] = ()
        if isinstance(scopes, list) and "data.records:write" not in scopes:
            missing = ("the token lacks the scope data.records:write: make one that has it",)
        found = f"Airtable takes the token of {who}; whether it may write into {self.config.base} wasn't tried"
        return Check(found, missing)

    def judge(self, said: Said) -> DeliveryError | None:
        status = said.status
        if 200 <= status < 300:
            return self._written(said)
        kind, message = _error(said.body)
        words = one_line(f"{kind}: {message}" if message else kind, self.sorting.redact)
        if status == 429 and _USED_UP in kind:
            return said.hold(
                f"{words}; the workspace's API calls of this month are used up: upgrade its plan, or wait for the next",
                "airtable monthly limit",
            )
        if status == 429:
            told = said.header("retry-after")
            return said.retry(words or "too many requests", "http 429", None if told else self.config.throttle_wait)
        if not kind or status == 410 or status in self.retry_on or status >= 500:
            return None
        if status in self.hold_on:
            remedy = "check the token, its scope data.records:write, its access to the base, and the table"
            return said.hold(f"{words}; {remedy}", f"airtable {kind}")
        remedy = f"; {_REMEDIES[kind]}" if kind in _REMEDIES else ""
        return said.permanent(f"{words}{remedy}", f"airtable {kind}")

    def _written(self, said: Said) -> DeliveryError | None:
        body = said.body if isinstance(said.body, dict) else {}
        details = body.get("details")
        if isinstance(details, dict) and details.get("message") == "partialSuccess":
            # The records are there, so a repeat would make them twice; what is missing are files.
            why = one_line(", ".join(map(str, details.get("reasons") or ["no reason given"])), self.sorting.redact)
            return said.permanent(
                f"the records were written without their attachments ({why}): add those by hand, not by a replay",
                "airtable attachments",
            )
        if said.received.cut or (isinstance(body.get("records"), list) and body["records"]) or "id" in body:
            return None
        return said.unknown("the answer names no record; look for it before it is sent again", "no record")


def _error(body: Any) -> tuple[str, str]:
    """Kind and message: `error` is a text or an object, and where requests are counted it is a list, `errors`."""
    if not isinstance(body, dict):
        return "", ""
    error = body.get("error")
    errors = body.get("errors")
    if error is None and isinstance(errors, list) and errors:
        error = errors[0]
    if isinstance(error, dict):
        return str(error.get("type") or error.get("error") or ""), str(error.get("message") or "")
    return (error, str(body.get("message") or "")) if isinstance(error, str) else ("", "")
