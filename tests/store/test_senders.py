"""The parts of one body, and what is kept of senders beside their events, on a real Valkey."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from relay.clock import now_ms
from relay.store import HANDSHAKE, MOST_HANDSHAKES, MOST_KEPT_SECRETS, ROUTE_QUEUE, Filter, Rejected, Senders
from tests.store.bench import Bench, event_of


async def test_the_parts_of_a_body_are_events_and_a_repeat_of_the_body_is_none(bench: Bench) -> None:
    parts = [replace(event_of(b'{"n": %d}' % n, key=f"k{n}"), part=n) for n in (1, 2, 3)]
    assert await bench.put_all(parts) == ["", "", ""]
    again = [replace(event_of(one.body, key=one.key), part=one.part) for one in parts]
    more = replace(event_of(b'{"n": 4}', key="k4"), part=4)
    assert await bench.put_all([*again, more]) == [*(one.id for one in parts), ""]
    assert len(await bench.fetch(ROUTE_QUEUE)) == 4
    stored = await bench.store.events([one.id for one in parts])
    assert [one.event.part for one in stored if one] == [1, 2, 3]
    assert (await bench.operators.counters())["duplicate:chat"] == 3


async def test_of_two_parts_with_one_key_in_one_body_the_first_is_kept(bench: Bench) -> None:
    first, second = (replace(event_of(key="same"), part=n) for n in (1, 2))
    assert await bench.put_all([first, second]) == ["", first.id]
    assert len(await bench.fetch(ROUTE_QUEUE)) == 1


async def test_which_secret_matched_is_counted(bench: Bench) -> None:
    senders = Senders(bench.store)
    assert await senders.uses("chat") == {}
    before = now_ms()
    for mark in ("aa", "bb", "aa", ""):
        await bench.put_all([event_of()], mark=mark)
    uses = await senders.uses("chat")
    assert {mark: use.times for mark, use in uses.items()} == {"aa": 2, "bb": 1}
    assert all(before <= use.last_ms <= now_ms() for use in uses.values())
    assert await senders.uses("other") == {}


async def test_a_handshake_is_listed_routed_by_nobody_and_swept(bench: Bench) -> None:
    senders = Senders(bench.store)
    event = event_of()
    await senders.handshake(event)
    listed = [one async for one in bench.operators.list_events(Filter(status=HANDSHAKE))]
    assert [one.event.id for one in listed] == [event.id]
    assert await bench.fetch(ROUTE_QUEUE) == []
    assert (await bench.operators.counters())["handshake:chat"] == 1
    assert await bench.store.sweep(now_ms() + 1) == 1
    assert await bench.store.event(event.id) is None
    assert await senders.kept("chat") == []


async def test_strangers_who_ask_fill_nothing(bench: Bench) -> None:
    senders = Senders(bench.store)
    asked = [event_of() for _ in range(MOST_HANDSHAKES + 30)]
    await senders.note(asked, [], {"handshake:chat": 500})
    listed = [one.event.id async for one in bench.operators.list_events(Filter(status=HANDSHAKE))]
    assert listed == [one.id for one in reversed(asked)][:MOST_HANDSHAKES]
    assert (await bench.operators.counters())["handshake:chat"] == 500
    prefix = bench.store.prefix
    assert len(await bench.store.ask("KEYS", f"{prefix}e:*")) == MOST_HANDSHAKES
    for index in ("x:e", "x:e:chat", "x:done"):
        assert await bench.store.ask("ZCARD", prefix + index) == MOST_HANDSHAKES


async def test_secrets_a_vendor_gave_are_kept_newest_first_and_not_without_end(bench: Bench) -> None:
    senders = Senders(bench.store)
    start = now_ms()
    dropped = 0
    for number in range(MOST_KEPT_SECRETS + 3):
        dropped += await senders.handshake(replace(event_of(), received_ms=start + number), f"s{number}")
        if number == 500:
            await senders.used("chat", "s0", start + 10_000)
            await senders.used("chat", "never given", start + 10_000)
    kept = await senders.kept("chat")
    # The one that is used stays, and the three that were used longest ago are gone.
    assert [secret for secret, _ in kept] == ["s0", *(f"s{n}" for n in range(MOST_KEPT_SECRETS + 2, 3, -1))]
    assert (dropped, kept[1][1]) == (3, start + MOST_KEPT_SECRETS + 2)
    assert await senders.kept("other") == []
    assert await senders.forget("chat", "s7", "ana")
    assert not await senders.forget("chat", "s7", "ana")
    assert "s7" not in [secret for secret, _ in await senders.kept("chat")]
    (entry,) = await bench.operators.audit()
    assert (entry["who"], entry["what"], entry["id"]) == ("ana", "forget secret", "chat")
    assert "s7" not in str(entry)


def rejected(number: int, at_ms: int | None = None) -> Rejected:
    headers = {"x-key": "***"}
    return Rejected(at_ms or now_ms(), "chat", 401, f"reason {number}", "POST", "203.0.113.7", headers, 12)


async def test_refused_requests_are_kept_newest_first_and_counted(bench: Bench) -> None:
    senders = Senders(bench.store)
    for start in (0, 300):
        await senders.note([], [rejected(start + n) for n in range(300)], {"refused:chat": 310})
    found = [one async for one in senders.rejected()]
    assert [one.reason for one in found] == [f"reason {n}" for n in range(599, -1, -1)]
    assert found[0] == replace(rejected(599), at_ms=found[0].at_ms)
    assert (await bench.operators.counters())["refused:chat"] == 620
    assert [one async for one in senders.rejected(now_ms() + 10_000)] == []


async def test_what_was_refused_is_forgotten_beyond_its_number(bench: Bench) -> None:
    senders = Senders(bench.store)
    for _ in range(12):
        await senders.note([], [rejected(n) for n in range(250)], {})
    number = len([one async for one in senders.rejected()])
    assert 2_000 <= number < 2_200


async def test_the_parts_of_a_large_body_are_routed_in_their_order(bench: Bench) -> None:
    parts = [replace(event_of(key=f"k{n}"), part=n + 1) for n in range(500)]
    await bench.put_all(parts, timedelta(days=1))
    assert [lease.id for lease in await bench.fetch(ROUTE_QUEUE)] == [one.id for one in parts]
