"""`relay try --live`: have destinations check what would be sent, where they offer that and nothing comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from relay.clock import now
from relay.connector import Call, Connector, Context
from relay.errors import ConfigError, DeliveryError
from relay.model import Event, delivery_id
from relay.recipes import Connection, Recipe, Trial, TryResult, Workspace

#: Of a `foreach`, so many items are asked about: a list of thousands must not become thousands of requests.
_ITEMS = 20


def asked(recipe: Recipe, workspace: Workspace, event: Event, trial: Trial) -> Trial:
    """The trial with what the destinations say of it."""
    return asyncio.run(_Asking(recipe, workspace, event).run(trial))


class _Asking:
    def __init__(self, recipe: Recipe, workspace: Workspace, event: Event) -> None:
        self.recipe = recipe
        self.workspace = workspace
        self.event = event
        self.connectors: dict[str, Connector[Any]] = {}

    async def run(self, trial: Trial) -> Trial:
        try:
            return replace(trial, steps=[await self.step(one) for one in trial])
        finally:
            for connector in self.connectors.values():
                await connector.aclose()

    async def step(self, result: TryResult) -> TryResult:
        if result.preview is None:
            return result
        connection = self.workspace.connections.get(result.connection)
        kind = connection.connector_class if connection is not None else None
        if connection is None or kind is None or kind.rehearse is Connector.rehearse:
            return replace(result, unasked=f"{result.connector or result.connection} has no call that only checks")
        if connection.config is None:
            return replace(result, unasked=connection.held or "the connection's settings aren't complete")
        if (result.item or 0) >= _ITEMS:
            return replace(result, unasked=f"only the first {_ITEMS} items are asked about")
        try:
            return replace(result, found=list(await self.rehearsed(result, connection, kind)))
        except NotImplementedError:
            return replace(result, unasked=f"{result.connector} has no call that only checks this")
        except (DeliveryError, ConfigError) as error:
            return replace(result, error=f"{result.place}: the destination couldn't check it: {error}")

    async def rehearsed(
        self, result: TryResult, connection: Connection, kind: type[Connector[Any]]
    ) -> tuple[str, ...]:  # fmt: skip
        """As the trial made it, with the secrets that a dry run does without."""
        connector = self.connectors.get(result.connection)
        if connector is None:
            connector = self.connectors[result.connection] = kind(connection.config, Context())
        step = self.recipe.steps[result.step]
        item = "" if result.item is None else str(result.item)
        delivery = delivery_id(self.event.id, self.recipe.id, step.id, item)
        call = Call(delivery, delivery, 1, step.timeout, self.event.received_at if step.batch is None else now())
        fields = result.fields or {}
        if step.batch is not None:
            fields = kind.action_class(step.do).merged([fields])
        return await connector.rehearse(step.do, connector.outgoing(step.do, fields, call), call)
