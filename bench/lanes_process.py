"""One process of `lanes`: `python -m bench.lanes_process --help`. Prints one line of JSON."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import threading
import time

import dramatiq
import orjson
import redis
from dramatiq.broker import Broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message

from relay.lanes import LaneBroker

LANES = 50
_CHUNK = 500


class Work:
    """No-op actors on either broker, and what is known of their calls."""

    def __init__(self, kind: str, url: str, messages: int) -> None:
        self.kind = kind
        self.client = redis.Redis.from_url(url)
        self.client.flushall()
        self.done = threading.Event()
        self.waited_ms: list[float] = []
        self.last = 0.0
        # next() of a count is one step of the interpreter: no two threads get the same number.
        self._numbers = itertools.count(1)
        self._messages = messages
        self.broker: Broker = (
            LaneBroker(url) if kind == "lanes" else RedisBroker(client=redis.Redis.from_url(url), middleware=[])
        )
        queues = ["q"] if kind == "lanes" else [f"q{number}" for number in range(LANES)]
        for queue in queues:
            dramatiq.actor(broker=self.broker, actor_name=f"work-{queue}", queue_name=queue)(self.call)

    def call(self, sent: float) -> None:
        now = time.monotonic()
        if sent:
            self.waited_ms.append((now - sent) * 1000)
        if next(self._numbers) == self._messages:
            self.last = now
            self.done.set()

    def message(self, number: int, sent: float = 0.0) -> Message[None]:
        place = number % LANES
        if self.kind == "lanes":
            return Message("q", "work-q", (sent,), {}, {"lane": f"lane{place}"})
        return Message(f"q{place}", f"work-q{place}", (sent,), {}, {})

    def fill(self) -> None:
        """Enqueue everything. Not measured, so the disk is not waited for."""
        self.client.config_set("appendfsync", "no")
        messages = [self.message(number) for number in range(self._messages)]
        if isinstance(self.broker, LaneBroker):
            for at in range(0, len(messages), _CHUNK):
                self.broker.enqueue_many(messages[at : at + _CHUNK])
        else:
            for message in messages:
                self.broker.enqueue(message)
        self.client.config_set("appendfsync", "always")

    def finish(self, worker: dramatiq.Worker) -> None:
        if isinstance(self.broker, LaneBroker):
            self.broker.drain()
        worker.stop(timeout=10_000)
        self.broker.close()


def throughput(work: Work, threads: int) -> dict[str, float]:
    """Messages a second from the worker's start to the last call."""
    work.fill()
    worker = dramatiq.Worker(work.broker, worker_threads=threads)
    started = time.monotonic()
    worker.start()
    if not work.done.wait(120):
        sys.exit("not all messages came within 120 s")
    work.finish(worker)
    return {"rate": work._messages / (work.last - started)}


def idle(work: Work, threads: int, messages: int) -> dict[str, float]:
    """Milliseconds from enqueue to start, one message at a time, in one lane: a RedisBroker's consumer looks the less
    often the longer its queue was empty, up to once a second."""
    worker = dramatiq.Worker(work.broker, worker_threads=threads)
    worker.start()
    time.sleep(1.0)
    for number in range(messages):
        work.broker.enqueue(work.message(0, time.monotonic()))
        # Not in step with anybody's polling.
        time.sleep(0.04 + 0.0013 * (number % 17))
    if not work.done.wait(30):
        sys.exit("not all messages came within 30 s")
    work.finish(worker)
    return {"median_ms": statistics.median(work.waited_ms), "worst_ms": max(work.waited_ms)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lanes_process", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--broker", choices=("lanes", "redis"), required=True)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--idle", type=int, default=0, metavar="N", help="measure the latency of N messages instead")
    words = parser.parse_args()
    work = Work(words.broker, words.url, words.idle or words.messages)
    result = idle(work, words.threads, words.idle) if words.idle else throughput(work, words.threads)
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
