"""The parts of the language that need a running relay: foreach, batch, order_by, types."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx

from relay.testing import Answer, Recorded, RecordingServer
from tests.connectors.fake_airtable import FakeAirtable
from tests.harness import Relay, eventually, relay_up, write_workspace

HEADERS = {"X-Key": "k"}


def workspace(folder: Path, sink: RecordingServer, recipes: dict[str, str], /, **more: Any) -> None:
    root: dict[str, Any] = {
        "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}, **more.pop("source", {})}},
        "connections": {
            "sink": {"connector": "http", "base_url": sink.url, "allow_private": True},
            "files": {"connector": "file"},
            **more,
        },
    }
    write_workspace(folder, root, recipes)


def post(relay: Relay, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{relay.url}/in/chat", json=body, headers=HEADERS | headers, timeout=30)


def accepted(relay: Relay, body: Any) -> str:
    answer = post(relay, body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


FOREACH = """
recipe: A post for each line
catch: chat
steps:
  lines:
    to: sink
    foreach: $.lines[*]
    when: $item.n > 0
    with: {path: /lines, json: {n: $item.n, index: $index}}
    save: {id: $.id}
  total:
    to: sink
    with: {path: /total, json: {ids: $lines.id}}
"""


def test_foreach_makes_a_delivery_for_each_item_and_what_they_save_is_a_list(tmp_path: Path) -> None:
    def answer(request: Recorded) -> Answer:
        if request.path == "/lines" and request.json()["n"] == 13 and not healed:
            return Answer(422, body={"error": "unlucky"})
        return Answer(body={"id": request.json().get("n", 0) * 10})

    healed: list[bool] = []
    with RecordingServer(answer) as sink:
        workspace(tmp_path, sink, {"lines": FOREACH})
        with relay_up(tmp_path) as relay:
            event = accepted(relay, {"lines": [{"n": 1}, {"n": 0}, {"n": 13}, {"n": 3}]})
            (dead,) = eventually(lambda: relay.rows("dead", "list"))
            assert "422" in dead["summary"]
            eventually(lambda: len(sink.requests) == 3)
            rows = relay.rows("deliveries", "list", "--event", event)
            assert sorted(row["status"] for row in rows) == ["dead", "delivered", "delivered", "skipped", "waiting"]
            assert not [r for r in sink.requests if r.path == "/total"], "the total waits for all of them"

            healed.append(True)
            relay.cli("dead", "replay", dead["id"])
            (total,) = eventually(lambda: [r for r in sink.requests if r.path == "/total"])
            assert total.json() == {"ids": [10, 130, 30]}
            seen = {(r.json()["n"], r.json()["index"]) for r in sink.requests if r.path == "/lines"}
            assert seen == {(1, 0), (13, 2), (3, 3)}


def test_a_list_without_items_skips_its_step_and_one_value_is_one_item(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={"id": 1})) as sink:
        workspace(
            tmp_path, sink, {"lines": FOREACH.replace("$.lines[*]", "$.lines?").replace("$lines.id", "$lines.id?")}
        )
        with relay_up(tmp_path) as relay:
            event = accepted(relay, {"lines": []})
            eventually(lambda: [r for r in sink.requests if r.path == "/total"])
            rows = {row["step"]: row for row in relay.rows("deliveries", "list", "--event", event)}
            assert "gives no items" in rows["lines"]["summary"]
            sink.requests.clear()
            accepted(relay, {"lines": {"n": 7}})
            eventually(lambda: [r for r in sink.requests if r.path == "/lines" and r.json() == {"n": 7, "index": 0}])


BATCH = """
recipe: Rows in a file
catch: chat
steps:
  rows:
    to: files
    do: csv
    batch: {every: %s, max: %d}
    with:
      path: "%s"
      row: {id: $.id, letter: $.letter, of: $batch.count}
