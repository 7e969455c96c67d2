"""relay sources rejected|secrets"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import (
    AsJson,
    Data,
    Limit,
    Recipes,
    RedisUrl,
    Since,
    Until,
    Yes,
    confirm,
    err,
    moment_ms,
    not_known,
    show,
    the_workspace,
    who,
    with_operators,
)
from relay.clock import isoformat
from relay.errors import ConfigError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Source
    from relay.store import Operators, SecretUse

REJECTED_COLUMNS = ("at", "name", "status", "method", "remote", "more", "reason")
SECRET_COLUMNS = ("name", "status", "times", "last_used_at", "since")


def add_to(app: typer.Typer) -> None:
    app.command()(rejected)
    app.command()(secrets)


def rejected(
    source: Annotated[str | None, typer.Argument(help="Only this source's.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Requests of the last day that were refused, and why: what the sender was not told.

    At most 20 a second of each source are kept; `more` is how many others there were just then. --json has the
    request's headers too, without what proves a sender.

    [bold]relay sources rejected[/]
    [bold]relay sources rejected shop --since 2h --json[/]
    """
    since_ms, until_ms = moment_ms(since, "--since"), moment_ms(until, "--until")

    async def act(operators: Operators) -> list[dict[str, Any]]:
        from relay.store import Senders

        rows: list[dict[str, Any]] = []
        async for one in Senders(operators.store).rejected(since_ms):
            if (source is None or one.source == source) and (until_ms is None or one.at_ms <= until_ms):
                rows.append(one.as_json())
            if len(rows) >= limit:
                break
        return rows

    rows = with_operators(Settings.read({"data": data, "redis_url": redis_url}), act)
    columns = (
        REJECTED_COLUMNS if any(row["more"] for row in rows) else tuple(c for c in REJECTED_COLUMNS if c != "more")
    )
    show(rows, columns, as_json=as_json, empty="No request was refused in the last day.")


def secrets(
    source: Annotated[str, typer.Argument(help="The source, as relay.yaml names it.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the secrets that the vendor gave.")] = False,
    forget: Annotated[
        str | None, typer.Option("--forget", help="Refuse what is signed with this kept secret from now on: its name.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Which of a source's secrets are used, so that an old one can be taken away; and those its vendor gave us.

    A secret is shown by a short name that doesn't give it away. Uses are counted while there are several.

    [bold]relay sources secrets shop[/]
    [bold]relay sources secrets notion --reveal[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    sources = the_workspace(settings).sources
    found = sources.get(source)
    if found is None:
        raise not_known("source", source, sources)

    async def act(operators: Operators) -> tuple[dict[str, SecretUse], list[tuple[str, int]]]:
        from relay.store import Senders

        senders = Senders(operators.store)
        return await senders.uses(source), await senders.kept(source)

    uses, kept = with_operators(settings, act)
    if forget is not None:
        _forget(settings, source, forget, [secret for secret, _ in kept], yes=yes)
        return
    rows = [*_of_relay_yaml(found, uses), *_of_the_vendor(kept, reveal=reveal)]
    columns = (*SECRET_COLUMNS, "secret") if reveal and kept else SECRET_COLUMNS
    show(rows, columns, as_json=as_json, empty=f"The source {source} has no secrets.")


def _of_relay_yaml(source: Source, uses: dict[str, SecretUse]) -> list[dict[str, Any]]:
    marks = source.config.marks if source.config is not None else ()
    if source.config is None:
        err.print(f"The source can't be used now: {source.unavailable}")
    rows = []
    for mark in dict.fromkeys((*marks, *uses)):
        use = uses.get(mark)
        place = (
            f"{marks.index(mark) + 1} of {len(marks)} in relay.yaml" if mark in marks else "not in relay.yaml any more"
        )
        last = isoformat(use.last_ms) if use is not None else None
        # With one secret alone there is nothing to tell apart, and nothing is counted.
        times = use.times if use is not None else 0 if len(marks) > 1 else None
        rows.append({"name": mark, "status": place, "times": times, "last_used_at": last})
    return rows


def _of_the_vendor(kept: list[tuple[str, int]], *, reveal: bool) -> list[dict[str, Any]]:
    from relay.sources.config import mark_of

    return [
        {"name": mark_of(secret), "status": "given by the vendor", "since": isoformat(at_ms)}
        | ({"secret": secret} if reveal else {})
        for secret, at_ms in kept
    ]


def _forget(settings: Settings, source: str, mark: str, kept: list[str], *, yes: bool) -> None:
    from relay.sources.config import mark_of

    secret = next((one for one in kept if mark_of(one) == mark), None)
    if secret is None:
        raise ConfigError(
            f"no secret that its vendor gave {source} is called {mark}; see relay sources secrets {source}"
        )
    confirm(f"Refuse what is signed with {mark} from now on?", yes=yes)

    async def act(operators: Operators) -> bool:
        from relay.store import Senders

        return await Senders(operators.store).forget(source, secret, who())

    with_operators(settings, act)
    err.print(f"Forgotten: {mark}.")
