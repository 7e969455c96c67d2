"""What a connection to a mail server may say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.smtp.address import mailbox
from connectors.smtp.session import Security
from relay.connector import ConnectionConfig, Duration, Limit, Size
from relay.errors import PermanentError

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class SmtpConfig(ConnectionConfig):
    host: str = Field(description="The mail server that takes the mail over.", examples=["smtp.example.com"])
    port: int | None = Field(
        None, ge=1, le=65535, description="Its port; by default 587 for starttls, 465 for tls, 25 for none."
    )
    security: Security = Field(
        "starttls", description="starttls: encrypt after the greeting, or send nothing; tls: from the start; none."
    )
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the usual ones.")
    username: str | None = Field(None, description="Who the relay is there; without it nothing is said (AUTH).")
    password: SecretStr | None = Field(None, description="The password, or the one made for this application.")
    from_: str | None = Field(None, alias="from", description="The sender, where a step names none.")
    bounces_to: str | None = Field(None, description="Who is told of undelivered mail; by default the sender.")
    recipient_domains: list[str] = Field(
        [], description="Send to addresses of these domains only; empty: to any. For recipients taken from events."
    )
    max_recipients: int = Field(100, ge=1, le=1000, description="At most so many for one mail; all servers take 100.")
    refused_recipients: Literal["stop", "skip"] = Field(
        "stop",
        description="Where the server refuses some recipients for good: stop sends to nobody, and an operator mends "
        "the addresses and replays it; skip sends to the others and names the refused in the attempt.",
    )
    max_message: Size = Field(25_000_000, ge=1, description="The largest mail, attachments and all, as it is sent.")
    local_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9.:\[\]-]+$",
        description="What the relay calls itself (EHLO); by default its address.",
    )
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")
    connect_timeout: Duration = Field(timedelta(seconds=10), description="How long making a connection may take.")
    # Mail providers publish limits of a day, and count connections: Microsoft 365 takes three at once from a mailbox.
    limit: Limit = Field(Limit(concurrency=3), description="Concurrency and rate of the connection's lane.")

    @property
    def port_in_use(self) -> int:
        return self.port or _PORTS[self.security]

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, value: str) -> str:
        if not value or any(not char.isprintable() or char in " /@\\" for char in value):
            raise ValueError("name the server alone, without a scheme, a path or a user")
        return value.strip("[]")

    @field_validator("from_", "bounces_to")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                mailbox(value, "this")
            except PermanentError as error:
                raise ValueError(error.message) from None
        return value

    @model_validator(mode="after")
    def _credentials_are_whole_and_safe(self) -> SmtpConfig:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password would travel in plain text; set security: starttls or tls")
        for text in (self.username, self.password.get_secret_value() if self.password else None):
            if text is not None and "\0" in text:
                raise ValueError("username and password can't hold a NUL")
        return self
