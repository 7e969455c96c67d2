"""The destination, a process of its own: takes JSON posts, remembers when each `id` first came, answers `{}`.

POST anything                      after the latency
GET /_set?latency_ms=200           the new latency; whoever still waits is answered at once
GET /_stats                        {"unique": …, "twice": …, "last_ns": …, "waiting": …, "cpu_s": …}
GET /_arrivals                     {id: nanoseconds of CLOCK_MONOTONIC}
GET /_reset                        forget what came
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson
import uvloop

from bench.wire import message

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Sink:
    """What came, and who still waits for an answer."""

    def __init__(self) -> None:
        self.arrivals: dict[str, int] = {}
        self.twice = 0
        self.last_ns = 0
        self.latency = 0.0
        self.waiting: dict[Visitor, asyncio.TimerHandle] = {}

    def took(self, body: bytes) -> None:
        now_ns = time.monotonic_ns()
        id_ = orjson.loads(body)["id"]
        if id_ in self.arrivals:
            self.twice += 1
        else:
            self.arrivals[id_] = self.last_ns = now_ns

    def asked(self, target: str) -> Any:
        url = urlsplit(target)
        if url.path == "/_set":
            self.latency = float(parse_qs(url.query)["latency_ms"][0]) / 1000
            for visitor in list(self.waiting):
                visitor.answer()
        elif url.path == "/_reset":
            self.arrivals.clear()
            self.twice = self.last_ns = 0
        elif url.path == "/_arrivals":
            return self.arrivals
        waiting = len(self.waiting)
        return {
            "unique": len(self.arrivals),
            "twice": self.twice,
            "last_ns": self.last_ns,
            "waiting": waiting,
            "cpu_s": time.process_time(),
        }


class Visitor(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own, of no class of asyncio's

    def data_received(self, data: bytes) -> None:
        self.data += data
        span = message(self.data)
        if span is None:
            return
        whole, self.data = self.data, self.data[span[1] :]
        if whole.startswith(b"GET "):
            body = orjson.dumps(self.sink.asked(whole.split(b" ", 2)[1].decode()))
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        self.sink.took(whole[span[0] : span[1]])
        if self.sink.latency:
            loop = asyncio.get_running_loop()
            self.sink.waiting[self] = loop.call_later(self.sink.latency, self.answer)
        else:
            self.transport.write(_ANSWER)

    def answer(self) -> None:
        handle = self.sink.waiting.pop(self, None)
        if handle is not None:
            handle.cancel()
            self.transport.write(_ANSWER)

    def connection_lost(self, error: Exception | None) -> None:
        handle = self.sink.waiting.pop(self, None)
        if handle is not None:
            handle.cancel()


async def serve() -> None:
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Visitor(sink), "127.0.0.1", 0, backlog=1024)
    print(orjson.dumps({"port": server.sockets[0].getsockname()[1]}).decode(), flush=True)
    # Whoever started it holds its standard input, and is gone when that ends.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve())
