"""Run by test_append: appends in child processes that are SIGKILLed, at every call to the system and at random."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from connectors.files import append
from connectors.files.append import Appended, Entry, append_all

HEADER = b"n,text\n"


def entry(n: int) -> Entry:
    line = f"{n},{'x' * (n % 7 * 100)}\n".encode()
    return Entry(f"dlv_{n}", lambda start: line if start else HEADER + line)


def expected(count: int) -> list[bytes]:
    return sorted(f"{n},{'x' * (n % 7 * 100)}".encode() for n in range(count))


def die_at(point: int, half: bool) -> list[int]:
    """Make this process kill itself at its n-th call that changes something; with `half`, in the middle of a write."""
    calls = [0]

    def wrap(name: str) -> None:
        real = getattr(os, name)

        def wrapped(*args: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == point:
                if half and name == "write":
                    fd, data = args
                    real(fd, bytes(data)[: max(1, len(data) // 2)])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        setattr(os, name, wrapped)

    for name in ("open", "write", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mkdir", "close"):
        wrap(name)
    return calls


def work(root: Path, todo: list[list[int]]) -> None:
    for group in todo:
        for outcome in append_all(root, "in/chats.csv", [entry(n) for n in group]):
            assert isinstance(outcome, Appended), outcome


def child(job: Any) -> int:
    """Fork, do the job, and give back how the child ended."""
    pid = os.fork()
    if pid == 0:
        try:
            job()
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def check(root: Path, count: int) -> None:
    first, *rest = (root / "in/chats.csv").read_bytes().splitlines()
    assert first + b"\n" == HEADER, first
    assert sorted(rest) == expected(count), f"{len(rest)} rows, {count} expected: {sorted(rest)[:9]}"
    assert (root / "in/chats.csv").read_bytes().endswith(b"\n")


def at_every_point(folder: Path) -> int:
    """The same groups before, during and after the kill; every row must be there once."""
    append.REMEMBERED = 6  # so that the journal is shortened on the way, too
    todo = [[0], [1, 2], [3], [4, 5, 6], [7], [8], [9], [10], [11], [12]]
    killed = 0
    for half in (False, True):
        point = 0
        while True:
            point += 1
            root = folder / f"{half}{point}"

            def dying(root: Path = root, point: int = point, half: bool = half) -> None:
                die_at(point, half)
                work(root, todo)

            ended = child(dying)
            if ended == 0:
                break
            assert ended == signal.SIGKILL, ended
            killed += 1
            # A delivery is tried again until it is acknowledged: the group that died, and those after it.
            done = len(todo)
            for start in range(len(todo)):
                if not _reached(root, todo[start]):
                    done = start
                    break
            assert child(lambda root=root, done=done: work(root, todo[max(0, done - 1) :])) == 0
            check(root, 13)
    return killed


def _reached(root: Path, group: list[int]) -> bool:
    path = root / "in/chats.csv"
    there = path.read_bytes().splitlines() if path.exists() else []
    return all(f"{n},{'x' * (n % 7 * 100)}".encode() in there for n in group)


def at_random(folder: Path, rounds: int) -> int:
    """Two processes append to one file, are killed at any moment, and start again where nobody acknowledged."""
    root = folder / "random"
    chance = random.Random(7)
    count, killed = 1500, 0
    acknowledged: set[int] = set()
    for round_ in range(rounds + 1):
        pids = []
        for worker in (0, 1):
            todo = [n for n in range(worker, count, 2) if n not in acknowledged]
            notes = folder / f"acknowledged-{round_}-{worker}"
            pid = os.fork()
            if pid == 0:
                out = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                for at in range(0, len(todo), 3):
                    group = todo[at : at + 3]
                    work(root, [group])
                    os.write(out, "".join(f"{n}\n" for n in group).encode())
                os._exit(0)
            pids.append((pid, notes))
        if round_ < rounds:
            time.sleep(chance.uniform(0.001, 0.03))
            for pid, _ in pids:
                os.kill(pid, signal.SIGKILL)
        for pid, notes in pids:
            killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
            if notes.exists():
                # The last acknowledgement is lost with the process.
                lines = notes.read_text().splitlines()
                acknowledged.update(int(n) for n in (lines[:-3] if round_ < rounds else lines))
    check(root, count)
    return killed


if __name__ == "__main__":
    where = Path(sys.argv[2])
    print(at_every_point(where) if sys.argv[1] == "every" else at_random(where, 25))
