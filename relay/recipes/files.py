"""The files of a workspace that decide what the relay does: relay.yaml, recipes, tables, and the secrets it names."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.errors import ConfigError, Place

FILE = "relay.yaml"
TABLES = "tables"

_RECIPE, _TABLE = ".yaml", ".csv"
_SECRET = re.compile(rb"\$\{\s*file:([^{}]*)\}")

#: A file is written by a person; what is longer was put there by mistake.
_MAX_BYTES = 1_000_000
_MAX_TABLE_BYTES = 20_000_000

#: Changes when the file does: when it was written and renamed, its length, which file it is.
Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of what a file holds: why it can't be read."""

    why: str


Content = bytes | Unreadable


@dataclass(frozen=True, slots=True)
class Files:
    """What a folder held at one moment.

    contents   by path within the folder, a secret as relay.yaml names it
    """

    folder: Path
    contents: Mapping[str, Content]

    @property
    def recipes(self) -> list[str]:
        """The recipes' ids."""
        return [name.removesuffix(_RECIPE) for name in sorted(self.contents) if _is_recipe(name)]

    @property
    def tables(self) -> list[str]:
        """The tables' names."""
        return [Path(name).stem for name in sorted(self.contents) if _is_table(name)]

    @property
    def misnamed(self) -> list[Path]:
        """What looks like a recipe, and isn't read."""
        return [self.folder / name for name in sorted(self.contents) if _is_plain(name) and name.endswith(".yml")]

    def path(self, name: str) -> Path:
        return self.folder / name

    def text(self, name: str) -> str:
        """Raises ConfigError."""
        content = self.contents.get(name)
        place = Place(str(self.folder / name))
        if content is None:
            raise ConfigError("there is no such file: `relay init` makes a starter workspace", place)
        if isinstance(content, Unreadable):
            raise ConfigError(content.why, place)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            message = "the file isn't UTF-8: save it with that encoding"
            raise ConfigError(message, Place(place.file, line)) from None

    def as_is(self, name: str) -> str:
        """What can be read of it, for a look at the words."""
        content = self.contents.get(name)
        return content.decode(errors="replace") if isinstance(content, bytes) else ""


def recipe_file(recipe_id: str) -> str:
    return recipe_id + _RECIPE


def table_file(table: str) -> str:
    return f"{TABLES}/{table}{_TABLE}"


def secrets_in(relay_yaml: Content | None) -> list[str]:
    """The files that relay.yaml names: `${file:secrets/key}`."""
    if not isinstance(relay_yaml, bytes):
        return []
    names = (found.decode(errors="replace").strip() for found in _SECRET.findall(relay_yaml))
    return list(dict.fromkeys(names))


def signatures(folder: Path, secrets: Iterable[str]) -> dict[str, Signature]:
    """Every file that matters, by its path within the folder. Raises OSError where the folder can't be looked into."""
    found = dict(_in_folder(folder, "", (_RECIPE, ".yml")))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found.update(_in_folder(folder / TABLES, TABLES + "/", (_TABLE,)))
    for name in secrets:
        signature = signature_of(folder, name)
        if signature is not None:
            found[name] = signature
    return found


def signature_of(folder: Path, name: str) -> Signature | None:
    """None where there is no such file, or nobody may look."""
    try:
        status = (folder / name).stat()
    except (OSError, ValueError):
        return None
    return _signature(status) if stat.S_ISREG(status.st_mode) else None


def read_file(folder: Path, name: str) -> Content:
    path = folder / name
    most = _MAX_TABLE_BYTES if _is_table(name) else _MAX_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Unreadable(f"the file can't be read: {reason}")
    return content if len(content) <= most else Unreadable(f"the file is larger than {most:,} bytes")


def read_files(folder: Path) -> Files:
    """All of them, now. A folder that isn't there holds nothing. Raises ConfigError where it can't be looked into."""
    folder = Path(folder)
    try:
        names = signatures(folder, ())
    except (FileNotFoundError, NotADirectoryError):
        names = {}
    except OSError as error:
        raise ConfigError(f"the folder can't be looked into: {error.strerror}", Place(str(folder))) from None
    contents = {name: read_file(folder, name) for name in names}
    for name in secrets_in(contents.get(FILE)):
        if (folder / name).is_file():
            contents[name] = read_file(folder, name)
    return Files(folder, contents)


def _in_folder(folder: Path, prefix: str, endings: tuple[str, ...]) -> Iterable[tuple[str, Signature]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            # What an editor keeps beside a file begins like this.
            if not entry.name.endswith(endings) or entry.name.startswith((".", "~", "#")):
                continue
            try:
                status = entry.stat()
            except OSError:
                continue  # gone since, or a link to nothing
            if stat.S_ISREG(status.st_mode):
                yield prefix + entry.name, _signature(status)


def _signature(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _is_plain(name: str) -> bool:
    return "/" not in name


def _is_recipe(name: str) -> bool:
    return _is_plain(name) and name.endswith(_RECIPE) and name != FILE and not name.startswith((".", "~", "#"))


def _is_table(name: str) -> bool:
    return name.startswith(TABLES + "/") and name.endswith(_TABLE)
