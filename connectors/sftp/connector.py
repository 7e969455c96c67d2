"""SFTP drops: one whole file for each delivery, which appears under its name only when it is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import asyncssh
from pydantic import Field

from connectors.files.documents import JsonFields, JsonlFields, XmlFields
from connectors.files.folder import safe_parts
from connectors.files.tabular import CsvFields, merged_rows
from connectors.sftp.session import CONNECTION_LOST, SftpConfig, SftpSession, sort_ssh_error
from relay.connector import Action, Call, Connector, Context, Example, Outgoing
from relay.errors import PermanentError, RetryableError
from relay.model import Reply

_PIECE = 10
_UNIQUE = "Put a piece of the delivery's key before the extension, so that no two deliveries share a name."


class SftpCsvFields(CsvFields):
    unique: bool = Field(True, description=_UNIQUE)


class SftpJsonlFields(JsonlFields):
    unique: bool = Field(True, description=_UNIQUE)


class SftpJsonFields(JsonFields):
    unique: bool = Field(True, description=_UNIQUE)


class SftpXmlFields(XmlFields):
    unique: bool = Field(True, description=_UNIQUE)


@dataclass(frozen=True, slots=True)
class Drop(Outgoing):
    """One file. `temporary` is its name while it is being written, in the same folder."""

    path: str
    temporary: str
    data: bytes = field(repr=False)
    count: str
    shown: Mapping[str, Any]

    def preview(self) -> dict[str, Any]:
        return {"write": self.path, **self.shown}


class _Write(Action[SftpConfig, Any, Drop]):
    """What the four formats share. The name is the same for every attempt, so a repeat finds the earlier one's file."""

    idempotent = True

    def drop(self, path: str, unique: bool, call: Call, data: bytes, count: str, shown: Mapping[str, Any]) -> Drop:
        final, temporary = names(self.config.folder, path, unique, call)
        return Drop(final, temporary, data, count, shown)

    async def send(self, outgoing: Drop, call: Call) -> Reply:
        assert isinstance(self.connection, Sftp)
        session = self.connection.session
        try:
            async with asyncio.timeout(call.timeout.total_seconds()):
                fresh = await self._send(session, outgoing)
        except TimeoutError:
            # Half a file lies under its temporary name, or the whole under its own: the next attempt finds out.
            raise RetryableError(f"{self.config.host} was too slow", cause="sftp timeout") from None
        done = f"wrote {outgoing.path} ({outgoing.count})"
        if not fresh:
            done = f"{outgoing.path} is there already, from an earlier attempt"
        return Reply(body={"path": outgoing.path, "bytes": len(outgoing.data), "fresh": fresh}, summary=done)

    async def _send(self, session: SftpSession, outgoing: Drop) -> bool:
        # A kept connection that the other side has closed meanwhile says nothing about the delivery: try a new one.
        for last in (not session.is_open, True):
            try:
                async with session.use() as sftp:
                    return await put(sftp, outgoing, self.config.create_folders)
            except (asyncssh.Error, OSError) as error:
                if last or not isinstance(error, CONNECTION_LOST):
                    raise sort_ssh_error(error, self.config, outgoing.path) from error
        raise AssertionError("the last round returns or raises")


async def put(sftp: asyncssh.SFTPClient, drop: Drop, create_folders: bool) -> bool:
    """Write the file; False where it is there already. Never takes the place of somebody else's."""
    if await _is_there(sftp, drop):
        return False
    folder = drop.path.rpartition("/")[0]
    try:
        file = await sftp.open(drop.temporary, "wb")
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        if not folder or not create_folders:
            raise PermanentError(
                f"there is no folder {folder or '.'} for {drop.path}; make it there, or say create_folders: true "
                "on the connection",
                cause=f"no folder {folder or '.'}",
            ) from None
        await sftp.makedirs(folder, exist_ok=True)
        file = await sftp.open(drop.temporary, "wb")
    async with file:
        await file.write(drop.data)
        with suppress(asyncssh.SFTPOpUnsupported):  # an extension of OpenSSH's
            await file.fsync()
    size = (await sftp.stat(drop.temporary)).size
    if size != len(drop.data):
        raise RetryableError(
            f"{drop.path}: {size} of {len(drop.data)} bytes arrived", cause="file arrived with another size"
        )
    await _into_place(sftp, drop)
    return True


async def _into_place(sftp: asyncssh.SFTPClient, drop: Drop) -> None:
    try:
        # OpenSSH's plain rename, unlike posix-rename, never takes the place of another file.
        await sftp.rename(drop.temporary, drop.path)
    except (
        asyncssh.SFTPFailure,
        asyncssh.SFTPFileAlreadyExists,
        asyncssh.SFTPOpUnsupported,
        asyncssh.SFTPPermissionDenied,
    ):
        if await _is_there(sftp, drop):
            await sftp.remove(drop.temporary)
            return
        # Nothing is in the way, so the server can't do it the plain way.
        await sftp.posix_rename(drop.temporary, drop.path)


