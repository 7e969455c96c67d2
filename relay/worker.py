"""The worker process: Dramatiq actors and middleware around the stages.

Both actors are async and run on one event loop; Dramatiq's threads hand them over and wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

# Dramatiq reads this when it is imported: how soon a consumer looks again after the store was away.
os.environ.setdefault("dramatiq_restart_delay", "250")

import dramatiq
import uvloop
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.broker import Broker, MessageProxy
from dramatiq.errors import Retry
from dramatiq.middleware import Middleware, SkipMessage

from relay import log
from relay.clock import now_ms
from relay.connections import INCOMPLETE, Connections, fingerprint, lane_limits
from relay.connector import Context
from relay.deliver import MOST_TAKEN_BACK, Deliverer, Failed
from relay.errors import StoreError
from relay.lanes import LaneBroker, LaneMessage, machine
from relay.memory import DecodedEvents
from relay.messages import DELIVER_ACTOR, ROUTE_ACTOR, DeliverJob, RouteJob
from relay.recipes import Workspace, load_workspace
from relay.route import BROKEN, Router
from relay.settings import Settings
from relay.store import DELIVER_QUEUE, ROUTE_QUEUE, Store, connection_lane, recipe_lane

T = TypeVar("T")

#: How many events travel in one call of the route actor, and how many such calls a process has at once.
ROUTE_BUNDLE = 64
ROUTE_CALLS = 2

#: How often Dramatiq's idle threads wake to see whether the worker stops. Work wakes them at once.
_IDLE_WAKE_MS = 1_000

_SWEEP_SECONDS = 60.0


class AttemptFailed(Retry):
    """Raised by the deliver actor for the retry middleware. A Retry, so that Dramatiq doesn't log it as a mistake."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.attempt.outcome.summary)
        self.failed = failed


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


class RetryPolicies(Middleware):
    """Hands a failed attempt to the retry policy, and carries out what it decides.

    Takes the place of Dramatiq's Retries, whose delayed messages wait in a worker's memory and whose dead letters
    are forgotten after a week.
    """

    def __init__(self, process: Process) -> None:
        self.process = process

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        assert isinstance(message, LaneMessage)
        times = max(lease.taken_back for lease in message.leases)
        if times < MOST_TAKEN_BACK:
            return
        process = self.process
        if message.actor_name == DELIVER_ACTOR:
            process.wait_for(process.deliverer.give_up(DeliverJob(*message.args), times))
        else:
            (jobs,) = message.args
            process.wait_for(process.router.give_up([RouteJob(*job) for job in jobs], times))
        _settled_elsewhere(process.broker, message)
        raise SkipMessage

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        assert isinstance(message, LaneMessage)
        if exception is None or message.actor_name != DELIVER_ACTOR:
            # An exception in routing, or in what follows here, is ours: the broker has the message tried again.
            return
        deliverer = self.process.deliverer
        if isinstance(exception, AttemptFailed):
            self.process.wait_for(deliverer.fail(exception.failed))
        else:
            self.process.wait_for(deliverer.mistake(DeliverJob(*message.args), exception))
        _settled_elsewhere(self.process.broker, message)


def _settled_elsewhere(broker: LaneBroker, message: LaneMessage) -> None:
    for lease in message.leases:
        broker.settle_elsewhere(lease.id)


