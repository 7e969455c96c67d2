"""Several records of several objects in one request, the later ones made of what came of the earlier ones.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite_post.htm
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_subrequest_result.htm
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from connectors.common.api import ApiAction, ApiConnector, ApiRequest
from connectors.salesforce.composite_fields import CompositeFields, Subrequest
from connectors.salesforce.config import SalesforceConfig
from connectors.salesforce.errors import errors_in, verdict
from connectors.salesforce.records import key_of, path_of, segment_of, without
from relay.connector import Call, Example
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import RETRY_ON
from relay.model import Reply

#: What stands at a subrequest that was rolled back, or not tried, because another failed.
_HALTED = "PROCESSING_HALTED"
_MARK = "@{"


@dataclass(frozen=True, slots=True)
class CompositeRequest(ApiRequest):
    """repeats: nothing in it makes a second record when it is sent again. writes: the ids of those that write."""

    repeats: bool = False
    writes: tuple[str, ...] = ()


class Composite(ApiAction[SalesforceConfig, CompositeFields]):
    name = "composite"
    summary = (
        "Several records of several objects in one request, all or none of them; the answer is a mapping by `id`. "
        "A repeat does no harm where none of them is a create."
    )
    With = CompositeFields
    examples = (
        Example(
            "An account, and a contact in it",
            {
                "requests": [
                    {
                        "id": "account",
                        "do": "upsert",
                        "object": "Account",
                        "external_id_field": "Ref__c",
                        "external_id": "A/7",
                        "fields": {"Name": "Analytical Engines"},
                    },
                    {
                        "id": "contact",
                        "do": "upsert",
                        "object": "Contact",
                        "external_id_field": "Ref__c",
                        "external_id": 7,
                        "fields": {"LastName": "Lovelace"},
                        "from": {"AccountId": "account.id"},
                    },
                ]
            },
        ),
        Example(
            "A task for whoever owns a lead",
            {
                "requests": [
                    {
                        "id": "lead",
                        "do": "get",
                        "object": "Lead",
                        "record": "00Q5e00000abcdEEAQ",
                        "select": ["OwnerId"],
                    },
                    {
                        "id": "task",
                        "do": "create",
                        "object": "Task",
                        "fields": {"Subject": "Call back"},
                        "from": {"OwnerId": "lead.OwnerId", "WhoId": "lead.Id"},
                    },
                ]
            },
        ),
    )

    def prepare(self, fields: CompositeFields, call: Call) -> CompositeRequest:
        return CompositeRequest(
            "POST",
            self.config.base_url,
            f"/services/data/v{self.config.api_version}/composite",
            "json",
            {"allOrNone": fields.all_or_none, "compositeRequest": [self._one(each) for each in fields.requests]},
            repeats=all(each.do != "create" for each in fields.requests),
            writes=tuple(each.id for each in fields.requests if each.do != "get"),
        )

    def _one(self, asked: Subrequest) -> dict[str, Any]:
        path = path_of(self.config, asked.object)
        fields = asked.fields
        if asked.do == "upsert":
            by = asked.external_id_field or ""
            key = key_of(asked.external_id, by)
            fields = without(by, key, fields)
            _check_no_reference(asked.id, key)
            path += f"/{by}/{segment_of(key)}"
        elif asked.do != "create":
            path += f"/{asked.record or _reference(asked.record_from or '')}"
        if asked.select:
            path += f"?fields={','.join(asked.select)}"
        _check_no_reference(asked.id, fields)
        method = {"create": "POST", "update": "PATCH", "upsert": "PATCH", "get": "GET"}[asked.do]
        made: dict[str, Any] = {"method": method, "url": path, "referenceId": asked.id}
        if asked.do != "get":
            made["body"] = {**fields, **{name: _reference(pointer) for name, pointer in asked.from_.items()}}
        return made

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        assert isinstance(outgoing, CompositeRequest)
        connection = cast("ApiConnector[SalesforceConfig]", self.connection)
        reply = await connection.request(outgoing, call, idempotent=outgoing.repeats)
        results = _results(reply, outgoing)
        failed = {name: one for name, one in results.items() if not _succeeded(one)}
        if failed:
            raise _failure(reply, outgoing, results, failed, connection)
        return replace(reply, body={name: one.get("body") for name, one in results.items()})


def _reference(pointer: str) -> str:
    return f"{_MARK}{pointer}}}"


def _check_no_reference(name: str, value: Any) -> None:
    """Salesforce knows no way to say that `@{` is only text: an event must not reach for another record by it."""
    if isinstance(value, Mapping):
        for inner in value.values():
            _check_no_reference(name, inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_no_reference(name, inner)
    elif isinstance(value, str) and _MARK in value:
        raise PermanentError(
            f"a value of {name} holds @{{, which Salesforce would take for a reference: put such fields under `from`, "
            "or `| replace('@{', '@ {')` what people wrote",
            cause="salesforce reference in a value",
        )


def _results(reply: Reply, outgoing: CompositeRequest) -> dict[str, dict[str, Any]]:
    """By reference id. Raises where the answer doesn't tell of each request."""
    body = reply.body
    found = body.get("compositeResponse") if isinstance(body, dict) else None
    results = {str(one.get("referenceId")): one for one in found or () if isinstance(one, dict)}
    if set(results) != {one["referenceId"] for one in outgoing.body["compositeRequest"]}:
        error = RetryableError if outgoing.repeats else UnknownOutcomeError
        raise error(
            f"Salesforce answered {reply.summary}, but not what came of each of the requests",
            status=reply.status,
            cause="salesforce composite without results",
            received=dict(reply.received),
        )
    return results


