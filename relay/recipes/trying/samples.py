"""Sample files as events: what `relay try`, `relay send` and the recipes' own tests start from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from relay.errors import BodyError, ConfigError, Place
from relay.model import JSON, Event
from relay.recipes.expression import compile_expression
from relay.recipes.operators import to_text
from relay.recipes.words import kind_of, listed
from relay.sources.decode import decode

#: 2026-01-01T12:00:00Z. Fixed, so that a test gives the same today and tomorrow.
SAMPLE_MOMENT_MS = 1_767_268_800_000
SAMPLE_ID = "evt_" + "0" * 26

CONTENT_TYPES = {
    ".json": "application/json",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".form": "application/x-www-form-urlencoded",
}


def sample_event(
    source: str,
    path: Path,
    change: Mapping[str, JSON] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    received_ms: int = SAMPLE_MOMENT_MS,
) -> Event:
    """A file as an event of a source. Raises ConfigError where it can't be read, or changed as asked.

    change   path into the body → new value, such as {"$.conversation.rating": 2}
    headers  with a content type where the file's ending doesn't tell it
    """
    every = {key.lower(): value for key, value in (headers or {}).items()}
    content_type = every.get("content-type") or CONTENT_TYPES.get(path.suffix)
    if content_type is None:
        endings = listed(CONTENT_TYPES)
        raise ConfigError(f"{path.name}: a sample's name ends in {endings}, or a content-type header says what it is")
    every["content-type"] = content_type
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"there is no sample {path}") from None
    except OSError as error:
        raise ConfigError(f"the sample {path} can't be read: {error.strerror}") from None
    if change:
        body = _changed(body, content_type, change, path)
    return Event(
        id=SAMPLE_ID,
        source=source,
        method="POST",
        path=f"/in/{source}",
        query=tuple((query or {}).items()),
        headers=every,
        body=body,
        received_ms=received_ms,
    )


def _changed(body: bytes, content_type: str, change: Mapping[str, JSON], path: Path) -> bytes:
    try:
        data = decode(body, content_type)
    except BodyError as error:
        raise ConfigError(f"the sample {path} can't be changed: {error}") from None
    for where, value in change.items():
        data = changed(data, where, value)
    if "json" in content_type:
        return json.dumps(data, ensure_ascii=False).encode()
    if "form" in content_type:
        return urlencode(_fields(data, "")).encode()
    raise ConfigError(f"only JSON and form samples can be changed, and {path.name} is neither")


def changed(data: JSON, where: str, value: JSON) -> JSON:
    """The data with a new value at a path; its last key may be new. Raises ConfigError."""
    place = Place("change")
    expression = compile_expression(where, place)
    if not expression.is_path:
        raise ConfigError(f"{where} is not a path")
    ref = expression.refs[0]
    if ref.many is not None:
        if not ref.many.find(data):
            raise ConfigError(f"{where}: there is nothing to change")
        updated: JSON = ref.many.update(data, value)
        return updated
    if not ref.steps:
        return value
    target: Any = data
    walked = "$"
    for step in ref.steps[:-1]:
        target = _item(target, step, where, walked)
        walked += f".{step}"
    last = ref.steps[-1]
    is_key = isinstance(target, dict) and isinstance(last, str)
    is_index = isinstance(target, list) and isinstance(last, int) and -len(target) <= last < len(target)
    if not is_key and not is_index:
        raise ConfigError(f"{where}: {walked} is {kind_of(target)}, which has no {last}")
    target[last] = value
    return data


def _item(target: Any, step: str | int, where: str, walked: str) -> Any:
    if isinstance(target, dict) and isinstance(step, str) and step in target:
        return target[step]
    if isinstance(target, list) and isinstance(step, int) and -len(target) <= step < len(target):
        return target[step]
    there = f"; there are {listed(map(str, target))}" if isinstance(target, dict) else ""
    raise ConfigError(f"{where}: no {step} in {walked}{there}")


def _fields(data: Any, name: str) -> list[tuple[str, str]]:
    """Nested values as form fields: `a[b]=1`, `a[0]=x`."""
    if isinstance(data, (dict, list)):
        parts: Iterable[tuple[Any, Any]] = data.items() if isinstance(data, dict) else enumerate(data)
        return [pair for key, value in parts for pair in _fields(value, f"{name}[{key}]" if name else str(key))]
    return [(name, to_text(data))]
