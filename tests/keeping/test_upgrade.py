"""What a version left behind when it was killed, today's goes on with: nothing is lost, and nothing done twice."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from relay.testing import Answer, RecordingServer
from tests.harness import Relay, eventually, relay_up
from tests.keeping import fixture

VERSIONS = sorted(fixture.HERE.glob("*.tar.xz"))


def test_there_is_data_of_older_versions() -> None:
    assert len(VERSIONS) >= 3


@pytest.mark.parametrize("stored", VERSIONS, ids=lambda path: path.name.removesuffix(".tar.xz"))
def test_goes_on_with_the_data_of(stored: Path, tmp_path: Path) -> None:
    with tarfile.open(stored) as archive:
        archive.extractall(tmp_path, filter="data")
    about = json.loads((tmp_path / "about.json").read_text())
    with fixture.sink() as there:
        fixture.workspace(tmp_path, there.url, there.url)
        # What ended long ago would be forgotten before it was looked at.
        with relay_up(tmp_path, "--workers", "1", env={"RELAY_KEEP": "36500d"}) as relay:
            _goes_on(relay, there, about)


def _goes_on(relay: Relay, there: RecordingServer, about: dict[str, Any]) -> None:
    names = about["caught"] | about["late"]
    kinds = Counter(name.rpartition("-")[0] for name in about["caught"].values())
    each = kinds["plain"]

    relay.cli("lanes", "resume", "parked")
    # Dead letters, which the mended destination and recipe would take now.
    died = relay.rows("dead", "list")
    assert Counter(letter["recipe"] for letter in died) == {"dies": each, "dies-early": each}
    there.by_path = {"/missing": Answer(body={})}
    early = relay.folder / "recipes" / "dies-early.yaml"
    early.write_text(early.read_text().replace("$.nowhere", "$.kind"))
    # In the web process, and in the worker that will route them again.
    eventually(lambda: len(relay.log("workspace.reloaded")) >= 2, 20)
    relay.cli("dead", "replay", "--all", "--yes")

    wanted = Counter(_effects(names.values())) - Counter(about["arrived"])
    # That a path was asked for while it was missing brought nobody anything.
    wanted += Counter(f"/missing {name}" for name in names.values() if name.startswith("dies-") and "early" not in name)
    eventually(lambda: len(there.requests) >= wanted.total(), 60)

    def ended() -> bool:
        rows = relay.rows("deliveries", "list", "--limit", "1000")
        return all(row["status"] in ("delivered", "skipped") for row in rows)

    eventually(ended, 30, pause=0.3)
    assert Counter(f"{one.path} {one.json()['id']}" for one in there.requests) == wanted
    assert {row["id"] for row in relay.rows("events", "list", "--limit", "1000")} == names.keys()
    for event, name in about["late"].items():
        shown = json.loads(relay.cli("events", "show", event, "--json"))
        assert json.loads(shown["body"])["id"] == name
    relay.cli("doctor", "--books")
    assert relay.rows("dead", "list") == []


def _effects(names: Any) -> list[str]:
    paths = {
        "plain": ["/plain"],
        "plain-late": ["/plain"],
        "chain": ["/first", "/second"],
        "dies": [],
        "dies-early": ["/early"],
        "retries": ["/later", "/then"],
        "waits": ["/parked", "/after-parked"],
    }
    return [
        f"{path} {name}"
        for name in names
        for path in paths["waits" if name == "waits-first" else name.rpartition("-")[0]]
    ]
