"""The data of a version, as a kill in the middle of its work leaves it: `python -m tests.keeping.fixture VERSION`.

It goes into tests/keeping/data/VERSION.tar.xz with what test_upgrade.py has to find in it. Made once for each release,
by its own code.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from relay.testing import Answer, RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

HERE = Path(__file__).parent / "data"
KEY = "the-key-of-the-chat"

#: How many events there are of each kind.
EACH = 3


def _step(path: str, to: str = "sink", **more: Any) -> dict[str, Any]:
    return {"to": to, **more, "with": {"path": path, "json": {"id": "$.id"}}}


def _recipe(**steps: Any) -> dict[str, Any]:
    return {"recipe": "Of the fixture", "catch": "chat", "when": '$.kind == "{kind}"', "steps": steps}


#: By kind: what is delivered at once, what waits, and what has died when the relay is killed.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "plain": _recipe(post=_step("/plain")),
    "chain": _recipe(first=_step("/first"), second=_step("/second", after="first")),
    "dies": _recipe(post=_step("/missing")),
    "dies-early": _recipe(post=_step("/early")) | {"pick": {"nothing": "$.nowhere"}},
    "retries": _recipe(post=_step("/later", "away"), then=_step("/then", after="post")),
    "waits": _recipe(post=_step("/parked", "parked"), then=_step("/after-parked", after="post")),
}


def workspace(folder: Path, sink: str, away: str) -> None:
    """`away`: the address of a destination that is not there when the fixture is made."""
    http = {"connector": "http", "allow_private": True}
    connections = {"sink": sink, "away": away, "parked": sink}
    relay = {
        "sources": {"chat": {"verify": {"header": "X-Key", "equals": KEY}, "event_id": "$.id"}},
        "connections": {name: http | {"base_url": url} for name, url in connections.items()},
    }
    recipes = {kind: recipe | {"when": recipe["when"].replace("{kind}", kind)} for kind, recipe in RECIPES.items()}
    write_workspace(folder, relay, recipes)


def post(relay: Relay, kind: str, name: str) -> str:
    """The event's id."""
    body = {"id": f"{kind}-{name}", "kind": kind}
    answer = httpx.post(f"{relay.url}/in/chat", json=body, headers={"X-Key": KEY})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def sink() -> RecordingServer:
    server = RecordingServer()
    server.by_path = {"/missing": Answer(404, body={"error": "no such path"})}
    return server


def _settled(relay: Relay) -> bool:
    """Whether all has happened that can: what is left waits in a paused lane, for a retry, or for these."""
    statuses: dict[str, set[str]] = {}
    for row in relay.rows("deliveries", "list", "--limit", "1000"):
        statuses.setdefault(f"{row['recipe']}/{row['step']}", set()).add(row["status"])
    ended = {"plain/post", "chain/first", "chain/second"}
    return (
        all(statuses.get(step) == {"delivered"} for step in ended)
        and statuses.get("dies/post") == {"dead"}
        and "dead" in statuses.get("dies-early/*", ())
        and statuses.get("retries/post") == {"retrying"}
        and "waits/then" in statuses
    )


def make(version: str, out: Path) -> dict[str, Any]:
    """Returns what is in it."""
    with tempfile.TemporaryDirectory() as temporary, sink() as there:
        folder = Path(temporary)
        workspace(folder, there.url, "http://127.0.0.1:1")
        with relay_up(folder, "--workers", "1") as relay:
            # A lane is there when something has been in it.
            caught = {post(relay, "waits", "first"): "waits-first"}
            eventually(lambda: there.requests, 20)
            relay.cli("lanes", "pause", "parked", "--reason", "the fixture is made")
            caught |= {post(relay, kind, str(number)): f"{kind}-{number}" for kind in RECIPES for number in range(EACH)}
            eventually(lambda: _settled(relay), 60, pause=0.3)
            processes = relay.children()
            for name, process in processes.items():
                if name.startswith("worker"):
                    os.kill(process.pid, signal.SIGSTOP)
            # Accepted, and seen by no worker.
            late = {post(relay, "plain", f"late-{number}"): f"plain-late-{number}" for number in range(EACH)}
            time.sleep(0.5)
            for process in [relay.process, *processes.values()]:
                os.kill(process.pid, signal.SIGKILL)
        about = {
            "version": version,
            "late": late,
            "caught": caught,
            "arrived": sorted(f"{one.path} {one.json()['id']}" for one in there.requests),
        }
        (folder / "about.json").write_text(json.dumps(about, indent=1))
        out.mkdir(parents=True, exist_ok=True)
        with tarfile.open(out / f"{version}.tar.xz", "w:xz") as archive:
            archive.add(folder / "data", "data", filter=_plain)
            archive.add(folder / "about.json", "about.json", filter=_plain)
        return about


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Of nobody in particular; sockets, locks and the like are no data."""
    if not (member.isfile() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.keeping.fixture", description=__doc__)
    parser.add_argument("version", help="the name of the file")
    words = parser.parse_args()
    about = make(words.version, HERE)
    size = (HERE / f"{words.version}.tar.xz").stat().st_size
    print(f"{words.version}.tar.xz: {len(about['caught']) + len(about['late'])} events, {size:,} bytes")


if __name__ == "__main__":
    main()
