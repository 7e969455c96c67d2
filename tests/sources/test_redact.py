from __future__ import annotations

from relay.sources.config import SourceConfig
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
