"""Settings: flags over variables over defaults, and a bad value is told with the name of where it stands."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError
from relay.settings import Settings

NAMES = [field.name for field in dataclasses.fields(Settings) if "read" in field.metadata]


def test_without_flags_and_variables_the_defaults_hold() -> None:
    settings = Settings.read({}, {})
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert (settings.recipes, settings.data) == (Path("recipes"), Path(".relay"))
    assert settings.keep == timedelta(days=7)
    assert {origin for _, _, origin, _ in settings.rows()} == {"default"}


def test_a_flag_wins_over_its_variable_and_a_variable_over_the_default() -> None:
    env = {"RELAY_PORT": "9000", "RELAY_HOST": "0.0.0.0"}
    settings = Settings.read({"port": 9001, "host": None}, env)
    assert (settings.port, settings.host) == (9001, "0.0.0.0")
    assert settings.sources_of["port"] == "--port"
    assert settings.sources_of["host"] == "RELAY_HOST"
    assert settings.sources_of["data"] == "default"


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.read({}, {"RELAY_PORT": "", "RELAY_REDIS_URL": ""}).port == 8080


def test_durations_and_sizes_are_read_with_their_units() -> None:
    env = {"RELAY_KEEP": "36h", "RELAY_DRAIN": "90s", "RELAY_MAX_BODY": "512KB", "RELAY_MAX_MEMORY": "2GB"}
    settings = Settings.read({}, env)
    assert (settings.keep, settings.drain) == (timedelta(hours=36), timedelta(seconds=90))
    assert (settings.max_body, settings.max_memory) == (512_000, 2_000_000_000)


BAD = {
    "port": ["abc", "-1", "65536", "80.5"],
    "workers": ["0", "-1", "many"],
    "concurrency": ["0", "x"],
    "max_body": ["10 apples", "-5MB", "ten"],
    "max_memory": ["1TBB", "lots"],
    "keep": ["7", "a week", "-3d"],
    "drain": ["30", "soon"],
    "log": ["loud"],
    "redis_prefix": ["a b", "x*y"],
    "replicas": ["-1", "all"],
    "replica_keeps": ["paper"],
    "replica_timeout": ["1", "soon"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_told_with_the_flag_or_the_variable_it_stands_in(name: str, value: str) -> None:
    variable, flag = f"RELAY_{name.upper()}", f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError) as by_variable:
        Settings.read({}, {variable: value})
    assert str(by_variable.value).startswith(f"{variable}: ")
    assert value in str(by_variable.value)
    with pytest.raises(ConfigError) as by_flag:
        Settings.read({name: value}, {})
    assert str(by_flag.value).startswith(f"{flag}: ")


def test_a_variable_that_a_flag_outdoes_may_hold_anything() -> None:
    assert Settings.read({"port": 9000}, {"RELAY_PORT": "nonsense"}).port == 9000


def test_the_password_of_a_store_is_not_shown() -> None:
    settings = Settings.read({"redis_url": "redis://relay:hunter2@db.example.com:6379/0"}, {})
    shown = {name: value for name, value, _, _ in settings.rows()}
    assert shown["redis_url"] == "redis://relay:***@db.example.com:6379/0"
    assert "hunter2" not in repr(settings.rows())
    assert settings.redis_url.count("hunter2") == 1, "and yet it is used"


def test_every_setting_says_what_it_is_for() -> None:
    for name, _, _, about in Settings.read({}, {}).rows():
        assert len(about) > 10, name
        assert about[0].islower(), f"{name}: a phrase, not a sentence"


def test_a_child_process_gets_the_same_settings() -> None:
    env = {"RELAY_KEEP": "36h", "RELAY_MAX_BODY": "512KB", "RELAY_DRAIN": "1500ms", "RELAY_RECIPES": "/etc/relay"}
    settings = Settings.read({"port": 0, "log": "json"}, env)
    assert Settings.read({}, settings.environment()) == settings
    assert settings.environment().keys() == Settings.environment_names()


@given(
    keep=st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    max_body=st.integers(1, 10**12),
    port=st.integers(0, 65535),
)
def test_any_settings_survive_the_way_through_the_environment(keep: timedelta, max_body: int, port: int) -> None:
    settings = Settings(keep=keep, max_body=max_body, port=port)
    assert Settings.read({}, settings.environment()) == settings


def test_settings_are_not_changed_once_they_are_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_every_variable_is_named_after_its_setting() -> None:
    assert Settings.environment_names() == {f"RELAY_{name.upper()}" for name in NAMES}
    assert all(re.fullmatch(r"RELAY_[A-Z_]+", name) for name in Settings.environment_names())
