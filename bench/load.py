"""The load generator, a process of its own: `python -m bench.load --help`. Prints one line of JSON.

Every connection is kept alive and has one request under way; each body has an id of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import signal
import statistics
import sys
import time
from collections import Counter
from typing import Any, cast

import orjson
import uvloop

from bench.transcript import event_id
from bench.wire import Requests, message, status


class Run:
    """What all connections share: what is still to be posted, and what was answered.

    events      how many to post; 0: until the time is over
    seconds     the time that is measured, after `warm_seconds` that are not
    """

    def __init__(self, requests: Requests, series: str, events: int, seconds: float, warm_seconds: float) -> None:
        self.requests, self.series, self.events = requests, series, events
        self.sent = 0
        self.answers: Counter[int] = Counter()
        self.took_ns: list[int] = []
        self.failure = ""
        self.first_ns = time.monotonic_ns()
        self.from_ns = self.first_ns + round(warm_seconds * 1e9)
        self.until_ns = 0 if events else self.from_ns + round(seconds * 1e9)
        self.last_ns = 0

    def next(self, now_ns: int) -> bytes | None:
        if self.failure or (self.sent >= self.events if self.events else now_ns >= self.until_ns):
            return None
        self.sent += 1
        return self.requests.of(event_id(self.series, self.sent))

    def answered(self, code: int, sent_ns: int, now_ns: int) -> None:
        if code not in (200, 202):
            self.failure = self.failure or f"answered {code}"
        if now_ns >= self.from_ns and (not self.until_ns or now_ns < self.until_ns):
            self.answers[code] += 1
            self.took_ns.append(now_ns - sent_ns)
        self.last_ns = now_ns

    def result(self) -> dict[str, Any]:
        """Rates are events a second, times milliseconds, moments those of CLOCK_MONOTONIC in nanoseconds."""
        seconds = ((self.until_ns or self.last_ns) - self.from_ns) / 1e9
        number = sum(self.answers.values())
        cuts = statistics.quantiles(self.took_ns, n=100) if number > 1 else [0.0] * 99
        return {
            "sent": self.sent,
            "answers": dict(self.answers),
            "rate": number / seconds,
            "p50_ms": cuts[49] / 1e6,
            "p99_ms": cuts[98] / 1e6,
            "first_ns": self.first_ns,
            "failure": self.failure,
        }


class Connection(asyncio.Protocol):
    """Posts, waits for the answer, posts again."""

    def __init__(self, run: Run, done: asyncio.Future[None]) -> None:
        self.run, self.done = run, done
        self.data = b""
        self.sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own, of no class of asyncio's
        self._post(time.monotonic_ns())

    def data_received(self, data: bytes) -> None:
        self.data += data
        span = message(self.data)
        if span is None:
            return
        now_ns = time.monotonic_ns()
        self.run.answered(status(self.data), self.sent_ns, now_ns)
        self.data = b""
        self._post(now_ns)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.run.failure = self.run.failure or f"a connection was closed: {error}"
            self.done.set_result(None)

    def _post(self, now_ns: int) -> None:
        request = self.run.next(now_ns)
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.sent_ns = now_ns
        self.transport.write(request)


async def post(words: argparse.Namespace) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    requests = Requests(words.port, words.path, words.key)
    run = Run(requests, words.series, words.events, words.seconds, 0 if words.events else words.warm)
    cpu = time.process_time()
    ends = [loop.create_future() for _ in range(words.connections)]
    for end in ends:
        await loop.create_connection(functools.partial(Connection, run, end), "127.0.0.1", words.port)
    async with asyncio.timeout(600):
        await asyncio.gather(*ends)
    for pid in words.kill:
        os.kill(pid, signal.SIGKILL)
    return {**run.result(), "cpu_s": time.process_time() - cpu}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/in/chat")
    parser.add_argument("--key", default="", help="the value of the header X-Key")
    parser.add_argument("--series", default="s", help="up to eight letters that begin every id")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--events", type=int, default=0, help="how many; 0: for --seconds")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm", type=float, default=0.5, help="seconds before those that are measured")
    parser.add_argument("--kill", type=int, action="append", default=[], metavar="PID", help="by SIGKILL, at the end")
    result = uvloop.run(post(parser.parse_args()))
    print(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS).decode())
    sys.exit(1 if result["failure"] else 0)


if __name__ == "__main__":
    main()
