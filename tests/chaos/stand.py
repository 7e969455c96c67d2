"""A relay as it stands in the field: a supervisor that something starts again, a sink, proxies between them all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

import aiohttp
import psutil
import redis

from relay import embedded
from tests.chaos import workspace
from tests.chaos.proxy import FaultProxy
from tests.harness import environment
from tests.servers import free_port

FAKETIME = next(
    (str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
    os.environ.get("FAKETIME_LIBRARY", ""),
)
SMALL_DISK = "48m"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round's relay is made of, besides the relay.

    workers       how many worker processes
    proxied       the store is a server of its own, behind a fault proxy, not the embedded one
    fake_clock    the store, whose clock is that of the lanes, runs by one that can be stepped
    small_disk    the store's folder is a small file system of its own
    other_worker  one more worker, whose workspace has another version of a recipe
    """

    workers: int = 1
    proxied: bool = False
    fake_clock: bool = False
    small_disk: bool = False
    other_worker: bool = False


@dataclass
class Service:
    """A process that is started again whenever it ends, as a machine's service manager does."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: IO[bytes]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    stopping: bool = False
    ended: list[tuple[float, int]] = field(default_factory=list)

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    async def keep_up(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self.process is not None and (status := self.process.poll()) is not None:
                self.ended.append((time.time(), status))
                self.process = None
                if self.stopping:
                    return
                await asyncio.sleep(0.2)
                self.start()


class Stand:
    """Everything of a round but its sender and its disturbances."""

    def __init__(self, folder: Path, setting: Setting, rng: Random) -> None:
        self.folder = folder
        self.setting = setting
        self.rng = rng
        self.port = free_port()
        self.to_web = FaultProxy(self.port, rng)
        self.to_store = FaultProxy(0, rng)
        self.to_sink = FaultProxy(0, rng)
        self.clock_offset = 0.0
        self.clock_ahead = 0.0
        self.moods: dict[str, str] = {}
        self.readiness = ""
        self.log = (folder / "relay.log").open("ab")
        self.data = folder / "data"
        self.services: dict[str, Service] = {}
        self._seen: dict[int, psutil.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._sink: subprocess.Popen[bytes] | None = None

    # -- starting and ending

    async def start(self) -> None:
        self._start_sink()
        for proxy in (self.to_web, self.to_store, self.to_sink):
            await proxy.start()
        workspace.write(self.folder, f"http://127.0.0.1:{self.to_sink.port}")
        self._mount_small_disk()
        self.set_clock(0.0)
        words = [sys.executable, "-m", "relay", "up", "--port", str(self.port), "--workers", str(self.setting.workers)]
        env = environment(self.folder) | {"RELAY_DRAIN": "3s"}
        if self.setting.small_disk:
            env["RELAY_MIN_DISK"] = "1MB"
        if self.setting.proxied:
            self._add_store(env)
            words += ["--redis-url", f"redis://127.0.0.1:{self.to_store.port}/0"]
        self._add("relay", words, env)
        if self.setting.other_worker:
            self._add_other_worker(env)
        await self.until(self.is_ready, 60, "ready")
        self.family()

    def _start_sink(self) -> None:
        self._sink = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.sink", str(self.folder / "sink.jsonl")],
            env=environment(self.folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "sink.log").open("ab"),
        )
        assert self._sink.stdout is not None
        self.to_sink.upstream = int(self._sink.stdout.readline())
        self.sink_url = f"http://127.0.0.1:{self.to_sink.upstream}"

    def _add(self, name: str, command: list[str], env: dict[str, str]) -> None:
        service = Service(name, command, env, self.log, self.folder)
        service.start()
        self.services[name] = service
        self._keepers.append(asyncio.create_task(service.keep_up()))

    def _add_store(self, env: dict[str, str]) -> None:
        self.data.mkdir(exist_ok=True)
        port = free_port()
        if self.setting.fake_clock:
            env = env | {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        command = [*embedded.command(self.data), "--port", str(port), "--bind", "127.0.0.1"]
        self.to_store.upstream = port
        self._add("store", command, env)
        embedded.wait_until_ready(f"redis://127.0.0.1:{port}/0", None, 20)

    def _add_other_worker(self, env: dict[str, str]) -> None:
        other = self.folder / "other"
        shutil.copytree(self.folder / "recipes", other)
        workspace.write_recipe(other, 1_000_000)
        url = f"redis://127.0.0.1:{self.to_store.port}/0" if self.setting.proxied else embedded.url(self.data)
        words = [sys.executable, "-m", "relay", "worker", "--redis-url", url]
        self._add("other worker", words, env | {"RELAY_RECIPES": str(other)})

    def _mount_small_disk(self) -> None:
        if self.setting.small_disk:
            place = self.data / "valkey"
            place.mkdir(parents=True)
            options = f"size={SMALL_DISK},mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)

    async def stop(self) -> list[str]:
        """End everything. What was wrong in how it ended."""
        wrong = []
        for service in self.services.values():
            service.stopping = True
        for name in ("other worker", "relay", "store"):
            if (one := self.services.get(name)) is not None and one.process is not None:
                one.process.terminate()
                if not await self._gone(one.process.pid, 40):
                    wrong.append(f"{name} was still there 40 s after SIGTERM")
        for keeper in self._keepers:
            keeper.cancel()
        for proxy in (self.to_web, self.to_store, self.to_sink):
            await proxy.stop()
        if self._sink is not None and self._sink.stdin is not None:
            self._sink.stdin.close()
            self._sink.wait(10)
        deadline = time.monotonic() + 20
        while (left := [process for process in self._seen.values() if _alive(process)]) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                wrong.append(f"left behind: {' '.join(process.cmdline())}")
                process.kill()
        if self.setting.small_disk:
            kept = self.folder / "valkey-data"
            shutil.copytree(self.data / "valkey", kept, ignore=shutil.ignore_patterns("ballast"), dirs_exist_ok=True)
            subprocess.run(["umount", "--lazy", str(self.data / "valkey")], check=False)
        self.log.close()
        return wrong

    async def _gone(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not psutil.pid_exists(pid) or not _alive(psutil.Process(pid)):
                return True
            for service in self.services.values():
                if service.process is not None and service.process.pid == pid:
                    service.process.poll()
            await asyncio.sleep(0.05)
        return False

    # -- looking

    @property
    def store_url(self) -> str:
        """Past the proxy."""
        return f"redis://127.0.0.1:{self.to_store.upstream}/0" if self.setting.proxied else embedded.url(self.data)

    def store(self) -> Any:
        return redis.Redis.from_url(self.store_url, decode_responses=True, socket_timeout=5)

    def family(self) -> dict[str, list[psutil.Process]]:
        """Our processes by name: relay, web, worker, valkey."""
        found: dict[str, list[psutil.Process]] = {"relay": [], "web": [], "worker": [], "valkey": []}
        for name, service in self.services.items():
            if service.process is None or not psutil.pid_exists(service.process.pid):
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(service.process.pid)
                kind = {"relay": "relay", "store": "valkey", "other worker": "worker"}[name]
                found[kind].append(process)
                for child in process.children():
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                        words = child.cmdline()
                        for word, kind in (("worker", "worker"), ("web", "web"), ("valkey", "valkey")):
                            if word in words or (word == "valkey" and words and "valkey-server" in words[0]):
                                found[kind].append(child)
                                break
        for processes in found.values():
            self._seen.update({process.pid: process for process in processes})
        return found

    async def cli(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """A command as a user gives it. Raises RuntimeError."""
        env = environment(self.folder)
        if self.setting.proxied:
            env["RELAY_REDIS_URL"] = self.store_url
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay", *words, env=env, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        if process.returncode not in codes:
            raise RuntimeError(f"relay {' '.join(words)}: {process.returncode}\n{out.decode()}\n{err.decode()}")
        return out.decode()

    async def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (await self.cli(*words, "--json")).splitlines()]

    async def is_ready(self) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=3)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}/readyz") as answer,
            ):
                self.readiness = await answer.text()
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError) as error:
            self.readiness = repr(error)
            return False

    async def until(self, true: Any, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not await true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {what} within {seconds:g} s: {self.readiness}")
            await asyncio.sleep(0.2)

    # -- doing

    def set_clock(self, offset: float) -> None:
        """Seconds the relay's clock is ahead of ours."""
        self.clock_offset = offset
        self.clock_ahead = max(self.clock_ahead, offset)
        new = self.folder / "clock.new"
        new.write_text(f"{offset:+.3f}\n")
        new.rename(self.folder / "clock")

    def limit_memory(self, bytes_: str) -> None:
        with contextlib.closing(self.store()) as store:
            store.config_set("maxmemory", bytes_)

    async def free_memory(self) -> None:
        """The store may be frozen, or starting, at the moment. Where it never answers, others will tell."""
        for _ in range(50):
            with contextlib.suppress(redis.RedisError):
                await asyncio.to_thread(self.limit_memory, "1gb")
                return
            await asyncio.sleep(0.2)

    async def set_mood(self, place: str, mood: str) -> None:
        if mood:
            self.moods[place] = mood
        else:
            self.moods.pop(place, None)
        async with aiohttp.ClientSession() as session:
            await (await session.post(f"{self.sink_url}/-/mood", json=self.moods)).read()

    async def heal(self) -> None:
        """Whatever a disturbance may have left: nothing is frozen, cut or in a bad mood any more."""
        self.moods.clear()
        await self.set_mood("", "")
        for proxy in (self.to_web, self.to_store, self.to_sink):
            proxy.set("pass")
        for process in list(self._seen.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        await self.free_memory()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
