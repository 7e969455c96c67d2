"""Batches in the store: rows gather, the batch is closed, sent as one call, and each row is settled by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from relay import jsontext
from relay.lanes import Command
from relay.lanes.script import Argument
from relay.model import Outcome
from relay.store.base import pairs, store_script
from relay.store.store import BreakerNews, Settled, Store, read_settled, said_of_destination

_CLOSE = store_script("close_batch")
_SETTLE = store_script("settle_batch")


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that still waits.

    opened_ms  when its first row came
    closed     its rows are fixed
    at_once    it is full, or an operator wants it sent now
    """

    opened_ms: int
    closed: bool
    at_once: bool


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A batch with its rows. `version` is the recipe's that it was closed with, `attempts` how many were made."""

    closed_ms: int
    version: str
    attempts: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettledBatch:
    """What becomes of a batch, and of each of its rows.

    verdict  done, retry, hold, or wait (it isn't time yet)
    rows     (delivery, what became of it)
    parts    the messages of new batches that take up rows; a row says which by the verdict `to 1`, `to 2` …
    outcome  of the call, where one was made
    """

    verdict: str
    rows: Sequence[tuple[str, Settled]] = ()
    due_ms: int = 0
    hold: tuple[str, str] = ("", "")
    parts: Sequence[bytes] = ()
    outcome: Outcome | None = None


async def load_batch(store: Store, batch: str) -> StoredBatch | None:
    fields = pairs(await store.ask("HGETALL", store.key("bt:", batch)))
    if not fields:
        return None
    return StoredBatch(int(fields[b"opened"]), b"closed" in fields, b"now" in fields)


async def close_batch(store: Store, worker: str, lane: str, batch: str, version: str) -> ClosedBatch | None:
    """None where the worker doesn't hold it any more. Closed once, it stays as it was closed."""

    def read(reply: Any) -> ClosedBatch | None:
        if reply is None:
            return None
        closed, by_version, attempts, *rows = (word.decode() for word in reply)
        return ClosedBatch(int(closed), by_version, int(attempts), tuple(rows))

    return await store.run(Command.call(_CLOSE, store.keys, "", worker, lane, batch, version, read=read))


async def settle_batch(
    store: Store, worker: str, lane: str, batch: str, settled: SettledBatch
) -> tuple[bool, BreakerNews | None]:
    """False where the batch had been taken back from this worker; and what it did to the lane's breaker."""
    rows = chain.from_iterable(
        (
            delivery,
            row.verdict,
            jsontext.dumps(row.attempt.as_json()) if row.attempt else "",
            jsontext.clean(row.summary),
            jsontext.clean(row.cause),
            jsontext.dumps(row.saved) if row.saved else "",
        )
        for delivery, row in settled.rows
    )
    state, reason = settled.hold
    words: list[Argument] = ["", worker, lane, batch, settled.verdict, settled.due_ms * 1000, state]
    why = jsontext.clean(settled.outcome.summary) if settled.outcome is not None else ""
    words += [jsontext.clean(reason), *said_of_destination(settled.outcome), why]
    words += [len(settled.parts), *settled.parts, *rows]
    return await store.run(Command.call(_SETTLE, store.keys, *words, read=read_settled))


async def open_batches(store: Store) -> dict[str, str]:
    """Which step's → its open batch."""
    reply = await store.ask("HGETALL", store.key("batches"))
    return {step.decode(): batch.decode() for step, batch in pairs(reply).items()}
