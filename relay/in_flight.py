"""The deliveries that a worker process makes at once: coroutines on one event loop, and no thread for any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dramatiq.errors import DecodeError
from dramatiq.message import Message

from relay import log
from relay.deliver import MOST_TAKEN_BACK, Failed
from relay.lanes import Claim, Fetched, LaneBroker, Verb
from relay.messages import BATCH_ACTOR, DELIVER_ACTOR, BatchJob, DeliverJob
from relay.stages import Stages
from relay.store import DELIVER_QUEUE, StoredDelivery

_JOBS: Mapping[str, type[DeliverJob] | type[BatchJob]] = {DELIVER_ACTOR: DeliverJob, BATCH_ACTOR: BatchJob}


class InFlight:
    """Begins attempts, and tells the lanes when they have ended."""

    def __init__(self, broker: LaneBroker, stages: Callable[[], Stages]) -> None:
        """`stages`: those in force, asked when an attempt begins."""
        self._broker = broker
        self._stages = stages
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log.get()

    def claim(self) -> Claim | None:
        """The next fetch of deliveries, for who has just written some. None where there is no room for any."""
        return self._broker.intake(DELIVER_QUEUE).claim()

    def begin_fetched(self, fetched: Iterable[Fetched], made: Mapping[str, StoredDelivery]) -> None:
        """Begin what a claim brought. `made`: deliveries of the same exchange, which need not be read first."""
        for lease in fetched:
            known = made.get(lease.id)
            try:
                message: Message[Any] = Message.decode(lease.payload)
                job = _JOBS[message.actor_name](*message.args)
            except (DecodeError, KeyError, TypeError):
                self._log.error("message.unreadable", message_id=lease.id, lane=lease.lane)
                self._broker.done(DELIVER_QUEUE, lease, "nack")
                continue
            self._begin(job, lease, known if not lease.taken_back else None)

    def begin(self, jobs: Sequence[DeliverJob | BatchJob], leases: Sequence[Fetched]) -> None:
        for job, lease in zip(jobs, leases, strict=True):
            self._begin(job, lease, None)

    def _begin(self, job: DeliverJob | BatchJob, lease: Fetched, made: StoredDelivery | None) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(job, lease, made))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Break off what is still under way. Its leases are to be given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _attempt(self, job: DeliverJob | BatchJob, lease: Fetched, made: StoredDelivery | None) -> None:
        verb: Verb | None
        try:
            with self._stages().at_work() as stages:
                if isinstance(job, DeliverJob):
                    settled = await _deliver(stages, job, lease.taken_back, made)
                else:
                    settled = await _send_batch(stages, job, lease.taken_back)
            verb = None if settled else "ack"
        except Exception as error:  # noqa: BLE001 - a mistake of ours: nothing is lost by it, it is tried again later
            self._log.error("message.mistake", message_id=lease.id, lane=lease.lane, exc_info=error)
            verb = "retry"
        self._broker.done(DELIVER_QUEUE, lease, verb)


async def _deliver(stages: Stages, job: DeliverJob, taken_back: int, made: StoredDelivery | None) -> bool:
    """Whether it was settled; else it only has to be acknowledged."""
    deliverer = stages.deliverer
    if taken_back >= MOST_TAKEN_BACK:
        await deliverer.give_up(job, taken_back)
        return True
    try:
        ended = await deliverer.deliver(job, made)
    except Exception as error:  # noqa: BLE001 - nobody foresaw it; it is a failed attempt
        await deliverer.mistake(job, error)
        return True
    if isinstance(ended, Failed):
        await deliverer.fail(ended)
        return True
    return ended


async def _send_batch(stages: Stages, job: BatchJob, taken_back: int) -> bool:
    if taken_back >= MOST_TAKEN_BACK:
        await stages.batcher.give_up(job, taken_back)
        return True
    return await stages.batcher.send(job)