"""


def batch(every: str = "1s", most: int = 1000, path: str = "rows_{{ $batch.time | replace(':', '') }}.csv") -> str:
    return BATCH % (every, most, path)


def lines_of(relay: Relay) -> dict[str, list[str]]:
    return {path.name: path.read_text().splitlines()[1:] for path in relay.outbox.glob("*.csv")}


def test_a_batch_is_one_call_and_a_bad_row_one_dead_letter(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink, {"rows": batch("8s")})
        with relay_up(tmp_path) as relay:
            for number in range(10):
                body = {"id": number, "letter": "x"} if number != 4 else {"id": number}
                accepted(relay, body)
            waiting = eventually(lambda: r if len(r := relay.rows("deliveries", "list")) == 10 else None)
            assert {row["status"] for row in waiting} == {"waiting"}
            (dead,) = eventually(lambda: relay.rows("dead", "list"))
            assert "letter" in dead["summary"]
            (found,) = eventually(lambda: list(lines_of(relay).values()))
            assert found == [f"{number},x,9" for number in range(10) if number != 4], (
                "told the count without the bad one"
            )
            delivered = relay.rows("deliveries", "list", "--status", "delivered")
            assert len(delivered) == 9
            (attempt,) = json.loads(relay.cli("deliveries", "show", delivered[0]["id"], "--json"))["attempts"]
            assert attempt["sent"]["rows"] in (9, 10)

            edit = json.dumps({"id": 4, "letter": "mended"})
            (tmp_path / "edit.json").write_text(edit)
            relay.cli("dead", "edit", dead["id"], "--file", str(tmp_path / "edit.json"))
            relay.cli("dead", "replay", dead["id"])
            eventually(lambda: ["4,mended,1"] in lines_of(relay).values())


def test_a_full_batch_goes_at_once_and_different_files_are_different_calls(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        recipe = batch("1h", 6, "{{ $.letter }}_{{ $batch.time | replace(':', '') }}.csv")
        workspace(tmp_path, sink, {"rows": recipe})
        with relay_up(tmp_path) as relay:
            for number in range(6):
                accepted(relay, {"id": number, "letter": "ab"[number % 2]})
            files = eventually(lambda: f if len(f := lines_of(relay)) == 2 else None)
            assert sorted(files.values()) == [["0,a,3", "2,a,3", "4,a,3"], ["1,b,3", "3,b,3", "5,b,3"]]


def test_batches_survive_kills_and_every_row_is_sent_once_or_in_one_file(tmp_path: Path) -> None:
    events = 400
    with RecordingServer() as sink:
        workspace(tmp_path, sink, {"rows": batch("700ms", 50)})
        with relay_up(tmp_path) as relay:
            ids: set[int] = set()

            async def send() -> None:
                async with httpx.AsyncClient(timeout=30) as client:
                    for number in range(events):
                        while True:
                            try:
                                answer = await client.post(
                                    f"{relay.url}/in/chat", json={"id": number, "letter": "x"}, headers=HEADERS
                                )
                            except httpx.HTTPError:
                                await asyncio.sleep(0.05)
                                continue
                            if answer.status_code == 202:
                                ids.add(number)
                                break
                            await asyncio.sleep(0.05)
                        if number in (60, 140, 220, 300):
                            name = "worker" if number != 220 else "valkey"
                            os.kill(relay.children()[name].pid, signal.SIGKILL)

            asyncio.run(send())
            assert len(ids) == events

            def arrived() -> set[int]:
                return {int(line.split(",")[0]) for lines in lines_of(relay).values() for line in lines}

            eventually(lambda: arrived() == ids, 60, pause=0.2)
            eventually(lambda: not relay.rows("deliveries", "list", "--status", "waiting"), 30, pause=0.2)
            rows = relay.rows("deliveries", "list", "--limit", "1000")
            assert {row["status"] for row in rows} == {"delivered"}
            total = sum(len(lines) for lines in lines_of(relay).values())
            print(f"{events} rows in {len(lines_of(relay))} files, {total - events} of them twice")


POSTED = """
recipe: Rows in one request
catch: chat
steps:
  rows:
    to: sink
    batch: {every: 1h, max: 40}
    with: {path: /rows, json: {id: $.id}}
    save: {took: $.took}
  after:
    to: sink
    with: {path: /after, json: {id: $.id, took: $rows.took}}
