"""Refuse connections to private addresses, at the one moment that can't be tricked: when the socket is made.

A name may resolve to a public address when it is checked and to 127.0.0.1 when it is used (DNS rebinding), a host may
be spelled `0x7f.1` or `2130706433`, and a redirect may lead anywhere. All of these end in a socket for a numeric
address, so that is where they are looked at.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: (family, type, protocol, canonical name, address), as getaddrinfo gives it.
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]

#: An errno no system uses. aiohttp's happy eyeballs joins the errors of several addresses into one OSError and keeps
#: of them only the errno they share, so the class alone would not survive.
PRIVATE_ERRNO = -4242

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REFUSED_6 = tuple(
    ipaddress.ip_network(net)
    for net in (
        "64:ff9b:1::/48",  # RFC 8215, NAT64 for local use
        "100::/64",  # RFC 6666, discard only
        "fec0::/10",  # RFC 3879, site-local
        "5f00::/16",  # RFC 9602, segment routing
    )
)
_REFUSED_4 = tuple(
    ipaddress.ip_network(net)
    for net in (
        "100.64.0.0/10",  # RFC 6598, carrier-grade NAT
        "192.0.0.0/24",  # RFC 6890, protocol assignments (Oracle's metadata service answers at 192.0.0.192)
        "192.88.99.0/24",  # RFC 7526, former 6to4 relays
    )
)


class PrivateAddressError(OSError):
    """An address that only this machine or this network can reach."""

    def __init__(self, address: str) -> None:
        super().__init__(PRIVATE_ERRNO, f"the private address {address}")
        self.address = address


def is_private(address: str) -> bool:
    """Whether a numeric address is anything but a public unicast one. What can't be read counts as private."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _embedded(ip)
        if inner is not None:
            return is_private(str(inner))
        if ip.is_site_local or any(ip in net for net in _REFUSED_6):
            return True
    elif any(ip in net for net in _REFUSED_4):
        return True
    return not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address a packet to this IPv6 address ends up at."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def socket_factory(allow_private: bool) -> Callable[[Any], socket.socket]:
    """What makes sockets for aiohttp. Raises PrivateAddressError before anything leaves the machine."""

    def make(info: AddrInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allow_private and is_private(str(address[0])):
            raise PrivateAddressError(str(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


async def open_socket(host: str, port: int, *, allow_private: bool = False) -> socket.socket:
    """A connected TCP socket, for protocols other than HTTP. Raises OSError; PrivateAddressError where refused."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    make = socket_factory(allow_private)
    failures: list[OSError] = []
    for info in infos:
        made = None
        try:
            made = make(info)
            await loop.sock_connect(made, info[4])
        except OSError as error:
            failures.append(error)
            if made is not None:
                made.close()
        except BaseException:
            if made is not None:
                with suppress(OSError):
                    made.close()
            raise
        else:
            return made
    # Where a public address was tried too, its failure is the one to tell: it may get better by itself.
    raise next((f for f in failures if not isinstance(f, PrivateAddressError)), failures[0])


def refusal(host: str, address: str) -> str:
    """The sentence an operator reads."""
    bare = host.strip("[]")
    what = f"{host} is a private address" if bare == address else f"{host} resolves to the private address {address}"
    return f"{what}; set allow_private: true on the connection if that is meant"
