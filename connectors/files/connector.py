"""Files in a folder of this machine: CSV, fixed width and JSON Lines grow, JSON and XML are a file each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from connectors.files.append import Appended, Entry, append_all
from connectors.files.documents import JsonFields, JsonlFields, XmlFields
from connectors.files.fixed import FixedFields
from connectors.files.folder import look_at, safe_parts, sort_os_error
from connectors.files.tabular import CsvFields, merged_rows, read_header
from connectors.files.whole import Whole, write_whole
from connectors.guides.file import GUIDE
from relay.connector import Action, Call, Check, ConnectionConfig, Connector, Context, Example, Outgoing
from relay.errors import PermanentError, RetryableError
from relay.model import Reply

#: So many appends to one file travel as one, with one fsync.
_TOGETHER = 500


class FileConfig(ConnectionConfig):
    folder: Path = Field(Path("outbox"), description="Where the files go; relative to the data folder, or absolute.")


@dataclass(frozen=True, slots=True)
class Addition(Outgoing):
    """What is appended to a file."""

    path: str
    entry: Entry = field(repr=False)
    rows: int
    shown: Mapping[str, Any]

    def preview(self) -> dict[str, Any]:
        return {"append to": self.path, **self.shown}


class FileJsonFields(JsonFields):
    replace: bool = Field(False, description="Replace a file of that name; else other content there is an error.")


class FileXmlFields(XmlFields):
    replace: bool = Field(False, description="Replace a file of that name; else other content there is an error.")


class Csv(Action[FileConfig, CsvFields, Addition]):
    name = "csv"
    summary = (
        "Append rows to a CSV file. The first row of a new file makes its header; later rows are put under it by name, "
        "a missing column stays empty, and an unknown one is an error."
    )
    With = CsvFields
    idempotent = True
    batchable = True
    row_fields = ("row", "rows", "columns")
    examples = (
        Example("One row", {"path": "chats.csv", "row": {"Name": "Ana", "Rating": 2}}),
        Example(
            "For a Windows system, with the columns fixed",
            {
                "path": "sits/chats.csv",
                "columns": ["STU_SURN", "STU_EMAIL"],
                "rows": [{"STU_SURN": "Lovelace", "STU_EMAIL": "ada@example.ac.uk"}, {"STU_SURN": "Hopper"}],
                "format": {"delimiter": ";", "encoding": "cp1252", "line_end": "crlf"},
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: CsvFields, call: Call) -> Addition:
        safe_parts(fields.path)
        form = fields.format
        entry = Entry(
            call.idempotency_key,
            _csv_renderer(fields),
            line_break=form.line_break.encode(form.encoding),
            line_feed="\n".encode(form.encoding),
        )
        return Addition(fields.path, entry, len(fields.all_rows()), fields.preview())

    async def send(self, outgoing: Addition, call: Call) -> Reply:
        return await _appended(self.connection, outgoing, call, "row", "rows")


def _csv_renderer(fields: CsvFields) -> Callable[[bytes], bytes]:
    def render(start: bytes) -> bytes:
        if not start:
            return fields.whole()
        columns = fields.column_names()
        if fields.format.header:
            there = read_header(start, fields.format) or []
            if not set(columns) <= set(there):
                raise PermanentError(
                    f"{fields.path} has the columns {', '.join(there) or '(none)'}, and this row has "
                    f"{', '.join(columns)}; write to another file, or bring the two together",
                    cause=f"columns of {fields.path} differ",
                )
            columns = there
        return fields.lines(columns)

    return render


class Jsonl(Action[FileConfig, JsonlFields, Addition]):
    name = "jsonl"
    summary = "Append records to a JSON Lines file."
    With = JsonlFields
    idempotent = True
    batchable = True
    row_fields = ("record", "records")
    examples = (Example("One record", {"path": "chats.jsonl", "record": {"name": "Ana", "rating": 2}}),)

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "record", "records")

    def prepare(self, fields: JsonlFields, call: Call) -> Addition:
        safe_parts(fields.path)
        lines, records = fields.lines(), fields.all_records()
        return Addition(
            fields.path,
            Entry(call.idempotency_key, lambda _: lines),
            len(records),
            {"records": records, "text": lines.decode()},
        )

    async def send(self, outgoing: Addition, call: Call) -> Reply:
        return await _appended(self.connection, outgoing, call, "record", "records")


class Fixed(Action[FileConfig, FixedFields, Addition]):
    name = "fixed"
    summary = "Append rows to a fixed-width file."
    With = FixedFields
    idempotent = True
    batchable = True
    row_fields = ("row", "rows")
    examples = (
        Example(
            "Two columns",
            {
                "path": "students.txt",
                "columns": [
                    {"name": "STU_CODE", "width": 12},
                    {"name": "AGE", "width": 3, "align": "right", "pad": "0"},
                ],
                "row": {"STU_CODE": "20159707/2", "AGE": 21},
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: FixedFields, call: Call) -> Addition:
        safe_parts(fields.path)
        lines, form = fields.lines(), fields.format
        entry = Entry(
            call.idempotency_key,
            lambda start: lines if start else form.mark + lines,
            line_break=form.line_break.encode(form.encoding),
            line_feed="\n".encode(form.encoding),
        )
        return Addition(fields.path, entry, len(fields.all_rows()), fields.preview())

    async def send(self, outgoing: Addition, call: Call) -> Reply:
        return await _appended(self.connection, outgoing, call, "row", "rows")


class Json(Action[FileConfig, FileJsonFields, Whole]):
    name = "json"
    summary = "Write a JSON file of its own for the delivery; it appears whole or not at all."
    With = FileJsonFields
    idempotent = True
    examples = (Example("A file for each event", {"path": "chats/evt_1.json", "content": {"name": "Ana"}}),)

    def prepare(self, fields: FileJsonFields, call: Call) -> Whole:
        safe_parts(fields.path)
        data = fields.whole()
        return Whole(fields.path, data, fields.replace, call.idempotency_key, {"json": fields.content})

    async def send(self, outgoing: Whole, call: Call) -> Reply:
        return await _written(self.connection, outgoing, call)


class Xml(Action[FileConfig, FileXmlFields, Whole]):
    name = "xml"
    summary = "Write an XML file of its own for the delivery; it appears whole or not at all."
    With = FileXmlFields
    idempotent = True
    examples = (
        Example("A file for each event", {"path": "chats/evt_1.xml", "root": "chat", "content": {"name": "Ana"}}),
    )

    def prepare(self, fields: FileXmlFields, call: Call) -> Whole:
        safe_parts(fields.path)
        data = fields.whole()
        return Whole(
            fields.path, data, fields.replace, call.idempotency_key, {"xml": data.decode(fields.encoding, "replace")}
        )

    async def send(self, outgoing: Whole, call: Call) -> Reply:
        return await _written(self.connection, outgoing, call)


class File(Connector[FileConfig]):
    name = "file"
    summary = "Files in a folder of this machine: CSV, fixed width, JSON Lines, JSON and XML."
    Config = FileConfig
    guide = GUIDE
    actions = (Csv, Fixed, Jsonl, Json, Xml)
    example: ClassVar[Mapping[str, Any]] = {"connector": "file", "folder": "outbox"}

    def __init__(self, config: FileConfig, context: Context) -> None:
        super().__init__(config, context)
        self.root = context.data_dir / config.folder
        self._waiting: dict[str, list[tuple[Entry, asyncio.Future[Appended]]]] = {}
        self._writers: dict[str, asyncio.Task[None]] = {}

    async def append(self, path: str, entry: Entry) -> Appended:
        """Append, together with whatever else waits for the same file: one fsync serves them all."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(path, []).append((entry, future))
        if path not in self._writers:
            self._writers[path] = asyncio.create_task(self._write_waiting(path))
        return await future

    async def _write_waiting(self, path: str) -> None:
        try:
            while waiting := self._waiting.pop(path, None):
                if waiting[_TOGETHER:]:
                    self._waiting[path] = waiting[_TOGETHER:]
                batch = waiting[:_TOGETHER]
                outcomes: Sequence[Appended | Exception]
                try:
                    entries = [entry for entry, _ in batch]
                    outcomes = await asyncio.to_thread(append_all, self.root, path, entries)
                except Exception as error:  # noqa: BLE001 (whoever waits is told)
                    outcomes = [error] * len(batch)
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    if future.done():
                        continue
                    if isinstance(outcome, Exception):
                        future.set_exception(outcome)
                    else:
                        future.set_result(outcome)
        finally:
            del self._writers[path]

    async def check(self, timeout: timedelta) -> Check:
        async with asyncio.timeout(timeout.total_seconds()):
            return await asyncio.to_thread(look_at, self.root)

    async def aclose(self) -> None:
        await asyncio.gather(*self._writers.values(), return_exceptions=True)


