"""The worker process: Dramatiq actors and middleware around the stages.

Both actors are async and run on one event loop; Dramatiq's threads hand them over and wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import dramatiq
import uvloop
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.broker import Broker, MessageProxy
from dramatiq.middleware import Middleware, SkipMessage

from relay import log
from relay.connections import Connections
from relay.connector import Connector, Context
from relay.deliver import MOST_TAKEN_BACK
from relay.errors import StoreError
from relay.family import dead_neighbours
from relay.in_flight import InFlight
from relay.in_force import ROUTE_BUNDLE, free, put_in_force
from relay.keeping import Housekeeper
from relay.lanes import Fetched, LaneBroker, LaneMessage, machine
from relay.messages import BATCH_ACTOR, DELIVER_ACTOR, ROUTE_ACTOR, BatchJob, DeliverJob, RouteJob
from relay.recipes import Workspace
from relay.recipes.reload import Changes
from relay.reload import Reloader, ensure_readable
from relay.settings import Settings
from relay.stages import Stages
from relay.store import DELIVER_QUEUE, ROUTE_QUEUE, Store, bring_up_to_date

T = TypeVar("T")

#: How many calls of the route actor a process has at once.
ROUTE_CALLS = 2

#: How many deliveries are handed to the event loop at once.
DELIVER_BUNDLE = 64

#: How often Dramatiq's idle threads wake to see whether the worker stops. Work wakes them at once.
_IDLE_WAKE_MS = 1_000


def _tune() -> None:
    """For one busy event loop among many waiting threads: measured together, a third less CPU a delivery.

    What is set up lives as long as the process, so the collector need not look at it; and each delivery makes some
    hundred short-lived objects, which would have it run dozens of times a second. The loop's thread does nearly all
    the work: it keeps the interpreter for longer before another may ask for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(0.02)


def _start_loop() -> EventLoopThread:
    """The loop that async actors run on, as Dramatiq's AsyncIO middleware would start it, on uvloop.

    Not by a middleware: Dramatiq goes on where one fails, and a worker that isn't set up must not take messages.
    """
    # Dramatiq looks ten times a second whether a waiting thread was interrupted; nothing here interrupts one.
    thread = EventLoopThread(logging.getLogger(__name__), interrupt_check_ival=5.0)
    thread.loop.close()
    thread.loop = uvloop.new_event_loop()
    thread.daemon = True
    thread.start(timeout=5.0)
    set_event_loop_thread(thread)
    return thread


