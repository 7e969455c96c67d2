"""The steps of a drop, in an order in which a cut at any point can be mended by the next attempt.

    1  the file is written under its temporary name, and its size checked
    2  the archive's copy is written, because once the file has its name it may be taken at any moment
    3  the file gets its name
    4  checksums, then the manifest, which says that all the rest is there

Each looks first whether it was done, so a repeat completes what is missing and makes nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from connectors.files.folder import sort_os_error
from connectors.files.whole import Whole, write_whole
from connectors.sftp.config import SftpConfig
from connectors.sftp.drop import Drop, short
from connectors.sftp.pgp import encrypted
from relay.errors import HoldError, PermanentError, RetryableError

_NO_FILE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
#: What servers answer to a rename onto a file that is there, and to one they can't do.
_NOT_RENAMED = (
    asyncssh.SFTPFailure,
    asyncssh.SFTPFileAlreadyExists,
    asyncssh.SFTPOpUnsupported,
    asyncssh.SFTPPermissionDenied,
)


@dataclass(frozen=True, slots=True)
class Done:
    """`fresh`: the file was written now. `completed`: what an earlier attempt had left out."""

    fresh: bool
    size: int
    completed: tuple[str, ...] = ()
    taken: str = ""


async def put(sftp: asyncssh.SFTPClient, drop: Drop, config: SftpConfig, data_dir: Path, seconds: float) -> Done:
    """All the steps. Never takes the place of somebody else's file."""
    sent = await _there(sftp, drop, config)
    fresh = sent is None
    if sent is None:
        for pattern in config.taken:
            moved = drop.beside(pattern)
            if await _is_ours(sftp, moved, drop, config):
                return Done(False, len(drop.data), taken=moved)
        sent = drop.data if config.pgp is None else await encrypted(drop.data, config.pgp, seconds)
        await _write(sftp, drop.path, drop.temporary, sent, config)
        await _archive(sftp, drop, sent, config, data_dir)
        await _into_place(sftp, drop, sent, config)
    completed = []
    for path, content in drop.companions(config, sent):
        if await _companion(sftp, drop, path, content, config):
            completed.append(path)
    return Done(fresh, len(sent), tuple(completed))


async def _there(sftp: asyncssh.SFTPClient, drop: Drop, config: SftpConfig) -> bytes | None:
    """The file as it lies there, where it is ours. Raises PermanentError where another of its name is."""
    size = await _size(sftp, drop.path)
    if size is None:
        return None
    if config.pgp is not None:
        # Its name is the delivery's and its content's own, and it got it only when it was whole.
        return await _read(sftp, drop.path)
    if size == len(drop.data) and await _read(sftp, drop.path) == drop.data:
        return drop.data
    raise PermanentError(
        f"{drop.path} is there already with other content, and is left as it is; put something of the event into "
        "the path, or leave `unique` on",
        cause="file is there already",
    )


async def _is_ours(sftp: asyncssh.SFTPClient, path: str, drop: Drop, config: SftpConfig) -> bool:
    try:
        size = await _size(sftp, path)
        if size is None or (config.pgp is None and size != len(drop.data)):
            return False
        return config.pgp is not None or drop.own or await _read(sftp, path) == drop.data
    except asyncssh.SFTPPermissionDenied:
        return False


async def _size(sftp: asyncssh.SFTPClient, path: str) -> int | None:
    try:
        return (await sftp.stat(path)).size or 0
    except _NO_FILE:
        return None


async def _read(sftp: asyncssh.SFTPClient, path: str) -> bytes:
    async with await sftp.open(path, "rb") as file:
        there: bytes | str = await file.read()
    return there.encode() if isinstance(there, str) else there


