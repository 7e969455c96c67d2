"""Write a file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from connectors.files.folder import folder_of, open_regular, safe_parts
from relay.connector import Outgoing
from relay.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Whole(Outgoing):
    """A file of its own."""

    path: str
    data: bytes = field(repr=False)
    replace: bool
    key: str
    shown: Mapping[str, Any]

    def preview(self) -> dict[str, Any]:
        return {"write": self.path, **self.shown}


def write_whole(root: Path, outgoing: Whole) -> bool:
    """Write a file that appears whole or not at all; False where it was there already with the same content.

    Killed at any point it leaves nothing but a temporary file, which the next attempt overwrites.
    """
    parts = safe_parts(outgoing.path)
    name = parts[-1]
    temporary = f".{blake2b(f'{name}{outgoing.key}'.encode(), digest_size=12).hexdigest()}.part"
    with folder_of(root, parts) as folder:
        if not outgoing.replace and _is_there(name, outgoing, folder):
            return False
        fd = open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, folder)
        try:
            view = memoryview(outgoing.data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        except OSError:
            os.close(fd)
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.close(fd)
        if outgoing.replace:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            try:
                # Unlike a rename, a link never takes a file's place that appeared in between.
                os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.unlink(temporary, dir_fd=folder)
            except FileExistsError:
                os.unlink(temporary, dir_fd=folder)
                return not _is_there(name, outgoing, folder)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                    raise
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # a file system without hard links
        os.fsync(folder)
    return True


def _is_there(name: str, outgoing: Whole, folder: int) -> bool:
    """Whether the file is there with the same content. Raises PermanentError where it has other content."""
    try:
        fd = open_regular(name, os.O_RDONLY, folder)
    except FileNotFoundError:
        return False
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size == len(outgoing.data) and file.read() == outgoing.data:
            # The attempt before may have been killed before it synced.
            os.fsync(fd)
            os.fsync(folder)
            return True
    raise PermanentError(
        f"{outgoing.path} is there already with other content; put something of the event into the path, such as "
        "{{ $event.id }}, or say replace: true",
        cause="file is there already",
    )
