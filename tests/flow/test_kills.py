"""Promise 1 and 2 under fire: whatever is killed, what was answered with a 2xx arrives."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from relay.testing import RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

EVENTS = 2000
CONNECTIONS = 64


def workspace(folder: Path, sink: RecordingServer) -> None:
    write_workspace(
        folder,
        {
            "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}, "event_id": "$.id"}},
            "connections": {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}},
        },
        {
            "forward": {
                "recipe": "Forward",
                "catch": "chat",
                "pick": {"id": "$.id"},
                "steps": {"post": {"to": "sink", "with": {"path": "/events", "json": {"id": "$id"}}}},
            }
        },
    )


async def post_all(relay: Relay, number: int, connections: int, accepted: set[str]) -> None:
    """Post events as a good sender does: again and again until each has its 2xx. Adds their ids."""
    waiting = [f"e{index:05}" for index in range(number)]
    timeout = aiohttp.ClientTimeout(total=30)

    async def sender(session: aiohttp.ClientSession) -> None:
        while waiting:
            id_ = waiting.pop()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    body = {"id": id_, "text": "x" * 200}
                    async with session.post(f"{relay.url}/in/chat", json=body, headers={"X-Key": "k"}) as answer:
                        if answer.status in (200, 202):
                            accepted.add(id_)
                            break
                        assert answer.status == 503, await answer.text()
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(sender(session) for _ in range(connections)))


@pytest.mark.timeout(180)
def test_worker_web_and_valkey_killed_in_turn_lose_nothing(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            killed = []

            accepted: set[str] = set()

            async def fire() -> None:
                posting = asyncio.create_task(post_all(relay, EVENTS, CONNECTIONS, accepted))
                for share, name in ((0.2, "worker"), (0.4, "web"), (0.6, "valkey")):
                    while len(accepted) < EVENTS * share:
                        await asyncio.sleep(0.001)
                    relay.children()[name].kill()
                    killed.append(name)
                assert not posting.done(), "killed under load"
                await posting

            asyncio.run(fire())
            assert killed == ["worker", "web", "valkey"]
            assert len(accepted) == EVENTS

            def all_there() -> bool:
                return accepted <= {request.json()["id"] for request in list(sink.requests)}

            eventually(all_there, 60, pause=0.2)
            assert {line["process"] for line in relay.log("process.died")} == {"worker-1", "web", "valkey"}
            twice = Counter(request.json()["id"] for request in sink.requests)
            print(f"{len(accepted)} accepted, {sum(1 for n in twice.values() if n > 1)} arrived more than once")
            assert relay.cli("dead", "list", "--json") == ""
            assert all(lane["waiting"] == 0 for lane in relay.rows("lanes", "list"))
