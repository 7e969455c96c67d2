"""What Salesforce's error codes mean.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from connectors.common.vendor_words import one_line

_HOLD = frozenset({"INVALID_SESSION_ID", "INVALID_AUTH_HEADER", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"})
_PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT"})
_LIMIT = "REQUEST_LIMIT_EXCEEDED"
#: The requests of the last 24 hours count, so there is room again little by little.
_LIMIT_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """wait: how long, where Salesforce doesn't say it by Retry-After."""

    fate: Literal["hold", "retry", "permanent"]
    words: str
    cause: str
    wait: timedelta | None = None


def verdict(errors: list[tuple[str, str]], status: int, redact: Callable[[str], str], *, passing: bool) -> Verdict:
    """errors: (code, message), the first of which is told. passing: the status alone says that it gets better."""
    codes = {code for code, _ in errors}
    code, message = errors[0]
    words = one_line(f"{code}: {message}" if code else message, redact)
    cause = f"salesforce {code}" if code else "salesforce refused"
    if codes & _HOLD or status == 401:
        return Verdict("hold", f"{words}; check what the app and its user may do", cause)
    if _LIMIT in codes:
        # Too many at the same moment is over in seconds; too many in 24 hours isn't.
        return Verdict("retry", words, cause, None if "concurrent" in message.lower() else _LIMIT_WAIT)
    return Verdict("retry" if passing or codes <= _PASSING else "permanent", words, cause)


def errors_in(body: object, code: str) -> Iterator[tuple[str, str]]:
    """(code, message) of each error of a list of them."""
    for one in body if isinstance(body, list) else ():
        if isinstance(one, dict) and (one.get(code) or one.get("message")):
            yield str(one.get(code) or "")[:80], str(one.get("message") or "")
