from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.http.connector import Http
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer, assert_no_secret

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))


class TestContract(HttpConnectorContract):
    connector = Http

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "http", "base_url": url, "allow_private": True, "auth": {"bearer": "s3cret-tok/en"}}


class TestContractOfAnIdempotentApi(HttpConnectorContract):
    connector = Http
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {
            "connector": "http",
            "base_url": f"{url}/api/",
            "allow_private": True,
            "auth": {"query": "api_key", "value": "s3cret key/+"},
            "idempotent": True,
            "hold_on_403": True,
        }


class TestContractOfBasicAuth(HttpConnectorContract):
    connector = Http

    def config_for(self, url: str) -> Mapping[str, Any]:
        auth = {"basic": {"username": "ana", "password": "pässword:1"}}
        return {"connector": "http", "base_url": url, "allow_private": True, "auth": auth}


class TestContractOfASecretPath(HttpConnectorContract):
    connector = Http

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "http", "base_url": url, "allow_private": True, "auth": {"path": "/T0/B0/s3cret"}}


def connection(url: str = "http://127.0.0.1:9", **settings: Any) -> Http:
    config = Http.Config.model_validate({"connector": "http", "base_url": url, "allow_private": True, **settings})
    return Http(config, Context())


@asynccontextmanager
async def connected(url: str, **settings: Any) -> AsyncIterator[Http]:
    made = connection(url, **settings)
    try:
        yield made
    finally:
        await made.aclose()


async def post(made: Http, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send(None, made.outgoing(None, fields, call), call)


def url_of(made: Http, **fields: Any) -> str:
    url: str = made.outgoing(None, fields, CALL).preview()["url"]
    return url


# What goes out


async def test_json_arrives_with_the_key_the_version_and_the_credentials(sink: RecordingServer) -> None:
    async with connected(f"{sink.url}/v2", auth={"bearer": "tok"}, headers={"X-Team": "ops"}) as made:
        await post(made, path="/contacts", json={"name": "Zoë", "n": 2**70, "gone": None})
    (request,) = sink.requests
    assert (request.method, request.target) == ("POST", "/v2/contacts")
    assert request.json() == {"name": "Zoë", "n": float(2**70), "gone": None}
    assert b'"n":1180591620717411303424' in request.body
    assert request.headers["idempotency-key"] == "dlv_1"
    assert request.headers["user-agent"].startswith("relay/")
    assert request.headers["authorization"] == "Bearer tok"
    assert request.headers["x-team"] == "ops"
    assert request.headers["content-type"] == "application/json"


async def test_a_form_takes_brackets_for_nested_keys_and_repeats_lists(sink: RecordingServer) -> None:
    async with connected(sink.url) as made:
        await post(made, form={"a": {"b": {"c": 1}}, "tags": ["x", "ÿ&"], "on": True, "no": None})
    (request,) = sink.requests
    assert request.body == b"a%5Bb%5D%5Bc%5D=1&tags=x&tags=%C3%BF%26&on=true"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_xml_has_attributes_text_and_repeated_elements(sink: RecordingServer) -> None:
    document = {"a": {"@x": 'q"<\n', "#text": "t&]]>\r", "item": [1, {"@n": 2}, None], "ok": True}}
    async with connected(sink.url) as made:
        await post(made, xml=document)
    (request,) = sink.requests
    assert request.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<a x=\'q"&lt;&#10;\'>t&amp;]]&gt;&#13;<item>1</item><item n="2"/><item/><ok>true</ok></a>'
    )
    assert request.headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"a": 1, "b": 2}, "one root"),
        ({}, "one root"),
        ({"a b": 1}, "name of an XML element"),
        ({"a": {"@1": 1}}, "name of an XML attribute"),
        ({"a": "\x00"}, r"U\+0000"),
        ({"a": "\ud800"}, r"U\+D800"),
        ({"a><b": "x"}, "name of an XML element"),
        ({"a": [1, 2]}, "can't be repeated"),
        ({"a": {"@x": [1]}}, "must be one value"),
    ],
)
def test_what_xml_cannot_hold_is_refused(document: dict[str, Any], why: str) -> None:
    with pytest.raises(PermanentError, match=why):
        connection().outgoing(None, {"xml": document}, CALL)


