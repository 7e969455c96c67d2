"""More than one machine: cables are pulled and machines die under load, and what was acknowledged arrives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import eventually
from tests.sentinels import NAMES, SENTINEL_PASSWORD, STORE_PASSWORD, Cluster, cluster

RATE = 60.0


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


def others(*names: str) -> list[str]:
    return [name for name in NAMES if name not in names]


def accepted_by(made: Cluster, name: str) -> int:
    return sum(row.get("status") in (200, 202) for row in made.sent(name))


def wait_for_more(made: Cluster, name: str) -> None:
    """Until its sender hears a 2xx again, and again."""
    before = accepted_by(made, name)
    eventually(lambda: accepted_by(made, name) > before + 5, 60, pause=0.1)


@pytest.mark.timeout(240)
def test_a_primary_that_is_cut_off_and_then_a_machine_that_dies_lose_nothing_acknowledged(machines: Cluster) -> None:
    made = machines
    for name in ("one", "two"):
        made.start_relay(name, RELAY_REPLICAS="1")
    for name in ("one", "two"):
        made.wait_for_relay(name)
        made.start_sender(name, RATE)
    for name in ("one", "two"):
        wait_for_more(made, name)

    # The primary's cable: its own sender and web process are at its side, and nobody else is.
    made.net.cut("one")
    eventually(lambda: made.primary("two") in others("one"), 60, pause=0.1)
    wait_for_more(made, "two")
    cut_off = accepted_by(made, "one")
    eventually(lambda: made.sent("one")[-1].get("status") == 503, 30, pause=0.1)
    assert made.role("one") == "master", "it knows of nothing"
    assert accepted_by(made, "one") <= cut_off + 1, "without a replica it promises nothing"
    made.net.heal("one")
    eventually(lambda: made.role("one") == "slave", 60, pause=0.2)
    wait_for_more(made, "one")
    wait_for_more(made, "two")

    # A whole machine: a web process, a worker with leases, a Sentinel, perhaps the primary.
    made.net.cut("two")
    made.net.hosts["two"].die()
    eventually(lambda: made.primary("one") in others("two"), 60, pause=0.1)
    wait_for_more(made, "one")
    made.stop_sender("one")
    eventually(lambda: made.sent("one")[-1] == {"end": True}, 60, pause=0.1)

    accepted = made.accepted()
    assert len(accepted) > 50
    eventually(lambda: accepted.keys() <= made.arrived().keys(), 60, pause=0.3)


@pytest.mark.timeout(240)
def test_doctor_and_a_login_at_sentinels_and_store(machines: Cluster) -> None:
    made = machines

    def doctor(**settings: str) -> str:
        host = made.net.hosts["three"]
        done = subprocess.run(
            ["nsenter", f"--target={host.init}", "--net", sys.executable, "-m", "relay", "doctor"],
            env=made.environment | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    said = doctor(RELAY_REPLICAS="1")
    assert "of%20the" not in said, "a password"
    assert STORE_PASSWORD not in said
    assert SENTINEL_PASSWORD not in said
    assert said.count("the primary is 10.77.0.1:6379; 2 other Sentinels, quorum 2") == 3
    assert "1 of 2 must have an event (memory) before its 2xx; 1 may be away" in said
    made.kill("sentinel", "two")
    said = doctor(RELAY_SENTINEL_PASSWORD="wrong")
    assert "10.77.0.2:26379 gives no answer" in said
    assert "10.77.0.1:26379 refuses" in said
