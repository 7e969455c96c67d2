from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify import Verifier


def verified(verify: Any, request: Inbound, now_ms: int = 0) -> str:
    return Verifier(SourceConfig.model_validate({"verify": verify})).verify(request, now_ms)


def refused(verify: Any, request: Inbound, now_ms: int = 0) -> str:
    with pytest.raises(RefusedError) as caught:
        verified(verify, request, now_ms)
    assert (caught.value.status, caught.value.detail) == (401, "unauthorized")
    return caught.value.reason


def complaint(verify: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        SourceConfig.model_validate({"verify": verify})
    return str(caught.value)


def posted(value: Any) -> Inbound:
    return Inbound("POST", headers={"content-type": "application/json"}, body=json.dumps(value).encode())


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


MAILGUN = {
    "hmac": {
        "body": "signature.signature",
        "secret": "k3y",
        "signed": "{timestamp}{body:signature.token}",
        "timestamp": {"body": "signature.timestamp"},
    }
}


def test_a_signature_may_stand_in_the_body() -> None:
    signed = {"timestamp": "1772619667", "token": "t0ken"}
    signed["signature"] = hmac.new(SECRET, b"1772619667t0ken", hashlib.sha256).hexdigest()
    assert verified(MAILGUN, posted({"signature": signed, "event-data": {}}), 1_772_619_667_000) == "1 of 1"
    fields = {f"signature[{name}]": value for name, value in signed.items()}
    form = Inbound("POST", headers={"content-type": FORM}, body=urlencode(fields).encode())
    assert verified(MAILGUN, form, 1_772_619_667_000) == "1 of 1"
    assert "301 s behind" in refused(MAILGUN, posted({"signature": signed}), 1_772_619_667_000 + 301_000)
    for name in signed:
        without = {key: value for key, value in signed.items() if key != name}
        assert name in refused(MAILGUN, posted({"signature": without}), 1_772_619_667_000)
        changed = {**signed, name: signed[name][:-1] + ("0" if signed[name][-1] != "0" else "1")}
        refused(MAILGUN, posted({"signature": changed}), 1_772_619_667_000)
    assert "no text at signature.signature" in refused(MAILGUN, posted([]))


FORM = "application/x-www-form-urlencoded"
BY_FORM = {"hmac": {"header": "X-Sig", "secret": "k3y", "signed": "{url}{form}"}}


def by_form(body: bytes, message: bytes, content_type: str = FORM) -> Inbound:
    headers = {"content-type": content_type, "x-sig": hmac.new(SECRET, message, hashlib.sha256).hexdigest()}
    return Inbound("POST", headers=headers, body=body, url="u:")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"b=2&a=1", b"u:a1b2"),
        (b"a=2&a=10&a=2&a=", b"u:aa10a2"),
        (b"a+b=%C3%AB%26+", "u:a bë& ".encode()),
        (b"&&a", b"u:a"),
        (b"", b"u:"),
        (b"&&", b"u:"),
        (b"a=%ff", b"u:a\xff"),
        (b"a=%zz", b"u:a%zz"),
    ],
)
def test_a_forms_fields_are_signed_sorted_and_once(body: bytes, message: bytes) -> None:
    assert verified(BY_FORM, by_form(body, message)) == "1 of 1"
    assert verified(BY_FORM, by_form(body, message, FORM.upper() + "; charset=utf-8")) == "1 of 1"


def test_a_body_that_is_no_form_isn_t_taken_where_only_a_forms_fields_are_signed() -> None:
    for content_type in ("application/json", "", "multipart/form-data; boundary=x"):
        assert "isn't signed" in refused(BY_FORM, by_form(b'{"a": 1}', b"u:", content_type))


def test_a_form_of_too_many_fields_is_refused_before_it_is_sorted() -> None:
    assert "more than 10000 fields" in refused(BY_FORM, by_form(b"&" * 1_000_000, b"u:"))


HASHED = {"hmac": {**BY_FORM["hmac"], "signed": "{url}{form}", "body_hash": "sha"}}


def test_a_body_is_signed_by_its_hash_in_the_address() -> None:
    body = b'{"a": 1}'
    right = by_form(body, b"u:", "application/json")
    query = (("x", "1"), ("sha", hashlib.sha256(body).hexdigest().upper()))
    assert verified(HASHED, replace(right, query=query)) == "1 of 1"
    assert "isn't the SHA-256" in refused(HASHED, replace(right, query=query, body=body + b" "))
    assert "isn't the SHA-256" in refused(HASHED, replace(right, query=(("sha", "é"),)))
    assert "sha is missing" in refused(HASHED, right)
    assert "2 times" in refused(HASHED, replace(right, query=query + query))
    assert verified(HASHED, by_form(b"a=1", b"u:a1")) == "1 of 1"
    assert verified(HASHED, by_form(b"", b"u:")) == "1 of 1"


