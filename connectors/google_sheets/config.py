"""What a connection to a Google spreadsheet says, and its service account's key file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import cast

from pydantic import Field, SecretStr, field_validator

from connectors.common.api import ApiConfig
from relay.connector import Duration, Limit

GOOGLE = "https://sheets.googleapis.com"

_ADDRESS = re.compile(r"https://docs\.google\.com/spreadsheets/(?:u/\d+/)?d/([\w-]+)")


class SheetsConfig(ApiConfig):
    base_url: str = Field(GOOGLE, description="Where the Sheets API lives; another one is for tests and proxies.")
    spreadsheet: str = Field(
        description="The spreadsheet: its address in the browser, or its id, the long part of it after /d/.",
        examples=["1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"],
    )
    service_account: SecretStr = Field(
        description="The whole JSON key file of a service account. Share the spreadsheet with its client_email.",
        examples=["${file:secrets/google.json}"],
    )
    header_for: Duration = Field(
        timedelta(seconds=60),
        description="How long the columns' names in row 1 are taken to be as they were read. Where columns are moved "
        "about, 0s reads them before every call.",
    )
    limit: Limit = Field(
        Limit(concurrency=1, rate="60/min"),
        description="Concurrency and rate of the connection's lane. Google allows an account 60 writes a minute.",
    )

    @field_validator("spreadsheet")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        found = _ADDRESS.match(value)
        value = found[1] if found else value
        if not re.fullmatch(r"[\w-]+", value, re.ASCII) and not value.startswith("${"):
            raise ValueError("give the spreadsheet's address (https://docs.google.com/spreadsheets/d/…) or its id")
        return value

    @field_validator("service_account")
    @classmethod
    def _is_a_key_file(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if not text.startswith("${"):  # a secret that has been filled in
            account(text)
        return value


def account(text: str) -> Mapping[str, str]:
    """A service account's key file. Raises ValueError that says what is wrong, without showing any of it."""
    try:
        # Not strict: in an environment variable the key's line breaks are often real ones.
        info = json.loads(text, strict=False)
    except ValueError:
        hint = "this is a path; write ${file:…} to have the file read" if text.endswith(".json") else "it isn't JSON"
        raise ValueError(f"give the content of the service account's key file: {hint}") from None
    if not isinstance(info, dict):
        raise ValueError("give the content of the service account's key file: a JSON object")
    if info.get("type") != "service_account":
        other = "an OAuth client's" if "installed" in info or "web" in info else "another kind of"
        raise ValueError(f"this is {other} key; make a JSON key under IAM, Service accounts, Keys")
    missing = [name for name in ("client_email", "private_key", "token_uri") if not isinstance(info.get(name), str)]
    if missing:
        raise ValueError(f"the service account's key has no {' and no '.join(missing)}; download it again")
    if "-----BEGIN PRIVATE KEY-----" not in info["private_key"]:
        raise ValueError("the service account's private_key is no PEM key; download the key file again")
    return cast("Mapping[str, str]", info)


def key_lines(info: Mapping[str, str]) -> Iterator[str]:
    """What must be shown nowhere: each line of the key, which takes it out of whatever spelling of the whole file."""
    yield from (line for line in info.get("private_key", "").splitlines() if len(line) > 8 and line[0] != "-")
    if info.get("private_key_id"):
        yield info["private_key_id"]
