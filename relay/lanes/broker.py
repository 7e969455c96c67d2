"""The Dramatiq side of the lanes: a Broker, and the Consumer that waits at the doorbell.

An actor whose options say `bundle=N` is called with a list of up to N argument tuples at once; its message stands for
all of them. One whose options also say `hands_over=True` is given their leases as a second list, and may return before
their work is done: whoever ends it says so, lease by lease (`LaneBroker.done`).

Options of a message: `lane` (its queue's name where missing), `order_key`, and `delay` as Dramatiq has it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.broker import Broker
from dramatiq.errors import ConnectionClosed, QueueNotFound
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from relay.lanes.commands import Fetched, LaneLimits, Lanes, NewMessage, Settlement, Verb
from relay.lanes.connection import StoreLostError, connect, run
from relay.lanes.consumer import MISTAKE_PAUSE_US, LaneConsumer
from relay.lanes.intake import Intake
from relay.lanes.script import Command
from relay.lanes.upkeep import Acknowledger, Heart

#: A lease outlives three missed renewals, so that a busy process or a slow disk isn't taken for a dead worker.
LEASE_SECONDS = 10.0


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

    url            Redis 7.2+ or Valkey: redis://, rediss://, unix://, sentinel:// or sentinels://
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
        self.actor_options |= {"bundle", "hands_over"}
        self.client = connect(url)
        # A subscriber waits for as long as it takes: a socket timeout would end the wait.
        self.listener = connect(url, socket_timeout=None, keepalive=True)
        self.lanes = Lanes(prefix)
        self.worker_id = worker_id or new_worker_id()
        self.lease_us = round(lease_seconds * 1_000_000)
        self.settled: set[str] = set()
        # What this process holds by its own account, until the store has confirmed that it doesn't any more.
        self.held: set[str] = set()
        self.draining = False
        self._capacity = capacity or {}
        self._intakes: dict[str, Intake] = {}
        self._acknowledger = Acknowledger(self)
        self._heart = Heart(self)

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
        return LaneConsumer(self, self.intake(queue_name, prefetch), timeout / 1000)

    def intake(self, queue_name: str, prefetch: int = 1) -> Intake:
        """How this process takes messages of a queue; `prefetch` where it has no capacity of its own."""
        if queue_name not in self._intakes:
            self._intakes[queue_name] = Intake(self, queue_name, self._capacity.get(queue_name, prefetch))
        return self._intakes[queue_name]

    def settle_elsewhere(self, message_id: str) -> None:
        """The message was acknowledged by a script of the caller's own, in one act with its outcome."""
        self.settled.add(message_id)

    def settle(self, settlement: Settlement) -> None:
        """Acknowledge, soon; what many threads settle travels together."""
        self._acknowledger.put(settlement)

    def done(self, queue_name: str, lease: Fetched, verb: Verb | None = None) -> None:
        """What an actor that hands over was leased is done with. `verb` is None where the caller settled it itself."""
        if verb is None:
            self.held.discard(lease.id)
        else:
            self.settle(Settlement(verb, lease.lane, lease.id, time.time_ns() // 1000 + MISTAKE_PAUSE_US))
        self._intakes[queue_name].room.give(1)

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
