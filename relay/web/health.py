"""`/healthz`, `/readyz` and `/metrics`: is the process alive, can events be caught and delivered, and how many were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from relay.errors import StoreError
from relay.lanes import Command, LaneState
from relay.recipes import Workspace
from relay.shortage import KINDS, StoreWatch
from relay.store import Operators, Store
from relay.web.limits import Limits

#: Counters of requests, by source; the others are deliveries', by connection.
_OF_SOURCES = frozenset({"caught", "duplicate", "handshake", "refused"})


async def readiness(
    workspace: Workspace, store: Store, watch: StoreWatch, limits: Limits
) -> tuple[bool, dict[str, Any]]:
    """Whether events can be caught and delivered; and what is disabled, held, short or at its limit, and why."""
    report: dict[str, Any] = {
        "sources": [
            {"name": s.name, "status": "unavailable", "reason": s.unavailable}
            for s in workspace.sources.values()
            if s.unavailable
        ],
        "recipes": [{"name": b.id, "status": "broken", "reason": b.why} for b in workspace.broken.values()],
        "refused": [
            {"name": one.file, "status": "refused", "reason": str(one.problem), "in_force": one.version}
            for one in workspace.refused
        ],
        "limits": limits.rows(),
    }
    operators = Operators(store)
    try:
        lanes = await operators.lanes()
        workers = await live_workers(store)
        short = await watch.look()
        await watch.ask_promises()
    except StoreError as error:
        # A store that ended because its disk is full can't say so itself.
        why = [str(error), *filter(None, [watch.disk.short(None) if watch.disk is not None else None])]
        return False, {"status": "unready", "reason": "; ".join(why), **report}
    report["store"] = [{"name": what, "status": "short", "reason": why} for what, why in short.items()]
    report["store"] += [{"name": "promise", "status": one.severity, "reason": one.message} for one in watch.unkept]
    report["lanes"] = [
        {"name": lane.name, "status": lane.state, "reason": lane.reason, "waiting": lane.waiting}
        for lane in lanes
        if lane.state != "running" and (lane.waiting or lane.queue == "deliver")
    ]
    reasons = []
    if not workers:
        reasons.append("no worker is running: events are caught and wait")
    reasons += [f"{why}: events are refused" for why in short.values()]
    status = "unready" if reasons else "ready"
    return not reasons, {"status": status, "reason": "; ".join(reasons), "workers": workers, **report}


async def live_workers(store: Store) -> int:
    # By the clock that leases are given by, the store's: ours may be another's.
    now_us = await store.run(Command(("TIME",), lambda time: int(time[0]) * 1_000_000 + int(time[1])))
    return await store.run(Command(("ZCOUNT", store.lanes.prefix + "workers", now_us, "+inf"), int))


class _Collector:
    def __init__(
        self, counters: dict[str, int], lanes: list[LaneState], dead: int, watch: StoreWatch, limits: Limits
    ) -> None:
        self.counters = counters
        self.lanes = lanes
        self.dead = dead
        self.watch = watch
        self.limits = limits

    def collect(self) -> Iterator[Metric]:
        events = CounterMetricFamily(
            "relay_events", "Requests by source and what became of them.", labels=["source", "what"]
        )
        deliveries = CounterMetricFamily(
            "relay_deliveries", "Changes of deliveries by connection and new status.", labels=["connection", "status"]
        )
        for name, number in self.counters.items():
            what, _, whose = name.partition(":")
            (events if what in _OF_SOURCES else deliveries).add_metric([whose, what], number)
        yield events
        yield deliveries
        for field, about in (
            ("waiting", "Messages that wait in a lane."),
            ("in_flight", "Messages of a lane being worked on."),
        ):
            gauge = GaugeMetricFamily(f"relay_lane_{field}", about, labels=["lane"])
            for lane in self.lanes:
                gauge.add_metric([lane.name], getattr(lane, field))
            yield gauge
        stopped = GaugeMetricFamily(
            "relay_lane_stopped", "1 where a lane is paused, held or off.", labels=["lane", "state"]
        )
        for lane in self.lanes:
            stopped.add_metric([lane.name, lane.state], 0 if lane.state == "running" else 1)
        yield stopped
        yield GaugeMetricFamily("relay_dead_letters", "Dead letters that wait for somebody.", value=self.dead)
        yield from self._store()
        reached = GaugeMetricFamily("relay_limit_reached", "1 while requests run into it.", labels=["limit"])
        for row in self.limits.rows():
            reached.add_metric([row["name"]], 1)
        yield reached

    def _store(self) -> Iterator[Metric]:
        vitals, disk = self.watch.vitals, self.watch.disk
        if vitals is not None:
            used, limit = vitals.used_bytes, vitals.limit_bytes
            yield GaugeMetricFamily("relay_store_memory_bytes", "Memory the store uses.", value=used)
            yield GaugeMetricFamily("relay_store_memory_limit_bytes", "The store's limit; 0 is none.", value=limit)
        if disk is not None:
            free = disk.free_bytes()
            yield GaugeMetricFamily("relay_store_disk_free_bytes", "What the store's disk has free.", value=free)
        short = GaugeMetricFamily("relay_store_short", "1 while events are refused for want of it.", labels=["what"])
        for what in KINDS:
            short.add_metric([what], 1 if what in self.watch.short else 0)
        yield short


async def metrics(store: Store, watch: StoreWatch, limits: Limits) -> bytes:
    """In Prometheus's text format. All is counted in the store, so any web process tells the whole; but for the limits
    that this one's requests run into.
    """
    operators = Operators(store)
    registry = CollectorRegistry(auto_describe=False)
    await watch.look()
    counted = await operators.counters(), await operators.lanes(), await operators.count_dead()
    registry.register(_Collector(*counted, watch, limits))
    return generate_latest(registry)
