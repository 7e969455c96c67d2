"""What several connectors of vendors' APIs share: a token for a header, a vendor's words on one line, text as HTML."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_SAID_CHARACTERS = 200


def _fits_a_header(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("the secret is empty, or holds a space at an end, a line break or a character no header takes")
    return value


#: A secret that goes into a header as it is.
HeaderSecret = Annotated[SecretStr, AfterValidator(_fits_a_header)]


def one_line(words: object, redact: Callable[[str], str]) -> str:
    """A vendor's words for an operator: on one line, without our secrets, cut."""
    # Redacted before it is cut: half a secret would no longer be found.
    text = " ".join(redact(str(words)).split())
    return text if len(text) <= _SAID_CHARACTERS else f"{text[:_SAID_CHARACTERS]}…"


def as_html(text: str) -> str:
    """Plain text for a field that holds HTML: nothing in it is markup, and its lines stay lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "<br>".join(escape(line) for line in lines)
