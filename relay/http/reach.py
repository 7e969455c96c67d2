"""Open a connection to a host and close it again: whether anybody is there, without a word of HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit

from relay.errors import HoldError, PermanentError, RetryableError
from relay.http.guard import PrivateAddressError, open_socket, refusal

#: OpenSSL's words where the other side speaks something else.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE", "HTTP_REQUEST"})


async def reach(url: str, timeout: timedelta, context: ssl.SSLContext, *, allow_private: bool) -> str:
    """The host, once TCP and, for https, TLS stand. Raises a DeliveryError that says in words why they don't."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host:
        raise PermanentError(f"{url.partition('?')[0][:200]} is not an address", cause="invalid address")
    secure = parts.scheme == "https"
    opened: socket.socket | None = None
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            opened = await open_socket(host, port or (443 if secure else 80), allow_private=allow_private)
            if secure:
                await _handshake(opened, host, context)
    except PrivateAddressError as error:
        raise HoldError(refusal(host, error.address), cause="private address refused") from None
    except socket.gaierror as error:
        message = f"the name {host} can't be resolved: {error.strerror or error}"
        raise RetryableError(message, cause="dns failure") from None
    except TimeoutError:
        raise RetryableError(f"{host} didn't take the connection in time", cause="connect timeout") from None
    except ssl.SSLError as error:
        raise RetryableError(f"no secure connection to {host}: {_why(error)}", cause="tls failure") from None
    except OSError as error:
        if opened is not None:
            message = f"no secure connection to {host}: it closed the connection"
            raise RetryableError(message, cause="tls failure") from None
        # asyncio's own text names the address over again.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise RetryableError(f"no connection to {host}: {why}", cause="no connection") from None
    except UnicodeError:
        raise PermanentError(f"{host} is not the name of a host", cause="invalid address") from None
    finally:
        if opened is not None:
            opened.close()
    return host


async def _handshake(opened: socket.socket, host: str, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection(sock=opened, ssl=context, server_hostname=host)
    writer.close()
    # Its farewell is of no matter.
    with suppress(OSError):
        await writer.wait_closed()


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if error.reason in _NOT_TLS:
        return "it doesn't speak TLS at this port; check the port, and whether the address starts with http://"
    return (error.reason or "the handshake failed").replace("_", " ").lower()
