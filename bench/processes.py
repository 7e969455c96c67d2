"""What the measurements start, each a context that has ended all of its processes when it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from bench.workspace import KEY
from relay import embedded

ROOT = Path(__file__).parent.parent

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


class BenchError(Exception):
    """A measurement that could not be made, in words."""


def eventually(true: Callable[[], Any], seconds: float, what: str, pause: float = 0.02) -> Any:
    """Wait until something is so; what it gave. Raises BenchError that names it."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not so after {seconds:g} s")
        time.sleep(pause)
    return value


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder where TMPDIR says: its disk is the one whose fsync is measured."""
    with tempfile.TemporaryDirectory(prefix="relay-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def environment(home: Path | None = None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of a relay, and those of the relay in `home`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    own = {"PYTHONPATH": str(ROOT)}
    if home is not None:
        own |= {"RELAY_RECIPES": str(home / "recipes"), "RELAY_DATA": str(home / "data"), "RELAY_LOG": "json"}
    return inherited | own | dict(more or {})


def end(process: subprocess.Popen[Any]) -> None:
    """End a process: in order where it can be; its children go with it in any case."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    if process.poll() is None:
        process.kill()
    process.wait(10)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


@contextlib.contextmanager
def _server(module: str, *words: str) -> Iterator[int]:
    """A module of ours that prints its port as its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError(f"{module} ended before it said its port")
        yield orjson.loads(line)["port"]
    finally:
        end(process)


def bare_server(redis_url: str = "") -> contextlib.AbstractContextManager[int]:
    return _server("bench.bare", *(("--redis-url", redis_url) if redis_url else ()))


def _run(module: str, words: tuple[str, ...], seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{module} {' '.join(words)}: {done.stdout.decode()}{done.stderr.decode()[-2000:]}".strip())
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def run_module(module: str, *words: object, seconds: float = 600) -> dict[str, Any]:
    """Run a module of ours to its end; the JSON it printed. Raises BenchError."""
    return _run(module, tuple(str(word) for word in words), seconds)


def load(port: int, *words: object, key: str = "") -> dict[str, Any]:
    """The load generator's result. Raises BenchError where any event was refused."""
    return run_module("bench.load", "--port", port, *(("--key", key) if key else ()), *words)


def load_relay(port: int, *words: object) -> dict[str, Any]:
    return load(port, *words, key=KEY)


@dataclass(frozen=True, slots=True)
class SinkHandle:
    """A running sink."""

    port: int

    def ask(self, target: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{target}", timeout=30) as answer:
            return orjson.loads(answer.read())

    def reset(self, latency_ms: float = 0) -> None:
        self.ask(f"/_set?latency_ms={latency_ms:g}")
        self.ask("/_reset")

    def wait_for(self, unique: int, seconds: float = 120) -> dict[str, int]:
        """Until so many different events have come."""

        def there() -> dict[str, int] | None:
            stats: dict[str, int] = self.ask("/_stats")
            return stats if stats["unique"] >= unique else None

        found: dict[str, int] = eventually(there, seconds, f"{unique} events at the sink", pause=0.05)
        return found


@contextlib.contextmanager
def sink() -> Iterator[SinkHandle]:
    with _server("bench.sink") as port:
        yield SinkHandle(port)


@contextlib.contextmanager
def valkey(home: Path) -> Iterator[str]:
    """The relay's embedded Valkey as it ships (an fsync on every write); its URL."""
    with valkey_in(home / "store") as url:
        yield url


@contextlib.contextmanager
def valkey_in(data: Path) -> Iterator[str]:
    """The same in a data folder, which a relay may have afterwards."""
    data.mkdir(parents=True, exist_ok=True)
    process = embedded.start(data)
    try:
        embedded.wait_until_ready(embedded.url(data), process, seconds=_START_SECONDS)
        yield embedded.url(data)
    finally:
        end(process)


@dataclass(frozen=True, slots=True)
class RelayHandle:
    """A running relay, or a web process of one."""

    process: subprocess.Popen[Any]
    port: int
    log: Path
    started: float

    def processes(self) -> dict[str, psutil.Process]:
        """supervisor, web, worker, valkey; more workers are worker-2 and so on."""
        found = {"supervisor": psutil.Process(self.process.pid)}
        for child in psutil.Process(self.process.pid).children():
            words = child.cmdline()
            name = next((name for name in ("worker", "web") if name in words), "valkey")
            found[name if name not in found else f"{name}-{len(found)}"] = child
        return found

    def pids(self) -> list[int]:
        """The supervisor's first: it would start the others again."""
        return [process.pid for process in self.processes().values()]

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time so far, by process."""
        return {name: sum(process.cpu_times()[:2]) for name, process in self.processes().items()}

    def wait_until_settled(self, number: int, seconds: float = 120) -> None:
        """Until the log says that so many deliveries have been attempted: arrived is not yet recorded."""
        eventually(lambda: self.settled() >= number, seconds, f"{number} deliveries recorded", 0.2)

    def settled(self) -> int:
        """How many deliveries have been attempted."""
        return self.log.read_bytes().count(b'"event":"delivery.attempted"')


@contextlib.contextmanager
def _relay(home: Path, words: tuple[str, ...], more: Mapping[str, str]) -> Iterator[RelayHandle]:
    log = home / "relay.log"
    started = time.monotonic()
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "relay", *words],
            env=environment(home, more),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
    try:
        yield RelayHandle(process, int(more["RELAY_PORT"]), log, started)
    finally:
        end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(relay: RelayHandle, path: str) -> bool:
    if relay.process.poll() is not None:
        raise BenchError(f"the relay ended ({relay.process.returncode}): {relay.log.read_text()[-2000:]}")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{relay.port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def relay_up(
    home: Path, *, ready: bool = True, more: Mapping[str, str] | None = None, seconds: float = _START_SECONDS
) -> Iterator[RelayHandle]:
    """`relay up` on the workspace in `home`, as a user would start it; its log goes to a file."""
    # What is still under way when a measurement is over is of no interest.
    settings = {"RELAY_PORT": str(free_port()), "RELAY_DRAIN": "1s", **(more or {})}
    with _relay(home, ("up",), settings) as relay:
        if ready:
            eventually(lambda: _answers(relay, "/readyz"), seconds, "the relay is ready")
        yield relay


@contextlib.contextmanager
def relay_web(home: Path, redis_url: str) -> Iterator[RelayHandle]:
    """`relay web` alone: it catches, and nothing routes."""
    more = {"RELAY_PORT": str(free_port()), "RELAY_REDIS_URL": redis_url, "RELAY_DRAIN": "1s"}
    with _relay(home, ("web",), more) as relay:
        eventually(lambda: _answers(relay, "/healthz"), _START_SECONDS, "relay web answers")
        yield relay
