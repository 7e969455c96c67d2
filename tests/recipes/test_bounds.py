"""No expression and no body takes more time or memory than an event is worth: measured, in a process with limits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.bombs import EXPRESSIONS

ROOT = Path(__file__).parents[2]

#: Ceilings, generous: on a machine of today each takes under a second, and all of them together under 400 MB.
SECONDS = 10
MEMORY_MB = 1000


@pytest.fixture(scope="module")
def measured() -> list[dict[str, object]]:
    process = subprocess.run(
        [sys.executable, "-m", "tests.recipes.bombs", str(3 * 1024**3)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    return [json.loads(line) for line in process.stdout.splitlines()]


def test_every_bomb_is_a_value_a_refusal_or_an_error_in_words(measured: list[dict[str, object]]) -> None:
    assert len(measured) == len(EXPRESSIONS)
    assert [one for one in measured if not str(one["outcome"]).startswith(("gives", "refused: ", "error: "))] == []


def test_no_bomb_takes_long(measured: list[dict[str, object]]) -> None:
    assert [one for one in measured if float(str(one["seconds"])) > SECONDS] == []


def test_no_bomb_takes_much_memory(measured: list[dict[str, object]]) -> None:
    assert max(int(str(one["peak_mb"])) for one in measured) < MEMORY_MB


@pytest.mark.parametrize(
    "word", ["**", "range", "longer than", "too large", "nested too deeply", "too many", "for ever"]
)
def test_the_words_of_the_refusals_name_the_reason(measured: list[dict[str, object]], word: str) -> None:
    assert any(word in str(one["outcome"]) or word in str(one["expression"]) for one in measured)
