"""What is to be at the server in the end: one file, and what goes with it."""

from __future__ import annotations

import hashlib
import posixpath
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.files.folder import safe_parts
from connectors.files.placeholders import filled
from connectors.sftp.config import TEMPORARY, SftpConfig
from relay.connector import Call, Outgoing
from relay.errors import PermanentError

_PIECE = 10


@dataclass(frozen=True, slots=True)
class Drop(Outgoing):
    """One file. `temporary` is its name while it is being written.

    own     no other delivery's file has this name
    values  for placeholders, as far as they are known before it is encrypted
    """

    path: str
    temporary: str
    data: bytes = field(repr=False)
    count: str
    shown: Mapping[str, Any]
    own: bool = True
    values: Mapping[str, Any] = field(default_factory=dict)
    moment: datetime | None = None
    config: SftpConfig | None = field(default=None, repr=False)

    def preview(self) -> dict[str, Any]:
        more: dict[str, Any] = {}
        config = self.config
        if config is not None:
            if config.pgp is not None:
                more["encrypted for"] = f"{len(config.pgp.keys)} public key(s) of the connection"
            if archive := self.archive(config):
                more["archive"] = (
                    f"{archive} ({'here' if config.archive and config.archive.at == 'relay' else 'there'})"
                )
            names = [f"{self.path}.{kind}" for kind in dict.fromkeys(config.checksums)]
            if config.manifest is not None:
                names.append(self.beside(config.manifest.name))
            if names:
                more["then"] = names
        return {"write": self.path, **more, **self.shown}

    def beside(self, pattern: str) -> str:
        """A name that is made of this file's, in its folder or counted from it."""
        name = filled(pattern, self.values, self.moment)
        return name if name.startswith("/") else f"{self.path.rpartition('/')[0]}/{name}" if "/" in self.path else name

    def archive(self, config: SftpConfig) -> str | None:
        """The copy's path. It has the delivery's key in it, because the copies of many days lie there together."""
        if config.archive is None:
            return None
        name, key = str(self.values["sent_as"]), str(self.values["key"])
        if not self.own or key not in name:
            stem, dot, extension = name.partition(".")
            name = f"{stem}_{key}{dot}{extension}" if stem else f"{name}_{key}"
        if config.archive.at == "relay":
            return f"{config.archive.folder.rstrip('/')}/{name}"
        absolute = config.archive.folder.startswith("/") or not config.folder
        return "/".join(
            part.rstrip("/") for part in ("" if absolute else config.folder, config.archive.folder, name) if part
        )

    def companions(self, config: SftpConfig, sent: bytes) -> list[tuple[str, bytes]]:
        """What follows the file, in this order: name and content. `sent` is the file as it lies there."""
        # Not for safety: it is what the destination compares with.
        sums = {"sha256": hashlib.sha256(sent).hexdigest(), "md5": hashlib.md5(sent, usedforsecurity=False).hexdigest()}
        name = self.path.rpartition("/")[2]
        made = [(f"{self.path}.{kind}", f"{sums[kind]}  {name}\n".encode()) for kind in dict.fromkeys(config.checksums)]
        if config.manifest is not None:
            values = {**self.values, **sums, "filename": name, "bytes": len(sent)}
            text = filled(config.manifest.content, values, self.moment)
            made.append((self.beside(config.manifest.name), text.encode()))
        return made


def names(
    folder: str, path: str, unique: bool, call: Call, temporary: str = TEMPORARY, piece: str = "", suffix: str = ""
) -> tuple[str, str]:
    """The file's name, and its name while it is being written. The same for every attempt of a delivery."""
    absolute = path.startswith("/") and not folder
    *above, name = safe_parts(path.lstrip("/"))
    key = piece or _piece(call)
    if unique and (piece or (call.idempotency_key not in path and call.delivery_id not in path)):
        stem, dot, extension = name.rpartition(".")
        name = f"{stem}_{key}.{extension}" if stem else f"{dot}{extension}_{key}"
    name += suffix
    where = "/".join(part for part in (folder.rstrip("/"), *above) if part)
    if absolute or (folder.startswith("/") and not where):
        where = f"/{where}"
    prefix = where if where.endswith("/") or not where else f"{where}/"
    meanwhile = filled(temporary, _parts(short(name), key), None)
    return f"{prefix}{name}", meanwhile if meanwhile.startswith("/") else f"{prefix}{meanwhile}"


def short(name: str) -> str:
    """The name as a rule: servers' limits are about 255 bytes. One that is cut stays different from every other."""
    data = name.encode()
    if len(data) <= 180:
        return name
    return f"{data[:160].decode(errors='ignore')}~{hashlib.blake2b(data, digest_size=8).hexdigest()}"


def _piece(call: Call) -> str:
    return "".join(c for c in call.idempotency_key if c.isascii() and c.isalnum())[-_PIECE:]


def _parts(name: str, key: str) -> dict[str, str]:
    stem, _, extension = name.rpartition(".")
    return {"filename": name, "stem": stem or name, "extension": extension if stem else "", "key": key}


def drop(
    config: SftpConfig,
    path: str,
    unique: bool,
    call: Call,
    body: bytes,
    rows: int,
    count: str,
    shown: Mapping[str, Any],
) -> tuple[Drop, dict[str, Any]]:
    """A file without its data yet, and the values for its header and trailer records."""
    pgp = config.pgp
    piece = ""
    if pgp is not None:
        # Encrypted twice, the same content differs: whether a file is there already can be told by its name only. The
        # name has the content in it, so that an edited replay isn't taken for what was sent before.
        if not unique:
            raise PermanentError(
                "an encrypted file needs a name of its own, or a retry can't know it again; leave `unique` on",
                cause="encrypted file without a name of its own",
            )
        digest = hashlib.blake2b(body, key=hashlib.sha256(call.idempotency_key.encode()).digest(), digest_size=8)
        piece = b32encode(digest.digest()).decode().lower()[:_PIECE]
    plain, _ = names(config.folder, path, unique, call, config.temporary, piece)
    final, temporary = names(config.folder, path, unique, call, config.temporary, piece, pgp.suffix if pgp else "")
    name, sent_as = plain.rpartition("/")[2], final.rpartition("/")[2]
    key = piece or _piece(call)
    values = {**_parts(name, key), "count": rows, "sent_as": sent_as}
    outer = {**values, "filename": sent_as, "extension": sent_as.rpartition(".")[2]}
    made = Drop(final, temporary, b"", count, shown, unique, outer, call.moment, config)
    _all_differ(made, config)
    return made, values


def _all_differ(made: Drop, config: SftpConfig) -> None:
    """Patterns such as `{stem}.txt` can make the file's own name: half of it would be seen, or something else in it."""
    there = [made.path, made.temporary, *(f"{made.path}.{kind}" for kind in dict.fromkeys(config.checksums))]
    if config.manifest is not None:
        there.append(made.beside(config.manifest.name))
    plain = [posixpath.normpath(name) for name in there]
    for name in plain:
        if plain.count(name) > 1:
            raise PermanentError(
                f"{name} would be two files of one name: change the connection's `temporary` or its manifest's name",
                cause="two files of one name",
            )
