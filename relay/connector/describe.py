"""A connector's documentation, made from its declaration: the docs page and `relay connectors` print it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from relay.connector.contract import Action, Connector
from relay.connector.fields import SIZE_VALIDATOR, ConnectionConfig, nested_model
from relay.connector.registry import connector_class, connector_names

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret",
    timedelta: "duration",
    Path: "path",
    Any: "anything",
    type(None): "nothing",
}

PAGE_HEAD = """# Connectors

Made from the connectors' own declarations: `relay connectors NAME` prints the same. A connection is an entry under
`connections` in relay.yaml; a step names it with `to`, and what to do with `do`, which may be left out where the
connector has one action. Every connection may also say `limit: {concurrency: 4, rate: 60/min}`.
Durations and sizes carry their unit: `30s`, `5m`, `2h`, `1d`, `500KB`, `1MB`.
"""


def describe_all(names: list[str] | None = None) -> str:
    """The whole page, in Markdown."""
    return "\n".join([PAGE_HEAD, *(describe(name) for name in names or connector_names())])


def describe(connector: str | type[Connector[Any]]) -> str:
    """One connector's section, in Markdown. Raises ConfigError where none has that name."""
    found = connector_class(connector) if isinstance(connector, str) else connector
    lines = [f"## {found.name}", "", found.summary, ""]
    lines += _table("Connection key", found.Config, skip=set(ConnectionConfig.model_fields))
    lines += ["", "```yaml", _yaml({"connections": {f"my-{found.name}": dict(found.example)}}), "```", ""]
    for action in found.actions:
        lines += _action(found, action)
    return "\n".join(lines)


def _action(connector: type[Connector[Any]], action: type[Action[Any, Any, Any]]) -> list[str]:
    lines = [f"### {connector.name}: {action.name}", "", action.summary]
    if action.idempotent:
        lines[-1] += " A repeat of the same delivery has no second effect."
    if action.batchable:
        lines[-1] += " Several deliveries can travel as one (`batch`)."
    lines += ["", *_table("`with` key", action.With), ""]
    for example in action.examples:
        step: dict[str, Any] = {"to": f"my-{connector.name}"}
        if len(connector.actions) > 1:
            step["do"] = action.name
        step["with"] = _plain(example.fields)
        lines += [f"{example.title}:", "", "```yaml", _yaml({"steps": {"step": step}}), "```", ""]
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _yaml(value: Any) -> str:
    return yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True, width=110).rstrip()


def _table(title: str, model: type[BaseModel], skip: set[str] | None = None) -> list[str]:
    rows = [f"| {title} | value | default | meaning |", "|---|---|---|---|"]
    return rows + [
        f"| `{key}` | {_cell(_words(info))} | {_default(info)} | {_cell(info.description or '')} |"
        for key, info in _rows(model, "")
        if key.partition(".")[0] not in (skip or set())
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    """Every key, those of nested models as `auth.bearer`."""
    for name, info in model.model_fields.items():
        key = prefix + (info.alias or name)
        yield key, info
        inner = nested_model(info.annotation)
        if inner is not None:
            yield from _rows(inner, f"{key}.")


def _words(info: FieldInfo) -> str:
    if info.annotation is int and SIZE_VALIDATOR in info.metadata:
        return "size"
    return _type_words(info.annotation)


def _type_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _type_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_words(a) for a in arguments if a is not type(None)))
    if origin in (list, tuple):
        return f"list of {_type_words(arguments[0])}"
    if origin in (dict, Mapping) or nested_model(annotation) is not None or isinstance(origin, type):
        return "mapping"
    return _WORDS.get(annotation, "anything")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None or isinstance(value, BaseModel) or info.default_factory is not None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{value.total_seconds():g}s`"
    if SIZE_VALIDATOR in info.metadata:
        return f"`{value / 1e6:g}MB`"
    return f"`{value}`" if value not in ("", [], {}, ()) else ""
