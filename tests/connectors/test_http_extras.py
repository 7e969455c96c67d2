from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.http.connector import Http
from relay import clock
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import Answer, HttpConnectorContract, Recorded, RecordingServer, assert_no_secret
from tests.connectors.tls_server import Authority, tls_server

CALL = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=5))
HMAC = {"header": "X-Signature", "secret": "s3cret-hm/ac"}
KEY = b"s3cret-hm/ac"


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


# HMAC


class TestContractOfSignedRequests(HttpConnectorContract):
    connector = Http

    def config_for(self, url: str) -> Mapping[str, Any]:
        auth = {"bearer": "s3cret-tok/en", "hmac": HMAC}
        return {"connector": "http", "base_url": url, "allow_private": True, "auth": auth}


async def test_a_body_is_signed_as_it_travels(sink: RecordingServer) -> None:
    async with connected(sink.url, auth={"hmac": {**HMAC, "prefix": "sha256="}}) as made:
        await post(made, json={"name": "Zoë", "n": 2**70})
    (request,) = sink.requests
    assert request.headers["x-signature"] == "sha256=" + hmac.new(KEY, request.body, hashlib.sha256).hexdigest()


async def test_the_moment_of_the_attempt_is_signed_with_the_body(sink: RecordingServer) -> None:
    how = {**HMAC, "signed": "{timestamp}.{body}", "timestamp_header": "X-Time", "encoding": "base64"}
    for written, shown in (
        ("seconds", "1700000000"),
        ("milliseconds", "1700000000999"),
        ("iso", "2023-11-14T22:13:20Z"),
    ):
        auth = {"hmac": {**how, "timestamp_format": written, "algorithm": "sha512"}}
        async with connected(sink.url, auth=auth) as made:
            outgoing = made.outgoing(None, {"text": "hi"}, CALL)
            with clock.stopped_at(1_700_000_000_999):
                await made.send(None, outgoing, CALL)
        headers = sink.requests[-1].headers
        assert headers["x-time"] == shown
        expected = hmac.digest(KEY, f"{shown}.hi".encode(), hashlib.sha512)
        assert headers["x-signature"] == base64.b64encode(expected).decode()


async def test_a_time_may_stand_before_the_signature_as_stripe_writes_it(sink: RecordingServer) -> None:
    auth = {"hmac": {**HMAC, "signed": "{timestamp}.{body}", "prefix": "t={timestamp},v1="}}
    async with connected(sink.url, auth=auth) as made:
        with clock.stopped_at(5_000):
            await post(made, text="hi")
    expected = hmac.new(KEY, b"5.hi", hashlib.sha256).hexdigest()
    assert sink.requests[0].headers["x-signature"] == f"t=5,v1={expected}"


async def test_what_is_signed_of_the_address_is_what_the_server_sees(sink: RecordingServer) -> None:
    auth = {"query": "k", "value": "s3cret +/", "hmac": {**HMAC, "signed": "{method}\n{path}\n{query}\n{id}\n{body}"}}
    async with connected(f"{sink.url}/v2", auth=auth) as made:
        await post(made, method="PUT", path="/a%2Fb/ü d/100%", query={"q": "a/b?c&d=%2F+ é"}, json=1)
    (request,) = sink.requests
    path, _, query = request.target.partition("?")
    signed = f"PUT\n{path}\n{query}\ndlv_1\n1".encode()
    assert request.headers["x-signature"] == hmac.new(KEY, signed, hashlib.sha256).hexdigest()


async def test_a_secret_may_be_written_in_base64_or_hex(sink: RecordingServer) -> None:
    for written, how in ((base64.b64encode(KEY).decode(), "base64"), (KEY.hex(), "hex")):
        async with connected(sink.url, auth={"hmac": {**HMAC, "secret": written, "secret_encoding": how}}) as made:
            await post(made, text="hi")
        assert sink.requests[-1].headers["x-signature"] == hmac.new(KEY, b"hi", hashlib.sha256).hexdigest()


def test_a_preview_of_a_signed_request_does_not_depend_on_the_clock() -> None:
    made = connection(auth={"hmac": {**HMAC, "signed": "{timestamp}{body}", "timestamp_header": "X-Time"}})
    previews = []
    for ms in (0, 10**12):
        with clock.stopped_at(ms):
            previews.append(made.outgoing(None, {"json": 1}, CALL).preview())
    assert previews[0] == previews[1]
    assert previews[0]["headers"]["x-time"] == previews[0]["headers"]["x-signature"] == "***"
    with pytest.raises(PermanentError, match="set by the connection's auth"):
        made.outgoing(None, {"headers": {"x-signature": "mine"}}, CALL)


