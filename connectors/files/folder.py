"""Open and create files below one folder, and never outside it."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from relay.connector import Check
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError

#: The end of the names of our own files: `.chats.csv.relay` is the journal of `chats.csv`.
SIDECAR = ".relay"

_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WRONG_PATH = {
    errno.ELOOP: "leads through a link; links are not followed",
    errno.ENOTDIR: "leads through a file, or through a link; links are not followed",
    errno.EISDIR: "is a folder",
    errno.ENAMETOOLONG: "has a name that is too long",
    errno.EINVAL: "has a name that can't be used here",
    errno.EILSEQ: "has a name that can't be used here",
}


def safe_parts(path: str) -> tuple[str, ...]:
    """A path below the connection's folder, as its parts. Raises PermanentError where it could lead anywhere else.

    Event data ends up in paths: nothing in one may climb out, start anew or hide.
    """

    def refused(why: str) -> PermanentError:
        return PermanentError(f"the path {path[:200]!r} {why}", cause="path refused")

    if not path or path.endswith("/"):
        raise refused("names no file")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in path):
        raise refused("holds a control character")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or "\\" in path:
        raise refused("must be relative to the connection's folder, with / between its parts")
    parts = tuple(part for part in path.split("/") if part)
    if ".." in parts or "." in parts:
        raise refused("climbs out of its folder with `.` or `..`")
    if any(part.startswith(".") and part.endswith((SIDECAR, ".part", ".torn")) for part in parts):
        raise refused("names one of the relay's own files")
    try:
        too_long = any(len(part.encode()) > 255 for part in parts)
    except UnicodeEncodeError:
        raise refused("holds half a character") from None
    if too_long:
        raise refused("has a name that is too long")
    return parts


@contextmanager
def folder_of(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of the folder a file goes into; folders are created where they lack.

    Each step is opened relative to the one before and follows no link, so nobody can swing a folder round in between.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    root.mkdir(parents=True, exist_ok=True)
    at = os.open(root, flags)
    try:
        for part in parts[:-1]:
            try:
                below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=at)
            except FileNotFoundError:
                try:
                    os.mkdir(part, dir_fd=at)
                    os.fsync(at)
                except FileExistsError:
                    pass
                below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def look_at(root: Path) -> Check:
    """Whether files can be written below `root`, without writing one. Raises a DeliveryError."""
    try:
        if root.exists() and not root.is_dir():
            raise HoldError(f"{root} is no folder; set `folder` to one", cause="folder is a file")
        above = next(folder for folder in (root, *root.parents) if folder.exists())
    except OSError as error:
        raise sort_os_error(error, root, ".") from error
    missing = []
    if not above.is_dir():
        missing.append(f"{above} is no folder, so {root} can't be made; set `folder` to another")
    elif not os.access(above, os.W_OK | os.X_OK):
        missing.append(f"the relay's user may not write {above}; give it the right, such as by chown or chmod")
    elif os.statvfs(above).f_bavail == 0:
        missing.append(f"the disk of {above} is full; make room")
    if above == root:
        return Check(f"{root} is there", tuple(missing))
    return Check(f"{root} isn't there yet and is made with the first file", tuple(missing))


def open_regular(name: str, flags: int, folder: int) -> int:
    """Open a file that is no link, no device and no pipe."""
    # O_NONBLOCK: opening a pipe must not wait for its other end.
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    return fd


def sort_os_error(error: OSError, root: Path, path: str) -> DeliveryError:
    """What a failure of the file system means for the delivery."""
    where = PurePosixPath(str(root)) / path
    why = (error.strerror or str(error)).lower()
    if error.errno in _NO_RIGHT:
        return HoldError(f"the relay may not write {where}: {why}", cause="may not write the file")
    if error.errno in _WRONG_PATH:
        return PermanentError(f"{where} {_WRONG_PATH[error.errno]}", cause="path refused")
    return RetryableError(f"{where} can't be written: {why}", cause=f"file system: {why}")
