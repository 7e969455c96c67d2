"""What a process needs to know, read once: flags, then RELAY_… variables, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from relay import store_url
from relay.errors import ConfigError
from relay.units import format_duration, format_size, parse_duration, parse_size


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise ValueError(f"a port is a number from 0 to 65535 (0: any free one); this is {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"a number from 1 up is needed; this is {text!r}")
    return int(text)


def _number(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"a number from 0 up is needed; this is {text!r}")
    return int(text)


def _replica_keeps(text: str) -> str:
    if text not in ("memory", "disk"):
        raise ValueError(f"a replica has an event in memory, or on disk; this is {text!r}")
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(r"[\w.{}:-]*", text):
        raise ValueError(f"a key prefix has letters, digits and . _ : - {{ }}; this is {text!r}")
    return text


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"addresses or networks are needed, such as 127.0.0.1,10.0.0.0/8; {error}") from None


def _log_format(text: str) -> str:
    if text not in ("auto", "text", "json"):
        raise ValueError(f"the log is text, json, or auto (text on a terminal); this is {text!r}")
    return text


def _setting(default: Any, read: Any, about: str) -> Any:
    return field(default=default, metadata={"read": read, "about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is also the environment variable RELAY_<FIELD>; most are also a flag."""

    recipes: Path = _setting(Path("recipes"), Path, "the workspace: relay.yaml, recipes and samples")
    data: Path = _setting(Path(".relay"), Path, "the data folder: the embedded store, and file drops")
    host: str = _setting("127.0.0.1", str, "the address to listen on")
    port: int = _setting(8080, _port, "the port to listen on")
    redis_url: str = _setting(
        "", store_url.check, "a Redis 7.2+ or Valkey of yours, or its Sentinels; empty: the embedded one"
    )
    sentinel_username: str = _setting("", str, "the user at the Sentinels themselves")
    sentinel_password: str = _setting("", str, "the password at the Sentinels themselves, where they ask for one")
    replicas: int = _setting(0, _number, "how many of the store's replicas must have an event before its sender's 2xx")
    replica_keeps: str = _setting("memory", _replica_keeps, "where they must have it: memory, or disk (fsynced)")
    replica_timeout: timedelta = _setting(
        timedelta(seconds=1), parse_duration, "how long they are waited for before the sender gets a 503"
    )
    redis_prefix: str = _setting("relay:", _prefix, "the beginning of every key")
    workers: int = _setting(1, _count, "how many worker processes `relay up` runs")
    concurrency: int = _setting(64, _count, "how many deliveries a worker process makes at once")
    max_body: int = _setting(
        parse_size("10MB"), parse_size, "the largest body that is caught, where a source says none"
    )
    body_timeout: timedelta = _setting(timedelta(seconds=30), parse_duration, "how long a sender may take for a body")
    max_memory: int = _setting(parse_size("1GB"), parse_size, "the embedded store's memory limit")
    min_disk: int = _setting(
        parse_size("500MB"), parse_size, "what stays free of the embedded store's disk: with less, events are refused"
    )
    keep: timedelta = _setting(timedelta(days=7), parse_duration, "how long finished events are kept")
    archive: str = _setting("", str, "a folder for what is no longer kept, one file a day; empty: it is forgotten")
    drain: timedelta = _setting(timedelta(seconds=30), parse_duration, "how long a stop waits for work under way")
    public_url: str = _setting("", str, "the URL senders use, where a proxy stands in front")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (), _networks, "whose X-Forwarded headers are believed: addresses or networks, with commas between"
    )
    log: str = _setting("auto", _log_format, "text, json, or auto: text on a terminal")
    sources_of: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def read(cls, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Flags win over variables, variables over defaults. Raises ConfigError that names the flag or the variable."""
        flags = {name: value for name, value in (flags or {}).items() if value is not None}
        env = os.environ if env is None else env
        values: dict[str, Any] = {}
        where: dict[str, str] = {}
        for setting in _settings():
            variable = f"RELAY_{setting.name.upper()}"
            flag = f"--{setting.name.replace('_', '-')}"
            if setting.name in flags:
                raw, origin = str(flags[setting.name]), flag
            elif env.get(variable):
                raw, origin = env[variable], variable
            else:
                where[setting.name] = "default"
                continue
            try:
                values[setting.name] = setting.metadata["read"](raw)
            except ValueError as error:
                raise ConfigError(f"{origin}: {error}") from None
            where[setting.name] = origin
        settings = cls(**values, sources_of=where)
        if settings.replicas and not settings.redis_url:
            raise ConfigError(
                f"{where['replicas']}: the embedded store has no replicas; name a store that has by RELAY_REDIS_URL"
            )
        return settings

    @property
    def store(self) -> str:
        """The store's URL with all that is needed to reach it; empty: the embedded one."""
        return store_url.with_login(self.redis_url, self.sentinel_username, self.sentinel_password)

    @classmethod
    def environment_names(cls) -> set[str]:
        return {f"RELAY_{setting.name.upper()}" for setting in _settings()}

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process."""
        return {f"RELAY_{s.name.upper()}": _text(s, getattr(self, s.name)) for s in _settings()}

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(name, value, where it came from, what it is for)."""
        return [
            (
                s.name,
                _redacted(s, getattr(self, s.name)),
                self.sources_of.get(s.name, "default"),
                s.metadata["about"],
            )
            for s in _settings()
        ]


def _settings() -> list[Any]:
    return [setting for setting in fields(Settings) if "read" in setting.metadata]


def _text(setting: Any, value: Any) -> str:
    """As the variable has to be written for the same value."""
    if setting.metadata["read"] is parse_size:
        return format_size(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return format_duration(value) if isinstance(value, timedelta) else str(value)


def _redacted(setting: Any, value: Any) -> str:
    if setting.name == "redis_url":
        return store_url.redacted(value)
    if setting.name == "sentinel_password":
        return "***" if value else ""
    return _text(setting, value)
