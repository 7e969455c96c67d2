"""What can be told of an SFTP connection without writing anything there."""

from __future__ import annotations

import asyncio
import stat
from contextlib import suppress
from datetime import timedelta

import asyncssh

from connectors.sftp.config import SftpConfig
from connectors.sftp.pgp import encrypted
from connectors.sftp.session import SftpSession, sort_ssh_error
from relay.connector import Check
from relay.errors import DeliveryError, RetryableError

_READ_ONLY = 1  # ST_RDONLY of statvfs
_NO_FOLDER = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)


async def check(session: SftpSession, config: SftpConfig, timeout: timedelta) -> Check:
    """Log in and look at the folder. Raises a DeliveryError where that much isn't possible."""
    try:
        async with asyncio.timeout(timeout.total_seconds()), session.use() as sftp:
            missing: list[str] = []
            place = await _look(sftp, config.folder or ".", config, missing)
            if config.archive is not None and config.archive.at == "server":
                above = "" if config.archive.folder.startswith("/") or not config.folder else f"{config.folder}/"
                await _look(sftp, f"{above}{config.archive.folder}", config, missing)
            if config.pgp is not None:
                try:
                    await encrypted(b"\n", config.pgp, timeout.total_seconds())
                except DeliveryError as error:
                    missing.append(str(error))
    except TimeoutError:
        raise RetryableError(f"{config.host} was too slow", cause="sftp timeout") from None
    except (asyncssh.Error, OSError) as error:
        raise sort_ssh_error(error, config, config.folder or ".") from error
    return Check(
        f"logged in at {config.host} as {config.username}, in {place}; whether we may write is seen at the first file",
        tuple(missing),
    )


async def _look(sftp: asyncssh.SFTPClient, folder: str, config: SftpConfig, missing: list[str]) -> str:
    try:
        attributes = await sftp.stat(folder)
    except _NO_FOLDER:
        if not config.create_folders:
            missing.append(f"there is no folder {folder}; make it there, or say create_folders: true on the connection")
        return "the login's own folder"
    except asyncssh.SFTPPermissionDenied:
        missing.append(f"{config.username} may not look at {folder}; ask the server's owner for read and write rights")
        return folder
    if not _is_folder(attributes):
        missing.append(f"{folder} is no folder; set `folder` to one")
        return folder
    # Whose the folder is can't be told from its number, so only a folder that nobody may write is sure.
    if attributes.permissions is not None and not attributes.permissions & 0o222:
        missing.append(f"nobody may write into {folder}; ask the server's owner for write rights")
    with suppress(asyncssh.SFTPError):  # an extension of OpenSSH's
        disk = await sftp.statvfs(folder)
        if disk.flags & _READ_ONLY:
            missing.append(f"{folder} lies on a disk that is mounted read-only; tell the server's owner")
        elif disk.blocks and not disk.bavail:
            missing.append(f"the disk that {folder} lies on is full; tell the server's owner")
    where = folder
    with suppress(asyncssh.SFTPError):
        where = str(await sftp.realpath(folder))
    return where


def _is_folder(attributes: asyncssh.SFTPAttrs) -> bool:
    if attributes.permissions is not None and stat.S_IFMT(attributes.permissions):
        return stat.S_ISDIR(attributes.permissions)
    return attributes.type in (asyncssh.FILEXFER_TYPE_DIRECTORY, asyncssh.FILEXFER_TYPE_UNKNOWN)
