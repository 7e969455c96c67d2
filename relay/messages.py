"""The two kinds of work that travel in lanes, as Dramatiq messages. Web and worker build them the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dramatiq.message import Message

from relay.store import DELIVER_QUEUE, ROUTE_QUEUE

ROUTE_ACTOR = "route"
DELIVER_ACTOR = "deliver"


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
    """Attempt a delivery. `predecessors` maps the steps it needs to their deliveries."""

    delivery: str
    lane: str
    event: str
    predecessors: Mapping[str, str]

    def payload(self) -> bytes:
        args = (self.delivery, self.lane, self.event, dict(self.predecessors))
        return _message(DELIVER_QUEUE, DELIVER_ACTOR, self.delivery, self.lane, args)


def _message(queue: str, actor: str, message_id: str, lane: str, args: tuple[object, ...]) -> bytes:
    message: Message[None] = Message(queue, actor, args, {}, {"lane": lane}, message_id, 0)
    return message.encode()


class CaughtPayload:
    """The routing message of newly caught events of one source: alike but for the id, so encoded once."""

    def __init__(self, lane: str) -> None:
        self._parts = RouteJob("EVENT-ID", lane, "EVENT-ID").payload().split(b"EVENT-ID")

    def of(self, event_id: str) -> bytes:
        return event_id.encode().join(self._parts)