async def test_a_signature_does_not_follow_a_redirect_to_another_host(sink: RecordingServer) -> None:
    with RecordingServer() as other:
        sink.answer(308, headers={"Location": other.url.replace("127.0.0.1", "localhost")})
        more: dict[str, Any] = {"follow_redirects": True, "redirect_hosts": ["localhost"]}
        async with connected(sink.url, auth={"hmac": HMAC}, **more) as made:
            await post(made, json={})
        assert "x-signature" not in other.requests[0].headers


# OAuth 2


class Issuer:
    """Gives out tokens t1, t2, … to who shows the right credentials; `good` are those that the API takes."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.given = 0
        self.server = RecordingServer(default=self._token)

    def _token(self, request: Recorded) -> Answer:
        form = dict(pair.split("=", 1) for pair in request.body.decode().split("&"))
        basic = "Basic " + base64.b64encode(b"app:s3cret-oauth").decode()
        shown = (form.get("client_id"), form.get("client_secret")) == ("app", "s3cret-oauth")
        if request.headers["content-type"] != "application/x-www-form-urlencoded":
            return Answer(400, {"error": "invalid_request"})
        if request.headers.get("authorization") != basic and not shown:
            return Answer(401, {"error": "invalid_client"})
        self.given += 1
        token = f"s3cret-t{self.given}"
        self.good = {token}
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def api(self, request: Recorded) -> Answer:
        known = request.headers.get("authorization", "").removeprefix("Bearer ") in self.good
        return Answer(201, {"id": 7}) if known else Answer(401, {"error": request.headers.get("authorization")})

    def auth(self, **more: Any) -> dict[str, Any]:
        token_url = f"{self.server.url}/token"
        return {"oauth2": {"token_url": token_url, "client_id": "app", "client_secret": "s3cret-oauth", **more}}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with made.server:
        yield made


class TestContractOfOAuth(HttpConnectorContract):
    connector = Http
    issuer: Issuer

    @pytest.fixture(autouse=True)
    def _with_an_issuer(self, issuer: Issuer) -> None:
        self.issuer = issuer

    def config_for(self, url: str) -> Mapping[str, Any]:
        return {"connector": "http", "base_url": url, "allow_private": True, "auth": self.issuer.auth()}

    async def test_bad_credentials_hold_the_lane(self) -> None:
        """A token that was refused is renewed once; what refuses the new one too holds."""
        with RecordingServer(default=Answer(401)) as server:
            error = await self._failure(server.url)
            assert len(server.requests) == 2
        assert isinstance(error, HoldError)
        assert self.issuer.given == 2


async def test_a_token_is_fetched_once_kept_and_renewed_after_a_401(issuer: Issuer) -> None:
    with RecordingServer(default=issuer.api) as api:
        async with connected(api.url, auth=issuer.auth(scope="a b", audience="https://api")) as made:
            for _ in range(3):
                assert (await post(made, json={})).status == 201
            assert issuer.given == 1
            issuer.good = set()
            assert (await post(made, json={})).status == 201
        assert issuer.given == 2
        assert [r.headers["authorization"] for r in api.requests[-2:]] == ["Bearer s3cret-t1", "Bearer s3cret-t2"]
        assert api.requests[-1].headers["idempotency-key"] == api.requests[-2].headers["idempotency-key"] == "dlv_1"
    asked = issuer.server.requests[0].body.decode()
    assert "grant_type=client_credentials" in asked
    assert "scope=a+b" in asked
    assert "audience=https%3A%2F%2Fapi" in asked


async def test_a_refresh_token_is_traded_and_the_style_may_be_basic(issuer: Issuer) -> None:
    with RecordingServer(default=issuer.api) as api:
        async with connected(api.url, auth=issuer.auth(refresh_token="s3cret-r", style="basic")) as made:
            await post(made, json={})
    (request,) = issuer.server.requests
    assert request.body == b"grant_type=refresh_token&refresh_token=s3cret-r"
    assert request.headers["authorization"].startswith("Basic ")


async def test_a_token_that_is_not_given_holds_and_nothing_is_sent(issuer: Issuer, sink: RecordingServer) -> None:
    async with connected(sink.url, auth=issuer.auth(client_id="other")) as made:
        with pytest.raises(HoldError, match="invalid_client; check client_id and client_secret") as caught:
            await post(made, json={})
    assert sink.requests == []
    assert_no_secret(made.config, str(caught.value), caught.value.received)


async def test_a_token_is_redacted_where_the_api_echoes_it(issuer: Issuer) -> None:
    def echo(request: Recorded) -> Answer:
        return Answer(422, {"echo": request.headers["authorization"]})

    with RecordingServer(default=echo) as api:
        async with connected(api.url, auth=issuer.auth()) as made:
            with pytest.raises(PermanentError) as caught:
                await post(made, json={})
    assert "s3cret-t1" not in f"{caught.value} {json.dumps(caught.value.received)}"


def test_a_preview_shows_no_token_and_asks_for_none(issuer: Issuer) -> None:
    made = connection(auth=issuer.auth())
    assert made.outgoing(None, {"json": 1}, CALL).preview()["headers"]["authorization"] == "***"
    assert issuer.server.requests == []


# Accepted statuses, and success by the reply


async def test_a_deletion_of_what_is_gone_is_a_delivery_where_the_step_accepts_it(sink: RecordingServer) -> None:
    for _ in range(2):
        sink.answer(404, {"error": "no such contact"})
    async with connected(sink.url) as made:
        reply = await post(made, method="DELETE", path="/contacts/17", accept=[404, 410])
        assert (reply.status, reply.body) == (404, {"error": "no such contact"})
        assert reply.summary == "404 Not Found, which the step accepts"
        with pytest.raises(PermanentError):
            await post(made, method="DELETE", path="/contacts/17")


@pytest.mark.parametrize("status", [99, 200, 401, 408, 425, 429, 500, 503])
def test_what_cannot_mean_done_is_not_accepted(status: int) -> None:
    with pytest.raises(PermanentError, match=rf"{status} never means done; accept takes 300 to 499"):
        connection().outgoing(None, {"accept": [status]}, CALL)


@pytest.mark.parametrize(
    ("success", "body", "good"),
    [
        ({"path": "ok", "equals": True}, {"ok": True}, True),
        ({"path": "$.ok", "equals": True}, {"ok": True}, True),
        ({"path": "ok", "equals": True}, {"ok": 1}, False),
        ({"path": "ok", "equals": True}, {"ok": "true"}, False),
        ({"path": "ok", "equals": True}, {}, False),
        ({"path": "ok", "equals": True}, [True], False),
        ({"path": "ok", "equals": None}, {"ok": None}, True),
        ({"path": "ok", "equals": None}, {}, False),
        ({"path": "code", "equals": 0}, {"code": 0}, True),
        ({"path": "code", "equals": 0}, {"code": False}, False),
        ({"path": "items.1.status", "equals": "done"}, {"items": [{}, {"status": "done"}]}, True),
        ({"path": "items.2.status", "equals": "done"}, {"items": [{}, {"status": "done"}]}, False),
        ({"path": "result.errors", "empty": True}, {"result": {"errors": []}}, True),
        ({"path": "result.errors", "empty": True}, {"result": {}}, True),
        ({"path": "result.errors", "empty": True}, {"result": {"errors": None}}, True),
        ({"path": "result.errors", "empty": True}, {"result": {"errors": [{"code": 1}]}}, False),
        ({"path": "errors", "empty": True}, {"errors": 0}, False),
        ({"path": "id", "empty": False}, {"id": 7}, True),
        ({"path": "id", "empty": False}, {"id": ""}, False),
        ({"path": "id", "empty": False}, "<html>logged out</html>", False),
    ],
)
async def test_success_is_what_the_reply_says(
    sink: RecordingServer, success: dict[str, Any], body: Any, good: bool
) -> None:
    for _ in range(2):
        sink.answer(200, body)
    async with connected(sink.url, success=success) as general, connected(sink.url) as plain:
        cases: tuple[tuple[Http, dict[str, Any]], ...] = ((general, {}), (plain, {"success": success}))
        for made, fields in cases:
            if good:
                assert (await post(made, json={}, **fields)).body == body
            else:
                with pytest.raises(PermanentError, match=r"answered 200 OK, but `[\w.]+` .*success asks for") as caught:
                    await post(made, json={}, **fields)
                assert caught.value.cause == "reply says no success"
                assert caught.value.status == 200


async def test_a_failure_that_passes_is_retried_when_the_reply_says(sink: RecordingServer) -> None:
    sink.answer(200, {"ok": False, "error": "busy\nnow"}, headers={"Retry-After": "9"})
    async with connected(sink.url, success={"path": "ok", "equals": True, "retry": True}) as made:
        with pytest.raises(RetryableError, match=r"`ok` holds false, and success asks for true: .*busy") as caught:
            await post(made, json={})
    assert caught.value.retry_after == timedelta(seconds=9)
    assert "\n" not in str(caught.value)


async def test_a_reply_that_breaks_off_before_its_verdict_is_an_unknown_outcome(sink: RecordingServer) -> None:
    for _ in range(3):
        sink.answer(200, {"ok": True, "more": "x" * 50}, instead="break off")
    kinds: tuple[tuple[dict[str, Any], type[DeliveryError]], ...] = (
        ({}, UnknownOutcomeError),
        ({"method": "PUT"}, RetryableError),
    )
    async with connected(sink.url, success={"path": "ok", "equals": True}) as made:
        for fields, kind in kinds:
            with pytest.raises(kind, match="the reply broke off before it was known"):
                await post(made, json={}, **fields)


async def test_an_answer_without_a_body_is_judged_by_its_status(sink: RecordingServer) -> None:
    sink.answer(204)
    sink.answer(200)
    async with connected(sink.url, success={"path": "ok", "equals": True}) as made:
        assert (await post(made, json={})).status == 204
        with pytest.raises(PermanentError, match="`ok` isn't there"):
            await post(made, json={})


async def test_no_secret_is_in_what_is_said_of_a_failure(sink: RecordingServer) -> None:
    sink.answer(200, {"ok": "s3cret-tok/en", "echo": "you sent s3cret-tok/en"})
    async with connected(sink.url, auth={"bearer": "s3cret-tok/en"}, success={"path": "ok", "equals": True}) as made:
        with pytest.raises(PermanentError) as caught:
            await post(made, json={})
    assert_no_secret(made.config, str(caught.value), json.dumps(caught.value.received))


# Client certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def host(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("host")


def cert(files: tuple[Path, Path], **more: str) -> dict[str, str]:
    return {"certificate": str(files[0]), "key": str(files[1]), **more}


async def test_a_server_that_asks_for_a_certificate_gets_it(authority: Authority, host: tuple[Path, Path]) -> None:
    locked = authority.issue("locked", password="s3cret-pw")
    both = authority.issue("both")
    both[0].write_bytes(both[0].read_bytes() + both[1].read_bytes())
    with tls_server(host, authority.file) as server:
        for settings in (
            cert(authority.issue("relay")),
            cert(locked, password="s3cret-pw"),
            {"certificate": str(both[0])},
        ):
            async with connected(server.url, ca_file=str(authority.file), client_cert=settings) as made:
                assert (await post(made, json={})).status == 200
    assert server.seen == ["relay", "locked", "both"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_is_missing_or_refused_holds_and_names_the_remedy(
    authority: Authority, host: tuple[Path, Path], tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("unknown")
    refused = "it refuses the client certificate: renew client_cert, or have its issuer trusted there"
    cases: list[tuple[Any, str]] = [(cert(stranger), refused), (cert(authority.issue("expired", days=-1)), refused)]
    if version is ssl.TLSVersion.TLSv1_3:
        # In 1.2 a server only says that the handshake failed, which has other causes too: that is retried.
        cases.append((None, "it asks for a client certificate: give the connection a client_cert"))
    with tls_server(host, authority.file, version) as server:
        for settings, why in cases:
            async with connected(server.url, ca_file=str(authority.file), client_cert=settings) as made:
                with pytest.raises(HoldError, match=why) as caught:
                    await post(made, json={})
            assert caught.value.cause == "client certificate refused"
    assert server.seen == []


async def test_a_file_that_cannot_be_used_holds_and_is_named(authority: Authority, tmp_path: Path) -> None:
    relay, other = authority.issue("one"), authority.issue("two")
    locked = authority.issue("shut", password="s3cret-pw")
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for settings, why in (
        (cert((tmp_path / "gone.pem", relay[1])), r"gone\.pem with .* can't be used: No such file"),
        (cert((relay[0], other[1])), "the key doesn't belong to the certificate"),
        (cert((empty, relay[1])), "it must be PEM"),
        (cert(locked), "the key's password is missing or wrong"),
        (cert(locked, password="wrong"), "the key's password is missing or wrong"),
    ):
        async with connected("https://127.0.0.1:9", client_cert=settings) as made:
            with pytest.raises(HoldError, match=why):
                await post(made)
    async with connected("https://127.0.0.1:9", ca_file=str(tmp_path / "ca.pem")) as made:
        with pytest.raises(HoldError, match=r"the ca_file .*ca\.pem can't be used: No such file"):
            await post(made)


# What may be written


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"auth": {"hmac": {**HMAC, "signed": "{bdy}{body}"}}}, "a placeholder is one of {body} {timestamp} {method}"),
        ({"auth": {"hmac": {**HMAC, "signed": "{timestamp}"}}}, "has to hold {body}"),
        ({"auth": {"hmac": {**HMAC, "signed": "{timestamp}.{body}"}}}, "say the timestamp_header"),
        ({"auth": {"hmac": {**HMAC, "prefix": "{body}"}}}, "prefix: a placeholder is one of {timestamp}"),
        ({"auth": {"hmac": {**HMAC, "prefix": "a\n"}}}, "line break"),
        ({"auth": {"hmac": {**HMAC, "header": "Host"}}}, "can't be the name"),
        ({"auth": {"hmac": {**HMAC, "timestamp_header": "x-signature"}}}, "two headers"),
        ({"auth": {"hmac": {**HMAC, "secret": "s3cret!", "secret_encoding": "base64"}}}, "isn't base64"),
        ({"auth": {"hmac": {**HMAC, "secret": "s3cret!", "secret_encoding": "hex"}}}, "isn't hex"),
        ({"auth": {"hmac": {**HMAC, "secret": ""}}}, "is empty"),
        ({"auth": {"bearer": "s3cret!", "hmac": {**HMAC, "header": "Authorization"}}}, "give hmac another"),
        ({"auth": {"hmac": HMAC, "value": "s3cret!"}}, "`value` goes with"),
        ({"auth": {"oauth2": {"token_url": "ftp://x", "client_id": "a", "client_secret": "s3cret!"}}}, "https://"),
        ({"success": {"path": "ok"}}, "either `equals` or `empty`"),
        ({"success": {"path": "ok", "equals": 1, "empty": True}}, "either"),
        ({"success": {"path": "a..b", "equals": 1}}, "joined by dots"),
        ({"success": {"path": "$.a[0]", "equals": 1}}, "joined by dots"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        connection(**settings)
    assert "s3cret" not in str(caught.value)


# Bodies and replies larger than they should be


@pytest.mark.parametrize("body", [{"text": "é" * 500}, {"json": ["x" * 1000]}, {"form": {"a": "x" * 999}}])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(body: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match=r"1,00\d bytes, .* 999 at most: .*`max_body`") as caught:
        connection(max_body=999).outgoing(None, body, CALL)
    # By its status a batch is halved until what is too large stands alone.
    assert (caught.value.status, caught.value.cause) == (413, "body too large")
    assert connection(max_body="2KB").outgoing(None, body, CALL).preview()


def test_a_body_of_ten_megabytes_is_the_most_where_nobody_says_so() -> None:
    assert connection().outgoing(None, {"text": "x" * 10_000_000}, CALL).preview()
    with pytest.raises(PermanentError, match="10,000,001 bytes"):
        connection().outgoing(None, {"text": "x" * 10_000_001}, CALL)


@asynccontextmanager
async def endless(head: bytes, chunk: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """A server whose reply never ends; the list has one number: the bytes it got rid of."""
    written = [0]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n" + head)
            while True:
                writer.write(chunk)
                await writer.drain()
                written[0] += len(chunk)
        except ConnectionError:
            pass  # the client has heard enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", written
    finally:
        server.close()


_CHUNK = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"


@pytest.mark.parametrize(
    ("head", "chunk"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n", _CHUNK),
        (b"Connection: close\r\n\r\n", b"x" * 65536),
        (b"Content-Length: 999999999999\r\n\r\n", b"x" * 65536),
        (b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n", gzip.compress(b"0" * 1_000_000)),
    ],
    ids=["chunks", "until it closes", "a length", "packed"],
)
async def test_a_reply_that_never_ends_is_read_no_further_than_the_limit(head: bytes, chunk: bytes) -> None:
    async with endless(head, chunk) as (url, written), connected(url, max_reply="1MB") as made:
        tracemalloc.start()
        try:
            started = asyncio.get_running_loop().time()
            reply = await post(made, text="hi")
            taken = asyncio.get_running_loop().time() - started
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        gone = written[0]
        await asyncio.sleep(0.05)
        # Nobody goes on reading what isn't wanted any more.
        assert written[0] - gone < 10_000_000
    assert reply.status == 200
    assert reply.summary == "200 OK (the reply was cut at 1000000 bytes)"
    assert taken < 4
    assert peak < 20_000_000


async def test_a_head_that_never_ends_is_no_answer() -> None:
    async with endless(b"", b"X-More: " + b"x" * 4000 + b"\r\n") as (url, _), connected(url) as made:
        with pytest.raises(DeliveryError):
            await post(made, text="hi")
