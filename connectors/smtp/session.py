"""One mail over one SMTP connection: what the server says, sorted by what becomes of the delivery.

Up to the dot that ends a mail the server has promised nothing (RFC 5321, 4.1.1.4), so whatever goes wrong before it may
be repeated. From the dot on the mail may be on its way. So the dot is written by itself, after all the rest has left.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import aiosmtplib

from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import PrivateAddressError, Redactor, open_socket, refusal

Security = Literal["starttls", "tls", "none"]

#: Bad or missing credentials, or none strong enough (RFC 4954); Sendmail and Exchange say 530 to MAIL as well.
_CREDENTIALS = frozenset({530, 534, 535, 538})
_CHUNK_BYTES = 64 * 1024
_BUFFERED_SECONDS = 0.01
_QUIT_SECONDS = 1.0
_SAID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over, and how.

    skip_refused  leave out recipients that the server refuses for good, instead of sending nothing to anyone
    """

    host: str
    port: int
    security: Security
    username: str | None
    password: str
    local_name: str | None
    allow_private: bool
    connect_timeout: timedelta
    skip_refused: bool
    redact: Redactor
    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Envelope:
    sender: str
    recipients: Sequence[str]
    utf8: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the server has taken over, and the recipients it had refused for good."""

    code: int
    text: str
    refused: Mapping[str, str]


class _Stage:
    """How far it got: what an operator reads, and whether the mail may have been taken."""

    def __init__(self) -> None:
        self.name = "connecting"
        self.ended = False


class Session:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.stage = _Stage()
        self._client: aiosmtplib.SMTP | None = None

    async def send(self, envelope: Envelope, timeout: timedelta) -> Taken:
        """Raises a DeliveryError sorted by fate."""
        async with self._logged_in(timeout) as client:
            refused = await self._address(client, envelope)
            return await self._hand_over(client, envelope.content, refused)

    async def look(self, timeout: timedelta) -> None:
        """Everything but a mail. Raises a DeliveryError sorted by fate."""
        async with self._logged_in(timeout) as client:
            self.stage.name = "NOOP"
            said = await client.execute_command(b"NOOP")
            self._expect(said.code, said.message)
            await self._farewell(client)

    @asynccontextmanager
    async def _logged_in(self, timeout: timedelta) -> AsyncIterator[aiosmtplib.SMTP]:
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                client = await self._open()
                await self._hello(client)
                await self._log_in(client)
                yield client
        except DeliveryError:
            raise
        except aiosmtplib.SMTPResponseException as error:
            raise self._refused(error.code, error.message) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._broken(error) from None
        finally:
            if self._client is not None:
                self._client.close()

    async def _farewell(self, client: aiosmtplib.SMTP) -> None:
        """Done already: whatever goes wrong from here on is of no matter."""
        self.stage.name = "QUIT"
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(_QUIT_SECONDS):
                await client.quit()

    async def _open(self) -> aiosmtplib.SMTP:
        server = self.server
        try:
            async with asyncio.timeout(server.connect_timeout.total_seconds()):
                opened = await open_socket(server.host, server.port, allow_private=server.allow_private)
        except PrivateAddressError as error:
            raise HoldError(refusal(server.host, error.address), cause="private address refused") from None
        except socket.gaierror as error:
            message = f"the name {server.host} can't be resolved: {error.strerror or error}"
            raise RetryableError(message, cause="dns failure") from None
        except TimeoutError:
            raise RetryableError(f"{server.host} didn't take the connection in time", cause="connect timeout") from None
        except OSError as error:
            message = f"no connection to {server.host}: {error.strerror or error}"
            raise RetryableError(message, cause="no connection") from None
        self.stage.name = "greeting"
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=opened,
            timeout=None,  # the whole attempt has one
            use_tls=server.security == "tls",
            start_tls=False,
            tls_context=server.context,
            local_hostname=server.local_name or _literal(opened),
        )
        try:
            await self._client.connect()
        except BaseException:
            opened.close()
            raise
        return self._client

    async def _hello(self, client: aiosmtplib.SMTP) -> None:
        self.stage.name = "EHLO"
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError as error:
            if error.code not in (500, 502) or self.server.security == "starttls":
                raise
            await client.helo()
        if self.server.security != "starttls":
            return
        self.stage.name = "STARTTLS"
        if not client.supports_extension("starttls"):
            message = f"{self.server.host} offers no STARTTLS; set security: tls (or, on a network of yours, none)"
            raise HoldError(message, cause="no starttls")
        await client.starttls()
        self.stage.name = "EHLO"
        await client.ehlo()

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        server = self.server
        if server.username is None:
            return
        self.stage.name = "AUTH"
        # One method only: each wrong try counts towards the lock of an account.
        if "plain" in client.server_auth_methods:
            await client.auth_plain(server.username.encode(), server.password.encode())
        elif "login" in client.server_auth_methods:
            await client.auth_login(server.username.encode(), server.password.encode())
        else:
            message = (
                f"{server.host} offers neither AUTH PLAIN nor LOGIN; leave out username and password, or ask there"
            )
            raise HoldError(message, cause="no way to log in")

    async def _address(self, client: aiosmtplib.SMTP, envelope: Envelope) -> dict[str, str]:
        """MAIL and RCPT; gives the recipients that are left out. Nothing has been promised to anyone yet."""
        self.stage.name = "MAIL"
        options = self._options(client, envelope)
        said = await client.execute_command(b"MAIL", f"FROM:<{envelope.sender}>".encode(), *options)
        self._expect(said.code, said.message)
        self.stage.name = "RCPT"
        temporary: dict[str, tuple[int, str]] = {}
        final: dict[str, tuple[int, str]] = {}
        for recipient in envelope.recipients:
            said = await client.execute_command(b"RCPT", f"TO:<{recipient}>".encode())
            if said.code == 421 or said.code in _CREDENTIALS or not 200 <= said.code < 600:
                raise self._refused(said.code, said.message)
            if said.code >= 300:
                (final if said.code >= 500 else temporary)[recipient] = (said.code, said.message)
        if final and not (self.server.skip_refused and len(final) < len(envelope.recipients)):
            raise self._recipients_refused(final, len(envelope.recipients))
        if temporary:
            raise self._recipients_refused(temporary, len(envelope.recipients))
        return {who: self._said(*answer) for who, answer in final.items()}

    def _options(self, client: aiosmtplib.SMTP, envelope: Envelope) -> list[bytes]:
        """Raises PermanentError where the server has said that it won't take such a mail."""
        host, size = self.server.host, len(envelope.content)
        options: list[bytes] = []
        if client.supports_extension("size"):
            limit = client.esmtp_extensions["size"].strip()
            if limit.isascii() and limit.isdigit() and 0 < int(limit[:18]) < size:
                message = f"the mail has {size} bytes and {host} takes {int(limit[:18])}; attach less"
                raise PermanentError(message, cause="mail too large")
            options.append(b"SIZE=%d" % size)
        if envelope.utf8:
            if not client.supports_extension("smtputf8"):
                message = f"{host} takes no addresses with letters beyond ASCII before the @ (no SMTPUTF8)"
                raise PermanentError(message, cause="no smtputf8")
            options += [b"BODY=8BITMIME", b"SMTPUTF8"]
        return options

    async def _hand_over(self, client: aiosmtplib.SMTP, content: bytes, refused: Mapping[str, str]) -> Taken:
        self.stage.name = "DATA"
        said = await client.execute_command(b"DATA")
        if said.code != 354:
            raise self._refused(said.code, said.message)
        self.stage.name = "sending the mail"
        stuffed = re.sub(rb"(?m)^\.", b"..", content)
        for start in range(0, len(stuffed), _CHUNK_BYTES):
            self._protocol(client).write(stuffed[start : start + _CHUNK_BYTES])
            await self._written(client)
        if not stuffed.endswith(b"\r\n"):
            self._protocol(client).write(b"\r\n")
        await self._written(client)
        self.stage.name, self.stage.ended = "the end of the mail", True
        said = await client.execute_command(b".")
        self._expect(said.code, said.message)
        await self._farewell(client)
        return Taken(said.code, self._said(said.code, said.message), refused)

    @staticmethod
    def _protocol(client: aiosmtplib.SMTP) -> Any:
        if client.protocol is None or not client.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("connection lost")
        return client.protocol

    async def _written(self, client: aiosmtplib.SMTP) -> None:
        """Once nothing waits in this process; the library has no public way to be told."""
        while self._protocol(client).transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(_BUFFERED_SECONDS)
        await asyncio.sleep(0)

    def _expect(self, code: int, text: str) -> None:
        if not 200 <= code < 300:
            raise self._refused(code, text)

    def _refused(self, code: int, text: str) -> DeliveryError:
        stage, said = self.stage, self._said(code, text)
        host = self.server.host
        record = {"stage": stage.name, "code": code, "text": said}
        if not 200 <= code < 600:
            what = f"{host} answered something that isn't SMTP ({stage.name})"
            if stage.ended:
                return UnknownOutcomeError(f"{what}; the mail may be on its way", cause="answer is not smtp")
            return RetryableError(what, cause="answer is not smtp")
        message, cause = f"{host} answered {said} ({stage.name})", f"smtp {code}"
        if code in _CREDENTIALS:
            remedy = "check the connection's username and password, and that they may send by SMTP"
            return HoldError(f"{message}; {remedy}", status=code, cause=cause, received=record)
        if code < 500:
            # 2yz and 3yz where they don't belong: nothing was sent, and the server is out of step.
            return RetryableError(message, status=code, cause=cause, received=record)
        if stage.name in ("greeting", "EHLO", "STARTTLS", "AUTH"):
            return HoldError(f"{message}; it takes no mail from us", status=code, cause=cause, received=record)
        return PermanentError(message, status=code, cause=cause, received=record)

    def _recipients_refused(self, refused: Mapping[str, tuple[int, str]], count: int) -> DeliveryError:
        who = {recipient: self._said(*answer) for recipient, answer in refused.items()}
        code = next(iter(refused.values()))[0]
        shown = "; ".join(f"{recipient}: {said}" for recipient, said in list(who.items())[:3])
        more = f" and {len(who) - 3} more" if len(who) > 3 else ""
        message = f"{self.server.host} refused {len(who)} of {count} recipients, so nobody was sent it: {shown}{more}"
        record = {"stage": "RCPT", "refused": who}
        kind = PermanentError if code >= 500 else RetryableError
        return kind(message, status=code, cause=f"recipient refused: smtp {code}", received=record)

    def _broken(self, error: Exception) -> DeliveryError:
        host, stage = self.server.host, self.stage
        real = error if isinstance(error, ssl.SSLError) else error.__cause__
        if isinstance(error, TimeoutError):
            what, cause = f"{host} gave no answer in time ({stage.name})", "no answer in time"
        elif isinstance(real, ssl.SSLError):
            why = getattr(real, "verify_message", "") or real.reason or "the handshake failed"
            what, cause = f"no secure connection to {host}: {why}", "tls failure"
        else:
            what, cause = f"{host} closed the connection ({stage.name})", "connection closed"
        if stage.ended:
            message = f"{what}; the whole mail had gone out, so it may be on its way"
            return UnknownOutcomeError(message, cause=cause)
        return RetryableError(what, cause=cause)

    def _said(self, code: int, text: str) -> str:
        """`550 5.1.1 no such user`, on one line, without our secrets."""
        plain = text.encode("utf-8", "replace").decode()
        words = self.server.redact(" ".join(re.sub(r"[^\x20-\x7e\u00a1-\uffff]", " ", plain).split()))
        return f"{code} {words[:_SAID_CHARACTERS]}{'…' if len(words) > _SAID_CHARACTERS else ''}".strip()


def _literal(opened: socket.socket) -> str:
    """RFC 5321, 4.1.3: a client without a name gives its address. A machine's own name often says too much."""
    address = str(opened.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
