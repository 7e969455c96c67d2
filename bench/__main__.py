"""`python -m bench`: measure the relay beside its references."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import orjson

from bench import nodered
from bench.processes import BenchError
from bench.report import Bench, Row, machine, table

MEASURES = (
    "accept",
    "endtoend",
    "lost",
    "lone",
    "idle",
    "isolation",
    "lanes",
    "start",
    "deliver",
    "where",
    "language",
    "connectors",
    "growth",
)

EXAMPLES = """
measures:
  accept     events accepted a second, on 64 connections and on one
  endtoend   events a second from the first post to the last arrival
  lost       accepted events that are gone after a SIGKILL of everything
  lone       milliseconds of one event through an idle relay
  idle       CPU and memory of an idle relay
  isolation  one lane while another's destination hangs
  lanes      the lanes' broker beside Dramatiq's own
  start      seconds to the first 202
  deliver    deliveries a CPU-second of the worker
  where      microseconds of CPU of an event: the relay's own, each library's, the kernel's
  language   events routed and rendered a CPU-second, and what takes it
  connectors events a CPU-second through http, webhook, google_sheets and sftp, beside the bare libraries
  growth     CPU an event with 10 to 100,000 waiting, and with 1 to 500 recipes; a quarter of an hour

examples:
  python -m bench                        everything, about ten minutes
  python -m bench --quick --rounds 1     everything, about a minute and a half: does it run?
  python -m bench accept lanes --rounds 7
  python -m bench deliver --json deliver.json
  python -m bench --setup nodered        install Node-RED in bench/.cache, for the measures that compare with it
  make bench ARGS="lone idle"
"""


def main(words: Sequence[str] | None = None) -> int:
    """0 done, 1 a measurement could not be made, 2 wrong usage. A figure out of reach is told, and no error."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Run the relay and its references in turn, and print the ratios.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; everything where none is named")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often they take turns; 3")
    parser.add_argument("--quick", action="store_true", help="short runs: to see that it works, not to compare")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures too")
    parser.add_argument("--setup", choices=("nodered",), help="install a reference, and measure nothing")
    chosen = parser.parse_args(words)
    if chosen.setup:
        nodered.set_up()
        return 0
    unknown = [name for name in chosen.names if name not in MEASURES]
    if unknown:
        parser.error(f"no measure is called {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    if chosen.rounds < 1:
        parser.error("--rounds is at least 1")
    return _run([name for name in MEASURES if name in chosen.names or not chosen.names], chosen)


def _run(names: Sequence[str], chosen: argparse.Namespace) -> int:
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), file=sys.stderr)
    rows: list[Row] = []
    failed = 0
    for place, name in enumerate(names, 1):
        started = time.monotonic()
        bench = Bench(chosen.rounds, chosen.quick, _progress(f"[{place}/{len(names)}] {name}", started))
        measure: Callable[[Bench], list[Row]] = import_module(f"bench.{name}").measure
        try:
            rows += measure(bench)
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            failed = 1
    if rows:
        print(table(rows))
    if any(row.reference == "Node-RED" and not row.theirs for row in rows):
        print(nodered.MISSING, file=sys.stderr)
    if chosen.json is not None:
        report = {
            "machine": about,
            "rounds": chosen.rounds,
            "quick": chosen.quick,
            "rows": [row.as_json() for row in rows],
        }
        chosen.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return failed


def _progress(head: str, started: float) -> Callable[[str], None]:
    return lambda line: print(f"{head} {time.monotonic() - started:4.0f} s  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