class GiveUpRouting(Middleware):
    """An event that worker after worker died over is a dead letter, instead of the end of one more."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        assert isinstance(message, LaneMessage)
        times = max(lease.taken_back for lease in message.leases)
        if message.actor_name != ROUTE_ACTOR or times < MOST_TAKEN_BACK:
            return
        (jobs,) = message.args
        self.process.wait_for(self.process.stages.router.give_up([RouteJob(*job) for job in jobs], times))
        for lease in message.leases:
            self.process.broker.settle_elsewhere(lease.id)
        raise SkipMessage


class Process:
    """One worker process."""

    stages: Stages

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self.settings = settings
        self.redis_url = redis_url
        self.log = log.get()
        self.broker = LaneBroker(
            redis_url,
            prefix=settings.redis_prefix + "lanes:",
            middleware=[GiveUpRouting(self)],
            capacity={ROUTE_QUEUE: ROUTE_BUNDLE * ROUTE_CALLS, DELIVER_QUEUE: settings.concurrency},
        )
        self.in_flight = InFlight(self.broker, lambda: self.stages)
        self._stopping = threading.Event()
        self._working = False
        self._declare_actors()

    def _declare_actors(self) -> None:
        @dramatiq.actor(broker=self.broker, actor_name=ROUTE_ACTOR, queue_name=ROUTE_QUEUE, bundle=ROUTE_BUNDLE)
        async def route(jobs: list[list[Any]]) -> None:
            routed = [RouteJob(*job) for job in jobs]
            with self.stages.at_work() as stages:
                await stages.router.route(routed)
            for job in routed:
                self.broker.settle_elsewhere(job.message_id)

        # Deliveries go before new routing where both wait for a thread: what is begun is ended first.
        delivers = functools.partial(
            dramatiq.actor,
            broker=self.broker,
            queue_name=DELIVER_QUEUE,
            priority=-1,
            bundle=DELIVER_BUNDLE,
            hands_over=True,
        )

        def deliver(jobs: list[list[Any]], leases: Sequence[Fetched]) -> None:
            self.hand_over([DeliverJob(*job) for job in jobs], leases)

        def deliver_batch(jobs: list[list[Any]], leases: Sequence[Fetched]) -> None:
            self.hand_over([BatchJob(*job) for job in jobs], leases)

        delivers(deliver, actor_name=DELIVER_ACTOR)
        delivers(deliver_batch, actor_name=BATCH_ACTOR)

    def hand_over(self, jobs: Sequence[DeliverJob | BatchJob], leases: Sequence[Fetched]) -> None:
        """From one of Dramatiq's threads to the event loop, which makes all of them at once."""
        thread = get_event_loop_thread()
        assert thread is not None
        thread.loop.call_soon_threadsafe(self.in_flight.begin, jobs, leases)

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop from one of Dramatiq's threads."""
        thread = get_event_loop_thread()
        assert thread is not None
        return thread.run_coroutine(work)

    async def set_up(self) -> None:
        """Make the stages, and tell the lanes what the workspace says of them. Raises ConfigError."""
        await bring_up_to_date(self._store)
        workspace = await self._reloader.begin()
        self._connections = Connections(workspace, Context(data_dir=self.settings.data))
        self._connections.warm()
        self._leaving: list[Stages] = []
        self.stages = self._stages_of(workspace)
        await put_in_force(workspace, self._store)
        for dead in dead_neighbours(await self._store.run(self._store.lanes.workers())):
            taken_back = await self._store.run(self._store.lanes.take_back(dead, died=True))
            self.log.warning("worker.taken_back", worker=dead, messages=taken_back)
        housekeeper = Housekeeper(self._store, self.settings, self.broker.worker_id)
        self._tasks = [asyncio.create_task(housekeeper.run()), asyncio.create_task(self._reloader.follow(self.take))]

    def _stages_of(self, workspace: Workspace) -> Stages:
        return Stages.of(workspace, self._connections, self._store, self.broker.worker_id, self.in_flight)

    async def take(self, workspace: Workspace, before: Workspace, _: Changes) -> None:
        """Another workspace is in force. What is under way ends by the one it began with."""
        self._leaving.append(self.stages)
        outdated = self._connections.renew(workspace)
        self.stages = self._stages_of(workspace)
        await put_in_force(workspace, self._store, before)
        task = asyncio.create_task(self._let_go(list(self._leaving), outdated))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _let_go(self, leaving: Sequence[Stages], outdated: Sequence[Connector[Any]]) -> None:
        """When nobody is at work with them any more: close connectors that only they have."""
        for stages in leaving:
            await stages.idle()
        self._leaving = [stages for stages in self._leaving if stages not in leaving]
        if any(stages.workspace.broken for stages in leaving):
            # One of them may have stopped a lane, for a recipe that was broken as far as it knew.
            await free(self.stages.workspace, self._store)
        await self._connections.close(outdated)

    async def clean_up(self) -> None:
        await self.in_flight.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        await self._connections.aclose()
        self._store.patient = False
        with contextlib.suppress(StoreError):
            # What is still under way when the drain ends is somebody else's at once.
            await self._store.run(self._store.lanes.take_back(self.broker.worker_id, died=False))
        await self._store.aclose()

    def run(self) -> None:
        """Until SIGTERM or SIGINT: then nothing new is taken, what is under way is given time to end.

        Raises ConfigError where the workspace can't be read as a whole.
        """
        ensure_readable(self.settings.recipes, self.redis_url, self.settings.redis_prefix)
        self._store = Store(self.redis_url, self.settings.redis_prefix, patient=True)
        self._reloader = Reloader(self.settings.recipes, self._store, f"worker {machine()}:{os.getpid()}")
        self._hear_signals()
        loop = _start_loop()
        try:
            loop.run_coroutine(self.set_up())
            _tune()
            self._work()
            loop.run_coroutine(self.clean_up())
        finally:
            loop.stop()
            set_event_loop_thread(None)
        self.log.info("worker.stopped", worker=self.broker.worker_id)

    def _hear_signals(self) -> None:
        """Signals are heard by a thread of their own.

        The kernel may give one to any thread. Python's handlers run in the main thread, which isn't woken by it then,
        and waits for as long as the process lives; what the wakeup descriptor says is heard at once.
        """
        heard, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

        def hear() -> None:
            while numbers := heard.recv(64):
                for number in numbers:
                    if number == signal.SIGHUP:
                        self._reloader.now()
                    elif number in (signal.SIGTERM, signal.SIGINT):
                        self._stop()

        threading.Thread(target=hear, name="signals", daemon=True).start()

    def _stop(self) -> None:
        self._stopping.set()
        if not self._working:
            # Still waiting for the store: it need not be waited for any more.
            self._store.patient = False

    def _work(self) -> None:
        worker = dramatiq.Worker(self.broker, worker_timeout=_IDLE_WAKE_MS, worker_threads=ROUTE_CALLS + 1)
        self._working = True
        worker.start()
        self.log.info("worker.ready", worker=self.broker.worker_id, concurrency=self.settings.concurrency)
        self._stopping.wait()
        self.log.info("worker.draining", worker=self.broker.worker_id)
        self.broker.drain()
        ends = time.monotonic() + self.settings.drain.total_seconds()
        worker.stop(timeout=round(self.settings.drain.total_seconds() * 1000))
        self.broker.intake(DELIVER_QUEUE).room.wait_until_empty(max(0.0, ends - time.monotonic()))
        self.broker.close()
