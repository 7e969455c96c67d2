from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.cli import main
from relay.testing import Answer, RecordingServer
from tests.harness import Relay, environment, relay_up, write_workspace


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]

CHAT = {"verify": {"hmac": {"header": "X-Signature", "secret": "s3cret-of-the-chat", "algorithm": "sha256"}}}


def workspace(folder: Path, sink_url: str) -> None:
    """A source that is signed, a step that succeeds, a step whose destination answers 404."""
    write_workspace(
        folder,
        {
            "sources": {"chat": CHAT},
            "connections": {
                "sink": {
                    "connector": "http",
                    "base_url": sink_url,
                    "auth": {"bearer": "t0ken-of-the-sink"},
                    "allow_private": True,
                },
                "drop": {"connector": "file", "folder": "outbox"},
            },
        },
        {
            "chats": {
                "recipe": "Chats to the sink and to a file",
                "catch": "chat",
                "pick": {"name": "$.name"},
                "steps": {
                    "ticket": {"to": "sink", "with": {"path": "/missing", "json": {"name": "$name"}}},
                    "row": {"to": "drop", "do": "csv", "with": {"path": "chats.csv", "row": {"Name": "$name"}}},
                },
            }
        },
    )
    samples = folder / "recipes" / "samples"
    samples.mkdir(exist_ok=True)
    (samples / "chat.json").write_text('{"name": "Ana"}')


def _in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A tenth of the time of a process of its own, most of which goes into imports."""

    def command(*words: str, text: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["relay", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        capsys.readouterr()
        ended: list[object] = []

        def act() -> None:
            try:
                ended.append(main())
            except SystemExit as exit_:
                ended.append(exit_.code)

        # In a thread, for `asyncio.run` would take the main thread's event loop away from pytest-asyncio.
        thread = threading.Thread(target=act)
        thread.start()
        thread.join(60)
        printed = capsys.readouterr()
        assert ended, printed
        return Done(ended[0] if isinstance(ended[0], int) else 0, printed.out, printed.err)

    return command


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in an empty folder, where no relay runs."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return _in_this_process(monkeypatch, capsys)


@dataclass(frozen=True)
class Running:
    """A relay with its sink, and the command line beside it."""

    relay: Relay
    sink: RecordingServer
    run: Run


@pytest.fixture(scope="module")
def relay_and_sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, RecordingServer]]:
    folder = tmp_path_factory.mktemp("relay")
    with RecordingServer() as sink:
        sink.by_path = {"/missing": Answer(404, body={"error": "no such path"})}
        workspace(folder, sink.url)
        with relay_up(folder) as relay:
            yield relay, sink


@pytest.fixture
def running(
    relay_and_sink: tuple[Relay, RecordingServer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Running:
    relay, sink = relay_and_sink
    for name, value in relay.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RELAY_PORT", relay.url.rpartition(":")[2])
    monkeypatch.chdir(relay.folder)
    return Running(relay, sink, _in_this_process(monkeypatch, capsys))
