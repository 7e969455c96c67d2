"""Events a CPU-second through connectors, each beside its bare library doing the same for the same destination.

Two figures for each: the connector alone (rendered fields in, a delivery out), and the worker process of a whole relay,
which routes, renders, gathers rows into batches, sends and records. References: httpx over httpx-aiohttp for `http`;
with PyPI's standardwebhooks signing for `webhook`; gspread's append with a service account for `google_sheets`;
asyncssh writing, syncing, checking and renaming CSV files for `sftp`. Rows travel a hundred a call on both sides.

The spreadsheet is the tests' strict one, the SFTP server OpenSSH's sshd; neither's CPU is counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import workspace
from bench.processes import BenchError, eventually, folder, load_relay, relay_up, run_module, sink
from bench.report import Bench, Row
from bench.through import COLUMNS, KINDS, POSTERS, ROWS, TAB, step
from relay.testing import RecordingServer
from tests.connectors.fake_google_sheets import BOOK, FakeGoogle
from tests.servers import openssh_server

UNIT = "events/CPU-s"

_LIBRARIES = {
    "http": "httpx-aiohttp",
    "webhook": "httpx-aiohttp + standardwebhooks",
    "google_sheets": "gspread",
    "sftp": "asyncssh",
}
_SECRET = "whsec_YmVuY2gtc2VjcmV0LW9mLXRoZS13ZWJob29r"


@dataclass(frozen=True, slots=True)
class _Destination:
    """A running one. `rows` is how many events have arrived, `clear` forgets them."""

    config: Mapping[str, Any]
    rows: Callable[[], int]
    clear: Callable[[], None]


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def measure(bench: Bench) -> list[Row]:
    rows: list[Row] = []
    for kind in KINDS:
        with contextlib.ExitStack() as running:
            home = running.enter_context(folder())
            try:
                destination = running.enter_context(_destination(kind, home))
            except BaseException as error:
                if type(error).__name__ != "Skipped":  # pytest's, of a server that isn't installed
                    raise
                raise BenchError(str(error)) from None
            rows += _measured(bench, kind, home, destination)
    return rows


def _measured(bench: Bench, kind: str, home: Path, destination: _Destination) -> list[Row]:
    events, warm = bench.pick(3000, 600), 200
    theirs: list[float] = []
    alone: list[float] = []
    ours: list[float] = []
    file = home / "connection.json"
    file.write_bytes(orjson.dumps(dict(destination.config)))
    workspace.write(home, _relay_yaml(destination), {"forward": _recipe(kind)})
    with relay_up(home) as relay:

        def through_relay(number: int, series: str) -> float:
            destination.clear()
            before = relay.cpu_seconds()["worker"]
            load_relay(relay.port, "--events", number, "--series", series)
            eventually(lambda: destination.rows() >= number, 120, f"{number} events at {kind}", pause=0.1)
            return relay.cpu_seconds()["worker"] - before

        through_relay(warm, "warm")
        for turn in range(bench.rounds):
            for side, figures in (("bare", theirs), ("alone", alone)):
                destination.clear()
                words = ("--config", file, "--events", events, "--series", f"{side}{turn}")
                figures.append(events / run_module("bench.through", kind, side, *words)["cpu_s"])
                if destination.rows() < events:
                    raise BenchError(f"{kind}, {side}: {destination.rows()} of {events} events arrived")
            ours.append(events / through_relay(events, f"r{turn}"))
            bench.say(f"{kind}: bare {theirs[-1]:,.0f}, alone {alone[-1]:,.0f}, worker {ours[-1]:,.0f} /CPU-s")
    library = _LIBRARIES[kind]
    return [
        Row("connectors", f"{kind}, connector alone", UNIT, alone, library, theirs),
        Row("connectors", f"{kind}, worker process", UNIT, ours, library, theirs),
    ]


def _relay_yaml(destination: _Destination) -> dict[str, Any]:
    limit = {"limit": {"concurrency": POSTERS, "rate": "100000/s"}}
    return {"sources": {"chat": workspace.source()}, "connections": {"there": {**destination.config, **limit}}}


def _recipe(kind: str) -> dict[str, Any]:
    recipe = workspace.recipe("chat", "there")
    values = {"id": "$.id", "name": "$name", "email": "$email", "closed": "$closed"}
    sent = "json" if kind in ("http", "webhook") else "row"
    one = step(kind)
    one["with"] = {**one["with"], sent: values}
    if sent == "row":
        one["batch"] = {"every": "1s", "max": ROWS}
    if kind == "sftp":
        one["with"]["path"] = "chats.csv"
    return {**recipe, "steps": {"send": {"to": "there", **one}}}


@contextlib.contextmanager
def _destination(kind: str, home: Path) -> Iterator[_Destination]:
    match kind:
        case "google_sheets":
            with _spreadsheet() as destination:
                yield destination
        case "sftp":
            with openssh_server(home / "sshd") as server:
                yield _Destination(
                    server.config,
                    lambda: sum(len(file.read_text().splitlines()) - 1 for file in server.root.glob("*.csv")),
                    lambda: _empty(server.root),
                )
        case _:
            with sink() as there:
                url = f"http://127.0.0.1:{there.port}"
                address = {"base_url": url} if kind == "http" else {"url": f"{url}/chats", "secrets": [_SECRET]}
                config = {"connector": kind, "allow_private": True, **address}
                yield _Destination(config, lambda: int(there.ask("/_stats")["unique"]), there.reset)


@contextlib.contextmanager
def _spreadsheet() -> Iterator[_Destination]:
    google = FakeGoogle(list(COLUMNS))

    def clear() -> None:
        del google.rows[1:]
        server.requests.clear()

    with RecordingServer(default=google) as server:
        config = {
            "connector": "google_sheets",
            "base_url": server.url,
            "allow_private": True,
            "spreadsheet": BOOK,
            "service_account": google.key_file(server.url),
        }
        assert google.tabs[1].title == TAB
        yield _Destination(config, lambda: len(google.rows) - 1, clear)
