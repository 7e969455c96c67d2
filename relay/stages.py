"""A worker's stages by one workspace. When another comes in force, what is under way ends by the one it began with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from relay.batch import Batcher
from relay.connections import Connections
from relay.deliver import Deliverer
from relay.memory import DecodedEvents
from relay.recipes import Workspace
from relay.route import Deliveries, Router
from relay.store import Store


@dataclass(slots=True, eq=False)
class Stages:
    """What a worker does with its messages, on one event loop."""

    workspace: Workspace
    router: Router
    deliverer: Deliverer
    batcher: Batcher
    _at_work: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        connections: Connections,
        store: Store,
        worker: str,
        deliveries: Deliveries | None = None,
    ) -> Stages:
        # What was picked out of an event was looked up in this workspace's tables, and decoded as its sources say.
        decoded = DecodedEvents()
        deliverer = Deliverer(workspace, store, worker, decoded, connections)
        batcher = Batcher(deliverer.preparer, connections, store, worker)
        return cls(workspace, Router(workspace, store, worker, decoded, deliveries), deliverer, batcher)

    @contextmanager
    def at_work(self) -> Iterator[Stages]:
        """Hold on to them from the beginning of a message to its end: no event is routed by two workspaces."""
        self._at_work += 1
        self._idle.clear()
        try:
            yield self
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()

    async def idle(self) -> None:
        """Until nobody is at work with them. They have to be out of everybody's reach before."""
        if self._at_work:
            await self._idle.wait()
