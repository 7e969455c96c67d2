from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest
from pydantic import ValidationError

from relay.errors import RefusedError
from relay.sources.config import SourceConfig
from relay.sources.inbound import Inbound
from relay.sources.verify import ADDRESS, UNVERIFIED, Verifier, which


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


def complaint(verify: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        SourceConfig.model_validate({"verify": verify})
    return str(caught.value)


@pytest.mark.parametrize(
    ("remote", "inside"),
    [
        ("203.0.113.0", True),
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("::ffff:203.0.113.9", True),
        ("::ffff:203.0.114.9", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("192.0.2.1", True),
    ],
)
def test_an_address_has_to_be_within_a_network(remote: str, inside: bool) -> None:
    networks = ["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "::ffff:192.0.2.0/120"]
    alone, beside = {"ip_allow": networks}, {"ip_allow": networks, "bearer": "t"}
    right = Inbound("POST", headers={"authorization": "Bearer t"}, remote=remote)
    if inside:
        assert verified(alone, right) == ADDRESS
        assert verified(beside, right) == "1 of 1"
        assert refused(beside, Inbound("POST", remote=remote)) == "the header authorization is missing"
    else:
        plain = remote.removeprefix("::ffff:")
        assert refused(alone, right) == f"the address {plain} is in none of the networks of `ip_allow`"
        assert refused(beside, right) == f"the address {plain} is in none of the networks of `ip_allow`"


@pytest.mark.parametrize("remote", ["", "unix:", "203.0.113.7:443", "localhost"])
def test_a_sender_without_an_address_is_refused_where_one_is_asked_for(remote: str) -> None:
    assert refused({"ip_allow": "203.0.113.0/24"}, Inbound("POST", remote=remote)).startswith("the sender's address")


@pytest.mark.parametrize(
    ("networks", "why"),
    [
        ([], "nobody could send anything"),
        ("", "'' is no network"),
        ("example.com", "'example.com' is no network: one is written 203.0.113.0/24 or 2001:db8::/32"),
        (["203.0.113.0/33"], "is no network"),
        ([7], "7 is no network"),
        (["203.0.113.7/24"], "for the whole network, write 203.0.113.0/24"),
        (["2001:db8::1/32"], "write 2001:db8::/32"),
        (["0.0.0.0/0"], "is everybody's address: leave it away, or write `verify: none`"),
        (["::/0"], "is everybody's address"),
        (["::ffff:0:0/96"], "is everybody's address"),
    ],
)
def test_a_network_that_is_none_is_complained_about(networks: Any, why: str) -> None:
    assert why in complaint({"ip_allow": networks})
    assert why in complaint({"bearer": "t", "ip_allow": networks})


def test_a_source_that_asks_for_an_address_alone_isn_t_open_to_everybody() -> None:
    assert not SourceConfig.model_validate({"verify": {"ip_allow": "203.0.113.0/24"}}).unverified
    assert which(ADDRESS) == 0


def test_a_token_may_be_called_path_token() -> None:
    for name in ("token", "path_token"):
        assert verified({name: ["a", "b"]}, Inbound("POST", token="b")) == "2 of 2"
        assert "only letters A to Z" in complaint({name: "a/b"})


def posted(value: Any) -> Inbound:
    return Inbound("POST", headers={"content-type": "application/json"}, body=json.dumps(value).encode())


STATES = {"field": "value[*].clientState", "equals": ["old", "new"]}


@pytest.mark.parametrize(
    ("states", "matched"), [(["new"], "2 of 2"), (["old", "old"], "1 of 2"), (["old", "new", "old"], "1 of 2")]
)
def test_every_place_of_a_field_has_to_equal_a_secret(states: list[str], matched: str) -> None:
    assert verified(STATES, posted({"value": [{"clientState": state} for state in states]})) == matched


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "the body has no text at value[*].clientState"),
        ({"value": []}, "the body has no text at value[*].clientState"),
        ({"value": {"clientState": "new"}}, "the body has no text at"),
        ({"value": [{"clientState": "new"}, {}]}, "1 of 2 items have none"),
        ({"value": [{"clientState": "new"}, {"clientState": None}]}, "1 of 2 items have none"),
        ({"value": [{"clientState": ["new"]}]}, "no text at"),
        ({"value": [{"clientState": "new"}, {"clientState": "x"}]}, "doesn't equal any of the 2 secrets"),
        ({"value": [{"clientState": ""}]}, "doesn't equal any of the 2 secrets"),
        ("new", "no text at"),
    ],
)
def test_a_field_that_is_missing_or_wrong_in_one_place_is_refused(body: Any, why: str) -> None:
    assert why in refused(STATES, posted(body))


