"""relay doctor"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from relay.cli.common import (
    WRONG,
    AsJson,
    Data,
    Recipes,
    RedisUrl,
    json_line,
    many,
    out,
    show,
    the_workspace,
    with_operators,
)
from relay.errors import ConfigError, StoreError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.store import Operators, Store

#: The first Redis whose scripts and sorted sets do all that the lanes ask of them.
_OLDEST = (7, 2)


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(as_json: AsJson = False, recipes: Recipes = None, data: Data = None, redis_url: RedisUrl = None) -> None:
    """The settings in force, where each came from, and what is wrong: with them, the workspace, the store, the lanes.

    [bold]relay doctor[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    rows = [
        {"name": name, "status": origin, "value": value, "about": about}
        for name, value, origin, about in settings.rows()
    ]
    findings = [*_workspace(settings), *_store(settings)]
    if as_json:
        for row in rows:
            json_line({**row, "kind": "setting"})
        for finding in findings:
            json_line({**finding, "kind": "finding"})
    else:
        show(rows, ("name", "value", "status", "about"), as_json=False, empty="")
        out.print()
        for finding in findings:
            style = {"error": "bold red", "warning": "yellow"}.get(finding["status"], "green")
            out.print(f"[{style}]{finding['status']:<8}[/] {finding['name']:<10} ", end="")
            out.print(finding["message"], markup=False)
    if any(finding["status"] == "error" for finding in findings):
        raise typer.Exit(WRONG)


async def _configured(store: Store, name: str) -> str:
    """A setting of the store's own. RESP3 answers with a mapping, RESP2 with a flat list."""
    reply = await store.ask("CONFIG", "GET", name)
    values = list(reply.values()) if isinstance(reply, dict) else list(reply)[1::2]
    return values[0].decode() if values else ""


def _finding(name: str, status: str, message: str) -> dict[str, Any]:
    return {"name": name, "status": status, "message": message}


def _workspace(settings: Settings) -> list[dict[str, Any]]:
    try:
        workspace = the_workspace(settings)
    except ConfigError as error:
        return [_finding("workspace", "error", str(error))]
    found = [_finding("workspace", problem.severity, str(problem)) for problem in workspace.problems]
    found += [_finding("source", "error", s.unavailable) for s in workspace.sources.values() if s.unavailable]
    found += [_finding("connection", "error", c.held) for c in workspace.connections.values() if c.held]
    # What holds a connection is a problem of relay.yaml too: told once.
    found = list({finding["message"]: finding for finding in found}.values())
    return found or [_finding("workspace", "ok", f"{many(len(workspace.recipes), 'recipe')} in {settings.recipes}")]


async def _refused(settings: Settings, store: Store) -> list[dict[str, Any]]:
    """Files with errors, where the relay goes on with what was valid before; and what no relay has put in force."""
    from relay.reload import in_force
    from relay.store import History

    known = await History(store).in_force()
    try:
        workspace = await in_force(settings.recipes, store)
    except ConfigError:
        return []  # told of the workspace already
    found = [
        _finding("refused", "error", f"{one.problem.place}: version {one.version} is still in force")
        for one in workspace.refused
    ]
    for recipe in workspace.recipes.values() if known.number else ():
        if known.recipes.get(recipe.id) != recipe.version:
            message = f"{recipe.file}: version {recipe.version} is not in force; does a relay run on this folder?"
            found.append(_finding("recipe", "warning", message))
    return found


def _store(settings: Settings) -> list[dict[str, Any]]:
    from relay.cli.doctor_replicas import replication
    from relay.lanes import Command
    from relay.store.operators import read_memory

    async def act(operators: Operators) -> list[dict[str, Any]]:
        store = operators.store
        info = await store.ask("INFO", "server")
        server = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        used, limit = await store.run(Command(("INFO", "memory"), read_memory))
        found = [
            _finding(
                "store",
                "ok",
                f"{server.get('server_name', 'redis')} {server.get('valkey_version') or server.get('redis_version')}, "
                f"{used:,} bytes used{f' of {limit:,}' if limit else ''}",
            )
        ]
        # Valkey tells the Redis version it is compatible with, too.
        release = server.get("redis_version", "0")
        if tuple(map(int, release.split(".")[:2])) < _OLDEST:
            found.append(_finding("store", "error", f"version {release} is too old: Redis 7.2 or any Valkey is needed"))
        if await _configured(store, "appendfsync") != "always" or await _configured(store, "appendonly") != "yes":
            found.append(
                _finding("store", "warning", "a 2xx is on disk only with `appendonly yes` and `appendfsync always`")
            )
        if await _configured(store, "maxmemory-policy") != "noeviction":
            found.append(_finding("store", "error", "the store may evict data: set `maxmemory-policy noeviction`"))
        found += await replication(settings, store)
        found += await _refused(settings, store)
        for lane in await operators.lanes():
            if lane.state != "running":
                waiting = f"{lane.waiting} waiting" if lane.waiting else "nothing waiting"
                found.append(_finding("lane", "warning", f"{lane.name} is {lane.state}: {lane.reason} ({waiting})"))
        return found

    try:
        return with_operators(settings, act)
    except StoreError as error:
        return [_finding("store", "warning", str(error))]
