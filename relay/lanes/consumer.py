"""The Dramatiq consumer of the lanes: takes what is due, asleep at the doorbell otherwise."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.message import Message

from relay.lanes.commands import Fetched, Settlement
from relay.lanes.connection import CONNECTION_ERRORS
from relay.lanes.intake import Intake

if TYPE_CHECKING:
    from relay.lanes.broker import LaneBroker

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

    def __init__(self, broker: LaneBroker, intake: Intake, timeout_seconds: float) -> None:
        self.broker = broker
        self.timeout_seconds = timeout_seconds
        self._intake = intake
        self._ready: deque[LaneMessage] = deque()
        # A consumer begins with a look: nobody listened at the doorbell until now.
        self._has_looked = False
        self._bell = broker.listener.pubsub(ignore_subscribe_messages=True)
        try:
            self._bell.subscribe(broker.lanes.bell(intake.queue))
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(str(error)) from error

    def __next__(self) -> LaneMessage | None:
        if self._ready:
            return self._ready.popleft()
        if not self._intake.room.wait(self.timeout_seconds):
            return None
        if self.broker.draining:
            time.sleep(0.05)
            return None
        rung_us = 0
        if self._has_looked and self._intake.seconds_to_look():
            rung_us = self._rung_us()
            if not rung_us and self._intake.seconds_to_look():
                return None
        fetched = self._intake.fetch(rung_us)
        self._has_looked = True
        self._ready.extend(self._bundles(fetched))
        return self._ready.popleft() if self._ready else None

    def _rung_us(self) -> int:
        """Wait at the doorbell until it rings, a timer is due, or the consumer's timeout. When it rang last; 0: not."""
        rung_us = 0
        try:
            wait = min(self._intake.seconds_to_look(), self.timeout_seconds)
            message = self._bell.get_message(timeout=wait)
            while message is not None:
                rung_us = max(rung_us, int(message["data"]))
                message = self._bell.get_message(timeout=0)
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(str(error)) from error
        return rung_us

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
                self._intake.room.give(1)
                continue
            if self._option(message.actor_name, "bundle") is None:
                yield LaneMessage(message, (lease,))
            elif lease.taken_back:
                # A worker died over it: alone, so that a message that kills its worker takes no other with it.
                yield self._bundled([(message, lease)])
            else:
                runs.setdefault((message.actor_name, lease.lane), []).append((message, lease))
        bundles: dict[str, list[tuple[Message[Any], Fetched]]] = {}
        for (actor, _), run in runs.items():
            size = int(self._option(actor, "bundle"))
            for start in range(0, len(run), size):
                part = run[start : start + size]
                if len(bundles.get(actor, ())) + len(part) > size:
                    yield self._bundled(bundles.pop(actor))
                bundles.setdefault(actor, []).extend(part)
        yield from map(self._bundled, bundles.values())

    def _bundled(self, bundle: list[tuple[Message[Any], Fetched]]) -> LaneMessage:
        first = bundle[0][0]
        args: list[Any] = [[list(message.args) for message, _ in bundle]]
        leases = tuple(lease for _, lease in bundle)
        if self._option(first.actor_name, "hands_over"):
            args.append(leases)
        return LaneMessage(first.copy(args=tuple(args)), leases)

    def _option(self, actor_name: str, option: str) -> Any:
        actor = self.broker.actors.get(actor_name)
        return actor.options.get(option) if actor else None

    def ack(self, message: MessageProxy) -> None:
        """A message that ended in an exception is not done, whatever became of the middleware that should have cared:
        it is tried again later. (Dramatiq's own Retries is not for this broker: here a retry keeps its message.)
        """
        if message._exception is not None:
            self._finish(message, "retry")
        elif not self._option(message.actor_name, "hands_over"):
            self._finish(message, "ack")

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
        self._intake.room.give(len(message.leases))

    def close(self) -> None:
        try:
            self.requeue(())
        finally:
            self._bell.close()
