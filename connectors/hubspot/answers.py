"""What HubSpot's answers mean for a delivery.

https://developers.hubspot.com/docs/api-reference/error-handling
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.common.api import Said
from connectors.common.vendor_words import one_line
from relay.errors import DeliveryError, PermanentError, RetryableError
from relay.http import Sorting

#: HubSpot's day begins at midnight in the account's time zone, which nobody tells us: look again each hour.
_DAILY_WAIT = timedelta(hours=1)
#: What it asks to be left alone for after a 423.
_LOCKED_SECONDS = 2.0
_WINDOW_SECONDS = 10.0
_PASSING = frozenset({"RATE_LIMITS", "INTERNAL_ERROR", "MIGRATION_IN_PROGRESS"})
_SCOPES = ("requiredGranularScopes", "requiredScopes", "missingScopes")


def judged(said: Said, sorting: Sorting) -> DeliveryError | None:
    """None where the status alone tells."""
    body = said.body if isinstance(said.body, dict) else {}
    if 200 <= said.status < 300:
        return _not_all(said, body, sorting)
    category = _category(body)
    if said.status == 429 or category == "RATE_LIMITS":
        return _too_fast(said, body)
    if said.status == 423:
        return said.retry("the record is locked", "http 423", _wait(said, _LOCKED_SECONDS))
    if not category or said.status == 410:
        return None
    words = one_line(body.get("message") or category, sorting.redact)
    cause = f"hubspot {category}"
    if category == "MISSING_SCOPES":
        return said.hold(f"{words}; give the app the scopes {_scopes(body) or 'that HubSpot names'}", cause)
    if said.status in sorting.hold_on:
        return said.hold(f"{words}; check the connection's token and the app's scopes", cause)
    if said.status in sorting.retry_on or said.status >= 500:
        return said.retry(words, cause)
    if said.status == 409:
        return said.permanent(f"{words}; where the record may be there already, use the action upsert", cause)
    return said.permanent(words, cause)


def _not_all(said: Said, body: Mapping[str, Any], sorting: Sorting) -> DeliveryError | None:
    """What a success says that isn't one: a 207 has written some rows, and names those that it has not.

    A batch has one outcome. Told as a refusal of its content (422) it is sent again in halves, until each bad row
    stands alone and is the only dead letter; upserting the good ones again changes nothing.
    """
    listed = body.get("errors")
    errors: list[Mapping[str, Any]] = (
        [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    counted = body.get("numErrors")
    number = max(len(errors), counted if isinstance(counted, int) else 0)
    if number or body.get("status") == "error":
        categories = {_category(one) for one in errors or [body]}
        words = one_line((errors[0] if errors else body).get("message") or "it doesn't say why", sorting.redact)
        text = f"{max(number, 1)} of the rows not taken, the first because: {words}"
        cause = f"hubspot {min(categories) or 'partial'}"
        if "MISSING_SCOPES" in categories:
            return said.hold(f"{text}; give the app the scopes it lacks", "hubspot MISSING_SCOPES")
        if categories <= _PASSING:
            return said.retry(text, cause)
        refused = said.permanent(text, cause)
        return PermanentError(refused.message, status=422, cause=cause, received=refused.received)
    if body.get("status") == "CANCELED":
        return said.retry("HubSpot cancelled the request", "hubspot cancelled")
    if body.get("results") == []:
        return said.permanent("it names no record that was written", "hubspot wrote nothing")
    return None


def _too_fast(said: Said, body: Mapping[str, Any]) -> RetryableError:
    if body.get("policyName") == "DAILY":
        text = "the account's requests of the day are used up"
        return said.retry(text, "hubspot daily limit", _wait(said, _DAILY_WAIT.total_seconds()))
    interval = said.header("x-hubspot-ratelimit-interval-milliseconds") or ""
    seconds = int(interval[:9]) / 1000 if interval.isascii() and interval.isdigit() else _WINDOW_SECONDS
    text = "too many requests at once; lower the connection's limit if other apps use the account too"
    return said.retry(text, "hubspot rate limit", _wait(said, seconds))


def _wait(said: Said, seconds: float) -> timedelta | None:
    """How long to wait where the answer has no Retry-After."""
    return None if said.header("retry-after") else timedelta(seconds=seconds)


def _category(body: Mapping[str, Any]) -> str:
    return str(body.get("category") or "")[:60]


def _scopes(body: Mapping[str, Any]) -> str:
    listed = body.get("errors")
    found: list[str] = []
    for holder in [body, *(listed if isinstance(listed, list) else [])]:
        context = holder.get("context") if isinstance(holder, Mapping) else None
        for name in _SCOPES:
            if isinstance(context, dict) and isinstance(context.get(name), list):
                found += [str(scope)[:80] for scope in context[name]]
    return ", ".join(dict.fromkeys(found))[:300]
