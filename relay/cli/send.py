"""relay send"""

from __future__ import annotations

import http.client
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode, urlsplit

import orjson
import typer

from relay.cli.common import (
    WRONG,
    AsJson,
    Data,
    Recipes,
    RedisUrl,
    err,
    json_line,
    not_known,
    out,
    the_workspace,
    with_operators,
)
from relay.clock import now_ms
from relay.errors import ConfigError, StoreUnavailableError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.sources.client import Signed
    from relay.sources.config import SourceConfig
    from relay.store import Operators

_FORM = "application/x-www-form-urlencoded"

#: By the first words of a preset's `sends`, where the file's name doesn't say what it is.
_SENT_AS = {"json": "application/json", "a form": _FORM, "form": _FORM, "xml": "application/xml"}

#: RFC 2046: what a boundary may be made of. It is the body's first line, behind two hyphens.
_BOUNDARY = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{1,70})\r?\n")

#: What may stand in a query string as it is; a form's file is one already.
_QUERY_SAFE = "%!$&'()*+,;=:@/?-._~[]"


@dataclass(frozen=True, slots=True)
class _Call:
    """A request to be. `query` is as it stands in the address."""

    method: str
    path: str = field(repr=False)
    query: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @property
    def target(self) -> str:
        return self.path + (f"?{self.query}" if self.query else "")

    def plus(self, signed: Signed) -> _Call:
        return _Call(
            self.method,
            self.path + (f"/{quote(signed.token)}" if signed.token else ""),
            "&".join(part for part in (self.query, urlencode(signed.query)) if part),
            self.body if signed.body is None else signed.body,
            self.headers | signed.headers,
        )


def add_to(app: typer.Typer) -> None:
    app.command()(send)


def send(
    source: Annotated[str, typer.Argument(help="The source, as relay.yaml names it.")],
    file: Annotated[Path, typer.Argument(help="The body, as that sender would post it.")],
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="A further header, K:V, such as the event's type; may be repeated."),
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", help="A parameter of the address, K=V; may be repeated.")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-X", help="GET, POST, PUT … [dim]POST where the source takes it[/]")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option("--content-type", help="Of the body. [dim]by the file's name, else as the vendor's[/]")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="The relay. [dim]RELAY_PUBLIC_URL, or http://RELAY_HOST:RELAY_PORT[/]"),
    ] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Post a file to a running relay as that source would, signed.

    Names of files: .json, .xml, .txt, .form (a=1&b=2), .multipart. A GET has a form's fields in its address.

    [bold]relay send chat recipes/samples/chat-closed.json[/]
    [bold]relay send github push.json -H "X-GitHub-Event: push" -H "X-GitHub-Delivery: 1"[/]
    [bold]relay send lead lead.form -X GET --query campaign=open-day[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    config = _config(settings, source)
    verb = method.upper() if method else _method(config)
    body = _body(file)
    headers = dict(_pairs(header, ":", "--header", "NAME: VALUE"))
    own_type = next((headers.pop(name) for name in list(headers) if name.lower() == "content-type"), None)
    kind = content_type or own_type or _content_type(file, body, config)
    if kind.startswith(_FORM):
        body = body.rstrip(b"\r\n")  # an editor's, and no part of the last value
    asked = urlencode(_pairs(query, "=", "--query", "NAME=VALUE"))
    if verb in ("GET", "HEAD") and kind.startswith(_FORM):
        asked = "&".join(part for part in (quote(body, safe=_QUERY_SAFE), asked) if part)
        body = b""
    if body:
        headers = {"Content-Type": kind, **headers}
    to = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    call = _Call(verb, f"/in/{quote(source)}", asked, body, headers)
    call = _proven(call, config, settings.public_url or to, _kept(settings, source, config))
    status, answer = _post(to, call)
    if as_json:
        json_line({"status": status, **answer})
    else:
        out.print(f"{status} {orjson.dumps(answer).decode()}", markup=False)
    if status >= 300:
        raise typer.Exit(WRONG)


def _config(settings: Settings, source: str) -> SourceConfig:
    sources = the_workspace(settings).sources
    found = sources.get(source)
    if found is None:
        raise not_known("source", source, sources)
    if found.config is None:
        raise ConfigError(found.unavailable or f"the source {source} can't be used")
    return found.config


def _method(config: SourceConfig) -> str:
    return "POST" if "POST" in config.methods else config.methods[0]


def _body(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None


def _pairs(texts: list[str] | None, between: str, flag: str, form: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for text in texts or ():
        name, there, value = text.partition(between)
        if not there or not name.strip():
            raise ConfigError(f"{flag} {text!r}: write {form}")
        found.append((name.strip(), value.strip()))
    return found


def _content_type(file: Path, body: bytes, config: SourceConfig) -> str:
    """By the file's name; else as the vendor sends it; else by its look."""
    from relay.recipes.masking.keeping import content_type_of
    from relay.recipes.trying.samples import CONTENT_TYPES

    suffix = file.suffix.lower()
    if suffix == ".multipart":
        return _multipart(file, body)
    known = CONTENT_TYPES.get(suffix) or mimetypes.guess_type(file.name)[0]
    if known:
        return known
    sends = config.known.sends.lower() if config.known is not None else ""
    if "multipart" in sends and _BOUNDARY.match(body):
        return _multipart(file, body)
    by_vendor = (kind for words, kind in _SENT_AS.items() if re.match(rf"{words}\b", sends))
    return next(by_vendor, None) or content_type_of(file.name, body)


def _multipart(file: Path, body: bytes) -> str:
    match = _BOUNDARY.match(body)
    if match is None:
        raise ConfigError(f"{file}: a multipart body begins with its boundary, a line such as --xyz")
    boundary = match[1].decode().rstrip()
    return f'multipart/form-data; boundary="{boundary}"'


def _proven(call: _Call, config: SourceConfig, public: str, kept: list[str]) -> _Call:
    """With everything that proves the sender.

    public  the beginning of the address that the relay will believe was called: some vendors sign all of it
    kept    the secrets that the vendor gave in its handshake
    """
    from relay.sources.client import sign, sign_kept

    now, base = now_ms(), public.rstrip("/")
    signed = sign(
        config, call.body, now, method=call.method, path=call.path, url=base + call.target, headers=call.headers
    )
    call = call.plus(signed)
    if not kept:
        return call
    return call.plus(
        sign_kept(
            config,
            kept[0],
            call.body,
            now,
            method=call.method,
            path=call.path,
            url=base + call.target,
            headers=call.headers,
        )
    )


def _kept(settings: Settings, source: str, config: SourceConfig) -> list[str]:
    """The secrets that the vendor gave in a handshake, newest first. Raises StoreUnavailableError."""
    if config.known is None or config.known.kept is None:
        return []

    async def act(operators: Operators) -> list[str]:
        from relay.store import Senders

        return [secret for secret, _ in await Senders(operators.store).kept(source)]

    found = with_operators(settings, act)
    if not found:
        vendor = config.known.vendor
        err.print(
            f"{vendor} has given no secret to sign with yet; only its handshake is taken without one.", markup=False
        )
    return found


def _post(base: str, call: _Call) -> tuple[int, dict[str, object]]:
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(call.method, parts.path.rstrip("/") + call.target, call.body or None, call.headers)
        response = connection.getresponse()
        text = response.read()
    except OSError as error:
        raise StoreUnavailableError(f"no relay answers at {base}: {error}; is `relay up` running?") from None
    finally:
        connection.close()
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        answer = {"body": text.decode(errors="replace")} if text else {}
    return response.status, answer if isinstance(answer, dict) else {"body": answer}
