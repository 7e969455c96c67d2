"""The lanes against a plain Python model of them, on a real Valkey: whatever is done, in whatever order."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from relay.lanes.commands import LaneBreaker, LaneLimits, Lanes, NewMessage, Settlement
from relay.lanes.connection import run

SECOND = 1_000_000
MICROSECOND = timedelta(microseconds=1)
LEASE = 10 * SECOND
LANES = ["a", "b", "c"]
WORKERS = ["w1", "w2"]

lanes_ = st.sampled_from(LANES)
workers_ = st.sampled_from(WORKERS)
keys_ = st.sampled_from([None, None, "k1", "k2"])

_prefixes = itertools.count()


@dataclass
class Message:
    id: str
    key: str | None
    due: int
    lost: int = 0
    tried: bool = False


def spread(id_: str, times: int) -> float:
    """Those that were held when workers died more than once come back apart from each other."""
    return (times - 1) * 5_000_000 * share_of(f"{id_}{times}") if times > 1 else 0


def share_of(text: str) -> float:
    return int(hashlib.sha1(text.encode()).hexdigest()[:4], 16) / 65536


BREAKER = LaneBreaker(3, 50, timedelta(seconds=6), timedelta(seconds=2), timedelta(seconds=5))


@dataclass
class Breaker:
    """What attempts said of the destination, as an operator would count it on paper."""

    on: bool = False
    since: int = 0
    counted: int = 0
    failed: int = 0
    trips: int = 0
    probes: bool = False
    asked: bool = False
    wait: int = 0
    ramp: int = 0

    def hear(self, lane: Lane, health: str, asked: int, now: int) -> None:
        if not self.on or (not health and not asked) or (self.probes and self.wait > now):
            return
        if self.counted and health and now - self.since > BREAKER.window // MICROSECOND and not self.probes:
            self.counted = self.failed = 0
        if health == "well":
            self.probes = False
            self.counted += bool(self.counted)
            if self.ramp:
                self.ramp += 1
                if self.ramp >= (lane.concurrency or 16):
                    self.ramp = self.trips = 0
                    self.asked = False
        elif health == "unwell":
            self.since = self.since if self.counted else now
            self.counted += 1
            self.failed += 1
            if self.probes or (self.counted >= BREAKER.attempts and self.failed * 2 >= self.counted):
                self.open(lane, now)
            else:
                if self.counted >= 4 * BREAKER.attempts:
                    self.counted, self.failed = self.counted // 2, math.ceil(self.failed / 2)
                self.ramp = self.ramp // 2 if self.ramp > 1 else self.ramp
        until = now + min(asked, BREAKER.longest // MICROSECOND)
        if asked and until > self.wait:
            self.wait, self.ramp, self.asked = until, 1, True

    def open(self, lane: Lane, now: int) -> None:
        self.trips += 1
        pause = min(BREAKER.pause * 2 ** (self.trips - 1), BREAKER.longest) // MICROSECOND
        self.wait = math.floor(now + pause * (1 + 0.1 * share_of(f"{lane.name}{self.trips}")))
        self.probes, self.asked, self.ramp, self.counted, self.failed = True, True, 1, 0, 0


@dataclass
class Lane:
    """A lane as plain Python would have it: everything that waits, in the order it came."""

    name: str
    waiting: dict[str, Message] = field(default_factory=dict)
    in_flight: dict[str, tuple[str, Message]] = field(default_factory=dict)
    order: dict[str, list[str]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    taken: list[int] = field(default_factory=list)
    paused: bool = False
    concurrency: int = 0
    rate: int = 0
    period: int = 0
    gate: int = 0
    breaker: Breaker = field(default_factory=Breaker)
    tried_next: bool = False
    file_says: int = 0
    by_hand: int = 0

    def eligible(self, now: int) -> list[Message]:
        """What may be taken now, limits aside: due, and the first of its key."""
        if self.paused or self.breaker.wait > now:
            return []
        first = [m for m in self.waiting.values() if m.key is None or self.order[m.key][0] == m.id]
        return sorted((m for m in first if m.due <= now), key=lambda m: (m.due, m.id))

    def room(self, now: int) -> int:
        room = 1_000_000
        if self.concurrency:
            room = self.concurrency - len(self.in_flight)
        if self.breaker.ramp:
            room = min(room, self.breaker.ramp - len(self.in_flight))
        if self.rate:
            room = min(room, self.rate - sum(1 for at in self.taken if at > now - self.period))
        if self.gate:
            # A gated lane has no other limit in the relay, and its gate takes the place of its concurrency.
            room = min(self.gate if not self.in_flight else 0, room if self.rate else self.gate)
        return max(0, room)

    def in_turns(self, now: int) -> list[tuple[Message, bool | None]]:
        """What may be taken, in its order, each with whose turn it is then; None where it wasn't a matter of turns."""
        eligible = self.eligible(now)
        firsts, tried = [m for m in eligible if not m.tried], [m for m in eligible if m.tried]
        most = max(1, self.concurrency // 2) if self.concurrency else 1_000_000
        flying = sum(message.tried for _, message in self.in_flight.values())
        turn, found = self.tried_next, []
        while firsts or tried:
            both = bool(firsts and tried)
            if tried and (not firsts or (turn and flying < most)):
                message, flying = tried.pop(0), flying + 1
            else:
                message = firsts.pop(0)
            if both:
                turn = not message.tried
            found.append((message, turn if both else None))
        return found

    def may_go(self, now: int) -> list[str]:
        """In their order; of a gated lane one alone that a worker died over."""
        ids = []
        keys = set()
        for message, _ in self.in_turns(now):
            if message.key is None or message.key not in keys:
                if self.gate and message.lost and ids:
                    break
                ids.append(message.id)
                keys.add(message.key)
                if self.gate and message.lost:
                    break
        return ids

    def back(self, now: int) -> int:
        """When a message that was only given back is due."""
        return 1 if self.gate else now

    def leave(self, message: Message) -> None:
        if message.key is not None:
            self.order[message.key].remove(message.id)


class LanesMachine(RuleBasedStateMachine):
    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes(f"model{next(_prefixes)}:")
        self.now = 1_700_000_000 * SECOND
        self.model = {name: Lane(name) for name in LANES}
        self.lease: dict[str, int] = {}
        self.finished: set[str] = set()
        self.all: set[str] = set()
        self.numbers = itertools.count()

    def run(self, command):  # type: ignore[no-untyped-def]
        return run(self.client, command)

    @rule(name=lanes_, delay=st.sampled_from([0, 0, 0, 1, 5]), key=keys_, number=st.integers(1, 3))
    def enqueue(self, name: str, delay: int, key: str | None, number: int) -> None:
        self.now += 10
        messages = []
        for index in range(number):
            message = Message(f"m{next(self.numbers):04}", key, self.now + (delay * SECOND if delay else index))
            self.model[name].waiting[message.id] = message
            self.all.add(message.id)
            if key is not None:
                self.model[name].order.setdefault(key, []).append(message.id)
            due = message.due if delay else None
            messages.append(NewMessage("q", name, message.id, message.id.encode(), due, key))
        assert self.run(self.lanes.enqueue(messages, self.now)) == [True] * number

    @rule(name=lanes_)
    def enqueue_again_what_is_there(self, name: str) -> None:
        lane = self.model[name]
        known = [*lane.waiting, *lane.in_flight]
        if known:
            again = NewMessage("q", name, known[0], b"other")
            assert self.run(self.lanes.enqueue([again], self.now)) == [False]

    @rule(worker=workers_, limit=st.integers(1, 8))
    def fetch(self, worker: str, limit: int) -> None:
        self.now += 10
        _, fetched, _ = self.run(self.lanes.fetch("q", worker, limit, LEASE, now_us=self.now))
        self.lease[worker] = self.now + LEASE
        assert len(fetched) <= limit
        before = {name: (lane.may_go(self.now), lane.room(self.now)) for name, lane in self.model.items()}
        for name, lane in self.model.items():
            taken = [message.id for message in fetched if message.lane == name]
            may_go, room = before[name]
            turns = {message.id: turn for message, turn in lane.in_turns(self.now)}
            assert taken == may_go[: len(taken)], "the first that are due, in their order"
            assert len(taken) <= room, "never beyond concurrency and rate"
            for id_ in taken:
                lane.tried_next = lane.tried_next if turns[id_] is None else bool(turns[id_])
                lane.in_flight[id_] = (worker, lane.waiting.pop(id_))
                if lane.rate:
                    lane.taken.append(self.now)
        for message in fetched:
            assert message.payload == message.id.encode()
        if len(fetched) < limit:
            for name, lane in self.model.items():
                assert not (lane.eligible(self.now) and lane.room(self.now)), f"{name} had something to take"
        elif limit >= len(LANES):
            served = {message.lane for message in fetched}
            hungry = {name for name, (may_go, room) in before.items() if may_go and room}
            assert hungry <= served, "each lane gets its share"

    @rule(
        worker=workers_,
        verb=st.sampled_from(["ack", "nack", "retry", "requeue"]),
        pick=st.integers(0, 10),
        delay=st.integers(0, 5),
        health=st.sampled_from(["", "well", "unwell", "unwell"]),
        asked=st.sampled_from([0, 0, 0, 1, 30]),
    )
    def settle(self, worker: str, verb: str, pick: int, delay: int, health: str, asked: int) -> None:
        self.now += 10
        held = [
            (name, id_)
            for name, lane in self.model.items()
            for id_, (who, _) in lane.in_flight.items()
            if who == worker
        ]
        if not held:
            return
        name, id_ = held[pick % len(held)]
        due = self.now + delay * SECOND
        settlement = Settlement(verb, name, id_, due, health, asked * SECOND)  # type: ignore[arg-type]
        other = next(who for who in WORKERS if who != worker)
        assert self.run(self.lanes.settle(other, [settlement], self.now)) == [False], "not who holds it"
        assert self.run(self.lanes.settle(worker, [settlement], self.now)) == [True]
        assert self.run(self.lanes.settle(worker, [settlement], self.now)) == [False], "not twice"
        lane = self.model[name]
        lane.breaker.hear(lane, health, asked * SECOND, self.now)
        _, message = lane.in_flight.pop(id_)
        if verb in ("retry", "requeue"):
            message.due = due if verb == "retry" and not lane.gate else lane.back(self.now)
            if verb == "retry" and lane.gate:
                # The others wait with it: they would overtake it otherwise.
                lane.breaker.wait = due
            message.tried = verb == "retry" and not lane.gate
            lane.waiting[id_] = message
        else:
            lane.leave(message)
            (lane.dead if verb == "nack" else self.finished).add(id_)

    @rule(name=lanes_, pick=st.integers(0, 10))
    def drop_what_waits(self, name: str, pick: int) -> None:
        lane = self.model[name]
        if lane.waiting:
            id_ = sorted(lane.waiting)[pick % len(lane.waiting)]
            assert self.run(self.lanes.change("drop", name, [id_], now_us=self.now)) == 1
            lane.leave(lane.waiting.pop(id_))
            self.finished.add(id_)
        for id_ in list(lane.in_flight)[:1]:
            assert self.run(self.lanes.change("drop", name, [id_], now_us=self.now)) == 0

    @rule(name=lanes_)
    def revive_the_dead(self, name: str) -> None:
        lane = self.model[name]
        if not lane.dead:
            return
        id_ = min(lane.dead)
        self.now += 10
        assert self.run(self.lanes.change("revive", name, [id_], now_us=self.now)) == 1
        lane.dead.discard(id_)
        lane.waiting[id_] = Message(id_, None, self.now)

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 3, 12]))
    def time_passes(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    @rule(name=lanes_, paused=st.booleans())
    def pause_or_resume(self, name: str, paused: bool) -> None:
        if paused:
            self.run(self.lanes.pause("q", name, "a test", now_us=self.now))
        else:
            self.run(self.lanes.resume("q", name, now_us=self.now))
            lane, breaker = self.model[name], self.model[name].breaker
            if breaker.on and (lane.paused or breaker.probes or (breaker.asked and breaker.wait > self.now)):
                breaker.ramp = 1
                breaker.wait = 0 if breaker.asked else breaker.wait
        self.model[name].paused = paused

    @rule(
        name=lanes_,
        concurrency=st.integers(0, 3),
        rate=st.integers(0, 3),
        period=st.sampled_from([1, 4]),
        gate=st.sampled_from([0, 0, 1, 3]),
        breaks=st.booleans(),
    )
    def configure(self, name: str, concurrency: int, rate: int, period: int, gate: int, breaks: bool) -> None:
        lane = self.model[name]
        if gate != lane.gate and any(message.tried for message in lane.waiting.values()):
            # The relay's gated lanes are others than those in which something is tried again.
            gate = lane.gate
        # A gated lane has no destination, and no breaker.
        breaker = BREAKER if breaks and not gate else None
        if breaker is None:
            lane.breaker = Breaker(wait=0 if lane.breaker.asked else lane.breaker.wait)
        lane.breaker.on = breaker is not None
        # A rate counts from when it is set; changing it while it holds would ask for what was taken before it did.
        if bool(rate) != bool(lane.rate) or not lane.rate:
            lane.rate, lane.period, lane.taken = rate, period * SECOND, []
            self.client.delete(f"{self.lanes.prefix}r:{name}")
        lane.file_says, lane.gate = 0 if gate else concurrency, gate
        lane.by_hand = 0 if gate else lane.by_hand
        if gate:
            self.run(self.lanes.unlimit(name, now_us=self.now))
        lane.concurrency = lane.by_hand or lane.file_says
        period_ = timedelta(microseconds=lane.period)
        self.run(
            self.lanes.configure([LaneLimits(name, "q", lane.file_says, lane.rate, period_, gate, breaker)], self.now)
        )

    @rule(name=lanes_, concurrency=st.integers(0, 3))
    def limit_by_hand(self, name: str, concurrency: int) -> None:
        lane = self.model[name]
        if lane.gate:
            return
        if concurrency:
            self.run(self.lanes.limit(name, "a test", concurrency=concurrency, now_us=self.now))
        else:
            self.run(self.lanes.unlimit(name, now_us=self.now))
        lane.by_hand = concurrency
        lane.concurrency = lane.by_hand or lane.file_says

    @rule(worker=workers_, reap=st.booleans())
    def beat(self, worker: str, reap: bool) -> None:
        kept, back = self.run(self.lanes.beat(worker, LEASE, reap=reap, now_us=self.now))
        assert kept == (worker in self.lease)
        self.lease[worker] = self.now + LEASE
        expected = 0
        if reap:
            for dead in [who for who, until in self.lease.items() if until <= self.now]:
                expected += self.lose(dead)
                del self.lease[dead]
        assert back == expected

    @rule(worker=workers_)
    def a_worker_is_known_to_be_dead(self, worker: str) -> None:
        assert self.run(self.lanes.take_back(worker, died=True, now_us=self.now)) == self.lose(worker)
        self.lease.pop(worker, None)

    def lose(self, worker: str) -> int:
        lost = 0
        for lane in self.model.values():
            for id_, (who, message) in list(lane.in_flight.items()):
                if who == worker:
                    del lane.in_flight[id_]
                    message.lost += 1
                    message.tried = False
                    message.due = lane.back(math.floor(self.now + spread(id_, message.lost)))
                    lane.waiting[id_] = message
                    lost += 1
        return lost

    @invariant()
    def nothing_is_lost_and_the_counts_agree(self) -> None:
        for state in self.run(self.lanes.stats(LANES, self.now)):
            lane = self.model[state.name]
            assert (state.waiting, state.in_flight, state.dead) == (
                len(lane.waiting),
                len(lane.in_flight),
                len(lane.dead),
            )
            if not lane.paused:
                assert state.state == ("breaker" if lane.breaker.probes else "running")
            assert state.getting_on == lane.breaker.ramp
        somewhere = set(self.finished)
        for lane in self.model.values():
            somewhere |= {*lane.waiting, *lane.in_flight, *lane.dead}
        assert somewhere == self.all

    @precondition(lambda self: self.all)
    @rule()
    def the_timer_says_when_to_look_again(self) -> None:
        wait, *_ = self.run(self.lanes.fetch("q", "looker", 0, LEASE, now_us=self.now))
        due = []
        for lane in self.model.values():
            # How long a full rate or a full lane holds is told when it opens; here only what waits for its time.
            if not lane.paused and not lane.breaker.ramp and not lane.rate and not lane.concurrency and not lane.gate:
                due += [
                    max(m.due, lane.breaker.wait)
                    for m in lane.waiting.values()
                    if m.key is None or lane.order[m.key][0] == m.id
                ]
        if due:
            assert wait is not None
            assert wait <= max(0, min(due) - self.now)

    def teardown(self) -> None:
        keys = list(self.client.scan_iter(f"{self.lanes.prefix}*", count=1000))
        if keys:
            self.client.delete(*keys)


@pytest.mark.timeout(240)
def test_the_lanes_do_what_the_model_does(valkey: redis.Redis) -> None:
    machine = type("Machine", (LanesMachine,), {"client": valkey})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