async def _is_there(sftp: asyncssh.SFTPClient, drop: Drop) -> bool:
    """Whether the file is there with our content. Raises PermanentError where another of its name is."""
    try:
        size = (await sftp.stat(drop.path)).size
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return False
    if size == len(drop.data):
        async with await sftp.open(drop.path, "rb") as file:
            there: bytes | str = await file.read()
            if there == drop.data:
                return True
    raise PermanentError(
        f"{drop.path} is there already with other content, and is left as it is; put something of the event into "
        "the path, or leave `unique` on",
        cause="file is there already",
    )


def names(folder: str, path: str, unique: bool, call: Call) -> tuple[str, str]:
    """The file's name, and its name while it is being written. The same for every attempt of a delivery."""
    absolute = path.startswith("/") and not folder
    *above, name = safe_parts(path.lstrip("/"))
    key = "".join(c for c in call.idempotency_key if c.isascii() and c.isalnum())
    piece = key[-_PIECE:]
    if unique and call.idempotency_key not in path and call.delivery_id not in path:
        stem, dot, extension = name.rpartition(".")
        name = f"{stem}_{piece}.{extension}" if stem else f"{dot}{extension}_{piece}"
    where = "/".join(part for part in (folder.rstrip("/"), *above) if part)
    if absolute or (folder.startswith("/") and not where):
        where = f"/{where}"
    prefix = where if where.endswith("/") or not where else f"{where}/"
    return f"{prefix}{name}", f"{prefix}.{name[:180]}.{piece}.part"


class Csv(_Write):
    name = "csv"
    summary = "Write a CSV file of its own for the delivery or the batch."
    With = SftpCsvFields
    batchable = True
    row_fields = ("row", "rows", "columns")
    examples = (
        Example(
            "For a Windows system",
            {
                "path": "/incoming/chats_20260403-1015.csv",
                "row": {"STU_SURN": "Lovelace", "STU_EMAIL": "ada@example.ac.uk"},
                "format": {"delimiter": ";", "encoding": "cp1252", "line_end": "crlf"},
            },
        ),
        Example("Several rows", {"path": "chats.csv", "rows": [{"Name": "Ana", "Rating": 2}, {"Name": "Ben"}]}),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: SftpCsvFields, call: Call) -> Drop:
        rows = len(fields.all_rows())
        count = f"{rows} row" if rows == 1 else f"{rows} rows"
        return self.drop(fields.path, fields.unique, call, fields.whole(), count, fields.preview())


class Jsonl(_Write):
    name = "jsonl"
    summary = "Write a JSON Lines file of its own for the delivery or the batch."
    With = SftpJsonlFields
    batchable = True
    row_fields = ("record", "records")
    examples = (Example("One record", {"path": "/incoming/chat.jsonl", "record": {"name": "Ana", "rating": 2}}),)

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "record", "records")

    def prepare(self, fields: SftpJsonlFields, call: Call) -> Drop:
        records, data = fields.all_records(), fields.lines()
        count = f"{len(records)} record" if len(records) == 1 else f"{len(records)} records"
        shown = {"records": records, "text": data.decode()}
        return self.drop(fields.path, fields.unique, call, data, count, shown)


class Json(_Write):
    name = "json"
    summary = "Write a JSON file of its own for the delivery."
    With = SftpJsonFields
    examples = (Example("A file for each delivery", {"path": "/incoming/chat.json", "content": {"name": "Ana"}}),)

    def prepare(self, fields: SftpJsonFields, call: Call) -> Drop:
        data = fields.whole()
        return self.drop(fields.path, fields.unique, call, data, f"{len(data)} bytes", {"json": fields.content})


class Xml(_Write):
    name = "xml"
    summary = "Write an XML file of its own for the delivery."
    With = SftpXmlFields
    examples = (
        Example("A file for each delivery", {"path": "chat.xml", "root": "chat", "content": {"@id": 7, "name": "Ana"}}),
    )

    def prepare(self, fields: SftpXmlFields, call: Call) -> Drop:
        data = fields.whole()
        return self.drop(fields.path, fields.unique, call, data, f"{len(data)} bytes", {"xml": data.decode()})


class Sftp(Connector[SftpConfig]):
    name = "sftp"
    summary = (
        "SFTP drops: a file is written under a temporary name, checked, and only then renamed; no other file's place "
        "is ever taken."
    )
    Config = SftpConfig
    actions = (Csv, Jsonl, Json, Xml)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "sftp",
        "host": "sftp.example.ac.uk",
        "username": "gecko",
        "private_key": "${file:secrets/sits_key}",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJiVXwZ2dRF8OqxxMwPpqMWHTJqDV5TbZFmzoDsrbFaD",
    }

    def __init__(self, config: SftpConfig, context: Context) -> None:
        super().__init__(config, context)
        self.session = SftpSession(config, context.idle_seconds)

    async def aclose(self) -> None:
        await self.session.aclose()
