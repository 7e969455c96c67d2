"""What the command groups share: settings, the store, tables and JSON lines, the question before a change."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from relay.errors import ConfigError
from relay.jsontext import dumps
from relay.settings import Settings
from relay.units import parse_duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from relay.recipes import Workspace
    from relay.store import Operators

T = TypeVar("T")

WRONG, WRONG_USAGE, NOT_REACHED = 1, 2, 3

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Recipes = Annotated[Path | None, typer.Option("--recipes", help="The workspace. [dim]RELAY_RECIPES, recipes[/]")]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder. [dim]RELAY_DATA, .relay[/]")]
RedisUrl = Annotated[
    str | None, typer.Option("--redis-url", help="A Redis or Valkey of yours. [dim]RELAY_REDIS_URL[/]")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Only since then: 15m, 2h, 3d ago, or 2026-03-04T10:00 (UTC).")
]
Until = Annotated[str | None, typer.Option("--until", help="Only until then, written like --since.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


#: C0, DEL and C1.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
#: Columns that are left out where no row has anything in them.
_RARE = ("item",)
_WRAPPED = ("summary", "reason", "about", "value", "name", "sends", "verified_by")


def store_url(settings: Settings) -> str:
    """The store that a running relay uses: the one named, or the embedded one of the data folder."""
    from relay import embedded

    return settings.store or embedded.url(settings.data)


@asynccontextmanager
async def _operators(settings: Settings) -> AsyncIterator[Operators]:
    from relay.store import Operators, Store

    store = Store(store_url(settings), settings.redis_prefix)
    try:
        yield Operators(store)
    finally:
        await store.aclose()


def with_operators(settings: Settings, act: Callable[[Operators], Awaitable[T]]) -> T:
    """Run an act on the store. Raises StoreUnavailableError with a hint where no relay runs."""
    from relay.errors import StoreUnavailableError

    async def run() -> T:
        async with _operators(settings) as operators:
            try:
                return await act(operators)
            except StoreUnavailableError as error:
                where = (settings.redis_url and "--redis-url") or f"the data folder {settings.data}"
                raise StoreUnavailableError(
                    f"no relay can be reached through {where}; is `relay up` running? ({error})"
                ) from None

    return asyncio.run(run())


def the_workspace(settings: Settings) -> Workspace:
    from relay.recipes import load_workspace

    return load_workspace(settings.recipes)


def who() -> str:
    """Who does this, for the audit: RELAY_USER, or the name of the account."""
    try:
        return os.environ.get("RELAY_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def moment_ms(text: str | None, flag: str) -> int | None:
    """`2h` ago or an ISO moment, as milliseconds. Raises ConfigError."""
    if text is None:
        return None
    try:
        ago: timedelta | None = parse_duration(text)
    except ValueError:
        ago = None
    if ago is not None:
        return round((datetime.now(UTC) - ago).timestamp() * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{flag} {text!r}: write how long ago (15m, 2h, 3d) or a moment (2026-03-04T10:00)") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def json_line(row: Mapping[str, Any]) -> None:
    sys.stdout.write(dumps(row).decode() + "\n")


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """A table for people, JSON lines for scripts."""
    if as_json:
        for row in rows:
            json_line(row)
        return
    rows = list(rows)
    columns = [column for column in columns if column not in _RARE or any(row.get(column) for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # An id that is cut is of no use; what is long and read by people may go over lines.
        table.add_column(column.replace("_", " "), no_wrap=column not in _WRAPPED, overflow="fold")
    found = False
    for row in rows:
        found = True
        table.add_row(*(cell(row.get(column)) for column in columns))
    if not found:
        err.print(f"[dim]{empty}[/]")
        return
    # Into a file or a pipe there is no edge to wrap at.
    Console(highlight=False, width=None if sys.stdout.isatty() else 500).print(table)


def tell_counts(results: Mapping[str, int], *, as_json: bool) -> None:
    """How a bulk act ended: `12 queued, 1 in flight`."""
    if as_json:
        json_line(results)
    else:
        out.print(", ".join(f"{number} {what.replace('_', ' ')}" for what, number in sorted(results.items())))


def printable(text: str) -> str:
    """Without what a terminal would obey: senders choose names and values."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def cell(value: Any) -> str:
    if value is None or value == "":
        return "[dim]–[/]"
    if isinstance(value, (list, tuple)):
        return str(len(value))
    if isinstance(value, str) and _ISO.match(value):
        return value[:19].replace("T", " ")
    return printable(str(value)).replace("[", r"\[")


def one_of(value: str | None, choices: Collection[str], flag: str) -> str | None:
    """A word of a fixed few, as it is. Raises ConfigError that names the nearest: a list of nothing would mislead."""
    if value is not None and value not in choices:
        raise not_known("status", value, choices, flag)
    return value


def not_known(kind: str, word: str, known: Iterable[str], where: str = "") -> ConfigError:
    """The error for a name nobody knows: the nearest one, and what there is."""
    from relay.recipes.words import unknown

    return ConfigError(f"{where}: {unknown(kind, word, known)}" if where else unknown(kind, word, known))


def many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def confirm(question: str, *, yes: bool) -> None:
    """Asks on a terminal; elsewhere --yes has to be said. Raises typer.Exit or ConfigError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Say --yes to go on without being asked.")
    if not typer.confirm(question):
        err.print("Nothing was changed.")
        raise typer.Exit(0)


def progress(about: str, total: int) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn(about), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, transient=True
    )
    bar.add_task(about, total=total)
    return bar


def wide(text: str) -> None:
    """Print text exactly as it is; on a terminal, without what that would obey."""
    if sys.stdout.isatty():
        text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_in_place(path: Path, text: str) -> None:
    """Renamed into place, as readable as it was: whoever looks meanwhile finds the old file or the new one whole."""
    before = path.stat()
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600)
    beside.write_bytes(text.encode())
    with suppress(PermissionError):
        os.chown(beside, before.st_uid, before.st_gid)
    beside.chmod(before.st_mode & 0o777)
    beside.replace(path)
