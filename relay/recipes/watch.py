"""Watching a workspace's folder: what has changed is taken when it has settled.

By looking, not by the kernel's notices: those don't come over network drives and the mounts of containers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from relay.recipes.files import FILE, Content, Files, Signature, read_file, secrets_in, signature_of, signatures

#: A file that stayed as it is for so long is whole.
QUIET_SECONDS = 0.2

#: One that got shorter, is empty or is gone may be in the middle of being written: editors empty a file, or put another
#: in its place.
SHRUNK_SECONDS = 0.7

#: So long a file that is whole waits for others that aren't: a checkout of many is best taken together.
PATIENCE_SECONDS = 0.7

#: The clock of a file system may tick as slowly as this: two changes within a tick look like one.
_TICK_SECONDS = 3.0

_LENGTH = 2

#: No file's: what was taken isn't what is there.
_ANOTHER: Signature = (-1, -1, -1, -1)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A file that isn't what was taken of it. `since` it has been as it is now."""

    signature: Signature | None
    since: float
    settles: float


class Watch:
    """A folder, and what was taken of it last."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = Path(folder)
        self.files = Files(self.folder, {})
        #: Secrets of a relay.yaml that isn't the folder's.
        self.also: Iterable[str] = ()
        self._clock = clock
        self._secrets: list[str] = []
        self._taken: dict[str, Signature] = {}
        self._pending: dict[str, _Pending] = {}
        self._read_at: dict[str, float] = {}

    def begin(self) -> Files:
        """What is there now. Secrets are known when relay.yaml has been read."""
        self.look(at_once=True)
        self.look(at_once=True)
        return self.files

    @property
    def settling(self) -> bool:
        """Whether something has changed that isn't taken yet."""
        return bool(self._pending)

    def look(self, *, at_once: bool = False) -> bool:
        """True where `files` is new. `at_once` takes what is there without waiting for it to settle."""
        now = self._clock()
        seen = self._see()
        self._read_again(now)
        if seen == self._taken:
            self._pending.clear()
            return False
        for name in seen.keys() | self._taken.keys():
            self._compare(name, seen.get(name), now)
        settled = [name for name, one in self._pending.items() if at_once or now - one.since >= one.settles]
        waits = len(settled) < len(self._pending)
        if waits and not any(now - self._pending[name].since >= PATIENCE_SECONDS for name in settled):
            return False
        return self._take(settled, now)

    def _see(self) -> dict[str, Signature]:
        """The files as they are. Without relay.yaml the folder isn't what it was: nothing else of it is believed.

        A network drive that is gone leaves an empty folder, and no recipe may go out of force by that.
        """
        try:
            seen = signatures(self.folder, [*self._secrets, *self.also])
        except OSError:
            seen = {}
        if FILE not in seen:
            seen = {name: signature for name, signature in self._taken.items() if name != FILE}
        return seen

    def _compare(self, name: str, signature: Signature | None, now: float) -> None:
        before = self._taken.get(name)
        if signature == before:
            self._pending.pop(name, None)
            return
        pending = self._pending.get(name)
        if pending is None or pending.signature != signature:
            shrunk = signature is None or not signature[_LENGTH] or (before and signature[_LENGTH] < before[_LENGTH])
            self._pending[name] = _Pending(signature, now, SHRUNK_SECONDS if shrunk else QUIET_SECONDS)

    def _take(self, names: list[str], now: float) -> bool:
        contents: dict[str, Content] = dict(self.files.contents)
        for name in names:
            signature = self._pending[name].signature
            content = read_file(self.folder, name) if signature is not None else None
            if signature_of(self.folder, name) != signature:
                continue  # changed while it was read: the next look sees it
            del self._pending[name]
            if signature is None or content is None:
                contents.pop(name, None)
                self._taken.pop(name, None)
                continue
            contents[name] = content
            self._taken[name] = signature
            self._read_at[name] = now
        if contents == self.files.contents:
            return False  # touched, or saved as it was
        self.files = Files(self.folder, contents)
        self._secrets = secrets_in(contents.get(FILE))
        return True

    def _read_again(self, now: float) -> None:
        """What was read in the tick in which it was written may have been written again in it, and look the same."""
        for name, at in list(self._read_at.items()):
            if now - at < _TICK_SECONDS:
                continue
            del self._read_at[name]
            if name in self._taken and read_file(self.folder, name) != self.files.contents.get(name):
                self._taken[name] = _ANOTHER
