"""What can happen: each kind draws its parameters from a seeded generator, and is carried out on a stand.

`draw` gives the same schedule for the same seed, seconds and kinds; what the machine makes of it differs a
little.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil
import redis

from tests.chaos import proxy, workspace
from tests.chaos.sink import MOODS
from tests.chaos.stand import FAKETIME, Setting, Stand

LEASE_SECONDS = 10.0
PROCESSES = ("web", "worker", "valkey", "relay")

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of disturbance.

    draw    its parameters; `seconds` among them is how long it lasts
    act     carries it out, and undoes it
    lacks   why it can't be carried out here, with the remedy; empty where it can
    needs   what the round's setting has to have for it
    """

    draw: Callable[[Random], dict[str, Any]]
    act: Callable[[Stand, Parameters], Awaitable[None]]
    lacks: Callable[[], str] = lambda: ""
    needs: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """One disturbance of a schedule; `at` is seconds after the round's begin."""

    at: float
    name: str
    parameters: Parameters

    def __str__(self) -> str:
        return f"{self.at:6.2f}  {self.name}  {json.dumps(dict(self.parameters))}"


def draw(seed: int, seconds: float, only: Sequence[str] = ()) -> tuple[Setting, list[Planned]]:
    """The setting and the schedule of a round."""
    rng = Random(seed)
    able = [name for name, kind in KINDS.items() if not kind.lacks() and (not only or name in only)]
    chosen = rng.sample(able, min(len(able), rng.randint(2, 5)))
    setting: dict[str, Any] = {"workers": rng.choice((1, 1, 2)), "other_worker": rng.random() < 0.15}
    setting["proxied"] = rng.random() < 0.15
    for name in chosen:
        setting |= KINDS[name].needs or {}
    planned, at = [], rng.uniform(0.5, 1.5)
    while at < seconds and chosen:
        name = rng.choice(chosen)
        parameters = KINDS[name].draw(rng)
        planned.append(Planned(round(at, 2), name, parameters))
        at += rng.choice((0.1, 0.7, 2.0)) * rng.uniform(0.5, 1.5)
        # Long ones may overlap with what comes, but not with many more of their kind.
        at += rng.choice((0.0, 0.5)) * parameters.get("seconds", 0)
    return Setting(**setting), planned


# -- processes


def _draw_kill(rng: Random) -> dict[str, Any]:
    return {"which": rng.choice(PROCESSES), "nth": rng.randrange(3)}


def _pick(stand: Stand, parameters: Parameters) -> psutil.Process | None:
    found = stand.family()[parameters["which"]]
    return found[parameters["nth"] % len(found)] if found else None


async def _kill(stand: Stand, parameters: Parameters) -> None:
    if (process := _pick(stand, parameters)) is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _draw_freeze(rng: Random) -> dict[str, Any]:
    long = rng.random() < 0.2
    seconds = rng.uniform(LEASE_SECONDS + 1, LEASE_SECONDS + 4) if long else rng.uniform(0.2, 4)
    return _draw_kill(rng) | {"seconds": round(seconds, 2)}


async def _freeze(stand: Stand, parameters: Parameters) -> None:
    process = _pick(stand, parameters)
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(parameters["seconds"])
        finally:
            process.send_signal(signal.SIGCONT)


async def _restart(stand: Stand, _: Parameters) -> None:
    service = stand.services["relay"]
    stand.family()
    if service.process is not None:
        service.process.send_signal(signal.SIGTERM)


# -- the store


async def _memory_full(stand: Stand, parameters: Parameters) -> None:
    with contextlib.suppress(redis.RedisError):
        await asyncio.to_thread(stand.limit_memory, "1")
        await asyncio.sleep(parameters["seconds"])
        await stand.free_memory()


async def _disk_full(stand: Stand, parameters: Parameters) -> None:
    ballast = stand.data / "valkey" / "ballast"
    for size in (65536, 512):
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass
    try:
        await asyncio.sleep(parameters["seconds"])
    finally:
        ballast.unlink(missing_ok=True)


def _no_mount() -> str:
    if os.environ.get("CHAOS_MOUNTS") == "own":
        return ""
    return "no mount namespace of our own: run as root, or allow user namespaces"


