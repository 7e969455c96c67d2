"""What `relay try` shows of an event is what the running relay sends of it, for the whole language."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from relay.testing import Answer, Recorded, RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

RECIPE = """
recipe: All of the language
catch: chat
types: order.*
when: $.total > 0
pick: {mail: $.mail | lower}
steps:
  customer:
    to: sink
    with: {method: GET, path: /customers, query: {mail: $mail}}
    save: {id: $.id}
  lines:
    to: sink
    foreach: $.lines
    when: $item.qty > 0
    order_by: $mail
    with: {path: "/customers/{{ $customer.id }}/lines", json: {sku: $item.sku, number: $index, of: $event.id}}
    save: {line: $.line}
  total:
    to: sink
    with: {path: /total, form: {lines: $lines.line, at: $event.received_at}}
  rows:
    to: files
    do: csv
    batch: {every: 1s}
    with: {path: rows.csv, row: {Mail: $mail, Of: $batch.count, Lines: $lines.line}}
  none:
    to: files
    do: csv
    foreach: $.nothing?
    with: {path: none.csv, row: {a: $item}}
  never:
    to: files
    do: csv
    when: $customer.id > 100
    with: {path: never.csv, row: {a: 1}}
respond:
  as: xml
  body: {customer: $customer.id, lines: $lines.line}
"""
ORDER = {
    "kind": "order.paid",
    "mail": "ANA@example.com",
    "total": 5,
    "lines": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 0}, {"sku": "C", "qty": 2}],
}


def answer(request: Recorded) -> Answer:
    if request.path == "/customers":
        return Answer(body={"id": 17})
    return Answer(body={"line": request.json()["number"] * 10} if "/lines" in request.path else {})


def ended(relay: Relay, event: str) -> list[str]:
    """The ids of the event's deliveries, once all of them have ended."""
    rows = relay.rows("deliveries", "list", "--event", event)
    return [row["id"] for row in rows] if {row["status"] for row in rows} == {"delivered", "skipped"} else []


def test_a_dry_run_shows_what_the_running_relay_sends_skips_and_answers(tmp_path: Path) -> None:
    root = {
        "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}, "event_type": "$.kind"}},
        "connections": {
            "sink": {"connector": "http", "base_url": "", "allow_private": True, "auth": {"bearer": "s3cret-word"}},
            "files": {"connector": "file"},
        },
    }
    with RecordingServer(answer) as sink:
        root["connections"]["sink"]["base_url"] = sink.url
        write_workspace(tmp_path, root, {"orders": RECIPE})
        for name, reply in {"customer": {"id": 17}, "lines": [{"line": 0}, {"line": 10}, {"line": 20}]}.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(reply))
        with relay_up(tmp_path) as relay:
            got = httpx.post(f"{relay.url}/in/chat", json=ORDER, headers={"X-Key": "k"}, timeout=30)
            (event,) = [row["id"] for row in relay.rows("events", "list")]
            ids = eventually(lambda: ended(relay, event), pause=0.3)
            made = [relay.rows("deliveries", "show", id_)[0] for id_ in ids]
            replies = [word for name in ("customer", "lines") for word in ("--reply", f"{name}={name}.json")]
            rows = relay.rows("try", "orders", "--event", event, *replies)

    tried = {(row["step"], row["item"]): row for row in rows if row["kind"] == "step"}
    assert len(tried) == len(made) == 8
    for one in made:
        row = tried[one["step"], int(one["item"]) if one["item"] else None]
        if one["status"] == "skipped":
            assert row["status"] == "skipped"
            assert one["summary"] == row["skipped"]
            continue
        (attempt,) = one["attempts"]
        sent = {key: value for key, value in attempt["sent"].items() if key != "batch"}
        if one["step"] == "rows":
            del sent["rows"]
            row["preview"].pop("rows")
        assert sent == row["preview"], one["step"]
    (answered,) = [row for row in rows if row["kind"] == "answer"]
    assert (answered["http_status"], answered["text"]) == (got.status_code, got.text)
    assert answered["content_type"] == got.headers["content-type"]
    assert "<customer>17</customer>" in got.text
