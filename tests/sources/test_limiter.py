"""How many requests are taken in a time, held against a count by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.sources.config import SourceLimit
from relay.sources.limiter import Limiter


def test_as_many_at_once_as_the_rate_has_and_then_one_by_one() -> None:
    limiter = Limiter(SourceLimit(rate="3/min"))
    assert [limiter.take(0.0) for _ in range(4)] == [0, 0, 0, 20]
    assert limiter.take(19.9) > 0
    assert limiter.take(20.0) == 0
    assert limiter.take(20.0) == 20
    assert [limiter.take(500.0) for _ in range(4)] == [0, 0, 0, 20]


@given(st.integers(1, 20), st.integers(1, 60), st.lists(st.integers(0, 40_000), min_size=1, max_size=80))
def test_never_more_than_twice_the_rate_in_its_time_nor_less_than_once(
    number: int, seconds: int, steps: list[int]
) -> None:
    """Any span of the rate's length holds at most the burst and what runs out meanwhile."""
    limiter = Limiter(SourceLimit(rate=f"{number}/{seconds}s"))
    now, taken = 0.0, []
    for step in steps:
        now += step / 1000
        wait = limiter.take(now)
        if not wait:
            taken.append(now)
        else:
            assert limiter.take(now + wait - 0.001) > 0 or wait < 0.002
    for start in taken:
        assert sum(1 for one in taken if start <= one < start + seconds) <= 2 * number
    assert len(taken) >= min(number, len(steps))


def test_addresses_do_not_share_and_what_is_turned_away_counts_for_nothing() -> None:
    limiter = Limiter(SourceLimit(per_address="1/s"))
    assert limiter.take_from("203.0.113.1", 0.0) == 0
    assert [limiter.take_from("203.0.113.1", 0.5) for _ in range(100)] == [0.5] * 100
    assert limiter.take_from("203.0.113.2", 0.5) == 0
    assert limiter.take_from("203.0.113.1", 1.0) == 0
    assert limiter.take(0.0) == 0


def test_an_ipv6_network_is_one_sender() -> None:
    limiter = Limiter(SourceLimit(per_address="1/s"))
    same = ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"]
    assert [limiter.take_from(address, 0.0) for address in same] == [0, 1]
    others = ["2001:db8:1:3::1", "2001:db8::1", "2001:db8:1::1", "::1", "::ffff:203.0.113.1", "::ffff:203.0.113.2"]
    assert [limiter.take_from(address, 0.0) for address in others] == [0] * 6


def test_addresses_are_remembered_within_bounds() -> None:
    limiter = Limiter(SourceLimit(per_address="1/h"))
    for number in range(30_000):
        limiter.take_from(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(limiter._addresses) == 10_000
    assert limiter.take_from("10.0.117.47", 1.0) > 0
