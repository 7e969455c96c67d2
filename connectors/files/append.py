"""Append to a file exactly once for each key, whenever and however the process dies.

Beside `chats.csv` lives a journal, `.chats.csv.relay`, which is also the lock. An append is

    1  the intent is written to the journal and fsynced: keys, offset, length, digest, the file's inode
    2  the bytes are appended to the file and fsynced
    3  a note that they are there is written to the journal

Killed before 1 is on disk, nothing happened. Killed later, whoever appends next finds an intent without its note and
looks at the file: if the bytes are there and whole, they count; if they are not whole, they are cut off (what is cut
off is kept in `.chats.csv.torn`). If the file was taken away in between, nobody can know, and the key's next attempt
says so once. The journal remembers the last keys, so a repeat of a finished append writes nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from connectors.files.folder import SIDECAR, folder_of, open_regular, safe_parts
from relay.errors import DeliveryError, RetryableError, UnknownOutcomeError

#: How many finished keys a journal remembers. A delivery's retries end long before so many others have gone by.
REMEMBERED = 20_000
#: How much of a file's start a renderer sees: enough for the widest header.
_START_BYTES = 65_536
_LOCK_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be appended under a key.

    render      from the file's first bytes (empty where it is new) to what is appended
    line_break  how a line ends, and the shortest such end, to see whether the file's last line is whole
    """

    key: str
    render: Callable[[bytes], bytes]
    line_break: bytes = b"\n"
    line_feed: bytes = b"\n"


@dataclass(frozen=True, slots=True)
class Appended:
    """`fresh` is False where an earlier attempt had appended it already."""

    fresh: bool


@dataclass(frozen=True, slots=True)
class _Intent:
    keys: tuple[str, ...]
    offset: int
    length: int
    digest: str
    inode: int


@dataclass(slots=True)
class _Journal:
    """What a journal file says, as far as it has been read."""

    inode: int = 0
    size: int = 0
    lines: int = 0
    done: OrderedDict[str, None] = field(default_factory=OrderedDict)
    lost: set[str] = field(default_factory=set)
    pending: _Intent | None = None

    def take(self, line: bytes) -> None:
        note = json.loads(line)
        self.lines += 1
        if "intent" in note:
            keys, *rest = note["intent"]
            self.pending = _Intent(tuple(keys), *rest)
        elif "done" in note:
            for key in note["done"] or (self.pending.keys if self.pending else ()):
                self.done[key] = None
                self.lost.discard(key)
            self.pending = None
        elif "undone" in note:
            self.pending = None
        elif "lost" in note:
            self.lost.update(note["lost"])
            self.pending = None
        elif "told" in note:
            self.lost.discard(note["told"])
        while len(self.done) > 2 * REMEMBERED:
            self.done.popitem(last=False)


#: Journals as they were when this process last let go of their lock; only what came since is read again.
_seen: OrderedDict[str, _Journal] = OrderedDict()
_seen_lock = Lock()
_SEEN = 16


def append_all(root: Path, path: str, entries: Sequence[Entry], wait_seconds: float = 30) -> list[Appended | Exception]:
    """Append the entries in one go. Each gets its own outcome. Raises OSError where the file system refuses."""
    parts = safe_parts(path)
    with folder_of(root, parts) as folder:
        name = f".{parts[-1]}{SIDECAR}"
        lock = _locked(name, folder, wait_seconds)
        cached = f"{root}\0{path}"
        with _seen_lock:
            journal = _seen.pop(cached, None)
        try:
            journal = _read(lock, journal)
            work = _Work(folder, parts[-1], lock, journal)
            outcomes = work.append(entries)
            if journal.lines > 2 * REMEMBERED:
                _shorten(name, folder, journal)
            else:
                with _seen_lock:
                    _seen[cached] = journal
                    while len(_seen) > _SEEN:
                        _seen.popitem(last=False)
            return outcomes
        finally:
            os.close(lock)


def _locked(name: str, folder: int, wait_seconds: float) -> int:
    """The journal, locked. It may be replaced by a shorter one while we wait, so the name is looked up again."""
    give_up = time.monotonic() + wait_seconds
    while True:
        created = False
        try:
            fd = open_regular(name, os.O_RDWR | os.O_APPEND, folder)
        except FileNotFoundError:
            fd = open_regular(name, os.O_RDWR | os.O_APPEND | os.O_CREAT, folder)
            created = True
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise RetryableError("another process is writing the file", cause="file is locked") from None
                    time.sleep(_LOCK_POLL_SECONDS)
            with suppress(FileNotFoundError):
                if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino == os.fstat(fd).st_ino:
                    if created:
                        os.fsync(folder)
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _read(fd: int, journal: _Journal | None) -> _Journal:
    found = os.fstat(fd)
    if journal is None or journal.inode != found.st_ino or journal.size > found.st_size:
        journal = _Journal(inode=found.st_ino)
    if found.st_size > journal.size:
        text = _read_at(fd, journal.size, found.st_size - journal.size)
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            # The process was killed while it wrote this line, so nothing was done on the strength of it.
            os.ftruncate(fd, journal.size + len(whole))
        for line in whole.splitlines():
            with suppress(ValueError, TypeError):  # a line that zeros of a power cut went through
                journal.take(line)
        journal.size += len(whole)
    return journal