@pytest.mark.parametrize(
    ("called", "also"),
    [
        ("https://r.example/in/s?a=1", "https://r.example:443/in/s?a=1"),
        ("http://r.example/in/s", "http://r.example:80/in/s"),
        ("https://r.example:8443/in/s", "https://r.example/in/s"),
        ("https://u:p@r.example/in/s", "https://u:p@r.example:443/in/s"),
        ("https://[2001:db8::1]/in/s", "https://[2001:db8::1]:443/in/s"),
        ("https://[2001:db8::1]:8443/in/s", "https://[2001:db8::1]/in/s"),
        ("https://r.example:99999/in/s", None),
        ("", None),
    ],
)
def test_an_address_is_tried_with_its_port_and_without(called: str, also: str | None) -> None:
    settings = {"header": "X-Sig", "secret": ["old", "k3y"], "signed": "{url}{body}"}
    for url in {called, also or called, called + "x"}:
        signature = hmac.new(SECRET, url.encode() + BODY, hashlib.sha256).hexdigest()
        request = Inbound("POST", headers={"x-sig": signature}, body=BODY, url=called)
        if url == called + "x":
            refused({"hmac": {**settings, "ports": True}}, request)
            continue
        assert verified({"hmac": {**settings, "ports": True}}, request) == "2 of 2"
        if url != called:
            refused({"hmac": settings}, request)


def test_a_text_of_the_body_may_be_a_part_of_what_is_signed() -> None:
    verify = {"hmac": {"header": "X-Sig", "secret": "k3y", "signed": "{body:a.b}:{body}"}}
    body = b'{"a": {"b": "\\u00eb"}}'
    headers = {"x-sig": hmac.new(SECRET, "ë:".encode() + body, hashlib.sha256).hexdigest()}
    assert verified(verify, Inbound("POST", headers=headers, body=body))
    assert "no text at a.b" in refused(verify, Inbound("POST", headers=headers, body=b'{"a": {"b": null}}'))


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_digest_is_verified_in_each_algorithm_and_encoding(algorithm: str, encoding: str) -> None:
    found = hashlib.new(algorithm, b"k3y|" + BODY).digest()
    written = found.hex().upper() if encoding == "hex" else base64.b64encode(found).decode()
    settings = {"header": "X-Sig", "prefix": "v1=", "signed": "{secret}|{body}"}
    verify = {"digest": {**settings, "secret": ["x", "k3y"], "algorithm": algorithm, "encoding": encoding}}
    right = Inbound("POST", headers={"x-sig": f"v1={written}"}, body=BODY)
    assert verified(verify, right) == "2 of 2"
    refused(verify, replace(right, body=BODY + b"\0"))
    assert "begins with v1=" in refused(verify, replace(right, headers={"x-sig": written}))
    assert "x-sig is missing" in refused(verify, replace(right, headers={}))


KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def public(key: ec.EllipticCurvePrivateKey, form: Encoding = Encoding.DER) -> str:
    text = key.public_key().public_bytes(form, PublicFormat.SubjectPublicKeyInfo)
    return text.decode().strip() if form is Encoding.PEM else base64.b64encode(text).decode()


def by_key(key: ec.EllipticCurvePrivateKey, body: bytes = BODY) -> Inbound:
    signature = base64.b64encode(key.sign(b"1772619667" + body, ec.ECDSA(hashes.SHA256()))).decode()
    return Inbound("POST", headers={"x-sig": signature, "x-time": "1772619667"}, body=body)


def ecdsa(*keys: str) -> dict[str, Any]:
    return {
        "ecdsa": {
            "header": "X-Sig",
            "public_key": list(keys),
            "signed": "{timestamp}{body}",
            "timestamp": {"header": "X-Time"},
        }
    }


def test_a_signature_that_only_the_vendor_can_make_is_verified() -> None:
    now_ms = 1_772_619_667_000
    for key in (
        public(KEYS[0]),
        public(KEYS[0], Encoding.PEM),
        public(KEYS[0], Encoding.PEM).replace("\n", "\\n"),
        public(KEYS[0], Encoding.PEM).replace("\n", " "),
    ):
        assert verified(ecdsa(public(KEYS[1]), key), by_key(KEYS[0]), now_ms) == "2 of 2"
    verify, right = ecdsa(public(KEYS[0])), by_key(KEYS[0])
    assert "301 s behind" in refused(verify, right, now_ms + 301_000)
    assert "wasn't made with the secret" in refused(verify, by_key(KEYS[1]), now_ms)
    assert "wasn't made with" in refused(verify, replace(right, body=b""), now_ms)
    for signature in ("", "!", "AAAA", "é", right.headers["x-sig"] + "=", right.headers["x-sig"][:-4]):
        refused(verify, replace(right, headers={**right.headers, "x-sig": signature}), now_ms)
    assert "the timestamp, x-time, is missing" in refused(
        verify, replace(right, headers={"x-sig": right.headers["x-sig"]}), now_ms
    )


