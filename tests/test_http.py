from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from relay.errors import HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import (
    Client,
    ClientOptions,
    HttpRequest,
    PrivateAddressError,
    Redactor,
    guard,
    is_private,
    open_socket,
    redact_headers,
    redact_url,
    retry_after,
)
from relay.testing import RecordingServer

NOW = datetime(2026, 4, 3, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Fri, 03 Apr 2026 10:01:30 GMT", 90),
        ("Fri, 03 Apr 2026 09:00:00 GMT", 0),
        ("Friday, 03-Apr-26 10:00:10 GMT", 10),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_negative(value: str | None, seconds: int | None) -> None:
    assert retry_after(value, NOW) == (None if seconds is None else timedelta(seconds=seconds))


def test_a_retry_after_beyond_all_reason_does_not_overflow() -> None:
    assert retry_after("9" * 400, NOW) == timedelta(days=3650)
    assert retry_after("Fri, 03 Apr 99999 10:00:00 GMT", NOW) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "100.127.255.255", "192.0.0.192", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a00:1", "fe80::1",
        "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::", "100::1", "nonsense", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_a_public_address_is_not(address: str) -> None:
    assert not is_private(address)


class Rebinding(AbstractResolver):
    """Says a public address when it is asked first, and 127.0.0.1 from then on."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in answer.split(",")
        ]

    async def close(self) -> None:
        pass


async def send(url: str, resolver: AbstractResolver, **options: Any) -> None:
    client = Client(ClientOptions(resolver=resolver, connect_timeout=timedelta(seconds=0.3), **options))
    try:
        await client.send(HttpRequest("GET", url, {}), timeout=timedelta(seconds=2))
    finally:
        await client.aclose()


async def test_a_name_that_resolves_to_a_private_address_is_refused_when_it_is_used() -> None:
    with RecordingServer() as server:
        with pytest.raises(HoldError, match=r"api\.example\.com resolves to the private address 127\.0\.0\.1"):
            await send(f"http://api.example.com:{server.port}/", Rebinding("127.0.0.1"))
        with pytest.raises(HoldError, match=r"the private address (127\.0\.0\.1|10\.0\.0\.1|::1)"):
            await send(f"http://api.example.com:{server.port}/", Rebinding("127.0.0.1,::1"))
    assert server.connections == 0


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test goes out into the world, so 127.0.0.1 plays the public address here, and 127.0.0.2 the private one."""
    monkeypatch.setattr(guard, "is_private", lambda address: address != "127.0.0.1")


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_name_that_changes_its_mind_is_refused_the_second_time() -> None:
    resolver = Rebinding("127.0.0.1", "127.0.0.2")
    with RecordingServer() as server:
        await send(f"http://api.example.com:{server.port}/", resolver)
        with pytest.raises(HoldError, match=r"resolves to the private address 127\.0\.0\.2"):
            await send(f"http://api.example.com:{server.port}/", resolver)
    assert (resolver.asked, server.connections) == (2, 1)


@pytest.mark.usefixtures("loopback_is_public")
async def test_a_redirect_to_a_private_address_is_refused() -> None:
    options = {"follow_redirects": True, "redirect_hosts": frozenset({"inside.example"})}
    with RecordingServer() as server:
        server.answer(307, headers={"Location": f"http://inside.example:{server.port}/"})
        with pytest.raises(PermanentError, match=r"inside\.example resolves to the private address"):
            await send(f"http://outside.example:{server.port}/", Rebinding("127.0.0.1", "127.0.0.2"), **options)
    assert server.connections == 1


async def test_a_socket_for_another_protocol_is_guarded_too() -> None:
    with RecordingServer() as server:
        with pytest.raises(PrivateAddressError):
            await open_socket("localhost", server.port)
        made = await open_socket("127.0.0.1", server.port, allow_private=True)
        made.close()


def test_headers_that_carry_credentials_are_hidden() -> None:
    headers = {"Authorization": "Bearer x", "X-Api-Key": "x", "Cookie": "x", "ZSESSIONID": "x", "X-Auth-Token": "x",
               "X-Own": "x", "Content-Type": "text/plain", "Idempotency-Key": "dlv_1"}  # fmt: skip
    shown = redact_headers(headers, {"x-own"})
    assert {name for name, value in shown.items() if value == "***"} == {
        "Authorization", "X-Api-Key", "Cookie", "ZSESSIONID", "X-Auth-Token", "X-Own"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/a", "https://***@h/a"),
        ("https://h/a?api_key=1&b=2", "https://h/a?api_key=***&b=2"),
        ("https://h/a?b=2&access_token=1#f", "https://h/a?b=2&access_token=***#f"),
        ("https://h/a?sig=1&keyword=2", "https://h/a?sig=***&keyword=2"),
        ("https://h/a@b?c=d@e", "https://h/a@b?c=d@e"),
    ],
)
def test_urls_are_shown_without_credentials(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_a_redactor_knows_the_spellings_a_secret_travels_in() -> None:
    redact = Redactor(["p/ss word", "", "x"])
    assert redact("p/ss word p%2Fss%20word p%2Fss+word x") == "*** *** *** x"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_a_request_that_got_no_answer_is_not_sent_again_by_itself(method: str) -> None:
    """aiohttp does that on a connection that was kept: a second comment, and an attempt that nobody counted."""
    client = Client(ClientOptions(allow_private=True))
    try:
        with RecordingServer() as server:
            await client.send(HttpRequest(method, f"{server.url}/a", {}), timeout=timedelta(seconds=5))
            server.answer(instead="close")
            with pytest.raises(RetryableError if method != "POST" else UnknownOutcomeError):
                await client.send(HttpRequest(method, f"{server.url}/b", {}), timeout=timedelta(seconds=5))
            assert [request.path for request in server.requests] == ["/a", "/b"]
            # What the API does with a second one, it alone knows.
            server.answer(instead="close")
            request = HttpRequest(method, f"{server.url}/c", {})
            with pytest.raises(UnknownOutcomeError):
                await client.send(request, timeout=timedelta(seconds=5), idempotent=False)
    finally:
        await client.aclose()
