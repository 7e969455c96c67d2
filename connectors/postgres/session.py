"""A few connections for each connection of relay.yaml: made when needed, let go of when idle.

asyncpg's own pool is not used: it takes a connection back the moment it dies, while its error is being sorted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from connectors.postgres.config import PostgresConfig
from connectors.postgres.errors import COMMITTING, CONNECTING, FAILURES, WRITING, About, sort_error

T = TypeVar("T")
#: How long closing waits for the server's goodbye.
_GOODBYE_SECONDS = 2.0


class Database:
    def __init__(self, config: PostgresConfig, idle_seconds: float) -> None:
        self.config = config
        self.idle_seconds = idle_seconds
        self._room = asyncio.Semaphore(config.connections)
        self._free: dict[asyncpg.Connection[Any], asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def transaction(self, seconds: float, about: About, work: Callable[[Any], Awaitable[T]]) -> T:
        """All of it, or nothing. Raises a DeliveryError sorted by fate; `work` may raise one of its own."""
        stage = CONNECTING
        end = asyncio.get_running_loop().time() + seconds
        connection: asyncpg.Connection[Any] | None = None
        try:
            async with asyncio.timeout_at(end), self._room:
                try:
                    connection = await self._begun(end)
                    stage = WRITING
                    result = await work(connection)
                    stage = COMMITTING
                    await connection.execute("COMMIT")
                except BaseException:
                    if connection is not None:
                        connection.terminate()  # where the server still knows of it, it is rolled back
                    raise
                self._put_back(connection)
                return result
        except FAILURES as error:
            raise sort_error(error, about, stage) from None

    async def _begun(self, end: float) -> asyncpg.Connection[Any]:
        """With a transaction begun. A kept connection that the server has closed says nothing: try the next."""
        while True:
            connection = self._take()
            kept = connection is not None
            if connection is None:
                connection = await self._connect()
            left = max(int((end - asyncio.get_running_loop().time()) * 1000), 1)
            try:
                # In one message; and so that the server stops too when we have stopped waiting.
                await connection.execute(f"BEGIN; SET LOCAL statement_timeout = {left}")
                return connection
            except BaseException as error:
                connection.terminate()
                if not kept or not isinstance(error, FAILURES) or isinstance(error, TimeoutError):
                    raise

    async def _connect(self) -> asyncpg.Connection[Any]:
        config = self.config
        return await asyncpg.connect(
            host=config.host,
            port=config.port,
            user=config.user,
            # With none, asyncpg would look for one in ~/.pgpass and the environment.
            password=config.password.get_secret_value() if config.password is not None else "",
            database=config.database,
            ssl=config.tls(),
            timeout=config.connect_timeout.total_seconds(),
            # Poolers (PgBouncer) know no prepared statements of another connection's.
            statement_cache_size=0,
            target_session_attrs=SessionAttribute.any,
            server_settings={"application_name": config.application_name, "TimeZone": "UTC"},
        )

    def _take(self) -> asyncpg.Connection[Any] | None:
        """The one used last, so that those not needed grow old."""
        while self._free:
            connection, timer = self._free.popitem()
            timer.cancel()
            if not connection.is_closed():
                return connection
        return None

    def _put_back(self, connection: asyncpg.Connection[Any]) -> None:
        if self._is_closed:
            self._let_go(connection)
            return
        loop = asyncio.get_running_loop()
        self._free[connection] = loop.call_later(self.idle_seconds, self._let_go, connection)

    def _let_go(self, connection: asyncpg.Connection[Any]) -> None:
        timer = self._free.pop(connection, None)
        if timer is not None:
            timer.cancel()
        task = asyncio.get_running_loop().create_task(self._goodbye(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _goodbye(self, connection: asyncpg.Connection[Any]) -> None:
        with suppress(*FAILURES):
            await connection.close(timeout=_GOODBYE_SECONDS)

    async def aclose(self) -> None:
        self._is_closed = True
        for connection in list(self._free):
            self._let_go(connection)
        if self._closing:
            await asyncio.wait(self._closing)
