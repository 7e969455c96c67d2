"""Limits that requests run into: told when the first does, and when none has for a while; not at every request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from relay import log

#: So long nobody ran into it: it is over.
QUIET_SECONDS = 60.0


@dataclass(slots=True)
class _Reached:
    reason: str
    since: float
    last: float
    refused: int = 0


class Limits:
    """Those of one web process that are reached at present: `rate`, `address` and `body` of a source, `bodies`,
    `connections`.
    """

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet_seconds = quiet_seconds
        self._reached: dict[str, _Reached] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._log = log.get()

    def reached(self, limit: str, reason: str) -> None:
        """Somebody was refused for it."""
        now = time.monotonic()
        known = self._reached.get(limit)
        if known is None:
            known = self._reached[limit] = _Reached(reason, now, now)
            self._log.warning("limit.reached", limit=limit, reason=reason)
            if self._timer is None:
                self._look_again()
        known.last = now
        known.refused += 1

    def rows(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        return [
            {
                "name": limit,
                "status": "reached",
                "reason": one.reason,
                "refused": one.refused,
                "for_s": round(now - one.since),
            }
            for limit, one in self._reached.items()
        ]

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._quiet_seconds / 4, self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for limit, one in list(self._reached.items()):
            if now - one.last >= self._quiet_seconds:
                del self._reached[limit]
                lasted_s = round(one.last - one.since, 1)
                self._log.info("limit.over", limit=limit, refused=one.refused, lasted_s=lasted_s)
        if self._reached:
            self._look_again()
