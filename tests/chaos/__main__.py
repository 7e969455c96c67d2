"""`python -m tests.chaos --seconds 600 --seed 1`: rounds of everything that can happen, until the time is up.

A round draws a setting and a schedule of disturbances from its seed, lets them loose on a relay under load, sets
everything right again, waits until the relay has come to rest, and compares the ledgers. The next round's seed is one
more. Exit code 1 where a promise was broken; the command that repeats the round is printed, and its ledgers and logs
are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import redis

from tests.chaos.disturbances import KINDS, Planned, draw
from tests.chaos.judge import Verdict, is_any_dead, judge, leftovers, stopped_lanes
from tests.chaos.sender import Sender
from tests.chaos.stand import Stand
from tests.chaos.workspace import write_recipe

#: How long a relay may take to come to rest when everything around it is well: a lease is 10 s.
SETTLE_SECONDS = 60.0


async def play(seed: int, seconds: float, only: list[str], folder: Path, pace: float) -> Verdict:
    """One round."""
    setting, planned = draw(seed, seconds, only)
    schedule = [f"seed {seed}", f"setting {dataclasses.asdict(setting)}", *map(str, planned)]
    (folder / "schedule.txt").write_text("\n".join(schedule) + "\n")
    rng = Random(seed)
    stand = Stand(folder, setting, rng)
    verdict = Verdict()
    try:
        await stand.start()
        sender = Sender(f"http://127.0.0.1:{stand.to_web.port}", folder / "sender.jsonl", Random(seed), pace)
        sending = asyncio.create_task(sender.run())
        await disturb(stand, planned, seconds)
        died = await settle(stand, sender, sending)
        verdict = await judge(stand, sender, len(planned), died)
        verdict.counts |= {"disturbances": len(planned), "died": len(died)}
    except (TimeoutError, RuntimeError, OSError) as error:
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        await stand.heal()
        verdict.wrong.extend(await stand.stop())
    (folder / "verdict.json").write_text(json.dumps(dataclasses.asdict(verdict), indent=2))
    return verdict


async def disturb(stand: Stand, planned: list[Planned], seconds: float) -> None:
    async def one(disturbance: Planned) -> None:
        await asyncio.sleep(disturbance.at)
        with (stand.folder / "disturbances.log").open("a") as log:
            log.write(f"{time.time():.3f} begins {disturbance}\n")
            await KINDS[disturbance.name].act(stand, disturbance.parameters)
            log.write(f"{time.time():.3f} ended  {disturbance}\n")

    await asyncio.gather(asyncio.sleep(seconds), *(one(disturbance) for disturbance in planned))


async def settle(stand: Stand, sender: Sender, sending: asyncio.Task[None]) -> set[str]:
    """Everything is well, an operator has seen to what waits for one, and the relay has come to rest.

    Returns the events that were dead letters. Raises TimeoutError.
    """
    await stand.heal()
    write_recipe(stand.folder / "recipes", 1000)
    seconds = SETTLE_SECONDS + max(0.0, stand.clock_ahead - stand.clock_offset)
    await stand.until(stand.is_ready, seconds, "ready again")
    stand.family()
    sender.end()
    try:
        await asyncio.wait_for(sending, seconds)
    except TimeoutError:
        raise TimeoutError(f"the sender got no 2xx within {seconds:g} s") from None
    died: set[str] = set()
    left: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError):
            if stopped_lanes(stand):
                await stand.cli("lanes", "resume", "--all", "--yes")
            if is_any_dead(stand):
                rows = await stand.rows("dead", "list", "--limit", "100000")
                events = {row["event"] for row in rows}
                died |= {id_ for id_, sent in sender.sent.items() if sent.ids & events}
                await stand.cli("dead", "replay", "--all", "--yes")
            elif not (left := leftovers(stand)):
                return died
        await asyncio.sleep(0.25)
    raise TimeoutError(f"not at rest within {seconds:g} s: {left[:12]}")


def in_own_mounts() -> None:
    """Start anew in a mount namespace, where a small disk can be had that nobody else sees; or go on without."""
    if "CHAOS_MOUNTS" in os.environ:
        return
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    able = False
    with contextlib.suppress(FileNotFoundError):
        able = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    os.environ["CHAOS_MOUNTS"] = "own" if able else "none"
    if able:
        os.execvp(unshare[0], [*unshare, sys.executable, "-m", "tests.chaos", *sys.argv[1:]])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long in all: no round begins after it")
    parser.add_argument("--rounds", type=int, default=0, help="how many rounds instead")
    parser.add_argument("--round-seconds", type=float, default=10, help="how long disturbances go on in a round")
    parser.add_argument("--seed", type=int, help="of the first round; drawn and printed where it isn't given")
    parser.add_argument("--only", default="", help="kinds of disturbances, with commas")
    parser.add_argument(
        "--pace", type=float, default=0.12, help="seconds between two events of one of the sender's lines"
    )
    parser.add_argument("--folder", type=Path, help="where ledgers and logs of failed rounds are kept")
    parser.add_argument("--keep", action="store_true", help="keep those of good rounds as well")
    parser.add_argument(
        "--list", action="store_true", help="the kinds, and why one can't be had here; or a seed's schedule"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON a round")
    return parser.parse_args()


def show(given: argparse.Namespace, only: list[str]) -> None:
    for name, kind in KINDS.items():
        print(f"{name:12} {kind.lacks() and 'not here: ' + kind.lacks()}".rstrip())
    if given.seed is not None:
        setting, planned = draw(given.seed, given.round_seconds, only)
        print(f"\nseed {given.seed}: {setting}", *planned, sep="\n")


def main() -> int:
    in_own_mounts()
    given = arguments()
    only = [name for name in given.only.split(",") if name]
    if unknown := set(only) - KINDS.keys():
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}", file=sys.stderr)
        return 2
    if given.list:
        show(given, only)
        return 0
    for name, kind in KINDS.items():
        if not given.json and (why := kind.lacks()) and (not only or name in only):
            print(f"without {name}: {why}", flush=True)
    first = given.seed if given.seed is not None else SystemRandom().randrange(1, 10**6)
    home = given.folder or Path(tempfile.mkdtemp(prefix="relay-chaos-"))
    return rounds(given, only, first, home)


def rounds(given: argparse.Namespace, only: list[str], first: int, home: Path) -> int:
    began, done, failed = time.monotonic(), 0, []
    totals = Counter[str]()
    while done < given.rounds if given.rounds else time.monotonic() - began < given.seconds:
        seed = first + done
        folder = home / str(seed)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.monotonic()
        verdict = asyncio.run(play(seed, given.round_seconds, only, folder, given.pace))
        done += 1
        totals.update(verdict.counts)
        repeat = f"python -m tests.chaos --seed {seed} --rounds 1 --round-seconds {given.round_seconds:g}"
        repeat += f" --pace {given.pace:g}" + (f" --only {','.join(only)}" if only else "")
        tell(given.json, seed, time.monotonic() - start, verdict, folder, repeat)
        if verdict.wrong:
            failed.append(seed)
        elif not given.keep:
            shutil.rmtree(folder)
    summary: dict[str, Any] = {
        "rounds": done,
        "failed": failed,
        "took_seconds": round(time.monotonic() - began),
        **totals,
    }
    print(
        json.dumps(summary) if given.json else "  ".join(f"{key} {value}" for key, value in summary.items()), flush=True
    )
    if not failed and not given.keep and not given.folder:
        home.rmdir()
    return 1 if failed else 0


def tell(as_json: bool, seed: int, took: float, verdict: Verdict, folder: Path, repeat: str) -> None:
    if as_json:
        line = {"seed": seed, "status": "failed" if verdict.wrong else "passed", "took_seconds": round(took, 1)}
        print(json.dumps(line | {"wrong": verdict.wrong, "counts": verdict.counts, "repeat": repeat}), flush=True)
        return
    counts = "  ".join(f"{key} {value}" for key, value in verdict.counts.items())
    print(f"seed {seed}  {'FAILED' if verdict.wrong else 'ok'}  {took:.0f} s  {counts}", flush=True)
    if verdict.wrong:
        for wrong in verdict.wrong:
            print(f"    {wrong}")
        print(
            (folder / "schedule.txt").read_text(),
            f"ledgers and logs: {folder}\nto repeat it: {repeat}",
            sep="",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
