"""What is in a backup: a tar packed with zstd, whose first member is the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import orjson

from relay import __version__
from relay.errors import BackupError

#: Of the backup's own form: a newer one is refused.
FORMAT = 1

MANIFEST = "manifest.json"
STORE = "store.rdb"
RECIPES = "recipes/"
DROPS = "drops/"


@dataclass(frozen=True, slots=True)
class File:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """made_at  when the copy of the store began: whatever was accepted before is in it (ISO, UTC)
    store_format  the form of the store's data, as its key `format` says
    prefix        of the store's keys
    versions      recipe → the version that was in force
    left_out      files of the workspace that are not in it
    files         by their name in the tar
    """

    made_at: str
    store_format: int
    prefix: str
    server: str
    versions: Mapping[str, str]
    left_out: tuple[str, ...]
    files: Mapping[str, File]
    relay: str = __version__
    format: int = FORMAT

    def packed(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def read(cls, text: bytes) -> Manifest:
        """Raises BackupError."""
        try:
            values: dict[str, Any] = orjson.loads(text)
            if values["format"] > FORMAT:
                raise BackupError(f"the backup was made by relay {values['relay']}: restore it with that version")
            files = {name: File(**of) for name, of in values.pop("files").items()}
            manifest = cls(**{**values, "left_out": tuple(values["left_out"])}, files=files)
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BackupError(f"its {MANIFEST} can't be read: {error}") from error
        for name in files:
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise BackupError(f"it names a file outside of itself, {name!r}: it is not one of ours")
        if STORE not in files:
            raise BackupError(f"it has no {STORE}")
        return manifest
