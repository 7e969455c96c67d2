"""Sort what came back, or did not, by what becomes of the delivery."""

from __future__ import annotations

import http
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx

from relay.errors import (
    DeliveryError,
    HoldError,
    PermanentError,
    RetryableError,
    UnknownOutcomeError,
)
from relay.http.guard import PRIVATE_ERRNO, PrivateAddressError, refusal
from relay.http.redact import Redactor, redact_headers, redact_url
from relay.http.reply import decode
from relay.model import Reply

#: May get better by itself, whoever says it. 409 only where the connector says so; 529 is Notion's overload.
RETRY_ON = frozenset({408, 425, 429})
HOLD_ON = frozenset({401})
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})

#: How much of a reply an attempt's record keeps.
RECORDED_CHARACTERS = 4000
_RECORDED_HEADERS = 30
_NOTHING_HIDDEN = Redactor(())
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, read as far as the connection's `max_reply` lets it.

    cut   why the body is not whole; "" where it is
    host  who was asked, for messages
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    cut: str = ""
    host: str = ""

    @property
    def line(self) -> str:
        """`201 Created`. The standard phrase and not the server's, which can say anything."""
        return f"{self.status} {_PHRASES.get(self.status, '')}".rstrip()

    def record(self, redact: Redactor = _NOTHING_HIDDEN) -> dict[str, Any]:
        """What the attempt's record keeps: redacted and cut."""
        headers = dict(list(self.headers.items())[:_RECORDED_HEADERS])
        if "location" in headers:
            headers["location"] = redact_url(headers["location"])
        kept: dict[str, Any] = {
            "status": self.status,
            "headers": {name: redact(value) for name, value in redact_headers(headers).items()},
        }
        if self.body:
            # Cut after redacting: a secret cut in half would no longer be found.
            text = redact(self.body[: RECORDED_CHARACTERS * 8].decode("utf-8", "replace"))
            kept["body"] = text if len(text) <= RECORDED_CHARACTERS else text[:RECORDED_CHARACTERS] + "…"
        if self.cut:
            kept["cut"] = self.cut
        return kept


@dataclass(frozen=True, slots=True)
class Sorting:
    """What a connection says about the statuses that mean different things at different destinations."""

    retry_on: frozenset[int] = RETRY_ON
    hold_on: frozenset[int] = HOLD_ON
    redact: Redactor = field(default=_NOTHING_HIDDEN)


DEFAULT_SORTING = Sorting()


def retry_after(value: str | None, now: datetime | None = None) -> timedelta | None:
    """Retry-After in seconds or as an HTTP date. Never negative; what can't be read is None."""
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        # Ten years is longer than any policy's step; beyond it timedelta itself would overflow.
        return timedelta(seconds=min(int(text[:12]), 315_360_000))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(moment - (now or datetime.now(UTC)), timedelta(0))


#: Of a reply whose connection was lost, or whose time was up, before it was whole.
BROKE_OFF = "the reply broke off"


def sort_response(received: Received, sorting: Sorting = DEFAULT_SORTING) -> Reply:
    """A Reply for any 2xx, whatever its body looks like; else a DeliveryError sorted by fate."""
    status = received.status
    if 200 <= status < 300:
        summary = f"{received.line} ({received.cut})" if received.cut else received.line
        return Reply(
            body=decode(received.body, received.headers.get("content-type", "")),
            summary=summary,
            status=status,
            received=received.record(sorting.redact),
        )
    raise _failure(received, sorting)


def _failure(received: Received, sorting: Sorting) -> DeliveryError:
    status, host, line = received.status, received.host, received.line
    record = received.record(sorting.redact)
    cause = f"http {status}"
    if status in sorting.retry_on or status >= 500:
        return RetryableError(
            f"{host} answered {line}{_said(record)}",
            retry_after=retry_after(received.headers.get("retry-after")),
            status=status,
            cause=cause,
            received=record,
        )
    if status in sorting.hold_on:
        remedy = "check the connection's credentials and what they may do"
        return HoldError(
            f"{host} answered {line}{_said(record)}; {remedy}", status=status, cause=cause, received=record
        )
    if status == 410:
        message = f"{host} answered {line}: it wants no more; the connection is off until an operator turns it on"
        return HoldError(message, status=status, cause="http 410 gone", received=record)
    if 300 <= status < 400:
        to = urlsplit(received.headers.get("location", "")).netloc.rpartition("@")[2] or host
        return PermanentError(
            f"{host} answered {line} and points to {to}; put the right address into the connection's base_url",
            status=status,
            cause=cause,
            received=record,
        )
    return PermanentError(f"{host} answered {line}{_said(record)}", status=status, cause=cause, received=record)


def _said(record: Mapping[str, Any]) -> str:
    """The first words of an error's body: what an operator needs, on one line."""
    words = " ".join(str(record.get("body", "")).split())
    if not words or words.startswith("<"):  # an HTML page tells nothing in a line
        return ""
    return f": {words[:200]}{'…' if len(words) > 200 else ''}"


def sort_error(error: BaseException, host: str, *, idempotent: bool, redirected: bool = False) -> DeliveryError:
    """What an exception of the transport means.

    httpx-aiohttp 0.2 maps every aiohttp.ClientConnectionError to httpx.ConnectTimeout, a reset after the request went
    out among them, so the class of the cause decides and not the class that was raised.
    """
    real = error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ is not None else error
    if isinstance(real, aiohttp.ClientConnectorError):
        return _not_connected(real, host, redirected)
    if isinstance(real, aiohttp.ConnectionTimeoutError):
        return RetryableError(f"{host} didn't take the connection in time", cause="connect timeout")
    if isinstance(real, (aiohttp.InvalidURL, httpx.UnsupportedProtocol, httpx.InvalidURL)):
        return PermanentError(f"{host} is not an address that can be called", cause="invalid address")
    if isinstance(real, (aiohttp.ServerTimeoutError, TimeoutError)):
        what, cause = f"{host} gave no answer in time", "no answer in time"
    elif isinstance(real, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError)):
        what, cause = f"{host} answered something that isn't HTTP", "answer is not http"
    else:
        what, cause = f"{host} closed the connection without an answer", "connection closed"
    if idempotent:
        return RetryableError(what, cause=cause)
    return UnknownOutcomeError(f"{what}; the request had gone out, so it may have been done", cause=cause)


def _not_connected(error: aiohttp.ClientConnectorError, host: str, redirected: bool) -> DeliveryError:
    reason = error.os_error
    if reason.errno == PRIVATE_ERRNO:
        address = reason.address if isinstance(reason, PrivateAddressError) else _address_in(str(reason))
        message = refusal(host, address)
        # The connection's own host: every delivery would fail alike. A redirect is one answer's doing.
        kind = PermanentError if redirected else HoldError
        return kind(message, cause="private address refused")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return RetryableError(f"the name {host} can't be resolved: {reason.strerror or reason}", cause="dns failure")
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        why = getattr(reason, "verify_message", "") or getattr(reason, "reason", "") or "the handshake failed"
        return RetryableError(f"no secure connection to {host}: {why}", cause="tls failure")
    if isinstance(reason, ssl.SSLError):
        return RetryableError(f"no secure connection to {host}: {reason.reason}", cause="tls failure")
    return RetryableError(f"no connection to {host}: {reason.strerror or reason}", cause="no connection")


def _address_in(joined: str) -> str:
    return joined.partition("private address ")[2].partition(",")[0] or "unknown"
