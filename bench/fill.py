"""Events that wait, written by the store's own scripts: `python -m bench.fill --help`. Prints one line of JSON.

As caught and routed ones are, but without the HTTP in front and the recipe between: a million in minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson

from bench.transcript import body, event_id
from bench.workspace import KEY
from relay.messages import CaughtPayload, DeliverJob
from relay.model import Event, Status, delivery_id, new_event_id
from relay.store import DELIVER_QUEUE, ROUTE_QUEUE, NewDelivery, Store, source_lane

_WORKER = "bench-filler"
_AT_ONCE = 256
_LEASE_US = 600_000_000


class Filler:
    """Writes events of one source, and routes each into one lane.

    size  of a body in bytes; 0 is the benches' transcript
    """

    def __init__(self, store: Store, source: str = "chat", recipe: str = "forward", version: str = "", size: int = 0):
        self._store, self._source, self._recipe, self._version, self._size = store, source, recipe, version, size
        self._lane = source_lane(source)
        self._payload = CaughtPayload(self._lane)

    async def caught(self, series: str, start: int, number: int) -> None:
        """So many more events, which wait to be routed."""
        now_ms = time.time_ns() // 1_000_000
        accepted = []
        for place in range(start, start + number):
            event = self._event(event_id(series, place), now_ms)
            accepted.append(self._store.accept([(event, self._payload.of(event.id))], self._lane, timedelta(days=1)))
        await asyncio.gather(*accepted)

    async def routed(self, lane_of: Callable[[int], str], start: int) -> int:
        """Route some of those that wait. How many."""
        lanes = self._store.lanes
        fetched = await self._store.run(lanes.fetch(ROUTE_QUEUE, _WORKER, _AT_ONCE, _LEASE_US))
        commands = []
        for place, message in enumerate(fetched.messages, start):
            made = [self._delivery(message.id, lane_of(place))]
            commands.append(
                self._store.routed(_WORKER, self._lane, message.id, message.id, "conversation.closed", "routed", made)
            )
        await self._store.run_many(commands)
        return len(fetched.messages)

    async def fill(self, number: int, lane_of: Callable[[int], str], series: str = "fill") -> None:
        for start in range(0, number, _AT_ONCE):
            await self.caught(series, start, min(_AT_ONCE, number - start))
            while await self.routed(lane_of, start):
                pass
        await self._store.run(self._store.lanes.take_back(_WORKER, died=False))

    def _event(self, key: bytes, now_ms: int) -> Event:
        raw = body(key)
        if self._size:
            raw = raw[: self._size]
        headers = {
            "host": "127.0.0.1:8080",
            "x-key": KEY,
            "content-type": "application/json",
            "content-length": str(len(raw)),
        }
        return Event(
            new_event_id(), self._source, "POST", f"/in/{self._source}", (), headers, raw, now_ms,
            key=key.decode(), remote="127.0.0.1",
        )  # fmt: skip

    def _delivery(self, event: str, lane: str) -> NewDelivery:
        own = delivery_id(event, self._recipe, "post")
        return NewDelivery(
            id=own,
            recipe=self._recipe,
            version=self._version,
            step="post",
            item="",
            connection=lane,
            status=Status.WAITING,
            queue=DELIVER_QUEUE,
            lane=lane,
            payload=DeliverJob(own, lane, event, {}).payload(),
        )


async def fill(
    url: str,
    number: int,
    lanes: int = 1,
    size: int = 0,
    *,
    lane: str = "sink",
    version: str = "",
    paused: bool = False,
) -> dict[str, Any]:
    """So many waiting deliveries in the lane, or spread over `sink-0` and on. Seconds and bytes it took."""
    store = Store(url)
    names = [f"{lane}-{place}" for place in range(lanes)] if lanes > 1 else [lane]
    try:
        if paused:
            for name in names:
                await store.run(store.lanes.pause(DELIVER_QUEUE, name, "a bench"))
        before, started = await _used(store), time.monotonic()
        await Filler(store, version=version, size=size).fill(number, lambda place: names[place % lanes])
        took = time.monotonic() - started
        used = await _used(store) - before
        return {"events": number, "seconds": took, "bytes": used, "bytes_an_event": used / number if number else 0}
    finally:
        await store.aclose()


async def _used(store: Store) -> int:
    info = (await store.ask("INFO", "memory")).decode()
    return int(next(line for line in info.splitlines() if line.startswith("used_memory:")).partition(":")[2])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description="Fill a store with waiting deliveries.")
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--size", type=int, default=0, help="of a body, in bytes; 0 is the transcript of 3.9 KB")
    parser.add_argument("--paused", action="store_true", help="pause the lanes first")
    told = parser.parse_args()
    result = asyncio.run(fill(told.redis_url, told.events, told.lanes, told.size, paused=told.paused))
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
