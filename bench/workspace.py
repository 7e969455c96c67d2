"""The workspaces of the measured relays: one source, verified and deduplicated, and a recipe of three picks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from relay.recipes import load_workspace

KEY = "bench-key"


def source() -> dict[str, Any]:
    """Verified by a header, deduplicated by the transcript's id."""
    return {"verify": {"header": "X-Key", "equals": KEY}, "event_id": "$.id"}


def connection(port: int, concurrency: int | None = None) -> dict[str, Any]:
    """An HTTP connection to a sink; `concurrency` None is the relay's own default."""
    limit = {"limit": {"concurrency": concurrency}} if concurrency else {}
    return {"connector": "http", "base_url": f"http://127.0.0.1:{port}", "allow_private": True, **limit}


def recipe(source: str, to: str) -> dict[str, Any]:
    """Three picks (a name in capitals, an address, a date written anew) posted as JSON."""
    return {
        "recipe": f"{source} to {to}",
        "catch": source,
        "pick": {
            "name": "$.contact.name | upper",
            "email": "$.contact.email | lower",
            "closed": '$.conversation.closed_at | date("DD/MM/YYYY HH:mm")',
        },
        "steps": {
            "post": {
                "to": to,
                "with": {
                    "path": "/chats",
                    "json": {"id": "$.id", "name": "$name", "email": "$email", "closed": "$closed"},
                },
            }
        },
    }


def picked(id_: str) -> dict[str, str]:
    """What the recipe makes of the transcript of this id."""
    return {
        "id": id_,
        "name": "ZOË LINDQVIST-OKAFOR",
        "email": "zoe.lindqvist@example.com",
        "closed": "03/04/2026 11:15",
    }


def write(folder: Path, relay: Mapping[str, Any], recipes: Mapping[str, Any]) -> None:
    """A workspace in `folder`/recipes. ValueError where the relay would refuse some of it."""
    home = folder / "recipes"
    home.mkdir(parents=True, exist_ok=True)
    (home / "relay.yaml").write_text(yaml.safe_dump(dict(relay), sort_keys=False))
    for name, text in recipes.items():
        (home / f"{name}.yaml").write_text(yaml.safe_dump(dict(text), sort_keys=False))
    if errors := [str(problem) for problem in load_workspace(home).problems if problem.severity == "error"]:
        raise ValueError("\n".join(errors))


def write_chat(folder: Path, sink_port: int, concurrency: int | None = None) -> None:
    """The source `chat`, forwarded to one sink."""
    connections = {"sink": connection(sink_port, concurrency)}
    write(folder, {"sources": {"chat": source()}, "connections": connections}, {"forward": recipe("chat", "sink")})
