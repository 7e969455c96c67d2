"""What is noted of requests that became no event: refused ones and handshakes. Bounded, and written once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from relay.errors import StoreError
from relay.model import Event
from relay.store import Rejected, Senders, Store

T = TypeVar("T")

_EVERY_SECONDS = 1.0

#: Of one source in that time, and of all; the rest is only counted. Whoever floods us fills neither memory nor disk.
_MOST_OF_A_SOURCE = 20
_MOST_OF_ALL = 200

#: Of a question that is kept: enough to see what it was.
_MOST_HEADERS = 50
_MOST_OF_A_TEXT = 500
_MOST_OF_A_BODY = 4_000

#: Names that are no source of ours are counted together: anybody could think of more.
UNKNOWN = "?"


class Logbook:
    """One web process's. What it has noted in the last second is lost with the process: no sender was promised it."""

    def __init__(self, store: Store) -> None:
        self._senders = Senders(store)
        self._counts: Counter[str] = Counter()
        self._rejected: dict[str, list[Rejected]] = {}
        self._handshakes: dict[str, list[Event]] = {}

    def rejected(self, source: str, make: Callable[[], Rejected]) -> None:
        """Note a refused request of a source, or of UNKNOWN. make: its record, where there is room for one."""
        self._counts[f"refused:{source}"] += 1
        _add(self._rejected, source, make)

    def handshake(self, event: Event) -> None:
        """Note a vendor's question that was answered."""
        self._counts[f"handshake:{event.source}"] += 1
        _add(self._handshakes, event.source, lambda: shortened(event))

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """What has come together; dropped where the store is away, since it is no more than a help."""
        if not self._counts:
            return
        counts, rejected = self._counts, []
        handshakes = [event for noted in self._handshakes.values() for event in noted]
        for source, noted in self._rejected.items():
            if noted:
                noted[-1] = replace(noted[-1], more=counts[f"refused:{source}"] - len(noted))
            rejected += noted
        self._counts, self._rejected, self._handshakes = Counter(), {}, {}
        with contextlib.suppress(StoreError):
            await self._senders.note(handshakes, rejected, counts)


def _add(noted: dict[str, list[T]], source: str, make: Callable[[], T]) -> None:
    mine = noted.setdefault(source, [])
    if len(mine) < _MOST_OF_A_SOURCE and sum(map(len, noted.values())) < _MOST_OF_ALL:
        mine.append(make())


def shortened(event: Event) -> Event:
    """A question as it is kept: strangers may ask as well, at any length."""
    headers = {name[:_MOST_OF_A_TEXT]: value[:_MOST_OF_A_TEXT] for name, value in event.headers.items()}
    return replace(
        event,
        headers=dict(list(headers.items())[:_MOST_HEADERS]),
        query=tuple((name[:_MOST_OF_A_TEXT], value[:_MOST_OF_A_TEXT]) for name, value in event.query[:_MOST_HEADERS]),
        body=event.body[:_MOST_OF_A_BODY],
    )
