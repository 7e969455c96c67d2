"""`/healthz`, `/readyz` and `/metrics`, against a real Valkey: is it alive, can it work, and how much did it do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from relay import __version__
from relay.settings import Settings
from relay.web.app import App
from tests.harness import write_workspace

KEY = {"X-Key": "k"}


@asynccontextmanager
async def web(folder: Path, url: str, prefix: str, **sources: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The web process's app, over a workspace with the source `chat`."""
    chat = {"verify": {"header": "X-Key", "equals": "k"}, "event_id": "$.id"}
    recipe = {"recipe": "Chats", "catch": "chat", "steps": {"row": {"to": "drop", "do": "csv", "with": ROW}}}
    write_workspace(
        folder,
        {"sources": {"chat": chat, **sources}, "connections": {"drop": {"connector": "file"}}},
        {"chats": recipe},
    )
    settings = Settings(recipes=folder / "recipes", redis_prefix=prefix, max_body=1000)
    app = App(settings, url)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with app.lifespan(None), httpx.AsyncClient(transport=transport, base_url="http://relay.example") as client:
        yield client


ROW = {"path": "chats.csv", "row": {"Id": "$.id"}}


def a_worker(valkey: redis.Redis, prefix: str) -> None:
    """What a worker that beats leaves in the store."""
    valkey.zadd(f"{prefix}lanes:workers", {"host:1:x": time.time_ns() // 1000 + 60_000_000})


async def samples(client: httpx.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_worker_is_there_by_the_clock_of_the_store_not_by_ours(
    tmp_path: Path, valkey_url: str, valkey: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        a_worker(valkey, prefix)
        ours = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: ours + 3600 * 10**9)
        assert (await client.get("/readyz")).json()["workers"] == 1


async def test_healthz_says_that_the_process_answers_and_asks_no_store(tmp_path: Path) -> None:
    async with web(tmp_path, f"unix://{tmp_path}/nothing.sock", "t:") as client:
        answer = await client.get("/healthz")
        assert answer.status_code == 200
        assert answer.json() == {"status": "alive", "version": __version__}


async def test_readyz_is_503_while_no_worker_runs_and_events_are_caught_all_the_same(
    tmp_path: Path, valkey_url: str, valkey: redis.Redis, prefix: str
) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unready"
        assert "no worker is running" in answer.json()["reason"]
        assert (await client.post("/in/chat", json={"id": 1}, headers=KEY)).status_code == 202
        a_worker(valkey, prefix)
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["status"], answer.json()["workers"]) == (200, "ready", 1)


async def test_readyz_and_metrics_are_503_while_the_store_is_away(tmp_path: Path) -> None:
    async with web(tmp_path, f"unix://{tmp_path}/nothing.sock", "t:") as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert "the store can't be reached" in answer.json()["reason"]
        assert (await client.get("/metrics")).status_code == 503
        refused = await client.post("/in/chat", json={"id": 1}, headers=KEY)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0


async def test_readyz_lists_what_is_disabled_and_why_and_stays_ready(
    tmp_path: Path, valkey_url: str, valkey: redis.Redis, prefix: str
) -> None:
    unset = {"verify": {"bearer": "${NO_SUCH_VARIABLE}"}}
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "broken.yaml").write_text("recipe: Half a recipe\n")
    a_worker(valkey, prefix)
    async with web(tmp_path, valkey_url, prefix, shop=unset) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        report = answer.json()
        assert [(source["name"], source["status"]) for source in report["sources"]] == [("shop", "unavailable")]
        assert "NO_SUCH_VARIABLE" in report["sources"][0]["reason"]
        assert [(recipe["name"], recipe["status"]) for recipe in report["recipes"]] == [("broken", "broken")]
        assert "broken.yaml:" in report["recipes"][0]["reason"]
        refused = await client.post("/in/shop", json={})
        assert (refused.status_code, refused.json()) == (503, {"error": "unavailable"}), "never 401, never 410"


async def test_metrics_can_be_read_by_prometheus_and_count_what_was_caught(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        before = await samples(client)
        assert before["relay_dead_letters", ()] == 0
        assert before["relay_store_memory_bytes", ()] > 0
        for number in (1, 2, 2):
            assert (await client.post("/in/chat", json={"id": number}, headers=KEY)).status_code in (200, 202)
        after = await samples(client)
        assert after["relay_events_total", ("chat", "caught")] == 2
        assert after["relay_events_total", ("chat", "duplicate")] == 1
        assert after["relay_lane_waiting", ("in:chat",)] == 2
        assert after["relay_lane_stopped", ("in:chat", "running")] == 0


async def test_a_body_over_the_relays_own_limit_is_refused(tmp_path: Path, valkey_url: str, prefix: str) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        assert (await client.post("/in/chat", content=b"x" * 1001, headers=KEY)).status_code == 413
        assert (await client.post("/in/chat", content=b"x" * 1000, headers=KEY)).status_code == 202


@pytest.mark.parametrize("path", ["/nothing", "/in", "/api", "/healthz/", "/metrics/x"])
async def test_a_path_that_is_none_is_404(tmp_path: Path, valkey_url: str, prefix: str, path: str) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        assert (await client.get(path, follow_redirects=False)).status_code in (404, 307)


async def test_the_front_page_tells_a_visitor_where_he_is_and_nothing_else(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        answer = await client.get("/")
        assert answer.status_code == 200
        assert "/in/<source>" in answer.text
        assert "chat" not in answer.text


async def test_health_answers_to_get_and_head_alone(tmp_path: Path, valkey_url: str, prefix: str) -> None:
    async with web(tmp_path, valkey_url, prefix) as client:
        assert (await client.head("/healthz")).status_code == 200
        assert (await client.post("/healthz")).status_code == 405
