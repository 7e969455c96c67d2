"""How to post to a source by hand: its address, and a curl line that reads the secret where relay.yaml does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay.errors import ConfigError
from relay.recipes import yaml_tree
from relay.recipes.files import FILE, read_files
from relay.settings import Settings
from relay.sources.presets import PRESETS
from relay.sources.words import REFERENCE, verify_of

_JSON = """-H 'Content-Type: application/json' --data '{"hello": "world"}'"""
_FORM = "--data 'hello=world'"
_XML = "-H 'Content-Type: application/xml' --data '<hello>world</hello>'"


def base(settings: Settings) -> str:
    """Where senders find the relay."""
    return (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def address(settings: Settings, source: str) -> str:
    return f"{base(settings)}/in/{quote(source)}"


def curl(settings: Settings, source: str) -> str:
    """The line to type. Where requests are signed over their body, `relay send`, which can do that."""
    url = address(settings, source)
    written = plain_source(settings.recipes, source)
    preset = PRESETS.get(str(written.get("preset")))
    how = None if preset is not None and preset.kept else _how(settings.recipes, verify_of(written), url)
    if how is None:
        return f"relay send {source} FILE"
    methods = written.get("methods") or (preset.methods if preset is not None else None) or ("POST",)
    if "POST" in methods:
        return f"curl {how} {_example(written)}"
    if methods[0] == "GET":
        return f"curl -G {how} {_FORM}"
    return f"curl -X {methods[0]} {how} {_example(written)}"


def written_source(folder: Path, source: str) -> yaml_tree.Node | None:
    """What relay.yaml says of a source, as it is written."""
    try:
        node: yaml_tree.Node | None = yaml_tree.parse(read_files(folder).text(FILE), FILE)
    except ConfigError:
        return None
    for step in ("sources", source):
        node = node.get(step) if isinstance(node, yaml_tree.Mapping) else None
    return node


def plain_source(folder: Path, source: str) -> dict[str, Any]:
    """The same without its places; secrets are the names by which relay.yaml knows them."""
    node = written_source(folder, source)
    found = yaml_tree.plain(node) if node is not None else None
    return found if isinstance(found, dict) else {}


def _example(written: Mapping[str, Any]) -> str:
    preset = PRESETS.get(str(written.get("preset")))
    decode = written.get("decode") or (preset.decode if preset is not None else None)
    return {"form": _FORM, "xml": _XML}.get(str(decode), _JSON)


def _how(folder: Path, verify: Any, url: str) -> str | None:
    """curl's words for the address and the secret; None where curl alone can't do it."""
    return next(_hows(folder, verify, url), None)


def _hows(folder: Path, verify: Any, url: str) -> Iterator[str]:
    if verify == "none":
        yield shlex.quote(url)
    if not isinstance(verify, Mapping):
        return
    for one in verify.get("any") or ():
        yield from _hows(folder, one, url)
    if "basic" in verify and isinstance(verify["basic"], Mapping) and "password" in verify["basic"]:
        basic = verify["basic"]
        yield f'-u "{_plain(basic.get("username"))}:{_in_shell(folder, basic["password"])}" {shlex.quote(url)}'
    if "equals" in verify:
        secret = _in_shell(folder, verify["equals"])
        if "header" in verify:
            yield f'-H "{_plain(verify["header"])}: {secret}" {shlex.quote(url)}'
        elif "query" in verify:
            yield f'"{url}?{_plain(verify["query"])}={secret}"'
    if "bearer" in verify:
        yield f'-H "Authorization: Bearer {_in_shell(folder, verify["bearer"])}" {shlex.quote(url)}'
    for key in ("token", "path_token"):
        if key in verify:
            yield f'"{url}/{_in_shell(folder, verify[key])}"'
    if verify.keys() == {"ip_allow"}:
        yield shlex.quote(url)


def _plain(value: Any) -> str:
    return re.sub(r'["$`\\]', "", value) if isinstance(value, str) else ""


def _in_shell(folder: Path, secret: Any) -> str:
    """`${NAME}` as `$NAME`, `${file:path}` as `$(cat path)`. A secret that stands there itself is not shown."""
    if isinstance(secret, list):
        return _in_shell(folder, secret[0]) if secret else "…"
    found = REFERENCE.fullmatch(secret.strip()) if isinstance(secret, str) else None
    if found is None:
        return "THE-SECRET-OF-relay.yaml"
    name = found[1].strip()
    if name.startswith("file:"):
        return f"$(cat {shlex.quote(str(folder / name.removeprefix('file:').strip()))})"
    return f"${name}"
