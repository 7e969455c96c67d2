"""The connectors of a workspace that changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from relay.connections import Connections
from relay.connector import Context
from relay.recipes import Workspace, load_workspace

NAMES = ("one", "two", "three")


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def workspace(folder: Path, host: str) -> Workspace:
    lines = [f"  {name}: {{connector: http, base_url: 'https://{name}.{host}'}}" for name in NAMES]
    text = "\n".join(["sources:", "  chat: {verify: none}", "connections:", *lines, ""])
    (folder / "relay.yaml").write_text(text)
    return load_workspace(folder)


@pytest.mark.parametrize("ends", ["changed", "stopped"])
async def test_a_connector_that_cannot_be_closed_keeps_no_other_open(
    tmp_path: Path, logged: list[Any], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    connections = Connections(workspace(tmp_path, "example.com"), Context(data_dir=tmp_path))
    connections.warm()
    closed: list[str] = []

    def closing(name: str) -> Any:
        async def aclose() -> None:
            closed.append(name)
            if name == "one":
                raise OSError("the socket is gone")

        return aclose

    for name in NAMES:
        monkeypatch.setattr(connections.get(name), "aclose", closing(name))
    if ends == "changed":
        outdated = connections.renew(workspace(tmp_path, "example.org"))
        assert len(outdated) == 3
        await connections.close(outdated)
        assert sorted(closed) == sorted(NAMES)
    await connections.aclose()
    assert sorted(closed) == sorted(NAMES), "each once"
    (line,) = logged
    assert (line["event"], line["connector"], str(line["exc_info"])) == (
        "worker.connector_mistake", "http", "the socket is gone",
    )  # fmt: skip