"""


def test_a_batch_that_is_refused_for_its_content_is_halved_until_the_bad_rows_are_alone(tmp_path: Path) -> None:
    def answer(request: Recorded) -> Answer:
        if request.path == "/after":
            return Answer(body={})
        ids = [row["id"] for row in request.json()]
        return Answer(422, body={"error": "bad row"}) if {7, 31} & set(ids) else Answer(body={"took": len(ids)})

    with RecordingServer(answer) as sink:
        workspace(tmp_path, sink, {"posted": POSTED})
        with relay_up(tmp_path) as relay:
            for number in range(40):
                accepted(relay, {"id": number})
            dead = eventually(lambda: d if len(d := relay.rows("dead", "list")) == 2 else None)
            assert all("422" in one["summary"] for one in dead)
            after = eventually(
                lambda: a if len(a := [r.json() for r in sink.requests if r.path == "/after"]) == 38 else None
            )
            assert {one["id"] for one in after} == set(range(40)) - {7, 31}, (
                "each row's own successor, after its own row"
            )
            calls = [[row["id"] for row in r.json()] for r in sink.requests if r.path == "/rows"]
            taken = [call for call in calls if not {7, 31} & set(call)]
            assert sorted(id_ for call in taken for id_ in call) == sorted(set(range(40)) - {7, 31}), "none twice"
            assert {one["id"]: one["took"] for one in after} == {id_: len(call) for call in taken for id_ in call}
            assert len(calls) < 24
            keys = [r.headers["idempotency-key"] for r in sink.requests if r.path == "/rows"]
            assert len(set(keys)) == len(keys), "another call has another key"


AIRTABLE = """
recipe: Rows of a table that takes ten at a time
catch: chat
steps:
  rows:
    to: table
    do: create
    batch: {every: 1h, max: 25}
    with: {table: Contacts, record: {Email: $.email, Rating: $.n}}
"""


def test_a_batch_is_cut_into_as_many_calls_as_the_destination_needs(tmp_path: Path) -> None:
    fake = FakeAirtable()
    with RecordingServer(fake.answer) as sink:
        table = {"connector": "airtable", "base_url": sink.url, "allow_private": True, "base": fake.base}
        workspace(tmp_path, sink, {"rows": AIRTABLE}, table={**table, "token": fake.token, "limit": {"rate": "50/s"}})
        with relay_up(tmp_path) as relay:
            for number in range(25):
                accepted(relay, {"n": number, "email": f"p{number}@example.ac.uk"})
            eventually(lambda: len(fake.rows) >= 25)
            assert sorted(row["fields"]["Rating"] for row in fake.rows) == list(range(25)), "each once"
            assert sorted(len(request.json()["records"]) for request in sink.requests) == [5, 10, 10]
            eventually(lambda: {row["status"] for row in relay.rows("deliveries", "list")} == {"delivered"})


def test_a_batch_that_fails_is_tried_again_as_it_was(tmp_path: Path) -> None:
    recipe = POSTED.replace("    save:", "    retry: {after: [200ms, 200ms]}\n    save:").replace("max: 40", "max: 5")
    with RecordingServer() as sink:
        sink.answer(503)
        sink.answer(200, {"took": 5})
        workspace(tmp_path, sink, {"posted": recipe})
        with relay_up(tmp_path) as relay:
            for number in range(5):
                accepted(relay, {"id": number})
            eventually(lambda: len([r for r in sink.requests if r.path == "/after"]) == 5)
            first, second = (r for r in sink.requests if r.path == "/rows")
            assert first.body == second.body
            assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
            (row, *_) = relay.rows("deliveries", "list", "--step", "rows")
            shown = json.loads(relay.cli("deliveries", "show", row["id"], "--json"))
            assert [attempt["outcome"] for attempt in shown["attempts"]] == ["retry", "delivered"]


ORDERED = """
recipe: Contacts in order
catch: chat
steps:
  post:
    to: sink
    order_by: $.contact
    retry: {after: [100ms, 100ms, 100ms, 100ms, 100ms, 100ms]}
    with: {path: /e, json: {contact: $.contact, n: $.n}}
