"""Memory near its end, settings that lose events, requests that run into limits: told once, and over by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
from structlog.testing import capture_logs

from relay import embedded
from relay.settings import Settings
from relay.shortage import Disk, shortages
from relay.store import Vitals
from relay.web.app import App
from relay.web.limits import Limits
from tests.harness import environment, eventually, write_workspace

KEY = {"X-Key": "k"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, redis.Redis]]:
    """A Valkey whose settings may be changed."""
    folder = tmp_path_factory.mktemp("own")
    process = embedded.start(folder)
    url = embedded.url(folder)
    embedded.wait_until_ready(url, process)
    client = redis.Redis.from_url(url)
    yield url, client
    client.close()
    process.terminate()
    process.wait(10)


@pytest.fixture
def room(own: tuple[str, redis.Redis]) -> Iterator[redis.Redis]:
    client = own[1]
    before = client.config_get("maxmemory", "maxmemory-policy", "appendfsync")
    yield client
    for name, value in before.items():
        client.config_set(name, value)


@asynccontextmanager
async def web(folder: Path, url: str, prefix: str, **settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, App]]:
    sources = {
        "chat": {"verify": {"header": "X-Key", "equals": "k"}},
        "slow": {"verify": {"header": "X-Key", "equals": "k"}, "limit": {"rate": "2/h"}},
    }
    write_workspace(folder, {"sources": sources, "connections": {}}, {})
    app = App(Settings(recipes=folder / "recipes", redis_prefix=prefix, **settings), url)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with app.lifespan(None), httpx.AsyncClient(transport=transport, base_url="http://relay.example") as client:
        yield client, app


async def post(client: httpx.AsyncClient, body: bytes = b"{}", source: str = "chat") -> httpx.Response:
    return await client.post(f"/in/{source}", content=body, headers=KEY)


async def until(client: httpx.AsyncClient, status: int, seconds: float = 10) -> httpx.Response:
    deadline = time.monotonic() + seconds
    while (answer := await post(client)).status_code != status:
        assert time.monotonic() < deadline, f"still {answer.status_code}"
        await asyncio.sleep(0.05)
    return answer


async def metric(client: httpx.AsyncClient, line: str) -> str:
    text = (await client.get("/metrics")).text
    return next(found for found in text.splitlines() if found.startswith(line)).rpartition(" ")[2]


@pytest.mark.parametrize("share", [0.95, 1.5], ids=["near its end", "beyond it"])
async def test_a_shortage_of_memory_is_told_once_and_over_by_itself(
    tmp_path: Path, own: tuple[str, redis.Redis], room: redis.Redis, prefix: str, share: float
) -> None:
    with capture_logs() as lines:
        async with web(tmp_path, own[0], prefix) as (client, _):
            assert (await post(client)).status_code == 202
            room.config_set("maxmemory", round(room.info("memory")["used_memory"] / share))
            refused = await until(client, 503)
            assert int(refused.headers["retry-after"]) > 0
            for _ in range(5):
                assert (await post(client)).status_code == 503
            report = (await client.get("/readyz")).json()
            assert [(row["name"], row["status"]) for row in report["store"]] == [("memory", "short")]
            assert "events are refused" in report["reason"]
            assert await metric(client, 'relay_store_short{what="memory"}') == "1.0"
            room.config_set("maxmemory", 0)
            await until(client, 202)
            assert await metric(client, 'relay_store_short{what="memory"}') == "0.0"
    told = [line for line in lines if line["event"] in ("store.short", "store.room")]
    assert [(line["event"], line["what"], line["log_level"]) for line in told] == [
        ("store.short", "memory", "error"),
        ("store.room", "memory", "info"),
    ]


async def test_a_shortage_ends_without_anybody_asking(
    tmp_path: Path, own: tuple[str, redis.Redis], room: redis.Redis, prefix: str
) -> None:
    with capture_logs() as lines:
        async with web(tmp_path, own[0], prefix) as (client, _):
            room.config_set("maxmemory", 1)
            await until(client, 503)
            room.config_set("maxmemory", 0)
            deadline = time.monotonic() + 10
            while not any(line["event"] == "store.room" for line in lines):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


async def test_a_store_that_would_throw_events_away_is_given_none(
    tmp_path: Path, own: tuple[str, redis.Redis], room: redis.Redis, prefix: str
) -> None:
    room.config_set("maxmemory", 10**12)
    room.config_set("maxmemory-policy", "allkeys-lru")
    room.config_set("appendfsync", "everysec")
    with capture_logs() as lines:
        async with web(tmp_path, own[0], prefix) as (client, _):
            assert (await post(client)).status_code == 503
            store = (await client.get("/readyz")).json()["store"]
            assert [(row["name"], row["status"]) for row in store] == [
                ("eviction", "short"),
                ("promise", "error"),
                ("promise", "warning"),
            ]
            assert all("set `" in row["reason"] for row in store)
            room.config_set("maxmemory-policy", "noeviction")
            await until(client, 202)
    assert [line["log_level"] for line in lines if line["event"] == "store.unsafe"] == ["error", "warning"]


def test_doctor_says_what_a_store_does_not_promise_and_what_it_is_short_of(
    tmp_path: Path, own: tuple[str, redis.Redis], room: redis.Redis, prefix: str
) -> None:
    write_workspace(tmp_path, {"sources": {}, "connections": {}}, {})
    room.config_set("maxmemory", 1)
    room.config_set("maxmemory-policy", "volatile-lru")
    room.config_set("appendfsync", "everysec")
    done = subprocess.run(
        [sys.executable, "-m", "relay", "doctor", "--json", "--redis-url", own[0]],
        env=environment(tmp_path) | {"RELAY_REDIS_PREFIX": prefix},
        capture_output=True,
        text=True,
        timeout=60,
    )
    rows = [row for row in map(json.loads, done.stdout.splitlines()) if row["kind"] == "finding"]
    told = {(row["name"], row["status"]): row["message"] for row in rows if row["status"] != "ok"}
    assert done.returncode == 1
    assert "events are refused" in told["memory", "error"]
    weak = [row["message"] for row in rows if (row["name"], row["status"]) == ("store", "warning")]
    assert [message.partition(": set ")[2] for message in weak] == [
        "`maxmemory-policy noeviction`",
        "`appendfsync always`",
    ]


async def test_a_disk_without_room_is_told_before_the_store_ends_for_it(
    tmp_path: Path, own: tuple[str, redis.Redis], prefix: str
) -> None:
    folder = Path(own[0].removeprefix("unix://")).parent
    async with web(tmp_path, own[0], prefix, data=folder, min_disk=2**62) as (client, app):
        assert (await post(client)).status_code == 503
        report = (await client.get("/readyz")).json()
        assert [(row["name"], row["status"]) for row in report["store"]] == [("disk", "short")]
        assert float(await metric(client, "relay_store_disk_free_bytes")) > 0
        # Room is made.
        app.watch.disk = Disk(folder, 1)
        await until(client, 202)


def vitals(used: int = 0, limit: int = 0, policy: str = "noeviction", **more: bool) -> Vitals:
    return Vitals(used, limit, policy, True, more.get("rewriting", False), more.get("stuck", False))


def test_what_has_begun_ends_with_a_little_more_room_than_it_began_with() -> None:
    assert shortages(vitals(89, 100)) == {}
    assert [*shortages(vitals(91, 100))] == ["memory"]
    assert [*shortages(vitals(89, 100), begun=["memory"])] == ["memory"]
    assert shortages(vitals(87, 100), begun=["memory"]) == {}
    assert shortages(vitals(10**9)) == {}, "no limit is none"


def test_the_disk_has_to_hold_the_stores_file_once_more_unless_that_is_being_written(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 1)
    assert shortages(vitals(1), disk) == {}
    assert [*shortages(vitals(2**62), disk)] == ["disk"]
    assert shortages(vitals(2**62, rewriting=True), disk) == {}
    assert [*shortages(vitals(stuck=True), disk)] == ["disk"]
    assert [*shortages(vitals(), Disk(tmp_path / "gone", 1))] == ["disk"]


async def test_who_sends_too_much_or_too_long_is_told_each_time_and_operators_once(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    with capture_logs() as lines:
        async with web(tmp_path, valkey_url, prefix, max_body=1000) as (client, app):
            answers = [(await post(client, source="slow")).status_code for _ in range(6)]
            assert answers == [202, 202, 429, 429, 429, 429]
            for _ in range(3):
                assert (await post(client, b"x" * 1001)).status_code == 413
            rows = (await client.get("/readyz")).json()["limits"]
            assert [(row["name"], row["refused"]) for row in rows] == [("slow: rate", 4), ("chat: body", 3)]
            assert await metric(client, 'relay_limit_reached{limit="slow: rate"}') == "1.0"
            assert (await post(client)).status_code == 202
            assert app.limits.rows()
    told = [line["limit"] for line in lines if line["event"] == "limit.reached"]
    assert told == ["slow: rate", "chat: body"]


async def test_a_limit_that_nobody_runs_into_any_more_is_over() -> None:
    with capture_logs() as lines:
        limits = Limits(quiet_seconds=0.2)
        limits.reached("connections", "too many")
        limits.reached("connections", "too many")
        deadline = time.monotonic() + 10
        while limits.rows():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        limits.reached("connections", "too many")
        limits.stop()
    told = [(line["event"], line.get("refused")) for line in lines]
    assert told == [("limit.reached", None), ("limit.over", 2), ("limit.reached", None)]


def test_a_process_that_may_open_no_more_files_goes_on_when_connections_end(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    """Ten times as many connections as it has files, and then again one that sends an event."""
    write_workspace(
        tmp_path, {"sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}}}, "connections": {}}, {}
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"RELAY_REDIS_URL": valkey_url, "RELAY_REDIS_PREFIX": prefix, "RELAY_PORT": str(port)}
    few_files = f'ulimit -n 64; exec "{sys.executable}" -m relay web'
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", few_files], env=environment(tmp_path) | settings, cwd=tmp_path, stdout=log, stderr=log
        )

    def taken() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.post(f"http://127.0.0.1:{port}/in/chat", json={}, headers=KEY, timeout=5)
            return answer.status_code == 202
        return False

    try:
        eventually(taken, 30)
        with contextlib.ExitStack() as open_ones:
            for _ in range(640):
                one = open_ones.enter_context(socket.socket())
                one.settimeout(5)
                with contextlib.suppress(OSError):
                    one.connect(("127.0.0.1", port))
            web = psutil.Process(process.pid)
            before = sum(web.cpu_times()[:2])
            time.sleep(1)
            assert sum(web.cpu_times()[:2]) - before < 0.7, "it waits, and doesn't spin"
        eventually(taken, 30)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)
    assert b"limit.reached" in (tmp_path / "log").read_bytes()
    assert (tmp_path / "log").stat().st_size < 1_000_000
