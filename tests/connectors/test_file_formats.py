"""Fixed width, column rules, quotes, encodings: what systems that import files want of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.files.connector import File
from connectors.files.documents import XmlFields
from connectors.files.fixed import FixedFields
from connectors.files.rules import Column
from connectors.files.tabular import CsvFields
from relay.connector import Call, Context, validated
from relay.errors import DeliveryError, HoldError, PermanentError
from tests.connectors.test_file import Outbox

CALL = Call("dlv_1", "dlv_1")


def fixed(columns: list[dict[str, Any]], *rows: dict[str, Any], **form: Any) -> bytes:
    fields = {"path": "f.txt", "columns": columns, "rows": list(rows), "format": form}
    made = validated(FixedFields, fields)
    assert isinstance(made, FixedFields)
    return made.lines()


def csv(*rows: dict[str, Any], columns: Any = None, **form: Any) -> bytes:
    made = validated(CsvFields, {"path": "c.csv", "rows": list(rows), "columns": columns, "format": form})
    assert isinstance(made, CsvFields)
    return made.whole()


def refused(make: Any) -> DeliveryError:
    with pytest.raises(PermanentError) as caught:
        make()
    return caught.value


def test_each_value_stands_at_its_place() -> None:
    columns = [
        {"name": "CODE", "width": 6},
        {"name": "MARK", "width": 5, "align": "right", "pad": "0"},
        {"name": "NAME", "width": 4, "too_long": "cut"},
    ]
    assert fixed(columns, {"CODE": "A1", "MARK": 50, "NAME": "Lovelace"}, {"NAME": "X"}) == (
        b"A1    00050Love\n      00000X   \n"
    )


def test_a_value_that_is_too_long_is_named_by_its_place_and_not_shown() -> None:
    error = refused(lambda: fixed([{"name": "CODE", "width": 3}], {"CODE": "abc"}, {"CODE": "s3cret"}))
    assert "row 2, CODE takes 6 characters, and the column is 3 wide" in str(error)
    assert "s3cret" not in str(error)


def test_a_width_may_count_bytes() -> None:
    column = {"name": "N", "width": 5, "too_long": "cut"}
    assert fixed([column], {"N": "ééé"}, width_in="bytes") == "éé \n".encode()
    assert fixed([column], {"N": "ééé"}) == "ééé  \n".encode()


@given(st.lists(st.text(), min_size=1, max_size=4), st.sampled_from(["utf-8", "cp1252", "ascii", "utf-16-le"]))
def test_every_line_is_as_wide_as_its_columns(values: list[str], encoding: str) -> None:
    columns = [{"name": f"C{n}", "width": 7, "too_long": "cut"} for n in range(len(values))]
    row = {f"C{n}": value for n, value in enumerate(values)}
    policy = {"unencodable": "replace", "line_breaks": "space", "encoding": encoding}
    text = fixed(columns, row, **policy).decode(encoding)
    assert text.endswith("\n")
    assert len(text) == 7 * len(values) + 1


def test_a_line_break_does_not_make_a_second_record() -> None:
    columns = [{"name": "N", "width": 5}]
    assert "line break" in str(refused(lambda: fixed(columns, {"N": "a\nb"})))
    assert fixed(columns, {"N": "a\r\nb"}, line_breaks="space") == b"a b  \n"
    assert csv({"N": "a\nb"}, line_breaks="space") == b"N\na b\n"
    assert "line_breaks: space" in str(refused(lambda: csv({"N": "a\nb"}, line_breaks="refuse")))
    assert csv({"N": "a\nb"}) == b'N\n"a\nb"\n'


@pytest.mark.parametrize(
    ("columns", "form", "why"),
    [
        ([], {}, "columns"),
        ([{"name": "A", "width": 1}, {"name": "A", "width": 1}], {}, "named twice"),
        ([{"name": "A", "width": 1, "pad": "xy"}], {}, "one character"),
        ([{"name": "A", "width": 1, "pad": "é"}], {"width_in": "bytes"}, "more than one byte"),
        ([{"name": "A", "width": 1, "pad": "Ş"}], {"encoding": "cp1252"}, "no character for the pad"),
        ([{"name": "A", "width": 0}], {}, "width"),
        ([{"name": "B", "width": 1}], {}, "row 1 of f.txt has A"),
    ],
)
def test_wrong_columns_are_named(columns: list[dict[str, Any]], form: dict[str, Any], why: str) -> None:
    assert why in str(refused(lambda: fixed(columns, {"A": 1}, **form)))


RULES = [
    {"name": "STU_CODE", "required": True, "max": 10, "pattern": "[0-9]{8}(/[0-9])?"},
    {"name": "STU_GEND", "one_of": ["F", "M", 9]},
    "NOTE",
]


def test_values_that_keep_to_the_rules_are_written() -> None:
    rows = [{"STU_CODE": "20159707/2", "STU_GEND": 9, "NOTE": "x"}, {"STU_CODE": 20159707}]
    assert csv(*rows, columns=RULES) == b"STU_CODE,STU_GEND,NOTE\n20159707/2,9,x\n20159707,,\n"


def test_every_broken_rule_is_named_by_row_and_column_and_no_value_is_shown() -> None:
    rows = [{"STU_CODE": "s3cret-value"}, {"STU_CODE": " ", "STU_GEND": "s3cret"}, {"STU_CODE": "20159707\n"}]
    error = refused(lambda: csv(*rows, columns=RULES))
    assert str(error) == (
        "c.csv: row 1, STU_CODE has 12 characters, and 10 is the most; "
        "row 1, STU_CODE doesn't look like [0-9]{8}(/[0-9])?; row 2, STU_CODE is required and is empty; "
        "row 2, STU_GEND is none of F, M, 9; row 3, STU_CODE doesn't look like [0-9]{8}(/[0-9])?"
    )
    assert error.cause == "column STU_CODE breaks a rule"


def test_rules_hold_for_fixed_width_and_for_the_text_as_it_is_written() -> None:
    error = refused(lambda: fixed([{"name": "A", "width": 9, "max": 1}], {"A": "ß"}, encoding="ascii",
                                  unencodable="transliterate"))  # fmt: skip
    assert "row 1, A has 2 characters" in str(error)


def test_many_broken_rules_are_counted() -> None:
    assert "and 40 more" in str(refused(lambda: csv(*[{"NOTE": 1}] * 50, columns=RULES)))


def test_a_pattern_takes_linear_time_and_a_wrong_one_is_refused() -> None:
    column = Column(name="A", pattern="(a+)+")
    assert list(column.broken("a" * 50_000 + "!"))
    for pattern in ("(", "(?=a)", r"(a)\1"):
        with pytest.raises(ValidationError, match="regular expression"):
            Column(name="A", pattern=pattern)


def test_quotes_are_all_or_none_where_the_system_says_so() -> None:
    assert csv({"a": "x", "b": None}, quote="all", delimiter="tab") == b'"a"\t"b"\n"x"\t""\n'
    assert csv({"a": 'x "y", z'}, quote="none", delimiter="tab") == b'a\nx "y", z\n'
    for value in ("x\ty", "x\ny", '"x'):
        error = refused(lambda value=value: csv({"a": value}, quote="none", delimiter="tab"))
        assert "column" in (error.cause or "")


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ({"encoding": "cp1252"}, b'<?xml version="1.0" encoding="windows-1252"?>\n<r a="&#350;">\xe9&#127891;</r>\n'),
        ({"encoding": "ascii"}, b'<?xml version="1.0" encoding="us-ascii"?>\n<r a="&#350;">&#233;&#127891;</r>\n'),
        (
            {"encoding": "cp1252", "unencodable": "transliterate"},
            b'<?xml version="1.0" encoding="windows-1252"?>\n<r a="S">\xe9?</r>\n',
        ),
        ({"bom": True}, '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<r a="Ş">é🎓</r>\n'.encode()),
    ],
)
def test_xml_says_its_encoding_and_spells_what_it_lacks_by_number(form: dict[str, Any], data: bytes) -> None:
    content = {"@a": "Ş", "#text": "é🎓"}
    fields = XmlFields.model_validate({"path": "x.xml", "root": "r", "content": content, **form})
    assert fields.whole() == data
    if form.get("unencodable") is None:
        parsed = ElementTree.fromstring(data)
        assert (parsed.get("a"), parsed.text) == ("Ş", "é🎓")


def test_xml_in_utf_16_is_read_back() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        fields = XmlFields(path="x", root="r", content={"a": "Ş"}, encoding=encoding, bom=True)
        assert ElementTree.fromstring(fields.whole()).findtext("a") == "Ş"


async def test_a_preview_of_xml_reads_it_by_its_encoding(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    await outbox.send("xml", path="x.xml", root="r", content={"a": "é"}, encoding="iso-8859-1")
    assert outbox.read("x.xml").endswith(b"<r><a>\xe9</a></r>\n")
    fields = {"path": "x.xml", "root": "r", "content": {"a": "é"}, "encoding": "iso-8859-1"}
    assert "<a>é</a>" in outbox.connector.outgoing("xml", fields, CALL).preview()["xml"]


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\r", "\v", "\f", "\x1e", "\x85", "\u2028", "\u2029"])
def test_whatever_a_reader_takes_for_the_end_of_a_line_is_a_line_break(sign: str) -> None:
    columns, row = [{"name": "A", "width": 3}], {"A": f"a{sign}b"}
    assert "line break" in str(refused(lambda: fixed(columns, row)))
    assert fixed(columns, row, line_breaks="space") == b"a b\n"


def test_a_long_text_is_cut_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[str] = []
    real = FixedFields._size
    monkeypatch.setattr(FixedFields, "_size", lambda self, text: sizes.append(text) or real(self, text))
    columns = [{"name": "A", "width": 3, "too_long": "cut"}]
    assert fixed(columns, {"A": "éé" * 1000}, width_in="bytes") == "é \n".encode()
    assert len(sizes) < 10


def test_names_of_elements_cannot_be_spelled_by_number() -> None:
    for content, root in (({"Ş": 1}, "r"), ({"a": [{"@Ş": 1}]}, "r"), ({"a": 1}, "Ş")):
        fields = XmlFields(path="x", root=root, content=content, encoding="cp1252")
        assert "name" in str(refused(fields.whole))
    fields = XmlFields(path="x", root="r", content={"a": "Ş"}, encoding="cp1252", unencodable="fail")
    assert "'Ş' (U+015E) in element a" in str(refused(fields.whole))


async def test_fixed_width_files_grow(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    columns = [{"name": "A", "width": 3}]
    for key in ("dlv_1", "dlv_2", "dlv_2"):
        await outbox.send("fixed", key=key, path="f.txt", columns=columns, row={"A": key[-1]}, format={"bom": True})
    await outbox.connector.aclose()
    assert outbox.read("f.txt") == b"\xef\xbb\xbf1  \n2  \n"


async def test_a_check_of_a_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(folder: str) -> tuple[str, tuple[str, ...]]:
        config = File.Config.model_validate({"connector": "file", "folder": folder})
        found = await File(config, Context(data_dir=tmp_path)).check(CALL.timeout)
        return found.found, found.missing

    found, missing = await check("deep/outbox")
    assert "is made with the first file" in found
    assert missing == ()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(HoldError, match="is no folder"):
        await check("file")
    (missing,) = (await check("file/below"))[1]
    assert "can't be made" in missing
    (tmp_path / "there").mkdir()
    assert (await check("there")) == (f"{tmp_path}/there is there", ())
    monkeypatch.setattr("os.access", lambda *_, **__: False)  # root may write anywhere
    (missing,) = (await check("there"))[1]
    assert re.search("may not write .*there; give it the right", missing)
