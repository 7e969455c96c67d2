"""The web process: the ASGI app, and uvicorn around it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from relay import __version__, embedded, log
from relay.catch import Catcher
from relay.errors import StoreError
from relay.lanes import Replicas, machine
from relay.logbook import Logbook
from relay.recipes import Workspace, schema
from relay.recipes.reload import Changes
from relay.reload import Reloader, ensure_readable
from relay.respond import Responder
from relay.settings import Settings
from relay.shortage import StoreWatch
from relay.store import Store, ensure_format
from relay.web import health
from relay.web.body import BodyBudget
from relay.web.entrance import PREFIX, Entrance
from relay.web.limits import Limits
from relay.web.protocol import Protocol, raise_open_files
from relay.web.proxies import Proxies


class App:
    """Requests to `/in/…` go straight to the entrance; all others, and the process's life, are Starlette's."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self.settings = settings
        self.redis_url = redis_url
        self.pages: ASGIApp = Starlette(
            routes=[
                Route("/", self.index),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
            ],
            lifespan=self.lifespan,
        )
        self.proxies = Proxies(settings.trusted_proxies, settings.public_url)
        self.budget = BodyBudget(settings.body_timeout)
        self.limits = Limits()
        self.entrance: Entrance | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.entrance is not None and scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self.entrance(scope, receive, send)
        else:
            await self.pages(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        self.store = Store(self.redis_url, self.settings.redis_prefix, replicas=_replicas(self.settings))
        self.reloader = Reloader(self.settings.recipes, self.store, f"web {machine()}:{os.getpid()}")
        workspace = await self.reloader.begin()
        self.watch = StoreWatch(self.store, embedded.disk(self.settings, self.redis_url))
        await self.watch.begin()
        self.responder = Responder(workspace, self.store)
        self.logbook = Logbook(self.store)
        self.entrance = self._entrance(workspace)
        following = asyncio.create_task(self.reloader.follow(self.take))
        noting = asyncio.create_task(self.logbook.run())
        _tune()
        log.get().info("web.ready", sources=len(workspace.sources))
        yield
        following.cancel()
        noting.cancel()
        await asyncio.gather(following, noting, return_exceptions=True)
        await self.logbook.write()
        await self.responder.aclose()
        await self.watch.aclose()
        self.limits.stop()
        await self.store.aclose()
        log.get().info("web.stopped")

    def _entrance(self, workspace: Workspace) -> Entrance:
        catcher = Catcher(workspace, self.store, self.logbook, self.reloader.refuses_relay_yaml, self.watch)
        return Entrance(catcher, self.responder, self.proxies, self.budget, self.settings.max_body, self.limits)

    async def take(self, workspace: Workspace, before: Workspace, changes: Changes) -> None:
        """Another workspace is in force. A request that is under way ends at the entrance by which it came."""
        self.responder.use(workspace)
        self.entrance = self._entrance(workspace)
        if changes.sources or changes.connections:
            # An editor that has relay.yaml open completes the names in it a moment later.
            await asyncio.to_thread(schema.refresh, workspace)

    def reload(self) -> None:
        """Look at the folder now."""
        if self.entrance is not None:
            self.reloader.now()

    def stop(self) -> None:
        """Requests under way are to end soon."""
        if self.entrance is not None:
            self.responder.stop()

    async def index(self, _: Request) -> Response:
        return PlainTextResponse(f"Relay {__version__}\nPost to /in/<source>. How things are: /readyz\n")

    async def healthz(self, _: Request) -> Response:
        return _json(200, {"status": "alive", "version": __version__})

    async def readyz(self, _: Request) -> Response:
        ready, report = await health.readiness(self.reloader.workspace, self.store, self.watch, self.limits)
        return _json(200 if ready else 503, report)

    async def metrics(self, _: Request) -> Response:
        try:
            text = await health.metrics(self.store, self.watch, self.limits)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _tune() -> None:
    """What is set up lives as long as the process, so the collector need not look at it; what a request makes goes by
    itself but for a few objects: searching for those dozens of times a second took a fifth of the process's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _replicas(settings: Settings) -> Replicas | None:
    if not settings.replicas:
        return None
    return Replicas(settings.replicas, settings.replica_timeout, on_disk=settings.replica_keeps == "disk")


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body, option=orjson.OPT_INDENT_2), status, media_type="application/json")


class _Server(uvicorn.Server):
    """Tells the app that the process ends before it waits for the requests under way."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        await super().shutdown(sockets)


def serve(settings: Settings, redis_url: str, listener: socket.socket | None = None) -> None:
    """Until SIGTERM or SIGINT: then requests under way are answered and no more are taken.

    Raises ConfigError where the workspace can't be read as a whole.
    """
    # Here, where it can be told as it is: uvicorn tells it as a mistake of the program.
    ensure_readable(settings.recipes, redis_url, settings.redis_prefix)
    ensure_format(redis_url, settings.redis_prefix)
    app = App(settings, redis_url)
    signal.signal(signal.SIGHUP, lambda *_: app.reload())
    Protocol.limits = app.limits
    Protocol.max_connections = raise_open_files(Protocol.max_connections)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        # Who called, and under which address, is the entrance's to find out: see relay/web/proxies.py.
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=2048,
        # A keep-alive that ends just when the next request is sent costs the sender a retry.
        timeout_keep_alive=65,
        timeout_graceful_shutdown=round(settings.drain.total_seconds()),
    )
    _Server(config, app).run(sockets=[listener] if listener is not None else None)
