"""The way back: a backup becomes the data folder and the workspace of a relay that has never run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from relay import embedded
from relay.backup.make import members, verify
from relay.backup.manifest import DROPS, RECIPES, STORE, File, Manifest
from relay.backup.store_copy import check_rdb
from relay.errors import BackupError, ConfigError
from relay.store import FORMAT

#: An append-only file that begins with an RDB, as Redis 7 and Valkey write it: what a server with `appendonly` reads.
#: It passes over a dump.rdb.
_FOLDER = "appendonlydir"
_BASE = "appendonly.aof.1.base.rdb"
_LIST = "appendonly.aof.manifest"

_BLOCK = 1 << 20


def read_manifest(path: Path) -> Manifest:
    """Of a backup that was read whole. Raises BackupError."""
    if not path.is_file():
        raise BackupError(f"there is no file {path}")
    manifest = verify(path)
    if manifest.store_format > FORMAT:
        raise BackupError(
            f"{path}: its data was written by a newer relay (format {manifest.store_format}, this one knows up to "
            f"{FORMAT}); install relay {manifest.relay} or newer"
        )
    return manifest


def write_rdb(path: Path, to: Path) -> None:
    """Only the store's copy, for a server of yours. Raises BackupError."""
    with members(path) as files:
        for name, stream in files:
            if name == STORE:
                fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(fd, "wb") as file:  # noqa: PTH123 - it has to be made with its mode
                    shutil.copyfileobj(stream, file)


def restore(
    path: Path,
    data: Path,
    recipes: Path | None,
    progress: Callable[[int], None] = lambda more: None,
) -> Manifest:
    """Unpack a backup into an unused data folder and workspace; None leaves the workspace out.

    progress  bytes more that were unpacked

    Nothing is where it belongs before everything has been read and checked. Raises BackupError, ConfigError, OSError.
    """
    ensure_unused(data, recipes)
    manifest = read_manifest(path)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = _Beside(data, recipes)
    beside.clear()
    with members(path) as files:
        for name, stream in files:
            to = beside.place(name)
            if to is None:
                continue
            if _unpack(stream, to) != manifest.files[name]:
                raise BackupError(f"{path}: {name} changed while it was restored; start again")
            progress(manifest.files[name].bytes)
    with contextlib.suppress(ConfigError):  # no server's binary here: it is checked when it is loaded
        check_rdb(embedded.binary(), beside.base)
    beside.take_place()
    return manifest


class _Beside:
    """Where a backup is unpacked: beside where it belongs."""

    def __init__(self, data: Path, recipes: Path | None) -> None:
        self._data, self._recipes = data, recipes
        self._store = data / "valkey.restored"
        self._drops = data / "drops.restored"
        self._workspace = recipes.with_name(f".{recipes.name}.restored") if recipes is not None else None
        self.base = self._store / _FOLDER / _BASE

    def _folders(self) -> list[Path]:
        return [folder for folder in (self._store, self._drops, self._workspace) if folder is not None]

    def clear(self) -> None:
        for folder in self._folders():
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, name: str) -> Path | None:
        """Where a member of the tar goes; None where it isn't wanted."""
        if name == STORE:
            return self.base
        if name.startswith(DROPS):
            return self._drops / name.removeprefix(DROPS)
        if name.startswith(RECIPES) and self._workspace is not None:
            return self._workspace / name.removeprefix(RECIPES)
        return None

    def take_place(self) -> None:
        (self.base.parent / _LIST).write_text(f"file {_BASE} seq 1 type b\n")
        for folder in self._folders():
            _sync(folder)
        if self._workspace is not None and self._recipes is not None and self._workspace.exists():
            if self._recipes.exists():
                self._recipes.rmdir()
            self._workspace.rename(self._recipes)
        if self._drops.exists():
            for entry in self._drops.iterdir():
                entry.rename(self._data / entry.name)
            self._drops.rmdir()
        # Last of all: with this, the folder is a relay's.
        self._store.rename(self._data / "valkey")


def ensure_unused(data: Path, recipes: Path | None) -> None:
    """Raises ConfigError that names the folder and the remedy."""
    lock = data / "relay.lock"
    if lock.exists():
        with lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigError(f"a relay is running on {data}; choose another folder with --data") from None
    if (data / "valkey").exists():
        raise ConfigError(
            f"{data} has a relay's data, which is not overwritten; move it away, or choose another --data"
        )
    if recipes is not None and recipes.exists() and (not recipes.is_dir() or any(recipes.iterdir())):
        raise ConfigError(
            f"{recipes} is not empty, and nothing is overwritten; choose another --recipes, or say --without-recipes"
        )


def _unpack(stream: BinaryIO, to: Path) -> File:
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    # Bodies and secrets lie in them: nobody else's to read.
    fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:  # noqa: PTH123 - it has to be made with its mode
        while block := stream.read(_BLOCK):
            file.write(block)
            digest.update(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    return File(size, digest.hexdigest())


def _sync(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