async def test_text_takes_its_charset_from_the_content_type(sink: RecordingServer) -> None:
    async with connected(sink.url) as made:
        await post(made, text="Zoë")
        await post(made, text="Zoë", headers={"Content-Type": "text/csv; charset=iso-8859-1"})
    assert [request.body for request in sink.requests] == ["Zoë".encode(), "Zoë".encode("latin-1")]
    with pytest.raises(PermanentError, match=r"U\+015E"):
        connection().outgoing(None, {"text": "Ş", "headers": {"Content-Type": "text/csv; charset=cp1252"}}, CALL)


async def test_a_get_has_no_body_and_repeats_query_lists(sink: RecordingServer) -> None:
    async with connected(f"{sink.url}/find?v=1") as made:
        await post(made, method="get", query={"q": "a b&c", "id": [1, 2], "none": None, "f": {"x": True}})
    (request,) = sink.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.query == [("v", "1"), ("q", "a b&c"), ("id", "1"), ("id", "2"), ("f[x]", "true")]
    assert "content-type" not in request.headers


async def test_the_idempotency_header_can_be_renamed_or_left_out(sink: RecordingServer) -> None:
    async with connected(sink.url, idempotency_header="X-Request-Id") as made:
        await post(made)
    async with connected(sink.url, idempotency_header=None) as made:
        await post(made)
    first, second = sink.requests
    assert first.headers["x-request-id"] == "dlv_1"
    assert "idempotency-key" not in first.headers
    assert "dlv_1" not in second.headers.values()


async def test_one_connection_is_kept_alive_and_no_cookie_is_carried_over(sink: RecordingServer) -> None:
    sink.answer(200, headers={"Set-Cookie": "session=1"})
    async with connected(sink.url) as made:
        for _ in range(3):
            await post(made)
    assert sink.connections == 1
    assert not any("cookie" in request.headers for request in sink.requests)


def test_a_preview_is_complete_and_shows_no_secret() -> None:
    made = connection("https://api.example.com/v1?sig=abc", auth={"header": "X-Custom", "value": "s3cret"})
    preview = made.outgoing(None, {"path": "/a", "json": {"b": 1}, "headers": {"Cookie": "c"}}, CALL).preview()
    assert preview["method"] == "POST"
    assert preview["url"] == "https://api.example.com/v1/a?sig=***"
    assert preview["headers"]["x-custom"] == "***"
    assert preview["headers"]["cookie"] == "***"
    assert preview["headers"]["idempotency-key"] == "dlv_1"
    assert preview["json"] == {"b": 1}


# Where it goes


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://h", "", "https://h"),
        ("https://h/hook/", "", "https://h/hook/"),
        ("https://h/v2", "/a/b", "https://h/v2/a/b"),
        ("https://h/v2/", "a/b/", "https://h/v2/a/b/"),
        ("https://h/v2", "/a%2Fb/100%/ü d", "https://h/v2/a%2Fb/100%25/%C3%BC%20d"),
        ("https://h/v2", "/a:b@c/$Bug", "https://h/v2/a:b@c/$Bug"),
        ("https://h/v2", "/..a/b..", "https://h/v2/..a/b.."),
    ],
)
def test_a_path_goes_below_the_base_url(base: str, path: str, url: str) -> None:
    assert url_of(connection(base), path=path) == url


async def test_a_path_travels_as_it_is_shown(sink: RecordingServer) -> None:
    async with connected(f"{sink.url}/v2") as made:
        for path in ("/a%2Fb/100%/ü d", "/a:b@c/$Bug", "/x;y=1,2/(3)", "/%E2%82%AC/%25"):
            await post(made, path=path, query={"q": "a/b?c&d=%2F+ é"})
            assert f"{sink.url}{sink.requests[-1].target}" == url_of(made, path=path, query={"q": "a/b?c&d=%2F+ é"})
            assert sink.requests[-1].query == [("q", "a/b?c&d=%2F+ é")]


