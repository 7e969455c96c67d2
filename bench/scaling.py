"""What more processes bring, and what replicas cost: `python -m bench.scaling replicas|processes [--rounds 3]`.

Not part of the table of `python -m bench`: all of it shares the cores of one machine, load and destination included, so
that two processes show what they cost rather than what they would bring. The figures are in docs/scaling.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import psutil
import redis

from bench import workspace
from bench.processes import _relay, end, eventually, folder, free_port, load_relay, sink
from relay import embedded
from relay.lanes import connect
from relay.lanes.commands import Lanes
from relay.lanes.connection import run
from relay.store import ROUTE_QUEUE, source_lane

ASKED: dict[str, dict[str, str]] = {
    "none asked": {},
    "memory": {"RELAY_REPLICAS": "1"},
    "disk": {"RELAY_REPLICAS": "1", "RELAY_REPLICA_KEEPS": "disk"},
}


@contextlib.contextmanager
def valkey(home: Path, primary: int = 0) -> Iterator[tuple[int, psutil.Process]]:
    """A Valkey on a port of loopback, with an fsync on every write; its process."""
    port = free_port()
    home.mkdir(parents=True)
    words = ["--port", str(port), "--dir", str(home), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    words += ["--repl-diskless-sync-delay", "0", "--loglevel", "warning"]
    words += ["--replicaof", f"127.0.0.1 {primary}"] if primary else []
    process = subprocess.Popen([str(embedded.binary()), *words], stdout=subprocess.DEVNULL)
    try:
        embedded.wait_until_ready(f"redis://127.0.0.1:{port}", process)
        yield port, psutil.Process(process.pid)
    finally:
        end(process)


async def _hold_back(port: int, to: int, seconds: float) -> None:
    """Every byte is passed on so much later, either way, as a network of that length would."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                loop.call_later(seconds, writer.write, data)

    passing: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing.add(asyncio.current_task())  # the server keeps no hold of it
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", port) as server:
        await server.serve_forever()


