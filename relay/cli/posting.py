"""How to post to a source by hand: its address, and a curl line that reads the secret where relay.yaml does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import quote

from relay.errors import ConfigError
from relay.recipes.files import FILE, read_files
from relay.recipes.yaml_tree import Mapping, Node, Scalar, Sequence, parse
from relay.settings import Settings

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_EXAMPLE = """'{"hello": "world"}'"""


def address(settings: Settings, source: str) -> str:
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    return f"{base.rstrip('/')}/in/{quote(source)}"


def curl(settings: Settings, source: str) -> str:
    """The line to type. Where requests are signed over their body, `relay send`, which can do that."""
    url = address(settings, source)
    verify = _written(settings.recipes, source, "verify")
    how = _how(settings.recipes, verify, url) if verify is not None else None
    if how is None:
        return f"relay send {source} FILE"
    return f"curl {how} -H 'Content-Type: application/json' --data {_EXAMPLE}"


def _how(folder: Path, verify: Node, url: str) -> str | None:
    """curl's words for the address and the secret; None where curl alone can't do it."""
    if isinstance(verify, Scalar):
        return shlex.quote(url) if verify.text == "none" else None
    if not isinstance(verify, Mapping):
        return None
    for key in ("equals", "bearer", "token"):
        if key in verify:
            secret = _in_shell(folder, verify.values[key])
            break
    else:
        basic = verify.get("basic")
        if not isinstance(basic, Mapping) or "password" not in basic:
            return None
        return f'-u "{_plain(basic.get("username"))}:{_in_shell(folder, basic.values["password"])}" {shlex.quote(url)}'
    if "header" in verify:
        return f'-H "{_plain(verify.get("header"))}: {secret}" {shlex.quote(url)}'
    if "query" in verify:
        return f'"{url}?{_plain(verify.get("query"))}={secret}"'
    return f'-H "Authorization: Bearer {secret}" {shlex.quote(url)}' if key == "bearer" else f'"{url}/{secret}"'


def _plain(node: Node | None) -> str:
    return re.sub(r'["$`\\]', "", node.text) if isinstance(node, Scalar) else ""


def _in_shell(folder: Path, node: Node) -> str:
    """`${NAME}` as `$NAME`, `${file:path}` as `$(cat path)`. A secret that stands there itself is not shown."""
    if isinstance(node, Sequence):
        return _in_shell(folder, node.items[0]) if node.items else "…"
    if not isinstance(node, Scalar) or not _REFERENCE.fullmatch(node.text.strip()):
        return "THE-SECRET-OF-relay.yaml"
    name = _REFERENCE.fullmatch(node.text.strip())[1].strip()  # type: ignore[index]
    if name.startswith("file:"):
        return f"$(cat {shlex.quote(str(folder / name.removeprefix('file:').strip()))})"
    return f"${name}"


def _written(folder: Path, source: str, key: str) -> Node | None:
    """What relay.yaml says for a source under a key, as it is written."""
    try:
        node: Node | None = parse(read_files(folder).text(FILE), FILE)
    except ConfigError:
        return None
    for step in ("sources", source, key):
        node = node.get(step) if isinstance(node, Mapping) else None
    return node
