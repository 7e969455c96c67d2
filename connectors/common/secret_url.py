"""Addresses that are secrets, because whoever knows them may post: incoming webhooks."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from connectors.common.plain import plain_url

#: As examples and files are written; what is sent has the secret in its place.
PLACEHOLDER = re.compile(r"\$\{[^{}\s]+\}")


def _can_be_called(value: SecretStr) -> SecretStr:
    if PLACEHOLDER.fullmatch(value.get_secret_value()):
        return value
    try:
        parts = urlsplit(plain_url(value.get_secret_value()))
    except ValueError:
        # Without the reason, which may quote a part of the address.
        raise ValueError("this is no address that can be called; copy it whole, it starts with https://") from None
    if not parts.path.strip("/"):
        raise ValueError("the address has nothing after its host; copy it whole")
    return value


#: The whole address of a webhook, as the vendor shows it.
SecretUrl = Annotated[SecretStr, AfterValidator(_can_be_called)]


def host_of(value: SecretStr) -> str:
    """`https://hooks.example.com`: what may be shown of it."""
    parts = urlsplit(value.get_secret_value())
    return f"{parts.scheme}://{parts.netloc}"


def rest_of(value: SecretStr) -> str:
    """What comes after the host, with its query."""
    parts = urlsplit(value.get_secret_value())
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def pieces_of(value: SecretStr) -> list[str]:
    """What has to be taken out of texts: a vendor may quote the address in parts, and in another spelling."""
    parts = urlsplit(value.get_secret_value())
    query = [pair.partition("=")[2] for pair in parts.query.split("&")]
    long = [piece for piece in (*parts.path.split("/"), *query) if len(piece) >= 16]
    return [rest_of(value), *long, *(unquote(piece) for piece in long)]
