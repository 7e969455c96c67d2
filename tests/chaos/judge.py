"""The ledgers against each other, and against the relay's own account."""

from __future__ import annotations

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.sender import Sender
from tests.chaos.stand import Stand
from tests.chaos.workspace import CARELESS, FILES, Effect, effects_of, number_of

#: How many of a connection's deliveries can be under way at once: what one cut can make a careless destination repeat.
LANE_CONCURRENCY = 16


@dataclass
class Verdict:
    """What a round showed. `wrong` is empty where all promises were kept."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def tell(self, what: str, which: Iterable[str]) -> None:
        if found := sorted(which):
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            self.wrong.append(f"{len(found)} {what}: {', '.join(found[:5])}{more}")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def happened(arrivals: Iterable[Mapping[str, Any]], outbox: Path) -> Iterator[Effect]:
    """What the destinations did, one by one."""
    for arrival in arrivals:
        if arrival["acts"]:
            yield from units_of(arrival)
    for name in FILES:
        for line in lines_of(outbox / name):
            yield Effect(name, line["id"])


def units_of(arrival: Mapping[str, Any]) -> Iterator[Effect]:
    place, body = arrival["place"], arrival["body"]
    for row in body if isinstance(body, list) else [body]:
        yield Effect(place, f"{row['id']}/{row['sku']}" if place == "items" else row["id"])


async def judge(stand: Stand, sender: Sender, disturbances: int, died: set[str]) -> Verdict:
    """`died`: events that were dead letters for a while; they lost their place in the order."""
    verdict = Verdict()
    arrivals = lines_of(stand.folder / "sink.jsonl")
    _sender(verdict, sender)
    _effects(verdict, sender, arrivals, Counter(happened(arrivals, stand.data / "outbox")), disturbances)
    _keys(verdict, arrivals)
    _order(verdict, arrivals, died)
    for arrival in arrivals:
        if arrival["place"] == "second" and arrival["body"]["number"] != number_of(arrival["body"]["id"]):
            verdict.wrong.append(f"a saved value of another: {arrival['body']}")
    await _account(verdict, stand, sender)
    _store(verdict, stand)
    _log(verdict, stand.folder / "relay.log")
    return verdict


def _sender(verdict: Verdict, sender: Sender) -> None:
    verdict.wrong.extend(sender.wrong[:10])
    verdict.tell("never had a 2xx", (id_ for id_, sent in sender.sent.items() if not sent.ids))
    verdict.tell("were accepted under two ids", (id_ for id_, sent in sender.sent.items() if len(sent.ids) > 1))
    verdict.counts |= {"events": len(sender.sent), "requests": sum(sent.tries for sent in sender.sent.values())}


def _effects(
    verdict: Verdict, sender: Sender, arrivals: list[dict[str, Any]], did: Counter[Effect], disturbances: int
) -> None:
    wanted = {effect for sent in sender.sent.values() for effect in effects_of(sent.source, sent.body)}
    verdict.tell("effects are missing", (f"{effect.place} {effect.unit}" for effect in wanted - did.keys()))
    verdict.tell(
        "effects of nothing that was sent", (f"{effect.place} {effect.unit}" for effect in did.keys() - wanted)
    )
    twice = {effect: number for effect, number in did.items() if number > 1}
    verdict.tell("effects came twice", (f"{e.place} {e.unit} ×{n}" for e, n in twice.items() if e.place != CARELESS))
    repeats = sum(number - 1 for effect, number in twice.items() if effect.place == CARELESS)
    # Each answer that the sink itself spoiled may bring one more, and each cut what was under way.
    spoiled = sum(1 for line in arrivals if line["place"] == CARELESS and line["acts"] and line["mood"])
    if repeats > spoiled + disturbances * LANE_CONCURRENCY:
        verdict.wrong.append(
            f"{repeats} repeats at {CARELESS}, with {disturbances} disturbances and {spoiled} spoiled answers"
        )
    verdict.counts |= {"effects": did.total(), "arrivals": len(arrivals), "repeats": repeats}


def _keys(verdict: Verdict, arrivals: list[dict[str, Any]]) -> None:
    """One effect has one idempotency key, however often it is tried."""
    keys: dict[Effect, set[str]] = defaultdict(set)
    for arrival in arrivals:
        for effect in units_of(arrival):
            keys[effect].add(arrival["key"])
    several = (f"{e.place} {e.unit} {sorted(k)}" for e, k in keys.items() if len(k) > 1)
    verdict.tell("effects came under several keys", several)
    verdict.tell("effects came without a key", (f"{e.place} {e.unit}" for e, k in keys.items() if "" in k))


def _order(verdict: Verdict, arrivals: list[dict[str, Any]], died: set[str]) -> None:
    last: dict[str, int] = {}
    for arrival in arrivals:
        body = arrival["body"]
        if arrival["place"] != "ordered" or not arrival["acts"] or body["id"] in died:
            continue
        before = last.get(body["key"], 0)
        if body["turn"] < before:
            verdict.wrong.append(f"out of order: {body['id']} of {body['key']}, turn {body['turn']} after {before}")
        last[body["key"]] = max(before, body["turn"])


async def _account(verdict: Verdict, stand: Stand, sender: Sender) -> None:
    """The relay's own words: everything that was accepted, and nothing else, has come to its end."""
    limit = ("--limit", "1000000")
    events = {row["id"]: row for row in await stand.rows("events", "list", *limit)}
    deliveries = await stand.rows("deliveries", "list", *limit)
    answered = {id_ for sent in sender.sent.values() for id_ in sent.ids}
    verdict.tell("events were accepted and are not kept", answered - events.keys())
    verdict.tell("events are kept that nobody sent", events.keys() - answered)
    verdict.tell("events have not been routed", (id_ for id_, row in events.items() if row["status"] == "caught"))
    open_ = (f"{row['id']} {row['status']}" for row in deliveries if row["status"] not in ("delivered", "skipped"))
    verdict.tell("deliveries have not ended", open_)
    dead = await stand.rows("dead", "list", *limit)
    verdict.tell("dead letters were left", (f"{row['id']} {row.get('cause')}" for row in dead))
    lanes = await stand.rows("lanes", "list")
    leaked = (
        f"{row['name']} {row['status']} {row['waiting']}/{row['in_flight']}" for row in lanes if not _at_rest(row)
    )
    verdict.tell("lanes are not at rest", leaked)
    looked = await stand.cli("doctor", "--books", "--json", codes=(0, 1))
    findings = [row for row in map(json.loads, looked.splitlines()) if row["name"] == "books"]
    verdict.tell("books disagree", (row["message"] for row in findings if row["status"] != "ok"))
    counts = Counter(row["status"] for row in deliveries)
    verdict.counts |= {"deliveries": len(deliveries), "delivered": counts["delivered"], "skipped": counts["skipped"]}


