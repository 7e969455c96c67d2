"""A real PostgreSQL on loopback, with TLS and logins of several kinds."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from tests.connectors.tls_server import Authority
from tests.servers import free_port, wait_for_port

PASSWORD = "s3cret-pässword"
_SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 30
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
shared_buffers = 16MB
log_statement = 'none'
"""
#: Each connection asks for its password, so that a wrong one is seen.
_LOGINS = "local all all trust\nhost all admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass
class PostgresServer:
    folder: Path
    port: int
    binaries: Path
    account: str
    fsync: bool
    authority: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """A connection of relay.yaml to it."""
        return {
            "connector": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "database": "postgres",
            "user": "relay",
            "password": PASSWORD,
            "ca_file": str(self.authority),
        }

    def run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, **self._as_account())

    def _as_account(self) -> dict[str, Any]:
        # The server refuses to run as root, which CI is.
        who = {"user": self.account, "group": pwd.getpwnam(self.account).pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **(who if os.geteuid() == 0 else {})}

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self.folder), "-c", f"fsync={'on' if self.fsync else 'off'}"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_account())
        log.close()
        wait_for_port(self.port, self.process)
        ready = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(500):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError("PostgreSQL didn't get ready")

    def kill(self) -> None:
        """SIGKILL to all of it, as a machine that loses its power."""
        assert self.process is not None
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        self.process.wait(10)
        for one in family[1:]:
            # Nobody may be there to reap them: dead is enough.
            with contextlib.suppress(psutil.NoSuchProcess):
                while one.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.01)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # does not wait for those who are connected
            self.process.wait(20)

    async def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the administrator."""
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="admin", database="postgres", ssl=False
        )
        try:
            if not text.startswith("SELECT"):
                await connection.execute(text)  # several statements in one text
                return []
            return [tuple(row) for row in await connection.fetch(text, *values)]
        finally:
            await connection.close()


def find_binaries() -> Path:
    """Where initdb and postgres are. Skips where they are not, but not in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    on_path = shutil.which("initdb")
    if found or on_path:
        return found[-1].parent if found else Path(str(on_path)).resolve().parent
    reason = "no PostgreSQL server here: apt-get install postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def postgres_server(*, fsync: bool = False) -> Iterator[PostgresServer]:
    binaries = find_binaries()
    account = "nobody" if os.geteuid() == 0 else getpass.getuser()
    # Not below pytest's own folder, which only its user may enter; and a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="relay-pg-", dir="/tmp"))
    try:
        authority = Authority(folder, "authority")
        certificate, key = authority.issue("server")
        server = PostgresServer(folder, free_port(), binaries, account, fsync, authority.file)
        if os.geteuid() == 0:
            shutil.chown(folder, account)
        initdb = str(binaries / "initdb")
        server.run(initdb, "-D", str(folder / "data"), "-U", "admin", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        for file in (certificate, key):
            placed = folder / "data" / file.name
            shutil.copy(file, placed)
            placed.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(placed, account)
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        (folder / "data" / "pg_hba.conf").write_text(_LOGINS)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
