from __future__ import annotations

import gzip
import json
import os
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import brotli
import pytest
import zstandard

from relay.errors import BodyError
from relay.model import Event
from relay.sources import form_body, json_body, xml_body
from relay.sources.config import SourceConfig
from relay.sources.decode import decode, decode_event, takes_long
from relay.sources.unpack import unpacked

JSON = "application/json"
#: Without the time in it: a test's name must be the same in each process.
GZIPPED = partial(gzip.compress, mtime=0)
FORM = "application/x-www-form-urlencoded"
XML = "application/xml"


def complaint(body: bytes, content_type: str, **options: Any) -> str:
    with pytest.raises(BodyError) as caught:
        decode(body, content_type, **options)
    return str(caught.value)


# JSON


@pytest.mark.parametrize(
    "content_type",
    [JSON, "Application/JSON; charset=utf-8", "text/json", "application/vnd.api+json", "application/json;charset=UTF8"],
)
def test_json_is_known_by_its_content_type(content_type: str) -> None:
    assert decode('{"name": "Zoë"}'.encode(), content_type) == {"name": "Zoë"}


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40])
def test_a_big_integer_stays_exact(number: int) -> None:
    value = decode(b'{"id": %d, "price": 12.5}' % number, JSON)
    assert value == {"id": number, "price": 12.5}
    assert type(value["id"]) is int  # type: ignore[index,call-overload]


def test_a_long_number_in_a_text_stays_a_text() -> None:
    assert decode(b'{"id": "123456789012345678901234567890"}', JSON) == {"id": "123456789012345678901234567890"}


