"""How many requests a source takes in a time, in all and from each address."""

from __future__ import annotations

from collections import OrderedDict

from relay.sources.config import SourceLimit
from relay.units import parse_rate

#: Addresses remembered at once; beyond them the one longest unheard of begins anew.
_MOST_ADDRESSES = 10_000


class Limiter:
    """The generic cell rate algorithm: as many at once as the rate has in its time, then one whenever one has run out.

    Addresses are asked before a request is verified, and the source after it: strangers use up nobody's share but their
    own. What is turned away counts for nothing.
    """

    __slots__ = ("_address", "_addresses", "_all", "_free_at")

    def __init__(self, limit: SourceLimit) -> None:
        self._all = _Rate(limit.rate) if limit.rate is not None else None
        self._address = _Rate(limit.per_address) if limit.per_address is not None else None
        self._free_at = 0.0
        self._addresses: OrderedDict[str, float] = OrderedDict()

    def take_from(self, address: str, now: float) -> float:
        """Seconds until there is room for one more of this address; 0 where it is taken. `now` only goes forward."""
        if self._address is None:
            return 0.0
        own = _network(address)
        free_at = self._addresses.pop(own, 0.0)
        wait = self._address.wait(free_at, now)
        self._addresses[own] = free_at if wait else self._address.next(free_at, now)
        if len(self._addresses) > _MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        return wait

    def take(self, now: float) -> float:
        """The same for one more of all."""
        if self._all is None:
            return 0.0
        wait = self._all.wait(self._free_at, now)
        if not wait:
            self._free_at = self._all.next(self._free_at, now)
        return wait


class _Rate:
    __slots__ = ("_burst", "_each")

    def __init__(self, text: str) -> None:
        number, time = parse_rate(text)
        self._each = time.total_seconds() / number
        self._burst = time.total_seconds() - self._each

    def wait(self, free_at: float, now: float) -> float:
        return max(0.0, free_at - self._burst - now)

    def next(self, free_at: float, now: float) -> float:
        return max(free_at, now) + self._each


def _network(address: str) -> str:
    """Whoever has one IPv6 address has the other 2**64 beside it."""
    if ":" not in address or "." in address:
        return address
    head, gap, _ = address.partition("::")
    groups = [group for group in head.split(":") if group]
    return ":".join(groups[:4]) if not gap or len(groups) >= 4 else f"{':'.join(groups)}::"
