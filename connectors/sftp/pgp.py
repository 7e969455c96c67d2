"""PGP by the system's gpg: a public key, a home of its own that is thrown away, no keyring and no trust questions."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pydantic import Field, field_validator

from relay.connector import Fields
from relay.errors import HoldError, RetryableError


class Pgp(Fields):
    public_key: str | list[str] = Field(
        description="The recipient's public key as ASCII-armored text; several for several recipients.",
        examples=["${file:secrets/vendor.asc}"],
    )
    armor: bool = Field(False, description="Write text (`-----BEGIN PGP MESSAGE-----`) and not bytes.")
    suffix: str = Field(
        ".pgp", pattern=r"^\.[A-Za-z0-9.]+$", description="What the file's name ends with.", examples=[".gpg", ".asc"]
    )

    @field_validator("public_key")
    @classmethod
    def _are_public_keys(cls, value: str | list[str]) -> str | list[str]:
        for text in [value] if isinstance(value, str) else value:
            if "PRIVATE KEY BLOCK" in text:
                raise ValueError("this is a private key; give the recipient's public one")
            if "-----BEGIN PGP PUBLIC KEY BLOCK-----" not in text:
                raise ValueError(
                    "a public key starts with -----BEGIN PGP PUBLIC KEY BLOCK-----; `gpg --armor --export`"
                )
        if not value:
            raise ValueError("name at least one key")
        return value

    @property
    def keys(self) -> list[str]:
        return [self.public_key] if isinstance(self.public_key, str) else self.public_key


async def encrypted(data: bytes, pgp: Pgp, seconds: float) -> bytes:
    """Raises HoldError where gpg is missing or refuses the key, RetryableError where it takes too long."""
    return await asyncio.to_thread(_encrypted, data, pgp, seconds)


def _encrypted(data: bytes, pgp: Pgp, seconds: float) -> bytes:
    gpg = shutil.which("gpg")
    if gpg is None:
        raise HoldError("no gpg here to encrypt with: apt-get install gpg", cause="gpg is missing")
    try:
        done, home = _run(gpg, data, pgp, seconds)
    except subprocess.TimeoutExpired:
        raise RetryableError(f"gpg took longer than {seconds:g}s", cause="gpg timeout") from None
    except OSError as error:
        # Of this machine, and so not to be taken for a lost connection.
        raise RetryableError(f"gpg can't be started: {error.strerror}", cause="gpg can't be started") from None
    if done.returncode < 0:
        raise RetryableError(f"gpg was killed by signal {-done.returncode}", cause="gpg was killed")
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().replace(home, "").splitlines() or ["nothing"]
        raise HoldError(
            f"gpg can't encrypt with the connection's public_key: {said[-1][:200]}; it may have expired, or be a key "
            "that only signs",
            cause="gpg refuses the public key",
        )
    return done.stdout


def _run(gpg: str, data: bytes, pgp: Pgp, seconds: float) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """What gpg said, and the home it had. Raises OSError, subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="relay-gpg-") as home:
        command = [gpg, "--homedir", home, "--batch", "--no-tty", "--no-options", "--no-autostart", "--quiet"]
        command += ["--trust-model", "always", "--encrypt", "--output", "-"]
        for number, text in enumerate(pgp.keys):
            file = Path(home) / f"recipient-{number}.asc"
            file.write_text(text.strip() + "\n", encoding="utf-8")
            command += ["--recipient-file", str(file)]
        if pgp.armor:
            command.append("--armor")
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "GNUPGHOME": home, "LC_ALL": "C.UTF-8"}
        # The command has no word of an event in it; the key's text went into a file, the content goes to stdin.
        done = subprocess.run(  # noqa: S603
            command, input=data, capture_output=True, timeout=seconds, env=environment, check=False
        )
        return done, home
