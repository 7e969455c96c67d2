"""What `sign` adds to a request is what the source's verifier accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError, RefusedError
from relay.sources.client import Signed, sign, sign_kept
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS, filled
from relay.sources.verify import Verifier

NOW_MS = 1_772_619_667_123
URL = "https://relay.example.com/in/s"
BODY = b'{"a": 1, "b": {"c": "x"}, "value": [{"id": 1}, {"id": 2}], "big": 12345678901234567890123}'

WAYS: dict[str, Any] = {
    "none": {"verify": "none"},
    "header": {"verify": {"header": "X-Key", "equals": ["new", "old"]}},
    "query": {"verify": {"query": "key", "equals": "k&="}},
    "field": {"verify": {"field": "value[*].clientState", "equals": "k"}},
    "field of its own": {"verify": {"field": "proof.token", "equals": "k"}},
    "basic": {"verify": {"basic": {"username": "u", "password": "Zoë"}}},
    "bearer": {"verify": {"bearer": "b"}},
    "token": {"verify": {"token": "t"}},
    "path_token": {"verify": {"path_token": "t"}},
    "sha512": {"verify": {"hmac": {"header": "S", "secret": "k", "algorithm": "sha512", "encoding": "base64"}}},
    "several": {
        "verify": {"hmac": {"header": "S", "secret": "k", "signed": "{method}{path}{header:X-A}{header:X-B}{body}"}}
    },
    "a place in the body": {"verify": {"hmac": {"header": "S", "secret": "k", "signed": "{body:a}.{body:b.c}{body}"}}},
    "a signature in the body": {
        "verify": {
            "hmac": {
                "body": "proof.signature",
                "prefix": "v1=",
                "secret": "k",
                "signed": "{timestamp}{body:proof.token}",
                "timestamp": {"body": "proof.at", "format": "iso"},
            }
        }
    },
    "a hash in the address": {
        "verify": {"hmac": {"header": "S", "secret": "k", "signed": "{url}{form}", "body_hash": "hash"}}
    },
    "digest": {
        "verify": {
            "digest": {
                "header": "S",
                "secret": "k",
                "algorithm": "sha512",
                "encoding": "base64",
                "prefix": "v1=",
                "signed": "{secret}{timestamp}{url}{body}",
                "timestamp": {"header": "T"},
            }
        }
    },
    "any": {"verify": {"any": [{"hmac": {"header": "S", "secret": "k"}}, {"path_token": "t"}]}},
    **{
        name: {"preset": name, "secret": "whsec_" + "A" * 32} | ({"verify_token": "v"} if preset.asks_token else {})
        for name, preset in PRESETS.items()
        if "ecdsa" not in preset.verify
    },
}

#: What is signed is the fields of a form.
FORMS = {
    name for name, preset in PRESETS.items() if "{form}" in str(preset.verify) and "body_hash" not in str(preset.verify)
}


def sent(config: SourceConfig, body: bytes, now_ms: int = NOW_MS, **headers: str) -> Inbound:
    signed = sign(config, body, now_ms, method="PUT", path="/in/s", url=URL, headers=headers)
    return received(signed, body, headers)


def received(signed: Signed, body: bytes, headers: Mapping[str, str]) -> Inbound:
    everything = {name.lower(): value for name, value in {**headers, **signed.headers}.items()}
    url = f"{URL}?{urlencode(signed.query)}" if signed.query else URL
    return Inbound(
        "PUT", "/in/s", signed.query, everything, body if signed.body is None else signed.body, signed.token, url
    )


def example(way: str) -> tuple[bytes, dict[str, str]]:
    if way in FORMS:
        return b"a=1&b=%2B&a=2&empty=", {"Content-Type": "application/x-www-form-urlencoded"}
    return BODY, {"Content-Type": "application/json"}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_signed_is_accepted(way: str) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    body, headers = example(way)
    Verifier(config).verify(sent(config, body, **headers), NOW_MS)


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"none"}))
def test_what_nobody_signed_is_refused(way: str) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    body, headers = example(way)
    lower = {name.lower(): value for name, value in headers.items()}
    with pytest.raises(RefusedError):
        Verifier(config).verify(Inbound("PUT", "/in/s", headers=lower, body=body, url=URL), NOW_MS)


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"none"}))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_one_changed_character_of_what_is_added_is_refused(way: str, data: st.DataObject) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    body, headers = example(way)
    request = sent(config, body, **headers)
    added = {name: value for name, value in request.headers.items() if name != "content-type"}
    places = [("header", name) for name in added] + [("query", name) for name, _ in request.query]
    places += [("token", "")] if request.token else []
    if not places:
        return  # it is all in the body: see below
    where, name = data.draw(st.sampled_from(places))
    old = added[name] if where == "header" else dict(request.query)[name] if where == "query" else request.token
    # A scheme may be written in any case, and the last character of base64 has bits to spare.
    scheme = re.match("Basic |Bearer ", old)
    first, last = scheme.end() if scheme else 0, 3 if old.startswith("Basic ") else 0
    place = data.draw(st.integers(first, len(old) - last - 1))
    new = old[:place] + data.draw(st.characters(codec="ascii").filter(lambda c: c != old[place])) + old[place + 1 :]
    if new.lower() == old.lower() or (scheme and new[place].isspace()):
        return  # hex may be written in capitals
    match where:
        case "header":
            request = replace(request, headers={**request.headers, name: new})
        case "query":
            request = replace(request, query=((name, new),))
        case _:
            request = replace(request, token=new)
    with pytest.raises(RefusedError):
        Verifier(config).verify(request, NOW_MS)


@pytest.mark.parametrize(
    ("way", "places"),
    [
        ("field", ["value.0.clientState", "value.1.clientState"]),
        ("field of its own", ["proof.token"]),
        ("a signature in the body", ["proof.signature", "proof.token", "proof.at"]),
    ],
)
def test_what_proves_the_sender_is_put_into_the_body(way: str, places: list[str]) -> None:
    config = SourceConfig.model_validate(WAYS[way])
    signed = sign(config, BODY, NOW_MS, url=URL)
    assert (signed.headers, signed.query, signed.token) == ({}, (), "")
    assert signed.body is not None
    body = json.loads(signed.body)
    assert body["a"] == 1
    assert body["big"] == 12345678901234567890123
    for place in places:
        changed = json.loads(signed.body)
        *way_there, last = place.split(".")
        inner = changed
        for step in way_there:
            inner = inner[int(step) if step.isdigit() else step]
        inner[last] += "0"
        with pytest.raises(RefusedError):
            Verifier(config).verify(Inbound("PUT", body=json.dumps(changed).encode()), NOW_MS)
        del inner[last]
        with pytest.raises(RefusedError, match=r"has no text at|is missing"):
            Verifier(config).verify(Inbound("PUT", body=json.dumps(changed).encode()), NOW_MS)


def test_a_secret_is_put_into_a_form() -> None:
    config = SourceConfig.model_validate({"verify": {"field": "proof.token", "equals": "k&"}})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = sent(config, b"a=1&proof%5Btoken%5D=old", **form)
    assert request.body == b"a=1&proof%5Btoken%5D=k%26"
    Verifier(config).verify(request, NOW_MS)


@pytest.mark.parametrize(
    ("way", "body", "why"),
    [
        ("field", b"{}", r"at value\[\*\].clientState, and the body to send has no such place"),
        ("field", b'{"value": []}', "has no such place"),
        ("field", b'{"value": [1]}', "has no such place"),
        ("field", b"<a/>", "into the JSON it sends, and the body isn't JSON"),
        ("field", b'"text"', "this is no object"),
        ("a signature in the body", b"no", "its signature, or a part of what is signed, into the JSON it sends"),
    ],
)
def test_a_body_that_can_t_hold_the_proof_is_complained_about(way: str, body: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        sign(SourceConfig.model_validate(WAYS[way]), body, NOW_MS)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.kept is not None])
def test_what_is_signed_with_a_kept_secret_goes_beside_the_rest(name: str) -> None:
    config = SourceConfig.model_validate({"preset": name, "secret": "a-token"})
    first = sign(config, BODY, NOW_MS, url=URL)
    second = sign_kept(config, "kept", BODY, NOW_MS, url=URL)
    assert not first.headers.keys() & second.headers.keys()
    request = received(second, BODY, {"Content-Type": "application/json"})
    kept = PRESETS[name].kept
    for secrets, matched in ((["kept"], "1 of 1"), (["newer", "kept"], "2 of 2")):
        verifier = Verifier(SourceConfig.model_validate({"verify": filled(kept, secrets)}))
        assert verifier.verify(request, NOW_MS) == matched
    with pytest.raises(RefusedError):
        Verifier(SourceConfig.model_validate({"verify": filled(kept, ["another"])})).verify(request, NOW_MS)


def test_a_vendor_that_keeps_no_secret_signs_nothing_with_one() -> None:
    assert sign_kept(SourceConfig.model_validate(WAYS["stripe"]), "kept", BODY, NOW_MS) == Signed()


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if "ecdsa" in (preset.verify or {})])
def test_what_only_the_vendor_can_sign_is_said_in_words(name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
    with pytest.raises(ConfigError, match="only the vendor can sign for this source: it alone has the private key"):
        sign(SourceConfig.model_validate({"preset": name, "secret": pem}), BODY, NOW_MS)


def test_a_body_that_is_signed_as_it_is_isn_t_changed() -> None:
    for way in ("stripe", "digest", "any", "a hash in the address"):
        assert sign(SourceConfig.model_validate(WAYS[way]), BODY, NOW_MS).body is None


def test_a_signed_header_that_is_sent_anyway_is_left_as_it_is() -> None:
    config = SourceConfig.model_validate(WAYS["standard-webhooks"])
    request = sent(config, BODY, **{"Webhook-Id": "msg_1"})
    assert request.headers["webhook-id"] == "msg_1"
    Verifier(config).verify(request, NOW_MS)


def test_a_made_up_id_differs_from_send_to_send() -> None:
    config = SourceConfig.model_validate(WAYS["standard-webhooks"])
    ids = {sent(config, BODY, now_ms).headers["webhook-id"] for now_ms in range(NOW_MS, NOW_MS + 10)}
    assert len(ids) == 10


def test_a_signed_request_doesnt_show_its_secret() -> None:
    assert "whsec" not in repr(sign(SourceConfig.model_validate(WAYS["stripe"]), BODY, NOW_MS))
    assert "new" not in repr(sign(SourceConfig.model_validate(WAYS["header"]), BODY, NOW_MS))
