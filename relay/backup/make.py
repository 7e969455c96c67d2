"""Making a backup: the store's copy first, then the workspace, packed, read back and only then given its name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from relay import embedded
from relay.backup.manifest import DROPS, MANIFEST, RECIPES, STORE, File, Manifest
from relay.backup.store_copy import check_rdb, copy_store
from relay.clock import isoformat, now_ms
from relay.errors import BackupError, ConfigError
from relay.lanes import connect
from relay.recipes.files import FILE, secrets_in

#: What of a data folder is no file drop: the store, what belongs to running processes, and archives.
_OWN = ("valkey", "valkey.log", "valkey.sock", "relay.lock", "archive")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Made:
    path: Path
    bytes: int
    manifest: Manifest


def make(
    url: str,
    prefix: str,
    recipes: Path,
    path: Path,
    *,
    drops: Path | None = None,
    secrets: bool = True,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Made:
    """Write a backup to `path`, which must not exist. Readable by its owner alone.

    drops     the data folder whose file drops are to be in it, too
    secrets   the files under `secrets/`, and those that relay.yaml names by `${file:…}` within the workspace
    progress  bytes packed, and of how many

    Raises BackupError, StoreError, OSError.
    """
    made_at = isoformat(now_ms())
    rdb, part = path.with_name(f".{path.name}.rdb"), path.with_name(f".{path.name}.part")
    try:
        with _private(rdb) as file:
            copied = copy_store(url, file)
        try:
            check_rdb(embedded.binary(), rdb)
        except ConfigError:
            _check_head(rdb)  # no server's binary here: by its beginning, and by its checksum when it is loaded
        found = dict(_workspace(recipes, secrets=secrets))
        if drops is not None:
            found |= _drops(drops)
        server, store_format, versions = _about(url, prefix)
        files = {STORE: copied, **{name: _digest(file) for name, file in found.items()}}
        left_out = tuple(name for name, _ in _workspace(recipes) if name not in found)
        manifest = Manifest(made_at, store_format, prefix, server, versions, left_out, files)
        with _private(part) as file:
            _pack(file, manifest, {STORE: rdb, **found}, progress)
        verify(part)
        if path.exists():
            raise BackupError(f"{path} is there already; nothing was overwritten")
        part.replace(path)
        _sync_folder(path.parent)
        return Made(path, path.stat().st_size, manifest)
    finally:
        rdb.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def verify(path: Path) -> Manifest:
    """Read a backup whole and compare its checksums. Raises BackupError."""
    manifest: Manifest | None = None
    seen = set[str]()
    with members(path) as files:
        for name, stream in files:
            if manifest is None:
                manifest = Manifest.read(stream.read())
                continue
            digest, size = hashlib.sha256(), 0
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
            if manifest.files.get(name) != File(size, digest.hexdigest()):
                raise BackupError(f"{path}: {name} is not as it was when the backup was made; take another backup")
            seen.add(name)
    if manifest is None or (missing := manifest.files.keys() - seen):
        raise BackupError(f"{path}: not whole, it lacks {', '.join(sorted(missing)) if manifest else 'everything'}")
    return manifest


@contextlib.contextmanager
def members(path: Path) -> Iterator[Iterator[tuple[str, BinaryIO]]]:
    """Each file of a backup, the manifest first: read one before the next.

    Raises BackupError where it isn't a backup, or ends too early, also in the middle of a file; and OSError.
    """
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            yield _contents(path, tar)
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BackupError(f"{path}: it is no backup, or isn't whole: {error}") from error


def _contents(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, BinaryIO]]:
    for number, member in enumerate(tar):
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or (number == 0) != (member.name == MANIFEST):
            raise BackupError(f"{path}: {member.name} doesn't belong there: it is no backup of ours")
        yield member.name, content  # type: ignore[misc]  # what tarfile gives reads bytes


def _about(url: str, prefix: str) -> tuple[str, int, dict[str, str]]:
    client = connect(url)
    try:
        info = client.info("server")
        server = f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}"
        store_format = int(client.get(f"{prefix}format") or 0)
        in_force: dict[Any, Any] = client.hgetall(f"{prefix}force")
        versions = {name.decode(): version.decode() for name, version in in_force.items()}
        return server, store_format, versions
    finally:
        client.close()


def _workspace(folder: Path, *, secrets: bool = True) -> Iterator[tuple[str, Path]]:
    """Its files, by their names in the tar. What a link leads to is taken as it is."""
    relay_yaml = folder / FILE
    named = {os.path.normpath(name) for name in secrets_in(relay_yaml.read_bytes() if relay_yaml.exists() else None)}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if not file.is_file() or name.startswith(".git/"):
            continue
        if secrets or not (name.startswith("secrets/") or name in named):
            yield RECIPES + name, file


def _drops(data: Path) -> dict[str, Path]:
    found = (file for file in sorted(data.rglob("*")) if file.is_file())
    names = {file.relative_to(data).as_posix(): file for file in found}
    return {DROPS + name: file for name, file in names.items() if name.partition("/")[0] not in _OWN}


def _digest(path: Path) -> File:
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _pack(file: BinaryIO, manifest: Manifest, found: dict[str, Path], progress: Callable[[int, int], None]) -> None:
    whole, done = sum(of.bytes for of in manifest.files.values()), 0
    with (
        zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(file, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        _add(tar, MANIFEST, io.BytesIO(manifest.packed()), len(manifest.packed()))
        for name, path in found.items():
            with path.open("rb") as content:
                # A file drop that grew meanwhile is cut to what it was; one that changed is found by `verify`.
                _add(tar, name, content, manifest.files[name].bytes, path.stat().st_mode)
            done += manifest.files[name].bytes
            progress(done, whole)


def _add(tar: tarfile.TarFile, name: str, content: BinaryIO, size: int, mode: int = 0o600) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, mode & 0o777, now_ms() // 1000
    tar.addfile(member, content)


def _private(path: Path) -> BinaryIO:
    """Made anew, for its owner alone; on disk when it is closed."""
    path.unlink(missing_ok=True)
    return _Synced(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class _Synced(io.FileIO):
    def close(self) -> None:
        if not self.closed:
            os.fsync(self.fileno())
        super().close()


def _check_head(rdb: Path) -> None:
    with rdb.open("rb") as file:
        if not file.read(9).startswith((b"REDIS", b"VALKEY")):
            raise BackupError(f"{rdb}: what the store gave is no RDB file")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
