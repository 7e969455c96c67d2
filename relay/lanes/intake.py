"""What a process takes of one queue: one fetch at a time, and never more than it has room for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from relay.lanes.commands import Fetch, Fetched
from relay.lanes.script import Command

if TYPE_CHECKING:
    from relay.lanes.broker import LaneBroker

#: No lane fills a worker: each may hold at most twice what it leaves free, so that there is room for others however
#: many destinations hang.
LANE_SHARE = 2

#: How long a consumer sleeps at most before it looks by itself: a doorbell may ring while the connection is down.
SAFETY_LOOK_SECONDS = 10.0


class Intake:
    """Of the process, not of a consumer: Dramatiq makes a new consumer after each lost connection, while messages of
    the old one are still being worked on.

    A consumer's thread fetches by itself. A coroutine that has just filled the lanes may `claim` the next fetch, and
    send it along with what it writes: then nobody has to be woken for it.
    """

    def __init__(self, broker: LaneBroker, queue: str, capacity: int) -> None:
        self.room = Room(capacity)
        self.queue = queue
        self._broker = broker
        #: Held from a fetch to its answer: what comes is known before anybody asks what is not.
        self._fetching = threading.Lock()
        self._in_doubt = False
        self._fetched_us = 0
        self._look_at = 0.0

    def seconds_to_look(self) -> float:
        """How long nothing is due, as far as is known."""
        return max(0.0, self._look_at - time.monotonic())

    def fetch(self, rung_us: int = 0) -> list[Fetched]:
        """What is due; nothing where somebody else has looked since the doorbell rang.

        rung_us  when that was, on the store's clock; 0 where it didn't ring

        Raises ConnectionClosed.
        """
        broker = self._broker
        with self._fetching:
            if rung_us and rung_us < self._fetched_us and self.seconds_to_look():
                return []
            if self._in_doubt:
                broker.run(broker.lanes.reclaim(self.queue, broker.worker_id, list(broker.held)))
            free = self.room.reserve()
            if not free:
                # Somebody was quicker: another look as soon as there is room.
                self._look_at = 0.0
                return []
            messages: list[Fetched] = []
            # Until the answer is here: one that is lost leaves messages leased to us that we know nothing of.
            self._in_doubt = True
            try:
                messages = self._take(broker.run(self._command(free)))
            finally:
                self.room.give(free - len(messages))
            return messages

    def claim(self) -> Claim | None:
        """The next fetch is the caller's. None where there is no room, or somebody is fetching."""
        if self._in_doubt or self._broker.draining or not self._fetching.acquire(blocking=False):
            return None
        free = self.room.reserve()
        if not free:
            self._fetching.release()
            return None
        return Claim(self, free, self._command(free))

    def _command(self, limit: int) -> Command[Fetch]:
        broker = self._broker
        return broker.lanes.fetch(self.queue, broker.worker_id, limit, broker.lease_us, LANE_SHARE)

    def _take(self, fetch: Fetch) -> list[Fetched]:
        self._broker.held.update(message.id for message in fetch.messages)
        self._in_doubt = False
        self._fetched_us = fetch.at_us
        wait = SAFETY_LOOK_SECONDS if fetch.wait_us is None else fetch.wait_us / 1_000_000
        self._look_at = time.monotonic() + min(wait, SAFETY_LOOK_SECONDS)
        return list(fetch.messages)

    def _ended(self, free: int, fetch: Fetch | None) -> list[Fetched]:
        messages: list[Fetched] = []
        if fetch is None:
            self._in_doubt = True
            # What is in doubt is looked for at once.
            self._look_at = 0.0
        else:
            messages = self._take(fetch)
        self._fetching.release()
        self.room.give(free - len(messages))
        return messages


class Claim:
    """A fetch that is sent by who claimed it. One of `took` and `lost` ends it."""

    def __init__(self, intake: Intake, free: int, command: Command[Fetch]) -> None:
        self._intake = intake
        self._free = free
        self.command = command

    def took(self, fetch: Fetch) -> Sequence[Fetched]:
        """The answer is here: these are leased to this process."""
        return self._intake._ended(self._free, fetch)

    def lost(self) -> None:
        """There was no answer: whether anything is leased isn't known."""
        self._intake._ended(self._free, None)


class Room:
    """How many more messages of a queue this process can hold."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free = capacity
        self._changed = threading.Condition()

    def wait(self, timeout_seconds: float) -> bool:
        """Whether there is some."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free > 0, timeout=timeout_seconds)

    def reserve(self) -> int:
        """All of it. What isn't needed has to be given back."""
        with self._changed:
            free, self._free = max(0, self._free), min(0, self._free)
            return free

    def give(self, number: int) -> None:
        with self._changed:
            self._free += number
            self._changed.notify_all()

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Until nothing is held any more."""
        with self._changed:
            return self._changed.wait_for(lambda: self._free >= self.capacity, timeout=timeout_seconds)
