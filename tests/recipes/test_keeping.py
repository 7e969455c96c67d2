"""Samples: what `$` is stays what it is, whatever the file is laid out like, and no secret gets into one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError
from relay.jsontext import dumps
from relay.model import JSON, Event
from relay.recipes import load_workspace, sample_event, view_of
from relay.recipes.masking.keeping import Kept, content_type_of, free_name, kept

RELAY_YAML = """\
sources:
  chat: {verify: {header: X-Chat-Key, equals: s3cret-of-chat}}
  hook: {verify: {query: key, equals: s3cret-of-hook}, event_type: '$headers["x-event"]'}
  jot: {verify: {token: s3cret-of-jot}, json_field: payload}
  get: {verify: none, decode: query}
connections: {}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "relay.yaml").write_text(RELAY_YAML)
    (tmp_path / "samples").mkdir()
    return tmp_path


def event(body: bytes, content_type: str = "application/json", source: str = "chat", **more: Any) -> Event:
    headers = {
        "content-type": content_type,
        "x-chat-key": "s3cret-of-chat",
        "authorization": "Bearer abc",
        **more.get("headers", {}),
    }
    return Event("evt_1", source, "POST", f"/in/{source}", more.get("query", ()), headers, body, 0)


def as_tested(folder: Path, one: Kept, source: str) -> JSON:
    """What `$` is in a test with the sample."""
    path = folder / "samples" / f"x{one.suffix}"
    path.write_bytes(one.body)
    found = sample_event(source, path, headers=one.headers, query=one.query)
    return view_of(load_workspace(folder), found).body


def keep(folder: Path, found: Event, *, mask: bool = False) -> Kept:
    return kept(found, load_workspace(folder).sources[found.source], mask=mask)


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="formID"\r\n\r\n123\r\n'
    b'--b\r\nContent-Disposition: form-data; name="q[a]"\r\n\r\nb c\r\n--b--\r\n'
)
BODIES = {
    "json": (b'{"b":1,"a":[1,2.50,{"z":null}],"big":123456789012345678901234567890}', "application/json", ".json"),
    "json of another charset": ('{"n":"Zoë"}'.encode("latin-1"), "application/json; charset=iso-8859-1", ".json"),
    "json that nobody calls so": (b'{"a": 1}', "text/plain", ".json"),
    "a form": (b"a=1&b[c]=x+y&b[d]=%C3%A9&t=1&t=2", "application/x-www-form-urlencoded", ".form"),
    "a multipart form": (MULTIPART, "multipart/form-data; boundary=b", ".form"),
    "xml": (b'<?xml version="1.0"?><a xmlns="urn:x"><b c="1">x</b><b>y &amp; z</b><d/></a>', "application/xml", ".xml"),
    "xml of another encoding": (
        '<?xml version="1.0" encoding="iso-8859-1"?><a><b>é</b></a>'.encode("latin-1"),
        "text/xml",
        ".xml",
    ),
    "xml with text between": (b"<a>one <b>two</b> three</a>", "application/xml", ".xml"),
    "text": ("Grüße".encode(), "text/plain; charset=utf-8", ".txt"),
    "html": (b"<p>Hello</p>", "text/html", ".txt"),
    "bytes": (gzip.compress(b"x"), "application/octet-stream", ".txt"),
    "nothing": (b"", "", ".form"),
}


@pytest.mark.parametrize(("body", "content_type", "suffix"), BODIES.values(), ids=BODIES)
def test_a_test_with_the_sample_sees_what_a_recipe_sees_of_the_event(
    workspace: Path, body: bytes, content_type: str, suffix: str
) -> None:
    found = event(body, content_type)
    one = keep(workspace, found)
    assert one.suffix == suffix
    assert one.raw is None
    assert dumps(as_tested(workspace, one, "chat")) == dumps(view_of(load_workspace(workspace), found).body)


def test_json_and_xml_are_laid_out_for_reading(workspace: Path) -> None:
    assert keep(workspace, event(b'{"a":{"b":1}}')).body == b'{\n  "a": {\n    "b": 1\n  }\n}\n'
    xml = keep(workspace, event(b"<a><b>1</b><c><d>2</d></c></a>", "text/xml")).body
    assert xml == b"<a>\n  <b>1</b>\n  <c>\n    <d>2</d>\n  </c>\n</a>\n"


@pytest.mark.parametrize("body", [b'{"a": ', b"\xff\xfe{broken", b"<a><b></a>"])
def test_what_cannot_be_decoded_is_kept_byte_for_byte(workspace: Path, body: bytes) -> None:
    content_type = "text/xml" if body.startswith(b"<") else "application/json"
    one = keep(workspace, event(body, content_type))
    assert one.body == body
    assert one.raw is not None


def test_personal_data_that_is_kept_is_told_by_its_kinds(workspace: Path) -> None:
    body = b'{"name": "Ana Sousa", "agent_name": "Ravi Patel", "email": "ana@x.example", "id": 7}'
    assert keep(workspace, event(body)).found == ("name", "e-mail")
    assert keep(workspace, event(body), mask=True).found == ()


