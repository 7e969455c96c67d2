from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.files import whole
from connectors.files.connector import File
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError
from relay.model import Reply
from relay.testing import ConnectorContract


class TestContract(ConnectorContract):
    connector = File


class Outbox:
    """A file connection and its folder."""

    def __init__(self, data: Path, **settings: Any) -> None:
        config = File.Config.model_validate({"connector": "file", **settings})
        self.connector = File(config, Context(data_dir=data))
        self.folder = data / "outbox"
        self._number = 0

    async def send(self, do: str, key: str = "", **fields: Any) -> Reply:
        self._number += 1
        key = key or f"dlv_{self._number}"
        call = Call(key, key, timeout=timedelta(seconds=20))
        return await self.connector.send(do, self.connector.outgoing(do, fields, call), call)

    async def refused(self, do: str, **fields: Any) -> DeliveryError:
        with pytest.raises(DeliveryError) as caught:
            await self.send(do, **fields)
        return caught.value

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    made = Outbox(tmp_path)
    yield made
    await made.connector.aclose()


async def test_rows_are_appended_under_one_header(outbox: Outbox) -> None:
    first = await outbox.send("csv", path="a/chats.csv", row={"Name": "Zoë", "Rating": 2})
    await outbox.send(
        "csv", path="a/chats.csv", rows=[{"Name": 'x, "y"', "Rating": None}, {"Name": "z", "Rating": 1.5}]
    )
    assert outbox.read("a/chats.csv").decode() == 'Name,Rating\nZoë,2\n"x, ""y""",\nz,1.5\n'
    assert first.summary == "1 row in a/chats.csv"
    assert first.body == {"path": "a/chats.csv", "rows": 1, "fresh": True}


async def test_a_repeat_of_a_delivery_adds_nothing(outbox: Outbox) -> None:
    for do, fields in (("csv", {"row": {"a": 1}}), ("jsonl", {"record": {"a": 1}}), ("json", {"content": {"a": 1}})):
        replies = [await outbox.send(do, key="dlv_same", path=f"x.{do}", **fields) for _ in range(2)]
        assert [reply.body["fresh"] for reply in replies] == [True, False]  # type: ignore[index,call-overload]
        assert "earlier attempt" in replies[1].summary
    assert outbox.read("x.csv") == b"a\n1\n"
    assert outbox.read("x.jsonl") == b'{"a":1}\n'


async def test_rows_go_under_the_header_by_name(outbox: Outbox) -> None:
    await outbox.send("csv", path="c.csv", columns=["a", "b", "c"], rows=[{"b": 2}])
    await outbox.send("csv", path="c.csv", row={"c": 6, "a": 4})
    await outbox.send("csv", path="c.csv", columns={"b": 8})
    assert outbox.read("c.csv") == b"a,b,c\n,2,\n4,,6\n,8,\n"


async def test_an_unknown_column_is_refused_with_both_sides_named(outbox: Outbox) -> None:
    await outbox.send("csv", path="c.csv", row={"Name": 1, "Email": 2})
    error = await outbox.refused("csv", path="c.csv", row={"Name": 1, "Phone": 3})
    assert isinstance(error, PermanentError)
    assert "columns Name, Email" in str(error)
    assert "Name, Phone" in str(error)
    assert outbox.read("c.csv") == b"Name,Email\n1,2\n"


async def test_values_are_written_as_people_expect(outbox: Outbox) -> None:
    row = {"none": None, "yes": True, "big": 2**70, "float": 0.1, "list": [1, "a"], "map": {"k": None}, "007": "007"}
    await outbox.send("csv", path="v.csv", row=row, format={"delimiter": "tab"})
    values = outbox.read("v.csv").decode().splitlines()[1].split("\t")
    assert values == ["", "true", "1180591620717411303424", "0.1", '"[1,""a""]"', '"{""k"":null}"', "007"]


async def test_windows_gets_what_windows_wants(outbox: Outbox) -> None:
    form = {"delimiter": ";", "encoding": "cp1252", "line_end": "crlf", "quote": "all"}
    for name in ("Zoë – €", "a\nb"):
        await outbox.send("csv", path="w.csv", row={"Näme": name}, format=form)
    assert outbox.read("w.csv") == '"Näme"\r\n"Zoë – €"\r\n"a\nb"\r\n'.encode("cp1252")


