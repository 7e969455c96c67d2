"""The Dramatiq side of the lanes: a Broker, and the Consumer that waits at the doorbell.

An actor whose options say `bundle=N` is called with a list of up to N argument tuples at once; its message stands for
all of them. Options of a message: `lane` (its queue's name where missing), `order_key`, and `delay` as Dramatiq has it.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed, DecodeError, QueueNotFound
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from relay.lanes.commands import Fetched, LaneLimits, Lanes, NewMessage, Settlement
from relay.lanes.connection import CONNECTION_ERRORS, StoreLostError, connect, run
from relay.lanes.script import Command

#: A lease outlives three missed renewals, so that a busy process or a slow disk isn't taken for a dead worker.
LEASE_SECONDS = 10.0

#: How long a consumer sleeps at most before it looks by itself: a doorbell may ring while the connection is down.
SAFETY_LOOK_SECONDS = 10.0

#: How long a message waits whose actor raised an exception that nobody dealt with.
MISTAKE_PAUSE_US = 10_000_000

logger = logging.getLogger(__name__)


def machine() -> str:
    """Where process ids are ours: the host, since it was started, in this container. Names alone are not unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        container = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        # Nothing tells: a name that nobody has again.
        return f"{socket.gethostname()}-{os.urandom(4).hex()}"
    return f"{socket.gethostname()}-{boot}-{container}"


def new_worker_id() -> str:
    """Machine, process and a random part: who comes after on the same machine can tell that the process is no more."""
    return f"{machine()}:{os.getpid()}:{os.urandom(4).hex()}"


class LaneBroker(Broker):
    """Parameters:

    url            Redis 7.2+ or Valkey: redis://, rediss:// or unix://
    prefix         of every key
    worker_id      the name under which this process holds leases; never that of a process before it
    lease_seconds  how long a worker that says nothing is believed to be alive
    capacity       most messages in this process at once, by queue; others get Dramatiq's prefetch
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lanes:",
        middleware: list[Middleware] | None = None,
        worker_id: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        capacity: dict[str, int] | None = None,
    ) -> None:
        super().__init__(middleware=middleware if middleware is not None else [])
        self.actor_options |= {"bundle"}
        self.client = connect(url)
        # A subscriber waits for as long as it takes: a socket timeout would end the wait.
        self.listener = connect(url, socket_timeout=None, keepalive=True)
        self.lanes = Lanes(prefix)
        self.worker_id = worker_id or new_worker_id()
        self.lease_us = round(lease_seconds * 1_000_000)
        self.settled: set[str] = set()
        # What this process holds by its own account, until the store has confirmed that it doesn't any more.
        self.held: set[str] = set()
        self.in_doubt: set[str] = set()
        self.draining = False
        self._capacity = capacity or {}
        # Of the process, not of a consumer: Dramatiq makes a new consumer after each lost connection, while
        # messages of the old one are still being worked on.
        self._rooms: dict[str, _Room] = {}
        self._acknowledger = _Acknowledger(self)
        self._heart = _Heart(self)

    # -- producing

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """`delay` is in milliseconds, as everywhere in Dramatiq."""
        self.enqueue_many([message], delay=delay)
        return message

    def enqueue_many(self, messages: Sequence[Message[Any]], *, delay: int | None = None) -> list[bool]:
        """Many messages in one call and one fsync. False for each whose id is there already."""
        for message in messages:
            self.emit_before("enqueue", message, delay)
        due_us = None if delay is None else time.time_ns() // 1000 + delay * 1000
        new: list[bool] = self.run(self.lanes.enqueue(to_lane(message, due_us) for message in messages))
        for message in messages:
            self.emit_after("enqueue", message, delay)
        return new

    # -- consuming

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> LaneConsumer:
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)
        self._heart.start()
        room = self._rooms.setdefault(queue_name, _Room(self._capacity.get(queue_name, prefetch)))
        return LaneConsumer(self, queue_name, room, timeout / 1000)

    def settle_elsewhere(self, message_id: str) -> None:
        """The message was acknowledged by a script of the caller's own, in one act with its outcome."""
        self.settled.add(message_id)

    def settle(self, settlement: Settlement) -> None:
        """Acknowledge, soon; what many threads settle travels together."""
        self._acknowledger.put(settlement)

    def drain(self) -> None:
        """Fetch nothing more: the process is about to stop."""
        self.draining = True

    # -- the rest of Dramatiq's interface

    def configure(self, limits: Sequence[LaneLimits]) -> None:
        if limits:
            self.run(self.lanes.configure(limits))

    def flush(self, queue_name: str) -> None:
        """Drop what waits in every lane of the queue. Messages in flight stay."""
        for lane in self._lanes_of(queue_name):
            while waiting := self._waiting(lane):
                self.run(self.lanes.change("drop", lane, waiting))

    def flush_all(self) -> None:
        for queue_name in self.queues:
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until every lane of the queue is empty. For tests; `timeout` is in milliseconds."""
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while any(s.waiting or s.in_flight for s in self.run(self.lanes.stats(self._lanes_of(queue_name)))):
            if deadline is not None and time.monotonic() > deadline:
                raise dramatiq.errors.QueueJoinTimeout(queue_name)
            time.sleep(0.01)

    def close(self) -> None:
        self._heart.stop()
        self._acknowledger.stop()
        self.client.close()
        self.listener.close()

    def run(self, command: Command[Any]) -> Any:
        """Run a command; a lost connection is Dramatiq's ConnectionClosed, which its threads know how to wait out."""
        try:
            return run(self.client, command)
        except StoreLostError as error:
            raise ConnectionClosed(str(error)) from error

    def _lanes_of(self, queue_name: str) -> list[str]:
        states = self.run(self.lanes.stats(self.run(self.lanes.names())))
        return [state.name for state in states if state.queue == queue_name]

    def _waiting(self, lane: str) -> list[str]:
        words = ("ZRANGE", f"{self.lanes.prefix}d:{lane}", 0, 999)
        return [id_.decode() for id_ in self.run(Command(words))]


