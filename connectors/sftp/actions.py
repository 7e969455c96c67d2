"""What a step may drop: one action for each format."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncssh
from pydantic import Field, field_validator

from connectors.files.documents import JsonFields, JsonlFields, XmlFields
from connectors.files.fixed import FixedFields
from connectors.files.placeholders import RECORD, checked, filled
from connectors.files.tabular import CsvFields, merged_rows
from connectors.sftp.config import SftpConfig
from connectors.sftp.drop import Drop, drop
from connectors.sftp.session import CONNECTION_LOST, SftpSession, sort_ssh_error
from connectors.sftp.steps import Done, put
from relay.connector import Action, Call, Example, Fields
from relay.errors import RetryableError
from relay.model import Reply

_UNIQUE = "Put a piece of the delivery's key before the extension, so that no two deliveries share a name."


class Unique(Fields):
    unique: bool = Field(True, description=_UNIQUE)


class Records(Unique):
    header_record: str | None = Field(
        None,
        description="The file's first line, before the columns' names: text with {filename}, {stem}, {count} or "
        "{count:6} (rows, with zeros), {lines} (all lines), {date} or {date:%d/%m/%Y}, {time} (both UTC), {key}.",
        examples=["HDR|{date}|{filename}"],
    )
    trailer_record: str | None = Field(
        None, description="The file's last line, with the same placeholders.", examples=["TRL|{count:6}"]
    )

    @field_validator("header_record", "trailer_record")
    @classmethod
    def _is_one_line(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if "\n" in value or "\r" in value:
            raise ValueError("is one line")
        return checked(value, RECORD)


class SftpCsvFields(CsvFields, Records):
    pass


class SftpFixedFields(FixedFields, Records):
    pass


class SftpJsonlFields(JsonlFields, Unique):
    pass


class SftpJsonFields(JsonFields, Unique):
    pass


class SftpXmlFields(XmlFields, Unique):
    pass


class Write(Action[SftpConfig, Any, Drop]):
    """What the formats share. The name is the same for every attempt, so a repeat finds the earlier one's file."""

    idempotent = True

    async def send(self, outgoing: Drop, call: Call) -> Reply:
        session: SftpSession = getattr(self.connection, "session")  # noqa: B009 (the class is in a module above)
        seconds = call.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                done = await self._send(session, outgoing, seconds)
        except TimeoutError:
            # Half a file lies under its temporary name, or the whole under its own: the next attempt finds out.
            raise RetryableError(f"{self.config.host} was too slow", cause="sftp timeout") from None
        text = f"wrote {outgoing.path} ({outgoing.count})"
        if not done.fresh:
            text = f"{done.taken or outgoing.path} is there already, from an earlier attempt"
            if done.completed:
                text += f"; added {', '.join(done.completed)}"
        body: dict[str, Any] = {"path": outgoing.path, "bytes": done.size, "fresh": done.fresh}
        return Reply(body=body, summary=text)

    async def _send(self, session: SftpSession, outgoing: Drop, seconds: float) -> Done:
        # A kept connection that the other side has closed meanwhile says nothing about the delivery: try a new one.
        for last in (not session.is_open, True):
            try:
                async with session.use() as sftp:
                    return await put(sftp, outgoing, self.config, self.connection.context.data_dir, seconds)
            except (asyncssh.Error, OSError) as error:
                if last or not isinstance(error, CONNECTION_LOST):
                    raise sort_ssh_error(error, self.config, outgoing.path) from error
        raise AssertionError("the last round returns or raises")


def whole(
    action: Write, fields: Any, call: Call, body: bytes, count: str, shown: Mapping[str, Any], rows: int = 1
) -> Drop:
    """A file that is its body, without records around it."""
    made, _ = drop(action.config, fields.path, fields.unique, call, body, rows, count, shown)
    return replace(made, data=body, values={**made.values, "lines": body.count(b"\n")})


def framed(action: Write, fields: SftpCsvFields | SftpFixedFields, call: Call, body: bytes, header: bool) -> Drop:
    """A file of rows, with its header and trailer records."""
    rows, form = len(fields.all_rows()), fields.format
    made, values = drop(action.config, fields.path, fields.unique, call, body, rows, _several(rows, "row"), {})
    records = (fields.header_record, fields.trailer_record)
    values["lines"] = rows + header + sum(record is not None for record in records)
    first, last = (
        b"" if record is None else form.record(filled(record, values, made.moment), what)
        for record, what in zip(records, ("the header record", "the trailer record"), strict=True)
    )
    data = form.mark + first + body + last
    text = data.decode(form.encoding, "replace").removeprefix("\ufeff")
    shown = {"columns": fields.column_names(), "rows": fields.all_rows(), "text": text}
    return replace(made, data=data, values={**made.values, "lines": values["lines"]}, shown=shown)


def _several(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


class Csv(Write):
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
        Example(
            "For a student system, with its columns checked, and a trailer record that counts the rows",
            {
                "path": "students.txt",
                "columns": [
                    {"name": "STU_CODE", "required": True, "max": 12, "pattern": "[0-9]{8}(/[0-9])?"},
                    {"name": "STU_SURN", "required": True, "max": 40},
                    {"name": "STU_GEND", "one_of": ["F", "M", "X"]},
                ],
                "row": {"STU_CODE": "20159707/2", "STU_SURN": "Lovelace"},
                "header_record": "HDR|{filename}",
                "trailer_record": "TRL|{count:6}",
                "format": {"delimiter": "|", "line_end": "crlf"},
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: SftpCsvFields, call: Call) -> Drop:
        columns = fields.column_names()
        body = fields.format.header_line(columns) + fields.lines(columns)
        return framed(self, fields, call, body, fields.format.header)


class Fixed(Write):
    name = "fixed"
    summary = "Write a fixed-width file of its own for the delivery or the batch."
    With = SftpFixedFields
    batchable = True
    row_fields = ("row", "rows")
    examples = (
        Example(
            "With header and trailer records",
            {
                "path": "students.txt",
                "columns": [
                    {"name": "STU_CODE", "width": 12, "required": True},
                    {"name": "STU_SURN", "width": 40, "too_long": "cut"},
                    {"name": "MARK", "width": 5, "align": "right", "pad": "0"},
                ],
                "row": {"STU_CODE": "20159707/2", "STU_SURN": "Lovelace", "MARK": 5055},
                "header_record": "H{filename}",
                "trailer_record": "T{count:8}",
            },
        ),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: SftpFixedFields, call: Call) -> Drop:
        return framed(self, fields, call, fields.lines(), False)


class Jsonl(Write):
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
        shown = {"records": records, "text": data.decode()}
        return whole(self, fields, call, data, _several(len(records), "record"), shown, len(records))


class Json(Write):
    name = "json"
    summary = "Write a JSON file of its own for the delivery."
    With = SftpJsonFields
    examples = (Example("A file for each delivery", {"path": "/incoming/chat.json", "content": {"name": "Ana"}}),)

    def prepare(self, fields: SftpJsonFields, call: Call) -> Drop:
        data = fields.whole()
        return whole(self, fields, call, data, f"{len(data)} bytes", {"json": fields.content})


class Xml(Write):
    name = "xml"
    summary = "Write an XML file of its own for the delivery."
    With = SftpXmlFields
    examples = (
        Example("A file for each delivery", {"path": "chat.xml", "root": "chat", "content": {"@id": 7, "name": "Ana"}}),
    )

    def prepare(self, fields: SftpXmlFields, call: Call) -> Drop:
        data = fields.whole()
        return whole(self, fields, call, data, f"{len(data)} bytes", {"xml": data.decode(fields.encoding, "replace")})