async def test_a_character_the_encoding_lacks_is_a_dead_letter_or_what_was_asked_for(outbox: Outbox) -> None:
    error = await outbox.refused("csv", path="u.csv", row={"Surname": "Şahin"}, format={"encoding": "cp1252"})
    assert isinstance(error, PermanentError)
    assert "'Ş' (U+015E) in column Surname" in str(error)
    for how, text in (("replace", b"?ahin"), ("transliterate", b"Sahin")):
        form = {"encoding": "cp1252", "unencodable": how, "header": False}
        await outbox.send("csv", path=f"{how}.csv", row={"Surname": "Şahin"}, format=form)
        assert outbox.read(f"{how}.csv") == text + b"\n"


async def test_nearest_letters_that_are_quotes_or_formulas_are_still_quoted_and_escaped(outbox: Outbox) -> None:
    form = {"encoding": "ascii", "unencodable": "transliterate", "header": False, "escape_formulas": True}
    await outbox.send("csv", path="t.csv", row={"a": "“łódź”", "b": "＝1", "c": "日"}, format=form)
    assert outbox.read("t.csv") == b'"""lodz""",\'=1,?\n'


async def test_formulas_are_left_alone_unless_asked(outbox: Outbox) -> None:
    row = {"phone": "+442079460000", "evil": '=HYPERLINK("x")', "number": -5}
    await outbox.send("csv", path="plain.csv", row=row, format={"header": False})
    await outbox.send("csv", path="safe.csv", row=row, format={"header": False, "escape_formulas": True})
    assert outbox.read("plain.csv") == b'+442079460000,"=HYPERLINK(""x"")",-5\n'
    assert outbox.read("safe.csv") == b'\'+442079460000,"\'=HYPERLINK(""x"")",-5\n'


async def test_a_byte_order_mark_starts_the_file_once(outbox: Outbox) -> None:
    for encoding, mark in (("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe")):
        for _ in range(2):
            form = {"bom": True, "encoding": encoding}
            await outbox.send("csv", path=f"{encoding}.csv", row={"a": "é"}, format=form)
        assert outbox.read(f"{encoding}.csv") == mark + "a\né\né\n".encode(encoding)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"encoding": "utf8mb4"}, "no encoding is called"),
        ({"encoding": "base64"}, "no encoding is called"),
        ({"encoding": "utf-16"}, "say utf-8 or utf-16-le"),
        ({"encoding": "utf-8-sig"}, "bom: true"),
        ({"encoding": "cp1252", "bom": True}, "no byte order mark"),
        ({"delimiter": ";;"}, "one character"),
        ({"delimiter": '"'}, "one character"),
        ({"delimeter": ";"}, "did you mean delimiter"),
        ({"line_end": "cr"}, "line_end"),
    ],
)
async def test_a_wrong_format_is_named(outbox: Outbox, form: dict[str, Any], why: str) -> None:
    error = await outbox.refused("csv", path="x.csv", row={"a": 1}, format=form)
    assert isinstance(error, PermanentError)
    assert why in str(error)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a/./b", "a\0b", "a\nb", "C:/x", "a\\..\\b", "a/", ".chats.csv.relay",
     ".x.part", "x/.y.csv.torn", "a" * 256, "\ud800"],
)  # fmt: skip
@pytest.mark.parametrize("do", ["csv", "jsonl", "json", "xml"])
async def test_event_data_in_a_path_cannot_lead_elsewhere(outbox: Outbox, tmp_path: Path, do: str, path: str) -> None:
    fields = {"csv": {"row": {"a": 1}}, "jsonl": {"record": 1}, "json": {"content": 1}, "xml": {"content": {"a": 1}}}
    error = await outbox.refused(do, path=path, **fields[do])
    assert isinstance(error, PermanentError)
    assert list(tmp_path.iterdir()) == []