def to_lane(message: Message[Any], due_us: int | None = None) -> NewMessage:
    """A Dramatiq message as the lanes hold it."""
    lane = message.options.get("lane", message.queue_name)
    order_key = message.options.get("order_key")
    return NewMessage(message.queue_name, lane, message.message_id, message.encode(), due_us, order_key)


class LaneMessage(MessageProxy):
    """A message, or a bundle of them, and the leases it holds."""

    def __init__(self, message: Message[Any], leases: tuple[Fetched, ...]) -> None:
        super().__init__(message)
        self.leases = leases


class LaneConsumer(Consumer):
    """Takes due messages of one queue, as many as this process can hold; asleep at the doorbell otherwise."""

    def __init__(self, broker: LaneBroker, queue_name: str, room: _Room, timeout_seconds: float) -> None:
        self.broker = broker
        self.queue_name = queue_name
        self.timeout_seconds = timeout_seconds
        self._room = room
        self._ready: deque[LaneMessage] = deque()
        self._look_at = 0.0
        self._bell = broker.listener.pubsub(ignore_subscribe_messages=True)
        try:
            self._bell.subscribe(broker.lanes.bell(queue_name))
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(str(error)) from error

    def __next__(self) -> LaneMessage | None:
        if self._ready:
            return self._ready.popleft()
        free = self._room.wait(self.timeout_seconds)
        if not free:
            return None
        if self.broker.draining:
            time.sleep(0.05)
            return None
        if time.monotonic() < self._look_at and not self._rung():
            return None
        self._fetch(free)
        return self._ready.popleft() if self._ready else None

    def _rung(self) -> bool:
        """Wait at the doorbell until it rings (True), a timer is due (True), or the consumer's timeout (False)."""
        wait = max(0.0, self._look_at - time.monotonic())
        try:
            message = self._bell.get_message(timeout=min(wait, self.timeout_seconds))
            rung = message is not None
            while message is not None:
                message = self._bell.get_message(timeout=0)
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(str(error)) from error
        return rung or time.monotonic() >= self._look_at

    def _fetch(self, limit: int) -> None:
        broker = self.broker
        if self.queue_name in broker.in_doubt:
            broker.run(broker.lanes.reclaim(self.queue_name, broker.worker_id, list(broker.held)))
        # Until the answer is here: one that is lost leaves messages leased to us that we know nothing of.
        broker.in_doubt.add(self.queue_name)
        wait_us, messages = broker.run(broker.lanes.fetch(self.queue_name, broker.worker_id, limit, broker.lease_us))
        wait = SAFETY_LOOK_SECONDS if wait_us is None else min(wait_us / 1_000_000, SAFETY_LOOK_SECONDS)
        broker.held.update(message.id for message in messages)
        broker.in_doubt.discard(self.queue_name)
        self._look_at = time.monotonic() + wait
        for message in self._bundles(messages):
            self._room.take(len(message.leases))
            self._ready.append(message)

    def _bundles(self, fetched: list[Fetched]) -> Iterable[LaneMessage]:
        """One proxy a message; one for up to N of them where their actor says `bundle=N`."""
        bundles: dict[str, list[tuple[Message[Any], Fetched]]] = {}
        for lease in fetched:
            try:
                message: Message[Any] = Message.decode(lease.payload)
            except DecodeError:
                logger.error("The message %s can't be read; it is a dead letter of lane %s", lease.id, lease.lane)
                self.broker.settle(Settlement("nack", lease.lane, lease.id))
                continue
            size = self._bundle_size(message.actor_name)
            if size == 1:
                yield LaneMessage(message, (lease,))
                continue
            if lease.taken_back:
                # A worker died over it: alone, so that a message that kills its worker takes no other with it.
                yield _bundled([(message, lease)])
                continue
            bundle = bundles.setdefault(message.actor_name, [])
            bundle.append((message, lease))
            if len(bundle) == size:
                yield _bundled(bundles.pop(message.actor_name))
        yield from map(_bundled, bundles.values())

    def _bundle_size(self, actor_name: str) -> int:
        actor = self.broker.actors.get(actor_name)
        return int(actor.options.get("bundle", 1)) if actor else 1

    def ack(self, message: MessageProxy) -> None:
        """A message that ended in an exception is not done, whatever became of the middleware that should have cared:
        it is tried again later. (Dramatiq's own Retries is not for this broker: here a retry keeps its message.)
        """
        self._finish(message, "ack" if message._exception is None else "retry")

    def nack(self, message: MessageProxy) -> None:
        self._finish(message, "nack")

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in (*messages, *self._ready):
            self._finish(message, "requeue")
        self._ready.clear()

    def _finish(self, message: MessageProxy, verb: Any) -> None:
        assert isinstance(message, LaneMessage)
        settled = self.broker.settled
        due_us = time.time_ns() // 1000 + MISTAKE_PAUSE_US
        for lease in message.leases:
            if lease.id in settled:
                settled.discard(lease.id)
                self.broker.held.discard(lease.id)
            else:
                self.broker.settle(Settlement(verb, lease.lane, lease.id, due_us))
        self._room.give(len(message.leases))

    def close(self) -> None:
        try:
            self.requeue(())
        finally:
            self._bell.close()


