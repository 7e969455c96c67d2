"""A second, unlike SFTP server, and a wire that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh

from tests.servers import SftpServer, find_program, free_port, wait_for_port


@contextlib.contextmanager
def proftpd_server(folder: Path) -> Iterator[SftpServer]:
    """ProFTPD's mod_sftp on loopback: it shares no line of code with OpenSSH's."""
    proftpd = find_program("proftpd", "proftpd-core proftpd-mod-crypto")
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    root.mkdir()
    host_key, login = asyncssh.generate_private_key("ssh-rsa"), asyncssh.generate_private_key("ssh-ed25519")
    (folder / "host_key").write_bytes(host_key.export_private_key("pkcs1-pem"))
    (folder / "host_key").chmod(0o600)
    (folder / "login.pub").write_bytes(login.export_public_key("rfc4716"))
    user, port = getpass.getuser(), free_port()
    (folder / "passwd").write_text(f"{user}:x:{os.getuid()}:{os.getgid()}::{root}:/bin/sh\n")
    (folder / "passwd").chmod(0o600)
    (folder / "proftpd.conf").write_text(
        f"""
        ServerName test
        ServerType standalone
        Port {port}
        DefaultAddress 127.0.0.1
        SocketBindTight on
        UseReverseDNS off
        UseIPv6 off
        ModulePath /usr/lib/proftpd
        LoadModule mod_sftp.c
        PidFile {folder}/pid
        ScoreboardFile {folder}/scoreboard
        DelayTable none
        SystemLog {folder}/proftpd.log
        TransferLog none
        WtmpLog off
        RootLogin on
        UseFtpUsers off
        RequireValidShell off
        AuthPAM off
        AuthOrder mod_auth_file.c
        AuthUserFile {folder}/passwd
        AllowOverwrite on
        SFTPEngine on
        SFTPLog {folder}/sftp.log
        SFTPHostKey {folder}/host_key
        SFTPAuthMethods publickey
        SFTPAuthorizedUserKeys file:{folder}/login.pub
"""
    )
    log = (folder / "out.log").open("ab")
    process = subprocess.Popen([proftpd, "-n", "-q", "-c", str(folder / "proftpd.conf")], stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield SftpServer(
            "127.0.0.1",
            port,
            user,
            host_key.export_public_key().decode().strip(),
            login.export_private_key().decode(),
            root,
            process.pid,
        )
    finally:
        process.terminate()
        process.wait(10)
        log.close()


class Wire:
    """What goes to a server. `cut_after = n` lets n more pieces through, and the answer to the last is lost.

    Once cut it stays dead until `mend` is called.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.cut_after: int | None = None
        self.dead = False
        self._writers: list[asyncio.StreamWriter] = []

    def mend(self) -> None:
        self.dead, self.cut_after = False, None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dead:
            _reset(writer)
            return
        there, to = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers += [writer, to]
        back = asyncio.create_task(self._back(there, writer))
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                to.write(data)
                await to.drain()
                if self.cut_after is not None:
                    self.cut_after -= 1
                    if self.cut_after <= 0:
                        self.dead = True
                        await asyncio.sleep(0.02)  # the server does what was asked of it
                        break
        back.cancel()
        _reset(writer)
        to.close()

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(65536):
                if self.cut_after is not None and self.cut_after <= 1 and self.dead:
                    return
                writer.write(data)
                await writer.drain()
            writer.close()

    async def aclose(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def wire_to(server: SftpServer) -> AsyncIterator[Wire]:
    wire = Wire(server.port)
    listening = await asyncio.start_server(wire._serve, "127.0.0.1", 0)
    wire.port = listening.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        listening.close()
        await wire.aclose()


class Plain(asyncssh.SFTPServer):
    """A server without OpenSSH's extensions, whose disk can be full."""

    full = False

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if self.full and pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPFailure("Failure")
        return super().open(path, pflags, attrs)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no")

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("no")


@contextlib.asynccontextmanager
async def plain_server(folder: Path, kind: type[Plain] = Plain) -> AsyncIterator[SftpServer]:
    key, login = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    accepted: list[asyncssh.SSHServerConnection] = []
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        acceptor=accepted.append,
        server_host_keys=[key],
        authorized_client_keys=asyncssh.import_authorized_keys(login.export_public_key().decode()),
        sftp_factory=lambda channel: kind(channel, chroot=str(folder).encode()),
    )
    try:
        yield SftpServer(
            "127.0.0.1",
            server.get_port(),
            "u",
            key.export_public_key().decode(),
            login.export_private_key().decode(),
            folder,
        )
    finally:
        for connection in accepted:
            connection.abort()
            await connection.wait_closed()
        server.close()
        await server.wait_closed()


class Overwriting(Plain):
    """As SFTPGo: the plain rename silently takes the place of another file."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        Path(os.fsdecode(self.map_path(oldpath))).replace(os.fsdecode(self.map_path(newpath)))


class Refusing(Plain):
    """As many on Windows: no rename onto a file that is there, and all that is said of it is `Failure`."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if Path(os.fsdecode(self.map_path(newpath))).exists():
            raise asyncssh.SFTPFailure("Failure")
        super().rename(oldpath, newpath)
