"""What a sender can do to the port: each is answered within its limit, in bounded memory, and what was accepted stays.

One real relay takes all of it. After each test it must be the same process, and take and deliver a normal event; at the
end, every event that was accepted is still there, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import brotli
import httpx
import psutil
import pytest
import zstandard

from relay import embedded
from relay.store import Store
from relay.testing import RecordingServer
from relay.web.protocol import Protocol
from tests.harness import Relay, eventually, relay_up, write_workspace

#: The web process takes 60 MB when nothing happens, up to 256 MB of bodies, and what two decoders make of 10 MB.
MOST_RSS_BYTES = 900_000_000

BODY_SECONDS = 6
NORMAL_SECONDS = 2.0

_numbers = itertools.count(1)


@dataclass
class Target:
    """The relay under fire."""

    relay: Relay
    sink: RecordingServer
    web: psutil.Process
    accepted: dict[str, bytes] = field(default_factory=dict)
    most_rss: int = 0

    def post(self, source: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        every = {"X-Key": "k", "Content-Type": "application/json"} | dict(headers or {})
        answer = httpx.post(f"{self.relay.url}/in/{source}", content=body, headers=every, timeout=30)
        if answer.status_code == 202:
            self.accepted[answer.json()["id"]] = body
        return answer

    def is_well(self) -> None:
        """The same process takes a normal event, at once, and delivers it."""
        assert self.web.is_running()
        assert self.web.status() != psutil.STATUS_ZOMBIE
        name = f"well-{next(_numbers)}"
        started = time.monotonic()
        assert self.post("chat", json.dumps({"id": name}).encode()).status_code == 202
        assert time.monotonic() - started < NORMAL_SECONDS
        eventually(lambda: any(request.json() == {"id": name} for request in self.sink.requests), 30)
        assert self.most_rss < MOST_RSS_BYTES

    def watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(psutil.Error):
                self.most_rss = max(self.most_rss, self.web.memory_info().rss)

    async def all_are_there(self) -> None:
        store = Store(embedded.url(self.relay.folder / "data"))
        try:
            for event_id, body in self.accepted.items():
                stored = await store.event(event_id)
                assert stored is not None
                assert stored.event.body == body
        finally:
            await store.aclose()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    verify = {"header": "X-Key", "equals": "k"}
    with RecordingServer() as sink:
        connections = {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}}
        folder = tmp_path_factory.mktemp("hostile")
        write_workspace(
            folder,
            {
                "sources": {
                    "chat": {"verify": {**verify}, "event_id": "$.id"},
                    "any": {"verify": {**verify}},
                    "small": {"verify": {**verify}, "max_body": "1KB"},
                },
                "connections": connections,
            },
            {
                "forward": {
                    "recipe": "Forward",
                    "catch": "chat",
                    "steps": {"post": {"to": "sink", "with": {"path": "/events", "json": {"id": "$.id"}}}},
                },
                "note": {
                    "recipe": "Note",
                    "catch": "any",
                    "steps": {"post": {"to": "sink", "with": {"path": "/noted", "json": {"event": "$event.id"}}}},
                },
            },
        )
        with relay_up(folder, env={"RELAY_BODY_TIMEOUT": f"{BODY_SECONDS}s"}) as relay:
            target = Target(relay, sink, relay.children()["web"])
            ended = threading.Event()
            watching = threading.Thread(target=target.watch, args=(ended,))
            watching.start()
            try:
                yield target
            finally:
                ended.set()
                watching.join()
            print(f"\nmost memory of the web process: {target.most_rss / 1e6:.0f} MB")
            asyncio.run(target.all_are_there())
            assert not relay.log("Exception in ASGI application\n"), "nothing was answered by an accident"


@pytest.fixture
def target(running: Target) -> Iterator[Target]:
    yield running
    running.is_well()


# The wire


class Wire:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, seconds: float = 5) -> tuple[int, dict[str, str], bytes]:
        """The next answer. Fails where none comes in time, or the connection is closed or reset without one."""
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.splitlines()
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest if one)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(line.split()[1]), headers, body

    async def status(self, seconds: float = 5) -> int:
        return (await self.answer(seconds))[0]

    async def is_closed(self, seconds: float = 5) -> bool:
        """Whether the relay closes it, or resets it, in time and without another word."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


