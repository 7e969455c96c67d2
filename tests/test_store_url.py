"""The URL of Sentinels: what it may say, what is wrong with it in words, and what is never shown."""

from __future__ import annotations

import pytest
from redis.connection import parse_url

from relay import store_url
from relay.errors import ConfigError
from relay.settings import Settings

URL = "sentinel://relay:hun%40ter2@one:26379,two:26380,[fd00::3]:26381/mymaster?db=3"


def test_a_url_of_sentinels_names_them_the_primary_and_the_stores_login() -> None:
    found = store_url.sentinels(URL)
    assert found.sentinels == (("one", 26379), ("two", 26380), ("fd00::3", 26381))
    assert (found.service, found.tls) == ("mymaster", False)
    said = parse_url(found.server)
    assert (said["username"], said["password"], said["db"]) == ("relay", "hun@ter2", 3)


def test_the_port_may_be_left_out_and_tls_is_for_all_of_them() -> None:
    found = store_url.sentinels("sentinels://one,two/m?ssl_ca_certs=%2Fetc%2Fca.pem")
    assert found.sentinels == (("one", 26379), ("two", 26379))
    assert found.tls
    assert parse_url(found.server)["ssl_ca_certs"] == "/etc/ca.pem"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://one:1", "begins with"),
        ("sentinel://one:26379", "name-of-the-primary"),
        ("sentinel://one:26379/", "name-of-the-primary"),
        ("sentinel:///m", "name-of-the-primary"),
        ("sentinel://one:99999/m", "host:port"),
        ("sentinel://one:26379,,two/m", "host:port"),
        ("sentinel://one/m?db=first", "`db`"),
        ("sentinel://one/m?datenbank=1", "'datenbank'"),
        ("sentinel://one/m/0", "name-of-the-primary"),
    ],
)
def test_what_is_wrong_is_said_with_the_place_and_the_shape_that_is_right(url: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.read({"redis_url": url}, {})
    assert str(error.value).startswith("--redis-url: ")
    assert why in str(error.value)


@pytest.mark.parametrize("url", ["http://u:hunter2@one", "sentinel://u:hunter2@one", "sentinel://:hunter2@a,b:x:y/m"])
def test_an_error_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings.read({"redis_url": url}, {})
    assert "hunter2" not in str(error.value)


def test_the_sentinels_own_login_comes_by_variables_and_is_shown_by_none() -> None:
    env = {"RELAY_REDIS_URL": URL, "RELAY_SENTINEL_USERNAME": "watch", "RELAY_SENTINEL_PASSWORD": "se/c&ret"}
    settings = Settings.read({}, env)
    found = store_url.sentinels(settings.store)
    assert (found.username, found.password) == ("watch", "se/c&ret")
    assert found.server == store_url.sentinels(URL).server
    # A child process that is given that URL and the same variables.
    again = Settings.read({}, env | {"RELAY_REDIS_URL": settings.store})
    assert again.store == settings.store
    shown = repr(settings.rows()) + repr(again.rows())
    assert "hun" not in shown
    assert "se/c&ret" not in shown
    assert "se%2Fc%26ret" not in shown
    assert ":***@one:26379,two:26380" in shown


def test_a_store_without_sentinels_has_no_use_for_their_login() -> None:
    env = {"RELAY_REDIS_URL": "redis://db:6379/0", "RELAY_SENTINEL_PASSWORD": "x"}
    assert Settings.read({}, env).store == "redis://db:6379/0"


def test_the_embedded_store_has_no_replicas_to_ask_for() -> None:
    with pytest.raises(ConfigError, match=r"RELAY_REPLICAS: the embedded store has no replicas"):
        Settings.read({}, {"RELAY_REPLICAS": "1"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, "redis://relay:hun%40ter2@ten:1/?db=3"),
        ("rediss://u:p@db:6379/2?ssl_cert_reqs=none", "rediss://u:p@ten:1/2?ssl_cert_reqs=none"),
        ("redis://db", "redis://ten:1"),
    ],
)
def test_a_replica_is_asked_with_the_stores_login_and_options(url: str, expected: str) -> None:
    assert store_url.at(url, "ten", 1) == expected