@pytest.mark.parametrize(
    "body", [b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[1e999]", b"[-1e999]", b"[" + b"9" * 5000 + b"]"]
)
def test_what_is_no_number_is_refused(body: bytes) -> None:
    assert "number" in complaint(body, JSON)


def test_of_a_key_that_is_there_twice_the_last_one_wins() -> None:
    assert decode(b'{"a": 1, "a": 2}', JSON) == {"a": 2}
    assert decode(b'{"a": 1234567890123456789012, "a": 2}', JSON) == {"a": 2}


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_byte_order_marks_and_wide_encodings_are_understood(charset: str) -> None:
    assert decode('{"name": "Zoë"}'.encode(charset), JSON) == {"name": "Zoë"}


def test_a_charset_of_the_content_type_is_honoured() -> None:
    assert decode('{"name": "Zoë"}'.encode("latin-1"), 'application/json; charset="ISO-8859-1"') == {"name": "Zoë"}
    assert "isn't utf-16 at byte" in complaint(b'{"a": 1}x', "application/json; charset=utf-16")
    assert "charset that isn't known: 'klingon'" in complaint(b"{}", "application/json; charset=klingon")


@pytest.mark.parametrize(
    "charset", ["utf-7", "unicode_escape", "unicode-escape", "idna", "punycode", "rot13", "zlib", "hex"]
)
def test_what_no_sender_writes_a_body_in_is_no_charset(charset: str) -> None:
    assert "charset" in complaint(b"{}", f"application/json; charset={charset}")


def test_a_complaint_about_json_names_line_and_column() -> None:
    assert complaint(b'{\n  "a": 1,\n  "b" 2\n}', JSON) == (
        "the body isn't JSON: expecting ':' delimiter at line 3, column 7"
    )
    assert "at line 1, column 1" in complaint(b"<html>", JSON)
    assert "extra data at line 1, column 9" in complaint(b'{"a":1} x', JSON)
    assert "isn't UTF-8 at byte 9" in complaint(b'{"name":"\xff"}'[1:], JSON)


def test_a_field_inserted_without_escaping_is_explained() -> None:
    assert "has to be escaped by the sender" in complaint(b'{"feedback": "first line\nsecond line"}', JSON)


def test_half_of_an_emoji_becomes_the_replacement_character() -> None:
    assert decode(b'{"a": "x\\ud83dy", "b": ["\\ude00"], "c": "\\ud83d\\ude00"}', JSON) == {
        "a": "x\ufffdy",
        "b": ["\ufffd"],
        "c": "😀",
    }


@pytest.mark.parametrize("depth", [129, 1000, 5000, 200_000])
@pytest.mark.parametrize(("opening", "inner", "closing"), [(b"[", b"", b"]"), (b'{"a":', b"1", b"}")])
def test_a_depth_bomb_is_a_bad_body(depth: int, opening: bytes, inner: bytes, closing: bytes) -> None:
    assert "nested deeper than 128 levels" in complaint(opening * depth + inner + closing * depth, JSON)
    big = inner or b"1"
    long_number = opening * depth + big + b"0" * 30 + closing * depth
    assert "nested deeper than 128 levels" in complaint(long_number, JSON)


def test_the_deepest_json_that_is_allowed_is_understood() -> None:
    assert decode(b"[" * 128 + b"]" * 128, JSON)


def test_a_wide_body_is_not_a_deep_one() -> None:
    assert decode(json.dumps([{"a": [1]}] * 1000).encode(), JSON) == [{"a": [1]}] * 1000


# Forms


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"a=1&b=x+y%26z", {"a": "1", "b": "x y&z"}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"a&b=", {"a": "", "b": ""}),
        (b"&&a=1&", {"a": "1"}),
        ("name=Zoë&x=Zo%C3%AB".encode(), {"name": "Zoë", "x": "Zoë"}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"a[]=1", {"a": ["1"]}),
        (b"a%5B%5D=1&a%5B%5D=2", {"a": ["1", "2"]}),
        (b"a[0][b]=1&a[0][c]=2&a[1][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        (b"a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        (b"a[7]=x", {"a": {"7": "x"}}),
        (b"a[0]=x&a[2]=z", {"a": {"0": "x", "2": "z"}}),
        (b"a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
        (b"a[999999999]=x&a[01]=y", {"a": {"999999999": "x", "01": "y"}}),
        (b"a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        (b"a[b]=1&a[b]=2", {"a": {"b": ["1", "2"]}}),
        (b"a=1&a[b]=2", {"a": {"#text": "1", "b": "2"}}),
        (b"a[b]=2&a=1&a=3", {"a": {"#text": ["1", "3"], "b": "2"}}),
        (b"a=1&a[#text]=2", {"a": {"#text": ["1", "2"]}}),
        (b"a=1&a[]=2", {"a": ["1", "2"]}),
        (b"a[b=1&c]=2&[d]=3&e[f]g=4&h[i]]=5", {"a[b": "1", "c]": "2", "[d]": "3", "e[f]g": "4", "h[i]]": "5"}),
        (b"=1", {"": "1"}),
    ],
)
def test_a_form_is_nested_by_its_brackets_and_loses_nothing(body: bytes, value: Any) -> None:
    assert decode(body, FORM) == value


def test_mailchimps_bracket_keys_are_nested() -> None:
    body = b"type=subscribe&data[list_id]=a6b5da1054&data[merges][EMAIL]=api%40mailchimp.com&data[merges][FNAME]=M"
    assert decode(body, FORM) == {
        "type": "subscribe",
        "data": {"list_id": "a6b5da1054", "merges": {"EMAIL": "api@mailchimp.com", "FNAME": "M"}},
    }


def test_a_form_honours_its_charset_and_never_guesses() -> None:
    assert decode(b"name=Zo%EB", FORM + "; charset=windows-1252") == {"name": "Zoë"}
    assert complaint(b"a=1&name=Zo%EB", FORM).startswith("the form's field 2 isn't UTF-8 at byte 3")


def test_a_form_is_bounded_in_fields_and_depth() -> None:
    assert decode(b"&".join(b"a=1" for _ in range(form_body.MAX_FIELDS)), FORM)
    assert "more than 10000 fields" in complaint(b"&".join(b"a=1" for _ in range(form_body.MAX_FIELDS + 1)), FORM)
    assert decode(b"a" + b"[b]" * 31 + b"=1", FORM)
    assert "field 1 is nested deeper than 32" in complaint(b"a" + b"[b]" * 32 + b"=1", FORM)


def test_a_form_field_that_holds_the_event_as_json_becomes_the_data() -> None:
    body = b"payload=%7B%22action%22%3A%22opened%22%7D"
    assert decode(body, FORM, json_field="payload") == {"action": "opened"}
    assert decode(body, FORM) == {"payload": '{"action":"opened"}'}
    assert decode(b"command=%2Fdeploy", FORM, json_field="payload") == {"command": "/deploy"}
    assert decode(b'{"payload": "{}"}', JSON, json_field="payload") == {"payload": "{}"}
    assert complaint(b"payload=%7B", FORM, json_field="payload").startswith(
        "the form's field payload: the body isn't JSON"
    )


# Multipart

BOUNDARY = "multipart/form-data; boundary=xyz"


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz--\r\n"


def test_multipart_text_is_fields_and_files_are_objects() -> None:
    body = multipart(
        b'Content-Disposition: form-data; name="formID"\r\n\r\n241',
        'Content-Disposition: form-data; name="name[first]"\r\n\r\nZoë'.encode(),
        b'Content-Disposition: form-data; name="name[last]"\r\n'
        b"Content-Type: text/plain; charset=cp1252\r\n\r\nM\xfcller",
        b'Content-Disposition: form-data; name="cv"; filename="a b.bin"\r\nContent-Type: image/png\r\n\r\n\x00\xff\r\n',
        b'Content-Disposition: form-data; name="tag"\r\n\r\na',
        b'Content-Disposition: form-data; name="tag"\r\n\r\nb',
        b'Content-Disposition: form-data; name="raw"\r\nContent-Type: application/octet-stream\r\n\r\n\xff',
    )
    assert decode(body, BOUNDARY) == {
        "formID": "241",
        "name": {"first": "Zoë", "last": "Müller"},
        "cv": {"filename": "a b.bin", "content_type": "image/png", "size": 4, "base64": "AP8NCg=="},
        "tag": ["a", "b"],
        "raw": {"filename": "", "content_type": "application/octet-stream", "size": 1, "base64": "/w=="},
    }


def test_multipart_that_is_cut_off_or_broken_is_a_bad_body() -> None:
    body = multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n1')
    assert decode(body, BOUNDARY) == {"a": "1"}
    assert "before its closing boundary" in complaint(body[:-10], BOUNDARY)
    assert "doesn't name its boundary" in complaint(body, "multipart/form-data")
    assert "isn't multipart" in complaint(body, "multipart/form-data; boundary=abc")
    bad_text = multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n\xff')
    assert "the part 1 of the body isn't UTF-8 at byte 1" in complaint(bad_text, BOUNDARY)


def test_multipart_is_bounded_in_parts() -> None:
    part = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    assert "more than 10000 fields" in complaint(multipart(*[part] * 10_001), BOUNDARY)


# XML


@pytest.mark.parametrize("content_type", [XML, "text/xml; charset=utf-8", "application/soap+xml"])
def test_xml_is_nested_under_its_root(content_type: str) -> None:
    body = """<?xml version="1.0"?>
    <order id="7"><name>Zoë</name><line qty="1">A</line><line qty="2">B</line><note/><total> 12 </total></order>"""
    assert decode(body.encode(), content_type) == {
        "order": {
            "@id": "7",
            "name": "Zoë",
            "line": [{"@qty": "1", "#text": "A"}, {"@qty": "2", "#text": "B"}],
            "note": "",
            "total": " 12 ",
        }
    }


def test_namespaces_are_left_out_and_what_then_has_one_name_is_a_list() -> None:
    body = b'<s:Envelope xmlns:s="urn:s" xmlns:a="urn:a" a:id="1" id="2"><s:Body><x/><a:x/></s:Body></s:Envelope>'
    assert decode(body, XML) == {"Envelope": {"@id": ["1", "2"], "Body": {"x": ["", ""]}}}


def test_cdata_and_mixed_text_are_kept() -> None:
    assert decode(b"<a><![CDATA[1 < 2]]></a>", XML) == {"a": "1 < 2"}
    assert decode(b"<p>one <b>two</b> three</p>", XML) == {"p": {"b": "two", "#text": "one  three"}}


def test_xml_in_another_charset_is_understood_by_either_declaration() -> None:
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?><a>Zoë</a>'.encode("latin-1")
    assert decode(declared, XML) == {"a": "Zoë"}
    assert decode("<a>Zoë</a>".encode("latin-1"), XML + "; charset=latin-1") == {"a": "Zoë"}
    assert decode("<a>Zoë</a>".encode("utf-16"), XML) == {"a": "Zoë"}


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"<!DOCTYPE a><a/>",
    ],
)
def test_document_types_and_entities_are_refused(body: bytes) -> None:
    assert "is refused" in complaint(body, XML)


