"""What can be asked of the lanes, each as a command for either kind of connection.

Moments and durations travel as microseconds. Every `now_us` may be left out: the server's clock is the one clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, Literal, NamedTuple

from relay.lanes.script import Argument, Command, lane_script

_MICROSECOND = timedelta(microseconds=1)

_ENQUEUE = lane_script("enqueue")
_FETCH = lane_script("fetch")
_SETTLE = lane_script("settle")
_BEAT = lane_script("beat")
_TAKE_BACK = lane_script("take_back")
_RECLAIM = lane_script("reclaim")
_CONFIGURE = lane_script("configure")
_PAUSE = lane_script("pause")
_LIMIT = lane_script("limit")
_CHANGE = lane_script("change")
_STATS = lane_script("stats")


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message on its way into a lane.

    due_us     when it may be taken; None is now
    order_key  messages of one key in one lane are taken strictly one after another; None is no order
    """

    queue: str
    lane: str
    id: str
    payload: bytes
    due_us: int | None = None
    order_key: str | None = None

    def words(self) -> tuple[Argument, ...]:
        key = "" if self.order_key is None else "=" + self.order_key
        return self.queue, self.lane, self.id, self.payload, "" if self.due_us is None else self.due_us, key


@dataclass(frozen=True, slots=True)
class Fetched:
    """A leased message. `taken_back` counts the workers that died holding it."""

    lane: str
    id: str
    payload: bytes
    taken_back: int


class Fetch(NamedTuple):
    """What a fetch found.

    wait_us   until the next timer; None: there is none; 0: more is due
    messages  leased to the worker
    at_us     when it was, on the store's clock: what rang before then has been seen to
    """

    wait_us: int | None
    messages: Sequence[Fetched]
    at_us: int