async def test_a_post_without_a_body_says_so(sink: RecordingServer) -> None:
    async with connected(sink.url) as made:
        await post(made)
    (request,) = sink.requests
    assert request.headers["content-length"] == "0"
    assert "content-type" not in request.headers


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "HTTP://evil",
        "//evil.example/x",
        "/\\evil",
        "\\\\evil",
        "javascript:alert(1)",
        "/a/../b",
        "/..",
        "/%2e%2E/x",
        "/%252e%252e/x",
        "/a/..%2fb",
        "/a/..%5cb",
        "/a?admin=1",
        "/a#b",
        "/a\r\nHost: evil",
        "/a\x00",
        "/\ud800",
    ],
)
def test_event_data_in_a_path_cannot_lead_elsewhere(path: str) -> None:
    with pytest.raises(PermanentError):
        connection().outgoing(None, {"path": path}, CALL)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A": "b\nc"},
        {"X-A": "b\x00"},
        {"X-A\r\nX-Evil": "1"},
        {"X A": "1"},
        {"X-A": "Zoë"},
        {"Host": "evil"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Authorization": "Bearer other"},
    ],
)
def test_a_header_cannot_smuggle_anything(headers: dict[str, str]) -> None:
    made = connection(auth={"bearer": "tok"})
    with pytest.raises(PermanentError, match="header"):
        made.outgoing(None, {"headers": headers}, CALL)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"base_url": "ftp://x"}, "https://"),
        ({"base_url": "https://"}, "names a host"),
        ({"base_url": "https://u:p@x"}, "auth: {basic"),
        ({"base_url": "https://x/#a"}, "#fragment"),
        ({"base_url": "https://x\r\ny"}, "control character"),
        ({"base_url": "https://x:99999"}, "no URL"),
        ({"auth": {}}, "exactly one of"),
        ({"auth": {"bearer": "a", "query": "k", "value": "v"}}, "exactly one of"),
        ({"auth": {"header": "X"}}, "`value` goes with"),
        ({"auth": {"bearer": "a\nb"}}, "line break"),
        ({"auth": {"header": "X Y", "value": "v"}}, "name of the header"),
        ({"headers": {"Host": "x"}}, "set by the relay"),
        ({"connect_timeout": "10"}, "and its unit"),
        ({"max_reply": "much"}, "and its unit"),
        ({"idempotency_header": "a b"}, "name of a header"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**({"url": settings["base_url"]} if "base_url" in settings else settings))


def test_a_wrong_with_is_named() -> None:
    with pytest.raises(PermanentError, match=r"jsn: unknown key; did you mean json\?"):
        connection().outgoing(None, {"jsn": 1}, CALL)
    with pytest.raises(PermanentError, match="json and form"):
        connection().outgoing(None, {"json": 1, "form": {}}, CALL)
    with pytest.raises(PermanentError, match="method"):
        connection().outgoing(None, {"method": "BREW"}, CALL)


# What comes back


@pytest.mark.parametrize(
    ("body", "content_type", "decoded"),
    [
        (b'{"id": 12345678901234567890123}', "application/json", {"id": 12345678901234567890123}),
        (b'{"id": 1}', "application/problem+json; charset=utf-8", {"id": 1}),
        (b"a=1&b=&a=2", "application/x-www-form-urlencoded", {"a": ["1", "2"], "b": ""}),
        (b'<r a="1"><i>x</i><i/></r>', "text/xml", {"r": {"@a": "1", "i": ["x", ""]}}),
        (b"ok", "text/plain", "ok"),
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "é"),
        (b"", "application/json", None),
        (b"{broken", "application/json", "{broken"),
        (b'<!DOCTYPE r [<!ENTITY e "x">]><r>&e;</r>', "text/xml", '<!DOCTYPE r [<!ENTITY e "x">]><r>&e;</r>'),
    ],
)
async def test_a_reply_is_decoded_by_its_content_type(
    sink: RecordingServer, body: bytes, content_type: str, decoded: Any
) -> None:
    sink.answer(200, body, headers={"Content-Type": content_type})
    async with connected(sink.url) as made:
        reply = await post(made)
    assert reply.body == decoded
    assert reply.summary == "200 OK"