def test_a_complaint_about_xml_names_line_and_column() -> None:
    assert complaint(b"<a>\n  <b></a>", XML) == "the body isn't XML: mismatched tag at line 2, column 8"
    assert "at line 1, column" in complaint(b"<a>&nbsp;</a>", XML)
    assert "isn't XML" in complaint(b"   ", XML)
    assert "charset that isn't known: 'klingon'" in complaint(b'<?xml version="1.0" encoding="klingon"?><a/>', XML)


def test_xml_is_bounded_in_depth_and_elements() -> None:
    assert decode(b"<a>" * 100 + b"</a>" * 100, XML)
    assert "deeper than 100" in complaint(b"<a>" * 101 + b"</a>" * 101, XML)
    assert "more than 200000 elements" in complaint(b"<a>" + b"<b/>" * xml_body.MAX_ELEMENTS + b"</a>", XML)


# By its look, text and query


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "nonsense", ";;;", "\x00"])
def test_a_content_type_that_says_nothing_leaves_it_to_the_look(content_type: str) -> None:
    assert decode(b' {"a": 1}', content_type) == {"a": 1}
    assert decode(b"[1]", content_type) == [1]
    assert decode(b"[not json", content_type) == "[not json"
    assert decode(b'<?xml version="1.0"?><a>1</a>', content_type) == {"a": "1"}
    assert decode(b"<p>not xml", content_type) == "<p>not xml"
    assert decode(b"123", content_type) == "123"
    assert decode("Zoë".encode(), content_type) == "Zoë"


