"""A TCP proxy that breaks what goes through it, as a network does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from random import Random

#: What it can do to connections until it is told `pass`:
#:   reset    every connection is reset, and new ones at once
#:   stall    nothing moves; afterwards everything goes on
#:   deaf     what the client says arrives, what it is answered is lost; afterwards the connection is reset
#:   open     the server's side is closed and the client isn't told: half-open; afterwards it is reset
#:   snip     connections break at any piece of data, before or after it
MODES = ("reset", "stall", "deaf", "open", "snip")


class Connection:
    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.proxy = proxy
        self.client, self.server = client, server
        self.spoiled = False

    def reset(self) -> None:
        for writer in (self.client, self.server):
            made: socket.socket | None = writer.get_extra_info("socket")
            if made is not None and made.fileno() >= 0:
                with contextlib.suppress(OSError):
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy = self.proxy
        back = writer is self.client
        while data := await reader.read(65536):
            await proxy.moving.wait()
            if proxy.mode == "open" or self.spoiled or (proxy.mode == "deaf" and back):
                self.spoiled = True
                continue
            snip = proxy.mode == "snip" and proxy.rng.random() < 0.05
            if not snip or proxy.rng.random() < 0.5:
                writer.write(data[: proxy.rng.randint(0, len(data))] if snip else data)
                await writer.drain()
            if snip:
                await asyncio.sleep(0.002)
                self.reset()
                return
        # Either side ends in order: pass it on.
        with contextlib.suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()


class FaultProxy:
    """`port` is known after `start`; `upstream` may change."""

    def __init__(self, upstream: int, rng: Random) -> None:
        self.upstream = upstream
        self.rng = rng
        self.mode = "pass"
        self.port = 0
        self.moving = asyncio.Event()
        self.moving.set()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    def set(self, mode: str) -> None:
        self.mode = mode
        if mode == "stall":
            self.moving.clear()
        else:
            self.moving.set()
        for connection in list(self._connections):
            if mode == "reset" or (mode == "pass" and connection.spoiled):
                connection.reset()
            elif mode == "open":
                connection.spoiled = True
                connection.server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        connection = Connection(self, writer, writer)
        try:
            if self.mode == "reset":
                connection.reset()
                return
            above, server = await asyncio.open_connection("127.0.0.1", self.upstream)
            connection.server = server
            self._connections.add(connection)
            pumps = [
                asyncio.create_task(connection.pump(reader, server)),
                asyncio.create_task(connection.pump(above, writer)),
            ]
            try:
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
                await asyncio.gather(*done, return_exceptions=True)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody above: the client is reset
        except asyncio.CancelledError:
            pass  # the proxy stops
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
