"""`relay up`: the supervisor of the embedded Valkey, the web process and the workers.

It holds the listening socket, so that a web process that dies costs no connection that had not been taken yet, and
every child's standard input, so that none outlives it.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis

from relay import embedded, log
from relay.errors import ConfigError, StoreUnavailableError
from relay.lanes import connect
from relay.reload import ensure_readable
from relay.settings import Settings
from relay.store import ensure_format

#: A child that ran so long has recovered: the next restart is quick again.
_STABLE_SECONDS = 30.0
_MOST_PAUSE_SECONDS = 5.0
_HINDERED_SECONDS = 1.0


@dataclass(slots=True)
class _Child:
    """One supervised process and how often it had to be started again.

    hindrance  why it can't be started now; empty where it can
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0
    hindrance: Callable[[], str] = lambda: ""
    hindered: bool = False

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
            self.command,
            stdin=subprocess.PIPE,
            env={**os.environ, **self.environment},
            pass_fds=self.pass_fds,
            # A Ctrl-C on the terminal is for the supervisor, which stops the others in order.
            start_new_session=True,
        )
        self.started = time.monotonic()

    def ended(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    def plan_restart(self) -> float:
        """Seconds until the next start: none at first, longer when it dies again and again."""
        self.failures = self.failures + 1 if time.monotonic() - self.started < _STABLE_SECONDS else 1
        pause = 0.0 if self.failures == 1 else min(0.25 * 2 ** (self.failures - 2), _MOST_PAUSE_SECONDS)
        self.due = time.monotonic() + pause
        self.process = None
        return pause


class Supervisor:
    """Starts, restarts and stops the processes of one relay on one machine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = log.get()
        self.embedded = not settings.redis_url
        self.redis_url = settings.store or embedded.url(settings.data)
        self._children: list[_Child] = []
        self._store: _Child | None = None
        self._stopping = False
        self._lock: IO[str] | None = None

    def run(self, on_ready: object = None) -> None:
        """Until SIGTERM or SIGINT. Raises ConfigError, StoreUnavailableError."""
        # Bodies of events lie in it: nobody else's to read.
        self.settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        listener = _listen(self.settings.host, self.settings.port)
        wake = self._signals()
        try:
            self._start_store()
            ensure_format(self.redis_url, self.settings.redis_prefix)
            # Told here, once, and not by each process again and again.
            ensure_readable(self.settings.recipes, self.redis_url, self.settings.redis_prefix)
            port = listener.getsockname()[1]
            self._start_processes(listener, port)
            self._announce(port, wake, on_ready)
            self._watch(wake)
        finally:
            self._stop()
            listener.close()

    # -- starting

    def _take_lock(self) -> None:
        path = self.settings.data / "relay.lock"
        self._lock = path.open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "another process"
            raise ConfigError(
                f"a relay is already running on the data folder {self.settings.data} ({owner}); "
                "stop it, or choose another folder with --data"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"pid {os.getpid()}")
        self._lock.flush()

    def _signals(self) -> socket.socket:
        """A socket that can be read when a signal came: the one thing that is waited for."""
        read, write = socket.socketpair()
        read.setblocking(False)
        write.setblocking(False)
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        self._wake_writer = write

        def stop(*_: object) -> None:
            self._stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return read

    def _start_store(self) -> None:
        if self.embedded:
            _end_orphan(self.redis_url)
            self._store = _Child("valkey", embedded.command(self.settings.data, self.settings.max_memory))
            disk = embedded.disk(self.settings, self.redis_url)
            if disk is not None:
                self._store.hindrance = disk.hinders_start
            embedded.clear(self.settings.data)
            self._store.start()
            self._children.append(self._store)
        process = self._store.process if self._store else None
        try:
            embedded.wait_until_ready(self.redis_url, process, seconds=300 if self.embedded else 10)
        except StoreUnavailableError as error:
            hint = f"; see {self.settings.data / 'valkey.log'}" if self.embedded else ""
            raise StoreUnavailableError(f"{error}{hint}") from error

    def _start_processes(self, listener: socket.socket, port: int) -> None:
        environment = {**self.settings.environment(), "RELAY_REDIS_URL": self.redis_url, "RELAY_PORT": str(port)}
        fd = listener.fileno()
        relay = [sys.executable, "-m", "relay"]
        web = [*relay, "web", "--supervised", "--fd", str(fd)]
        self._children.append(_Child("web", web, environment, pass_fds=(fd,)))
        for number in range(self.settings.workers):
            self._children.append(_Child(f"worker-{number + 1}", [*relay, "worker", "--supervised"], environment))
        for child in self._children:
            if child.process is None:
                child.start()

    def _announce(self, port: int, wake: socket.socket, on_ready: object) -> None:
        host = self.settings.host if self.settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self._stopping:
            if _ready(host, port):
                self.log.info("relay.ready", url=f"http://{host}:{port}", pid=os.getpid(), data=str(self.settings.data))
                if callable(on_ready):
                    on_ready(f"http://{host}:{port}")
                return
            self._restart_ended()
            _wait(wake, 0.02)
        if not self._stopping:
            self.log.warning("relay.slow", hint="not ready after 60 s; see the lines above")

    # -- watching

    def _watch(self, wake: socket.socket) -> None:
        while not self._stopping:
            self._restart_ended()
            due = [child.due for child in self._children if child.process is None]
            _wait(wake, max(0.0, min(due) - time.monotonic()) if due else None)

    def _restart_ended(self) -> None:
        for child in self._children:
            status = child.ended()
            if status is not None:
                pause = child.plan_restart()
                self.log.error("process.died", process=child.name, status=_status(status), restart_in_s=round(pause, 2))
            if child.process is None and time.monotonic() >= child.due and not self._hindered(child):
                if child is self._store:
                    embedded.clear(self.settings.data)
                child.start()

    def _hindered(self, child: _Child) -> bool:
        """It is asked again in a second, and told once."""
        why = child.hindrance()
        if why:
            child.due = time.monotonic() + _HINDERED_SECONDS
            if not child.hindered:
                self.log.error("process.waits", process=child.name, reason=why)
        child.hindered = bool(why)
        return child.hindered

    # -- stopping

    def _stop(self) -> None:
        """In order: nothing new is caught, what is under way is delivered, then the store goes."""
        if self._children:
            self.log.info("relay.stopping")
        grace = self.settings.drain.total_seconds() + 10
        for group in ("web", "worker", "valkey"):
            members = [child for child in self._children if child.name.startswith(group)]
            for child in members:
                if child.process is not None and child.process.poll() is None:
                    child.process.terminate()
            for child in members:
                self._end(child, grace)
        if self._children:
            self.log.info("relay.stopped")

    def _end(self, child: _Child, grace: float) -> None:
        if child.process is None:
            return
        try:
            child.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.log.error("process.killed", process=child.name, reason=f"still there {grace:g} s after SIGTERM")
            child.process.kill()
            child.process.wait(10)
        if child.process.stdin is not None:
            child.process.stdin.close()


def _listen(host: str, port: int) -> socket.socket:
    """Raises ConfigError that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror):
            raise ConfigError(f"--host {host}: {error.strerror}") from None
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}; stop what uses the port, or choose another with --port"
        ) from None
    listener.set_inheritable(True)
    return listener


def _end_orphan(redis_url: str) -> None:
    """A supervisor that was killed leaves its Valkey behind: it is told to write everything and end."""
    path = Path(redis_url.removeprefix("unix://"))
    if not path.exists():
        return
    client = connect(redis_url)
    try:
        client.shutdown(nosave=True)
    except redis.RedisError:
        pass  # the file of one that is gone; one that is not is seen below
    finally:
        client.close()
    deadline = time.monotonic() + 30
    while path.exists() and time.monotonic() < deadline and _answers(path):
        time.sleep(0.02)
    if path.exists() and _answers(path):
        raise ConfigError(f"a Valkey that an earlier relay left behind still runs on {path}; end it, then start again")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _wait(wake: socket.socket, seconds: float | None) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(wake, selectors.EVENT_READ)
        if selector.select(seconds):
            wake.recv(4096)


def _ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _status(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit {returncode}"