def _succeeded(one: Mapping[str, Any]) -> bool:
    status, body = one.get("httpStatusCode"), one.get("body")
    refused = isinstance(body, dict) and body.get("success") is False
    return isinstance(status, int) and 200 <= status < 300 and not refused


def _errors(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    body = one.get("body")
    found = list(errors_in(body, "errorCode"))
    if isinstance(body, dict):
        found = list(errors_in(body.get("errors"), "statusCode"))
    if one.get("httpStatusCode") == 300:
        return [("300", "the external id belongs to several records; make it unique")]
    return found or [("", f"http {one.get('httpStatusCode')}")]


def _failure(
    reply: Reply,
    outgoing: CompositeRequest,
    results: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, Mapping[str, Any]],
    connection: ApiConnector[SalesforceConfig],
) -> DeliveryError:
    errors = {name: _errors(one) for name, one in failed.items()}
    # The others only say that they were halted by the one that has a reason.
    real = {name: found for name, found in errors.items() if found[0][0] != _HALTED} or errors
    name = next(iter(real))
    statuses = [one.get("httpStatusCode") for key, one in failed.items() if key in real]
    status = statuses[0] if isinstance(statuses[0], int) else 200
    passing = all(isinstance(one, int) and (one in RETRY_ON | {409} or one >= 500) for one in statuses)
    found = verdict([error for key in real for error in real[key]], status, connection.sorting.redact, passing=passing)
    kept: dict[str, Any] = {"status": status, "received": dict(reply.received)}
    written = [] if outgoing.body["allOrNone"] else [key for key in outgoing.writes if key not in failed]
    message = f"Salesforce refused {name}: {found.words}"
    if not written:
        message += "; nothing was written"
    else:
        message += f"; {', '.join(written)} {'was' if len(written) == 1 else 'were'} written"
        if not outgoing.repeats:
            # Known, and yet no retry: it would create them again.
            message += ", and a repeat would create what is a create again: take it out before a replay"
            return PermanentError(message, cause="salesforce partly done", **kept)
    if found.fate == "hold":
        return HoldError(message, cause=found.cause, **kept)
    if found.fate == "retry":
        return RetryableError(message, retry_after=found.wait, cause=found.cause, **kept)
    return PermanentError(message, cause=found.cause, **kept)