Verb = Literal["ack", "nack", "retry", "requeue"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a message in flight, and what that says of the destination, for the lane's breaker.

    health    `well`, `unwell`, or empty: nothing
    asked_us  how long the destination wants to be left alone
    """

    verb: Verb
    lane: str
    id: str
    due_us: int = 0
    health: str = ""
    asked_us: int = 0

    def words(self) -> tuple[Argument, ...]:
        return self.verb, self.lane, self.id, self.due_us, self.health, self.asked_us


@dataclass(frozen=True, slots=True)
class LaneBreaker:
    """When a lane stops by itself: of at least `attempts` within `window`, `percent` of a hundred failed.

    It gives nothing for `pause`, twice as long each time that what goes out after it fails too, up to `longest`.
    """

    attempts: int
    percent: int
    window: timedelta
    pause: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """At most `concurrency` in flight, and at most `rate` taken in any `period`; 0 is no limit.

    gate  so many are taken at once, and the next only when all of them are settled: nothing overtakes; 0 is no gate
    """

    lane: str
    queue: str
    concurrency: int = 0
    rate: int = 0
    period: timedelta = timedelta(0)
    gate: int = 0
    breaker: LaneBreaker | None = None

    def words(self) -> tuple[Argument, ...]:
        limits = (self.lane, self.queue, self.concurrency, self.rate, self.period // _MICROSECOND, self.gate)
        found = self.breaker
        if found is None:
            return *limits, 0, 0, 0, 0, 0
        times = (found.window // _MICROSECOND, found.pause // _MICROSECOND, found.longest // _MICROSECOND)
        return *limits, found.attempts, found.percent, *times


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane as operators see it. `state` is `running`, or why it isn't: `paused`, `held`, `off`, `breaker`.

    waiting    those due later included; `due` is without them
    since_us   since when it is stopped; None where it runs
    getting_on at most so many at once for now, because it was stopped before; 0 is as its limits say
    by_hand    who set its limits in place of relay.yaml's, and when; empty where nobody did
    """

    name: str
    queue: str
    state: str
    reason: str
    waiting: int
    in_flight: int
    dead: int
    concurrency: int
    rate: int
    period: timedelta
    next_due_us: int | None
    since_us: int | None = None
    getting_on: int = 0
    by_hand: str = ""
    due: int = 0


Change = Literal["drop", "due", "revive"]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Lanes:
    """The commands of the lanes under one prefix."""

    def __init__(self, prefix: str = "lanes:") -> None:
        self.prefix = prefix
        self.keys = (prefix,)

    def bell(self, queue: str) -> str:
        """The channel that is told, in microseconds, when there was something new to take."""
        return f"{self.prefix}bell:{queue}"

    def enqueue(self, messages: Iterable[NewMessage], now_us: int | None = None) -> Command[list[bool]]:
        """True for each message that is new, False where one of its id waits or is in flight already."""
        words = chain.from_iterable(message.words() for message in messages)
        return Command.call(_ENQUEUE, self.keys, _now(now_us), *words, read=_flags)

    def fetch(
        self, queue: str, worker: str, limit: int, lease_us: int, share: int | None = None, now_us: int | None = None
    ) -> Command[Fetch]:
        """Lease what is due, at most `limit`, fair between lanes.

        share  a lane may come to hold so many times what it leaves free of `limit`; None is no such bound
        """
        words = (_now(now_us), queue, worker, limit, lease_us, "" if share is None else share)
        return Command.call(_FETCH, self.keys, *words, read=_fetched)

    def settle(self, worker: str, settlements: Iterable[Settlement], now_us: int | None = None) -> Command[list[bool]]:
        """False for each message that the worker no longer held."""
        words = chain.from_iterable(settlement.words() for settlement in settlements)
        return Command.call(_SETTLE, self.keys, _now(now_us), worker, *words, read=_flags)

    def beat(self, worker: str, lease_us: int, *, reap: bool, now_us: int | None = None) -> Command[tuple[bool, int]]:
        """Whether the lease was still ours, and how many messages of dead workers were taken back."""
        words = (_now(now_us), worker, lease_us, int(reap))
        return Command.call(_BEAT, self.keys, *words, read=lambda reply: (bool(reply[0]), int(reply[1])))

    def take_back(self, worker: str, *, died: bool, now_us: int | None = None) -> Command[int]:
        """What it holds waits again; where it died, that is counted against each message. How many."""
        return Command.call(_TAKE_BACK, self.keys, _now(now_us), worker, int(died), read=int)

    def reclaim(self, queue: str, worker: str, known: Iterable[str], now_us: int | None = None) -> Command[int]:
        """After a fetch whose answer was lost: what the worker holds and does not know of waits again. How many."""
        return Command.call(_RECLAIM, self.keys, _now(now_us), queue, worker, *known, read=int)

    def workers(self) -> Command[Sequence[str]]:
        """Everybody who holds a lease, run out or not."""
        return Command(("ZRANGE", self.prefix + "workers", 0, -1), lambda reply: tuple(map(_text, reply)))

    def configure(self, limits: Sequence[LaneLimits], now_us: int | None = None) -> Command[None]:
        words = chain.from_iterable(limit.words() for limit in limits)
        return Command.call(_CONFIGURE, self.keys, _now(now_us), *words, read=lambda _: None)

    def pause(
        self,
        queue: str,
        lane: str,
        reason: str,
        *,
        state: str = "paused",
        only_if: str = "*",
        now_us: int | None = None,
    ) -> Command[bool]:
        """Nothing more is taken from the lane. True where that is new."""
        return Command.call(_PAUSE, self.keys, _now(now_us), queue, lane, state, reason, only_if, read=bool)

    def resume(self, queue: str, lane: str, *, only_if: str = "*", now_us: int | None = None) -> Command[bool]:
        """`only_if` resumes it only from that state (`breaker`: it probes at once). True where it had been stopped."""
        return Command.call(_PAUSE, self.keys, _now(now_us), queue, lane, "", "", only_if, read=bool)

    def limit(
        self,
        lane: str,
        how: str,
        *,
        concurrency: int | None = None,
        rate: tuple[int, timedelta] | None = None,
        now_us: int | None = None,
    ) -> Command[bool]:
        """Limits in place of those of `configure`, until `unlimit`; None leaves one as it is. True where that is new.

        how  who did it, and when: shown beside the lane
        """
        count, period = (rate[0], rate[1] // _MICROSECOND) if rate is not None else ("", "")
        most = "" if concurrency is None else concurrency
        return Command.call(_LIMIT, self.keys, _now(now_us), lane, most, count, period, how, read=bool)

    def unlimit(self, lane: str, *, now_us: int | None = None) -> Command[bool]:
        """Back to the limits of `configure`. True where they were others."""
        return Command.call(_LIMIT, self.keys, _now(now_us), lane, "", "", "", "", read=bool)

    def change(
        self, verb: Change, lane: str, ids: Sequence[str], due_us: int | None = None, now_us: int | None = None
    ) -> Command[int]:
        """drop waiting messages, make them due at another time, or revive dead letters of nack. How many it were."""
        due = "" if due_us is None else due_us
        return Command.call(_CHANGE, self.keys, _now(now_us), verb, lane, due, *ids, read=int)

    def names(self) -> Command[list[str]]:
        return Command(("SMEMBERS", self.prefix + "lanes"), lambda reply: sorted(_text(name) for name in reply))

    def stats(self, lanes: Sequence[str], now_us: int | None = None) -> Command[list[LaneState]]:
        return Command.call(
            _STATS,
            self.keys,
            _now(now_us),
            *lanes,
            read=lambda reply: [_state(name, row) for name, row in zip(lanes, reply, strict=True)],
        )


def _now(now_us: int | None) -> Argument:
    return "" if now_us is None else now_us


def _flags(reply: Any) -> list[bool]:
    return [bool(flag) for flag in reply]


def _fetched(reply: Any) -> Fetch:
    wait = int(reply[0])
    messages = [
        Fetched(reply[i].decode(), reply[i + 1].decode(), reply[i + 2], int(reply[i + 3]))
        for i in range(2, len(reply), 4)
    ]
    return Fetch(None if wait < 0 else wait, messages, int(reply[1]))


def _state(name: str, row: Any) -> LaneState:
    return LaneState(
        name=name,
        queue=_text(row[0]),
        state=_text(row[4]) or "running",
        reason=_text(row[5]),
        waiting=int(row[6]),
        in_flight=int(row[7]),
        dead=int(row[8]),
        concurrency=int(row[1]),
        rate=int(row[2]),
        period=timedelta(microseconds=int(row[3])),
        next_due_us=int(float(row[9])) if row[9] else None,
        since_us=int(float(row[10])) if row[10] and row[4] else None,
        getting_on=int(row[11]),
        by_hand=_text(row[12]),
        due=int(row[13]),
    )
