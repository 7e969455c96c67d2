"""The connectors of a workspace's connections, each made when it is first used."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, SecretStr

from relay import log
from relay.connector import Breaker, Connector, Context, Limit, connector_class
from relay.errors import HoldError
from relay.lanes import LaneBreaker, LaneLimits
from relay.recipes import Workspace
from relay.store import DELIVER_QUEUE, connection_lane

#: A destination that hangs must not take every place of a worker: others have lanes too.
DEFAULT_CONCURRENCY = 16

#: The state of a lane whose connection lacks a setting. It ends by itself when the setting is there.
INCOMPLETE = "incomplete"
INCOMPLETE_CAUSE = "connection incomplete"


class Connections:
    """Connectors by connection name."""

    def __init__(self, workspace: Workspace, context: Context) -> None:
        self._workspace = workspace
        self._context = context
        self._connectors: dict[str, Connector[Any]] = {}
        self._outdated: list[Connector[Any]] = []

    def get(self, name: str) -> Connector[Any]:
        """Raises HoldError where the connection's settings are incomplete, or there is no such connection."""
        connector = self._connectors.get(name)
        if connector is not None:
            return connector
        connection = self._workspace.connections.get(name)
        if connection is None:
            # Not dead: whoever removed it from relay.yaml may put it back, and its work is still there.
            raise HoldError(f"relay.yaml has no connection {name} any more", cause=INCOMPLETE_CAUSE)
        if connection.held is not None or connection.config is None:
            raise HoldError(connection.held or f"the connection {name} has no settings", cause=INCOMPLETE_CAUSE)
        made: Connector[Any] = connector_class(connection.connector)(connection.config, self._context)
        self._connectors[name] = made
        return made

    def warm(self) -> None:
        """Load every connector now: its import would cost the first delivery tens of milliseconds."""
        for name in self._workspace.connections:
            with contextlib.suppress(HoldError):
                self.get(name)

    def renew(self, workspace: Workspace) -> list[Connector[Any]]:
        """See another workspace. Returns the connectors whose settings are others there: nobody gets them any more, and
        they are to be closed when their last attempt has ended.
        """
        self._workspace = workspace
        gone = []
        for name, connector in list(self._connectors.items()):
            connection = workspace.connections.get(name)
            same = connection is not None and connection.connector == connector.name
            if connection is None or not same or connection.config != connector.config:
                connector.outdated = True
                gone.append(self._connectors.pop(name))
        self._outdated += gone
        self.warm()
        return gone

    async def close(self, connectors: Sequence[Connector[Any]]) -> None:
        """Those that `renew` gave."""
        for connector in connectors:
            self._outdated.remove(connector)
        await _close_all(connectors)

    async def aclose(self) -> None:
        connectors = [*self._connectors.values(), *self._outdated]
        self._connectors.clear()
        self._outdated.clear()
        await _close_all(connectors)


async def _close_all(connectors: Sequence[Connector[Any]]) -> None:
    """One that can't be closed keeps no other open."""
    ended = await asyncio.gather(*(connector.aclose() for connector in connectors), return_exceptions=True)
    for connector, error in zip(connectors, ended, strict=True):
        if isinstance(error, Exception):
            log.get().error("worker.connector_mistake", connector=connector.name, exc_info=error)


def lane_limits(workspace: Workspace) -> list[LaneLimits]:
    """What relay.yaml says of each connection's lane."""
    limits = []
    for name, connection in workspace.connections.items():
        rate = connection.limit.rate_in()
        limits.append(
            LaneLimits(
                connection_lane(name),
                DELIVER_QUEUE,
                connection.limit.concurrency or DEFAULT_CONCURRENCY,
                *(rate or (0, timedelta(0))),
                breaker=_breaker(connection.breaker),
            )
        )
    return limits


def _breaker(said: Breaker | None) -> LaneBreaker | None:
    return LaneBreaker(said.attempts, said.failed, said.window, said.pause, said.longest) if said is not None else None


def fingerprint(workspace: Workspace, name: str) -> str:
    """Changes when a connection's settings do, secrets included, and not when only its lane's do: those mend nothing
    that a destination refused. Too short to tell anything of a secret.
    """
    config = workspace.connections[name].config
    if config is not None:
        config = config.model_copy(update={"limit": Limit(), "breaker": None})
    return hashlib.blake2b(repr(_revealed(config)).encode(), digest_size=4).hexdigest()


def _revealed(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {key: _revealed(getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, (list, tuple)):
        return [_revealed(item) for item in value]
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return value
