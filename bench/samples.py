"""What Python processes spend their user time on, by sampling: whose code, and which functions.

A process started with `environment(folder)` notes its stack each few milliseconds of its user time, from one `turn` to
the next, as `sampler/sitecustomize.py` says.
"""

from __future__ import annotations

import linecache
import os
import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.processes import ROOT

OURS = "relay"
COLLECTOR = "garbage collector"
LOOP = "asyncio, uvloop"
SERVER = "uvicorn, starlette, httptools"
STORE = "redis-py, hiredis"
CLIENT = "aiohttp, httpx"
THREADS = "threads, queues"
OTHER = "other libraries"

_SAMPLER = ROOT / "bench" / "sampler"

#: Whose a package is. What isn't named is another library's.
_PACKAGES = {
    "uvicorn": SERVER,
    "starlette": SERVER,
    "httptools": SERVER,
    "anyio": SERVER,
    "redis": STORE,
    "hiredis": STORE,
    "aiohttp": CLIENT,
    "httpx": CLIENT,
    "httpx_aiohttp": CLIENT,
    "httpcore": CLIENT,
    "yarl": CLIENT,
    "multidict": CLIENT,
    "dramatiq": "dramatiq",
    "jinja2": "jinja2, jsonpath-ng",
    "jsonpath_ng": "jinja2, jsonpath-ng",
    "structlog": "structlog",
    "pydantic": "pydantic",
}

#: A C function has no frame of its own: the line that calls it tells whose it is.
_CALLS = (
    (re.compile(r"\borjson\."), "orjson"),
    (re.compile(r"ompressor\.(de)?compress\("), "zstandard"),
    (re.compile(r"\bhiredis\.|_reader\.(gets|feed)\("), STORE),
    (re.compile(r"parser\.feed_data\("), SERVER),
    (
        re.compile(r"transport\.(write|writelines|close)\(|run_forever\(|run_until_complete\(|\.call_(at|later|soon)"),
        LOOP,
    ),
)

#: Of the standard library, what is a group of its own. All else works for whoever called it.
_STANDARD = {
    "asyncio": LOOP,
    "threading": "threads, queues",
    "queue": "threads, queues",
    "concurrent": "threads, queues",
}

_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)')


class Frame(NamedTuple):
    file: str
    line: int
    function: str

    @property
    def place(self) -> str:
        """As people write it: `relay/store/codec.py:pack`."""
        file = self.file.partition("/site-packages/")[2] or self.file.removeprefix(f"{ROOT}/")
        return f"{re.sub(r'.*/python3[.][0-9]+/', '', file)}:{self.function}"


@dataclass(slots=True)
class Samples:
    """How many samples were whose, and in which function."""

    total: int = 0
    groups: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)

    def add(self, stack: Sequence[Frame], collecting: bool) -> None:
        if collecting:
            group, place = COLLECTOR, "(the collector of garbage)"
        else:
            group, place = _group(stack), _place(stack)
        self.total += 1
        self.groups[group] += 1
        self.places[place] += 1


def environment(folder: Path) -> dict[str, str]:
    """What has a Python process, and its children, ready to take notes in `folder`."""
    return {"PYTHONPATH": f"{_SAMPLER}:{ROOT}", "BENCH_SAMPLES": str(folder)}


def turn(pids: Iterable[int]) -> None:
    """Processes that take no notes begin to, and those that do leave off."""
    for pid in pids:
        os.kill(pid, signal.SIGUSR2)


def read(file: Path) -> Samples:
    """What a process has noted."""
    samples = Samples()
    for stack, collecting in _stacks(file.read_text(errors="replace").splitlines()):
        samples.add(stack, collecting)
    return samples


def _stacks(lines: list[str]) -> Iterator[tuple[list[Frame], bool]]:
    """Each with its innermost frame first, and whether the collector ran; what marks its work is no sample."""
    collecting = False
    stack: list[Frame] | None = None
    for line in [*lines, "collected"]:
        frame = _FRAME.fullmatch(line)
        if frame is not None:
            if stack is not None:
                stack.append(Frame(frame["file"], int(frame["line"]), frame["function"]))
            continue
        if stack is not None and not any(Path(each.file).parent == _SAMPLER for each in stack):
            yield stack, collecting
        stack = [] if line.startswith(("Stack", "Current thread")) else None
        if line in ("collecting", "collected"):
            collecting = line == "collecting"


def _group(stack: Sequence[Frame]) -> str:
    """Whose the innermost frame is; a helper of the standard library's is its caller's."""
    for frame in stack:
        owner = _owner(frame.file)
        if frame is stack[0]:
            call = linecache.getline(frame.file, frame.line)
            called = next((whose for pattern, whose in _CALLS if pattern.search(call)), None)
            if called is not None and (called == LOOP or owner in (None, OURS)):
                return called
        if owner is not None:
            return owner
    return OTHER


def _place(stack: Sequence[Frame]) -> str:
    """The innermost function; of one that was made at run time, such as a dataclass's, who called it too."""
    if not stack:
        return "(no Python frame)"
    if stack[0].file == "<string>" and len(stack) > 1:
        return f"{stack[1].place}, {stack[0].function}"
    return stack[0].place


def _owner(file: str) -> str | None:
    """None where it works for its caller."""
    package = file.partition("/site-packages/")[2]
    if package:
        return _PACKAGES.get(package.partition("/")[0].removesuffix(".py"), OTHER)
    if file.startswith((f"{ROOT}/relay/", f"{ROOT}/connectors/")):
        return OURS
    standard = re.search(r"/python3\.\d+/(\w+)", file)
    return _STANDARD.get(standard[1]) if standard else None
