"""Where `relay capture` and `relay new` take an event from: a running relay's store, or a file."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import typer

from relay.cli.common import WRONG, err, with_operators
from relay.cli.posting import address, curl
from relay.errors import BodyError, ConfigError, StoreError
from relay.model import JSON, Event
from relay.recipes import Workspace, view_of
from relay.recipes.masking.keeping import FOLDER, content_type_of
from relay.recipes.trying.samples import CONTENT_TYPES, SAMPLE_ID, SAMPLE_MOMENT_MS, sample_event
from relay.settings import Settings
from relay.store import HANDSHAKE, Filter, Operators, StoredEvent

#: How often a waiting command looks, and how many events of a source tell what may be absent.
_LOOK_SECONDS = 0.5
_RECENT = 20


def from_file(path: str, source: str, headers: Mapping[str, str], content_type: str | None = None) -> Event:
    """A file's body as an event; `-` is standard input. Raises ConfigError."""
    try:
        body = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    every = {name.lower(): value for name, value in headers.items()}
    every.setdefault("content-type", content_type or content_type_of(path, body))
    if "urlencoded" in every["content-type"]:
        body = body.rstrip(b"\r\n")  # an editor's, and no part of the last value
    return Event(SAMPLE_ID, source, "POST", f"/in/{source}", (), every, body, SAMPLE_MOMENT_MS)


def stored(settings: Settings, event_id: str) -> Event:
    """Raises typer.Exit where there is none of that id."""

    async def act(operators: Operators) -> StoredEvent | None:
        return await operators.store.event(event_id)

    found = with_operators(settings, act)
    if found is None:
        err.print(f"There is no event {event_id}.")
        raise typer.Exit(WRONG)
    return found.event


def latest(settings: Settings, source: str | None, most: int = _RECENT) -> list[Event]:
    """The newest events, newest first."""

    async def act(operators: Operators) -> list[Event]:
        return await _newest(operators, source, most)

    return with_operators(settings, act)


def latest_if_running(settings: Settings, source: str | None) -> list[Event]:
    """As `latest`; nothing where no relay runs."""
    try:
        return latest(settings, source)
    except StoreError:
        return []


async def _newest(operators: Operators, source: str | None, most: int, since_ms: int | None = None) -> list[Event]:
    found: list[Event] = []
    async for one in operators.list_events(Filter(source=source, since_ms=since_ms)):
        if one.status == HANDSHAKE:
            continue
        found.append(one.event)
        if len(found) >= most:
            break
    return found


def upcoming(settings: Settings, source: str, timeout: timedelta | None) -> Event:
    """Waits for the next event of a source, visibly. Raises typer.Exit where none comes in time, or Ctrl-C ends it."""

    async def act(operators: Operators) -> Event | None:
        # What is there already is told by its id, not by its time: two machines' clocks may differ.
        before = await _newest(operators, source, 1)
        since_ms = before[0].received_ms if before else None
        seen = {event.id for event in await _newest(operators, source, 1000, since_ms)}
        tell(settings, source)
        deadline = time.monotonic() + timeout.total_seconds() if timeout is not None else None
        with err.status(f"Waiting for the next event of {source} (Ctrl-C ends it)"):
            while deadline is None or time.monotonic() < deadline:
                fresh = [one for one in await _newest(operators, source, 1000, since_ms) if one.id not in seen]
                if fresh:
                    return fresh[-1]
                await asyncio.sleep(_LOOK_SECONDS)
        return None

    try:
        event = with_operators(settings, act)
    except KeyboardInterrupt:
        err.print("\nNothing was kept.")
        raise typer.Exit(WRONG) from None
    if event is None:
        err.print(f"No event of {source} came in time. Nothing was kept.")
        raise typer.Exit(WRONG)
    return event


def tell(settings: Settings, source: str) -> None:
    """Where to post to."""
    err.print(f"Post to [bold]{address(settings, source)}[/], or have the sender do it:")
    err.print(f"\n  {curl(settings, source)}\n", markup=False)
    if not err.is_terminal:
        err.print(f"Waiting for the next event of {source}.")


def others(workspace: Workspace, event: Event, events: Iterable[Event]) -> list[JSON]:
    """What the bodies are of other events of the same source and type, and of the samples that are kept of it."""
    wanted = view_of(workspace, event).event.type
    found: list[JSON] = []
    for one in [*(one for one in events if one.id != event.id), *_samples(workspace, event.source)]:
        try:
            view = view_of(workspace, one)
        except (BodyError, ConfigError):
            continue
        if view.event.type == wanted and one.body != event.body:
            found.append(view.body)
    return found[:_RECENT]


def samples_of(workspace: Workspace, source: str) -> list[Path]:
    """The files whose name says that they are of this source, the newest first."""
    found = (workspace.folder / FOLDER).glob(f"{source}-*")
    files = [path for path in found if path.is_file() and path.suffix in CONTENT_TYPES]
    return sorted(files, key=lambda path: -path.stat().st_mtime_ns)


def _samples(workspace: Workspace, source: str) -> list[Event]:
    return [sample_event(source, path) for path in samples_of(workspace, source)[:_RECENT]]
