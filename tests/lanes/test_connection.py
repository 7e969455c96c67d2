"""A connection of the pipeline that went away while nothing was under way."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import uvloop

from relay.lanes import Command, Pipeline, StoreLostError, connect_async
from tests.servers import free_port


class Front:
    """In front of a Valkey: a port on loopback whose connections can be reset."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.port = free_port()
        self.open: list[asyncio.StreamWriter] = []

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(self.path)
        self.open += [writer, there_writer]

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, RuntimeError):
                while data := await source.read(65536):
                    target.write(data)

        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    def reset(self) -> None:
        for writer in self.open:
            writer.transport.abort()
        self.open.clear()


def test_one_that_was_reset_meanwhile_is_a_store_that_is_away_and_the_next_command_has_another(
    valkey_url: str, prefix: str
) -> None:
    """On uvloop, as in the relay: there a closed transport raises a RuntimeError."""

    async def scene() -> None:
        front = Front(valkey_url.removeprefix("unix://"))
        server = await front.serve()
        pipeline = Pipeline(connect_async(f"redis://127.0.0.1:{front.port}"))
        command: Command[bytes] = Command(("SET", prefix, "1"))
        assert await pipeline.run(command) == b"OK"
        assert pipeline._connection is not None
        transport = pipeline._connection._writer.transport  # type: ignore[attr-defined]
        transport.abort()
        front.reset()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            with pytest.raises(StoreLostError):
                await pipeline.run(command)
        assert await pipeline.run(command) == b"OK"
        await pipeline.aclose()
        server.close()
        front.reset()

    uvloop.run(scene())
