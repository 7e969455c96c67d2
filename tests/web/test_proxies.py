"""Who calls, and under which address: only a trusted proxy may say otherwise than the connection does."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from relay.web.proxies import Proxies

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8"))


def scope(client: str = "10.0.0.1", path: bytes = b"/in/shop/a%20b", query: bytes = b"x=1") -> dict[str, Any]:
    return {"client": (client, 1), "scheme": "http", "path": "/in/shop/a b", "raw_path": path, "query_string": query}


@pytest.mark.parametrize(
    ("client", "forwarded", "remote"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.2.3.4", "203.0.113.7"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        # Its own address would pass for the sender's.
        ("10.0.0.1", "", ""),
        ("10.0.0.1", "unknown", ""),
        ("10.0.0.1", "203.0.113.7, unknown", ""),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:DB8::1]:4711", "2001:db8::1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.200", "198.51.100.1", "203.0.113.200"),
    ],
)
def test_the_senders_address_is_the_last_that_no_trusted_proxy_has(client: str, forwarded: str, remote: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert Proxies(TRUSTED).remote(scope(client), headers) == remote
    assert Proxies().remote(scope(client), headers) == client


def test_the_address_that_was_called_is_what_a_trusted_proxy_says_and_nobody_else() -> None:
    headers = {
        "host": "127.0.0.1:8080",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.test, hooks.example.org",
    }
    assert Proxies(TRUSTED).url(scope(), headers) == "https://hooks.example.org/in/shop/a%20b?x=1"
    assert Proxies(TRUSTED).url(scope("203.0.113.7"), headers) == "http://127.0.0.1:8080/in/shop/a%20b?x=1"
    assert Proxies().url(scope(), headers) == "http://127.0.0.1:8080/in/shop/a%20b?x=1"
    told = Proxies(TRUSTED, "https://told.example.org/")
    assert told.url(scope(query=b""), headers) == "https://told.example.org/in/shop/a%20b"


def test_a_request_over_a_socket_has_no_address() -> None:
    nobody = scope() | {"client": None}
    assert Proxies(TRUSTED).remote(nobody, {"x-forwarded-for": "203.0.113.7"}) == ""
    assert Proxies(TRUSTED).url(nobody, {"host": "h"}).startswith("http://h/in/shop")