def test_a_field_may_be_in_a_form_and_a_number_is_a_text() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    verify = {"field": "$.auth.key", "equals": "42"}
    assert verified(verify, Inbound("POST", headers=form, body=b"a=1&auth%5Bkey%5D=42"))
    assert verified(verify, posted({"auth": {"key": 42}}))
    refused(verify, posted({"auth": {"key": True}}))
    refused(verify, posted({"auth": {"key": 42.0}}))


def test_a_field_in_a_body_that_can_t_be_read_is_refused() -> None:
    request = Inbound("POST", headers={"content-type": "application/json"}, body=b'{"value": [')
    assert refused(STATES, request).startswith("what verifies the request is in its body, and the body isn't JSON")


def test_a_field_is_found_in_a_packed_body() -> None:
    body = gzip.compress(b'{"value": [{"clientState": "new"}]}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert verified(STATES, Inbound("POST", headers=headers, body=body)) == "2 of 2"


@pytest.mark.parametrize("place", ["", "a..b", ".a", "a[0]", "a[]", "a.[*]x", "a b.*", "{a}", "$"])
def test_a_place_that_is_none_is_complained_about(place: str) -> None:
    assert "is no place in a body; one is such as token" in complaint({"field": place, "equals": "k"})


ANY = {
    "any": [
        {"bearer": ["a", "b"]},
        {"header": "X-Key", "equals": ["b", "c"]},
        {"ip_allow": "203.0.113.0/24"},
        {"path_token": "d", "ip_allow": "198.51.100.0/24"},
    ]
}


@pytest.mark.parametrize(
    ("change", "matched"),
    [
        ({"headers": {"authorization": "Bearer a"}}, "1 of 4"),
        ({"headers": {"authorization": "Bearer b"}}, "2 of 4"),
        ({"headers": {"x-key": "b"}}, "2 of 4"),
        ({"headers": {"x-key": "c", "authorization": "Bearer x"}}, "3 of 4"),
        ({"token": "d", "remote": "198.51.100.1"}, "4 of 4"),
        ({"remote": "203.0.113.1"}, ADDRESS),
    ],
)
def test_one_of_several_ways_suffices(change: dict[str, Any], matched: str) -> None:
    assert verified(ANY, Inbound("POST", **change)) == matched
    assert SourceConfig.model_validate({"verify": ANY}).secrets == ("a", "b", "c", "d")


def test_none_of_several_ways_is_refused_with_the_reason_of_each() -> None:
    reason = refused(ANY, Inbound("POST", token="d", remote="192.0.2.1"))
    assert reason == (
        "none of the 4 ways: the header authorization is missing; the header x-key is missing; the address 192.0.2.1 "
        "is in none of the networks of `ip_allow`; the address 192.0.2.1 is in none of the networks of `ip_allow`"
    )


def test_several_ways_may_share_their_addresses() -> None:
    verify = {**ANY, "ip_allow": "198.51.100.0/24"}
    assert verified(verify, Inbound("POST", headers={"x-key": "c"}, remote="198.51.100.9")) == "3 of 4"
    assert "192.0.2.1" in refused(verify, Inbound("POST", headers={"x-key": "c"}, remote="192.0.2.1"))


def test_any_names_where_each_of_its_secrets_travels() -> None:
    config = SourceConfig.model_validate(
        {
            "verify": {
                "any": [
                    {"hmac": {"header": "X-Sig", "secret": "a"}},
                    {"digest": {"header": "X-Hash", "secret": "a"}},
                    {"basic": {"username": "u", "password": "b"}},
                    {"query": "key", "equals": "c"},
                ]
            }
        }
    )
    assert config.secrets == ("a", "b", "c")
    assert config.secret_headers == {"x-sig", "x-hash", "authorization"}
    assert config.secret_params == {"key"}


@pytest.mark.parametrize(
    ("verify", "why"),
    [
        ({"any": []}, "at least 1 item"),
        ({"any": ["none"]}, "each item names one way"),
        ({"any": [{"any": [{"bearer": "t"}]}]}, "each item names one way"),
        ({"any": [{"headr": "X"}]}, "each item names one way"),
        ({"bearer": "t", "any": [{"bearer": "t"}]}, "several stand under `any`"),
    ],
)
def test_any_that_makes_no_sense_is_complained_about(verify: Any, why: str) -> None:
    assert why in complaint(verify)


def test_the_presets_secret_counts_once_where_it_stands_in_several_ways() -> None:
    config = SourceConfig.model_validate({"preset": "hubspot", "secret": ["new", "old"]})
    assert config.uses_preset_secret
    assert config.secrets == ("new", "old")
    v1 = hashlib.sha256(b"old{}").hexdigest()
    assert Verifier(config).verify(Inbound("POST", headers={"x-hubspot-signature": v1}, body=b"{}"), 0) == "2 of 2"
