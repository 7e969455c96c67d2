"""What the recipe language costs: events routed and rendered a CPU-second, and what each part takes of it.

The recipe is that of the language's own page: a `when`, four picks, a row for a sheet, a message that uses what the
sheet answered, a row of a batch, and a post for each message of the chat. The sheet, the chat and the warehouse are
HTTP connections here. Reference: the same outgoing bodies made by a Python function written for this one event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import phonenumbers
import structlog

from bench import transcript
from bench.processes import folder, valkey
from bench.report import Bench, Row
from relay.clock import now_ms
from relay.connections import Connections
from relay.connector import Call, Context
from relay.memory import DecodedEvents
from relay.messages import CaughtPayload, RouteJob
from relay.model import Event, Status, delivery_id, new_event_id
from relay.recipes import EventView, Recipe, Scope, Workspace, load_workspace
from relay.route import Router, planned_deliveries
from relay.sources.decode import decode_event
from relay.store import ROUTE_QUEUE, Store, source_lane

UNIT = "events/CPU-s"

RELAY_YAML = """
sources:
  gecko-chat: {verify: {header: X-Key, equals: k}}
connections:
  ops-sheets: {connector: http, base_url: "http://127.0.0.1:9", allow_private: true}
  support-slack: {connector: http, base_url: "http://127.0.0.1:9", allow_private: true}
  sits: {connector: file}
  warehouse: {connector: http, base_url: "http://127.0.0.1:9", allow_private: true}
"""

RECIPE = """
recipe: Low-rated chats to the sheet, to Slack and to SITS
catch: gecko-chat
when: $.conversation.rating < 5
timezone: Europe/London
pick:
  name: $.contact.name | trim
  email: $.contact.email | lower
  phone: $.contact.phone? | phone("GB")
  closed: $.conversation.closed_at | date("DD/MM/YYYY HH:mm")
steps:
  sheet:
    to: ops-sheets
    with: {path: /append, json: {tab: Low ratings, row: {Name: $name, Email: $email, Phone: $phone, Closed: $closed}}}
    save: {range: $.updates.updatedRange}
  slack:
    to: support-slack
    with:
      path: /chat.postMessage
      json: {channel: C024BE91L, text: "{{ $name }} left unhappy at {{ $closed }} (row {{ $sheet.range }})"}
  sits:
    to: sits
    do: csv
    batch: {every: 1h, max: 500}
    with:
      path: chats_{{ $batch.time | date("YYYYMMDD-HHmm") }}.csv
      columns: {STU_SURN: $name | last_word, STU_EMAIL: $email}
      format: {delimiter: ";", encoding: cp1252, line_end: crlf}
  messages:
    to: warehouse
    foreach: $.messages[*]
    with: {path: /messages, json: {author: $item.from, body: $item.text}}