def test_only_one_spelling_of_such_a_signature_is_taken() -> None:
    """The last character of base64 has bits to spare, which decoders ignore."""
    signed = (by_key(KEYS[0], bytes([number])) for number in range(256))
    right = next(request for request in signed if request.headers["x-sig"].endswith("="))
    written = right.headers["x-sig"].rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet[alphabet.index(written[-1]) + 1]
    other = right.headers["x-sig"].replace(written, written[:-1] + last)
    assert base64.b64decode(other) == base64.b64decode(right.headers["x-sig"])
    verify = ecdsa(public(KEYS[0]))
    assert verified(verify, right, 1_772_619_667_000)
    assert "isn't base64" in refused(
        verify, replace(right, headers={**right.headers, "x-sig": other}), 1_772_619_667_000
    )


@given(st.integers(0, 10_000), st.integers(1, 127))
def test_any_changed_byte_of_such_a_signature_is_refused(place: int, change: int) -> None:
    right = by_key(KEYS[0])
    written = bytearray(right.headers["x-sig"].encode())
    written[place % len(written)] ^= change
    headers = {**right.headers, "x-sig": written.decode("latin-1")}
    if headers["x-sig"].strip() != right.headers["x-sig"]:
        refused(ecdsa(public(KEYS[0])), replace(right, headers=headers), 1_772_619_667_000)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "a public key is text"),
        (7, "a public key is text"),
        ("c2hvcnQ=", "was it copied whole?"),
        ("not base64", "was it copied whole?"),
        ("-----BEGIN PRIVATE KEY-----\nMIG=\n-----END PRIVATE KEY-----", "the vendor keeps that"),
        (public(ec.generate_private_key(ec.SECP384R1())), "of the curve P-256"),
    ],
)
def test_a_public_key_that_is_none_is_complained_about(key: Any, why: str) -> None:
    assert why in complaint({"ecdsa": {"header": "X-Sig", "public_key": key}})


def test_only_a_source_that_needs_it_imports_the_library_of_public_keys() -> None:
    program = (
        "import sys\n"
        "from relay.sources.config import SourceConfig\n"
        "from relay.sources.verify import Verifier\n"
        "Verifier(SourceConfig.model_validate({'preset': 'stripe', 'secret': 's'}))\n"
        "sys.exit('cryptography' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("verify", "why"),
    [
        ({"hmac": {"secret": "k"}}, "in a `header`, or at a place in the `body`"),
        ({"hmac": {"header": "S", "body": "s", "secret": "k"}}, "one of them is needed"),
        ({"hmac": {"body": "s", "secret": "k", "signed": "{url}"}}, "has to hold {body} or {form}"),
        ({"hmac": {"body": "s[*]", "secret": "k", "signed": "{body:t}"}}, "'s[*]' may be many places"),
        ({"hmac": {"body": "s", "secret": "k", "signed": "{body:t[*]}"}}, "'t[*]' may be many places"),
        ({"hmac": {"body": "s", "secret": "k", "signed": "{body:t}", "field": "v1"}}, "the signature is in the body"),
        ({"hmac": {"header": "S", "secret": "k", "signed": "{body:t}"}}, "has to hold {body} or {form}"),
        ({"hmac": {"header": "S", "secret": "k", "signed": "{secret}{body}"}}, "a placeholder is one of {body} {form}"),
        ({"hmac": {"header": "S", "secret": "k", "signed": "{body}{x}"}}, "a placeholder is one of {body} {form}"),
        ({"hmac": {"header": "S", "secret": "k", "ports": True}}, "put {url} into `signed`"),
        ({"hmac": {"header": "S", "secret": "k", "body_hash": "h"}}, "put {url} into `signed`"),
        ({"digest": {"header": "S", "secret": "k", "signed": "{body}"}}, "has to hold {secret}"),
        ({"digest": {"header": "S", "secret": "k", "signed": "{secret}{url}"}}, "has to hold {body} or {form}"),
        (
            {
                "digest": {
                    "header": "S",
                    "secret": "k",
                    "signed": "{secret}{timestamp}{body}",
                    "timestamp": {"field": "t"},
                }
            },
            "the signature's `field` has a name too",
        ),
        ({"ecdsa": {"header": "S", "public_key": public(KEYS[0]), "signed": "{url}"}}, "has to hold {body} or {form}"),
        ({"hmac": {"header": "S", "secret": "k", "signed": "{timestamp}{body}"}}, "has to say where it is"),
    ],
)
def test_a_signature_that_would_prove_nothing_is_complained_about(verify: Any, why: str) -> None:
    assert why in complaint(verify)


def test_a_hash_of_the_body_in_the_address_is_enough() -> None:
    verify = {"hmac": {"header": "X-Sig", "secret": "k3y", "signed": "{url}", "body_hash": "sha"}}
    request = by_form(BODY, b"u:", "application/json")
    assert verified(verify, replace(request, query=(("sha", hashlib.sha256(BODY).hexdigest()),))) == "1 of 1"
    assert "isn't signed" in refused(verify, request)
    assert "isn't signed" in refused(verify, by_form(b"a=1", b"u:"))
