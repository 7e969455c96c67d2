"""Who calls, and under which address: as trusted proxies say it, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.types import Scope

Network = IPv4Network | IPv6Network


class Proxies:
    """X-Forwarded-For, -Proto and -Host are anybody's to write: they count where a trusted proxy is who calls."""

    __slots__ = ("_public_url", "_trusted")

    def __init__(self, trusted: tuple[Network, ...] = (), public_url: str = "") -> None:
        self._trusted = trusted
        self._public_url = public_url.rstrip("/")

    def remote(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The sender's address: the last one in X-Forwarded-For that is no trusted proxy's.

        Empty where a trusted proxy doesn't say: its own address would pass for the sender's.
        """
        client = scope.get("client")
        address: str = client[0] if client else ""
        if not self._trusted or not self._trusts(address):
            return address
        address = ""
        for one in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = _bare(one)
            if not self._trusts(address):
                break
        return address

    def url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The address the sender called: some vendors sign it."""
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        return f"{self._public_url or self._base(scope, headers)}{path}{'?' + query if query else ''}"

    def _base(self, scope: Scope, headers: Mapping[str, str]) -> str:
        scheme, host = scope["scheme"], headers.get("host", "")
        client = scope.get("client")
        if self._trusted and client and self._trusts(client[0]):
            # The last of several is the one that our own proxy wrote.
            scheme = headers.get("x-forwarded-proto", scheme).rpartition(",")[2].strip() or scheme
            host = headers.get("x-forwarded-host", host).rpartition(",")[2].strip() or host
        return f"{scheme}://{host}"

    def _trusts(self, address: str) -> bool:
        try:
            known = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(known, "ipv4_mapped", None)
        return any((mapped or known) in network for network in self._trusted)


def _bare(text: str) -> str:
    """`[2001:db8::1]:443` and `203.0.113.7:1234` without brackets and port; empty for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