def _shorten(name: str, folder: int, journal: _Journal) -> None:
    """Keep the newest keys. Whoever waits for the old file's lock sees that it is no longer the one."""
    keys = list(journal.done)[-REMEMBERED:]
    notes = [{"done": keys}] + ([{"lost": sorted(journal.lost)}] if journal.lost else [])
    fd = open_regular(f"{name}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, folder)
    try:
        _write(fd, b"".join(json.dumps(note).encode() + b"\n" for note in notes))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(f"{name}.part", name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


class _Work:
    """One go at a file, under its lock."""

    def __init__(self, folder: int, name: str, lock: int, journal: _Journal) -> None:
        self.folder = folder
        self.name = name
        self.lock = lock
        self.journal = journal

    def _note(self, note: dict[str, object], *, sync: bool = False) -> None:
        line = json.dumps(note, separators=(",", ":")).encode()
        _write(self.lock, line + b"\n")
        if sync:
            os.fdatasync(self.lock)
        self.journal.take(line)
        self.journal.size += len(line) + 1

    def append(self, entries: Sequence[Entry]) -> list[Appended | Exception]:
        if self.journal.pending is not None:
            self._settle(self.journal.pending)
        outcomes: list[Appended | Exception] = []
        created = not self._exists()
        fd = -1
        start, pieces = b"", list[bytes]()
        keys: list[str] = []
        try:
            for entry in entries:
                if entry.key in self.journal.done or entry.key in keys:
                    outcomes.append(Appended(fresh=False))
                    continue
                if entry.key in self.journal.lost:
                    self._note({"told": entry.key})
                    outcomes.append(
                        UnknownOutcomeError(
                            f"{self.name} was taken away while it was written: this may be in it",
                            cause="file taken away while it was written",
                        )
                    )
                    continue
                if fd < 0:
                    fd = open_regular(self.name, os.O_RDWR | os.O_APPEND | os.O_CREAT, self.folder)
                    start = os.pread(fd, _START_BYTES, 0)
                    pieces += self._line_end(fd, entry)
                try:
                    piece = entry.render(start)
                except DeliveryError as error:
                    outcomes.append(error)
                    continue
                start = start or piece[:_START_BYTES]
                pieces.append(piece)
                keys.append(entry.key)
                outcomes.append(Appended(fresh=True))
            if keys:
                self._write_through(fd, b"".join(pieces), keys, created)
            elif created and fd >= 0:
                os.unlink(self.name, dir_fd=self.folder)
            return outcomes
        finally:
            if fd >= 0:
                os.close(fd)

    def _exists(self) -> bool:
        try:
            os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _line_end(self, fd: int, entry: Entry) -> list[bytes]:
        """What completes a last line that somebody else left open: two rows must not run into one."""
        size = os.fstat(fd).st_size
        width = len(entry.line_feed)
        if size >= width and _read_at(fd, size - width, width) != entry.line_feed:
            return [entry.line_break]
        return []

    def _write_through(self, fd: int, data: bytes, keys: list[str], created: bool) -> None:
        found = os.fstat(fd)
        intent = [keys, found.st_size, len(data), blake2b(data, digest_size=16).hexdigest(), found.st_ino]
        self._note({"intent": intent}, sync=True)
        try:
            _write(fd, data)
            os.fsync(fd)
            if created:
                os.fsync(self.folder)
        except OSError:
            # No space, as a rule: leave the file as it was.
            if os.fstat(fd).st_size <= found.st_size + len(data):
                os.ftruncate(fd, found.st_size)
            self._note({"undone": 1})
            raise
        # Not fsynced: if a power cut takes this note, the digest tells the same.
        self._note({"done": []})

    def _settle(self, intent: _Intent) -> None:
        """Find out how far an append came whose process died."""
        try:
            fd = open_regular(self.name, os.O_RDWR, self.folder)
        except FileNotFoundError:
            self._note({"lost": list(intent.keys)}, sync=True)
            return
        try:
            found = os.fstat(fd)
            end = intent.offset + intent.length
            if found.st_ino != intent.inode:
                self._note({"lost": list(intent.keys)}, sync=True)
                return
            written = _read_at(fd, intent.offset, intent.length)
            if blake2b(written, digest_size=16).hexdigest() == intent.digest:
                os.fsync(fd)
                os.fsync(self.folder)
                self._note({"done": []}, sync=True)
                return
            if intent.offset < found.st_size <= end:
                self._keep_torn(written)
                os.ftruncate(fd, intent.offset)
                os.fsync(fd)
            self._note({"undone": 1}, sync=True)
        finally:
            os.close(fd)

    def _keep_torn(self, written: bytes) -> None:
        fd = open_regular(f".{self.name}.torn", os.O_WRONLY | os.O_CREAT | os.O_APPEND, self.folder)
        try:
            _write(fd, written)
            os.fsync(fd)
        finally:
            os.close(fd)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read_at(fd: int, offset: int, length: int) -> bytes:
    pieces = []
    while length > 0:
        piece = os.pread(fd, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)
