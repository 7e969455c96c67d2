from __future__ import annotations

from typing import Any

import pytest

from relay.sources.config import SourceConfig
from relay.sources.place import BodyPlace
from relay.sources.redact import (
    Redactor,
    is_secret_name,
    redact_body,
    redact_headers,
    redact_path,
    redact_query,
    redact_url,
)


def test_headers_that_prove_somebody_are_hidden_whatever_their_case() -> None:
    shown = redact_headers(
        {
            "Authorization": "Bearer abc",
            "Proxy-Authorization": "Basic abc",
            "cookie": "sid=1",
            "X-Api-Key": "abc",
            "X-Hub-Signature-256": "sha256=abc",
            "X-Shopify-Hmac-Sha256": "abc",
            "X-Custom": "abc",
            "Content-Type": "application/json",
            "X-GitHub-Delivery": "72d3162e",
            "Idempotency-Key": "dlv_1",
            "X-Author": "Zoë",
        },
        extra=["x-custom"],
    )
    assert shown == {
        "Authorization": "***",
        "Proxy-Authorization": "***",
        "cookie": "***",
        "X-Api-Key": "***",
        "X-Hub-Signature-256": "***",
        "X-Shopify-Hmac-Sha256": "***",
        "X-Custom": "***",
        "Content-Type": "application/json",
        "X-GitHub-Delivery": "72d3162e",
        "Idempotency-Key": "dlv_1",
        "X-Author": "Zoë",
    }


def test_names_are_told_apart() -> None:
    for name in ("api_key", "apikey", "access_token", "client-secret", "Password", "sig", "x-sig", "oauth_nonce"):
        assert is_secret_name(name), name
    for name in ("keyword", "keywords", "author_id", "design", "signal", "name", "id"):
        assert not is_secret_name(name), name


def test_secret_parameters_and_path_tokens_are_hidden() -> None:
    assert redact_query((("key", "abc"), ("code", "abc"), ("name", "Ana")), ["code"]) == (
        ("key", "***"),
        ("code", "***"),
        ("name", "Ana"),
    )
    assert redact_path("/in/gist/s3cret") == "/in/gist/***"
    assert redact_path("/in/gist") == "/in/gist"
    assert redact_url("https://u:p@relay.example.com/in/gist/s3cret?api_key=abc&code=1&name=Ana&flag", ["code"]) == (
        "https://***@relay.example.com/in/gist/***?api_key=***&code=***&name=Ana&flag"
    )


def test_a_secret_that_is_echoed_in_the_body_is_hidden_wherever_it_stands() -> None:
    body = {
        "webhookURL": "https://relay.example.com/in/jotform/s3cr3t-token",
        "encoded": ["https%3A%2F%2Frelay.example.com%2Fin%2Fjotform%2Fs3cr3t-token", "a%26b%3Dcdef"],
        "s3cr3t-token": "s3cr3t-token",
        "short": "abc",
        "word": "abcde",
        "rating": 5,
        "open": None,
    }
    assert redact_body(body, ["s3cr3t-token", "abc", "a&b=cdef"]) == {
        "webhookURL": "https://relay.example.com/in/jotform/***",
        "encoded": ["https%3A%2F%2Frelay.example.com%2Fin%2Fjotform%2F***", "***"],
        "***": "***",
        "short": "***",
        "word": "abcde",
        "rating": 5,
        "open": None,
    }


def test_a_body_of_a_source_without_secrets_is_shown_as_it_is() -> None:
    assert redact_body({"a": ["***"]}, []) == {"a": ["***"]}


def test_a_redactor_knows_its_source() -> None:
    redactor = Redactor(SourceConfig.model_validate({"verify": {"query": "code", "equals": "s3cret-code"}}))
    assert redactor.query([("code", "x"), ("a", "b")]) == (("code", "***"), ("a", "b"))
    assert redactor.url("/in/s?code=x") == "/in/s?code=***"
    assert redactor.path("/in/s/x") == "/in/s/***"
    assert redactor.body(["s3cret-code"]) == ["***"]
    redactor = Redactor(SourceConfig.model_validate({"verify": {"header": "X-Code", "equals": "s3cret-code"}}))
    assert redactor.headers({"x-code": "s3cret-code"}) == {"x-code": "***"}


def test_what_proves_the_sender_in_a_body_is_hidden_where_it_stands() -> None:
    body = {"value": [{"clientState": "wr0ng", "id": 1}, {"id": 2}, "x"], "note": "s3cret-state", "sig": {"a": "b"}}
    places = [BodyPlace.of("value[*].clientState"), BodyPlace.of("sig.signature"), BodyPlace.of("none.of[*].these")]
    shown = redact_body(body, ["s3cret-state"], places)
    assert shown == {
        "value": [{"clientState": "***", "id": 1}, {"id": 2}, "x"],
        "note": "***",
        "sig": {"a": "b"},
    }
    assert body["value"][0] == {"clientState": "wr0ng", "id": 1}
    for other in (None, [], "text", {"value": {"clientState": "x"}}, {"value": None}):
        assert redact_body(other, [], places) == other


@pytest.mark.parametrize(
    ("verify", "body", "shown"),
    [
        ({"field": "key", "equals": "s3cret"}, {"key": "s3cre", "a": 1}, {"key": "***", "a": 1}),
        (
            {
                "hmac": {
                    "body": "signature.signature",
                    "secret": "s3cret-key",
                    "signed": "{timestamp}{body:signature.token}",
                    "timestamp": {"body": "signature.timestamp"},
                }
            },
            {"signature": {"signature": "d2271d", "timestamp": "1", "token": "t"}},
            {"signature": {"signature": "***", "timestamp": "1", "token": "t"}},
        ),
        (
            {"any": [{"field": "key", "equals": "s3cret-1"}, {"path_token": "s3cret-2"}], "ip_allow": "203.0.113.7"},
            {"key": "x", "url": "https://relay.example.com/in/s/s3cret-2", "ip": "203.0.113.7"},
            {"key": "***", "url": "https://relay.example.com/in/s/***", "ip": "203.0.113.7"},
        ),
    ],
)
def test_a_redactor_knows_where_a_body_proves_its_sender(verify: Any, body: Any, shown: Any) -> None:
    assert Redactor(SourceConfig.model_validate({"verify": verify})).body(body) == shown


def test_a_redactor_knows_each_of_several_ways() -> None:
    ways = [
        {"header": "X-Code", "equals": "s3cret-1"},
        {"query": "code", "equals": "s3cret-2"},
        {"digest": {"header": "X-Hash", "secret": "s3cret-3"}},
        {"bearer": "s3cret-4"},
    ]
    redactor = Redactor(SourceConfig.model_validate({"verify": {"any": ways}}))
    assert redactor.headers({"x-code": "a", "x-hash": "b", "authorization": "c", "x-other": "d"}) == {
        "x-code": "***",
        "x-hash": "***",
        "authorization": "***",
        "x-other": "d",
    }
    assert redactor.query([("code", "x"), ("page", "1")]) == (("code", "***"), ("page", "1"))
    assert redactor.body([f"s3cret-{number}" for number in (1, 2, 3, 4)]) == ["***"] * 4
