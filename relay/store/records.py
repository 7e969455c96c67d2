"""What the store gives back: events and deliveries as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from relay import jsontext
from relay.clock import isoformat
from relay.model import Event, Status

#: The status of a vendor's question whether we are here: it is listed among the events, and is none.
HANDSHAKE = "handshake"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """status: caught, routed, skipped (no recipe wanted it), undecodable; or HANDSHAKE."""

    event: Event
    status: str
    deliveries: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        event = self.event
        return {
            "id": event.id,
            "source": event.source,
            "status": self.status,
            "type": event.type,
            "received_at": isoformat(event.received_ms),
            "method": event.method,
            "content_type": event.content_type,
            "bytes": len(event.body),
            "deliveries": list(self.deliveries),
        }


@dataclass(frozen=True, slots=True)
class Edit:
    """A body that an operator wrote to replace the event's, for one delivery."""

    number: int
    by: str
    at_ms: int
    note: str
    body: bytes
    content_type: str

    def as_json(self) -> dict[str, Any]:
        return {
            "edit": self.number,
            "by": self.by,
            "at": isoformat(self.at_ms),
            "note": self.note,
            "body": self.body.decode(errors="replace"),
            "content_type": self.content_type,
        }


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it is kept.

    attempts_made    in this run: a replay starts again from none
    attempts         all of them, oldest first, as JSON
    needs            its predecessors' deliveries, by step; how many items, for a step that runs once per item
    batch            the batch it waits in
    waits_for        how many of them have not ended
    idempotency_key  stable over attempts; another only where a delivered one is replayed
    """

    id: str
    event_id: str
    recipe: str
    version: str
    step: str
    item: str
    connection: str
    status: Status
    created_ms: int
    changed_ms: int
    summary: str = ""
    cause: str = ""
    attempts_made: int = 0
    attempts: tuple[Mapping[str, Any], ...] = ()
    saved: Mapping[str, Any] = field(default_factory=dict)
    successors: tuple[str, ...] = ()
    needs: Mapping[str, str | int] = field(default_factory=dict)
    batch: str = ""
    waits_for: int = 0
    queue: str = ""
    lane: str = ""
    due_ms: int | None = None
    replays: int = 0
    edits: int = 0
    edited: str = ""
    idempotency_key: str = ""

    @classmethod
    def read(cls, delivery_id: str, fields: Mapping[bytes, bytes]) -> StoredDelivery:
        def text(name: bytes) -> str:
            return fields.get(name, b"").decode()

        def number(name: bytes) -> int:
            return int(fields.get(name, b"0") or 0)

        again = text(b"ik")
        return cls(
            id=delivery_id,
            event_id=text(b"ev"),
            recipe=text(b"re"),
            version=text(b"ver"),
            step=text(b"st"),
            item=text(b"em"),
            connection=text(b"co"),
            status=Status(text(b"status")),
            created_ms=number(b"at"),
            changed_ms=number(b"end"),
            summary=text(b"su"),
            cause=text(b"ca"),
            attempts_made=number(b"n"),
            attempts=tuple(jsontext.loads(fields[b"a:%d" % i]) for i in range(1, number(b"an") + 1)),
            saved=jsontext.loads(fields[b"sv"]) if b"sv" in fields else {},
            successors=tuple(filter(None, text(b"nx").split(","))),
            needs=orjson.loads(fields.get(b"ne") or b"{}"),
            batch=text(b"bt"),
            waits_for=max(0, number(b"need")),
            queue=text(b"q"),
            lane=text(b"lane"),
            due_ms=number(b"due") or None,
            replays=number(b"rp"),
            edits=number(b"edits"),
            edited=text(b"ed"),
            idempotency_key=f"{delivery_id}-r{again}" if again else delivery_id,
        )

    @classmethod
    def begun(cls, new: NewDelivery, event_id: str) -> StoredDelivery:
        """As it is when it has just been written."""
        return cls(
            *(new.id, event_id, new.recipe, new.version, new.step, new.item, new.connection, new.status),
            created_ms=0,
            changed_ms=0,
            needs=new.needs,
            edited=new.edited,
            idempotency_key=new.id,
        )

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": self.id,
            "status": self.status.value,
            "recipe": self.recipe,
            "step": self.step,
            "item": self.item,
            "connection": self.connection,
            "event": self.event_id,
            "attempts": len(self.attempts),
            "summary": self.summary,
            "cause": self.cause,
            "created_at": isoformat(self.created_ms),
            "changed_at": isoformat(self.changed_ms),
            "next_at": isoformat(self.due_ms) if self.due_ms else None,
            "replays": self.replays,
            "edits": self.edits,
        }
        if whole:
            attempts = [{**attempt, "at": isoformat(attempt["at"])} for attempt in self.attempts]
            row |= {
                "attempts": attempts,
                "version": self.version,
                "batch": self.batch,
                "saved": dict(self.saved),
                "waits_for": self.waits_for,
                "successors": list(self.successors),
                "idempotency_key": self.idempotency_key,
            }
        return row


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A recipe that didn't want an event, and why."""

    recipe: str
    version: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"recipe": self.recipe, "version": self.version, "why": self.why}


@dataclass(frozen=True, slots=True)
class RowOf:
    """The batch that a delivery is a row of, as the store has to know it.

    step   which step's batches these are
    most   how many rows close it
    every  how long after its first row it is closed; None where `at_us` says when
    """

    step: str
    most: int
    every: timedelta | None
    at_us: int = 0

    def packed(self) -> bytes:
        every = self.every // timedelta(microseconds=1) if self.every is not None else 0
        return orjson.dumps({"k": self.step, "max": self.most, "every": every, "at": self.at_us})


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery as route makes it.

    needs      its predecessors' deliveries, by step; how many items, for a step that runs once per item
    waits_on   the deliveries and groups that have to end first
    successors what waits on it; on the whole group, where it is an item of one
    payload    its message, or its batch's; empty where nothing is to be queued
    edited     the dead letter whose edits stand in for the event's body
    group      what the items of one step have in common; empty where the step runs once
    """

    id: str
    recipe: str
    version: str
    step: str
    item: str
    connection: str
    status: Status
    summary: str = ""
    cause: str = ""
    needs: Mapping[str, str | int] = field(default_factory=dict)
    waits_on: tuple[str, ...] = ()
    successors: tuple[str, ...] = ()
    queue: str = ""
    lane: str = ""
    payload: bytes = b""
    order_key: str | None = None
    edited: str = ""
    group: str = ""
    batch: RowOf | None = None
