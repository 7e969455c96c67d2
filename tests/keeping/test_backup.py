"""Backups of a running relay, and the relay that goes on from one elsewhere."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from relay.backup import read_manifest
from relay.errors import BackupError
from tests.harness import eventually, relay_up, write_workspace

RECIPE = {
    "recipe": "Rows",
    "catch": "chat",
    "steps": {"row": {"to": "drop", "do": "jsonl", "with": {"path": "rows.jsonl", "record": {"id": "$.id"}}}},
}
SETUP = {"sources": {"chat": {"verify": "none"}}, "connections": {"drop": {"connector": "file", "folder": "outbox"}}}


def test_a_backup_under_load_has_all_that_was_accepted_before_it_and_goes_on_elsewhere(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    write_workspace(old, SETUP, {"rows": RECIPE})
    stop, accepted = threading.Event(), list[str]()
    with relay_up(old) as relay:
        relay.cli("lanes", "pause", "drop")

        def send() -> None:
            with httpx.Client() as client:
                while not stop.is_set():
                    reply = client.post(f"{relay.url}/in/chat", json={"id": len(accepted)})
                    assert reply.status_code == 202
                    accepted.append(reply.json()["id"])

        sender = threading.Thread(target=send)
        sender.start()
        try:
            eventually(lambda: len(accepted) > 50)
            before = list(accepted)
            file = Path(old / relay.cli("backup", "b.tar.zst").strip())
            after = len(accepted)
        finally:
            stop.set()
            sender.join()
        assert after > len(before), "it was made under load"
        keys = {row["event"]: row["id"] for row in relay.rows("deliveries", "list", "--limit", "100000")}
        relay.cli("restore", str(file), code=2)
    assert file.stat().st_mode & 0o777 == 0o600
    relay.folder = new
    relay.cli("restore", str(file))
    with relay_up(new) as relay:
        relay.cli("lanes", "resume", "drop")
        there = eventually(
            lambda: (rows := relay.rows("events", "list", "--limit", "100000")) and len(rows) >= len(before) and rows
        )
        assert set(before) <= {row["id"] for row in there}
        eventually(
            lambda: (
                {row["status"] for row in relay.rows("deliveries", "list", "--limit", "100000")} == {"delivered"}
                and {row["status"] for row in relay.rows("events", "list", "--limit", "100000")} == {"routed"}
            )
        )
        made = {row["event"]: row["id"] for row in relay.rows("deliveries", "list", "--limit", "100000")}
        assert {event: made[event] for event in before} == {event: keys[event] for event in before}, "the same keys"


@pytest.mark.parametrize("how", ["cut", "changed", "another"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, valkey_url: str, prefix: str, how: str) -> None:
    from relay.backup import make

    recipes = tmp_path / "recipes"
    write_workspace(tmp_path, SETUP, {"rows": RECIPE})
    path = tmp_path / "b.tar.zst"
    made = make(valkey_url, prefix, recipes, path)
    assert read_manifest(path) == made.manifest
    assert {"recipes/relay.yaml", "recipes/rows.yaml", "store.rdb"} <= made.manifest.files.keys()
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "changed":
        data[len(data) // 2] ^= 0xFF
    else:
        data = bytearray(b"no backup at all")
    path.write_bytes(data)
    with pytest.raises(BackupError, match=r"b\.tar\.zst"):
        read_manifest(path)
    assert not list(tmp_path.glob(".b*")), "nothing is left beside it"
