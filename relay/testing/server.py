"""A real HTTP server on loopback that records what it gets and answers as told, in its own thread."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came: header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """How the server answers one request.

    delay_seconds  how long it takes before it does
    instead        what it does in place of an answer: close or reset the connection, never answer, answer garbage,
                   break off half-way through the body, or reset when half of the request's body has come (`half`; not
                   from a function, which is asked when the request is whole)
    """

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    instead: Literal["", "close", "reset", "hang", "garbage", "break off", "half"] = ""


class RecordingServer:
    """`with RecordingServer() as server:` then `server.answer(503, headers={"Retry-After": "7"})` and look at
    `server.requests`. Answers are given in turn; where none is left, `by_path`'s, else `default`: 200 and `{}`, or
    what a function makes of the request.

    It is strict: a request that is not well-formed HTTP/1.1 with a Host and an exact length is answered 400, and
    named in `server.complaints`, which must be empty when the server is left.
    """

    def __init__(self, default: Answer | Callable[[Recorded], Answer] = Answer(body={})) -> None:
        self.default = default
        self.by_path: dict[str, Answer] = {}
        self.requests: list[Recorded] = []
        self.complaints: list[str] = []
        self._answers: deque[Answer] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="recording-server", daemon=True)
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, status: int = 200, body: Any = b"", **more: Any) -> None:
        """Answer the next request that has no answer yet like this."""
        self._answers.append(Answer(status, body, **more))

    def __enter__(self) -> RecordingServer:
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("the recording server didn't start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if kind is None and self.complaints:
            raise AssertionError(f"the server got requests that aren't HTTP: {self.complaints}")

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        loop.run_forever()
        # Accept no more, and let those just accepted get their handler, which closes them; only then may the server go.
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
        for _ in range(10):
            loop.run_until_complete(asyncio.sleep(0))
        server.close()
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        except asyncio.CancelledError:
            pass  # the server is being left
        except ValueError as error:
            self.complaints.append(str(error))
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; False where the connection ends."""
        request = _parsed(await reader.readuntil(b"\r\n\r\n"))
        size = int(request.headers.get("content-length", "0"))
        planned = self._answers[0] if self._answers else self.by_path.get(request.path, self.default)
        half = isinstance(planned, Answer) and planned.instead == "half"
        body = await reader.readexactly(size // 2 if half else size)
        self.requests.append(Recorded(request.method, request.target, request.headers, body))
        answer = self._answers.popleft() if self._answers else self.by_path.get(request.path, self.default)
        if not isinstance(answer, Answer):
            answer = answer(self.requests[-1])
        await asyncio.sleep(answer.delay_seconds)
        if answer.instead:
            await _misbehave(answer, writer)
            return False
        writer.write(_written(answer, head_only=request.method == "HEAD"))
        await writer.drain()
        return True


def _parsed(head: bytes) -> Recorded:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    if version != "HTTP/1.1" or not target.startswith("/"):
        raise ValueError(f"not a request line: {first!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or "\r" in value or "\n" in value:
            raise ValueError(f"not a header: {line!r}")
        if name.lower() in headers:
            raise ValueError(f"header {name} twice")
        headers[name.lower()] = value.strip()
    if "host" not in headers:
        raise ValueError("no Host header")
    if "transfer-encoding" in headers:
        raise ValueError("a body of unknown length")
    return Recorded(method, target, headers, b"")


def _written(answer: Answer, *, head_only: bool) -> bytes:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = answer.body
    if not isinstance(body, (bytes, str)):
        body = orjson.dumps(body)
        headers.setdefault("content-type", "application/json")
    body = body.encode() if isinstance(body, str) else body
    if answer.status not in (204, 304):
        headers.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} As Told\r\n{head}\r\n".encode("latin-1") + (b"" if head_only else body)


async def _misbehave(answer: Answer, writer: asyncio.StreamWriter) -> None:
    if answer.instead == "hang":
        await asyncio.sleep(3600)
    elif answer.instead == "garbage":
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()
    elif answer.instead == "break off":
        whole = _written(Answer(answer.status, answer.body, answer.headers), head_only=False)
        writer.write(whole[: -max(1, len(answer.body) // 2)])
        await writer.drain()
    elif answer.instead in ("reset", "half"):
        made: socket.socket = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