class Process:
    """One worker process."""

    workspace: Workspace
    deliverer: Deliverer
    router: Router

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self.settings = settings
        self.redis_url = redis_url
        self.log = log.get()
        self.broker = LaneBroker(
            redis_url,
            prefix=settings.redis_prefix + "lanes:",
            middleware=[RetryPolicies(self)],
            capacity={ROUTE_QUEUE: ROUTE_BUNDLE * ROUTE_CALLS, DELIVER_QUEUE: settings.concurrency},
        )
        self._stopping = threading.Event()
        self._working = False
        self._declare_actors()

    def _declare_actors(self) -> None:
        @dramatiq.actor(broker=self.broker, actor_name=ROUTE_ACTOR, queue_name=ROUTE_QUEUE, bundle=ROUTE_BUNDLE)
        async def route(jobs: list[list[Any]]) -> None:
            routed = [RouteJob(*job) for job in jobs]
            await self.router.route(routed)
            for job in routed:
                self.broker.settle_elsewhere(job.message_id)

        # Deliveries go before new routing where both wait for a thread: what is begun is ended first.
        @dramatiq.actor(broker=self.broker, actor_name=DELIVER_ACTOR, queue_name=DELIVER_QUEUE, priority=-1)
        async def deliver(*words: Any) -> None:
            job = DeliverJob(*words)
            ended = await self.deliverer.deliver(job)
            if isinstance(ended, Failed):
                raise AttemptFailed(ended)
            if ended:
                self.broker.settle_elsewhere(job.delivery)

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop from one of Dramatiq's threads."""
        thread = get_event_loop_thread()
        assert thread is not None
        return thread.run_coroutine(work)

    async def set_up(self) -> None:
        """Make the stages, and tell the lanes what the workspace says of them."""
        workspace = self.workspace
        self._connections = Connections(workspace, Context(data_dir=self.settings.data))
        self._connections.warm()
        decoded = DecodedEvents()
        worker = self.broker.worker_id
        self.router = Router(workspace, self._store, worker, decoded)
        self.deliverer = Deliverer(workspace, self._store, worker, decoded, self._connections)
        await put_in_force(workspace, self._store)
        for dead in dead_neighbours(await self._store.run(self._store.lanes.workers())):
            taken_back = await self._store.run(self._store.lanes.take_back(dead, died=True))
            self.log.warning("worker.taken_back", worker=dead, messages=taken_back)
        self._keeper = asyncio.create_task(self._keep_house())

    async def clean_up(self) -> None:
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        await self._connections.aclose()
        self._store.patient = False
        with contextlib.suppress(StoreError):
            # What is still under way when the drain ends is somebody else's at once.
            await self._store.run(self._store.lanes.take_back(self.broker.worker_id, died=False))
        await self._store.aclose()

    async def _keep_house(self) -> None:
        """Forget what ended long ago. One of all workers does it."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            if not await self._store.only_one("sweep", _SWEEP_SECONDS / 2):
                continue
            before_ms = now_ms() - round(self.settings.keep.total_seconds() * 1000)
            swept = 0
            while (some := await self._store.sweep(before_ms)) > 0:
                swept += some
            if swept:
                self.log.info("events.swept", events=swept)

    def run(self) -> None:
        """Until SIGTERM or SIGINT: then nothing new is taken, what is under way is given time to end.

        Raises ConfigError where the workspace can't be read as a whole.
        """
        self.workspace = load_workspace(self.settings.recipes)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._store = Store(self.redis_url, self.settings.redis_prefix, patient=True)
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

    def _stop(self, *_: object) -> None:
        self._stopping.set()
        if not self._working:
            # Still waiting for the store: it need not be waited for any more.
            self._store.patient = False

    def _work(self) -> None:
        worker = dramatiq.Worker(
            self.broker, worker_timeout=_IDLE_WAKE_MS, worker_threads=self.settings.concurrency + ROUTE_CALLS
        )
        self._working = True
        worker.start()
        self.log.info("worker.ready", worker=self.broker.worker_id, concurrency=self.settings.concurrency)
        self._stopping.wait()
        self.log.info("worker.draining", worker=self.broker.worker_id)
        self.broker.drain()
        worker.stop(timeout=round(self.settings.drain.total_seconds() * 1000))
        self.broker.close()


def dead_neighbours(workers: Sequence[str]) -> list[str]:
    """Workers of this machine that are no more: their work need not wait until their leases run out."""
    dead = []
    here = machine()
    for worker in workers:
        host, _, rest = worker.partition(":")
        pid = rest.partition(":")[0]
        if host == here and pid.isdigit() and not _alive(int(pid)):
            dead.append(worker)
    return dead


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def put_in_force(workspace: Workspace, store: Store) -> None:
    """Tell the store what the workspace says: recipe versions, limits of lanes, what is held and what no longer is."""
    await store.keep_versions({(r.id, r.version): r.text for r in workspace.recipes.values()})
    if limits := lane_limits(workspace):
        await store.run(store.lanes.configure(limits))
    for name, connection in workspace.connections.items():
        lane = connection_lane(name)
        if connection.held is not None:
            await store.run(store.lanes.pause(DELIVER_QUEUE, lane, connection.held, state=INCOMPLETE, only_if=""))
            continue
        await store.run(store.lanes.resume(DELIVER_QUEUE, lane, only_if=INCOMPLETE))
        settings = fingerprint(workspace, name)
        if await store.remembered(f"connection:{name}") != settings:
            # Held for bad credentials, and the settings are others now: worth another try.
            await store.run(store.lanes.resume(DELIVER_QUEUE, lane, only_if="held"))
            await store.remember(f"connection:{name}", settings)
    for lane in await store.run(store.lanes.names()):
        recipe = lane.removeprefix(recipe_lane(""))
        if recipe != lane and recipe not in workspace.broken:
            await store.run(store.lanes.resume(ROUTE_QUEUE, lane, only_if=BROKEN))
    for name, broken in workspace.broken.items():
        await store.run(store.lanes.pause(ROUTE_QUEUE, recipe_lane(name), broken.why, state=BROKEN))
        log.get().error("recipe.broken", recipe=name, why=broken.why)


def end_with_parent() -> None:
    """A supervised process ends when its supervisor does, however that came about: its standard input ends then."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
