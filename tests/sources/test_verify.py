from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify import UNVERIFIED, Verifier, which


def verified(verify: Any, request: Inbound, now_ms: int = 0) -> str:
    return Verifier(SourceConfig.model_validate({"verify": verify})).verify(request, now_ms)


def refused(verify: Any, request: Inbound, now_ms: int = 0) -> str:
    with pytest.raises(RefusedError) as caught:
        verified(verify, request, now_ms)
    assert (caught.value.status, caught.value.detail) == (401, "unauthorized")
    return caught.value.reason


def basic(pair: bytes) -> Inbound:
    return Inbound("POST", headers={"authorization": "Basic " + base64.b64encode(pair).decode()})


def test_none_takes_a_request_from_anybody() -> None:
    assert verified("none", Inbound("POST")) == UNVERIFIED
    assert which(UNVERIFIED) == 0


def test_a_header_has_to_equal_a_secret() -> None:
    verify = {"header": "X-Gecko-Key", "equals": ["old", "new"]}
    assert verified(verify, Inbound("POST", headers={"x-gecko-key": "new"})) == "2 of 2"
    assert which("2 of 2") == 1
    assert refused(verify, Inbound("POST")) == "the header x-gecko-key is missing"
    for wrong in ("", "ne", "neww", "NEW", " new"):
        reason = refused(verify, Inbound("POST", headers={"x-gecko-key": wrong}))
        assert reason == "the header x-gecko-key doesn't equal any of the 2 secrets"


def test_a_header_with_umlauts_equals_a_secret_sent_as_utf8() -> None:
    verify = {"header": "X-Key", "equals": "Zoë"}
    assert verified(verify, Inbound("POST", headers={"x-key": "Zoë".encode().decode("latin-1")}))
    assert refused(verify, Inbound("POST", headers={"x-key": "Zoe"}))
    assert refused(verify, Inbound("POST", headers={"x-key": "ключ"}))


def test_a_query_parameter_has_to_equal_a_secret() -> None:
    verify = {"query": "key", "equals": "s3cret"}
    assert verified(verify, Inbound("GET", query=(("a", "1"), ("key", "s3cret"))))
    assert refused(verify, Inbound("GET", query=(("Key", "s3cret"),))) == "the query parameter key is missing"
    assert refused(verify, Inbound("GET", query=(("key", "wrong"),)))
    assert "2 times" in refused(verify, Inbound("GET", query=(("key", "wrong"), ("key", "s3cret"))))


def test_the_address_has_to_end_with_the_token() -> None:
    assert verified({"token": ["a-b", "c.d"]}, Inbound("POST", token="c.d")) == "2 of 2"
    assert "/in/<source>/<token>" in refused({"token": "abc"}, Inbound("POST"))
    assert refused({"token": "abc"}, Inbound("POST", token="abd"))
    assert refused({"token": "abc"}, Inbound("POST", token="\udcff"))


def test_a_bearer_token_is_taken_whatever_the_case_of_its_scheme() -> None:
    for value in ("Bearer t0ken", "bearer t0ken", "BEARER  t0ken"):
        assert verified({"bearer": "t0ken"}, Inbound("POST", headers={"authorization": value}))
    for value in ("", "t0ken", "Bearer", "Bearer t0kem", "Basic t0ken", "Token t0ken"):
        refused({"bearer": "t0ken"}, Inbound("POST", headers={"authorization": value}))
    assert refused({"bearer": "t0ken"}, Inbound("POST")) == "the header authorization is missing"


def test_basic_takes_the_one_user_with_any_of_the_passwords() -> None:
    verify = {"basic": {"username": "gecko", "password": ["one", "t:wo"]}}
    assert verified(verify, basic(b"gecko:one")) == "1 of 2"
    assert verified(verify, basic(b"gecko:t:wo")) == "2 of 2"
    for wrong in (b"gecko:", b"gecko", b"Gecko:one", b":one", b"gecko:one\n", b""):
        refused(verify, basic(wrong))
    assert refused(verify, Inbound("POST", headers={"authorization": "Basic !"})).endswith("isn't base64")
    assert refused(verify, Inbound("POST", headers={"authorization": "Bearer one"})).endswith("of the scheme Basic")


def test_basic_takes_a_password_with_umlauts_in_both_charsets_that_are_in_use() -> None:
    verify = {"basic": {"username": "gecko", "password": "Zoë"}}
    assert verified(verify, basic("gecko:Zoë".encode()))
    assert verified(verify, basic("gecko:Zoë".encode("latin-1")))
    refused(verify, basic(b"gecko:Zo?"))


