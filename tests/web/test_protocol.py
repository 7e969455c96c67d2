"""HTTP in front of the app: what the real port can't be made to show in a short time, with smaller limits."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from relay.web.protocol import Protocol, answer_at_once, raise_open_files, whole_body

GET = b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n"


async def answers(scope: Any, receive: Any, send: Any) -> None:
    body = b"x" * 1_000_000 if scope["path"] == "/long" else b"yes"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def server(app: Any = answers, **limits: Any) -> AsyncIterator[int]:
    """The port of a server whose connections have such limits."""
    small = type("Small", (Protocol,), limits)
    config = uvicorn.Config(app, http=small, loop="none", ws="none", lifespan="off", log_config=None)
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))  # serve() would take the signals of the tests
    try:
        while not running.started:
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        async with asyncio.timeout(3):
            await task
        listener.close()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    return int(head.split()[1])


async def is_closed(reader: asyncio.StreamReader, seconds: float = 5) -> bool:
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            return await reader.read() == b""
    return False


async def test_a_connection_too_many_is_told_to_come_again() -> None:
    async with server(max_connections=2) as port:
        busy = [await connect(port) for _ in range(2)]
        for reader, writer in busy:
            writer.write(GET)
            assert await status(reader) == 200
        reader, writer = await connect(port)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
        assert b" 503 " in head
        assert b"retry-after: 5\r\n" in head
        assert b"connection: close\r\n" in head
        writer.write(GET)
        assert await reader.read() == b'{"error":"unavailable"}'
        writer.close()
        for _, writer in busy:
            writer.close()


async def test_far_too_many_connections_are_not_even_told() -> None:
    """Each that is told is listened to for a while, and takes a file of the process."""
    async with server(max_connections=1) as port:
        every = [await connect(port) for _ in range(150)]
        heard = await asyncio.gather(*(reader.read(1) for reader, _ in every[1:]), return_exceptions=True)
        assert heard.count(b"H") == 100
        every[0][1].write(GET)
        assert await status(every[0][0]) == 200
        for _, writer in every:
            writer.close()


async def test_those_that_say_nothing_make_room_for_others() -> None:
    async with server(max_connections=2, idle_seconds=0.1) as port:
        silent = [await connect(port), await connect(port)]
        silent[0][1].write(b"GET / HTTP/1.1\r\nX-Slow: ")
        await asyncio.sleep(0.2)
        reader, writer = await connect(port)
        writer.write(GET)
        assert await status(reader) == 200
        assert await is_closed(silent[1][0])
        for _, one in [*silent, (reader, writer)]:
            one.close()


async def test_the_time_for_a_head_runs_from_its_first_byte_on_a_connection_that_is_kept() -> None:
    async with server(head_seconds=0.4) as port:
        reader, writer = await connect(port)
        for _ in range(3):
            writer.write(GET[:10])
            await asyncio.sleep(0.3)
            writer.write(GET[10:])
            assert await status(reader) == 200
        writer.write(GET[:10])
        assert await status(reader) == 408
        assert await is_closed(reader)
        writer.close()


async def test_a_kept_connection_on_which_blank_lines_come_isnt_kept_for_ever() -> None:
    async with server(head_seconds=0.3) as port:
        reader, writer = await connect(port)
        writer.write(GET)
        assert await status(reader) == 200
        closed = asyncio.create_task(is_closed(reader))
        for _ in range(10):
            with suppress(ConnectionError):
                writer.write(b"\r\n")
            await asyncio.sleep(0.1)
        assert closed.done()
        assert await closed
        writer.close()


async def test_a_body_that_nobody_reads_is_waited_for_a_while_and_then_the_connection_is_used_again() -> None:
    async with server(linger_seconds=0.5) as port:
        reader, writer = await connect(port)
        writer.write(b"POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 10\r\n\r\n12345")
        assert await status(reader) == 200
        writer.write(b"67890" + GET)
        assert await status(reader) == 200
        await asyncio.sleep(0.7)
        writer.write(GET)
        assert await status(reader) == 200
        writer.write(b"POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 10\r\n\r\n12345")
        assert await status(reader) == 200
        assert await is_closed(reader, 2)
        writer.close()


async def test_who_doesnt_read_its_answers_is_let_go() -> None:
    async with server(stuck_seconds=0.3) as port:
        reader, writer = await connect(port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /long HTTP/1.1\r\nHost: relay\r\n\r\n" * 30)
        await asyncio.sleep(1)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        got = 0
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while chunk := await reader.read(1_000_000):
                    got += len(chunk)
        assert got < 30_000_000
        writer.close()


async def test_a_stop_waits_for_nobody_that_is_owed_no_answer() -> None:
    async with server(linger_seconds=30) as port:
        silent, partial, refused = await connect(port), await connect(port), await connect(port)
        partial[1].write(GET[:10])
        refused[1].write(b"nonsense\r\n\r\n")
        assert await status(refused[0]) == 400
    for _, writer in (silent, partial, refused):
        writer.close()


@pytest.mark.parametrize(("hard", "expected"), [(50_000, 10_000), (5_000, 4_500), (100, 1)])
def test_there_are_as_many_connections_as_the_system_has_files_for(
    monkeypatch: pytest.MonkeyPatch, hard: int, expected: int
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (min(1024, hard), hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    assert raise_open_files(10_000) == expected
    assert all(soft <= hard for soft, _ in asked)


async def at_once(scope: Any, receive: Any, send: Any) -> None:
    """As the relay's entrance does it."""
    body = whole_body(receive)
    if body is None or not answer_at_once(receive, 202, "text/plain", b"got " + body):
        await answers(scope, receive, send)


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"\r\n".join((b"POST / HTTP/1.1", b"Host: relay", b"Content-Length: %d" % len(body), *lines))
    return head + b"\r\n\r\n" + body


async def test_a_whole_body_is_answered_in_one_write_on_a_connection_that_goes_on() -> None:
    async with server(at_once) as port:
        reader, writer = await connect(port)
        writer.write(post(b"one") + post(b"two") + post(b"three", b"Connection: close"))
        async with asyncio.timeout(5):
            said = await reader.read()
        assert said.count(b"HTTP/1.1 202 Accepted\r\n") == 3
        bodies = [answer.partition(b"\r\n\r\n")[2] for answer in said.split(b"HTTP/1.1 ")[1:]]
        assert bodies == [b"got one", b"got two", b"got three"]
        assert said.count(b"connection: close\r\n") == 1
        writer.close()


async def test_what_cannot_be_answered_at_once_goes_the_usual_way() -> None:
    async with server(at_once) as port:
        reader, writer = await connect(port)
        writer.write(b"HEAD / HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        reader, writer = await connect(port)
        writer.write(post(b"half, and then the rest")[:-4])
        assert await status(reader) == 200, "its body was not whole"
        writer.write(b"rest" + post(b"next"))
        assert await status(reader) == 202
        writer.close()


async def no_server(message: Any = None) -> Any:
    raise AssertionError("asked")


def test_without_this_server_nothing_is_done_at_once() -> None:
    assert whole_body(no_server) is None
    assert not answer_at_once(no_server, 202, "text/plain", b"")
