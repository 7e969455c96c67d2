"""The one HTTP client: one for each connection, kept alive, closed by `aclose()`.

It is httpx-aiohttp's transport without httpx's client around it. httpx's own pool gets slower with every open
connection, and its client adds a cookie jar (one delivery's cookies would travel with the next), a log line with the
whole URL, and half of the processor time of a small post.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from ssl import SSLContext
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from relay.errors import DeliveryError, HoldError, PermanentError
from relay.http.guard import socket_factory
from relay.http.outcome import BROKE_OFF, IDEMPOTENT_METHODS, Received, sort_error
from relay.http.reach import reach

USER_AGENT = f"relay/{version('relay')}"
MAX_REPLY_BYTES = 1_000_000
MAX_REDIRECTS = 5

#: Many servers close an idle connection after five seconds (Node, Apache, uvicorn). A request that meets the closing
#: has an outcome nobody knows, so idle connections are let go of before that.
_IDLE_SECONDS = 4.0

#: OpenSSL's names of the alerts by which a server refuses a client's certificate.
_REFUSED_CERTIFICATE = re.compile(
    r"ALERT[_ ](?:CERTIFICATE[_ ](?:REQUIRED|UNKNOWN|EXPIRED|REVOKED)|BAD[_ ]CERTIFICATE|UNKNOWN[_ ]CA"
    r"|UNSUPPORTED[_ ]CERTIFICATE|ACCESS[_ ]DENIED)"
)

#: A redirect that goes elsewhere must not carry these along.
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


@lru_cache(maxsize=16)
def _ssl_context(verify: bool, ca_file: str | None) -> SSLContext:
    # Loading the certificates takes 20 ms and more; connections share them.
    if verify and ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    return httpx.create_ssl_context(verify=verify)


def _tls(options: ClientOptions) -> SSLContext:
    """Raises HoldError that names the file which can't be used: no delivery of the connection gets further."""
    try:
        context = _ssl_context(options.verify_tls, str(options.ca_file) if options.ca_file else None)
    except OSError as error:
        raise _unusable("ca_file", options.ca_file, error) from None
    certificate = options.client_certificate
    if certificate is None:
        return context
    # A context of its own: the shared ones must not show this connection's certificate to other hosts, and a renewed
    # file has to be read when the connection is made anew.
    context = _ssl_context.__wrapped__(options.verify_tls, str(options.ca_file) if options.ca_file else None)
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, options.client_key, lambda: options.client_key_password or "")
    except OSError as error:
        files = f"{certificate} with {options.client_key}" if options.client_key else certificate
        raise _unusable("client certificate", files, error, options.client_key or certificate) from None
    return context


def _unusable(what: str, file: object, error: OSError, key: Path | None = None) -> HoldError:
    if not isinstance(error, ssl.SSLError):
        why = error.strerror or str(error)
    elif error.reason == "KEY_VALUES_MISMATCH":
        why = "the key doesn't belong to the certificate"
    elif key is not None and b"ENCRYPTED" in key.read_bytes():  # OpenSSL's own word is the same for every fault
        why = "the key's password is missing or wrong"
    else:
        why = f"it must be PEM, -----BEGIN CERTIFICATE-----{', and a private key with it' if key else ''}"
    return HoldError(f"the {what} {file} can't be used: {why}", cause=f"{what} can't be used")


