from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from relay.sources.config import SourceConfig
from relay.units import format_duration, format_size, parse_duration, parse_size


def complaints(source: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        SourceConfig.model_validate(source)
    return str(caught.value)


def test_a_source_has_sensible_defaults() -> None:
    config = SourceConfig.model_validate({"verify": {"header": "X-Key", "equals": "k"}})
    assert config.duplicates == timedelta(hours=24)
    assert config.max_body == 10_000_000
    assert config.methods == ("GET", "POST", "PUT", "PATCH", "DELETE")
    assert config.decode == "auto"
    assert config.event_id is None
    assert not config.unverified


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({}, "`verify: none` takes it from anybody"),
        ({"verify": None}, "`verify: none` takes it from anybody"),
        ({"verify": "nothing"}, "names one way: header, query, field, basic, bearer, path_token, hmac"),
        ({"verify": {"heder": "X"}}, "names one way"),
        ({"verify": {"header": "X-Key"}}, "equals"),
        ({"verify": {"header": "X-Key", "equals": "k", "basic": {}}}, "several stand under `any`"),
        ({"verify": {"header": "X Key", "equals": "k"}}, "can't be the name of a header"),
        ({"verify": {"header": "X-Key", "equals": ""}}, "the secret is empty"),
        ({"verify": {"header": "X-Key", "equals": []}}, "the list of secrets is empty"),
        ({"verify": {"header": "X-Key", "equals": ["a", ""]}}, "the secret is empty"),
        ({"verify": {"header": "X-Key", "equals": 12}}, "put a number into quotes"),
        ({"verify": {"header": "X-Key", "equals": "k\n"}}, "does its file end with a line break?"),
        ({"verify": {"token": "a/b"}}, "a token is part of an address"),
        ({"verify": {"basic": {"username": "a:b", "password": "p"}}}, "can't have a colon"),
        ({"verify": {"hmac": {"header": "S", "secret": "k", "signed": "{url}"}}}, "has to hold {body}"),
        ({"verify": {"hmac": {"header": "S", "secret": "k", "signed": "{boddy}{body}"}}}, "a placeholder is one of"),
        ({"verify": {"hmac": {"header": "S", "secret": "k", "signed": "{timestamp}{body}"}}}, "say where it is"),
        ({"verify": {"hmac": {"header": "S", "secret": "k", "timestamp": {"header": "T"}}}}, "isn't signed"),
        ({"verify": {"hmac": {"header": "S", "secret": "k!", "secret_encoding": "base64"}}}, "has to be base64"),
        ({"preset": "githb", "secret": "s"}, "did you mean github?"),
        ({"preset": "acme", "secret": "s"}, "relay sources list --presets has them all"),
        ({"preset": "github"}, "the preset github verifies with a `secret`"),
        ({"preset": "gist"}, "the preset gist verifies with a `secret`"),
        ({"preset": "zendesk", "secret": "s", "verify": {"bearer": "b"}}, "`secret` is not used"),
        ({"verify": "none", "secret": "s"}, "`secret` belongs to a preset"),
        ({"verify": "none", "event_id": "id"}, "an expression starts with $, such as $.id"),
        ({"verify": "none", "event_id": "{{ $.a }}-{{ $.b }}"}, 'to join two: $.a + " " + $.b'),
        ({"verify": "none", "duplicates": "24"}, "30s, 5m, 2h or 1d; this is '24'"),
        ({"verify": "none", "duplicates": "0s"}, "`event_id: null` switches it off"),
        ({"verify": "none", "duplicates": "31d"}, "1s to 30d"),
        ({"verify": "none", "max_body": 10}, "500KB, 10MB or 1GB; this is 10"),
        ({"verify": "none", "max_body": "1GB"}, "between 1B and 100MB"),
        ({"verify": "none", "methods": ["post"]}, "'POST'"),
        ({"verify": "none", "decode": "yaml"}, "'json'"),
        ({"verify": "none", "evnt_id": "$.id"}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(source: dict[str, Any], complaint: str) -> None:
    assert complaint in complaints(source)


def timestamped(**timestamp: Any) -> dict[str, Any]:
    hmac = {"header": "S", "secret": "k", "field": "v1", "signed": "{timestamp}{body}", "timestamp": timestamp}
    return {"verify": {"hmac": hmac}}


def test_a_timestamp_is_in_one_place_and_has_a_tolerance() -> None:
    assert SourceConfig.model_validate(timestamped(field="t"))
    assert "a `header` of its own or is a `field`" in complaints(timestamped())
    assert "a `header` of its own or is a `field`" in complaints(timestamped(field="t", header="T"))
    assert "longer than nothing" in complaints(timestamped(field="t", tolerance="0s"))


def test_a_wrong_secret_is_complained_about_once() -> None:
    assert "1 validation error" in complaints({"preset": "github", "secret": ""})


def test_what_is_written_goes_before_what_the_preset_knows() -> None:
    config = SourceConfig.model_validate(
        {"preset": "github", "secret": "s", "event_id": None, "event_type": "$.action", "methods": ["POST", "PUT"]}
    )
    assert config.event_id is None
    assert config.event_type == "$.action"
    assert config.methods == ("POST", "PUT")


def test_an_empty_verify_beside_a_preset_is_the_presets_own() -> None:
    config = SourceConfig.model_validate({"preset": "github", "secret": "s", "verify": None})
    assert config.uses_preset_secret


def test_verify_may_take_the_place_of_the_presets_own() -> None:
    config = SourceConfig.model_validate({"preset": "zendesk", "verify": {"bearer": "b"}})
    assert config.event_id == '$headers["x-zendesk-webhook-invocation-id"]?'
    assert config.secrets == ("b",)
    assert not config.uses_preset_secret


@pytest.mark.parametrize(
    ("verify", "headers", "params"),
    [
        ({"header": "X-Code", "equals": "s3cret"}, {"x-code"}, set()),
        ({"query": "code", "equals": "s3cret"}, set(), {"code"}),
        ({"basic": {"username": "u", "password": "s3cret"}}, {"authorization"}, set()),
        ({"bearer": "s3cret"}, {"authorization"}, set()),
        ({"token": "s3cret"}, set(), set()),
        ({"hmac": {"header": "X-Sig", "secret": "s3cret"}}, {"x-sig"}, set()),
    ],
)
def test_a_source_never_shows_its_secret_and_names_where_it_travels(
    verify: Any, headers: set[str], params: set[str]
) -> None:
    config = SourceConfig.model_validate({"verify": verify})
    assert config.secrets == ("s3cret",)
    assert "s3cret" not in repr(config)
    assert "s3cret" not in config.model_dump_json()
    assert config.secret_headers == headers
    assert config.secret_params == params


def test_a_complaint_never_shows_a_secret() -> None:
    assert "s3cret" not in complaints({"preset": "github", "secret": "s3cret", "more": 1, "verify": {"x": "s3cret"}})
    assert "s3cret" not in complaints({"verify": {"header": "X-Key", "equals": ["s3cret", 7]}})


def test_a_source_cant_be_changed() -> None:
    config = SourceConfig.model_validate({"verify": "none"})
    with pytest.raises(ValidationError):
        config.max_body = 1  # type: ignore[misc]


def test_every_key_is_described_in_the_schema() -> None:
    schema = SourceConfig.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    keys = [(model["title"], name, key) for model in models for name, key in model["properties"].items()]
    assert [(title, name) for title, name, key in keys if not key.get("description")] == []
    assert "github" in schema["properties"]["preset"]["enum"]
    defaults = [key["default"] for _, _, key in keys if "pattern" in key]
    assert sorted(defaults) == ["10MB", "24h", "5m"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2 h", 7200), ("1d", 86_400), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_a_duration_is_read_and_written_again(text: str, seconds: float) -> None:
    duration = parse_duration(text)
    assert duration == timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size"), [("10MB", 10_000_000), ("500 KB", 500_000), ("1MiB", 1_048_576), ("1.5kb", 1500), ("7B", 7)]
)
def test_a_size_is_read_and_written_again(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 minutes", "1h30m", "٥m", 300, None, True])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    assert "a duration is a number and its unit" in complaints({"verify": "none", "duplicates": text})
