"""A request as the sources see it, and the answer to a vendor's handshake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request, before anything is known about it. Its repr shows method and address: the rest may hold secrets.

    query    the query string's pairs, decoded
    headers  lower-case names; values as the server decoded them (Latin-1)
    token    the path's secret in /in/<source>/<token>; else ""
    remote   the sender's address, as far as it can be believed; "" where it has none
    url      the public address the sender called, scheme and query included: some vendors sign it
    """

    method: str
    path: str = field(default="", repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    remote: str = ""


@dataclass(frozen=True, slots=True)
class HandshakeReply:
    """What a vendor wants to hear before it sends events. Such a request is answered, and is no event.

    keep  a secret that the vendor gave with its question, with which it will sign: it is kept before it is answered
    """

    body: bytes = b""
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: str = field(default="", repr=False)