@contextlib.asynccontextmanager
async def wire(target: Target) -> AsyncIterator[Wire]:
    parts = urlsplit(target.relay.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def head(*lines: str, target: str = "/in/any", method: str = "POST", version: str = "HTTP/1.1") -> bytes:
    every = [f"{method} {target} {version}", "Host: relay", "X-Key: k", *lines, "", ""]
    return "\r\n".join(every).encode("latin-1")


# Bodies


def multipart(part: bytes, number: int) -> bytes:
    return (b"--x\r\n" + part + b"\r\n") * number + b"--x--\r\n"


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "application/xml"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ZEROS = b"0" * 100_000_000
TEN_MB = 9_900_000


def packed(encoding: str, headers: Mapping[str, str] = JSON) -> dict[str, str]:
    return {**headers, "Content-Encoding": encoding}


def bodies() -> list[tuple[str, Mapping[str, str], bytes, str]]:
    """(what it is, its headers, itself, why it is a dead letter: empty where it isn't one)"""
    small = b'{"id": "x"}'
    field_a = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    return [
        ("a billion laughs", XML, f'<!DOCTYPE l [<!ENTITY l0 "ha">{LAUGHS}]><l>&l9;</l>'.encode(), "entity of its own"),
        ("a file as an entity", XML, b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>', "refused"),
        ("an address as an entity", XML, b'<!DOCTYPE a SYSTEM "CANARY/x.dtd"><a/>', "is refused"),
        ("a parameter entity", XML, b'<!DOCTYPE a [<!ENTITY % p SYSTEM "CANARY/p">%p;]><a/>', "is refused"),
        ("XML 100,000 deep", XML, b"<a>" * 100_000 + b"</a>" * 100_000, "deeper than 100"),
        ("a million elements", XML, b"<a>" + b"<b/>" * 1_000_000 + b"</a>", "more than 200000 elements"),
        (
            "a million attributes",
            XML,
            b"<a " + b" ".join(b'a%d=""' % n for n in range(800_000)) + b"/>",
            "attributes",
        ),
        ("XML that names a codec", XML, b'<?xml version="1.0" encoding="unicode_escape"?><a/>', "charset"),
        ("JSON 100,000 deep", JSON, b"[" * 100_000 + b"]" * 100_000, "deeper than 128"),
        ("objects 100,000 deep", JSON, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper than 128"),
        ("10 MB of lists", JSON, b"[" + b"[]," * (TEN_MB // 3) + b"[]]", "more than 500000 objects and lists"),
        ("10 MB of deep lists", JSON, b"[" + (b"[" * 60 + b"]" * 60 + b",") * (TEN_MB // 121) + b"1]", "objects and"),
        ("10 MB of numbers", JSON, b"[" + b"1," * (TEN_MB // 2) + b"1]", ""),
        ("10 MB that break off", JSON, b"[" + b'"a",' * (TEN_MB // 4), "line 1"),
        ("a number of 100,000 digits", JSON, b"[" + b"9" * 100_000 + b"]", "too many digits"),
        ("keys that are there twice", JSON, b'{"id": "a", "id": "b"}', ""),
        ("halves of surrogate pairs", JSON, b'{"id": "\\ud800", "\\udfff": 1}', ""),
        ("surrogates as bytes", JSON, b'{"id": "\xed\xa0\x80"}', "isn't UTF-8"),
        ("a NUL in a text", JSON, b'{"id": "a\\u0000b"}', ""),
        ("a NUL as a byte", JSON, b'{"id": "a\0b"}', "control character"),
        ("only NULs", JSON, b"\0" * 1000, "the body isn't"),
        ("a million form keys", FORM, b"&".join(b"k%d=1" % n for n in range(1_000_000)), "more than 10000 fields"),
        ("a form of deep keys", FORM, b"&".join(b"a%d" % n + b"[b]" * 30 + b"=1" for n in range(9999)), "100000 keys"),
        ("10 MB of brackets", FORM, b"a" + b"[]" * (TEN_MB // 2), "nested deeper"),
        ("10 MB of escapes", FORM, b"a=" + b"%41" * (TEN_MB // 3), ""),
        ("100,000 parts", MULTIPART, multipart(field_a, 100_000), "more than 10000 fields"),
        ("10 MB of nearly boundaries", MULTIPART, multipart(field_a + b"\r\n--xy" * (TEN_MB // 6), 1), "10000 fields"),
        ("parts without a boundary", {"Content-Type": "multipart/form-data"}, multipart(field_a, 1), "boundary"),
        ("JSON called a form", FORM, small, ""),
        ("a form called JSON", JSON, b"id=x", "isn't JSON"),
        ("JSON called XML", XML, small, "isn't XML"),
        ("no content type", {"Content-Type": ""}, small, ""),
        ("a content type that is none", {"Content-Type": ";;;=\"'"}, small, ""),
        ("a content type of 60 KB", {"Content-Type": "a/b" + ";" * 60_000}, small, ""),
        ("a charset that isn't known", {"Content-Type": "application/json; charset=klingon"}, small, "klingon"),
        ("UTF-7", {"Content-Type": "application/json; charset=utf-7"}, small, "charset"),
        ("a gzip bomb", packed("gzip"), gzip.compress(ZEROS), "gzip of more than 10,000,000 bytes"),
        ("a gzip bomb in a gzip", packed("gzip, gzip"), gzip.compress(gzip.compress(ZEROS)), "of more than"),
        ("a deflate bomb", packed("deflate"), zlib.compress(ZEROS), "deflate of more than"),
        ("a brotli bomb", packed("br"), brotli.compress(ZEROS, quality=4), "br of more than"),
        ("a zstd bomb", packed("zstd"), zstandard.compress(ZEROS), "zstd of more than"),
        ("100,000 gzips in a row", packed("gzip"), gzip.compress(b"") * 100_000, "more than 100 pieces"),
        ("packed four times", packed("gzip, gzip, gzip, gzip"), small, "more than 3 times"),
        ("gzip that is cut off", packed("gzip"), gzip.compress(small)[:-4], "ends before its gzip"),
        ("gzip with something behind it", packed("gzip"), gzip.compress(small) + b"junk", "isn't gzip"),
        ("gzip that isn't", packed("gzip"), small, "isn't gzip"),
        ("an encoding that isn't known", packed("lzma"), small, "lzma"),
        ("gzip that is fine", packed("gzip"), gzip.compress(small), ""),
        ("brotli that is fine", packed("br"), brotli.compress(small), ""),
    ]


def test_every_body_is_kept_and_what_cant_be_decoded_says_why(target: Target) -> None:
    """Decoded in the web process for the source with an `event_id`, and in a worker for both."""
    why: dict[str, tuple[str, str]] = {}
    slow = {}
    for what, headers, body, reason in bodies():
        body = body.replace(b"CANARY", target.sink.url.encode())
        for source in ("chat", "any"):
            started = time.monotonic()
            answer = target.post(source, body, headers)
            took = time.monotonic() - started
            assert answer.status_code in (200, 202), f"{what}: {answer.status_code} {answer.text}"
            if took > NORMAL_SECONDS:
                slow[what] = took
            if source == "any":
                why[answer.json()["id"]] = (what, reason)
    assert not slow
    eventually(lambda: why.keys() <= {line["event_id"] for line in target.relay.log("event.routed")}, 60, 0.1)
    letters = {letter["event"]: letter["summary"] for letter in target.relay.rows("dead", "list", "--limit", "1000")}
    for event_id, (what, reason) in why.items():
        assert reason in letters.get(event_id, ""), f"{what}: {letters.get(event_id)}"
        assert bool(reason) == (event_id in letters), f"{what}: {letters.get(event_id)}"
    assert not any("x.dtd" in request.target or request.path == "/p" for request in target.sink.requests)


# Requests that aren't HTTP, or two kinds of it at once


def chunked(*lines: str) -> bytes:
    return head("Transfer-Encoding: chunked", *lines)


LONGEST = 65_536 - len("/in/any") - len("Host: relay\r\nX-Key: k\r\nContent-Length: 2\r\nX-Long: \r\n")

REQUESTS: dict[str, tuple[bytes, set[int]]] = {
    # What one server takes for a body and another for the next request is smuggled past the first.
    "a length and chunks": (head("Content-Length: 6", "Transfer-Encoding: chunked") + b"0\r\n\r\nX", {400}),
    "chunks and a length": (head("Transfer-Encoding: chunked", "Content-Length: 6") + b"0\r\n\r\nX", {400}),
    "two lengths": (head("Content-Length: 2", "Content-Length: 3") + b"{}x", {400}),
    "two lengths in one": (head("Content-Length: 2, 3") + b"{}x", {400}),
    "a negative length": (head("Content-Length: -1") + b"{}", {400}),
    "a length with a sign": (head("Content-Length: +2") + b"{}", {400}),
    "a length in hexadecimal": (head("Content-Length: 0x2") + b"{}", {400}),
    "a length that overflows": (head("Content-Length: 99999999999999999999999") + b"{}", {400}),
    "a length beyond all memory": (head("Content-Length: 9223372036854775807") + b"{}", {413}),
    "an encoding twice": (head("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n", {400}),
    "an encoding that is none": (head("Transfer-Encoding: xchunked") + b"0\r\n\r\n", {400}),
    "a space before the colon": (head("Transfer-Encoding : chunked") + b"0\r\n\r\n", {400}),
    "a folded header": (head("X-Fold: a", " b", "Content-Length: 2") + b"{}", {400}),
    "a header without a name": (head(": x", "Content-Length: 2") + b"{}", {400}),
    "a chunk size that is none": (chunked() + b"zz\r\n{}\r\n0\r\n\r\n", {400}),
    "a negative chunk": (chunked() + b"-1\r\n{}\r\n0\r\n\r\n", {400}),
    "a chunk that overflows": (chunked() + b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", {400}),
    "a chunk beyond all memory": (chunked() + b"7FFFFFFFFFFFFFFF\r\n" + b"x" * 11_000_000, {413}),
    "a chunk that is longer than it says": (chunked() + b"1\r\n{}\r\n0\r\n\r\n", {400}),
    "a chunk extension without an end": (chunked() + b"2;" + b"x" * 400_000, {400, 431}),
    "trailers without an end": (chunked() + b"2\r\n{}\r\n0\r\n" + b"X-T: y\r\n" * 50_000, {431}),
    "a trailer without an end": (chunked() + b"2\r\n{}\r\n0\r\nX-T: " + b"y" * 400_000, {431}),
    # Targets
    "an address as a target": (head("Content-Length: 2", target="http://other.example/in/any") + b"{}", {202}),
    "a target that is none": (head("Content-Length: 2", target="in/any") + b"{}", {400}),
    "two dots": (head("Content-Length: 2", target="/in/../in/any") + b"{}", {404}),
    "two dots in disguise": (head("Content-Length: 2", target="/in/%2e%2e/%2e%2e/etc/passwd") + b"{}", {404}),
    "a NUL in the path": (head("Content-Length: 2", target="/in/any%00") + b"{}", {404}),
    "a line break in the path": (head("Content-Length: 2", target="/in/any%0d%0aX-Key:%20k") + b"{}", {404}),
    "a path in UTF-8": (head("Content-Length: 2", target="/in/caf%C3%A9") + b"{}", {404}),
    "a path that isn't UTF-8": (head("Content-Length: 2", target="/in/%ff%fe") + b"{}", {404}),
    "a path of raw bytes": (head("Content-Length: 2", target="/in/caf\xe9") + b"{}", {400, 404}),
    "10,000 query parameters": (head("Content-Length: 2", target="/in/any?" + "a&" * 9_999 + "a") + b"{}", {202}),
    "20,000 query parameters": (head("Content-Length: 2", target="/in/any?" + "a&" * 19_999 + "a") + b"{}", {400}),
    "a target of 70 KB": (head("Content-Length: 2", target="/in/" + "a" * 70_000) + b"{}", {431}),
    # Methods and versions
    "HTTP/1.0": (head("Content-Length: 2", version="HTTP/1.0") + b"{}", {202}),
    "HTTP/0.9": (b"GET /in/any\r\n\r\n", {401}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "HTTP/7.7": (head("Content-Length: 2", version="HTTP/7.7") + b"{}", {400}),
    "a method that is none": (head("Content-Length: 2", method="BREW") + b"{}", {400}),
    "a method in small letters": (head("Content-Length: 2", method="post") + b"{}", {400}),
    "TRACE": (head(method="TRACE"), {405}),
    "CONNECT": (b"CONNECT relay:80 HTTP/1.1\r\nHost: relay\r\n\r\n", {400}),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: relay\r\n\r\n", {404}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500, {400}),
    "noise": (bytes(range(256)) * 100, {400}),
    # Headers
    "a NUL in a header": (head("X-Nul: a\0b", "Content-Length: 2") + b"{}", {400}),
    "a carriage return in a header": (head("X-Cr: a\rb", "Content-Length: 2") + b"{}", {400}),
    "the longest head": (head("Content-Length: 2", "X-Long: " + "x" * LONGEST) + b"{}", {202}),
    "a head that is longer by one": (head("Content-Length: 2", "X-Long: " + "x" * (LONGEST + 1)) + b"{}", {431}),
    "a header of 1 MB": (head("X-Long: " + "x" * 1_000_000), {431}),
    "a header's name of 1 MB": (head("x" * 1_000_000 + ": x"), {431}),
    "200 headers": (head("Content-Length: 2", *["X-A: b"] * 197) + b"{}", {202}),
    "201 headers": (head("Content-Length: 2", *["X-A: b"] * 198) + b"{}", {431}),
    "100,000 headers": (head(*["X-A: b"] * 100_000), {431}),
    # Limits
    "a body of 11 MB": (head("Content-Length: 11000000") + b"x" * 11_000_000, {413}),
    "11 MB in chunks": (chunked() + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 170 + b"0\r\n\r\n", {413}),
    "a body nobody asked for": (head("Content-Length: 11000000", target="/in/none") + b"x" * 11_000_000, {404}),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_request_is_answered_with_its_status_and_the_next_one_too(running: Target, what: str) -> None:
    request, statuses = REQUESTS[what]
    async with wire(running) as one:
        sending = asyncio.create_task(one.send(request))
        status, _, body = await one.answer()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert status in statuses, body
    if status == 202:
        running.accepted[json.loads(body)["id"]] = b"{}"
    async with wire(running) as one:
        await one.send(head("Content-Length: 2") + b"{}")
        assert await one.status() == 202


async def test_after_all_of_these_the_relay_is_well(target: Target) -> None:
    """The fixture looks."""


async def test_a_trailer_is_no_header(target: Target) -> None:
    """A proxy that takes care of headers looks at no trailers."""
    request = b"POST /in/any HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\nTrailer: X-Key\r\n\r\n"
    async with wire(target) as one:
        await one.send(request + b"2\r\n{}\r\n0\r\nX-Key: k\r\n\r\n")
        assert await one.status() == 401
        await one.send(chunked() + b"2\r\n{}\r\n0\r\nX-Other: x\r\n\r\n")
        assert await one.status() == 202


async def test_pipelined_requests_are_answered_in_turn_and_what_follows_them_is_refused_alone(target: Target) -> None:
    small = [b'{"id": "p%d"}' % number for number in range(3)]
    requests = [head(f"Content-Length: {len(body)}") + body for body in small]
    async with wire(target) as one:
        await one.send(b"".join(requests))
        for body in small:
            status, _, answer = await one.answer()
            assert status == 202
            target.accepted[json.loads(answer)["id"]] = body
    async with wire(target) as one:
        await one.send(requests[0] + b"\x16\x03\x01 this is no request\r\n\r\n")
        assert await one.status() == 202
        assert await one.is_closed()
    async with wire(target) as one:
        with contextlib.suppress(ConnectionError):
            await one.send(head("Content-Length: 2") + b"{}" + (head(method="GET", target="/") * 20_000))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                assert await one.status() in (200, 202)


async def test_an_offer_to_upgrade_costs_no_body(target: Target) -> None:
    """Java's client offers HTTP/2 on its first request, with a body."""
    offer = head(
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Content-Length: 10"
    )
    for pieces in ([offer + b'{"a": "b"}'], [offer, b'{"a": ', b'"b"}']):
        async with wire(target) as one:
            for piece in pieces:
                await one.send(piece)
                await asyncio.sleep(0.05)
            status, _, answer = await one.answer()
            assert status == 202
            target.accepted[json.loads(answer)["id"]] = b'{"a": "b"}'
            await one.send(head("Content-Length: 2") + b"{}")
            assert await one.status() == 202


async def test_a_sender_that_asks_first_isnt_told_to_go_on_where_it_would_be_refused(target: Target) -> None:
    async with wire(target) as one:
        await one.send(head("Content-Length: 2000", "Expect: 100-continue", target="/in/small"))
        assert await one.status() == 413
    async with wire(target) as one:
        await one.send(head("Content-Length: 2", "Expect: 100-continue"))
        assert await one.status() == 100
        await one.send(b"{}")
        assert await one.status() == 202


async def test_a_refused_sender_hears_it_even_if_it_goes_on_sending(target: Target) -> None:
    """Closed at once, its connection would be reset, and it would send again instead of knowing why not."""
    async with wire(target) as one:
        with contextlib.suppress(ConnectionError):
            await one.send(head("Content-Length: 5000000", target="/in/small"), b"x" * 100_000)
            await asyncio.sleep(0.3)
            await one.send(b"x" * 1_000_000)
        status, headers, body = await one.answer()
        assert (status, headers["connection"], json.loads(body)) == (413, "close", {"error": "body too large"})
        assert await one.is_closed()


async def test_a_sender_that_hangs_up_within_its_body_leaves_nothing(target: Target) -> None:
    before = len(target.relay.log("event.caught"))
    for _ in range(20):
        async with wire(target) as one:
            await one.send(head("Content-Length: 1000") + b"x" * 500)
    await asyncio.sleep(0.3)
    assert len(target.relay.log("event.caught")) == before


async def test_more_bodies_than_there_is_room_for_are_told_to_come_again_and_small_ones_are_taken(
    target: Target,
) -> None:
    """40 bodies of 9.9 MB that lack their last byte: 256 MB of them are held, which is room for 25."""
    statuses: list[int] = []
    waits: list[str] = []
    hold = asyncio.Event()

    async def large() -> None:
        async with wire(target) as one:
            with contextlib.suppress(ConnectionError):
                await one.send(head(f"Content-Length: {TEN_MB}"), b"x" * (TEN_MB - 1))
            status, headers, _ = await one.answer(30)
            statuses.append(status)
            waits.append(headers.get("retry-after", ""))
            if status == 503:
                hold.set()

    senders = [asyncio.create_task(large()) for _ in range(40)]
    async with asyncio.timeout(20):
        await hold.wait()
    started = time.monotonic()
    assert (await asyncio.to_thread(target.post, "chat", b'{"id": "among the large"}')).status_code == 202
    assert time.monotonic() - started < NORMAL_SECONDS
    await asyncio.gather(*senders)
    assert set(statuses) == {408, 503}
    assert set(waits) == {"", "5"}
    # What was given up is given back.
    assert (await asyncio.to_thread(target.post, "any", b"x" * TEN_MB)).status_code == 202


async def test_a_thousand_that_say_nothing_and_hundreds_that_drip_keep_nobody_out(target: Target) -> None:
    """All are closed in the end, in their time; those that began a request hear why."""
    seconds = Protocol.head_seconds
    ended = asyncio.Event()

    async def silent() -> None:
        async with wire(target) as one:
            assert await one.is_closed(seconds + 5)

    async def dripping() -> None:
        async with wire(target) as one:
            answer = asyncio.create_task(one.answer(seconds + 5))
            await one.send(b"POST /in/any HTTP/1.1\r\nHost: relay\r\n")
            with contextlib.suppress(ConnectionError):
                while not answer.done():
                    await one.send(b"X-Drip: x\r\n")
                    await asyncio.sleep(1)
            assert (await answer)[0] == 408

    async def blank_lines() -> None:
        async with wire(target) as one:
            closed = asyncio.create_task(one.is_closed(seconds + 5))
            with contextlib.suppress(ConnectionError):
                while not closed.done():
                    await one.send(b"\r\n")
                    await asyncio.sleep(1)
            assert await closed

    async def slow_body(piece: bytes) -> None:
        async with wire(target) as one:
            started = time.monotonic()
            await one.send(head("Content-Length: 1000"))
            answer = asyncio.create_task(one.answer(BODY_SECONDS + 3))
            with contextlib.suppress(ConnectionError):
                while not answer.done():
                    await asyncio.sleep(0.2)
                    await one.send(piece)
            status, headers, _ = await answer
            assert (status, headers["connection"]) == (408, "close")
            assert BODY_SECONDS - 0.1 < time.monotonic() - started < BODY_SECONDS + 2

    async def normal() -> list[float]:
        took = []
        async with wire(target) as one:
            while not ended.is_set():
                started = time.monotonic()
                await one.send(head("Content-Length: 2") + b"{}")
                assert await one.status() == 202
                took.append(time.monotonic() - started)
                await asyncio.sleep(0.02)
        return took

    traffic = asyncio.create_task(normal())
    await asyncio.gather(
        *(silent() for _ in range(1000)),
        *(dripping() for _ in range(300)),
        *(blank_lines() for _ in range(20)),
        *(slow_body(piece) for piece in (b"x", b"") for _ in range(50)),
    )
    ended.set()
    took = sorted(await traffic)
    assert len(took) > 200
    assert took[-1] < NORMAL_SECONDS
    assert took[len(took) // 2] < 0.2
