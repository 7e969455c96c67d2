"""A real mail server (aiosmtpd) that is stricter than most, and that can be made to fail at any point of a session."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "relay@example.com", "pässword-s3cret"
_ONCE = ("from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version", "content-type")


@dataclass
class Received:
    sender: str
    recipients: list[str]
    options: list[str]
    content: bytes
    secure: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """mails       what was taken over
    instead     by stage (greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, body, end, QUIT): an answer, or one of
                close, reset, hang, garbage
    refused     answers to single recipients
    stages      every stage that was reached
    """

    mails: list[Received] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    stages: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self._judge(envelope.original_content, bool(envelope.smtp_utf8))
        if re.fullmatch(r"[45]\d\d .*", self.instead.get("end", "")):
            return self.instead["end"]
        user = session.auth_data.login.decode() if session.authenticated else None
        self.mails.append(
            Received(
                envelope.mail_from,
                list(envelope.rcpt_tos),
                list(envelope.mail_options),
                envelope.original_content,
                session.ssl is not None,
                user,
            )
        )
        return "250 2.0.0 queued as 4ABC"

    def _judge(self, content: bytes, utf8: bool) -> None:
        """What a strict filter would refuse, noted for the test to fail on."""
        parsed = message_from_bytes(content, policy=policy.default)
        names = [name.lower() for name in parsed]
        for name in _ONCE:
            if names.count(name) > 1:
                self.complaints.append(f"{name} more than once")
        for name in ("from", "subject", "message-id", "mime-version"):
            if name not in names:
                self.complaints.append(f"no {name}")
        if "bcc" in names:
            self.complaints.append("bcc is shown to everyone")
        if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
            self.complaints.append("a bare line break")
        if not utf8 and not content.isascii():
            self.complaints.append("8 bits without being asked for")
        if any(len(line) > 998 for line in content.split(b"\r\n")):
            self.complaints.append("a line too long")
        for part in parsed.walk():
            self.complaints += [f"defect {defect!r}" for defect in part.defects]


class _Peer(SMTP):
    """One connection. aiosmtpd answers through `push`, so that is where it is told otherwise."""

    def __init__(self, server: MailServer, **settings: Any) -> None:
        super().__init__(server, hostname="mail.test", ident="fake", **settings)
        self.told = server
        self.stage = "greeting"
        self.answered = False

    async def push(self, status: Any) -> None:
        stage = self.stage
        self.told.stages.append(stage)
        text = status if isinstance(status, str) else status.decode()
        instead = self.told.instead.get("body" if stage == "DATA" and text.startswith("354") else "", "")
        instead = self.told.instead.get(stage, "") or instead
        if stage == "DATA" and text.startswith("354"):
            self.stage = "end"
            if self.told.instead.get("body"):
                await super().push(status)
                await self._reader.read(100)
        if not instead or instead == text:
            await super().push(status)
        elif self.answered:
            return  # one answer for an EHLO's many lines
        elif instead == "hang":
            await asyncio.sleep(30)
        elif instead == "garbage":
            await super().push("HTTP/1.1 400 Bad Request")
        elif instead in ("close", "reset"):
            self._part(instead)
        elif stage != "end":
            self.answered = True
            await super().push(instead)
            if instead.startswith("421"):
                self._part("close")

    def _part(self, how: str) -> None:
        transport: Any = self.transport
        transport.abort() if how == "reset" else transport.close()
        raise ConnectionResetError("as told")


def _staged(command: str) -> Any:
    async def run(self: _Peer, arg: str) -> None:
        self.stage, self.answered = command, False
        await getattr(SMTP, f"smtp_{command}")(self, arg)

    # aiosmtpd reads the help texts and limits off the method.
    run.__dict__.update(getattr(SMTP, f"smtp_{command}").__dict__)
    return run


for _command in ("EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"):
    setattr(_Peer, f"smtp_{_command}", _staged(_command))


def _log_in(_: Any, __: Any, ___: Any, ____: str, given: LoginPassword) -> AuthResult:
    fine = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fine, handled=False, auth_data=given)


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, auth: bool = False, **settings: Any
) -> AsyncIterator[MailServer]:
    """With `tls` it demands STARTTLS, with `implicit` it speaks TLS from the start; with `auth` it demands that."""
    server = MailServer()
    loop = asyncio.get_running_loop()
    peers: list[_Peer] = []

    def peer() -> _Peer:
        server.connections += 1
        made = _Peer(
            server,
            loop=loop,
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            auth_required=auth,
            auth_require_tls=auth and not implicit,
            authenticator=_log_in,
            **settings,
        )
        peers.append(made)
        return made

    listening = await loop.create_server(peer, "127.0.0.1", 0, ssl=tls if implicit else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for made in peers:
            task = made._handler_coroutine
            if made.transport is not None:
                made.transport.abort()  # type: ignore[attr-defined]
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    assert server.complaints == []


@cache
def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1 and localhost, and the file that makes clients trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "mail.pem", folder / "mail.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem
