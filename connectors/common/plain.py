"""What may stand in an address and in a header, of what people write and what events carry."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")

#: HTTP itself sets these; a recipe that did could smuggle a second request or leave for another virtual host.
OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})


def plain_url(value: str) -> str:
    """An absolute http(s) address without credentials or fragment. Raises ValueError that says what is wrong."""
    if re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("the URL holds a space, a backslash or a control character")
    try:
        parts = urlsplit(value)
        httpx.URL(value)
        port_is_fine = parts.port != 0
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(f"this is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise ValueError("a URL starts with https:// or http:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("put user name and password under auth: {basic: {username: …, password: …}}")
    if parts.fragment:
        raise ValueError("a URL that is called has no #fragment")
    return value


def wrong_header(name: str, value: str) -> str:
    if not HEADER_NAME.fullmatch(name):
        return f"{name!r} can't be the name of a header"
    if name.lower() in OUR_HEADERS:
        return f"the header {name} is set by the relay itself"
    if not HEADER_VALUE.fullmatch(value):
        return f"the header {name} holds a line break or a character that headers can't carry"
    return ""
