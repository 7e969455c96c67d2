"""Where the CPU goes, an event: the relay's own code, each library's, the interpreter's collector, the kernel.

The same load twice, 64 connections into `relay up` whose lane may make 64 calls at once: once as it is, for the
CPU of each process; once with every Python process sampled, for the shares of its user time. The store's time is told
by its own statistics of commands. The slowest functions are told as progress, the first of them first.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import redis

from bench import samples, workspace
from bench.processes import BenchError, RelayHandle, SinkHandle, eventually, folder, load_relay, relay_up, sink
from bench.report import Bench, Row
from relay import embedded

PYTHONS = ("web", "worker")
CONCURRENCY = 64

_WARM = 1000
_TOLD = 15


#: Once in thousands of samples Python 3.11's faulthandler reads a frame that is just being made: its process is gone.
_TRIES = 4


class _DiedError(BenchError):
    """Figures of a relay that lost a process on the way are of no use."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one run: microseconds an event.

    user, kernel    by process
    store           what its commands took, and writing and syncing what it keeps
    commands        by command: how many an event, and what they took
    found           the samples of a process; empty where none were taken
    """

    user: dict[str, float]
    kernel: dict[str, float]
    store: dict[str, float]
    commands: dict[str, tuple[float, float]]
    found: dict[str, samples.Samples]


def measure(bench: Bench) -> list[Row]:
    events = bench.pick(6_000, 2_000)
    spent: dict[tuple[str, str], list[float]] = {}
    with sink() as there:
        for turn in range(bench.rounds):
            plain = _run(there, events, sampled=False)
            sampled = _sampled(bench, there, events)
            for process, part, value in _parts(plain, sampled):
                spent.setdefault((process, part), [0.0] * turn).append(value)
            for values in spent.values():
                # What had no sample in this round.
                values += [0.0] * (turn + 1 - len(values))
            for process in PYTHONS:
                _tell(bench, process, plain, sampled)
            _tell_commands(bench, plain)
    order = ["web", "worker", "valkey", "supervisor"]
    rows = sorted(spent.items(), key=lambda item: (order.index(item[0][0]), -sum(item[1])))
    return [Row("where", f"{process}: {part}", "µs", values) for (process, part), values in rows if any(values)]


def _parts(plain: Costs, sampled: Costs) -> list[tuple[str, str, float]]:
    """(process, part, microseconds): the parts of a Python process sum up to its `all`."""
    parts = []
    for process in plain.user:
        user, kernel = plain.user[process], plain.kernel[process]
        parts += [(process, "all", user + kernel), (process, "kernel", kernel)]
        if process in PYTHONS:
            found = sampled.found[process]
            parts += [(process, group, user * number / found.total) for group, number in found.groups.items()]
    parts += [("valkey", name, value) for name, value in plain.store.items()]
    return parts


def _tell(bench: Bench, process: str, plain: Costs, sampled: Costs) -> None:
    found, user = sampled.found[process], plain.user[process]
    bench.say(
        f"{process}: {user:.0f} µs of user time an event ({sampled.user[process]:.0f} when sampled), "
        f"{plain.kernel[process]:.0f} of the kernel's; {found.total} samples"
    )
    for place, number in found.places.most_common(_TOLD):
        each = user / found.total
        bench.say(f"    {number * each:6.1f} ±{number**0.5 * each:4.1f} µs  {place}")


def _tell_commands(bench: Bench, plain: Costs) -> None:
    """What a script calls is counted in the script too."""
    bench.say("valkey: its commands, how many an event and what they took on the clock")
    for name, (calls, took) in sorted(plain.commands.items(), key=lambda item: -item[1][1])[:_TOLD]:
        bench.say(f"    {took:6.1f} µs  {calls:5.2f}  {name}")


def _sampled(bench: Bench, there: SinkHandle, events: int) -> Costs:
    """Raises BenchError."""
    for _ in range(_TRIES - 1):
        try:
            return _run(there, events, sampled=True)
        except _DiedError as error:
            bench.say(f"once more: {error}")
    return _run(there, events, sampled=True)


def _run(there: SinkHandle, events: int, *, sampled: bool) -> Costs:
    with contextlib.ExitStack() as running:
        home, notes = running.enter_context(folder()), running.enter_context(folder())
        there.reset()
        workspace.write_chat(home, there.port, CONCURRENCY)
        # One lane never fills a worker: with room for twice as many, it may have all that its limit allows.
        more = {"RELAY_CONCURRENCY": str(2 * CONCURRENCY), **(samples.environment(notes) if sampled else {})}
        relay = running.enter_context(relay_up(home, more=more))
        store = running.enter_context(contextlib.closing(redis.Redis.from_url(embedded.url(home / "data"))))
        load_relay(relay.port, "--events", _WARM, "--series", "warm")
        relay.wait_until_settled(_WARM)
        pids = _pids(relay)
        noting = [pids[name] for name in PYTHONS] if sampled else []
        before, store_before, commands_before = _times(relay), _store_times(store), _commands(store)
        samples.turn(noting)
        load_relay(relay.port, "--events", events, "--series", "run")
        eventually(lambda: _settled(relay, pids, _WARM + events), 300, f"{events} deliveries recorded", 0.2)
        samples.turn(noting)
        after, store_after, commands = _times(relay), _store_times(store), _commands(store)
        found = {name: samples.read(notes / str(pids[name])) for name in PYTHONS} if sampled else {}
    user, kernel = (
        {name: (times[at] - before[name][at]) / events * 1e6 for name, times in after.items()} for at in (0, 1)
    )
    in_store = {name: (took - store_before[name]) / events for name, took in store_after.items()}
    by_command = {}
    for name, (calls, took) in commands.items():
        calls_before, took_before = commands_before.get(name, (0.0, 0.0))
        by_command[name] = ((calls - calls_before) / events, (took - took_before) / events)
    return Costs(user, kernel, in_store, by_command, found)


def _settled(relay: RelayHandle, pids: dict[str, int], number: int) -> bool:
    """Raises _DiedError."""
    if _pids(relay) != pids:
        raise _DiedError("a process died and was started again")
    return relay.settled() >= number


def _pids(relay: RelayHandle) -> dict[str, int]:
    return {name: process.pid for name, process in relay.processes().items()}


def _times(relay: RelayHandle) -> dict[str, tuple[float, float]]:
    """User and system seconds so far, by process."""
    return {name: process.cpu_times()[:2] for name, process in relay.processes().items()}


def _store_times(store: redis.Redis) -> dict[str, float]:
    """Microseconds so far, on the clock: in commands and scripts; in writing to its file, and syncing it."""
    return {
        "in commands (on the clock)": float(store.info("stats")["eventloop_duration_cmd_sum"]),
        "writing and syncing (on the clock)": float(store.info("debug")["eventloop_duration_aof_sum"]),
    }


def _commands(store: redis.Redis) -> dict[str, tuple[float, float]]:
    """How many calls so far, and how many microseconds of them, by command."""
    told = store.info("commandstats").items()
    return {name.removeprefix("cmdstat_"): (float(each["calls"]), float(each["usec"])) for name, each in told}