"""

SAVED = {"sheet": {"range": "A7"}}


def measure(bench: Bench) -> list[Row]:
    # The line of each event would end up among the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    events = bench.pick(1500, 150)
    ours: list[float] = []
    theirs: list[float] = []
    sent: list[float] = []
    shares: dict[str, list[float]] = {}
    with folder() as home, valkey(home) as url:
        parts = _Parts(home, url)
        deliveries = parts.check()
        asyncio.run(parts.run(20))
        for _ in range(bench.rounds):
            theirs.append(events / _cpu(lambda: [_by_hand(parts.body(n)) for n in range(events)]))
            spent = asyncio.run(parts.run(events))
            whole = sum(spent.values())
            ours.append(events / whole)
            sent.append(events * deliveries / whole)
            for part, seconds in spent.items():
                shares.setdefault(part, []).append(100 * seconds / whole)
            bench.say(f"by hand {theirs[-1]:,.0f}/CPU-s, relay {ours[-1]:,.0f}/CPU-s")
    return [
        Row("language", f"an event of {deliveries} deliveries", UNIT, ours, "written for it by hand", theirs),
        Row("language", "its deliveries", "deliveries/CPU-s", sent),
        *(Row("language", f"share: {part}", "%", each) for part, each in shares.items()),
    ]


def _cpu(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class _Parts:
    """The stages of the relay one after another in this process, each timed by its CPU."""

    def __init__(self, home: Path, url: str) -> None:
        recipes = home / "recipes"
        recipes.mkdir(exist_ok=True)
        (recipes / "relay.yaml").write_text(RELAY_YAML)
        (recipes / "low-rated-chats.yaml").write_text(RECIPE)
        self.home = home
        self.url = url
        self.workspace: Workspace = load_workspace(recipes)
        assert not self.workspace.errors, self.workspace.errors
        self.recipe: Recipe = self.workspace.recipes["low-rated-chats"]
        self.connections = Connections(self.workspace, Context(data_dir=home))

    def body(self, number: int) -> bytes:
        return transcript.body(transcript.event_id("lang", number))

    def event(self, number: int) -> Event:
        headers = {"content-type": "application/json"}
        return Event(new_event_id(), "gecko-chat", "POST", "/in/gecko-chat", (), headers, self.body(number), now_ms())

    def check(self) -> int:
        """That the relay and the function written by hand make the same; how many deliveries an event has."""
        view = EventView(event := self.event(0), decode_event(event, self.workspace.sources["gecko-chat"].config))
        made = [fields.get("json", fields.get("columns")) for fields in self.render(view, self.recipe.plan(view))]
        by_hand = [orjson.loads(one) for one in _by_hand(event.body)]
        assert made == by_hand, f"{made}\n{by_hand}"
        return len(made)

    def render(self, view: EventView, plan: Any) -> list[dict[str, Any]]:
        rendered = []
        for planned in plan.steps:
            step = self.recipe.steps[planned.step]
            own = delivery_id(view.event.id, self.recipe.id, step.id, planned.item)
            within = self.recipe.within(step, view, planned.item)
            within["batch"] = {"time": "2026-01-01T12:00:00.000Z", "count": 1}
            scope = Scope(view, self.recipe.picked(view), saved=SAVED, delivery_id=own, within=within)
            fields = step.render(scope)
            call = Call(own, own, 1, step.timeout, view.event.received_at)
            self.connections.get(step.to).outgoing(step.do, fields, call).preview()
            rendered.append(fields)
        return rendered

    async def run(self, number: int) -> dict[str, float]:
        """CPU seconds of each part, for so many events."""
        events = [self.event(n) for n in range(number)]
        config = self.workspace.sources["gecko-chat"].config
        spent: dict[str, float] = {}
        views: list[EventView] = []
        plans: list[Any] = []
        spent["decode"] = _cpu(lambda: views.extend(EventView(event, decode_event(event, config)) for event in events))
        spent["when and pick"] = _cpu(lambda: plans.extend(self.recipe.plan(view) for view in views))
        pairs = list(zip(views, plans, strict=True))
        spent["messages"] = _cpu(lambda: [planned_deliveries(self.recipe, p, v.event.id) for v, p in pairs])
        spent["render"] = _cpu(lambda: [self.render(view, plan) for view, plan in pairs])
        # Routing as a whole, less what has been measured of it: reading the event, and writing what was made.
        whole = await self._route(events)
        spent["store"] = max(0.0, whole - spent["decode"] - spent["when and pick"] - spent["messages"])
        return spent

    async def _route(self, events: list[Event]) -> float:
        store = Store(self.url, f"bench:{new_event_id()}:")
        lane = source_lane("gecko-chat")
        for event in events:
            await store.accept([(event, CaughtPayload(lane).of(event.id))], lane, timedelta(days=1))
        router = Router(self.workspace, store, "bench:1:a", DecodedEvents())
        started = time.process_time()
        while True:
            fetched = await store.run(store.lanes.fetch(ROUTE_QUEUE, "bench:1:a", 64, 10_000_000))
            if not fetched.messages:
                break
            await router.route([RouteJob(lease.id, lane, lease.id) for lease in fetched.messages])
        took = time.process_time() - started
        stored = await store.event(events[-1].id)
        assert stored is not None
        assert {one.status for one in await store.deliveries(stored.deliveries) if one} == {Status.WAITING}
        await store.aclose()
        return took


LONDON = ZoneInfo("Europe/London")


def _by_hand(body: bytes) -> list[bytes]:
    """The outgoing bodies, by a programmer who knew this one event."""
    event = orjson.loads(body)
    if not event["conversation"]["rating"] < 5:
        return []
    contact = event["contact"]
    name, email = contact["name"].strip(), contact["email"].lower()
    number = phonenumbers.parse(contact["phone"], "GB")
    assert phonenumbers.is_valid_number(number)
    phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    moment = datetime.fromisoformat(event["conversation"]["closed_at"]).astimezone(LONDON)
    closed = moment.strftime("%d/%m/%Y %H:%M")
    row = {"Name": name, "Email": email, "Phone": phone, "Closed": closed}
    text = f"{name} left unhappy at {closed} (row {SAVED['sheet']['range']})"
    bodies: list[Any] = [
        {"tab": "Low ratings", "row": row},
        {"channel": "C024BE91L", "text": text},
        {"STU_SURN": name.split()[-1], "STU_EMAIL": email},
        *({"author": message["from"], "body": message["text"]} for message in event["messages"]),
    ]
    return [orjson.dumps(one) for one in bodies]
