"""The bench's own arithmetic: what it says of the relay must be right too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import nodered, samples
from bench.processes import BenchError
from bench.report import Goal, Row, table

BUSY = """
import os
import signal
import time

def busy(seconds):
    while time.process_time() < seconds:
        sum(range(1000))

os.kill(os.getpid(), signal.SIGUSR2)
busy(0.5)
"""


def test_samples_name_the_function_that_took_the_time(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(BUSY)
    notes = tmp_path / "notes"
    notes.mkdir()
    process = subprocess.Popen([sys.executable, program], env={**os.environ, **samples.environment(notes)})
    assert process.wait(60) == 0
    found = samples.read(notes / str(process.pid))
    ((place, number),) = found.places.most_common(1)
    assert place.endswith("program.py:busy")
    assert number > found.total / 2
    assert sum(found.groups.values()) == found.total


@pytest.mark.parametrize(
    ("notes", "group"),
    [
        ([f"{samples.ROOT}/relay/store/codec.py"], samples.OURS),
        (["/v/python3.11/dataclasses.py", f"{samples.ROOT}/relay/model.py"], samples.OURS),
        (["<string>", "/v/python3.11/site-packages/aiohttp/client.py"], samples.CLIENT),
        (["/v/python3.11/asyncio/tasks.py", f"{samples.ROOT}/relay/model.py"], samples.LOOP),
        (["/v/python3.11/site-packages/some_other.py"], samples.OTHER),
    ],
    ids=["ours", "helper", "made", "loop", "other"],
)
def test_a_sample_is_whose_code_it_was(tmp_path, notes, group):
    file = tmp_path / "notes"
    file.write_text("Stack (most recent call first):\n" + "".join(f'  File "{name}", line 0 in f\n' for name in notes))
    assert samples.read(file).groups == {group: 1}


def test_what_the_collector_does_is_no_lines(tmp_path):
    file = tmp_path / "notes"
    stack = f'Stack (most recent call first):\n  File "{samples.ROOT}/relay/model.py", line 0 in f\n'
    file.write_text(f"collecting\n{stack}collected\n{stack}")
    assert samples.read(file).groups == {samples.COLLECTOR: 1, samples.OURS: 1}


def test_a_reference_that_was_not_run_is_told_as_such():
    row = Row("start", "x", "s", [2.0], "Node-RED", (), Goal("ratio", ">=", 0.4, 1))
    assert "not run (Node-RED)" in table([row])
    assert row.as_json()["reached"] is None


def test_reach_and_aim_are_told_apart():
    row = Row("idle", "x", "s/min", [0.3], goal=Goal("figure", "<=", 0.6, 0.12))
    assert "≤ 0.6 s/min: yes" in table([row])
    assert "≤ 0.12 s/min: no" in table([row])


def test_a_wrong_node_red_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NODE_RED", str(tmp_path))
    with pytest.raises(BenchError, match=r"no red\.js"):
        nodered.command()
