"""The command line as typer declares it: what commands there are, and whether a line that a document quotes is one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from relay.cli import app

#: What ends a command on a shell's line.
_ENDS = {"|", ">", ">>", "<", "&&", "||", ";", "&", "2>&1", "2>"}


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command that does something, by its words: `("events", "list")`."""
    return dict(_leaves((), typer.main.get_command(app)))


def _leaves(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from _leaves((*words, name), each)
        else:
            yield (*words, name), each


def parse(line: str) -> tuple[str, ...]:
    """The command that a line starting with `relay` calls. Raises typer's usage errors, or ValueError."""
    words = _words(line)
    if words[:1] != ["relay"]:
        raise ValueError(f"not a relay command: {line!r}")
    words = words[1:]
    if words[:1] in (["--help"], ["-h"], []):
        return ()
    for length in (2, 1):
        command = commands().get(tuple(words[:length]))
        if command is not None:
            rest = [word for word in words[length:] if word not in ("--help", "-h")]
            if len(rest) == len(words) - length:
                command.make_context(" ".join(words[:length]), rest)
            return tuple(words[:length])
    raise ValueError(f"there is no command `relay {' '.join(words[:2])}`")


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in lexer:
        if word in _ENDS:
            break
        words.append(word)
    return words
