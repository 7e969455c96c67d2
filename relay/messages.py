"""The kinds of work that travel in lanes, as Dramatiq messages. Web and worker build them the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dramatiq.message import Message

from relay.store import DELIVER_QUEUE, ROUTE_QUEUE

ROUTE_ACTOR = "route"
DELIVER_ACTOR = "deliver"
BATCH_ACTOR = "deliver_batch"

#: Where a batch's id goes into its message: the store names it when its first row comes.
BATCH_ID = "\0batch\0"


@dataclass(frozen=True, slots=True)
class RouteJob:
    """Route an event.

    message_id  the event's id; the delivery's where one recipe is to be routed again
    recipe      only this one; empty is every recipe of the source
    delivery    the dead letter (or waiting letter) of that recipe which this routing resolves
    again       run again what has ended already
    """

    event: str
    lane: str
    message_id: str
    recipe: str = ""
    delivery: str = ""
    again: bool = False

    def payload(self) -> bytes:
        args = (self.event, self.lane, self.message_id, self.recipe, self.delivery, self.again)
        return _message(ROUTE_QUEUE, ROUTE_ACTOR, self.message_id, self.lane, args)


@dataclass(frozen=True, slots=True)
class DeliverJob:
    """Attempt a delivery.

    predecessors  the steps it needs → their deliveries; how many items there are, for a step that runs once per item
    """

    delivery: str
    lane: str
    event: str
    predecessors: Mapping[str, str | int]

    def payload(self) -> bytes:
        values = [self.delivery, self.event, *self.predecessors.values()]
        written = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
        parts = _deliver_parts(self.lane, tuple(self.predecessors))
        return b"".join(part if isinstance(part, bytes) else written[part].encode() for part in parts)


@lru_cache(maxsize=1024)
def _deliver_parts(lane: str, steps: tuple[str, ...]) -> tuple[bytes | int, ...]:
    """The messages of one step are alike but for the ids: Dramatiq encodes one, and numbers say where they go."""
    marks = [f"\0{number}\0" for number in range(2 + len(steps))]
    args = (marks[0], lane, marks[1], dict(zip(steps, marks[2:], strict=True)))
    message = _message(DELIVER_QUEUE, DELIVER_ACTOR, marks[0], lane, args)
    pieces = re.split(rb'"\\u0000(\d+)\\u0000"', message)
    return tuple(int(piece) if number % 2 else piece for number, piece in enumerate(pieces))


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Send a batch of one step's deliveries."""

    batch: str
    lane: str
    recipe: str
    step: str

    def payload(self) -> bytes:
        args = (self.batch, self.lane, self.recipe, self.step)
        return _message(DELIVER_QUEUE, BATCH_ACTOR, self.batch, self.lane, args)


def _message(queue: str, actor: str, message_id: str, lane: str, args: tuple[object, ...]) -> bytes:
    message: Message[None] = Message(queue, actor, args, {}, {"lane": lane}, message_id, 0)
    return message.encode()


class CaughtPayload:
    """The routing message of newly caught events of one source: alike but for the id, so encoded once."""

    def __init__(self, lane: str) -> None:
        self._parts = RouteJob("EVENT-ID", lane, "EVENT-ID").payload().split(b"EVENT-ID")

    def of(self, event_id: str) -> bytes:
        return event_id.encode().join(self._parts)
