"""HubSpot: contacts, companies, deals and any other object of the CRM.

https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide
https://developers.hubspot.com/docs/api-reference/error-handling
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiRequest, Said
from connectors.common.encode import to_text
from connectors.common.oauth import OAuth
from connectors.common.oauth_api import OAuthConnector
from connectors.common.vendor_words import HeaderSecret
from connectors.guides.hubspot import GUIDE
from connectors.hubspot.answers import judged
from relay.connector import Call, Check, Example, Fields, Limit
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.http import HOLD_ON, RETRY_ON
from relay.model import Reply

MAX_ROWS = 100
_OBJECT = Field(
    description="The kind of record: contacts, companies, deals, tickets, or a custom one's name or number.",
    pattern=r"^[A-Za-z0-9_-]+$",
    examples=["contacts"],
)
_PROPERTIES = Field(
    description="Properties by internal name. HubSpot takes text: numbers, dates and true/false are written as such, a "
    "list is joined by `;`, null is the empty text, which clears the property.",
    examples=[{"email": "ana@example.com", "firstname": "Ana"}],
)


_MAY_READ = "HubSpot takes the token, which may read contacts; whether it may write wasn't tried"


class HubSpotConfig(ApiConfig):
    base_url: str = Field(
        "https://api.hubapi.com", description="Where the API lives; another one is for tests and proxies."
    )
    token: HeaderSecret | None = Field(None, description="Access token of a private app.")
    oauth: OAuth | None = Field(
        None, description="For an app with OAuth; token_url is https://api.hubapi.com/oauth/v1/token."
    )
    api_version: str = Field(
        "v3", pattern=r"^(v3|\d{4}-\d{2})$", description="Version of the API: v3, or a dated one such as 2026-03."
    )
    limit: Limit = Field(
        Limit(rate="100/10s"),
        description="Concurrency and rate of the connection's lane. 100 in ten seconds is what Free and Starter have; "
        "Professional and Enterprise have 190.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> HubSpotConfig:
        if (self.token is None) == (self.oauth is None):
            raise ValueError("say exactly one of token and oauth")
        return self


class Association(Fields):
    to: str | int = Field(description="Number of the record to associate with.")
    type: int = Field(description="Number of the association's type, such as 279 for contact to company.")
    category: Literal["HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED"] = Field(
        "HUBSPOT_DEFINED", description="Whose type it is."
    )


class CreateFields(Fields):
    object: str = _OBJECT
    properties: dict[str, Any] = _PROPERTIES
    associations: list[Association] = Field([], description="Records that the new one is associated with.")


class UpdateFields(Fields):
    object: str = _OBJECT
    id: str | int = Field(description="The record's number, or its value of `id_property`.")
    id_property: str | None = Field(
        None, description="The property that `id` is a value of; its values must be unique.", examples=["email"]
    )
    properties: dict[str, Any] = _PROPERTIES


class Row(Fields):
    id: str | int = Field(description="The record's value of `id_property`.")
    properties: dict[str, Any] = _PROPERTIES


class UpsertFields(Fields):
    object: str = _OBJECT
    id_property: str = Field(
        "email", min_length=1, description="The property that tells records apart; its values must be unique."
    )
    id: str | int | None = Field(None, description="The record's value of `id_property`.")
    properties: dict[str, Any] | None = Field(None, description=_PROPERTIES.description)
    rows: list[Row] | None = Field(
        None, min_length=1, description="Several records instead of one, each with `id` and `properties`; at most 100."
    )

    @model_validator(mode="after")
    def _one_or_many(self) -> UpsertFields:
        if (self.rows is None) == (self.id is None) or (self.id is None) != (self.properties is None):
            raise ValueError("say id and properties, or rows")
        return self


class Create(ApiAction[HubSpotConfig, CreateFields]):
    name = "create"
    summary = "Create a record. Of contacts with an e-mail address HubSpot keeps one; of other records a repeat is new."
    With = CreateFields
    examples = (
        Example("A contact", {"object": "contacts", "properties": {"email": "ana@example.com", "firstname": "Ana"}}),
        Example(
            "A note at a contact",
            {
                "object": "notes",
                "properties": {"hs_timestamp": "2026-03-04T10:21:07Z", "hs_note_body": "Left unhappy"},
                "associations": [{"to": "101", "type": 202}],
            },
        ),
    )

    def prepare(self, fields: CreateFields, call: Call) -> ApiRequest:
        # The vendor's description of its API says that associations are required, so an empty list goes too.
        linked = [
            {"to": {"id": to_text(a.to)}, "types": [{"associationCategory": a.category, "associationTypeId": a.type}]}
            for a in fields.associations
        ]
        body = {"properties": _texts(fields.properties), "associations": linked}
        return ApiRequest("POST", self.config.base_url, _path(self.config, fields.object), "json", body)


class Update(ApiAction[HubSpotConfig, UpdateFields]):
    name = "update"
    summary = "Change properties of a record that is there."
    With = UpdateFields
    idempotent = True
    examples = (
        Example("By number", {"object": "deals", "id": 4711, "properties": {"dealstage": "closedwon"}}),
        Example(
            "By e-mail address",
            {
                "object": "contacts",
                "id": "ana@example.com",
                "id_property": "email",
                "properties": {"lifecyclestage": "customer"},
            },
        ),
    )

    def prepare(self, fields: UpdateFields, call: Call) -> ApiRequest:
        path = f"{_path(self.config, fields.object)}/{_segment(fields.id)}"
        query = {"idProperty": fields.id_property}
        body = {"properties": _texts(fields.properties)}
        return ApiRequest("PATCH", self.config.base_url, path, "json", body, query)


class Upsert(ApiAction[HubSpotConfig, UpsertFields]):
    name = "upsert"
    summary = (
        "Create a record, or change it where it is there, by a property whose values are unique. "
        "A batch is cut into requests of at most 100 rows."
    )
    With = UpsertFields
    idempotent = True
    batchable = True
    row_fields = ("id", "properties", "rows")
    max_rows = MAX_ROWS
    examples = (
        Example(
            "A contact", {"object": "contacts", "id": "ana@example.com", "properties": {"firstname": "Ana", "age": 36}}
        ),
        Example(
            "Two at once, by a property of your own",
            {
                "object": "companies",
                "id_property": "erp_number",
                "rows": [{"id": 7, "properties": {"name": "Seven"}}, {"id": 8, "properties": {"name": "Eight"}}],
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        rows: list[Any] = []
        for one in many:
            rows += one.get("rows") or [{"id": one.get("id"), "properties": one.get("properties")}]
        common = {key: value for key, value in many[0].items() if key not in cls.row_fields}
        return {**common, "rows": rows}

    def prepare(self, fields: UpsertFields, call: Call) -> ApiRequest:
        given = (
            fields.rows if fields.rows is not None else [Row(id=to_text(fields.id), properties=fields.properties or {})]
        )
        # HubSpot refuses a request that has a record twice: what comes later overwrites, as it would one by one.
        combined: dict[str, dict[str, str]] = {}
        for row in given:
            key = to_text(row.id).strip()
            if not key:
                raise PermanentError(f"a row's `id` is empty: it needs its {fields.id_property}", cause="empty id")
            # It keeps addresses in small letters.
            key = key.lower() if fields.id_property == "email" else key
            combined.setdefault(key, {}).update(_texts(row.properties))
        if len(combined) > MAX_ROWS:
            # 413, so that a batch is sent in halves.
            said = f"{len(combined)} rows are more than HubSpot takes at once: say `max: {MAX_ROWS}` under `batch`"
            raise PermanentError(said, status=413, cause="too many rows")
        # Without an objectWriteTraceId HubSpot takes all rows or none. That is wanted: a batch that is refused is sent
        # again in halves, and no row of it is written twice.
        inputs = [{"idProperty": fields.id_property, "id": key, "properties": row} for key, row in combined.items()]
        path = f"{_path(self.config, fields.object)}/batch/upsert"
        return ApiRequest("POST", self.config.base_url, path, "json", {"inputs": inputs})

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        try:
            return await super().send(outgoing, call)
        except PermanentError as error:
            if error.status != 409:
                raise
            kept: dict[str, Any] = {"cause": error.cause, "received": error.received}
            if len(outgoing.body["inputs"]) > 1:
                raise PermanentError(error.message, status=422, **kept) from None
            # Two that would create the same record met: the next attempt finds it there.
            raise RetryableError(error.message, status=409, **kept) from None


class HubSpot(OAuthConnector[HubSpotConfig]):
    name = "hubspot"
    summary = "HubSpot CRM: contacts, companies, deals, tickets and custom objects."
    guide = GUIDE
    Config = HubSpotConfig
    actions = (Create, Update, Upsert)
    hold_on = HOLD_ON | {403}
    retry_on = RETRY_ON | {423, 477}
    example: ClassVar[Mapping[str, Any]] = {"connector": "hubspot", "token": "${HUBSPOT_TOKEN}"}

    def oauth_settings(self) -> OAuth | None:
        return self.config.oauth

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        if self.config.token is not None:
            return {"authorization": f"Bearer {self.config.token.get_secret_value()}"}
        return await super().credentials(timeout, anew=anew)

    async def check(self, timeout: timedelta) -> Check:
        """Reads one contact. A token may be good for other records only, so a missing scope is told as such."""
        try:
            asked = ApiRequest("GET", self.config.base_url, _path(self.config, "contacts"), query={"limit": 1})
            said = await self.ask(asked, timeout)
        except PermanentError as error:
            if error.cause != "hubspot wrote nothing":  # of a delivery; here the account has no contacts yet
                raise
            return Check(_MAY_READ)
        except HoldError as error:
            if error.cause != "hubspot MISSING_SCOPES":
                raise
            words = f"contacts can't be read, which only steps with contacts need: {error.message}"
            return Check("HubSpot takes the token", (words,))
        if not isinstance(said.body, dict) or "results" not in said.body:
            raise said.permanent("that isn't HubSpot's list of contacts; check base_url", "not the api")
        return Check(_MAY_READ)

    def judge(self, said: Said) -> DeliveryError | None:
        return judged(said, self.sorting)


def _path(config: HubSpotConfig, kind: str) -> str:
    version = config.api_version
    return f"/crm/v3/objects/{kind}" if version == "v3" else f"/crm/objects/{version}/{kind}"


def _segment(value: str | int) -> str:
    text = to_text(value)
    if not text.strip("."):  # `.` and `..` would lead to another address
        raise PermanentError(f"the record's `id` {text!r} is none", cause="empty id")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise PermanentError("the record's `id` holds half a character", cause="not unicode") from None


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(name, value) for name, value in properties.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        raise PermanentError(f"the property {name} must be one value, or a list of them", cause="property refused")
    if not isinstance(value, (list, tuple)):
        return to_text(value)
    parts = [_text(name, one) for one in value]
    if any(";" in part for part in parts):
        raise PermanentError(f"the property {name} has a value with `;`, which parts values", cause="property refused")
    return ";".join(parts)