async def test_links_are_not_followed(outbox: Outbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outbox.folder.mkdir()
    (outbox.folder / "link").symlink_to(outside)
    (outbox.folder / "link.csv").symlink_to(outside / "x.csv")
    os.mkfifo(outbox.folder / "pipe.csv")
    for path in ("link/x.csv", "link.csv", "pipe.csv"):
        assert isinstance(await outbox.refused("csv", path=path, row={"a": 1}), PermanentError)
    for path in ("link/x.json", "link.csv"):
        assert isinstance(await outbox.refused("json", path=path, content=1), PermanentError)
    assert list(outside.iterdir()) == []


async def test_a_path_through_a_file_or_onto_a_folder_is_permanent(outbox: Outbox) -> None:
    await outbox.send("csv", path="d/x.csv", row={"a": 1})
    for path in ("d", "d/x.csv/y"):
        assert isinstance(await outbox.refused("csv", path=path, row={"a": 1}), PermanentError)


async def test_a_folder_the_relay_may_not_write_holds_the_lane(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("connectors.files.append.folder_of", forbidden)
    assert isinstance(await outbox.refused("csv", path="x.csv", row={"a": 1}), HoldError)


async def test_a_file_of_its_own_is_never_replaced_unless_asked(outbox: Outbox) -> None:
    await outbox.send("json", path="x.json", content={"a": 1})
    error = await outbox.refused("json", path="x.json", content={"a": 2})
    assert isinstance(error, PermanentError)
    assert "x.json is there already" in str(error)
    await outbox.send("json", path="x.json", content={"a": 3}, replace=True)
    assert outbox.read("x.json") == b'{"a":3}\n'


async def test_xml_takes_its_root_from_the_content_or_beside_it(outbox: Outbox) -> None:
    await outbox.send("xml", path="1.xml", content={"r": {"a": 1}})
    await outbox.send("xml", path="2.xml", root="r", content={"a": 1})
    assert outbox.read("1.xml") == outbox.read("2.xml")
    assert outbox.read("1.xml") == b'<?xml version="1.0" encoding="UTF-8"?>\n<r><a>1</a></r>\n'


async def test_a_file_killed_before_its_rename_leaves_only_a_temporary_one_that_the_retry_takes_over(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    outgoing = whole.Whole("x.json", b"1\n", False, "dlv_1", {})
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", killed)
        with pytest.raises(Killed):
            whole.write_whole(outbox.folder, outgoing)
    assert [path.suffix for path in outbox.folder.iterdir()] == [".part"]
    assert whole.write_whole(outbox.folder, outgoing)
    assert [path.name for path in outbox.folder.iterdir()] == ["x.json"]


async def test_a_file_system_without_hard_links_gets_a_rename(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    await outbox.send("json", path="x.json", content=1)
    assert [path.name for path in outbox.folder.iterdir()] == ["x.json"]


async def test_a_thousand_deliveries_at_once_all_arrive_once(outbox: Outbox) -> None:
    await asyncio.gather(
        *(outbox.send("jsonl", key=f"dlv_{n % 900}", path="many.jsonl", record=n % 900) for n in range(1000))
    )
    assert sorted(map(int, outbox.read("many.jsonl").split())) == list(range(900))


async def test_a_wrong_row_does_not_hurt_those_beside_it(outbox: Outbox) -> None:
    await outbox.send("csv", path="m.csv", row={"a": 0})
    sent = [outbox.send("csv", path="m.csv", row={"a": n} if n % 2 else {"b": n}) for n in range(10)]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert [isinstance(outcome, PermanentError) for outcome in outcomes] == [True, False] * 5
    assert outbox.read("m.csv") == b"a\n0\n1\n3\n5\n7\n9\n"


async def test_the_folder_may_be_absolute(tmp_path: Path) -> None:
    made = Outbox(tmp_path / "data", folder=str(tmp_path / "elsewhere"))
    await made.send("json", path="x.json", content=1)
    await made.connector.aclose()
    assert (tmp_path / "elsewhere/x.json").read_bytes() == b"1\n"
    assert stat.S_ISREG((tmp_path / "elsewhere/x.json").stat().st_mode)


def test_a_preview_shows_the_whole_text_and_touches_nothing(tmp_path: Path) -> None:
    made = Outbox(tmp_path)
    call = Call("d", "d")
    preview = made.connector.outgoing("csv", {"path": "a.csv", "row": {"a": 1}}, call).preview()
    assert preview == {"append to": "a.csv", "columns": ["a"], "rows": [{"a": 1}], "text": "a\n1\n"}
    assert list(tmp_path.iterdir()) == []


def test_a_batch_makes_one_call_with_every_row() -> None:
    merged = File.action_class("csv").merged(
        [{"path": "a.csv", "columns": {"a": 1}}, {"path": "a.csv", "columns": {"a": 2, "b": 3}}]
    )
    assert merged == {"path": "a.csv", "columns": ["a", "b"], "rows": [{"a": 1}, {"a": 2, "b": 3}]}
    merged = File.action_class("jsonl").merged([{"path": "a", "record": 1}, {"path": "a", "records": [2, 3]}])
    assert merged == {"path": "a", "records": [1, 2, 3]}
    with pytest.raises(PermanentError, match="differ in `path`"):
        File.action_class("csv").merged([{"path": "a", "row": {"a": 1}}, {"path": "b", "row": {"a": 1}}])
