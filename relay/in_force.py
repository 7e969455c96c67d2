"""Putting a workspace in force in the lanes: their limits, what is held, and what no longer is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from relay import log
from relay.batch import reschedule
from relay.connections import INCOMPLETE, fingerprint, lane_limits
from relay.lanes import Command, LaneLimits
from relay.recipes import Workspace
from relay.route import BROKEN
from relay.store import DELIVER_QUEUE, ROUTE_QUEUE, Store, connection_lane, recipe_lane, source_lane

#: How many events travel in one call of the route actor.
ROUTE_BUNDLE = 64


#: What stops a lane because of what the destination said, and may be mended by other settings.
_MAY_BE_MENDED = ("held", "off", "breaker")


async def put_in_force(workspace: Workspace, store: Store, before: Workspace | None = None) -> None:
    """Tell the lanes what the workspace says. `before` is what this process had; None at its start."""
    lanes = await store.run(store.lanes.names())
    if limits := [*lane_limits(workspace), *_gates(workspace, lanes)]:
        await store.run(store.lanes.configure(limits))
    await reschedule(workspace, store)
    await _connections(workspace, store, before)
    await free(workspace, store, lanes)
    for name, broken in workspace.broken.items():
        if before is not None and (last := before.broken.get(name)) is not None and last.why == broken.why:
            continue
        await store.run(store.lanes.pause(ROUTE_QUEUE, recipe_lane(name), broken.why, state=BROKEN))
        log.get().error("recipe.broken", recipe=name, why=broken.why)


async def free(workspace: Workspace, store: Store, lanes: Collection[str] | None = None) -> None:
    """Let go what waits for a recipe to be mended, and the recipe is."""
    prefix = recipe_lane("")
    if lanes is None:
        lanes = await store.run(store.lanes.names())
    mended = [lane for lane in lanes if lane.startswith(prefix) and lane.removeprefix(prefix) not in workspace.broken]
    await store.run_many([store.lanes.resume(ROUTE_QUEUE, lane, only_if=BROKEN) for lane in mended])


async def _connections(workspace: Workspace, store: Store, before: Workspace | None) -> None:
    """Hold the lanes of connections that lack a setting. Let the others go that were held for that, and those whose
    settings are others now than what was refused.
    """
    names = [name for name, connection in workspace.connections.items() if connection.held is None]
    prints = {name: fingerprint(workspace, name) for name in names}
    known = await store.remembered([f"connection:{name}" for name in names])
    commands: list[Command[Any]] = []
    for name, connection in workspace.connections.items():
        if connection.held is not None:
            lane = connection_lane(name)
            commands.append(store.lanes.pause(DELIVER_QUEUE, lane, connection.held, state=INCOMPLETE, only_if=""))
    for name, remembered in zip(names, known, strict=True):
        lane = connection_lane(name)
        commands.append(store.lanes.resume(DELIVER_QUEUE, lane, only_if=INCOMPLETE))
        # Another process may have remembered the new ones while this one still tried the old.
        others = before is not None and name in before.connections and fingerprint(before, name) != prints[name]
        if remembered != prints[name] or others:
            commands += [store.lanes.resume(DELIVER_QUEUE, lane, only_if=state) for state in _MAY_BE_MENDED]
    await store.run_many(commands)
    await store.remember({f"connection:{name}": print_ for name, print_ in prints.items()})


def _gates(workspace: Workspace, lanes: Collection[str]) -> list[LaneLimits]:
    """Where a recipe orders what it sends, its source's events are routed one bundle after another: two workers that
    route at the same time would mix them up.
    """
    ordered = {recipe.catch for recipe in workspace.recipes.values() if recipe.is_ordered}
    gates = dict.fromkeys(ordered, ROUTE_BUNDLE)
    gates |= {name: 0 for name in workspace.sources if name not in ordered and source_lane(name) in lanes}
    return [LaneLimits(source_lane(name), ROUTE_QUEUE, gate=gate) for name, gate in gates.items()]
