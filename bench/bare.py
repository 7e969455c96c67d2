"""The references of `accept` and `start`: Starlette under uvicorn, answering 202 when the body has been read.

`--redis-url URL` adds one plain write a request: a SET of the body under a new key.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import sys
import threading

import orjson
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def app(redis_url: str) -> Starlette:
    client = redis.asyncio.Redis.from_url(redis_url, socket_timeout=None) if redis_url else None
    numbers = itertools.count()

    async def take(request: Request) -> Response:
        body = await request.body()
        if client is not None:
            await client.set(f"bare:{next(numbers)}", body)
        return Response(b'{"status":"accepted"}', 202, media_type="application/json")

    return Starlette(routes=[Route("/in/chat", take, methods=["POST"])])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__)
    parser.add_argument("--redis-url", default="")
    words = parser.parse_args()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    # The same settings as the relay's own.
    config = uvicorn.Config(
        app(words.redis_url),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)

    def end_with_parent() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    print(orjson.dumps({"port": listener.getsockname()[1]}).decode(), flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