"""


def test_what_is_ordered_arrives_in_the_order_it_was_caught_through_failures_and_kills(tmp_path: Path) -> None:
    contacts, events = 16, 50
    seen: dict[tuple[str, int], int] = defaultdict(int)

    def answer(request: Recorded) -> Answer:
        body = request.json()
        seen[body["contact"], body["n"]] += 1
        return Answer(503) if body["n"] % 17 == 3 and seen[body["contact"], body["n"]] < 3 else Answer(body={})

    async def one(client: httpx.AsyncClient, relay: Relay, contact: str) -> None:
        for n in range(events):
            body = {"contact": contact, "n": n, "key": f"{contact}/{n}"}
            for _ in range(400):
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.post(f"{relay.url}/in/chat", json=body, headers=HEADERS)
                    if answer.status_code in (200, 202):
                        break
                await asyncio.sleep(0.05)
            if contact == "c0" and n in (10, 25, 40):
                os.kill(relay.children()["valkey" if n == 25 else "worker"].pid, signal.SIGKILL)

    async def send(relay: Relay) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(one(client, relay, f"c{number}") for number in range(contacts)))

    with RecordingServer(answer) as sink:
        # A breaker would stop for seconds at what fails here: all contacts at the same events.
        connection = {"connector": "http", "base_url": sink.url, "allow_private": True, "breaker": "off"}
        workspace(tmp_path, sink, {"ordered": ORDERED}, source={"event_id": "$.key"}, sink=connection)
        with relay_up(tmp_path, "--workers", "2") as relay:
            asyncio.run(send(relay))
            eventually(lambda: len(seen) == contacts * events, 60)
            for status in ("retrying", "waiting"):
                eventually(lambda status=status: not relay.rows("deliveries", "list", "--status", status), 30)
            assert relay.rows("dead", "list") == []
            by_contact: dict[str, list[int]] = defaultdict(list)
            for body in [r.json() for r in sink.requests]:
                numbers = by_contact[body["contact"]]
                # Tried again, or sent twice because a kill took the answer: right behind itself, or nowhere.
                if not numbers or numbers[-1] != body["n"]:
                    numbers.append(body["n"])
            assert by_contact == {f"c{number}": list(range(events)) for number in range(contacts)}


def test_a_recipe_gets_the_types_it_names_and_a_source_may_have_many_recipes(tmp_path: Path) -> None:
    recipe = """
recipe: One of many
catch: chat
types: %s
steps:
  post: {to: sink, with: {path: "/%s", json: {kind: $event.type}}}
"""
    recipes = {
        "contacts": recipe % ("contact.*", "contacts"),
        "tags": recipe % ("[contact.tagged, contact.untagged]", "tags"),
        "all": (recipe % ("x", "all")).replace("types: x\n", ""),
    }
    with RecordingServer() as sink:
        workspace(tmp_path, sink, recipes, source={"event_type": "$.type"})
        with relay_up(tmp_path) as relay:
            event = accepted(relay, {"type": "contact.tagged"})
            accepted(relay, {"type": "contact.created"})
            accepted(relay, {"type": "chat.closed"})
            eventually(lambda: len(sink.requests) == 6)
            got = sorted((r.path, r.json()["kind"]) for r in sink.requests)
            assert got == [
                ("/all", "chat.closed"),
                ("/all", "contact.created"),
                ("/all", "contact.tagged"),
                ("/contacts", "contact.created"),
                ("/contacts", "contact.tagged"),
                ("/tags", "contact.tagged"),
            ]
            assert len(relay.rows("deliveries", "list", "--event", event)) == 3
