"""What a connection says."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from relay.connector import ConnectionConfig, Duration
from relay.errors import HoldError


class PostgresConfig(ConnectionConfig):
    # No `allow_private`: that guard is against addresses that come from an event, and here the host is the admin's own.
    # A database nearly always has a private address.
    host: str = Field(
        description="The server; or, starting with /, the folder of its socket on this machine, where there is no TLS.",
        examples=["db.example.ac.uk", "/run/postgresql"],
    )
    port: int = Field(5432, ge=1, le=65535, description="Its port.")
    database: str = Field(description="The database's name.")
    user: str = Field(description="Who the relay is there; give it rights on the tables it writes, and no others.")
    password: SecretStr | None = Field(None, description="Its password, where the server wants one.")
    sslmode: Literal["verify-full", "verify-ca", "require", "disable"] = Field(
        "verify-full",
        description="`verify-full`: TLS, and the certificate must be trusted and name the host. `verify-ca`: it may "
        "name another. `require`: TLS without asking who is there. `disable`: no TLS, passwords and rows can be read "
        "on the way: for a server on this machine. There is no `prefer`, which gives up TLS when asked to.",
    )
    ca_file: Path | None = Field(
        None, description="PEM file of who signed the server's certificate, where this machine doesn't trust them."
    )
    application_name: str = Field(
        "relay", max_length=63, description="How the relay's connections are called in pg_stat_activity."
    )
    connections: int = Field(4, ge=1, le=100, description="How many connections it opens at most, from each worker.")
    connect_timeout: Duration = Field(timedelta(seconds=10), description="How long logging in may take.")

    @field_validator("host", "database", "user")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if not value or not value.isprintable():
            raise ValueError("is empty, or holds a control character")
        return value

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")

    def tls(self) -> ssl.SSLContext | bool:
        """False is no TLS. Raises HoldError where the ca_file can't be used."""
        if self.is_socket or self.sslmode == "disable":
            return False
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            why = "it must be PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise HoldError(f"the ca_file {self.ca_file} can't be used: {why}", cause="ca_file can't be used") from None
        if self.sslmode != "verify-full":
            context.check_hostname = False
        if self.sslmode == "require":
            context.verify_mode = ssl.CERT_NONE
        return context