def test_what_cannot_be_decoded_is_not_masked_by_halves(workspace: Path) -> None:
    with pytest.raises(ConfigError, match="only a body that can be decoded can be masked"):
        keep(workspace, event(b'{"name": "Ana'), mask=True)


def test_files_in_a_form_are_not_masked_by_halves(workspace: Path) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="cv"; filename="ana.pdf"\r\n\r\n\xff\xfe\r\n--b--\r\n'
    with pytest.raises(ConfigError, match="can't be masked"):
        keep(workspace, event(body, "multipart/form-data; boundary=b"), mask=True)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"name":"Ana Sousa","email":"ana@x.example"}', "application/json"),
        (b"name=Ana+Sousa&email=ana%40x.example", "application/x-www-form-urlencoded"),
        (b"<p><name>Ana Sousa</name><email>ana@x.example</email></p>", "application/xml"),
        (b"Ana Sousa, ana@x.example", "text/plain; charset=utf-8"),
    ],
)
def test_every_kind_of_body_can_be_masked(workspace: Path, body: bytes, content_type: str) -> None:
    one = keep(workspace, event(body, content_type), mask=True)
    assert b"Ana" not in one.body
    assert b"x.example" not in one.body
    assert one.masked
    before, after = (
        view_of(load_workspace(workspace), event(body, content_type)).body,
        as_tested(workspace, one, "chat"),
    )
    if isinstance(before, dict):
        assert isinstance(after, dict)
        assert list(after) == list(before)


def test_the_type_that_a_header_says_goes_into_the_test_and_secrets_do_not(workspace: Path) -> None:
    found = event(b"{}", source="hook", headers={"x-event": "push"}, query=(("key", "s3cret-of-hook"), ("page", "2")))
    one = keep(workspace, found)
    assert one.headers == {"x-event": "push"}
    assert one.query == {}


def test_a_secret_that_is_echoed_in_the_body_is_not_written(workspace: Path) -> None:
    json_body = keep(workspace, event(b'{"url": "https://relay.example/in/jot/s3cret-of-jot"}', source="jot"))
    form = keep(
        workspace,
        event(b"url=https%3A%2F%2Fx%2Fin%2Fjot%2Fs3cret-of-jot&a=1", "application/x-www-form-urlencoded", "jot"),
    )
    broken = keep(workspace, event(b'{"url": "s3cret-of-jot', source="jot"))
    for one in (json_body, form, broken):
        assert b"s3cret" not in one.body
    assert json.loads(json_body.body) == {"url": "https://relay.example/in/jot/***"}


def test_an_event_without_a_body_is_a_form_of_its_query_without_the_secret(workspace: Path) -> None:
    one = keep(workspace, event(b"", "", "hook", query=(("key", "s3cret-of-hook"), ("name", "Ana"))))
    assert (one.suffix, one.body) == (".form", b"name=Ana")
    assert as_tested(workspace, one, "hook") == {"name": "Ana"}


def test_where_the_query_is_the_data_the_test_says_it(workspace: Path) -> None:
    one = keep(workspace, event(b"", "", "get", query=(("name", "Ana"),)))
    assert one.query == {"name": "Ana"}
    assert as_tested(workspace, one, "get") == {"name": "Ana"}


def test_json_in_a_field_of_a_form_stays_one(workspace: Path) -> None:
    body = b"payload=%7B%22name%22%3A%22Ana%22%7D"
    one = keep(workspace, event(body, "application/x-www-form-urlencoded", "jot"))
    assert as_tested(workspace, one, "jot") == {"name": "Ana"}


def test_a_name_is_free_or_has_this_very_content(workspace: Path) -> None:
    one = keep(workspace, event(b'{"a": 1}'))
    assert free_name(workspace, "chat", "", one) == "samples/chat-event.json"
    (workspace / "samples" / "chat-event.json").write_bytes(one.body)
    assert free_name(workspace, "chat", "", one) == "samples/chat-event.json"
    (workspace / "samples" / "chat-event.json").write_bytes(b"another")
    assert free_name(workspace, "chat", "", one) == "samples/chat-event-2.json"
    assert free_name(workspace, "chat", "Contact/Created!", one) == "samples/chat-contact-created.json"


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("x.json", b"", "json"),
        ("-", b' {"a":1}', "json"),
        ("-", b"<a/>", "xml"),
        ("-", b"a=1&b=2", "form"),
        ("-", b"a = 1", "plain"),
    ],
)
def test_what_a_file_is_is_told_by_its_name_or_else_its_look(name: str, body: bytes, expected: str) -> None:
    assert expected in content_type_of(name, body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)
    )
)
def test_any_json_is_kept_as_what_it_is(body: JSON) -> None:
    one = kept(event(json.dumps(body).encode()), None)
    assert one.suffix == ".json"
    assert dumps(json.loads(one.body)) == dumps(body)
