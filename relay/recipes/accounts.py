"""Sources and connections of relay.yaml. Each stands alone: what is wrong with one disables that one."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.connector import Breaker, ConnectionConfig, Connector, Limit, connector_class, connector_names
from relay.errors import ConfigError, Place, UnsetSecretError
from relay.recipes.expression import Expression, compile_expression
from relay.recipes.names import Names
from relay.recipes.reader import Reader
from relay.recipes.secrets import Resolver
from relay.recipes.settings_check import secrets_written, validate
from relay.recipes.words import listed, unknown
from relay.recipes.yaml_tree import Mapping, Node, Scalar
from relay.sources.config import SourceConfig

#: A source's name is a part of its address.
_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")

_KEY_NAMES = Names(built_in=frozenset({"headers", "query", "event"}))


@dataclass(frozen=True, slots=True)
class Source:
    """A named inbound endpoint.

    config       None where it must refuse; `unavailable` says why
    declared     the config with stand-ins for unset secrets: good for decoding a sample, never for verifying
    """

    name: str
    config: SourceConfig | None
    unavailable: str | None
    place: Place
    event_id: Expression | None = None
    event_type: Expression | None = None
    event_time: Expression | None = None
    declared: SourceConfig | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A configured account at a destination.

    config      None where its work has to wait; `held` says why
    declared    the config with stand-ins for unset secrets: good for a dry run, never for sending
    """

    name: str
    connector: str
    config: ConnectionConfig | None
    held: str | None
    limit: Limit
    place: Place
    declared: ConnectionConfig | None = None

    @property
    def breaker(self) -> Breaker | None:
        """None where the connection wants none."""
        found = self.config or self.declared
        return found.breaker if found is not None else Breaker()

    @property
    def connector_class(self) -> type[Connector[Any]] | None:
        """None where no such connector is installed, or it can't be loaded."""
        try:
            return connector_class(self.connector)
        except (ConfigError, ImportError):
            return None


class AccountReader:
    def __init__(self, reader: Reader, folder: Path, env: Map[str, str]) -> None:
        self.reader = reader
        self.folder = folder
        self.env = env

    def sources(self, node: Node | None) -> dict[str, Source]:
        mapping = self.reader.mapping(node, "`sources`")
        return {name: self.source(name, key, value) for name, key, value in mapping.items()} if mapping else {}

    def connections(self, node: Node | None) -> dict[str, Connection]:
        mapping = self.reader.mapping(node, "`connections`")
        return {name: self.connection(name, key, value) for name, key, value in mapping.items()} if mapping else {}

    def checked(self, model: type[Any], node: Node, place: Place) -> tuple[Any, list[UnsetSecretError], list[str]]:
        """(the instance, what is unset, what is wrong); what is wrong is noted as a problem too."""
        resolver = Resolver(self.folder, self.env)
        data = resolver.resolve(node)
        instance, mistakes = validate(model, node, data, resolver.is_unset)
        for where, message in mistakes:
            self.reader.error(where, message, "wrong-setting")
        for error in resolver.unset:
            self.reader.warning(error.place or place, error.message, "unset-secret")
        if instance is not None:
            for where in secrets_written(instance, node):
                message = "a secret is written in clear: put it into the environment as ${NAME}"
                self.reader.warning(where, message, "secret-in-clear")
        return instance, resolver.unset, [f"{where}: {message}" for where, message in mistakes]

    def source(self, name: str, key: Scalar, node: Node) -> Source:
        place = key.place
        if not _NAME.match(name):
            better = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")
            message = f"`{name}` is a part of an address, of small letters, digits, `-` and `_`: write `{better}`"
            self.reader.error(place, message, "wrong-value")
            return Source(name, None, f"{place}: {message}", place)
        if self.reader.mapping(node, f"the source `{name}`") is None:
            return Source(name, None, f"{node.place}: it isn't a list of settings", place)
        config, unset, mistakes = self.checked(SourceConfig, node, place)
        if config is None:
            why = "; ".join(mistakes) or _unset_words(unset) or f"{place}: its settings are not valid"
            return Source(name, None, why, place)
        if config.unverified:
            assert isinstance(node, Mapping)
            where = node.values["verify"].place if "verify" in node else place
            message = f"`verify: none`: whoever knows the address of `{name}` is believed"
            self.reader.warning(where, message, "unverified")
        before = len(self.reader.problems)
        event_id = self.key_expression(config.event_id, node, "event_id", place)
        event_type = self.key_expression(config.event_type, node, "event_type", place)
        event_time = self.key_expression(config.event_time, node, "event_time", place)
        wrong = [str(problem) for problem in self.reader.problems[before:]]
        if wrong or unset:
            why = "; ".join(wrong) or _unset_words(unset)
            return Source(name, None, why, place, event_id, event_type, event_time, config)
        return Source(name, config, None, place, event_id, event_type, event_time, config)

    def key_expression(self, text: str | None, node: Node, key: str, place: Place) -> Expression | None:
        if text is None:
            return None
        written = node.get(key) if isinstance(node, Mapping) else None
        where = written if isinstance(written, Scalar) and written.text == text else None
        at = where.at if where is not None else (lambda offset: place)
        return self.reader.compiled(place, lambda: compile_expression(text, at(0), _KEY_NAMES, at))

    def connection(self, name: str, key: Scalar, node: Node) -> Connection:
        place = key.place
        mapping = self.reader.mapping(node, f"the connection `{name}`")
        if mapping is None:
            return Connection(name, "", None, f"{node.place}: it isn't a list of settings", Limit(), place)
        connector = self.reader.text(
            self.reader.required(mapping, "connector", f"it is one of {listed(connector_names())}"), "connector"
        )
        if connector is None:
            return Connection(name, "", None, f"{place}: its `connector` is missing", Limit(), place)
        try:
            kind = connector_class(connector)
        except (ConfigError, ImportError) as error:
            where = mapping.values["connector"].place
            message = (
                unknown("connector", connector, connector_names())
                if isinstance(error, ConfigError)
                else f"the connector `{connector}` can't be loaded: {error}"
            )
            self.reader.error(where, message, "wrong-setting")
            return Connection(name, connector, None, f"{where}: {message}", Limit(), place)
        config, unset, mistakes = self.checked(kind.Config, mapping, place)
        limit = config.limit if config is not None else Limit()
        if config is None or unset:
            held = "; ".join(mistakes) or _unset_words(unset) or f"{place}: its settings are not valid"
            return Connection(name, connector, None, held, limit, place, config)
        return Connection(name, connector, config, None, limit, place, config)


def _unset_words(unset: list[UnsetSecretError]) -> str:
    return "; ".join(str(error) for error in unset)