@contextlib.contextmanager
def far(to: int, ms: float) -> Iterator[int]:
    """A port that leads to another one, `ms` away."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.scaling", "far", str(port), str(to), str(ms)])
    try:
        eventually(lambda: _pings(port), 10, "the far port answers")
        yield port
    finally:
        process.kill()
        process.wait()


def _pings(port: int) -> bool:
    with contextlib.closing(redis.Redis(port=port, socket_timeout=1)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def round_trip_ms(port: int) -> float:
    times = []
    with contextlib.closing(redis.Redis(port=port)) as client:
        for _ in range(200):
            begun = time.perf_counter()
            client.ping()
            times.append(time.perf_counter() - begun)
    return median(times) * 1000


@contextlib.contextmanager
def relay(home: Path, what: str, store: int, more: Mapping[str, str] | None = None) -> Iterator[int]:
    port = free_port()
    variables = {"RELAY_PORT": str(port), "RELAY_REDIS_URL": f"redis://127.0.0.1:{store}", "RELAY_DRAIN": "1s"}
    home.mkdir(exist_ok=True)
    if not (home / "recipes").exists():
        (home / "recipes").symlink_to(home.parent / "recipes")
    with _relay(home, (what,), variables | dict(more or {})) as handle:
        ready = f'"{what}.ready"'.encode()
        eventually(lambda: ready in handle.log.read_bytes(), 30, f"{what} is ready")
        yield port


def _connected(port: int) -> bool:
    with contextlib.closing(redis.Redis(port=port, decode_responses=True)) as client:
        return bool(client.info("replication").get("slave0", {}).get("state") == "online")


def replicas(rounds: int, seconds: float, ms: float) -> None:
    """Rows of what it costs to have a replica `ms` away have each event."""
    with contextlib.ExitStack() as running:
        home = running.enter_context(folder())
        workspace.write_chat(home, 1)
        primary, _ = running.enter_context(valkey(home / "primary"))
        source = running.enter_context(far(primary, ms)) if ms else primary
        running.enter_context(valkey(home / "replica", source))
        eventually(lambda: _connected(primary), 20, "the replica is connected")
        where = f"{round_trip_ms(source):.1f} ms"
        webs = {name: running.enter_context(relay(home / name, "web", primary, more)) for name, more in ASKED.items()}
        for connections in (1, 64):
            found: dict[str, list[dict[str, float]]] = {name: [] for name in webs}
            for turn in range(rounds):
                for name, port in webs.items():
                    series = f"{turn}c{connections}{name[0]}"
                    words = ("--connections", connections, "--seconds", seconds, "--series", series)
                    found[name].append(load_relay(port, *words))
            for name, results in found.items():
                rate, middle, slow = (median(one[key] for one in results) for key in ("rate", "p50_ms", "p99_ms"))
                _row(where, name, connections, f"{rate:,.0f}", f"{middle:.1f}", f"{slow:.1f}")


def webs(number: int, turn: int, seconds: float) -> tuple[float, float]:
    """Events accepted a second by so many web processes, and the store's CPU milliseconds an event."""
    with contextlib.ExitStack() as running:
        home = running.enter_context(folder())
        workspace.write_chat(home, 1)
        store, process = running.enter_context(valkey(home / "store"))
        ports = [running.enter_context(relay(home / f"web{n}", "web", store)) for n in range(number)]
        before = _cpu(process)
        words = ("--connections", 64 // number, "--seconds", seconds, "--warm", 0, "--series")
        with ThreadPoolExecutor(number) as pool:
            done = [pool.submit(load_relay, port, *words, f"w{turn}{n}") for n, port in enumerate(ports)]
            rate = sum(one.result()["rate"] for one in done)
        return rate, (_cpu(process) - before) / (rate * seconds) * 1000


def workers(number: int, events: int) -> tuple[float, float]:
    """Events routed and delivered a second by so many workers that find them waiting, and the store's CPU as above."""
    with contextlib.ExitStack() as running:
        home = running.enter_context(folder())
        there = running.enter_context(sink())
        workspace.write_chat(home, there.port)
        store, process = running.enter_context(valkey(home / "store"))
        client = running.enter_context(contextlib.closing(connect(f"redis://127.0.0.1:{store}")))
        lanes = Lanes("relay:lanes:")
        with relay(home / "web", "web", store) as port:
            load_relay(port, "--events", events, "--series", "e")
        run(client, lanes.pause(ROUTE_QUEUE, source_lane("chat"), "until all workers are there"))
        for n in range(number):
            running.enter_context(relay(home / f"worker{n}", "worker", store))
        before, begun = _cpu(process), time.monotonic()
        run(client, lanes.resume(ROUTE_QUEUE, source_lane("chat")))
        there.wait_for(events)
        took = time.monotonic() - begun
        time.sleep(1)  # what has arrived is recorded a moment later
        return events / took, (_cpu(process) - before) / events * 1000


def _cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


def _row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _processes(rounds: int, seconds: float) -> None:
    for number in (1, 2):
        found = [webs(number, turn, seconds) for turn in range(rounds)]
        _row("web", number, *(f"{median(each):,.3f}" for each in zip(*found, strict=True)))
    for number in (1, 2, 4):
        found = [workers(number, 6000) for _ in range(rounds)]
        _row("workers", number, *(f"{median(each):,.3f}" for each in zip(*found, strict=True)))


def main() -> None:
    if sys.argv[1:2] == ["far"]:
        port, to, ms = sys.argv[2:]
        asyncio.run(_hold_back(int(port), int(to), float(ms) / 1000))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["replicas", "processes"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    words = parser.parse_args()
    if words.what == "processes":
        _row("process", "how many", "events/s", "ms of the store's CPU an event")
        _processes(words.rounds, words.seconds)
        return
    _row("round trip to the replica", "asked for", "connections", "events/s", "median ms", "p99 ms")
    for away_ms in (0.0, 1.0):
        replicas(words.rounds, words.seconds, away_ms)


if __name__ == "__main__":
    main()
