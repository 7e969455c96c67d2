"""`relay up` is one command: it starts in order, mends itself, says what is in its way, and stops in order."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from relay import starter
from tests.harness import Relay, environment, eventually, relay_up


def example(folder: Path) -> dict[str, str]:
    """The starter workspace; the headers that its source wants."""
    starter.write(folder / "recipes")
    starter.ensure_key(folder / "recipes")
    key = (folder / "recipes" / starter.KEY).read_text()
    return {"X-Chat-Key": key, "Content-Type": "application/json", "Connection": "close"}


def a_chat(number: int) -> dict[str, object]:
    return {
        "conversation": {"id": f"c-{number}", "state": "closed", "closed_at": "2026-04-03T10:15:07Z"},
        "contact": {"name": "Ana", "email": "ana@example.com"},
        "messages": [],
    }


def up(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`relay up` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "relay", "up", *words],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def row_count(relay: Relay) -> int:
    drop = relay.folder / "data" / starter.DROP
    return len(drop.read_text().splitlines()) - 1 if drop.exists() else 0


def test_it_starts_from_nothing_says_what_it_wrote_and_what_to_try_and_stops_in_order(tmp_path: Path) -> None:
    with relay_up(tmp_path) as relay:
        printed = "\n".join(line["text"] for line in eventually(lambda: said(relay, "events list --source inbox")))
        assert "wrote a starter into" in printed
        assert f"Relay is ready at {relay.url}" in printed
        curl = re.search(r"curl -H .*?/in/chat", printed, re.DOTALL)
        assert curl is not None
        done = subprocess.run(
            ["bash", "-c", curl.group()], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True
        )
        assert '"status":"accepted"' in done.stdout, done
        eventually(lambda: row_count(relay) == 1)
        port = relay.url.rpartition(":")[2]
        # Port 0 could not be written into the example; this is the last thing printed, in a write of its own.
        assert eventually(lambda: said(relay, f"is on port {port} today"))
        children = relay.children()
        assert children.keys() == {"web", "worker", "valkey"}
        assert relay.stop() == 0
        stages = [line["event"] for line in relay.lines if line.get("event", "").endswith(("ing", "stopped", "ready"))]
        assert stages[-5:] == ["relay.stopping", "web.stopped", "worker.draining", "worker.stopped", "relay.stopped"]
        assert not [name for name, child in children.items() if child.is_running()], "no orphans"


def ended(process: psutil.Process) -> bool:
    """Also one that nobody has collected: in a container there may be no init that does."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def said(relay: Relay, text: str) -> list[dict[str, str]]:
    lines = [line for line in relay.lines if line.get("event") == "text"]
    return lines if any(text in line["text"] for line in lines) else []


def test_a_second_one_on_the_same_data_folder_says_who_has_it_and_disturbs_nobody(tmp_path: Path) -> None:
    headers = example(tmp_path)
    with relay_up(tmp_path) as relay:
        second = up(tmp_path, "--port", "0")
        assert second.returncode == 2
        assert "already running on the data folder" in second.stderr
        assert f"pid {relay.process.pid}" in second.stderr
        assert "--data" in second.stderr, "the remedy"
        assert httpx.post(f"{relay.url}/in/chat", json=a_chat(1), headers=headers).status_code == 202