def test_bytes_that_are_no_text_are_base64() -> None:
    assert decode(b"\x89PNG\xff", "image/png") == {"base64": "iVBOR/8="}
    assert decode(b"\xff", "") == {"base64": "/w=="}
    assert "isn't UTF-8 at byte 1" in complaint(b"\xff", "text/plain")


def test_other_text_is_text() -> None:
    assert decode(b'{"a": 1}', "text/csv") == '{"a": 1}'
    assert decode("Zoë".encode("cp1252"), "text/html; charset=windows-1252") == "Zoë"


def test_without_a_body_the_query_is_the_data() -> None:
    query = (("user[email]", "a@b.c"), ("tag", "x"), ("tag", "y"))
    expected = {"user": {"email": "a@b.c"}, "tag": ["x", "y"]}
    assert decode(b"", "", query) == expected
    assert decode(b"", JSON, query) == expected
    assert decode(b"", "") == {}
    assert decode(b"{}", JSON, query) == {}
    assert decode(b'{"a": 1}', JSON, query, "GET") == {"a": 1}


def test_what_the_source_says_goes_before_the_content_type() -> None:
    assert decode(b'{"a": 1}', FORM, how="json") == {"a": 1}
    assert decode(b"a=1", "text/plain", how="form") == {"a": "1"}
    assert decode(b"<a/>", "", how="xml") == {"a": ""}
    assert decode(b'{"a": 1}', JSON, how="text") == '{"a": 1}'
    assert decode(b"", JSON, [("a", "1")], how="text") == ""
    assert decode(b"ignored", JSON, [("a", "1")], how="query") == {"a": "1"}
    assert "isn't JSON" in complaint(b"a=1", FORM, how="json")


def test_an_event_is_decoded_as_its_source_says() -> None:
    event = Event("evt_1", "s", "POST", "/in/s", (), {"content-type": FORM}, b"payload=%5B1%5D", 0)
    assert decode_event(event, SourceConfig.model_validate({"preset": "github", "secret": "s"})) == [1]
    assert decode_event(event, SourceConfig.model_validate({"verify": "none", "decode": "text"})) == "payload=%5B1%5D"


# Packed bodies

