"""relay send"""

from __future__ import annotations

import http.client
import mimetypes
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit

import orjson
import typer

from relay.cli.common import WRONG, AsJson, Recipes, json_line, not_known, out, the_workspace
from relay.clock import now_ms
from relay.errors import ConfigError, StoreUnavailableError
from relay.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command()(send)


def send(
    source: Annotated[str, typer.Argument(help="The source, as relay.yaml names it.")],
    file: Annotated[Path, typer.Argument(help="The body, as that sender would post it.")],
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A further header, K:V; may be repeated.")
    ] = None,
    method: Annotated[str, typer.Option("--method", "-X", help="GET, POST, PUT, PATCH or DELETE.")] = "POST",
    content_type: Annotated[
        str | None, typer.Option("--content-type", help="Of the body; by the file's name where it isn't said.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="The relay. [dim]http://RELAY_HOST:RELAY_PORT[/]")] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
) -> None:
    """Post a file to a running relay as that source would, signed.

    [bold]relay send chat recipes/samples/chat-closed.json[/]
    [bold]relay send github push.json -H "X-GitHub-Event: push"[/]
    """
    from relay.sources.client import sign

    settings = Settings.read({"recipes": recipes})
    sources = the_workspace(settings).sources
    found = sources.get(source)
    if found is None:
        raise not_known("source", source, sources)
    if found.config is None:
        raise ConfigError(found.unavailable or f"the source {source} can't be used")
    try:
        body = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    base = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    path = f"/in/{quote(source)}"
    headers = {"Content-Type": content_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"}
    for text in header or ():
        name, found_colon, value = text.partition(":")
        if not found_colon:
            raise ConfigError(f"--header {text!r}: write NAME: VALUE")
        headers[name.strip()] = value.strip()
    signed = sign(found.config, body, now_ms(), method=method, path=path, url=base.rstrip("/") + path, headers=headers)
    target = path + (f"/{quote(signed.token)}" if signed.token else "")
    if signed.query:
        target += "?" + urlencode(signed.query)
    status, answer = _post(base, method.upper(), target, body, headers | signed.headers)
    if as_json:
        json_line({"status": status, **answer})
    else:
        out.print(f"{status} {orjson.dumps(answer).decode()}", markup=False)
    if status >= 300:
        raise typer.Exit(WRONG)


def _post(base: str, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, parts.path.rstrip("/") + target, body, headers)
        response = connection.getresponse()
        text = response.read()
    except OSError as error:
        raise StoreUnavailableError(f"no relay answers at {base}: {error}; is `relay up` running?") from None
    finally:
        connection.close()
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        answer = {"body": text.decode(errors="replace")}
    return response.status, answer if isinstance(answer, dict) else {"body": answer}
