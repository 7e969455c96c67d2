"""The starter workspace: an example that works as it is, and is a good first thing to change."""

from __future__ import annotations

import secrets
import shutil
from importlib.resources import files
from pathlib import Path

from relay.errors import ConfigError
from relay.recipes import load_workspace, schema

#: Within the workspace: the example source's key, and what to post to it.
KEY = Path("secrets/chat-key")
SAMPLE = Path("samples/chat-closed.json")

#: The example posts to the relay itself, at this address.
ADDRESS = "http://127.0.0.1:{port}"
PORT = 8080

#: Within the data folder: where the example's rows go.
DROP = Path("outbox/chats.csv")

_NOT_COPIED = shutil.ignore_patterns("secrets", "__pycache__", ".*")


def _folder() -> Path:
    """In the installed package, or in the checkout that this runs from."""
    packaged = Path(str(files("relay"))) / "starter_files"
    return packaged if packaged.is_dir() else Path(str(files("relay"))).parent / "recipes"


def write(folder: Path, port: int = PORT) -> None:
    """The example, for a relay on this port. Raises ConfigError where it would overwrite something."""
    if (folder / "relay.yaml").exists():
        raise ConfigError(f"{folder} is a workspace already: it has a relay.yaml; choose another folder")
    shutil.copytree(_folder(), folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    (folder / ".gitignore").write_text("secrets/\n")
    relay_yaml = folder / "relay.yaml"
    # Port 0 is known only once it has been taken; the line that is printed then says what to change.
    relay_yaml.write_text(relay_yaml.read_text().replace(ADDRESS.format(port=PORT), ADDRESS.format(port=port or PORT)))
    schema.write(folder / schema.FOLDER, load_workspace(folder))


def is_example(folder: Path) -> bool:
    """Whether the workspace still has the example."""
    try:
        return str(KEY) in (folder / "relay.yaml").read_text() and (folder / SAMPLE).exists()
    except OSError:
        return False


def posts_to(folder: Path, port: int) -> bool:
    """Whether the example's own endpoint is that of a relay on this port."""
    return ADDRESS.format(port=port) in (folder / "relay.yaml").read_text()


def ensure_key(folder: Path) -> bool:
    """Write a random key for the example's source where it is missing. True where it was."""
    path = folder / KEY
    if not is_example(folder) or path.exists():
        return False
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(24))
    return True
