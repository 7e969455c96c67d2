"""A sender and a destination that each keep a ledger, as programs: `python -m tests.ledgers send|sink …`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path

import aiohttp
from aiohttp import web


async def sink(address: str, ledger: Path) -> None:
    """Writes the id of each event it gets, a line each, before it answers."""
    with ledger.open("a", buffering=1) as lines:

        async def take(request: web.Request) -> web.Response:
            key = request.headers.get("Idempotency-Key", "")
            lines.write(json.dumps({"id": (await request.json())["id"], "key": key, "at": time.time()}) + "\n")
            return web.json_response({})

        app = web.Application()
        app.router.add_post("/events", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, address, 9000).start()
        await _told_to_stop()
        await runner.cleanup()


async def send(url: str, name: str, ledger: Path, connections: int, rate: float) -> None:
    """Posts as a good sender does, each event again until its 2xx, until it is told to stop; then a line `end`.

    A line for each answer that counts: {"id", "status", "at", "took"}; 0 is none at all.
    """
    stop = asyncio.create_task(_told_to_stop())
    numbers = iter(range(10**9))
    pause = connections / rate
    with ledger.open("a", buffering=1) as lines:

        async def poster(session: aiohttp.ClientSession) -> None:
            while not stop.done():
                id_ = f"{name}-{next(numbers)}"
                while True:
                    begun, status = time.time(), 0
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        body = {"id": id_, "text": "x" * 200}
                        async with session.post(url, json=body, headers={"X-Key": "k"}) as answer:
                            status = answer.status
                    at = time.time()
                    lines.write(json.dumps({"id": id_, "status": status, "at": at, "took": at - begun}) + "\n")
                    await asyncio.sleep(pause if status in (200, 202) else 0.1)
                    if status in (200, 202) or (stop.done() and at > stop.result() + 30):
                        break

        timeout = aiohttp.ClientTimeout(total=12)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(poster(session) for _ in range(connections)))
        lines.write(json.dumps({"end": True}) + "\n")


async def _told_to_stop() -> float:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()
    return time.time()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["send", "sink"])
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--to", default="")
    parser.add_argument("--name", default="")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="events a second, of all connections")
    words = parser.parse_args()
    if words.what == "sink":
        asyncio.run(sink(words.address, words.ledger))
    else:
        asyncio.run(send(words.to, words.name, words.ledger, words.connections, words.rate))


if __name__ == "__main__":
    main()
