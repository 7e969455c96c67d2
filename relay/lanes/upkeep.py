"""What keeps a process's leases in order behind its consumers: acknowledgements, renewal, take-back."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

import redis
from dramatiq.errors import BrokerConnectionError

from relay.lanes.commands import Settlement

if TYPE_CHECKING:
    from relay.lanes.broker import LaneBroker

logger = logging.getLogger(__name__)


class Acknowledger:
    """Settlements of many threads, sent together: one round trip and one fsync for all that wait.

    Nobody waits for them. A process killed before its acknowledgements have left has its messages taken back, as it
    would between the work and the acknowledgement anyway.
    """

    def __init__(self, broker: LaneBroker) -> None:
        self._broker = broker
        self._queue: queue.SimpleQueue[Settlement | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def put(self, settlement: Settlement) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lanes-settle", daemon=True)
                self._thread.start()
        self._queue.put(settlement)

    def stop(self) -> None:
        """Send what waits; a store that is away is given up on."""
        self._stopping.set()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            while len(batch) < 256 and not self._queue.empty():
                if (more := self._queue.get()) is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            self._send(batch)

    def _send(self, batch: list[Settlement]) -> None:
        while True:
            try:
                lost = self._broker.run(self._broker.lanes.settle(self._broker.worker_id, batch)).count(False)
            except (BrokerConnectionError, redis.RedisError) as error:
                # Kept until the store takes it: our lease is renewed meanwhile, so nobody else would.
                logger.warning("%d messages could not be settled yet: %s", len(batch), error)
                if self._stopping.wait(0.5):
                    return
            else:
                self._broker.held.difference_update(settlement.id for settlement in batch)
                if lost:
                    logger.warning("%d of %d messages had been taken back before they were settled", lost, len(batch))
                return


class Heart:
    """Renews the process's lease, and takes back the work of workers whose lease has run out."""

    def __init__(self, broker: LaneBroker) -> None:
        self._broker = broker
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="lanes-lease", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        # After the store was away everybody's lease looks old. Only who has been connected for a whole lease, so that
        # everyone had time to renew, may take anything back.
        beats, lease_us = 0, self._broker.lease_us
        interval = lease_us / 1_000_000 / 4
        while True:
            try:
                command = self._broker.lanes.beat(self._broker.worker_id, lease_us, reap=beats > 4)
                kept, taken_back = self._broker.run(command)
                if beats and not kept:
                    logger.warning("The lease of %s had run out; its work may be done twice", self._broker.worker_id)
                if taken_back:
                    logger.warning("Took back %d messages of a worker that died", taken_back)
                beats += 1
            except (BrokerConnectionError, redis.RedisError):
                beats = 0
            if self._stopped.wait(interval):
                return
