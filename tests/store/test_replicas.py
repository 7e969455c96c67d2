"""A store with a replica: what RELAY_REPLICAS promises, and what becomes of a primary that is one no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import redis

from relay import embedded
from relay.clock import now_ms
from relay.errors import StoreUnavailableError
from relay.lanes import Replicas, connect
from relay.lanes.commands import Lanes
from relay.lanes.connection import StoreLostError, run
from relay.model import Event
from relay.store import Senders, Store
from tests.harness import environment, eventually
from tests.servers import free_port, wait_for_port

SECOND = timedelta(seconds=1)
LONG = timedelta(seconds=20)


@dataclass
class Pair:
    """Two Valkeys on loopback; the second is the replica."""

    folder: Path
    ports: tuple[int, int]
    processes: list[subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0"

    def client(self, which: int) -> redis.Redis:
        return redis.Redis(port=self.ports[which], decode_responses=True)

    def link_up(self) -> bool:
        with contextlib.closing(self.client(1)) as client:
            return client.info("replication").get("master_link_status") == "up"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, (free_port(), free_port()), [])
    for number, port in enumerate(made.ports):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = ["--port", str(port), "--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always"]
        words += ["--save", "", "--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction"]
        if number:
            words += ["--replicaof", f"127.0.0.1 {made.ports[0]}"]
        made.processes.append(subprocess.Popen([str(embedded.binary()), *words], stdout=subprocess.DEVNULL))
    try:
        for port, process in zip(made.ports, made.processes, strict=True):
            wait_for_port(port, process)
        eventually(made.link_up)
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait(10)


def event(number: int) -> Event:
    return Event(
        id=f"evt_{number}",
        source="chat",
        received_ms=now_ms(),
        method="POST",
        path="/in/chat",
        query="",
        headers={},
        body=b"{}",
        remote="127.0.0.1",
        key=f"key-{number}",
    )


async def accept(store: Store, number: int) -> str:
    (earlier,) = await store.accept([(event(number), b"payload")], "in:chat", timedelta(days=1))
    return earlier


@contextlib.contextmanager
def halted(process: subprocess.Popen[bytes]) -> Iterator[None]:
    psutil.Process(process.pid).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        psutil.Process(process.pid).send_signal(signal.SIGCONT)


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_what_is_accepted_is_on_the_replica_when_the_call_returns(pair: Pair, on_disk: bool) -> None:
    store = Store(pair.url, "t:", replicas=Replicas(1, LONG, on_disk=on_disk))
    replica = pair.client(1)
    try:
        for number in range(20):
            assert await accept(store, number) == ""
            assert replica.exists(f"t:e:evt_{number}")
    finally:
        replica.close()
        await store.aclose()


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_a_replica_that_does_not_answer_costs_a_503_and_the_repeat_makes_it_one_event(
    pair: Pair, on_disk: bool
) -> None:
    store = Store(pair.url, "t:", replicas=Replicas(1, SECOND, on_disk=on_disk))
    try:
        assert await accept(store, 1) == ""
        with halted(pair.processes[1]):
            with pytest.raises(StoreUnavailableError, match=r"0 of 1 replicas had it.* within 1s"):
                await accept(store, 2)
            # It is in the store by now; a repeat of it may still not be told that all is well.
            with pytest.raises(StoreUnavailableError, match="0 of 1 replicas"):
                await accept(store, 2)
            assert await store.event("evt_2") is not None, "what promises nothing goes on"
        eventually(pair.link_up)
        assert await accept(store, 2) == "evt_2"
        assert await accept(store, 3) == ""
    finally:
        await store.aclose()


async def test_only_what_was_promised_waits_for_replicas(pair: Pair) -> None:
    store = Store(pair.url, "t:", replicas=Replicas(1, SECOND))
    try:
        with halted(pair.processes[1]):
            both = await asyncio.gather(accept(store, 1), store.only_one("task", 60), return_exceptions=True)
            assert isinstance(both[0], StoreUnavailableError)
            assert both[1] is True, "it left with the other, and was answered"
            assert await Senders(store).handshake(event(7)) == 0
            with pytest.raises(StoreUnavailableError):
                await Senders(store).handshake(event(8), "a secret that is given but once")
    finally:
        await store.aclose()


async def test_more_replicas_than_there_are_is_a_503_and_none_are_asked_by_default(pair: Pair) -> None:
    two, none = Store(pair.url, "t:", replicas=Replicas(2, SECOND)), Store(pair.url, "t:")
    try:
        with pytest.raises(StoreUnavailableError, match="1 of 2 replicas"):
            await accept(two, 1)
        with halted(pair.processes[1]):
            assert await accept(none, 2) == ""
    finally:
        await two.aclose()
        await none.aclose()


async def test_a_primary_that_is_a_replica_now_is_a_store_that_is_away_until_it_is_one_again(pair: Pair) -> None:
    store, client, lanes = Store(pair.url, "t:"), connect(pair.url), Lanes("l:")
    server = pair.client(0)
    try:
        assert await accept(store, 1) == ""
        run(client, lanes.beat("w", 1, reap=False))
        server.replicaof("127.0.0.1", pair.ports[1])
        with pytest.raises(StoreUnavailableError, match="read only"):
            await accept(store, 2)
        with pytest.raises(StoreLostError, match="read only"):
            run(client, lanes.beat("w", 1, reap=False))
        connections = {row["addr"] for row in server.client_list(_type="normal")}
        server.replicaof("NO", "ONE")
        assert await accept(store, 2) == ""
        run(client, lanes.beat("w", 1, reap=False))
        # Behind a name that leads to another server by now, only a new connection leads there.
        fresh = {row["addr"] for row in server.client_list(_type="normal")} - connections
        assert len(fresh) == 2
    finally:
        server.close()
        client.close()
        await store.aclose()


def doctor(pair: Pair, **settings: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "relay", "doctor", "--json"],
        env=environment(pair.folder) | {"RELAY_REDIS_URL": pair.url} | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if row.get("kind") == "finding" and row["name"] in ("replicas", "store", "sentinel")]


def test_doctor_says_what_the_replicas_are_good_for(pair: Pair) -> None:
    def said(status: str, **settings: str) -> str:
        return "\n".join(row["message"] for row in doctor(pair, **settings) if row["status"] == status)

    fine = said("ok", RELAY_REPLICAS="1")
    assert re.search(rf"127\.0\.0\.1:{pair.ports[1]} is online, \d+ bytes behind", fine), fine
    assert "1 of 1 must have an event (memory)" in fine
    with contextlib.closing(pair.client(1)) as replica:
        replica.config_set("appendonly", "no")
    warned = said("warning")
    assert "RELAY_REPLICAS is 0 and so is min-replicas-to-write" in warned
    assert "would lose events as a primary" in warned
    wrong = said("error", RELAY_REPLICAS="2", RELAY_REPLICA_KEEPS="disk")
    assert "RELAY_REPLICAS is 2, and 1 are connected" in wrong
    assert "keeps nothing on disk" in wrong
    pair = Pair(pair.folder, (pair.ports[1], pair.ports[0]), pair.processes)
    assert "this server is a replica of 127.0.0.1" in said("error")
