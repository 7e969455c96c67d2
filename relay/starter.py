"""The starter workspace, an example that works as it is and is a good first thing to change; and the cookbook."""

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

#: The cookbook is a workspace of its own: in a checkout it lies in the folder of the example.
_NOT_COPIED = shutil.ignore_patterns("secrets", "cookbook", "__pycache__", ".*")


def _folder(packed: str, in_checkout: str) -> Path:
    """In the installed package, or in the checkout that this runs from."""
    package = Path(str(files("relay")))
    return package / packed if (package / packed).is_dir() else package.parent / in_checkout


def write(folder: Path, port: int = PORT) -> None:
    """The example, for a relay on this port. Raises ConfigError where it would overwrite something."""
    _copy(_folder("starter_files", "recipes"), folder)
    relay_yaml = folder / "relay.yaml"
    # Port 0 is known only once it has been taken; the line that is printed then says what to change.
    relay_yaml.write_text(relay_yaml.read_text().replace(ADDRESS.format(port=PORT), ADDRESS.format(port=port or PORT)))
    schema.write(folder / schema.FOLDER, load_workspace(folder))


def write_cookbook(folder: Path) -> int:
    """The recipes of docs/cookbook.md as a workspace; gives how many. Raises ConfigError as `write` does."""
    source = _folder("cookbook_files", "recipes/cookbook")
    _copy(source, folder)
    for name in (path.name for path in source.glob("*.yaml")):
        modeline = schema.MODELINES["workspace" if name == "relay.yaml" else "recipe"]
        (folder / name).write_text(f"{modeline}\n{(folder / name).read_text()}")
    workspace = load_workspace(folder)
    schema.write(folder / schema.FOLDER, workspace)
    return len(workspace.recipes)


def _copy(source: Path, folder: Path) -> None:
    if (folder / "relay.yaml").exists():
        raise ConfigError(f"{folder} is a workspace already: it has a relay.yaml; choose another folder")
    for pattern in ("*.yaml", "samples/*", "tables/*"):
        for name in sorted(str(path.relative_to(source)) for path in source.glob(pattern)):
            if (folder / name).exists():
                raise ConfigError(f"{folder} has a file {name} already; choose another folder")
    shutil.copytree(source, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    ignored = folder / ".gitignore"
    lines = ignored.read_text().splitlines() if ignored.exists() else []
    if "secrets/" not in lines:
        ignored.write_text("\n".join([*lines, "secrets/", ""]))


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
