"""What an earlier attempt may have made at Shippo, and the time there is to look for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from relay.connector import Call
from relay.errors import PermanentError, RetryableError
from relay.model import Reply

PENDING = frozenset({"QUEUED", "WAITING"})
_REFUNDED = frozenset({"REFUNDED", "REFUNDPENDING"})
_UNTIL_MADE = timedelta(minutes=1)


class Left:
    """What is left of the attempt's time, over several requests."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + call.timeout.total_seconds()

    def call(self) -> Call:
        return replace(self._call, timeout=timedelta(seconds=max(self._end - self._clock(), 0.001)))

    def refuse_a_hasty_purchase(self) -> None:
        """A purchase whose answer there is no time to wait for would be an unknown outcome."""
        if self.call().timeout < self._call.timeout / 4:
            raise RetryableError(
                "looking for the label took nearly all the time; none was bought", cause="no time left"
            )


def earlier(what: str, reply: Reply, item: Mapping[str, Any]) -> Reply:
    summary = f"{what} {item.get('object_id')} is there from an earlier attempt"
    return replace(reply, body=dict(item), summary=summary)


def is_marked(item: Mapping[str, Any], mark: str) -> bool:
    return str(item.get("metadata") or "").endswith(mark)


def bought(reply: Reply, label: Mapping[str, Any]) -> Reply:
    """The label that an earlier attempt bought, where it can be used."""
    if label.get("status") in PENDING:
        raise pending("label", reply)
    if label.get("status") in _REFUNDED:
        raise PermanentError(
            f"the rate's label {label.get('object_id')} was refunded: create a new shipment for another",
            cause="shippo label refunded", received=dict(reply.received),
        )  # fmt: skip
    return earlier("label", reply, label)


def pending(what: str, reply: Reply) -> RetryableError:
    return RetryableError(
        f"Shippo is still making the {what}; the next attempt looks for it",
        retry_after=_UNTIL_MADE, status=reply.status, cause="shippo pending", received=dict(reply.received),
    )  # fmt: skip
