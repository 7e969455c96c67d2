"""Real servers for tests: OpenSSH's sshd, and an HTTP server that records what it gets."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from relay.testing import RecordingServer


@dataclass(frozen=True)
class SftpServer:
    """An sshd whose logins start in `root`."""

    host: str
    port: int
    username: str
    host_key: str
    private_key: str
    root: Path
    pid: int = 0

    @property
    def config(self) -> dict[str, object]:
        """A connection of relay.yaml to it."""
        return {
            "connector": "sftp",
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "private_key": self.private_key,
            "host_key": self.host_key,
            "allow_private": True,
        }


@contextlib.contextmanager
def http_sink() -> Iterator[RecordingServer]:
    """A RecordingServer on a free port of loopback."""
    with RecordingServer() as server:
        yield server


def find_sshd() -> str:
    """The path of sshd. Skips where there is none, but not in CI."""
    return find_program("sshd", "openssh-server")


def find_program(name: str, package: str) -> str:
    """The path of a program that a Debian package brings. Skips where there is none, but not in CI."""
    found = shutil.which(name) or next(
        (path for folder in ("/usr/sbin", "/usr/local/sbin") if Path(path := f"{folder}/{name}").exists()), None
    )
    if found is None:
        reason = f"no {name} here: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server on port {port} didn't start (exit code {process.poll()})")


@contextlib.contextmanager
def openssh_server(folder: Path, extra: str = "") -> Iterator[SftpServer]:
    """A real sshd on loopback as the current user; `extra` are further lines of its configuration."""
    sshd = find_sshd()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, run as root, shuts its unprivileged half in
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    root.mkdir(exist_ok=True)
    host_key, login = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_bytes(login.export_public_key())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"KbdInteractiveAuthentication no\nMaxStartups 100\nSubsystem sftp internal-sftp -d {root}\n{extra}\n"
    )
    log = (folder / "sshd.log").open("ab")
    process = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield SftpServer(
            "127.0.0.1",
            port,
            getpass.getuser(),
            host_key.export_public_key().decode().strip(),
            login.export_private_key().decode(),
            root,
            process.pid,
        )
    finally:
        process.terminate()
        process.wait(10)
        log.close()
