"""Salesforce: any object, by its REST API.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiRequest, Said
from connectors.common.encode import to_text
from connectors.common.oauth import OAuth
from connectors.common.oauth_api import OAuthConnector
from connectors.common.plain import plain_url
from connectors.common.vendor_words import one_line
from relay.connector import Call, Example, Fields, Limit
from relay.errors import DeliveryError, HoldError, PermanentError
from relay.http import RETRY_ON, Received

MAX_ROWS = 200
_NAME = r"^[A-Za-z]\w*$"
_HOLD = frozenset({"INVALID_SESSION_ID", "INVALID_AUTH_HEADER", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"})
_PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT"})
_LIMIT = "REQUEST_LIMIT_EXCEEDED"
#: The requests of the last 24 hours count, so there is room again little by little.
_LIMIT_WAIT = timedelta(hours=1)
#: What stands at the good rows of a collection that was refused as a whole.
_ROLLED_BACK = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
_OBJECT = Field(description="The object by its API name.", pattern=_NAME, examples=["Lead", "Course__c"])
_FIELDS = Field(description="Fields by API name; null clears one.", examples=[{"LastName": "Lovelace"}])


class SalesforceConfig(ApiConfig):
    base_url: str = Field(
        description="Your My Domain; requests go where the token's answer says.",
        examples=["https://acme.my.salesforce.com"],
    )
    login_url: str | None = Field(None, description="Where tokens are given out; base_url where it isn't said.")
    client_id: str = Field(description="Consumer key of the connected app.")
    client_secret: SecretStr | None = Field(
        None, description="Consumer secret: by client credentials, as the app's run-as user."
    )
    private_key: SecretStr | None = Field(
        None, description="Private RSA key in PEM whose certificate the app has: by JWT bearer, as `username`."
    )
    username: str | None = Field(None, description="With `private_key`: the user to act for; the app must be let in.")
    audience: str = Field(
        "https://login.salesforce.com", description="With `private_key`: https://test.salesforce.com for a sandbox."
    )
    api_version: str = Field("62.0", pattern=r"^\d{2,3}\.0$", description="Version of the API.")
    limit: Limit = Field(
        Limit(concurrency=5),
        description="Concurrency and rate of the connection's lane. Salesforce counts the requests of 24 hours.",
    )

    @field_validator("login_url")
    @classmethod
    def _is_plain(cls, value: str | None) -> str | None:
        return plain_url(value) if value is not None else None

    @model_validator(mode="after")
    def _one_way(self) -> SalesforceConfig:
        if (self.client_secret is None) == (self.private_key is None):
            raise ValueError("say exactly one of client_secret and private_key")
        if (self.private_key is None) != (self.username is None):
            raise ValueError("username goes with private_key")
        self.oauth()  # whether the key can sign
        return self

    def oauth(self) -> OAuth:
        return OAuth(
            token_url=f"{(self.login_url or self.base_url).rstrip('/')}/services/oauth2/token",
            client_id=self.client_id,
            client_secret=self.client_secret,
            private_key=self.private_key,
            subject=self.username,
            audience=self.audience if self.private_key is not None else None,
        )


class CreateFields(Fields):
    object: str = _OBJECT
    fields: dict[str, Any] = _FIELDS


class UpdateFields(Fields):
    object: str = _OBJECT
    id: str = Field(description="The record's id.", pattern=r"^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$")
    fields: dict[str, Any] = _FIELDS


class Row(Fields):
    external_id: str | int = Field(description="The record's value of the external id.")
    fields: dict[str, Any] = _FIELDS


class UpsertFields(Fields):
    object: str = _OBJECT
    external_id_field: str = Field(description="The field that is an external id.", pattern=_NAME, examples=["Ref__c"])
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
        return ApiRequest("POST", self.config.base_url, _path(self.config, fields.object), "json", fields.fields)


class Update(ApiAction[SalesforceConfig, UpdateFields]):
    name = "update"
    summary = "Change fields of a record that is there."
    With = UpdateFields
    idempotent = True
    examples = (Example("A lead", {"object": "Lead", "id": "00Q5e00000abcdEEAQ", "fields": {"Status": "Working"}}),)

    def prepare(self, fields: UpdateFields, call: Call) -> ApiRequest:
        path = f"{_path(self.config, fields.object)}/{fields.id}"
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
            key = _key(fields.external_id, by)
            path = f"{_path(config, fields.object)}/{by}/{_segment(key)}"
            query = {"updateOnly": True} if fields.update_only else {}
            return ApiRequest("PATCH", config.base_url, path, "json", _without(by, key, fields.fields or {}), query)
        # Salesforce refuses a record that is there twice: what comes later overwrites, as it would one by one.
        combined: dict[str, dict[str, Any]] = {}
        for row in fields.rows:
            key = _key(row.external_id, by)
            combined.setdefault(key, {}).update(_without(by, key, row.fields))
        if len(combined) > MAX_ROWS:
            # 413, so that a batch is sent in halves.
            said = f"{len(combined)} rows are more than Salesforce takes at once: say `max: {MAX_ROWS}` under `batch`"
            raise PermanentError(said, status=413, cause="too many rows")
        records = [{"attributes": {"type": fields.object}, by: key, **row} for key, row in combined.items()]
        # All or none: a batch that is refused is sent again in halves, and no row of it is written twice.
        path = f"/services/data/v{config.api_version}/composite/sobjects/{fields.object}/{by}"
        return ApiRequest("PATCH", config.base_url, path, "json", {"allOrNone": True, "records": records})


class Salesforce(OAuthConnector[SalesforceConfig]):
    name = "salesforce"
    summary = "Salesforce: records of any object."
    Config = SalesforceConfig
    actions = (Create, Update, Upsert)
    retry_on = RETRY_ON | {409}
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "salesforce",
        "base_url": "https://acme.my.salesforce.com",
        "client_id": "3MVG9…",
        "client_secret": "${SALESFORCE_SECRET}",
    }

    def oauth_settings(self) -> OAuth:
        return self.config.oauth()

    async def _sent(self, outgoing: ApiRequest, call: Call, *, idempotent: bool | None, anew: bool) -> Received:
        assert self.tokens is not None
        token = await self.tokens.get(call.timeout, anew=anew)
        instance = self._instance(token.reply.get("instance_url"))
        return await super()._sent(replace(outgoing, base_url=instance), call, idempotent=idempotent, anew=False)

    def _instance(self, url: object) -> str:
        if url is None:
            return self.config.base_url
        try:
            instance = plain_url(str(url))
        except ValueError:
            instance = ""
        # The token must not leave a secure connection.
        if not instance or (urlsplit(instance).scheme, urlsplit(self.config.base_url).scheme) == ("http", "https"):
            raise HoldError("the token's answer names an instance_url that can't be used", cause="instance_url refused")
        return instance

    def judge(self, said: Said) -> DeliveryError | None:
        if said.status == 300:
            return said.permanent("the external id belongs to several records; make it unique", "salesforce 300")
        if 200 <= said.status < 300:
            items = said.body if isinstance(said.body, list) else [said.body]
            failed = [one for one in items if isinstance(one, dict) and one.get("success") is False]
            errors = [error for one in failed for error in _errors(one.get("errors"), "statusCode")]
            real = [error for error in errors if error[0] != _ROLLED_BACK] or errors
            if not failed:
                return None
            error = self._sorted_by_code(said, real or [("", "it doesn't say why")], passing=False)
            if type(error) is PermanentError:
                # Told as a refusal of its content (422), a batch is sent again in halves until the bad row is alone.
                return PermanentError(error.message, status=422, cause=error.cause, received=error.received)
            return error
        errors = list(_errors(said.body, "errorCode"))
        return self._sorted_by_code(said, errors, passing=self._passes(said.status)) if errors else None

    def _passes(self, status: int) -> bool:
        return status in self.retry_on or status >= 500

    def _sorted_by_code(self, said: Said, errors: list[tuple[str, str]], *, passing: bool) -> DeliveryError | None:
        codes = {code for code, _ in errors}
        code, message = errors[0]
        words = one_line(f"{code}: {message}" if code else message, self.sorting.redact)
        cause = f"salesforce {code}" if code else "salesforce refused"
        if codes & _HOLD or said.status == 401:
            return said.hold(f"{words}; check what the app and its user may do", cause)
        if _LIMIT in codes:
            # Too many at the same moment is over in seconds; too many in 24 hours isn't.
            wait = None if "concurrent" in message.lower() or said.header("retry-after") else _LIMIT_WAIT
            return said.retry(words, cause, wait)
        if passing or codes <= _PASSING:
            return said.retry(words, cause)
        return said.permanent(words, cause) if said.status != 410 else None


def _errors(body: object, code: str) -> Iterator[tuple[str, str]]:
    """(code, message) of each error of a list of them."""
    for one in body if isinstance(body, list) else ():
        if isinstance(one, dict) and (one.get(code) or one.get("message")):
            yield str(one.get(code) or "")[:80], str(one.get("message") or "")


def _path(config: SalesforceConfig, kind: str) -> str:
    return f"/services/data/v{config.api_version}/sobjects/{kind}"


def _key(value: str | int | None, by: str) -> str:
    key = to_text(value)
    if not key.strip():
        raise PermanentError(f"`external_id` is empty: it needs its {by}", cause="empty id")
    return key


def _segment(key: str) -> str:
    if not key.strip("."):  # `.` and `..` would lead to another address
        raise PermanentError(
            f"`external_id` {key!r} can't be part of an address: give it as `rows`", cause="id refused"
        )
    try:
        return quote(key, safe="")
    except UnicodeEncodeError:
        raise PermanentError("`external_id` holds half a character", cause="not unicode") from None


def _without(by: str, key: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Salesforce refuses the external id among the fields, where the address has it."""
    if by in fields and to_text(fields[by]) != key:
        raise PermanentError(f"{by} under `fields` is another than `external_id`", cause="two external ids")
    return {name: value for name, value in fields.items() if name != by}
