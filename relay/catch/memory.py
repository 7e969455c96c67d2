"""The store's memory, looked at before anything is put into it."""

from __future__ import annotations

import time

from relay.errors import StoreFullError
from relay.store import Operators, Store

#: Writes are refused before the store itself would: routing and delivering what is there needs room too.
MEMORY_SHARE_LIMIT = 0.9

_MEMORY_LOOK_SECONDS = 1.0


class MemoryWatch:
    """Looks at the store's memory once a second while requests come, and refuses them near its limit."""

    def __init__(self, store: Store) -> None:
        self._operators = Operators(store)
        self._look_at = 0.0
        self._full = ""

    async def check(self) -> None:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _MEMORY_LOOK_SECONDS
            used, limit = await self._operators.memory()
            near = limit > 0 and used > limit * MEMORY_SHARE_LIMIT
            self._full = f"the store uses {used:,} of {limit:,} bytes" if near else ""
        if self._full:
            raise StoreFullError(self._full)
