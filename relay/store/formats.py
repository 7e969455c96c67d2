"""The form of the stored data, by number: what a relay finds may have been written by another version.

R format  string  the number. Data without it was written before there were numbers: it is format 0.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from relay.errors import NewerDataError, StoreUnavailableError
from relay.lanes import Command
from relay.store.base import store_script
from relay.store.store import Store

#: What this version writes and reads. It grows when an older version could not go on with what this one writes.
FORMAT = 1

_FORMAT = store_script("format")

Step = Callable[[Store], Awaitable[None]]


async def _nothing(_: Store) -> None:
    """Format 0 is read as it is: every field that came later has a meaning where it is missing."""


#: From which format → what brings the data one further. Each may be broken off and begun again at any moment, and works
#: in acts that are short.
STEPS: Mapping[int, Step] = {0: _nothing}


async def bring_up_to_date(store: Store, steps: Mapping[int, Step] = STEPS, known: int = FORMAT) -> int:
    """Make sure that the data can be read, and bring what is older up to date. The format it had.

    Raises NewerDataError, StoreError.
    """
    found = first = await _step(store, known, -1)
    while found < known:
        # Whoever else starts now does the same: steps may be done twice.
        await steps[found](store)
        found = await _step(store, known, found)
    if found > known:
        raise NewerDataError(
            f"the data in the store was written by a newer relay: it has format {found}, this one knows up to {known}; "
            "start the version that wrote it or a newer one, or restore a backup from before the upgrade"
        )
    return first


async def _step(store: Store, known: int, done: int) -> int:
    """Note that the data is one further than `done`, unless somebody has noted that; which format it has now."""
    return await store.run(Command.call(_FORMAT, store.keys, "", known, done, read=int))


def ensure_format(url: str, prefix: str) -> None:
    """`bring_up_to_date`, for a process that starts. A store that is away can't be asked: then nothing is known."""

    async def ensure() -> None:
        store = Store(url, prefix)
        try:
            with contextlib.suppress(StoreUnavailableError):
                await bring_up_to_date(store)
        finally:
            await store.aclose()

    asyncio.run(ensure())
