"""A Lua script and a call of it, as values: the same command runs on a blocking and on an async connection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Argument = str | bytes | int | float

#: The lanes' own Lua functions: put it before a script that moves messages in one act with data of its own.
LIBRARY = files("relay.lanes").joinpath("lua/lib.lua").read_text()


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and its SHA1, under which the server keeps it."""

    name: str
    text: str
    sha: str

    @classmethod
    def of(cls, name: str, text: str, *, takes_in: bool = False) -> Script:
        """`takes_in`: refused where the store is full. All others work on what is there, and go on."""
        if not takes_in:
            text = "#!lua flags=allow-oom\n" + text
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def lane_script(name: str) -> Script:
    text = files("relay.lanes").joinpath(f"lua/{name}.lua").read_text()
    return Script.of(name, LIBRARY + text, takes_in=name == "enqueue")


def _as_is(reply: Any) -> Any:
    return reply


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """One call: `words` as they go over the wire, and how to read what comes back.

    promised  somebody outside is told that it is done, and doesn't say it again
    """

    words: tuple[Argument, ...]
    read: Callable[[Any], T] = _as_is
    script: Script | None = None
    promised: bool = False

    @classmethod
    def call(
        cls, script: Script, keys: tuple[str, ...], *args: Argument, read: Callable[[Any], T], promised: bool = False
    ) -> Command[T]:
        return cls(("EVALSHA", script.sha, len(keys), *keys, *args), read, script, promised)
