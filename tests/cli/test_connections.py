"""`relay connections`: what each account lacks, what a harmless call says, and the key of an SFTP server."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.connector import connector_class
from relay.errors import RetryableError
from relay.testing import Answer, RecordingServer
from tests.cli.conftest import Run, Running
from tests.harness import write_workspace
from tests.servers import openssh_server

TOKEN = "t0ken-s3cret"
RECIPE = """
recipe: Chats
catch: chat
steps: {ticket: {to: good, with: {path: /x, json: {}}}, row: {to: drop, do: csv, with: {path: a.csv, row: {A: 1}}}}
"""


@pytest.fixture
def api() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        server.by_path = {"/bad": Answer(401, f"{TOKEN} isn't known")}
        yield server


@pytest.fixture
def folder(tmp_path: Path, run: Run, api: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Connections that are fine, refused, incomplete, and where nobody is."""
    monkeypatch.setenv("TOKEN", TOKEN)
    settings = f'connector: http, base_url: "{api.url}", allow_private: true, auth: {{bearer: "${{TOKEN}}"}}'
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "relay.yaml").write_text(
        "sources: {chat: {verify: none}}\n"
        "connections:\n"
        f"  good: {{{settings}, check: /me}}\n"
        f"  bad: {{{settings}, check: /bad}}\n"
        f'  unset: {{connector: slack, token: "${{NOT_THERE}}"}}\n'
        f'  away: {{connector: http, base_url: "http://127.0.0.1:{_free_port()}", allow_private: true}}\n'
        "  drop: {connector: file}\n"
    )
    (folder / "chats.yaml").write_text(RECIPE)
    return folder


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def rows(text: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in map(json.loads, text.splitlines())}


def test_the_list_says_who_uses_a_connection_and_what_it_lacks(folder: Path, run: Run) -> None:
    done = run("connections", "list", "--json", "--since", "2h")
    found = rows(done.out)
    assert [list(row)[:2] for row in found.values()] == [["name", "status"]] * 5
    assert {name: row["status"] for name, row in found.items()} == {
        "good": "ok",
        "bad": "ok",
        "unset": "incomplete",
        "away": "ok",
        "drop": "ok",
    }
    assert found["good"]["used_by"] == found["drop"]["used_by"] == ["chats"]
    assert found["good"]["lane"] is None
    assert "${NOT_THERE} isn't set" in found["unset"]["reason"]
    assert done.code == 0
    table = run("connections", "list", "--limit", "3").out
    assert "set NOT_THERE in the relay's environment" in table
    assert "away" not in table


def test_with_a_relay_the_list_has_the_state_of_each_lane(running: Running) -> None:
    running.run("lanes", "pause", "sink", "--reason", "until noon")
    try:
        found = rows(running.run("connections", "list", "--json").out)
    finally:
        running.run("lanes", "resume", "sink")
    assert (found["sink"]["status"], found["sink"]["lane"]) == ("paused", "paused")
    assert "until noon" in found["sink"]["reason"]
    assert found["drop"]["status"] == "running"


def test_a_connection_that_is_fine_exits_with_0(folder: Path, run: Run, api: RecordingServer) -> None:
    done = run("connections", "test", "good")
    assert done.code == 0
    assert done.out == "good  ok          127.0.0.1 answered GET /me with 200 OK\n"
    assert api.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_all_are_tried_and_what_is_wrong_is_told_with_its_remedy(folder: Path, run: Run) -> None:
    done = run("connections", "test", "--all", "--json", "--timeout", "5s")
    found = rows(done.out)
    assert done.code == 1
    assert list(found) == ["good", "bad", "unset", "away", "drop"]
    assert {name: found[name]["status"] for name in ("good", "bad", "unset", "away")} == {
        "good": "ok",
        "bad": "failed",
        "unset": "incomplete",
        "away": "failed",
    }
    assert "check the connection's credentials" in found["bad"]["missing"][0]
    assert found["bad"]["cause"] == "http 401"
    assert "${NOT_THERE} isn't set" in found["unset"]["missing"][0]
    assert "no connection to 127.0.0.1" in found["away"]["missing"][0]
    lines = run("connections", "test", "bad", "away")
    assert lines.code == 1
    assert [line.split()[:2] for line in lines.out.splitlines()] == [["bad", "failed"], ["away", "failed"]]
    assert TOKEN not in done.out + done.err + lines.out + lines.err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (NotImplementedError(), "untested", "no harmless call"),
        (ValueError(TOKEN), "failed", "failed with ValueError"),
        (RetryableError("busy", cause="x"), "failed", "busy"),
    ],
    ids=["no call", "a mistake", "an error"],
)
def test_whatever_a_connector_does_is_told(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str, words: str
) -> None:
    async def check(self: Any, timeout: timedelta) -> Any:
        raise error

    monkeypatch.setattr(connector_class("http"), "check", check)
    done = run("connections", "test", "good", "--json")
    row = rows(done.out)["good"]
    assert (row["status"], done.code) == (status, 0 if status == "untested" else 1)
    assert words in f"{row['found']} {row['missing']}"
    assert TOKEN not in done.out + done.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["good", "--all"],
        ["god"],
        ["good", "--timeout", "soon"],
        ["good", "--timeout", "0s"],
        ["good", "--timeout", "1d"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(folder: Path, run: Run, words: list[str]) -> None:
    done = run("connections", "test", *words)
    assert done.code == 2
    assert done.out == ""
    if words == ["god"]:
        assert "did you mean `good`?" in done.err


# -- host-key

BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()
OTHER = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"o" * 32).decode()
LINE = f"ssh-ed25519 {BLOB}"


