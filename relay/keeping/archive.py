"""The archive: a folder with one compressed JSON Lines file a day, to which lines are only ever appended.

Each append is one frame of zstd behind a mark, which is a frame that zstd skips: `zstdcat` reads the whole file. By the
marks, a reader finds its way past what a kill, a full disk or a bad one left in the middle.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import zstandard

from relay.clock import now
from relay.errors import ConfigError

#: A skippable frame (RFC 8878, 3.1.2) of sixteen bytes: our name, and how long the frame behind it is.
_MARK = struct.pack("<II", 0x184D2A50, 16) + b"relayarc"
_LENGTH = struct.Struct("<Q")
_HEAD_BYTES = len(_MARK) + _LENGTH.size

#: `2026-03-04.jsonl.zst`; behind the day may stand what tells the files of several hosts apart.
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[-.][\w.-]+)?\.jsonl\.zst")


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that are no frame, or can't be unpacked."""

    file: Path
    at: int
    bytes: int


class Archive:
    """The files of one folder. One process appends at a time; any number read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damages: list[Damage] = []
        self._compressor = zstandard.ZstdCompressor(level=9, write_checksum=True, write_content_size=True)
        self._sound: dict[Path, int] = {}

    # -- writing

    def append(self, lines: Iterable[bytes]) -> Path:
        """Write lines into today's file (UTC). On disk when this returns. Raises OSError."""
        packed = self._compressor.compress(b"\n".join([*lines, b""]))
        # Bodies of events lie in it: nobody else's to read.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{now().date().isoformat()}.jsonl.zst"
        is_new = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(fd, "r+b", buffering=0) as file:  # noqa: PTH123 - it has to be made with its mode
            fcntl.flock(file, fcntl.LOCK_EX)
            size = self._mended(path, file)
            _write(fd, _MARK + _LENGTH.pack(len(packed)) + packed)
            os.fsync(fd)
            self._sound[path] = size + _HEAD_BYTES + len(packed)
        if is_new:
            _sync_folder(self.folder)
        return path

    def _mended(self, path: Path, file: Any) -> int:
        """The size of the file, without what an append that was cut off left at its end: that was promised to none."""
        size = os.fstat(file.fileno()).st_size
        if size in (0, self._sound.get(path)):
            return size
        frames, rest = _frames(file)
        end = frames[-1][1] if frames else 0
        if rest and rest[-1] == (end, size):
            os.ftruncate(file.fileno(), end)
            return end
        return size

    # -- reading

    def files(self, day: date | None = None) -> list[Path]:
        """Those of a day, or all, the newest day first. Raises ConfigError where there is no such folder."""
        if not self.folder.is_dir():
            raise ConfigError(f"there is no archive in {self.folder}; name its folder by --folder or RELAY_ARCHIVE")
        found = [(match[1], path) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for of, path in sorted(found, reverse=True) if day is None or of == day.isoformat()]

    def events(self, day: date | None = None) -> Iterator[dict[str, Any]]:
        """The archived events, each once, the one written last first. What can't be read is noted in `damages`."""
        seen = set[str]()
        for path in self.files(day):
            for line in self._lines(path):
                if line.get("kind") == "event" and line["id"] not in seen:
                    seen.add(line["id"])
                    yield line

    def _lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """Last first."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return
            frames, rest = _frames(file)
            self.damages += [Damage(path, start, end - start) for start, end in rest]
            for start, end in reversed(frames):
                file.seek(start + _HEAD_BYTES)
                packed = file.read(end - start - _HEAD_BYTES)
                try:
                    lines = zstandard.ZstdDecompressor().decompress(packed).splitlines()
                    parsed = [orjson.loads(line) for line in reversed(lines)]
                except (zstandard.ZstdError, orjson.JSONDecodeError, MemoryError):
                    self.damages.append(Damage(path, start, end - start))
                    continue
                yield from parsed


Spans = list[tuple[int, int]]


def _frames(file: Any) -> tuple[Spans, Spans]:
    """(start, end) of each frame with its mark, and of what lies between and behind them."""
    frames: Spans = []
    rest: Spans = []
    with contextlib.closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
        at, size = 0, len(data)
        while at < size:
            end = at
            if data[at : at + len(_MARK)] == _MARK and at + _HEAD_BYTES <= size:
                end = at + _HEAD_BYTES + _LENGTH.unpack_from(data, at + len(_MARK))[0]
            if at < end <= size:
                frames.append((at, end))
                at = end
                continue
            # Not whole: on from the next mark.
            found = data.find(_MARK, at + 1)
            end = found if found >= 0 else size
            rest.append((at, end))
            at = end
    return frames, rest


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