async def _slow_disk(stand: Stand, parameters: Parameters) -> None:
    """The kernel holds each fsync of the store up, by strace's fault injection."""
    process = next(iter(stand.family()["valkey"]), None)
    if process is None:
        return
    calls, delay = "fsync,fdatasync", parameters["delay_ms"] * 1000
    words = [
        "strace",
        "-f",
        "-q",
        "-o",
        "/dev/null",
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:delay_enter={delay}",
    ]
    strace = subprocess.Popen([*words, "-p", str(process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(parameters["seconds"])
    finally:
        strace.terminate()
        await asyncio.to_thread(strace.wait, 20)


def _no_strace() -> str:
    if not shutil.which("strace"):
        return "no strace here: apt-get install strace"
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if os.geteuid() != 0 and scope.exists() and scope.read_text().strip() != "0":
        return "strace may attach to nobody: run as root"
    return ""


# -- the network


def _draw_cut(rng: Random) -> dict[str, Any]:
    return {"mode": rng.choice(proxy.MODES), "seconds": round(rng.uniform(0.2, 4), 2)}


def _cut(name: str) -> Callable[[Stand, Parameters], Awaitable[None]]:
    async def act(stand: Stand, parameters: Parameters) -> None:
        which: proxy.FaultProxy = getattr(stand, name)
        which.set(parameters["mode"])
        try:
            await asyncio.sleep(parameters["seconds"])
        finally:
            which.set("pass")

    return act


# -- the clock


async def _step_clock(stand: Stand, parameters: Parameters) -> None:
    stand.set_clock(stand.clock_offset + parameters["by_seconds"])


def _no_faketime() -> str:
    return "" if FAKETIME else "no libfaketime here: apt-get install faketime"


# -- the destination


def _draw_mood(rng: Random) -> dict[str, Any]:
    place = rng.choice(workspace.PATHS)
    return {"place": place, "mood": rng.choice(MOODS), "seconds": round(rng.uniform(0.3, 4), 2)}


async def _mood(stand: Stand, parameters: Parameters) -> None:
    place, mood = parameters["place"], parameters["mood"]
    await stand.set_mood(place, mood)
    try:
        await asyncio.sleep(parameters["seconds"])
    finally:
        await stand.set_mood(place, "")
        if mood in ("401", "410"):
            # As an operator does; where the store is away just now, at the end of the round.
            with contextlib.suppress(RuntimeError, TimeoutError):
                await stand.cli("lanes", "resume", place)


# -- the recipes

MISTAKES = ("recipe: [", "recipe: Edited\ncatch: chats\nsteps:\n  post: {to: nowhere, with: {}}\n", "")


def _draw_edit(rng: Random) -> dict[str, Any]:
    return {"what": rng.choice(("valid", "valid", "invalid")), "nth": rng.randrange(1, 1000)}


async def _edit(stand: Stand, parameters: Parameters) -> None:
    folder, nth = stand.folder / "recipes", parameters["nth"]
    if parameters["what"] == "valid":
        workspace.write_recipe(folder, nth)
    else:
        workspace.save(folder / "edited.yaml", MISTAKES[nth % len(MISTAKES)])
        await asyncio.sleep(1 + nth % 3)
        workspace.write_recipe(folder, nth)


def _seconds(least: float, most: float) -> Callable[[Random], dict[str, Any]]:
    return lambda rng: {"seconds": round(rng.uniform(least, most), 2)}


def _draw_slow(rng: Random) -> dict[str, Any]:
    return {"delay_ms": rng.choice((20, 100, 400)), "seconds": round(rng.uniform(1, 5), 2)}


def _draw_step(rng: Random) -> dict[str, Any]:
    return {"by_seconds": round(rng.choice((-1, 1)) * rng.choice((0.05, 1, 12)) * rng.uniform(0.5, 1.5), 3)}


KINDS: dict[str, Kind] = {
    "kill": Kind(_draw_kill, _kill),
    "freeze": Kind(_draw_freeze, _freeze),
    "restart": Kind(lambda _: {}, _restart),
    "memory-full": Kind(_seconds(0.3, 4), _memory_full),
    "disk-full": Kind(_seconds(0.3, 4), _disk_full, _no_mount, {"small_disk": True}),
    "slow-disk": Kind(_draw_slow, _slow_disk, _no_strace),
    "cut-sender": Kind(_draw_cut, _cut("to_web")),
    "cut-sink": Kind(_draw_cut, _cut("to_sink")),
    "cut-store": Kind(_draw_cut, _cut("to_store"), needs={"proxied": True}),
    "clock": Kind(_draw_step, _step_clock, _no_faketime, {"proxied": True, "fake_clock": True}),
    "destination": Kind(_draw_mood, _mood),
    "recipe": Kind(_draw_edit, _edit),
}