async def _appended(connection: Connector[FileConfig], outgoing: Addition, call: Call, one: str, many: str) -> Reply:
    assert isinstance(connection, File)
    path = outgoing.path
    try:
        async with asyncio.timeout(call.timeout.total_seconds()):
            appended = await connection.append(path, outgoing.entry)
    except TimeoutError:
        # The journal tells the next attempt whether this one got through.
        raise RetryableError(f"{path} could not be written in time", cause="file not written in time") from None
    except OSError as error:
        raise sort_os_error(error, connection.root, path) from error
    count = f"{outgoing.rows} {one if outgoing.rows == 1 else many}"
    done = f"{count} in {path}" if appended.fresh else f"{count} in {path} already, from an earlier attempt"
    return Reply(body={"path": path, many: outgoing.rows, "fresh": appended.fresh}, summary=done)


async def _written(connection: Connector[FileConfig], outgoing: Whole, call: Call) -> Reply:
    assert isinstance(connection, File)
    try:
        async with asyncio.timeout(call.timeout.total_seconds()):
            fresh = await asyncio.to_thread(write_whole, connection.root, outgoing)
    except TimeoutError:
        raise RetryableError(
            f"{outgoing.path} could not be written in time", cause="file not written in time"
        ) from None
    except OSError as error:
        raise sort_os_error(error, connection.root, outgoing.path) from error
    done = f"wrote {outgoing.path}" if fresh else f"{outgoing.path} is there already, from an earlier attempt"
    return Reply(body={"path": outgoing.path, "bytes": len(outgoing.data), "fresh": fresh}, summary=done)
