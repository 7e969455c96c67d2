"""The reference of `endtoend` and `deliver`: posts straight to a destination, a process of its own.

httpx over httpx-aiohttp, 32 requests at once. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import httpx
import orjson
import uvloop
from httpx_aiohttp import HttpxAiohttpClient

from bench.transcript import body, event_id
from bench.workspace import picked


async def post(words: argparse.Namespace) -> dict[str, float]:
    """`cpu_s` is what this process spent from the first post to the last answer, on all its threads."""
    ids = [event_id(words.series, number) for number in range(words.events)]
    bodies = iter([orjson.dumps(picked(id_.decode())) if words.picked else body(id_) for id_ in ids])
    limits = httpx.Limits(max_connections=words.connections)
    async with HttpxAiohttpClient(limits=limits, timeout=60) as client:

        async def poster() -> None:
            for content in bodies:
                answer = await client.post(
                    f"http://127.0.0.1:{words.port}/chats",
                    content=content,
                    headers={"content-type": "application/json"},
                )
                answer.raise_for_status()

        first_ns, cpu = time.monotonic_ns(), time.process_time()
        async with asyncio.timeout(600):
            await asyncio.gather(*(poster() for _ in range(words.connections)))
        return {"first_ns": first_ns, "cpu_s": time.process_time() - cpu}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.direct", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--series", default="d")
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--picked", action="store_true", help="what the recipe makes of an event, not the event itself")
    print(orjson.dumps(uvloop.run(post(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
