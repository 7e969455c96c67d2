"""The starter workspace: an example that works as it is, and is a good first thing to change."""

from __future__ import annotations

import secrets
import shutil
from importlib.resources import files
from pathlib import Path

from relay.errors import ConfigError

#: Within the workspace: the example source's key, and what to post to it.
KEY = Path("secrets/chat-key")
SAMPLE = Path("samples/chat-closed.json")

#: Within the data folder: where the example's rows go.
DROP = Path("outbox/chats.csv")

_NOT_COPIED = shutil.ignore_patterns("secrets", "__pycache__", ".*")


def _folder() -> Path:
    """In the installed package, or in the checkout that this runs from."""
    packaged = Path(str(files("relay"))) / "starter"
    return packaged if packaged.is_dir() else Path(str(files("relay"))).parent / "recipes"


def write(folder: Path) -> None:
    """Raises ConfigError where it would overwrite something."""
    if (folder / "relay.yaml").exists():
        raise ConfigError(f"{folder} is a workspace already: it has a relay.yaml; choose another folder")
    shutil.copytree(_folder(), folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    (folder / ".gitignore").write_text("secrets/\n")


def is_example(folder: Path) -> bool:
    """Whether the workspace still has the example."""
    try:
        return str(KEY) in (folder / "relay.yaml").read_text() and (folder / SAMPLE).exists()
    except OSError:
        return False


def ensure_key(folder: Path) -> bool:
    """Write a random key for the example's source where it is missing. True where it was."""
    path = folder / KEY
    if not is_example(folder) or path.exists():
        return False
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24))
    return True
