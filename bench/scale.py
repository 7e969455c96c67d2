"""The large ones, by hand: `python -m bench.scale --help`. A line of JSON each; docs/operating.md has the figures.

A lane in which a million wait, ten thousand lanes, a burst: what the commands and pages take beside them, what memory
and disk, and whether anything is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bench import workspace
from bench.fill import fill
from bench.processes import RelayHandle, environment, folder, load_relay, relay_up, sink, valkey_in
from bench.transcript import event_id
from bench.wire import Line, Requests
from relay.recipes import load_workspace

COMMANDS = (
    "lanes list --limit 20",
    "deliveries list --limit 20",
    "deliveries list --status retrying --limit 20",
    "events list --limit 20",
    "dead list --by-cause",
    "doctor",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--events", type=int, default=0, help="so many wait in one lane")
    parser.add_argument("--lanes", type=int, default=0, help="in so many lanes one waits")
    parser.add_argument("--burst", type=int, default=0, help="so many are posted at once")
    told = parser.parse_args()
    for number, measure in ((told.events, one_lane), (told.lanes, many_lanes), (told.burst, burst)):
        if number:
            print(orjson.dumps({"what": measure.__name__, "number": number, **measure(number)}).decode(), flush=True)


def one_lane(number: int) -> dict[str, Any]:
    return _waiting(number, 1)


def many_lanes(number: int) -> dict[str, Any]:
    return _waiting(number, number)


def _waiting(number: int, lanes: int) -> dict[str, Any]:
    with sink() as there, folder() as home:
        workspace.write_chat(home, there.port, 32)
        version = load_workspace(home / "recipes").recipes["forward"].version
        with valkey_in(home / "data") as url:
            filled = asyncio.run(fill(url, number, lanes, lane="parked", version=version, paused=True))
        found: dict[str, Any] = {"bytes_an_event": filled["bytes_an_event"], "disk_bytes": _size(home / "data")}
        started = time.monotonic()
        # Less than they take would have them refused.
        with relay_up(home, more={"RELAY_MAX_MEMORY": "16GB"}, seconds=600) as relay:
            found["start_s"] = time.monotonic() - started
            found["seconds"] = {page: _page(relay, page) for page in ("/readyz", "/metrics")}
            found["seconds"] |= {words: _command(home, words) for words in COMMANDS}
            found["lone_ms"] = _lone(relay, 50)
            there.wait_for(50)
            found["rss_mb"] = _memory(relay)
        return found


def burst(number: int) -> dict[str, Any]:
    with sink() as there, folder() as home:
        workspace.write_chat(home, there.port, 32)
        with relay_up(home) as relay, _most_memory(relay) as most:
            started = time.monotonic()
            posted = load_relay(relay.port, "--events", number, "--series", "burst", "--connections", 256)
            caught_s = time.monotonic() - started
            arrived = there.wait_for(number, 1200)
            return {
                "caught_s": caught_s,
                "drained_s": time.monotonic() - started,
                "accept_ms": {name: posted[name] for name in ("p50_ms", "p99_ms")},
                "arrived": arrived,
                "most_rss_mb": most,
            }


def _lone(relay: RelayHandle, number: int) -> float:
    """The median milliseconds of an accept, one after another."""
    requests, took = Requests(relay.port, "/in/chat", workspace.KEY), []
    line = Line(relay.port)
    for place in range(number):
        began = time.perf_counter()
        line.post(requests.of(event_id("lone", place)))
        took.append((time.perf_counter() - began) * 1000)
    line.close()
    return sorted(took)[number // 2]


def _page(relay: RelayHandle, path: str) -> float:
    began = time.perf_counter()
    urllib.request.urlopen(f"http://127.0.0.1:{relay.port}{path}", timeout=60).read()
    return time.perf_counter() - began


def _command(home: Path, words: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "relay", *words.split()]
    subprocess.run(command, env=environment(home), capture_output=True, check=False, timeout=900)
    return time.perf_counter() - began


def _memory(relay: RelayHandle) -> dict[str, float]:
    return {name: process.memory_info().rss / 1e6 for name, process in relay.processes().items()}


@contextmanager
def _most_memory(relay: RelayHandle) -> Iterator[dict[str, float]]:
    most: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            for name, now in _memory(relay).items():
                most[name] = max(now, most.get(name, 0.0))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _size(folder_: Path) -> int:
    return sum(file.stat().st_size for file in folder_.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
