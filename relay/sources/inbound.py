"""A request as the sources see it, and the answer to a vendor's handshake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request, before anything is known about it. Its repr shows the method alone: the rest may hold secrets.

    query    the query string's pairs, decoded
    headers  lower-case names; values as the server decoded them (Latin-1)
    token    the path's secret in /in/<source>/<token>; else ""
    url      the public address the sender called, scheme and query included: some vendors sign it
    """

    method: str
    path: str = field(default="", repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HandshakeReply:
    """What a vendor wants to hear before it sends events. Such a request is answered, and is no event."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
