"""A relay whose disk fills: run in a mount namespace of its own, `python -m tests.flow.full_disk FOLDER`.

The data folder is a small file system; another program's file takes what is free of it, and gives it back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from relay.testing import Answer, RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

SOURCES = ("chat", "rows")
DISK_MB, LEAST_MB, OUTBOX_MB = 120, 50, 2


def mount(folder: Path, megabytes: int) -> None:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)


def ballast(folder: Path, leave_bytes: int = 0) -> Path:
    """A file that takes what is free, but for so much."""
    file = folder / "ballast"
    with file.open("ab", buffering=0) as out:
        for size in (1_000_000, 4096, 1):
            try:
                while free(folder) > leave_bytes + size or leave_bytes == 0:
                    out.write(b"x" * size)
            except OSError:
                continue
    return file


def free(folder: Path) -> int:

    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def post(relay: Relay, source: str, id_: str) -> httpx.Response:
    return httpx.post(f"{relay.url}/in/{source}", json={"id": id_}, headers={"X-Key": "k"}, timeout=20)


def accepted(relay: Relay, source: str, id_: str) -> None:
    """As a sender does it: again, until it is taken."""
    eventually(lambda: post(relay, source, id_).status_code in (200, 202), 30, 0.1)


def main(home: Path) -> None:
    data = home / "data"
    mount(data, DISK_MB)
    mount(data / "outbox", OUTBOX_MB)
    with RecordingServer(Answer(body={})) as sink:
        write_workspace(
            home,
            {
                "sources": {
                    name: {"verify": {"header": "X-Key", "equals": "k"}, "event_id": "$.id"} for name in SOURCES
                },
                "connections": {
                    "sink": {"connector": "http", "base_url": sink.url, "allow_private": True},
                    "drop": {"connector": "file", "folder": "outbox"},
                },
            },
            {
                "chats": {
                    "recipe": "Chats",
                    "catch": "chat",
                    "steps": {"post": {"to": "sink", "with": {"path": "/", "json": {"id": "$.id"}}}},
                },
                "rows": {
                    "recipe": "Rows",
                    "catch": "rows",
                    "steps": {
                        "row": {
                            "to": "drop",
                            "do": "csv",
                            "with": {"path": "rows.csv", "row": {"Id": "$.id"}},
                            "retry": {"after": ["2s"] * 20},
                        },
                    },
                },
            },
        )
        with relay_up(home, env={"RELAY_MIN_DISK": f"{LEAST_MB}MB"}) as relay:
            nearly_full(relay, sink, data)
            full(relay, sink, data)
            full_outbox(relay, data / "outbox")


def nearly_full(relay: Relay, sink: RecordingServer, data: Path) -> None:
    before = {name: process.pid for name, process in relay.children().items()}
    accepted(relay, "chat", "a")
    file = ballast(data, LEAST_MB * 900_000)
    refused = eventually(lambda: (answer := post(relay, "chat", "b")).status_code == 503 and answer, 10)
    assert int(refused.headers["retry-after"]) > 0
    assert httpx.get(f"{relay.url}/readyz").json()["store"][0]["name"] == "disk"
    assert "events are refused" in relay.cli("doctor", code=1)
    file.unlink()
    accepted(relay, "chat", "b")
    eventually(lambda: {request.json()["id"] for request in sink.requests} == {"a", "b"})
    assert [line["what"] for line in relay.log("store.short")] == ["disk"]
    assert len(relay.log("store.room")) == 1
    assert {name: process.pid for name, process in relay.children().items()} == before


def full(relay: Relay, sink: RecordingServer, data: Path) -> None:
    """What is under way when the last byte goes can't be recorded: the store ends rather than forget it."""
    sink.default = Answer(body={}, delay_seconds=1.5)
    names = {f"c{number}" for number in range(12)}
    for name in sorted(names):
        accepted(relay, "chat", name)
    file = ballast(data)
    eventually(lambda: relay.log("process.waits"), 30)
    assert [line["process"] for line in relay.log("process.waits")] == ["valkey"]
    assert post(relay, "chat", "d").status_code == 503
    assert "bytes free" in httpx.get(f"{relay.url}/readyz").json()["reason"]
    deaths = len(relay.log("process.died"))
    time.sleep(3)
    assert len(relay.log("process.died")) == deaths, "nothing is started in vain"
    file.unlink()
    sink.default = Answer(body={})
    accepted(relay, "chat", "d")
    wanted = {"a", "b", "d"} | names
    eventually(lambda: {request.json()["id"] for request in sink.requests} >= wanted, 40)
    eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == len(wanted), 40, 0.3)
    assert {line["process"] for line in relay.log("process.died")} == {"valkey"}


def full_outbox(relay: Relay, outbox: Path) -> None:
    accepted(relay, "rows", "r1")
    eventually(lambda: (outbox / "rows.csv").exists())
    file = ballast(outbox)
    # What is left of the last block is used up, then nothing can be written.
    for number in range(2, 5):
        accepted(relay, "rows", f"r{number}" + "x" * 3000)
    waiting = eventually(lambda: relay.rows("deliveries", "list", "--status", "retrying"), 20, 0.3)
    assert "no space left" in relay.rows("deliveries", "show", waiting[0]["id"])[0]["attempts"][0]["summary"]
    file.unlink()
    eventually(
        lambda: len(relay.rows("deliveries", "list", "--recipe", "rows", "--status", "delivered")) == 4, 60, pause=0.5
    )
    lines = (outbox / "rows.csv").read_text().split()
    assert sorted(line[:2] for line in lines) == ["Id", "r1", "r2", "r3", "r4"], [line[:9] for line in lines]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    print("done")
