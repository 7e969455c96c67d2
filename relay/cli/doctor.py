"""relay doctor"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
from relay.cli.doctor_books import Found, look_at_books
from relay.cli.doctor_replicas import replication, sentinels
from relay.errors import ConfigError, StoreError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.store import Operators, Store


#: So many stopped lanes are told one by one.
_MOST_LANES = 20


Books = Annotated[
    bool, typer.Option("--books", help="Look at every event, delivery and lane: does all agree? A minute a million.")
]
Mend = Annotated[bool, typer.Option("--mend", help="The same, and mend what doesn't agree.")]


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    books: Books = False,
    mend: Mend = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """The settings in force, where each came from, and what is wrong: with them, the workspace, the store, the lanes.

    With --books, also whether every event and delivery is where its indexes and lanes say. The relay may run meanwhile.

    [bold]relay doctor[/]
    [bold]relay doctor --books[/]
    [bold]relay doctor --mend[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    rows = [
        {"name": name, "status": origin, "value": value, "about": about}
        for name, value, origin, about in settings.rows()
    ]
    findings = [*_workspace(settings), *sentinels(settings), *_store(settings)]
    if books or mend:
        findings += [_finding(*found) for found in _books(settings, mend)]
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


def _finding(name: str, status: str, message: str) -> dict[str, Any]:
    return {"name": name, "status": status, "message": message}


def _books(settings: Settings, mend: bool) -> list[Found]:
    async def act(operators: Operators) -> list[Found]:
        return await look_at_books(settings, operators, mend)

    try:
        return with_operators(settings, act)
    except StoreError as error:
        return [("books", "error", str(error))]


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
    from relay.cli.doctor_store import store_findings

    async def act(operators: Operators) -> list[dict[str, Any]]:
        store = operators.store
        found = await store_findings(settings, store, store.url)
        found += await replication(settings, store)
        found += await _refused(settings, store)
        stopped = [lane for lane in await operators.lanes() if lane.state != "running"]
        for lane in stopped[:_MOST_LANES]:
            waiting = f"{lane.waiting} waiting" if lane.waiting else "nothing waiting"
            found.append(_finding("lane", "warning", f"{lane.name} is {lane.state}: {lane.reason} ({waiting})"))
        if more := stopped[_MOST_LANES:]:
            number = f"{len(more):,} more lanes are stopped, in which {sum(lane.waiting for lane in more):,} wait"
            found.append(_finding("lane", "warning", f"{number}; see relay lanes list"))
        return found

    try:
        return with_operators(settings, act)
    except StoreError as error:
        return [_finding("store", "warning", str(error))]
