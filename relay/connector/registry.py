"""Which connectors are installed: found through the entry point group, loaded when first used."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from relay.connector.contract import Connector
from relay.errors import ConfigError

ENTRY_POINT_GROUP = "relay.connectors"


@cache
def _entry_points() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def connector_names() -> list[str]:
    """Every installed connector, without loading any."""
    return sorted(_entry_points())


@cache
def connector_class(name: str) -> type[Connector[Any]]:
    """Load a connector when it is first used. Raises ConfigError that names the installed ones."""
    try:
        point = _entry_points()[name]
    except KeyError:
        raise ConfigError(f"no connector is called {name!r}; installed are {', '.join(connector_names())}") from None
    loaded: type[Connector[Any]] = point.load()
    return loaded
