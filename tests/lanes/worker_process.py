"""A worker of its own process, to be killed: `python -m tests.lanes.worker_process URL PREFIX SECONDS`.

Each message writes its number into the list `done`, after so many seconds.
"""

from __future__ import annotations

import sys
import time

import dramatiq

from relay.lanes import LaneBroker


def main() -> None:
    url, prefix, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    broker = LaneBroker(url, prefix=prefix, lease_seconds=1)

    @dramatiq.actor(broker=broker, queue_name="q", actor_name="work")
    def work(number: int) -> None:
        broker.client.rpush(prefix + "begun", number)
        time.sleep(seconds)
        broker.client.rpush(prefix + "done", number)

    worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=100)
    worker.start()
    print("ready", flush=True)
    sys.stdin.read()
    broker.drain()
    worker.stop()
    broker.close()


if __name__ == "__main__":
    main()
