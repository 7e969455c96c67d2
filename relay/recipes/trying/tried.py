"""What came of trying an event: step by step, and what the sender would be answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.errors import Place
from relay.model import JSON
from relay.recipes.respond import SenderAnswer


@dataclass(frozen=True, slots=True)
class TryResult:
    """One step, or one item of a step with `foreach`: `preview`, `skipped`, `waits` or `error` says what becomes of it.

    item       which of the items, from 0; None where there is no `foreach`, or it gives no items
    items      how many there are
    fields     the rendered `with`
    preview    what the connector would send, redacted; of a batch, the call that this row alone would make
    error      why it would be a dead letter; with a preview, what goes wrong after it was sent
    held       why the connection would not send it now, such as an unset secret
    order_key  deliveries of the step with the same one go strictly one after another
    batch      how it is sent with others, and when
    found      with `--live`: what the destination's own check finds wrong; empty where nothing, None where not asked
    unasked    with `--live`: why the destination wasn't asked
    """

    step: str
    connection: str
    connector: str
    do: str | None
    item: int | None = None
    items: int | None = None
    fields: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    skipped: str | None = None
    waits: str | None = None
    error: str | None = None
    held: str | None = None
    order_key: str | None = None
    batch: str | None = None
    found: list[str] | None = None
    unasked: str | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class TryAnswer:
    """What `respond` would answer the sender.

    sent     None where it answers nothing: then the sender gets the relay's own 202
    body     what `sent` was made of
    late     why it is the answer of `late`
    skipped  why there is no answer: the recipe doesn't want the event
    error    why the answer can't be made; then it is `late`
    """

    place: Place
    sent: SenderAnswer | None = None
    body: JSON = None
    late: str | None = None
    skipped: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe and an event.

    steps    in the order in which they would run, those with `foreach` by item
    answer   None where the recipe has no `respond`
    skipped  why the recipe wants nothing of the event; `error` why that can't be told. Each step says it too.
    """

    steps: list[TryResult]
    answer: TryAnswer | None = None
    picks: Mapping[str, JSON] = field(default_factory=dict)
    skipped: str | None = None
    error: str | None = None

    def __iter__(self) -> Iterator[TryResult]:
        return iter(self.steps)
