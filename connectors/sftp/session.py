"""One SSH connection for each SFTP connection: made when first needed, kept while used, let go of when idle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from connectors.sftp.config import SftpConfig, as_list
from connectors.sftp.hostkey import ALGORITHMS, pinned
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.http import PrivateAddressError, open_socket, refusal

#: A server that is gone without a word is noticed after three of these.
_KEEPALIVE_SECONDS = 15


class _Client(asyncssh.SSHClient):
    """Trusts the pinned keys and nothing else."""

    def __init__(self, trusted: frozenset[str]) -> None:
        self.trusted = trusted
        self.shown = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        return key.get_fingerprint() in self.trusted


#: The connection is of no more use. (A failed file operation is an SFTPError, and none of these.)
CONNECTION_LOST = (asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, OSError)


def _algorithms(kinds: list[str]) -> list[str]:
    """The pinned kinds first, because a server has keys of several; the others too, so that a wrong key is shown."""
    return [name for kind in dict.fromkeys([*kinds, *ALGORITHMS]) for name in ALGORITHMS.get(kind, (kind,)) if name]


class SftpSession:
    """`async with session.use() as sftp` gives the pooled client, connecting where needed."""

    def __init__(self, config: SftpConfig, idle_seconds: float) -> None:
        self.config = config
        self.idle_seconds = idle_seconds
        pins = [pinned(text) for text in as_list(config.host_key)]
        self._trusted = frozenset(print_ for print_, _ in pins)
        self._algorithms = _algorithms([kind for _, kind in pins])
        self._lock = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._users = 0
        self._idle: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._sftp is not None and self._connection is not None and not self._connection.is_closed()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """Raises asyncssh.Error, OSError, or a DeliveryError where nothing can be connected to."""
        self._users += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            async with self._lock:
                if not self.is_open:
                    self._drop()
                    self._connection, self._sftp = await self._connect()
                sftp = self._sftp
            assert sftp is not None
            try:
                yield sftp
            except CONNECTION_LOST:
                if self._sftp is sftp:
                    self._drop()
                raise
        finally:
            self._users -= 1
            if self._users == 0 and self.is_open:
                self._idle = asyncio.get_running_loop().call_later(self.idle_seconds, self._drop_idle)

    def _drop_idle(self) -> None:
        if self._users == 0:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.close()

    async def aclose(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        connection = self._connection
        self._drop()
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    def _client_keys(self) -> list[asyncssh.SSHKey]:
        config = self.config
        if config.private_key is None:
            return []
        passphrase = config.passphrase.get_secret_value() if config.passphrase is not None else None
        try:
            # A key that came through an environment variable has often lost its last line break.
            text = config.private_key.get_secret_value().strip() + "\n"
            return [asyncssh.import_private_key(text, passphrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise HoldError(
                f"the connection's private_key can't be read: {error}", cause="private key unreadable"
            ) from None

    async def _connect(self) -> tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]:
        config = self.config
        keys = self._client_keys()
        client = _Client(self._trusted)
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(config.connect_timeout.total_seconds()):
                sock = await open_socket(config.host, config.port, allow_private=config.allow_private)
                connection = await asyncssh.connect(
                    config.host,
                    config.port,
                    sock=sock,
                    username=config.username,
                    password=config.password.get_secret_value() if config.password is not None else None,
                    client_keys=keys or None,
                    client_factory=lambda: client,
                    known_hosts=([], [], []),
                    server_host_key_algs=self._algorithms,
                    agent_path=None,
                    config=[],
                    keepalive_interval=_KEEPALIVE_SECONDS,
                )
                sock = None
                try:
                    return connection, await connection.start_sftp_client()
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError:
            raise RetryableError(f"{config.host} didn't log us in in time", cause="connect timeout") from None
        except asyncssh.HostKeyNotVerifiable:
            raise HoldError(
                f"the host key of {config.host} changed from {' or '.join(sorted(self._trusted))}, as pinned, to "
                f"{client.shown or 'one of an unknown kind'}; ask its owner before you change host_key",
                cause="host key is not the pinned one",
            ) from None
        except asyncssh.KeyExchangeFailed as error:
            raise HoldError(
                f"{config.host} shares no algorithm with us: {error.reason}",
                cause="key exchange failed",
            ) from None
        except asyncssh.PermissionDenied:
            raise HoldError(
                f"{config.host} refused the login of {config.username}; check username and "
                f"{'private_key' if keys else 'password'}",
                cause="login refused",
            ) from None
        finally:
            if sock is not None:
                sock.close()


def sort_ssh_error(error: Exception, config: SftpConfig, path: str) -> DeliveryError:
    """What a failure of the connection or of the server's file system means for the delivery."""
    host = config.host
    if isinstance(error, DeliveryError):
        return error
    if isinstance(error, PrivateAddressError):
        return HoldError(refusal(host, error.address), cause="private address refused")
    if isinstance(error, socket.gaierror):
        return RetryableError(f"the name {host} can't be resolved: {error.strerror}", cause="dns failure")
    if isinstance(error, OSError):
        return RetryableError(f"no connection to {host}: {error.strerror or error}", cause="no connection")
    if isinstance(error, asyncssh.SFTPError):
        return _sort_sftp_error(error, host, path)
    reason = getattr(error, "reason", "") or str(error)
    return RetryableError(f"the connection to {host} was lost: {reason}", cause="connection lost")


_PERMANENT = (
    asyncssh.SFTPPermissionDenied,
    asyncssh.SFTPNoSuchFile,
    asyncssh.SFTPNoSuchPath,
    asyncssh.SFTPWriteProtect,
    asyncssh.SFTPInvalidFilename,
    asyncssh.SFTPNotADirectory,
    asyncssh.SFTPFileIsADirectory,
    asyncssh.SFTPLinkLoop,
    asyncssh.SFTPOpUnsupported,
)


def _sort_sftp_error(error: asyncssh.SFTPError, host: str, path: str) -> DeliveryError:
    reason = error.reason or "failure"
    if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
        return RetryableError(f"the connection to {host} was lost: {reason}", cause="connection lost")
    if isinstance(error, _PERMANENT):
        return PermanentError(f"{host} won't take {path}: {reason}", status=error.code, cause=f"sftp: {reason}")
    # SSH_FX_FAILURE is all that most servers say of a full disk or a quota.
    return RetryableError(
        f"{host} couldn't take {path}: {reason}; its disk or quota may be full",
        status=error.code,
        cause=f"sftp: {reason}",
    )
