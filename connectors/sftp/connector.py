"""SFTP drops: one whole file for each delivery, which appears under its name only when it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from connectors.guides.sftp import GUIDE
from connectors.sftp.actions import Csv, Fixed, Json, Jsonl, Xml
from connectors.sftp.checking import check
from connectors.sftp.config import SftpConfig
from connectors.sftp.hostkey import fetch_host_keys
from connectors.sftp.session import SftpSession
from relay.connector import Check, Connector, Context


class Sftp(Connector[SftpConfig]):
    name = "sftp"
    summary = (
        "SFTP drops: a file is written under a temporary name, checked, and only then renamed; no other file's place "
        "is ever taken."
    )
    Config = SftpConfig
    guide = GUIDE
    actions = (Csv, Fixed, Jsonl, Json, Xml)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "sftp",
        "host": "sftp.example.ac.uk",
        "username": "gecko",
        "private_key": "${file:secrets/sits_key}",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJiVXwZ2dRF8OqxxMwPpqMWHTJqDV5TbZFmzoDsrbFaD",
    }

    def __init__(self, config: SftpConfig, context: Context) -> None:
        super().__init__(config, context)
        self.session = SftpSession(config, context.idle_seconds)

    @classmethod
    async def host_keys(cls, host: str, port: int, timeout: timedelta) -> list[tuple[str, str, str]]:
        """Each key the server shows: its kind, the line to pin, its SHA256 fingerprint. Raises RetryableError."""
        return await fetch_host_keys(host, port, timeout)

    async def check(self, timeout: timedelta) -> Check:
        return await check(self.session, self.config, timeout)

    async def aclose(self) -> None:
        await self.session.aclose()
