"""The Dramatiq consumer of the lanes: takes what is due, asleep at the doorbell otherwise."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.message import Message

from relay.lanes.commands import Fetched, Settlement
from relay.lanes.connection import CONNECTION_ERRORS

if TYPE_CHECKING:
    from relay.lanes.broker import LaneBroker

#: No lane fills a worker: each may hold at most twice what it leaves free, so that there is room for others however
#: many destinations hang.
LANE_SHARE = 2

#: How long a consumer sleeps at most before it looks by itself: a doorbell may ring while the connection is down.
SAFETY_LOOK_SECONDS = 10.0

#: How long a message waits whose actor raised an exception that nobody dealt with.
MISTAKE_PAUSE_US = 10_000_000

logger = logging.getLogger(__name__)


class LaneMessage(MessageProxy):
    """A message, or a bundle of them, and the leases it holds."""

    def __init__(self, message: Message[Any], leases: tuple[Fetched, ...]) -> None:
        super().__init__(message)
        self.leases = leases


class LaneConsumer(Consumer):
    """Takes due messages of one queue, as many as this process can hold; asleep at the doorbell otherwise."""

    def __init__(self, broker: LaneBroker, queue_name: str, room: Room, timeout_seconds: float) -> None:
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
        wait_us, messages = broker.run(
            broker.lanes.fetch(self.queue_name, broker.worker_id, limit, broker.lease_us, LANE_SHARE)
        )
        wait = SAFETY_LOOK_SECONDS if wait_us is None else min(wait_us / 1_000_000, SAFETY_LOOK_SECONDS)
        broker.held.update(message.id for message in messages)
        broker.in_doubt.discard(self.queue_name)
        self._look_at = time.monotonic() + wait
        for message in self._bundles(messages):
            self._room.take(len(message.leases))
            self._ready.append(message)

    def _bundles(self, fetched: list[Fetched]) -> Iterable[LaneMessage]:
        """One proxy a message; one for up to N of them where their actor says `bundle=N`.

        What came of one lane stays in one bundle as long as it fits, in its order.
        """
        runs: dict[tuple[str, str], list[tuple[Message[Any], Fetched]]] = {}
        for lease in fetched:
            try:
                message: Message[Any] = Message.decode(lease.payload)
            except DecodeError:
                logger.error("The message %s can't be read; it is a dead letter of lane %s", lease.id, lease.lane)
                self.broker.settle(Settlement("nack", lease.lane, lease.id))
                continue
            if self._bundle_size(message.actor_name) == 1:
                yield LaneMessage(message, (lease,))
            elif lease.taken_back:
                # A worker died over it: alone, so that a message that kills its worker takes no other with it.
                yield _bundled([(message, lease)])
            else:
                runs.setdefault((message.actor_name, lease.lane), []).append((message, lease))
        bundles: dict[str, list[tuple[Message[Any], Fetched]]] = {}
        for (actor, _), run in runs.items():
            size = self._bundle_size(actor)
            for start in range(0, len(run), size):
                part = run[start : start + size]
                if len(bundles.get(actor, ())) + len(part) > size:
                    yield _bundled(bundles.pop(actor))
                bundles.setdefault(actor, []).extend(part)
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


class Room:
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