async def _write(sftp: asyncssh.SFTPClient, path: str, temporary: str, data: bytes, config: SftpConfig) -> None:
    """Write a file under its temporary name, and see that all of it arrived."""
    try:
        file = await sftp.open(temporary, "wb")
    except _NO_FILE:
        folders = {name: None for name in (temporary.rpartition("/")[0], path.rpartition("/")[0]) if name}
        if not folders or not config.create_folders:
            folder = next(iter(folders), ".")
            if config.folder and await _size(sftp, config.folder) is None:
                # The connection's own: no delivery could get further.
                raise HoldError(
                    f"there is no folder {config.folder}; make it there, set `folder` to another one, or say "
                    "create_folders: true on the connection",
                    cause="the connection's folder is missing",
                ) from None
            raise PermanentError(
                f"there is no folder {folder} for {path}; make it there, or say create_folders: true on the connection",
                cause=f"no folder {folder}",
            ) from None
        for folder in folders:
            await sftp.makedirs(folder, exist_ok=True)
        file = await sftp.open(temporary, "wb")
    async with file:
        await file.write(data)
        with suppress(asyncssh.SFTPOpUnsupported):  # an extension of OpenSSH's
            await file.fsync()
    size = (await sftp.stat(temporary)).size
    if size != len(data):
        raise RetryableError(f"{path}: {size} of {len(data)} bytes arrived", cause="file arrived with another size")


async def _into_place(sftp: asyncssh.SFTPClient, drop: Drop, sent: bytes, config: SftpConfig) -> None:
    if not drop.own and await _there(sftp, drop, config) is not None:
        await sftp.remove(drop.temporary)  # it came in between; some servers' rename would have taken its place
        return
    try:
        # OpenSSH's plain rename, unlike posix-rename, never takes the place of another file.
        await sftp.rename(drop.temporary, drop.path)
    except _NOT_RENAMED as error:
        if await _there(sftp, drop, config) is not None:
            await sftp.remove(drop.temporary)
            return
        # Nothing is in the way, so the server can't do it the plain way.
        await _posix_rename(sftp, drop.temporary, drop.path, error)
    if not drop.own and str(drop.values.get("key")) not in drop.temporary and await _read(sftp, drop.path) != sent:
        raise PermanentError(
            f"{drop.path} was written by two deliveries at once; put {{key}} into `temporary`, or leave `unique` on",
            cause="file written by two deliveries at once",
        )


async def _posix_rename(sftp: asyncssh.SFTPClient, old: str, new: str, refused: asyncssh.SFTPError) -> None:
    try:
        await sftp.posix_rename(old, new)
    except asyncssh.SFTPOpUnsupported:
        raise refused from None


async def _companion(sftp: asyncssh.SFTPClient, drop: Drop, path: str, content: bytes, config: SftpConfig) -> bool:
    """Write a file that goes with ours; False where it is there. One that is there with other content is of a file
    that had the same name before, and gives way."""
    size = await _size(sftp, path)
    if size == len(content) and await _read(sftp, path) == content:
        return False
    temporary = f"{path.rpartition('/')[0]}/" if "/" in path else ""
    temporary += f".{short(path.rpartition('/')[2])}.{drop.values['key']}.part"
    await _write(sftp, path, temporary, content, config)
    await _replace(sftp, temporary, path)
    return True


async def _replace(sftp: asyncssh.SFTPClient, temporary: str, path: str) -> None:
    try:
        await sftp.rename(temporary, path)
    except _NOT_RENAMED as error:
        try:
            await _posix_rename(sftp, temporary, path, error)
        except _NOT_RENAMED:
            await sftp.remove(path)
            await sftp.rename(temporary, path)


async def _archive(sftp: asyncssh.SFTPClient, drop: Drop, sent: bytes, config: SftpConfig, data_dir: Path) -> None:
    path = drop.archive(config)
    if path is None or config.archive is None:
        return
    if config.archive.at == "server":
        if await _size(sftp, path) != len(sent) or await _read(sftp, path) != sent:
            temporary = f"{path}.part"
            await _write(sftp, path, temporary, sent, config)
            await _replace(sftp, temporary, path)
        return
    root, name = data_dir / config.archive.folder, path.rpartition("/")[2]
    shown: Mapping[str, Any] = {}
    try:
        await asyncio.to_thread(write_whole, root, Whole(name, sent, True, str(drop.values["key"]), shown))
    except OSError as error:
        raise sort_os_error(error, root, name) from error