async def test_a_reply_longer_than_the_limit_is_cut_and_says_so(sink: RecordingServer) -> None:
    sink.answer(200, b"x" * 3_000_000, headers={"Content-Type": "text/plain"})
    async with connected(sink.url, max_reply="100KB") as made:
        reply = await post(made)
        assert (await post(made)).status == 200
    assert reply.body == "x" * 100_000
    assert reply.summary == "200 OK (the reply was cut at 100000 bytes)"
    assert len(json.dumps(dict(reply.received))) < 10_000


async def test_a_packed_bomb_is_unpacked_no_further_than_the_limit(sink: RecordingServer) -> None:
    import gzip

    sink.answer(200, gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    sink.answer(
        200, gzip.compress(b'{"a":1}'), headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    async with connected(sink.url, max_reply="1KB") as made:
        assert len((await post(made)).body) == 1000  # type: ignore[arg-type]
        assert (await post(made)).body == {"a": 1}


async def test_a_2xx_that_breaks_off_is_a_delivery_all_the_same(sink: RecordingServer) -> None:
    sink.answer(200, b"0123456789", instead="break off")
    async with connected(sink.url) as made:
        reply = await post(made)
    assert reply.status == 200
    assert "broke off" in reply.summary
    assert not reply.partial, "a POST may not be repeated for its reply's sake"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_reply_that_broke_off_is_partial_where_a_repeat_does_no_harm(
    sink: RecordingServer, method: str
) -> None:
    sink.answer(200, b"0123456789", instead="break off")
    async with connected(sink.url, idempotent=method == "POST") as made:
        assert (await post(made, method=method)).partial
        assert not (await post(made, method=method)).partial, "this one is whole"


@pytest.mark.parametrize("instead", ["close", "reset", "garbage"])
async def test_a_request_that_went_out_without_an_answer_has_an_unknown_outcome(
    sink: RecordingServer, instead: str
) -> None:
    for _ in range(4):
        sink.answer(instead=instead)
    async with connected(sink.url) as made:
        with pytest.raises(UnknownOutcomeError):
            await post(made, json={})
        with pytest.raises(RetryableError):
            await post(made, method="PUT", json={})


async def test_an_answer_that_drips_is_given_up_in_time(sink: RecordingServer) -> None:
    sink.answer(200, delay_seconds=5)
    async with connected(sink.url) as made:
        with pytest.raises(UnknownOutcomeError, match="in time"):
            await post(made, Call("d", "d", timeout=timedelta(seconds=0.3)))


async def test_a_server_that_takes_no_connection_is_retryable() -> None:
    import socket

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with connected(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout="200ms") as made:
            with pytest.raises(RetryableError, match="in time"):
                await post(made)


async def test_a_secure_connection_that_cannot_be_made_is_retryable(sink: RecordingServer) -> None:
    sink.complaints = []
    async with connected(sink.url.replace("http:", "https:"), connect_timeout="1s") as made:
        with pytest.raises(RetryableError):
            await post(made)
    sink.complaints.clear()


async def test_409_and_403_are_what_the_connection_says(sink: RecordingServer) -> None:
    for _ in range(2):
        sink.answer(409)
        sink.answer(403)
    async with connected(sink.url) as plain, connected(sink.url, retry_on_409=True, hold_on_403=True) as told:
        for made, kinds in ((plain, (PermanentError, PermanentError)), (told, (RetryableError, HoldError))):
            for kind in kinds:
                with pytest.raises(kind):
                    await post(made)


async def test_an_error_says_what_the_destination_said_and_keeps_it_for_the_record(sink: RecordingServer) -> None:
    sink.answer(422, {"message": "email is\ntaken"}, headers={"Set-Cookie": "session=abc"})
    async with connected(sink.url) as made:
        with pytest.raises(PermanentError, match=r'^127\.0\.0\.1 answered 422 .*: {"message":"email is') as caught:
            await post(made)
    assert caught.value.cause == "http 422"
    assert caught.value.received["headers"]["set-cookie"] == "***"


# Redirects


async def test_a_redirect_is_permanent_and_names_where_it_points(sink: RecordingServer) -> None:
    sink.answer(302, headers={"Location": "https://user:pw@login.example.com/x?token=abc"})
    async with connected(sink.url) as made:
        with pytest.raises(PermanentError, match=r"points to login\.example\.com;") as caught:
            await post(made)
    assert "pw" not in json.dumps(caught.value.received)
    assert "abc" not in json.dumps(caught.value.received)


async def test_a_redirect_that_keeps_the_request_is_followed_where_asked(sink: RecordingServer) -> None:
    sink.answer(307, headers={"Location": "/there"})
    async with connected(sink.url, follow_redirects=True, auth={"bearer": "t"}) as made:
        await post(made, path="/here", json={"a": 1})
    here, there = sink.requests
    assert (there.path, there.body, there.headers["authorization"]) == ("/there", here.body, "Bearer t")


async def test_a_redirect_that_would_lose_the_body_or_the_host_is_refused(sink: RecordingServer) -> None:
    with RecordingServer() as other:
        async with connected(sink.url, follow_redirects=True) as made:
            for status, to, why in (
                (302, "/x", "lose the body"),
                (307, other.url.replace("127.0.0.1", "localhost"), "another host"),
                (307, "ftp://127.0.0.1/", "not an address"),
                (307, f"http://u:p@127.0.0.1:{other.port}/", "carries credentials"),
            ):
                sink.answer(status, headers={"Location": to})
                with pytest.raises(PermanentError, match=why):
                    await post(made, json={})
            for _ in range(9):
                sink.answer(308, headers={"Location": "/again"})
            with pytest.raises(PermanentError, match="in circles"):
                await post(made, json={})
        assert other.requests == []


async def test_credentials_do_not_follow_a_redirect_to_another_host(sink: RecordingServer) -> None:
    with RecordingServer() as other:
        sink.answer(308, headers={"Location": other.url.replace("127.0.0.1", "localhost")})
        settings = {"auth": {"header": "X-Key", "value": "v"}, "headers": {"Cookie": "c"}}
        async with connected(sink.url, follow_redirects=True, redirect_hosts=["localhost"], **settings) as made:
            await post(made, json={})
        (request,) = other.requests
    assert not {"x-key", "cookie", "authorization"} & set(request.headers)
    assert request.json() == {}


# Private addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "0.0.0.0", "127.1"])
async def test_a_private_address_is_refused_however_it_is_spelled(sink: RecordingServer, host: str) -> None:
    async with connected(f"http://{host}:{sink.port}", allow_private=False) as made:
        with pytest.raises(DeliveryError) as caught:
            await post(made)
    assert isinstance(caught.value, (HoldError, PermanentError))
    assert sink.connections == 0


async def test_the_refusal_names_the_address_and_the_remedy(sink: RecordingServer) -> None:
    async with connected(f"http://127.0.0.1:{sink.port}", allow_private=False) as made:
        with pytest.raises(HoldError, match=r"127\.0\.0\.1 is a private address; set allow_private: true"):
            await post(made)
    async with connected(f"http://localhost:{sink.port}", allow_private=False) as made:
        with pytest.raises(HoldError, match=r"localhost resolves to the private address .*; set allow_private: true"):
            await post(made)


async def test_thirty_two_posts_at_once_keep_to_themselves(sink: RecordingServer) -> None:
    async with connected(sink.url) as made:

        async def one(n: int) -> None:
            call = Call(f"dlv_{n}", f"dlv_{n}")
            await post(made, call, json={"n": n})

        await asyncio.gather(*(one(n) for n in range(200)))
    assert sorted(r.json()["n"] for r in sink.requests) == list(range(200))
    assert all(r.headers["idempotency-key"] == f"dlv_{r.json()['n']}" for r in sink.requests)


def test_secrets_are_not_in_the_repr_of_anything() -> None:
    made = connection(auth={"basic": {"username": "ana", "password": "s3cret"}})
    outgoing = made.outgoing(None, {"json": 1}, CALL)
    assert_no_secret(made.config, repr(made.config), repr(outgoing), outgoing.preview())
    assert "YW5hOnMzY3JldA" not in repr(outgoing) + json.dumps(outgoing.preview())
