"""A few short rounds with fixed seeds, and that the judge would see what went wrong. `make chaos` plays more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.chaos import judge, workspace
from tests.chaos.disturbances import KINDS, draw
from tests.chaos.judge import Verdict
from tests.chaos.sender import Sender, Sent
from tests.chaos.workspace import Effect

ROOT = Path(__file__).parents[2]


def chaos(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.chaos", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("seed", "kinds"),
    [
        (63, "kill,freeze,restart,recipe"),
        (1415, "memory-full,disk-full,slow-disk,clock,kill"),
        (593, "cut-sender,cut-sink,cut-store,destination"),
    ],
)
def test_a_round_breaks_no_promise(seed: int, kinds: str, tmp_path: Path) -> None:
    done = chaos(
        "--rounds", "1", "--round-seconds", "4", "--seed", str(seed), "--only", kinds, "--folder", str(tmp_path)
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_disturbance_can_be_had_here() -> None:
    missing = [line for line in chaos("--list").stdout.splitlines() if "not here" in line]
    # A kernel that refuses namespaces is nothing that a container can do about.
    if os.environ.get("CI") == "true":
        assert [line for line in missing if "namespace" not in line] == []
    if missing:
        pytest.skip("; ".join(missing))


def test_a_seed_has_one_schedule() -> None:
    assert draw(5, 20) == draw(5, 20)
    assert draw(5, 20) != draw(6, 20)
    kinds = {planned.name for seed in range(200) for planned in draw(seed, 10)[1]}
    assert kinds == {name for name, kind in KINDS.items() if not kind.lacks()}


# -- the judge


def sender_of(tmp_path: Path, *bodies: dict[str, Any]) -> Sender:
    sender = Sender("", tmp_path / "sender.jsonl", Random(1), 1)
    sender.sent = {body["id"]: Sent("orders", body, {"evt_" + body["id"]}) for body in bodies}
    return sender


def arrival(place: str, body: dict[str, Any], key: str = "k", mood: str = "") -> dict[str, Any]:
    return {"place": place, "key": key, "body": body, "mood": mood, "acts": True}


ORDER = {"id": "o1", "items": [{"sku": "a"}, {"sku": "b"}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({Effect("items", "o1/b"): -1}, "1 effects are missing: items o1/b"),
        ({Effect("second", "o1"): 1}, "1 effects came twice: second o1 ×2"),
        ({Effect("number", "o2"): 1}, "1 effects of nothing that was sent: number o2"),
        ({Effect("plain", "o3"): 40}, "effects of nothing"),
    ],
)
def test_the_judge_counts_effects(tmp_path: Path, change: dict[Effect, int], said: str) -> None:
    did = Counter(workspace.effects_of("orders", ORDER))
    did.update(change)
    verdict = Verdict()
    judge._effects(verdict, sender_of(tmp_path, ORDER), [], +did, disturbances=1)
    assert said in "; ".join(verdict.wrong)
    assert bool(said) == bool(verdict.wrong)


def test_the_judge_allows_a_careless_destination_no_more_repeats_than_there_were_cuts(tmp_path: Path) -> None:
    sender = sender_of(tmp_path)
    body = {"id": "f1", "wanted": False}
    sender.sent = {"f1": Sent("forms", body, {"evt_f1"})}
    did = Counter(workspace.effects_of("forms", body))
    did[Effect("plain", "f1")] = 1 + judge.LANE_CONCURRENCY
    allowed, wrong = Verdict(), Verdict()
    judge._effects(allowed, sender, [], did, disturbances=1)
    judge._effects(wrong, sender, [], did, disturbances=0)
    assert allowed.wrong == []
    assert "repeats at plain" in wrong.wrong[0]


def test_the_judge_sees_an_order_turned_around_but_not_by_what_had_died() -> None:
    turns = [arrival("ordered", {"id": f"c{turn}", "key": "a", "turn": turn}) for turn in (1, 3, 2)]
    seen, forgiven = Verdict(), Verdict()
    judge._order(seen, turns, set())
    judge._order(forgiven, turns, {"c3"})
    assert seen.wrong == ["out of order: c2 of a, turn 2 after 3"]
    assert forgiven.wrong == []


def test_the_judge_sees_two_keys_for_one_effect() -> None:
    verdict = Verdict()
    judge._keys(verdict, [arrival("items", {"id": "o1", "sku": "a"}, key) for key in ("k1", "k2")])
    assert verdict.wrong == ["1 effects came under several keys: items o1/a ['k1', 'k2']"]
