"""Which keys a server shows before anybody logs in: what an admin compares with its owner's word, and pins."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import asyncssh

from relay.errors import RetryableError
from relay.http import open_socket

#: Signature algorithms that prove a host key, by the kind of the key; in the order they are asked for.
ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ssh-ed448": ("ssh-ed448",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


def pinned(text: str) -> tuple[str, str]:
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


async def fetch_host_keys(host: str, port: int, timeout: timedelta) -> list[tuple[str, str, str]]:
    """Each key of the server as its kind, the line to pin, and its SHA256 fingerprint; the best kind first.

    Nothing is sent but the start of a handshake. Who answers may be anybody: compare before you pin. Private
    addresses are connected to, since whoever asks has named the host by hand.
    """
    found: list[tuple[str, str, str]] = []
    trouble: RetryableError | None = None
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            for algorithms in ALGORITHMS.values():
                try:
                    key = await _shown(host, port, algorithms)
                except asyncssh.KeyExchangeFailed:
                    continue  # it has no key of this kind
                except asyncssh.Error as error:
                    # ProFTPD hangs up where it has no key of this kind, and so does what is no SSH server.
                    said = f"{host}:{port} doesn't speak SSH as we do: {error.reason}"
                    trouble = RetryableError(said, cause="connection lost")
                    continue
                if key is not None:
                    kind = key.get_algorithm()
                    line = " ".join(key.export_public_key().decode().split()[:2])
                    found.append((kind, line, key.get_fingerprint()))
    except TimeoutError:
        trouble = RetryableError(f"{host}:{port} showed no host key in time", cause="connect timeout")
    except socket.gaierror as error:
        raise RetryableError(f"the name {host} can't be resolved: {error.strerror}", cause="dns failure") from None
    except OSError as error:
        trouble = RetryableError(f"no connection to {host}:{port}: {error.strerror or error}", cause="no connection")
    if found:
        return found
    if trouble is not None:
        raise trouble from None
    raise RetryableError(f"{host}:{port} has no host key of a kind we know", cause="key exchange failed") from None


async def _shown(host: str, port: int, algorithms: tuple[str, ...]) -> asyncssh.SSHKey | None:
    sock = await open_socket(host, port, allow_private=True)
    try:
        return await asyncssh.get_server_host_key(
            host, port, sock=sock, server_host_key_algs=list(algorithms), config=None
        )
    except BaseException:
        sock.close()
        raise
