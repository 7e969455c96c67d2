"""Whatever arrives under whatever content type is a JSON-like value or a bad body, and never another error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.errors import BodyError
from relay.sources.decode import decode
from tests.sources import fuzz

TYPES = [
    "",
    "application/json",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=cp1252",
    "multipart/form-data; boundary=x",
    "application/xml",
    "text/xml; charset=latin-1",
    "text/plain",
    "text/plain; charset=utf-7",
    "image/png",
]

JSON_PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"\\ud800",
    b"1e999",
    b"9" * 25,
    b"NaN",
    b"null",
    b"\xef\xbb\xbf",
]
FORM_PIECES = [b"a", b"=", b"&", b"%ff", b"[]", b"[0]", b"[b]", b"%00", b"+"]
PART_PIECES = [b"--x", b"\r\n", b"--x--", b'Content-Disposition: form-data; name="a"', b'; filename="f"', b"\r\n\r\n"]
XML_PIECES = [
    b"<a>",
    b"</a>",
    b"<a b='c'>",
    b"<?xml version='1.0'?>",
    b"&#xD800;",
    b"<!DOCTYPE a>",
    b"<![CDATA[",
    b"]]>",
]

pieces = st.sampled_from([*JSON_PIECES, *FORM_PIECES, *PART_PIECES, *XML_PIECES])
bodies = st.binary(max_size=200) | st.lists(pieces | st.binary(max_size=3), max_size=40).map(b"".join)
content_types = (
    st.sampled_from(TYPES)
    | st.text(max_size=40)
    | st.builds("{}; charset={}".format, st.sampled_from(TYPES[:3]), st.text(max_size=12))
)
queries = st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=5)
hows = st.sampled_from(["auto", "json", "form", "xml", "text", "query"])


def is_json_like(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and is_json_like(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(is_json_like, value))
    return value is None or type(value) in (str, int, float, bool)


@given(body=bodies, content_type=content_types, query=queries, how=hows, json_field=st.none() | st.just("a"))
def test_any_bytes_are_a_value_or_a_bad_body(
    body: bytes, content_type: str, query: list[tuple[str, str]], how: str, json_field: str | None
) -> None:
    try:
        value = decode(body, content_type, query, how=how, json_field=json_field)
    except BodyError:
        return
    assert is_json_like(value)
    written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    # A field is never multiplied: what comes out is bounded by what came in.
    assert len(written) <= 200 + 30 * (len(body) + sum(len(name) + len(text) for name, text in query) * 4)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_comes_back_as_it_was_written(value: Any) -> None:
    assert decode(json.dumps(value).encode(), "application/json") == value
    assert decode(json.dumps(value, ensure_ascii=False).encode(), "application/json") == value


@given(st.binary(min_size=4, max_size=4), bodies | st.sampled_from(fuzz.AWKWARD))
# More byte order marks than one: taken, as the first is.
@example(bytes.fromhex("369101b4"), b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}')
@example(bytes.fromhex("0db51b1c"), b"\xff\xfe\xff\xfe\xff\xfe" + '{"a": 1}'.encode("utf-16-le"))
# Nothing is left of what is cut off: that is a body that is empty, and not a packed one.
@example(bytes.fromhex("00000600"), b"")
def test_what_the_long_look_asks_holds(how: bytes, body: bytes) -> None:
    fuzz.check(how + body)
    fuzz.check_packed(body)


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (ValueError("x"), "ValueError"),
        (float("nan"), "can't be written"),
        ("\ud800", "can't be written"),
        ({"a": 1}, "standard library"),
    ],
)
def test_the_long_look_finds_what_must_not_be(monkeypatch: pytest.MonkeyPatch, made: Any, found: str) -> None:
    def broken(body: bytes, *args: Any, **options: Any) -> Any:
        if args[0] == "application/json" and not options:
            return decode(body, "application/json")
        if isinstance(made, Exception):
            raise made
        return made

    monkeypatch.setattr(fuzz, "decode", broken)
    with pytest.raises(fuzz.Found, match=found):
        fuzz.check(b"\x01\x01\x00\x00[1]")


def test_the_long_look_can_be_a_short_one(tmp_path: Path) -> None:
    assert fuzz.at_random(0.5, 1, tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
