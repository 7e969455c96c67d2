from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.recipes import Workspace, load_workspace
from relay.store import (
    Operators,
    Store,
)
from tests.store.bench import Bench, Workspaces


@pytest.fixture
async def bench(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Bench]:
    store = Store(valkey_url, prefix)
    bench = Bench(store, Operators(store), tmp_path)
    yield bench
    try:
        await bench.check_the_books()
    finally:
        await store.aclose()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspaces:
    """Write recipes, each a mapping or a text, and read them."""

    def write(connections: Sequence[str] = ("sink",), **recipes: Mapping[str, Any] | str) -> Workspace:
        folder = tmp_path / "recipes"
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        config = {"connector": "http", "base_url": "http://127.0.0.1:1", "allow_private": True}
        root = {
            "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}}},
            "connections": {
                name: {"connector": "file"} if name in ("files", "elsewhere") else dict(config) for name in connections
            },
        }
        (folder / "relay.yaml").write_text(yaml.safe_dump(root))
        for name, recipe in recipes.items():
            text = recipe if isinstance(recipe, str) else yaml.safe_dump(dict(recipe), sort_keys=False)
            (folder / f"{name}.yaml").write_text(text)
        return load_workspace(folder)

    return write