def test_a_password_that_latin1_cant_write_is_no_wildcard() -> None:
    verify = {"basic": {"username": "gecko", "password": "ключ"}}
    assert verified(verify, basic("gecko:ключ".encode()))
    refused(verify, basic(b"gecko:????"))


SECRET = b"k3y"
BODY = b"\xff\x00 any bytes"


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_is_verified_in_each_algorithm_and_encoding(algorithm: str, encoding: str) -> None:
    digest = hmac.new(SECRET, BODY, algorithm).digest()
    signature = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    verify = {"hmac": {"header": "X-Sig", "secret": "k3y", "algorithm": algorithm, "encoding": encoding}}
    assert verified(verify, Inbound("POST", headers={"x-sig": signature}, body=BODY)) == "1 of 1"
    refused(verify, Inbound("POST", headers={"x-sig": signature}, body=BODY[:-1]))
    refused(verify, Inbound("POST", headers={"x-sig": ""}, body=BODY))


def test_a_hex_signature_may_be_written_in_capitals() -> None:
    signature = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest().upper()
    verify = {"hmac": {"header": "X-Sig", "secret": "k3y"}}
    assert verified(verify, Inbound("POST", headers={"x-sig": f" {signature} "}, body=BODY))


def test_a_key_may_be_written_in_hex() -> None:
    signature = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()
    verify = {"hmac": {"header": "X-Sig", "secret": SECRET.hex(), "secret_encoding": "hex"}}
    assert verified(verify, Inbound("POST", headers={"x-sig": signature}, body=BODY))


def test_every_part_of_what_is_signed_counts() -> None:
    verify = {
        "hmac": {
            "header": "X-Sig",
            "secret": "k3y",
            "signed": "{method} {path} {url} {header:X-Id} {body}",
        }
    }
    message = b"PUT /in/s https://r.example/in/s 7 " + BODY
    headers = {"x-sig": hmac.new(SECRET, message, hashlib.sha256).hexdigest(), "x-id": "7"}
    right = {"method": "PUT", "path": "/in/s", "url": "https://r.example/in/s", "headers": headers, "body": BODY}
    assert verified(verify, Inbound(**right))
    for change in (
        {"method": "POST"},
        {"path": "/in/t"},
        {"url": "http://r.example/in/s"},
        {"headers": {**headers, "x-id": "8"}},
        {"body": b""},
    ):
        refused(verify, Inbound(**{**right, **change}))
    assert "part of what is signed" in refused(verify, Inbound(**{**right, "headers": {"x-sig": headers["x-sig"]}}))


def dated(timestamp: str, form: str) -> tuple[Any, Inbound]:
    verify = {
        "hmac": {
            "header": "X-Sig",
            "secret": "k3y",
            "signed": "{timestamp}{body}",
            "timestamp": {"header": "X-Time", "format": form, "tolerance": "30s"},
        }
    }
    signature = hmac.new(SECRET, timestamp.encode() + BODY, hashlib.sha256).hexdigest()
    return verify, Inbound("POST", headers={"x-sig": signature, "x-time": timestamp}, body=BODY)


@pytest.mark.parametrize(
    ("timestamp", "form"),
    [
        ("1772619667", "seconds"),
        ("1772619667000", "milliseconds"),
        ("2026-03-04T10:21:07Z", "iso"),
        ("2026-03-04T11:21:07+01:00", "iso"),
        ("2026-03-04 10:21:07", "iso"),
    ],
)
def test_each_format_of_a_timestamp_is_understood(timestamp: str, form: str) -> None:
    verify, request = dated(timestamp, form)
    assert verified(verify, request, 1_772_619_667_000 + 30_000)
    assert "31 s behind our clock, and 30 s" in refused(verify, request, 1_772_619_667_000 + 31_000)
    assert "31 s ahead of our clock" in refused(verify, request, 1_772_619_667_000 - 31_000)


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "iso"])
@pytest.mark.parametrize("timestamp", ["soon", "-1", "1e9", "１７７", "9" * 400, "2026-99-01T00:00:00Z", "0001-01-01"])
def test_a_timestamp_that_is_none_is_refused_though_it_is_signed(form: str, timestamp: str) -> None:
    verify, request = dated(timestamp, form)
    request = Inbound("POST", headers={**request.headers}, body=BODY)
    refused(verify, request, 1_772_619_667_000)


def test_a_field_of_the_header_that_is_missing_is_refused_by_name() -> None:
    verify = {
        "hmac": {
            "header": "Sig",
            "secret": "k",
            "field": "v1",
            "signed": "{timestamp}.{body}",
            "timestamp": {"field": "t"},
        }
    }
    assert "the field t" in refused(verify, Inbound("POST", headers={"sig": "v1=abc"}))
    assert "the field v1" in refused(verify, Inbound("POST", headers={"sig": "t=1,v0=abc"}))
