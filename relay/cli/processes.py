"""relay up | web | worker"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from relay import log
from relay.cli.common import Data, Recipes, RedisUrl, err, many, store_url, the_workspace
from relay.errors import ConfigError
from relay.settings import Settings

Host = Annotated[str | None, typer.Option("--host", help="The address to listen on. [dim]RELAY_HOST, 127.0.0.1[/]")]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="The port; 0 is any free one. [dim]RELAY_PORT, 8080[/]")
]


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(web)
    app.command()(worker)


def up(
    recipes: Recipes = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    redis_url: RedisUrl = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Worker processes. [dim]RELAY_WORKERS, 1[/]")
    ] = None,
) -> None:
    """Run the whole relay: its store, the web process and the workers. Ctrl-C stops it in order.

    [bold]relay up[/]                              the workspace in recipes/, data in .relay/, http://127.0.0.1:8080
    [bold]relay up --port 9000 --workers 2[/]
    [bold]relay up --redis-url redis://db:6379/0[/]  with a store of yours
    """
    from relay.up import Supervisor

    settings = Settings.read(
        {"recipes": recipes, "data": data, "host": host, "port": port, "redis_url": redis_url, "workers": workers}
    )
    log.set_up(settings.log)
    _prepare(settings)
    Supervisor(settings).run(on_ready=lambda url: _welcome(settings, url))


def web(
    recipes: Recipes = None,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    redis_url: RedisUrl = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
    fd: Annotated[int | None, typer.Option("--fd", hidden=True)] = None,
) -> None:
    """Run a web process alone: it catches events. Its store is --redis-url, or that of a running relay up.

    [bold]relay web --redis-url redis://db:6379/0 --host 0.0.0.0[/]
    """
    from relay.web.app import serve

    settings = Settings.read({"recipes": recipes, "data": data, "host": host, "port": port, "redis_url": redis_url})
    log.set_up(settings.log, process="web")
    if supervised:
        from relay.family import end_with_parent

        end_with_parent()
    listener = socket.socket(fileno=fd) if fd is not None else None
    # Uvicorn raises the signal that stopped it once more when all is done: a stop in order is no death by a signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    serve(settings, store_url(settings), listener)


def worker(
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run a worker process alone: it routes and delivers. Its store is --redis-url, or that of a running relay up.

    [bold]relay worker --redis-url redis://db:6379/0[/]
    """
    from relay.family import end_with_parent
    from relay.worker import Process

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    log.set_up(settings.log, process="worker")
    if supervised:
        end_with_parent()
    Process(settings, store_url(settings)).run()


def _prepare(settings: Settings) -> None:
    """A workspace where there is none, and the example's key where that is missing. Raises ConfigError."""
    from relay import starter
    from relay.recipes import schema

    folder = settings.recipes
    # A relay has run here before: its store knows what was valid last, and it goes on with that. A folder that is empty
    # now is one that isn't mounted, rather than one that wants an example.
    known = (settings.data / "valkey").exists() and not settings.redis_url
    if not (folder / "relay.yaml").exists() and not known:
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} has no relay.yaml; make a workspace with `relay init {folder}`")
        starter.write(folder, settings.port)
        err.print(f"There was no workspace: wrote a starter into [bold]{folder}/[/]")
    if starter.ensure_key(folder):
        err.print(f"Wrote a random key for the example source into [bold]{folder / starter.KEY}[/]")
    try:
        schema.refresh(the_workspace(settings))
    except ConfigError:
        if not known and not settings.redis_url:
            raise


def _welcome(settings: Settings, url: str) -> None:
    """The line to try, where the workspace has the example."""
    from relay import starter

    err.print(f"\n[bold green]Relay is ready at {url}[/]  (Ctrl-C stops it)")
    if errors := _errors(settings):
        err.print(f"[yellow]The workspace has {many(errors, 'error')}; see: relay check {_short(settings.recipes)}[/]")
    if starter.is_example(settings.recipes):
        sample, key = settings.recipes / starter.SAMPLE, settings.recipes / starter.KEY
        err.print("Post a chat transcript:\n")
        err.print(
            f"  curl -H \"X-Chat-Key: $(cat {_short(key)})\" -H 'Content-Type: application/json' \\\n"
            f"       --data-binary @{_short(sample)} {url}/in/chat\n",
            markup=False,
        )
        row = settings.data / starter.DROP
        err.print(f"Its row is in [bold]{_short(row)}[/], its JSON at the example's HTTP endpoint:")
        err.print(f"  {_relay()} events list --source inbox\n")
        port = urlsplit(url).port or 0
        if not starter.posts_to(settings.recipes, port):
            address = starter.ADDRESS.format(port=port)
            err.print(
                f"[yellow]That endpoint is this relay itself, which is on port {port} today: set crm's base_url in\n"
                f"{_short(settings.recipes / 'relay.yaml')} to {address}, and start again.[/]\n"
            )


def _errors(settings: Settings) -> int:
    try:
        return len(the_workspace(settings).errors)
    except ConfigError:
        return 1


def _relay() -> str:
    """How this command is called from where the user stands."""
    return "relay" if shutil.which("relay") else _short(Path(sys.argv[0]))


def _short(path: Path) -> str:
    return shlex.quote(os.path.relpath(path))
