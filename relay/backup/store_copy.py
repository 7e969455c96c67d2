"""A copy of everything a Redis or Valkey holds, as of one moment, while it goes on serving.

It is asked as a replica asks: the server forks, and the child writes an RDB file into the connection. So it needs no
access to the server's files, and works for a server on another host too, where that allows `SYNC`.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
from pathlib import Path
from typing import BinaryIO

import redis

from relay.backup.manifest import File
from relay.errors import BackupError, StoreUnavailableError
from relay.lanes import connect

#: The server sends an empty line every second or so while it prepares.
_SILENCE_SECONDS = 120.0
_BLOCK = 1 << 18


def copy_store(url: str, file: BinaryIO) -> File:
    """Raises BackupError where the server won't, StoreUnavailableError where it is away."""
    pool = connect(url, socket_timeout=_SILENCE_SECONDS).connection_pool
    connection = pool.make_connection()
    try:
        connection.connect()
        for words in (("capa", "eof"), ("rdb-only", "1")):
            connection.send_command("REPLCONF", *words)
            connection.read_response()
        connection.send_command("SYNC")
        # From here on it isn't RESP any more. The reply of the last command has been read whole.
        copied = _receive(connection._sock, file)  # type: ignore[attr-defined]
    except redis.ResponseError as error:
        raise _refused(str(error)) from error
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise StoreUnavailableError(f"the store can't be reached: {error}") from error
    finally:
        connection.disconnect()
    return copied


def _refused(why: str) -> BackupError:
    return BackupError(
        f"the store won't give a copy of itself ({why}); managed servers often don't: "
        "take a snapshot by your provider's means, and keep the workspace beside it"
    )


def _receive(sock: socket.socket, file: BinaryIO) -> File:
    """`$<bytes>` and so many, or `$EOF:<40 bytes>` and everything until those come again."""
    rest = b""
    while b"\n" not in (rest := rest.lstrip(b"\r\n")):
        rest += _some(sock)
    head, _, rest = rest.partition(b"\n")
    head = head.strip()
    if head.startswith(b"-"):
        raise _refused(head[1:].decode(errors="replace"))
    if not head.startswith(b"$"):
        raise BackupError(f"the store answered {head[:80]!r} where a copy should begin")
    end = head[5:] if head.startswith(b"$EOF:") else b""
    whole = 0 if end else int(head[1:])
    digest, written = hashlib.sha256(), 0

    def take(data: bytes) -> None:
        nonlocal written
        file.write(data)
        digest.update(data)
        written += len(data)

    while end and not rest.endswith(end):
        # What may be the beginning of the end is kept back.
        take(rest[: -len(end)])
        rest = rest[-len(end) :] + _some(sock)
    while not end and written + len(rest) < whole:
        take(rest)
        rest = _some(sock)
    take(rest[: -len(end)] if end else rest[: whole - written])
    return File(written, digest.hexdigest())


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(_BLOCK)
    if not data:
        raise BackupError("the store ended the connection before its copy was whole; its log says why")
    return data


def check_rdb(binary: Path, rdb: Path) -> None:
    """Read it whole, by the server's own checker. Raises BackupError."""
    done = subprocess.run(  # noqa: S603 - our own binary, which is the checker by this name
        ["valkey-check-rdb", str(rdb)],  # noqa: S607
        executable=str(binary),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").splitlines()
        why = next((line for line in lines if line.startswith("[offset") and "Checking" not in line), "unreadable")
        raise BackupError(f"{rdb}: the copy of the store is not whole: {why}")
