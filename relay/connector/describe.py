"""A connector's documentation, made from its declaration: the docs page and `relay connectors` print it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from relay.connector.contract import Action, Connector
from relay.connector.fields import SIZE_VALIDATOR, Breaker, Limit, nested_model
from relay.connector.guide import Trouble, Who
from relay.connector.registry import connector_class

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

_WHO: dict[Who, str] = {
    "nobody": "nobody",
    "admin": "keeper of relay.yaml",
    "author": "author of the recipe",
    "vendor": "admin of the account there",
    "operator": "operator",
}

_FATES = {
    "": "see left",
    "retry": "tries again",
    "hold": "holds the lane",
    "dead": "dead letter",
    "unknown": "outcome unknown",
}


def describe(connector: str | type[Connector[Any]]) -> str:
    """One connector's page, in Markdown. Raises ConfigError where none has that name."""
    found = connector_class(connector) if isinstance(connector, str) else connector
    return "\n".join([f"# {found.name}", "", sentence(found.summary), "", *_body(found)])


def _body(found: type[Connector[Any]]) -> Iterator[str]:
    guide = found.guide
    if guide is not None:
        yield from ("## Setting it up", "")
        yield from (f"{number}. {step}" for number, step in enumerate(guide.setup, 1))
        yield ""
    yield from ("## The connection", "", "```yaml")
    yield from (_yaml({"connections": {_named(found): _without_secrets(found)}}), "```", "")
    yield from _table("key", found.Config, skip={"connector"})
    yield ""
    yield "## What a step can do"
    yield ""
    for action in found.actions:
        yield from _action(found, action)
    if guide is not None:
        yield from ("## When it is sent twice", "", guide.repeats, "")
        if guide.limits:
            yield from ("## Limits", "", *(f"- {one}" for one in guide.limits), "")
        yield from ("## When it goes wrong", "")
        yield f"[The index]({_SHARED}) explains the words of this table, and has the causes that connectors share."
        yield ""
        yield from troubles_table(guide.troubles)
        for other in guide.also:
            yield from (f"Those of [{other}]({other}.md#when-it-goes-wrong) can be met here too.", "")
    if found.check is not Connector.check:
        # Not run over several lines: it is quoted as a command.
        yield from ("## Trying the connection", "", f"`relay connections test {_named(found)}`", "")
        yield (guide.check if guide is not None else "") or _CHECK
        yield ""
    if guide is not None and guide.verified:
        yield from ("## What this was tried against", "", guide.verified, "")


_CHECK = "It makes a harmless call, which writes nothing there, and says in words what is missing."
_SELDOM = ("ca_file", "allow_private", "limit", "breaker")
_SHARED = "README.md#when-it-goes-wrong"


def sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _named(connector: type[Connector[Any]]) -> str:
    return f"my-{connector.name.replace('_', '-')}"


def _without_secrets(found: type[Connector[Any]]) -> dict[str, Any]:
    """The example, as it should be written: an example for tests may hold a secret in plain text."""
    shown = dict(found.example)
    for key, info in _rows(found.Config, ""):
        value = shown.get(key)
        if _words(info) == "secret" and isinstance(value, str) and not value.startswith("${"):
            shown[key] = f"${{{found.name}_{key}}}".upper()
    return shown


def troubles_table(troubles: Sequence[Trouble]) -> list[str]:
    if not troubles:
        return ["It has no causes of its own.", ""]
    rows = ["| cause | means | the relay | who acts | what they do |", "|---|---|---|---|---|"]
    for one in troubles:
        # A vendor's own name of an error has no comma in it.
        causes = ", ".join(f"`{cause}`" for cause in one.cause.split(", "))
        fate = " or ".join(_FATES[word] for word in one.fate.split(" or "))
        cells = (causes, one.means, fate, _WHO[one.who], one.do)
        rows.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return [*rows, ""]


def _action(connector: type[Connector[Any]], action: type[Action[Any, Any, Any]]) -> list[str]:
    lines = [f"### {action.name}", "", sentence(action.summary)]
    notes = []
    if len(connector.actions) > 1:
        notes.append(f"Say `do: {action.name}`.")
    if action.idempotent:
        notes.append("A repeat of the same delivery has no second effect.")
    if action.batchable:
        most = f", {action.max_rows} at most" if action.max_rows else ""
        notes.append(f"Several deliveries can travel as one (`batch`{most}).")
    if notes:
        lines += ["", " ".join(notes)]
    lines += ["", *_table("`with` key", action.With), ""]
    for example in action.examples:
        step: dict[str, Any] = {"to": _named(connector)}
        if len(connector.actions) > 1:
            step["do"] = action.name
        step["with"] = _plain(example.fields)
        lines += [f"{example.title}:", "", "```yaml", _yaml({"steps": {"step": step}}), "```", ""]
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as people write them."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.strip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def _yaml(value: Any) -> str:
    return yaml.dump(_plain(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110).rstrip()


def _table(title: str, model: type[BaseModel], skip: set[str] | None = None) -> list[str]:
    rows = [f"| {title} | value | default | meaning |", "|---|---|---|---|"]
    return rows + [
        f"| `{key}` | {_cell(_words(info))} | {_default(info, key)} | {_cell(info.description or '')} |"
        for key, info in sorted(_rows(model, ""), key=lambda row: _rank(model, row[0]))
        if key.partition(".")[0] not in (skip or set())
    ]


def _rank(model: type[BaseModel], key: str) -> int:
    """First what must be said, last what few need."""
    name = key.partition(".")[0]
    if name in _SELDOM:
        return 2 + _SELDOM.index(name)
    infos = (info for field, info in model.model_fields.items() if name in (field, info.alias))
    return 0 if any(info.is_required() for info in infos) else 1


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    """Every key, those of nested models as `auth.bearer`."""
    for name, info in model.model_fields.items():
        key = prefix + (info.alias or name)
        yield key, info
        inner = nested_model(info.annotation)
        if inner is not None and inner not in (Limit, Breaker):
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


def _default(info: FieldInfo, key: str) -> str:
    if info.is_required():
        return "required there" if "." in key else "required"
    value = info.default
    if isinstance(value, Limit):
        said = ", ".join(f"{name}: {given}" for name, given in value.model_dump(exclude_none=True).items())
        return f"`{{{said}}}`" if said else ""
    if value is None or isinstance(value, BaseModel) or info.default_factory is not None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{_duration(value)}`"
    if SIZE_VALIDATOR in info.metadata:
        return f"`{_size(value)}`"
    return f"`{value}`" if value not in ("", [], {}, ()) else ""


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _size(value: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KiB", 1024), ("KB", 1000)):
        if value >= size and value % size == 0:
            return f"{value // size}{unit}"
    return f"{value}B"