def fingerprint(blob: str) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")


SFTP = """\
# ours
connections:
  sits:  # the students' system
    connector: sftp
    host: sftp.example.ac.uk
    port: 2222
    username: gecko  # theirs
    password: s3cret
{host_key}
sources: {{}}
"""


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which servers were asked; each shows the one key."""
    seen: list[tuple[str, int]] = []

    async def host_keys(host: str, port: int, timeout: timedelta) -> list[tuple[str, str, str]]:
        seen.append((host, port))
        return [("ssh-ed25519", LINE, fingerprint(BLOB))]

    monkeypatch.setattr(connector_class("sftp"), "host_keys", host_keys)
    return seen


def relay_yaml(host_key: str) -> Path:
    file = Path("recipes/relay.yaml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(SFTP.format(host_key=host_key).replace("\n\n", "\n"))
    return file


def test_the_keys_of_a_server_are_shown_with_the_line_to_pin(run: Run, asked: list[tuple[str, int]]) -> None:
    done = run("connections", "host-key", "sftp.example.ac.uk")
    assert done.code == 0
    assert done.out == f"ssh-ed25519  {fingerprint(BLOB)}\n  host_key: {LINE}\n"
    assert "Compare the fingerprint with what the server's administrator says" in done.err
    row = json.loads(run("connections", "host-key", "[::1]:2222", "--json").out)
    assert row == {"name": fingerprint(BLOB), "status": "shown", "type": "ssh-ed25519", "host_key": LINE}
    assert asked == [("sftp.example.ac.uk", 22), ("::1", 2222)]


def test_a_key_is_pinned_and_comments_stay(run: Run, asked: list[tuple[str, int]]) -> None:
    file = relay_yaml("")
    before = file.read_text()
    words = ["connections", "host-key", "sftp.example.ac.uk", "--connection", "sits"]
    done = run(*words)
    assert (done.code, file.read_text()) == (2, before)
    assert "Pin this key for the connection sits?" in done.err
    done = run(*words, "--yes")
    assert done.code == 0
    after = file.read_text()
    assert [line for line in after.splitlines() if "host_key" not in line] == before.splitlines()
    assert f"    host_key: {LINE}\n" in after
    assert asked[-1] == ("sftp.example.ac.uk", 2222)
    done = run(*words)
    assert done.code == 0
    assert "pins a key of this server already" in done.err
    assert rows(run("connections", "list", "--json").out)["sits"]["status"] == "ok"


@pytest.mark.parametrize("pinned", [f"ssh-ed25519 {OTHER} old", fingerprint(OTHER)], ids=["a key", "a fingerprint"])
def test_a_key_that_has_changed_is_told_from_and_to(run: Run, asked: list[tuple[str, int]], pinned: str) -> None:
    file = relay_yaml(f"    host_key: {pinned}  # by phone, in May")
    done = run("connections", "host-key", "sftp.example.ac.uk", "--connection", "sits", "--yes")
    assert done.code == 0
    assert f"The key changed from {fingerprint(OTHER)} to {fingerprint(BLOB)}." in done.err
    assert f"host_key: {LINE}  # by phone, in May" in file.read_text()


def test_a_key_that_comes_from_a_setting_is_not_written(
    run: Run, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITS_KEY", f"ssh-ed25519 {OTHER}")
    file = relay_yaml('    host_key: "${SITS_KEY}"')
    before = file.read_text()
    done = run("connections", "host-key", "sftp.example.ac.uk", "--connection", "sits", "--yes")
    assert (done.code, file.read_text()) == (2, before)
    assert "put the line there" in done.err
    assert "The key changed" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sftp://x"], "HOST:PORT"),
        (["x:0"], "HOST:PORT"),
        (["x", "--timeout", "soon"], "--timeout"),
        (["other.example", "--connection", "sits"], "goes to sftp.example.ac.uk"),
        (["sftp.example.ac.uk:22", "--connection", "sits"], "goes to port 2222"),
        (["sftp.example.ac.uk", "--connection", "sit"], "did you mean `sits`?"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_wrong_address_is_told(run: Run, asked: list[tuple[str, int]], words: list[str], told: str) -> None:
    relay_yaml("")
    done = run("connections", "host-key", *words)
    assert done.code == 2
    assert told in done.err
    assert asked == []


def test_a_real_server_s_key_is_pinned_and_then_logs_us_in(run: Run, tmp_path: Path) -> None:
    """The line that is written is one that the connector trusts; without it, and with another, it doesn't."""
    with openssh_server(tmp_path / "sshd") as server:
        write_workspace(tmp_path, {"sources": {}, "connections": {"sits": {**server.config, "host_key": LINE}}}, {})
        refused = run("connections", "test", "sits")
        assert refused.code == 1
        assert f"from {fingerprint(BLOB)}" in refused.out
        assert run("connections", "host-key", server.host, "--connection", "sits", "--yes").code == 0
        done = run("connections", "test", "sits", "--json")
    assert done.code == 0, done
    assert rows(done.out)["sits"]["status"] == "ok"
    assert "PRIVATE KEY" not in done.out + done.err + refused.out + refused.err


def test_a_server_that_is_away_exits_with_1(run: Run) -> None:
    done = run("connections", "host-key", f"127.0.0.1:{_free_port()}", "--timeout", "5s")
    assert done.code == 1
    assert "no connection to 127.0.0.1" in done.err
