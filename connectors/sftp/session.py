"""One SSH connection for each SFTP connection: made when first needed, kept while used, let go of when idle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncssh
from pydantic import Field, SecretStr, field_validator, model_validator

from relay.connector import ConnectionConfig, Duration
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.http import PrivateAddressError, open_socket, refusal

#: A server that is gone without a word is noticed after three of these.
_KEEPALIVE_SECONDS = 15


class SftpConfig(ConnectionConfig):
    host: str = Field(description="The server.", examples=["sftp.example.ac.uk"])
    port: int = Field(22, ge=1, le=65535, description="Its port.")
    username: str = Field(description="Who the relay is there.")
    password: SecretStr | None = Field(None, description="The password, where the server wants one.")
    private_key: SecretStr | None = Field(None, description="The private key's text, in OpenSSH or PEM form.")
    passphrase: SecretStr | None = Field(None, description="What opens the private key.")
    host_key: str | list[str] = Field(
        description="The server's public key as `ssh-keyscan HOST` prints it, or the fingerprint `SHA256:…` of its "
        "ed25519 key (of another kind where it has none). A list while the server changes its key."
    )
    folder: str = Field("", description="The folder there that paths start from; empty is the login's own.")
    create_folders: bool = Field(False, description="Make folders that are not there.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    connect_timeout: Duration = Field(timedelta(seconds=20), description="How long logging in may take.")

    @field_validator("host_key")
    @classmethod
    def _can_be_read(cls, value: str | list[str]) -> str | list[str]:
        if not _as_list(value):
            raise ValueError("name at least one key")
        for text in _as_list(value):
            _pinned(text)
        return value

    @model_validator(mode="after")
    def _some_way_in(self) -> SftpConfig:
        if self.password is None and self.private_key is None:
            raise ValueError("say password or private_key")
        return self


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _pinned(text: str) -> tuple[str, str]:
    """A fingerprint, and the kind of key where it is known. Takes a key, a known_hosts line or a fingerprint."""
    words = text.split()
    for index, word in enumerate(words):
        if word.startswith("SHA256:"):
            return word.rstrip("="), ""
        if word.startswith("AAAA") and index:
            try:
                key = asyncssh.import_public_key(f"{words[index - 1]} {word}")
            except asyncssh.KeyImportError:
                break
            return key.get_fingerprint(), words[index - 1]
    raise ValueError("a host key looks like `ssh-ed25519 AAAA…`, or `SHA256:…`; `ssh-keyscan HOST` prints it")


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

#: Signature algorithms that prove a host key, by the kind of the key; in the order they are asked for.
_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ssh-ed448": ("ssh-ed448",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


def _algorithms(kinds: list[str]) -> list[str]:
    """The pinned kinds first, because a server has keys of several; the others too, so that a wrong key is shown."""
    return [name for kind in dict.fromkeys([*kinds, *_ALGORITHMS]) for name in _ALGORITHMS.get(kind, (kind,)) if name]


class SftpSession:
    """`async with session.use() as sftp` gives the pooled client, connecting where needed."""

    def __init__(self, config: SftpConfig, idle_seconds: float) -> None:
        self.config = config
        self.idle_seconds = idle_seconds
        pins = [_pinned(text) for text in _as_list(config.host_key)]
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
                f"{config.host} shows the host key {client.shown or 'of an unknown kind'}, which is not the one in "
                "host_key; ask its owner before you change that",
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