def _certificate_refused(error: BaseException, host: str, given: bool) -> HoldError | None:
    """What a server says of our certificate, or of there being none; in TLS 1.3 it says so after the handshake."""
    seen: BaseException | None = error
    while seen is not None:
        said = f"{getattr(seen, 'reason', '') or ''} {seen}".upper()
        if isinstance(seen, OSError) and _REFUSED_CERTIFICATE.search(said):
            remedy = (
                "it refuses the client certificate: renew client_cert, or have its issuer trusted there"
                if given
                else "it asks for a client certificate: give the connection a client_cert"
            )
            return HoldError(f"no secure connection to {host}: {remedy}", cause="client certificate refused")
        seen = seen.__cause__ or seen.__context__
    return None


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a connection is spoken to.

    allow_private       connect to private addresses too
    redirect_hosts      hosts that a redirect may lead to beside the one that was asked
    secret_headers      names (lower case) of headers that must not follow a redirect to another host
    idle_seconds        how long an unused network connection is kept, at most four seconds
    resolver            for tests that need a name to resolve to something
    client_certificate  PEM file for a server that asks for one (mTLS); client_key has its key, where it hasn't
    """

    allow_private: bool = False
    follow_redirects: bool = False
    redirect_hosts: frozenset[str] = frozenset()
    secret_headers: frozenset[str] = frozenset()
    verify_tls: bool = True
    ca_file: Path | None = None
    connect_timeout: timedelta = timedelta(seconds=10)
    max_reply_bytes: int = MAX_REPLY_BYTES
    idle_seconds: float = _IDLE_SECONDS
    resolver: Any = field(default=None, compare=False)
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_key_password: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class HttpRequest:
    """What the transport reads of an httpx.Request, without the third of a post's time that making one costs.

    url      absolute, percent-encoded
    headers  lower-case names; Host and Content-Length are added on the way
    """

    method: str
    url: str
    headers: dict[str, str]
    content: bytes = b""
    extensions: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1024)
def _host(url: str) -> str:
    return urlsplit(url).hostname or url


class Client:
    """Sends requests and gives back what was received; sorts what goes wrong on the way by fate.

    request = HttpRequest("POST", url, headers, content)
    received = await client.send(request, timeout=call.timeout)
    reply = sort_response(received)
    """

    def __init__(self, options: ClientOptions = ClientOptions()) -> None:
        self.options = options
        self._transport: AiohttpTransport | None = None

    def _open(self) -> AiohttpTransport:
        if self._transport is None:
            options = self.options
            context = _tls(options)
            connector = aiohttp.TCPConnector(
                ssl=context,
                limit=0,  # the lane bounds concurrency
                keepalive_timeout=min(options.idle_seconds, _IDLE_SECONDS),
                resolver=options.resolver,
                socket_factory=socket_factory(options.allow_private),
            )
            session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("Content-Type",)
            )
            # Else aiohttp sends a PUT or DELETE again by itself where the connection closes without an answer: an
            # attempt that nobody counts, and one too many where a PUT adds something. There is no other switch.
            session._retry_connection = False
            self._transport = AiohttpTransport(verify=context, client=session)
        return self._transport

    async def aclose(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def reach(self, url: str, timeout: timedelta) -> str:
        """The host, once a connection stands; nothing is sent. Raises a DeliveryError that says why it doesn't."""
        options = self.options
        within = min(timeout, options.connect_timeout)
        return await reach(url, within, _tls(options), allow_private=options.allow_private)

    async def send(self, request: HttpRequest, *, timeout: timedelta, idempotent: bool | None = None) -> Received:
        """Send once, and again only where a redirect is followed. Raises a DeliveryError sorted by fate.

        `idempotent` says whether a repeat does no harm; None leaves that to the method.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + timeout.total_seconds()
        for followed in range(MAX_REDIRECTS + 1):
            received = await self._exchange(request, max(end - clock(), 0.001), idempotent, redirected=followed > 0)
            if not (self.options.follow_redirects and 300 <= received.status < 400 and "location" in received.headers):
                return received
            request = self._redirected(request, received)
        raise PermanentError(f"{received.host} redirects in circles", status=received.status, cause="redirect circle")

    async def _exchange(
        self, request: HttpRequest, seconds: float, idempotent: bool | None, *, redirected: bool
    ) -> Received:
        host = _host(request.url)
        # Shorter than the whole, so that running out of time afterwards means the request had gone out.
        connect = min(self.options.connect_timeout.total_seconds(), max(seconds - 1, seconds / 2))
        request.extensions = {"timeout": {"connect": connect, "pool": connect, "read": seconds}}
        repeatable = request.method in IDEMPOTENT_METHODS if idempotent is None else idempotent
        response: httpx.Response | None = None
        headers: Mapping[str, str] = {}
        body, cut = b"", ""
        try:
            async with asyncio.timeout(seconds):
                response = await self._open().handle_async_request(cast(httpx.Request, request))
                headers = _plain(response.headers)
                body, cut = await self._read(response, headers.get("content-encoding", ""))
        except DeliveryError:
            raise
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if response is None:
                refused = _certificate_refused(error, host, self.options.client_certificate is not None)
                if refused is not None:
                    raise refused from None
                raise sort_error(error, host, idempotent=repeatable, redirected=redirected) from None
            # The status is known, and it alone says what became of the delivery.
            cut = BROKE_OFF
        finally:
            if response is not None:
                await _release(response)
        return Received(response.status_code, headers, body, cut, host)

    async def _read(self, response: httpx.Response, encoding: str) -> tuple[bytes, str]:
        limit = self.options.max_reply_bytes
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks: list[bytes] = []
        size = 0
        cut = ""
        async for chunk in response.stream:
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                cut = f"the reply was cut at {limit} bytes"
                break
        body = b"".join(chunks)[:limit]
        return _unpacked(body, encoding.strip().lower(), limit, cut) if encoding else (body, cut)

    def _redirected(self, request: HttpRequest, received: Received) -> HttpRequest:
        """The request a redirect asks for. Raises PermanentError where it may not be followed."""
        came, host = urlsplit(request.url), _host(request.url)
        try:
            target = urljoin(request.url, received.headers["location"])
            to = urlsplit(target)
            where, port = to.hostname or "", to.port
        except ValueError:
            target, to, where, port = "", urlsplit(""), "", None

        def refused(why: str) -> PermanentError:
            said = f"{host} answered {received.line} and points to {where or 'nowhere'}"
            return PermanentError(f"{said}: {why}", status=received.status, cause="redirect refused")

        if to.scheme not in ("http", "https") or not where:
            raise refused("not an address that can be called")
        if came.scheme == "https" and to.scheme == "http":
            raise refused("it would leave the secure connection")
        if where != host and where not in self.options.redirect_hosts:
            raise refused("another host; name it under redirect_hosts if that is meant")
        if "@" in to.netloc:
            raise refused("it carries credentials")
        headers = dict(request.headers)
        if (to.scheme, where, port) != (came.scheme, host, came.port):
            for name in _CREDENTIALS | self.options.secret_headers:
                headers.pop(name, None)
        method, content = request.method, request.content
        if received.status == 303 and method != "HEAD":
            method, content = "GET", b""
            headers.pop("content-type", None)
        elif received.status not in (307, 308) and method not in ("GET", "HEAD"):
            raise refused(f"following it would turn the {method} into a GET and lose the body")
        return HttpRequest(method, target.partition("#")[0], headers, content)


async def _release(response: httpx.Response) -> None:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    with suppress(httpx.HTTPError, aiohttp.ClientError, OSError):  # it is being thrown away
        await response.stream.aclose()


def _plain(headers: httpx.Headers) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.raw}


def _unpacked(body: bytes, encoding: str, limit: int, cut: str) -> tuple[bytes, str]:
    """We ask for no compression; a server that compresses all the same is read as far as the limit."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return body, cut or f"the reply is packed as {encoding}"
    try:
        packed = zlib.decompressobj(zlib.MAX_WBITS | 32)
        plain = packed.decompress(body, limit + 1)
    except zlib.error:
        return b"", "the reply could not be unpacked"
    return (plain[:limit], f"the reply was cut at {limit} bytes") if len(plain) > limit else (plain, cut)


def base_headers(extra: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """What every request carries. aiohttp would ask for compression by itself; replies are small."""
    return {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity", **dict(extra)}