def test_a_port_that_is_in_use_is_told_before_anything_is_started(tmp_path: Path) -> None:
    example(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up(tmp_path, "--port", str(port))
    assert done.returncode == 2
    assert f"can't listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "data" / "valkey").exists()


def test_a_folder_that_holds_something_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "thesis.odt").write_text("mine")
    done = up(tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "has no relay.yaml" in done.stderr
    assert [path.name for path in (tmp_path / "recipes").iterdir()] == ["thesis.odt"]


def test_a_web_process_that_is_killed_costs_no_refused_connection(tmp_path: Path) -> None:
    headers = example(tmp_path)
    refused: list[str] = []
    accepted: list[int] = []
    done = threading.Event()

    def post(relay: Relay, first: int) -> None:
        number = first
        while not done.is_set():
            number += 1
            try:
                answer = httpx.post(f"{relay.url}/in/chat", json=a_chat(number), headers=headers, timeout=20)
            except httpx.ConnectError as error:
                refused.append(str(error))
            except httpx.TransportError:
                continue  # it was being answered when the process died: the sender has no 2xx and tries again
            else:
                accepted.extend([number] * (answer.status_code == 202))

    with relay_up(tmp_path) as relay:
        threads = [threading.Thread(target=post, args=(relay, n * 10_000)) for n in range(2)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(accepted) > 5)
        web = relay.children()["web"]
        web.send_signal(signal.SIGKILL)
        eventually(lambda: relay.log("process.died"))
        before = len(accepted)
        eventually(lambda: len(accepted) > before + 5)
        done.set()
        for thread in threads:
            thread.join(30)
        assert refused == []
        died = relay.log("process.died")[0]
        assert (died["process"], died["status"]) == ("web", "SIGKILL")
        assert relay.children()["web"].pid != web.pid
        eventually(lambda: row_count(relay) >= len(accepted))


def test_what_a_killed_supervisor_leaves_behind_is_ended_and_the_next_one_goes_on(tmp_path: Path) -> None:
    headers = example(tmp_path)
    with relay_up(tmp_path) as relay:
        children = relay.children()
        assert httpx.post(f"{relay.url}/in/chat", json=a_chat(1), headers=headers).status_code == 202
        eventually(lambda: row_count(relay) == 1)
        relay.process.kill()
        relay.process.wait(10)
        for name in ("web", "worker"):
            children[name].wait(20)
        try:
            with relay_up(tmp_path) as after:
                assert ended(children["valkey"])
                answer = httpx.post(f"{after.url}/in/chat", json=a_chat(1), headers=headers)
                assert (answer.status_code, answer.json()["status"]) == (200, "duplicate"), "the data is the same"
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                children["valkey"].kill()


def test_with_a_store_of_your_own_no_valkey_is_started(tmp_path: Path, valkey_url: str, prefix: str) -> None:
    headers = example(tmp_path)
    env = {"RELAY_REDIS_PREFIX": prefix}
    with relay_up(tmp_path, "--redis-url", valkey_url, "--workers", "2", env=env) as relay:
        assert relay.children().keys() == {"web", "worker"}
        assert not (tmp_path / "data" / "valkey").exists()
        assert httpx.post(f"{relay.url}/in/chat", json=a_chat(1), headers=headers).status_code == 202
        eventually(lambda: row_count(relay) == 1)
        eventually(lambda: httpx.get(f"{relay.url}/readyz").json()["workers"] == 2)
        assert relay.stop() == 0


@contextlib.contextmanager
def started(folder: Path, log_name: str, *words: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / log_name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "relay", *words],
            env=environment(folder) | env,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def status(url: str) -> int:
    try:
        return httpx.get(f"{url}/readyz").status_code
    except httpx.TransportError:
        return 0


def test_web_and_worker_run_apart_and_what_was_caught_without_a_worker_is_delivered_by_the_first_one(
    tmp_path: Path, valkey_url: str, prefix: str
) -> None:
    headers = example(tmp_path)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"RELAY_REDIS_URL": valkey_url, "RELAY_REDIS_PREFIX": prefix}
    drop = tmp_path / "data" / starter.DROP
    with started(tmp_path, "web.log", "web", "--port", str(port), **env) as web:
        eventually(lambda: status(url) == 503)
        assert "no worker is running" in httpx.get(f"{url}/readyz").json()["reason"]
        assert httpx.post(f"{url}/in/chat", json=a_chat(1), headers=headers).status_code == 202
        time.sleep(0.2)
        assert not drop.exists()
        with started(tmp_path, "worker.log", "worker", **env) as worker:
            eventually(lambda: status(url) == 200)
            eventually(drop.exists)
            worker.terminate()
            assert worker.wait(20) == 0
        web.terminate()
        assert web.wait(20) == 0
    assert '"event":"worker.stopped"' in (tmp_path / "worker.log").read_text()
    assert '"event":"web.stopped"' in (tmp_path / "web.log").read_text()


@pytest.mark.parametrize("process", ["web", "worker"])
def test_a_process_alone_tells_a_relay_yaml_that_cannot_be_read_and_ends(tmp_path: Path, process: str) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "relay.yaml").write_text("sources: [\n")
    done = subprocess.run(
        [sys.executable, "-m", "relay", process],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "relay.yaml:" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.linesep not in done.stderr.strip(), "one line"
