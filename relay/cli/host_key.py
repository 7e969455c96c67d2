"""relay connections host-key"""

from __future__ import annotations

import asyncio
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import AsJson, Recipes, Yes, confirm, err, json_line, not_known, out, printable, write_in_place
from relay.errors import ConfigError
from relay.settings import Settings
from relay.units import parse_duration

if TYPE_CHECKING:
    from relay.recipes.yaml_tree import Mapping, Node

Timeout = Annotated[str, typer.Option("--timeout", help="How long each may take: 5s, 1m.")]

_SSH_PORT = 22
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::(\d{1,5}))?")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]+")
_BLOB = re.compile(r"\bAAAA[A-Za-z0-9+/]+=*")


@dataclass(frozen=True, slots=True)
class _Pin:
    """A connection as relay.yaml writes it. known: the fingerprints of its keys; elsewhere: they come from ${…}."""

    name: str
    file: Path
    text: str
    host: str
    port: int
    known: tuple[str, ...]
    elsewhere: bool


def host_key(
    address: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="The SFTP server.", show_default=False)],
    connection: Annotated[
        str | None, typer.Option("--connection", help="Write the key into relay.yaml as this connection's host_key.")
    ] = None,
    yes: Yes = False,
    timeout: Timeout = "15s",
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """Fetch the keys by which an SFTP server proves that it is itself, and pin one.

    Who answers may be anybody: compare the fingerprint with what the server's administrator says, and not by the same
    way, before you pin it.

    [bold]relay connections host-key sftp.example.ac.uk[/]
    [bold]relay connections host-key sftp.example.ac.uk:2222 --connection sits[/]
    """
    from relay.connector import connector_class

    host, port = _parsed(address)
    within = seconds(timeout)
    pin = None if connection is None else _pin(Settings.read({"recipes": recipes}), connection)
    if pin is not None:
        _goes_there(pin, host, port)
    sftp: Any = connector_class("sftp")
    number = port or (pin.port if pin is not None else _SSH_PORT)
    keys: list[tuple[str, str, str]] = asyncio.run(sftp.host_keys(host, number, within))
    for kind, line, fingerprint in keys:
        if as_json:
            state = "shown" if pin is None else "pinned" if fingerprint in pin.known else "not pinned"
            json_line({"name": fingerprint, "status": state, "type": kind, "host_key": line})
        else:
            out.print(printable(f"{kind}  {fingerprint}"), markup=False)
            out.print(printable(f"  host_key: {line}"), markup=False)
    if not as_json:
        err.print("Compare the fingerprint with what the server's administrator says: whoever answered may be anybody.")
    if pin is not None:
        _offer(pin, keys, yes=yes)


def seconds(text: str) -> timedelta:
    """Raises ConfigError."""
    try:
        given = parse_duration(text)
    except ValueError:
        raise ConfigError(f"--timeout {text!r}: write how long, such as 5s or 1m") from None
    if not timedelta(0) < given <= timedelta(minutes=10):
        raise ConfigError(f"--timeout {text!r}: more than nothing, and at most ten minutes")
    return given


def _parsed(address: str) -> tuple[str, int | None]:
    match = _ADDRESS.fullmatch(address)
    port = int(match[3]) if match is not None and match[3] else None
    if match is None or (port is not None and not 1 <= port <= 65535):
        raise ConfigError(f"{address!r}: write the server's name, and its port where it isn't 22: HOST:PORT")
    return match[1] or match[2], port


def _pin(settings: Settings, name: str) -> _Pin:
    """Raises ConfigError where there is no such connection, or it has no host key."""
    from relay.connector import connector_class
    from relay.recipes.files import FILE, read_files
    from relay.recipes.secrets import Resolver
    from relay.recipes.yaml_tree import Mapping, parse, plain

    text = read_files(settings.recipes).text(FILE)
    file = settings.recipes / FILE
    root = parse(text, str(file))
    connections = root.get("connections") if isinstance(root, Mapping) else None
    node = connections.get(name) if isinstance(connections, Mapping) else None
    if not isinstance(node, Mapping):
        known = connections.values if isinstance(connections, Mapping) else ()
        raise not_known("connection", name, known, "--connection")
    resolver = Resolver(settings.recipes, os.environ)
    said = {key: resolver.resolve(value) for key, value in node.values.items()}
    if "host_key" not in connector_class(str(said.get("connector"))).Config.model_fields:
        raise ConfigError(f"the connection {name} is no SFTP connection: it has no host_key")
    written = node.get("host_key")
    texts = said.get("host_key") if isinstance(said.get("host_key"), list) else [said.get("host_key")]
    port = said.get("port")
    return _Pin(
        name,
        file,
        text,
        "" if _is_unset(resolver, node, "host") else str(said.get("host") or ""),
        port if isinstance(port, int) else _SSH_PORT,
        tuple(found for one in texts or () for found in _fingerprints(str(one or ""))),
        written is not None and "${" in str(plain(written)),
    )


def _is_unset(resolver: Any, node: Mapping, key: str) -> bool:
    value: Node | None = node.get(key)
    return value is not None and bool(resolver.is_unset(value))


def _fingerprints(text: str) -> Iterator[str]:
    """Of a fingerprint, a key or a line of known_hosts."""
    yield from _FINGERPRINT.findall(text)
    for blob in _BLOB.findall(text):
        try:
            digest = sha256(b64decode(blob, validate=True)).digest()
        except ValueError:
            continue
        yield f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def _goes_there(pin: _Pin, host: str, port: int | None) -> None:
    """A key that is pinned for another server would hold the connection."""
    if pin.host and pin.host.strip("[]").lower() != host.lower():
        raise ConfigError(f"the connection {pin.name} goes to {pin.host}, not to {host}")
    if port is not None and port != pin.port:
        raise ConfigError(f"the connection {pin.name} goes to port {pin.port}, not to {port}")


def _offer(pin: _Pin, keys: list[tuple[str, str, str]], *, yes: bool) -> None:
    if any(fingerprint in pin.known for _, _, fingerprint in keys):
        err.print(f"The connection {pin.name} pins a key of this server already.")
        return
    kind, line, fingerprint = keys[0]
    if pin.known:
        err.print(f"[bold red]The key changed[/] from {' or '.join(pin.known)} to {fingerprint}.")
        err.print(
            "That is what a new server looks like, and what somebody in between looks like: ask before you pin it."
        )
    if pin.elsewhere:
        raise ConfigError(
            f"the host_key of {pin.name} comes from a setting or a file that {pin.file} names: put the line there"
        )
    confirm(f"Pin this key for the connection {pin.name}? {kind} {fingerprint}", yes=yes)
    _write(pin, line)
    err.print(f"Written into {pin.file}: {pin.name} trusts {fingerprint}, and no other key.")


def _write(pin: _Pin, line: str) -> None:
    from relay.recipes.yaml_edit import edited

    new = edited(pin.text, {("connections", pin.name, "host_key"): line}, str(pin.file))
    path = pin.file.resolve()
    if path.read_bytes() != pin.text.encode():
        raise ConfigError(f"{pin.file} was changed meanwhile: run it again. Nothing was written.")
    write_in_place(path, new)
