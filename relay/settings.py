"""What a process needs to know, read once: flags, then RELAY_… variables, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from relay.errors import ConfigError

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)?\s*$", re.IGNORECASE)
_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$")
_DURATIONS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text: str) -> int:
    """`10MB` in bytes. Raises ValueError."""
    match = _SIZE.match(text)
    if not match:
        raise ValueError(f"a size is a number and a unit, such as 512KB or 10MB; this is {text!r}")
    return round(float(match[1]) * _SIZES[(match[2] or "B").upper()])


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `2h`, `7d`. Raises ValueError."""
    match = _DURATION.match(text)
    if not match:
        raise ValueError(f"a duration is a number and a unit, such as 30s, 5m, 2h or 7d; this is {text!r}")
    return timedelta(seconds=float(match[1]) * _DURATIONS[match[2]])


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise ValueError(f"a port is a number from 0 to 65535 (0: any free one); this is {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"a number from 1 up is needed; this is {text!r}")
    return int(text)


def _prefix(text: str) -> str:
    if not re.fullmatch(r"[\w.{}:-]*", text):
        raise ValueError(f"a key prefix has letters, digits and . _ : - {{ }}; this is {text!r}")
    return text


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
    redis_url: str = _setting("", str, "a Redis 7.2+ or Valkey of yours; empty: the embedded one")
    redis_prefix: str = _setting("relay:", _prefix, "the beginning of every key")
    workers: int = _setting(1, _count, "how many worker processes `relay up` runs")
    concurrency: int = _setting(64, _count, "how many deliveries a worker process makes at once")
    max_body: int = _setting(
        parse_size("10MB"), parse_size, "the largest body that is caught, where a source says none"
    )
    max_memory: int = _setting(parse_size("1GB"), parse_size, "the embedded store's memory limit")
    keep: timedelta = _setting(timedelta(days=7), parse_duration, "how long finished events are kept")
    drain: timedelta = _setting(timedelta(seconds=30), parse_duration, "how long a stop waits for work under way")
    public_url: str = _setting("", str, "the URL senders use, where a proxy stands in front")
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
        return cls(**values, sources_of=where)

    @classmethod
    def environment_names(cls) -> set[str]:
        return {f"RELAY_{setting.name.upper()}" for setting in _settings()}

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process."""
        return {f"RELAY_{setting.name.upper()}": _text(getattr(self, setting.name)) for setting in _settings()}

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(name, value, where it came from, what it is for)."""
        return [
            (
                s.name,
                _redacted(s.name, getattr(self, s.name)),
                self.sources_of.get(s.name, "default"),
                s.metadata["about"],
            )
            for s in _settings()
        ]


def _settings() -> list[Any]:
    return [setting for setting in fields(Settings) if "read" in setting.metadata]


def _text(value: Any) -> str:
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else str(value)


def _redacted(name: str, value: Any) -> str:
    if name == "redis_url":
        return re.sub(r"(?<=//)([^/@]*:)[^/@]*@", r"\1***@", value)
    return _text(value)