def _bundled(bundle: list[tuple[Message[Any], Fetched]]) -> LaneMessage:
    first = bundle[0][0]
    arguments = [list(message.args) for message, _ in bundle]
    return LaneMessage(first.copy(args=(arguments,)), tuple(lease for _, lease in bundle))


class _Room:
    """How many more messages of a queue this process can hold."""

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._changed = threading.Condition()

    def wait(self, timeout_seconds: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, timeout=timeout_seconds)
            return max(0, self._free)

    def take(self, number: int) -> None:
        with self._changed:
            self._free -= number

    def give(self, number: int) -> None:
        with self._changed:
            self._free += number
            self._changed.notify()


class _Acknowledger:
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
            except (dramatiq.errors.BrokerConnectionError, redis.RedisError) as error:
                # Kept until the store takes it: our lease is renewed meanwhile, so nobody else would.
                logger.warning("%d messages could not be settled yet: %s", len(batch), error)
                if self._stopping.wait(0.5):
                    return
            else:
                self._broker.held.difference_update(settlement.id for settlement in batch)
                if lost:
                    logger.warning("%d of %d messages had been taken back before they were settled", lost, len(batch))
                return


class _Heart:
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
            except (dramatiq.errors.BrokerConnectionError, redis.RedisError):
                beats = 0
            if self._stopped.wait(interval):
                return