SMALL = b'{"name": "Zo\xc3\xab"}'
MANY_ZEROS = b"0" * 30_000_000

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": GZIPPED,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def zstd_stream(body: bytes) -> bytes:
    """Without its size in front, as a sender writes it that doesn't know it."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        *((name, pack(SMALL)) for name, pack in PACKERS.items()),
        ("GZIP", GZIPPED(SMALL)),
        ("x-gzip", GZIPPED(SMALL)),
        ("deflate", raw_deflate(SMALL)),
        ("zstd", zstd_stream(SMALL)),
        ("gzip", GZIPPED(SMALL[:5]) + GZIPPED(SMALL[5:])),
        ("zstd", zstandard.compress(SMALL[:5]) + zstd_stream(SMALL[5:])),
        ("gzip, br", brotli.compress(GZIPPED(SMALL))),
        ("deflate,zstd, gzip", GZIPPED(zstandard.compress(zlib.compress(SMALL)))),
        ("identity", SMALL),
        ("gzip, identity", GZIPPED(SMALL)),
        ("utf-8", SMALL),
        ("", SMALL),
    ],
)
def test_a_packed_body_is_unpacked(encoding: str, body: bytes) -> None:
    assert decode(body, JSON, encoding=encoding) == {"name": "Zoë"}


@pytest.mark.parametrize(("name", "pack"), PACKERS.items())
def test_what_comes_out_of_a_packed_body_is_bounded_exactly(name: str, pack: Callable[[bytes], bytes]) -> None:
    body = b'"' + b"x" * 100_000 + b'"'
    assert decode(pack(body), JSON, encoding=name, limit=len(body)) == "x" * 100_000
    limit = f"{len(body) - 1:,}"
    assert f"is {name} of more than {limit} bytes" in complaint(pack(body), JSON, encoding=name, limit=len(body) - 1)


@pytest.mark.parametrize(("name", "pack"), PACKERS.items())
def test_a_bomb_is_refused_before_it_has_gone_off(name: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(MANY_ZEROS)
    tracemalloc.start()
    try:
        assert f"{name} of more than 1,000,000 bytes" in complaint(bomb, JSON, encoding=name, limit=1_000_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000_000


@pytest.mark.parametrize(("name", "pack"), PACKERS.items())
def test_a_packed_body_that_is_cut_off_or_goes_on_is_a_bad_body(name: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(SMALL)
    for cut in range(1, len(body)):
        # A gzip's or a zstd's first bytes alone may also be taken for something else.
        assert name in complaint(body[:cut], JSON, encoding=name)
    assert f"the body isn't {name}" in complaint(body + b"junk", JSON, encoding=name)
    assert f"the body isn't {name}" in complaint(b"\xff" + body, JSON, encoding=name)


def test_an_encoding_that_isnt_known_is_named_and_so_are_those_that_are() -> None:
    message = complaint(SMALL, JSON, encoding="compress")
    assert message == "the body's content encoding isn't known: 'compress'; known are gzip, deflate, br and zstd"
    assert "more than 3 times" in complaint(SMALL, JSON, encoding="gzip, gzip, gzip, gzip")
    assert "more than 3 times" in complaint(SMALL, JSON, encoding="gzip," * 10_000)


def test_pieces_in_a_row_are_bounded() -> None:
    assert decode(GZIPPED(b"1") * 100, "text/plain", encoding="gzip") == "1" * 100
    assert "more than 100 pieces" in complaint(GZIPPED(b"") * 101, JSON, encoding="gzip")
    assert "of more than 10 bytes" in complaint(GZIPPED(b"12345") * 3, JSON, encoding="gzip", limit=10)


def test_a_zstd_that_asks_for_much_memory_isnt_given_it() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    body = zstandard.ZstdCompressor(compression_params=parameters).compress(os.urandom(9_000_000))
    assert "too much memory" in complaint(body, JSON, encoding="zstd")


def test_a_packed_event_is_bounded_by_the_longest_body_of_its_source() -> None:
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    event = Event("evt_1", "s", "POST", "/in/s", (), headers, GZIPPED(b'"' + b"x" * 2000 + b'"'), 0)
    assert decode_event(event, SourceConfig.model_validate({"verify": "none"})) == "x" * 2000
    assert decode_event(event, None) == "x" * 2000
    with pytest.raises(BodyError, match="gzip of more than 1,000 bytes"):
        decode_event(event, SourceConfig.model_validate({"verify": "none", "max_body": "1KB"}))
    assert takes_long(event)
    assert unpacked(event).body == b'"' + b"x" * 2000 + b'"'
    assert "content-encoding" not in unpacked(event).headers
    assert not takes_long(unpacked(event))
    assert takes_long(replace(unpacked(event), body=b"x" * 300_000))


def test_without_a_body_an_encoding_means_nothing() -> None:
    assert decode(b"", JSON, [("a", "1")], encoding="gzip") == {"a": "1"}


# What it costs


def test_json_is_bounded_in_objects_and_lists_but_not_in_brackets_inside_of_texts() -> None:
    most = json_body.MAX_CONTAINERS
    assert len(decode(b"[" + b"[]," * (most - 2) + b"[]]", JSON)) == most - 1  # type: ignore[arg-type]
    assert "more than 500000 objects and lists" in complaint(b"[" + b"[]," * most + b"[]]", JSON)
    text = "[{" * most + '\\"['
    assert decode(json.dumps({"a": text}).encode(), JSON) == {"a": text}
    # Texts that don't end, and that only seem to, take no longer.
    assert "isn't JSON" in complaint(b'"' + b'\\"[' * most, JSON)


def test_a_form_is_bounded_in_the_keys_of_all_its_names() -> None:
    deep = b"&".join(b"a%d" % number + b"[b]" * 9 + b"=1" for number in range(10_000))
    assert decode(deep, FORM)
    assert "more than 100000 keys" in complaint(deep.replace(b"[b]=", b"[b][c]=", 1), FORM)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"a=%41%zz%4%", {"a": "A%zz%4%"}),
        (b"a=b=c%3d%3D", {"a": "b=c=="}),
        (b"a=1%0A2\r\n%\n", {"a": "1\n2\r\n%\n"}),
        (b"a=+%2B_ \t", {"a": " +_ \t"}),
    ],
)
def test_a_forms_escapes_are_those_of_urls(body: bytes, value: Any) -> None:
    assert decode(body, FORM) == value


def test_a_tag_of_many_attributes_is_refused_and_one_of_a_long_attribute_isnt() -> None:
    many = b"<a " + b" ".join(b'b%d=""' % number for number in range(300_000)) + b"/>"
    assert "more than 20000 attributes" in complaint(many, XML)
    assert "more than 200000 elements and attributes" in complaint(
        b"<a>" + (b"<b " + b" ".join(b'b%d=""' % number for number in range(10)) + b"/>") * 20_000 + b"</a>", XML
    )
    long = "=" * 15_000 + "x" * 3_000_000
    assert decode(f'<a b="{long}">{long}</a>'.encode(), XML) == {"a": {"@b": long, "#text": long}}
    assert decode(f'<a b="{long}"/>'.encode("utf-16"), XML) == {"a": {"@b": long}}


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("utf-8", "utf-8"), ("UTF-16", "utf-16"), ("windows-1252", "cp1252"), ("Shift_JIS", "shift_jis")],
)
def test_a_document_may_be_in_any_charset_it_names(declared: str, codec: str) -> None:
    text = "シフト" if codec == "shift_jis" else "Zoë"
    assert decode(f"<?xml version='1.0' encoding='{declared}'?><a>{text}</a>".encode(codec), XML) == {"a": text}
    assert decode(f"<a>{text}</a>".encode("utf-16-le"), XML) == {"a": text}


@pytest.mark.parametrize("charset", ["unicode_escape", "idna", "zlib", "utf-7", "no-such", "a" * 90])
def test_a_document_that_names_what_is_no_charset_is_a_bad_body(charset: str) -> None:
    for codec in ("utf-8", "utf-16"):
        body = f"<?xml version='1.0' encoding='{charset}'?><a/>".encode(codec)
        if codec == "utf-8":
            assert "charset" in complaint(body, XML)
        else:  # the byte order mark has said what it is
            assert decode(body, XML) == {"a": ""}


def test_multipart_that_makes_its_parser_walk_is_refused() -> None:
    part = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    assert "more than 10000 fields" in complaint(multipart(part + b"\r\n--xyzz" * 10_001), BOUNDARY)
    assert "white space" in complaint(multipart(part + b"\r\n--xyz" + b" " * 300), BOUNDARY)


def test_a_broken_multipart_body_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    complaint(b"secret", BOUNDARY)
    assert caplog.records == []


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=utf-8"])
def test_json_that_is_called_a_form_is_json(content_type: str) -> None:
    """`curl -d` and axios say so of whatever they are given without a content type."""
    assert decode(b'{"a": "1&b=2", "c": [1]}', content_type) == {"a": "1&b=2", "c": [1]}
    assert decode(b'[{"a": 1}]', content_type) == [{"a": 1}]
    assert decode(b"{a}=1&b=2", content_type) == {"{a}": "1", "b": "2"}
    assert decode(b'{"a": 1}', content_type, how="form") == {'{"a": 1}': ""}