def _at_rest(lane: Mapping[str, Any]) -> bool:
    return lane["status"] == "running" and not lane["waiting"] and not lane["in_flight"]


#: Keys that hold something about a message or a batch: the lanes are at rest when there are none. What each is,
#: relay/lanes/lua/lib.lua and relay/store/lua/lib.lua say.
WAITING = ("lanes:msg", "lanes:back", "batches")
WAITING_BY_NAME = (*(f"lanes:{kind}:" for kind in ("d", "f", "o", "b", "k", "x", "w", "ready", "timer")), "bt:", "br:")


def leftovers(stand: Stand) -> list[str]:
    with contextlib.closing(stand.store()) as store:
        keys = [key.removeprefix("relay:") for key in store.scan_iter(count=10_000)]
    return sorted(key for key in keys if key in WAITING or key.startswith(WAITING_BY_NAME))


def stopped_lanes(stand: Stand) -> list[str]:
    with contextlib.closing(stand.store()) as store:
        return [lane for lane in store.smembers("relay:lanes:lanes") if store.hget(f"relay:lanes:l:{lane}", "paused")]


def is_any_dead(stand: Stand) -> bool:
    with contextlib.closing(stand.store()) as store:
        return bool(store.zcard("relay:x:dead"))


def _store(verdict: Verdict, stand: Stand) -> None:
    verdict.tell("keys were left in the store", leftovers(stand))
    with contextlib.closing(stand.store()) as store:
        events = list(store.scan_iter("relay:e:*", count=10_000))
        open_ = {key: store.hget(key, "open") for key in events}
        verdict.tell("events have a wrong tally", (f"{key} {n}" for key, n in open_.items() if n != "0"))
        done = set(store.zrange("relay:x:done", 0, -1))
        verdict.tell("events are not marked as done", {key.removeprefix("relay:e:") for key in events} - done)


def _log(verdict: Verdict, path: Path) -> None:
    """A mistake of the relay's own is one, even where nothing came of it."""
    found = Counter[str]()
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line).get("event", "")
            if event.endswith((".mistake", "_mistake")):
                found[event] += 1
        if line.startswith("Traceback"):
            found["a traceback"] += 1
    verdict.tell("mistakes in the log", (f"{event} ×{number}" for event, number in found.items()))
