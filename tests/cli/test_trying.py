"""`relay try`: what would be sent as people read it, the same for scripts, and that it is what is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relay.cli import previews
from tests.cli.conftest import Done, Run, Running, workspace
from tests.harness import eventually

RELAY_YAML = """\
sources:
  shop: {verify: none, event_type: $.kind}
connections:
  api: {connector: http, base_url: "https://api.example.com", auth: {bearer: "s3cret-token"}}
  drop: {connector: file, folder: outbox}
  sits:
    connector: sftp
    host: sftp.example.ac.uk
    username: gecko
    password: s3cret-word
    host_key: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
"""
RECIPE = """\
recipe: Orders to everybody
catch: shop
types: order.*
when: $.total < 100
timezone: Europe/London
pick:
  name: $.name | trim
  mail: $.mail | lower
steps:
  customer:
    to: api
    with: {method: GET, path: /customers, query: {mail: $mail}}
    save: {id: $.id}
  order:
    to: api
    order_by: $mail
    with: {path: "/customers/{{ $customer.id }}/orders", json: {total: $.total, note: "{{ $name }} paid"}}
  lines:
    to: api
    foreach: $.lines
    when: $item.qty > 0
    with: {path: /lines, form: {sku: $item.sku, qty: $item.qty}}
  row:
    to: drop
    do: csv
    with: {path: orders.csv, row: {Name: $name, Mail: $mail, Total: $.total}}
  nightly:
    to: sits
    do: csv
    batch: {at: "02:00", max: 500}
    with:
      path: /in/{{ $batch.count }}.csv
      unique: false
      row: {Surname: $name | last_word, Total: $.total}
      format: {delimiter: ";"}
  big:
    to: drop
    do: jsonl
    when: $.total > 50 and $name != "Bo"
    with: {path: big.jsonl, record: {total: $.total}}
respond:
  body: {customer: $customer.id}
  late: {body: {status: later}}
tests:
  - name: an order
    event: samples/order.json
    change: {$.total: 12.5}
    replies: {customer: {id: 17}}
    expect: {order: {path: /customers/17/orders}}
"""
ORDER = {
    "kind": "order.paid",
    "name": " Ana Sousa",
    "mail": "ANA@example.com",
    "total": 250,
    "lines": [{"sku": "A 1", "qty": 2}, {"sku": "B", "qty": 0}, {"sku": "C", "qty": 1}],
}
SHOWN = """\
orders: Orders to everybody
event   recipes/samples/order.json, with $.total changed and its replies, as in the test “an order”
pick    name  Ana Sousa
        mail  ana@example.com

customer → api (http)
  GET https://api.example.com/customers?mail=ana@example.com
  user-agent: relay/*
  accept: */*
  accept-encoding: identity
  authorization: ***
  idempotency-key: dlv_*

order → api (http)
  in order: after those before it with the same key, ana@example.com
  POST https://api.example.com/customers/17/orders
  user-agent: relay/*
  accept: */*
  accept-encoding: identity
  authorization: ***
  idempotency-key: dlv_*
  content-type: application/json

  {"total": 12.5, "note": "Ana Sousa paid"}

lines → api (http)  3 items
  item 1 of 3
    POST https://api.example.com/lines
    user-agent: relay/*
    accept: */*
    accept-encoding: identity
    authorization: ***
    idempotency-key: dlv_*
    content-type: application/x-www-form-urlencoded

    sku=A 1
    qty=2
  item 2 of 3
    skipped: when $item.qty > 0: $item.qty is 0
  item 3 of 3
    POST https://api.example.com/lines
    user-agent: relay/*
    accept: */*
    accept-encoding: identity
    authorization: ***
    idempotency-key: dlv_*
    content-type: application/x-www-form-urlencoded

    sku=C
    qty=1

row → drop (file csv)
  append to    orders.csv

  Name       Mail             Total
  Ana Sousa  ana@example.com  12.5

nightly → sits (sftp csv)
  batch: sent with others, at most 500, at 02:00 Europe/London; here as if alone
  write        /in/1.csv

  Surname  Total
  Sousa    12.5

  as it is written:
  Surname;Total
  Sousa;12.5

big → drop (file jsonl)
  skipped: when $.total > 50 and $name != "Bo": $.total is 12.5 and $name is "Ana Sousa"

answer → the sender  waits 8s at most
  200 OK
  content-type: application/json

  {"customer": 17}
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    (folder / "samples").mkdir(parents=True)
    (folder / "relay.yaml").write_text(RELAY_YAML)
    (folder / "orders.yaml").write_text(RECIPE)
    (folder / "samples" / "order.json").write_text(json.dumps(ORDER))
    return folder


def other(tmp_path: Path, **changes: Any) -> str:
    (tmp_path / "other.json").write_text(json.dumps({**ORDER, **changes}))
    return "other.json"


def tried(run: Run, *words: str) -> Done:
    return run("try", "orders", *words, "--recipes", "recipes")


def masked(text: str) -> str:
    """Without what another run or version has other."""
    lines = [line.partition("relay/")[0] + "relay/*" if "user-agent" in line else line for line in text.splitlines()]
    return "\n".join(line.partition("dlv_")[0] + "dlv_*" if "dlv_" in line else line for line in lines) + "\n"


def test_without_an_event_it_is_the_first_tests_and_all_of_it_is_readable(run: Run, orders: Path) -> None:
    done = tried(run)
    assert (done.code, done.err) == (0, "")
    assert masked(done.out) == SHOWN
    assert not Path("data").exists(), "nothing is written"


def test_only_one_step_is_shown_where_one_is_named(run: Run, orders: Path) -> None:
    done = run("try", "recipes/orders.yaml", "--step", "row", "--recipes", "recipes")
    start, end = SHOWN.index("row → "), SHOWN.index("nightly → ")
    assert done.out.endswith("\n" + SHOWN[start:end].rstrip("\n") + "\n")
    rows = tried(run, "--step", "lines", "--json").out.splitlines()
    assert [json.loads(row)["name"] for row in rows] == ["lines"] * 3
    wrong = tried(run, "--step", "rows")
    assert (wrong.code, "did you mean `row`?" in wrong.err) == (2, True)


def test_an_event_that_is_not_wanted_says_why(run: Run, orders: Path, tmp_path: Path) -> None:
    done = tried(run, "--event", other(tmp_path))
    assert done.code == 0
    assert done.out == (
        "orders: Orders to everybody\nevent   other.json\nnothing is sent: when $.total < 100: $.total is 250\n"
    )
    done = tried(run, "--event", other(tmp_path, kind="refund"))
    assert "nothing is sent: the event is of type refund, and the recipe wants order.*" in done.out


def test_what_waits_for_a_reply_says_how_to_give_one(run: Run, orders: Path, tmp_path: Path) -> None:
    event = other(tmp_path, total=60, lines=[])
    done = tried(run, "--event", event)
    assert "  waits: for the reply of customer; give one with --reply customer=FILE\n" in done.out
    assert "lines → api (http)\n  skipped: foreach $.lines gives no items\n" in done.out
    assert "  late: no reply of customer is given; give one with --reply customer=FILE\n  202 Accepted\n" in done.out
    assert '  {"status": "later"}\n' in done.out
    (tmp_path / "reply.json").write_text('{"id": 3}')
    assert "/customers/3/orders" in tried(run, "--event", event, "--reply", "customer=reply.json").out
    wrong = tried(run, "--event", event, "--reply", "custmer=reply.json")
    assert (wrong.code, "did you mean `customer`?" in wrong.err) == (2, True)


def test_an_event_that_does_not_fit_names_the_place_once_and_exits_with_1(
    run: Run, orders: Path, tmp_path: Path
) -> None:
    done = tried(run, "--event", other(tmp_path, total=1, mail={"a": 1}))
    assert done.code == 1
    assert done.out.count("recipes/orders.yaml:8:") == 1
    (tmp_path / "none.json").write_text('{"kind": "order.paid", "nme": "Ana", "total": 1}')
    assert "`nme`" in tried(run, "--event", "none.json").out


def test_one_step_that_cannot_be_sent_exits_with_1_and_shows_the_others(run: Run, orders: Path) -> None:
    recipe = orders / "orders.yaml"
    recipe.write_text(recipe.read_text().replace("path: orders.csv", "path: ../../orders.csv"))
    done = tried(run)
    assert done.code == 1
    assert "row → drop (file csv)\n  error: recipes/orders.yaml:24:9: " in done.out
    assert "sku=C" in done.out


def test_it_is_for_scripts_too(run: Run, orders: Path) -> None:
    rows = [json.loads(line) for line in tried(run, "--json").out.splitlines()]
    assert [(row["name"], row["status"]) for row in rows] == [
        ("customer", "would send"),
        ("order", "would send"),
        ("lines", "would send"),
        ("lines", "skipped"),
        ("lines", "would send"),
        ("row", "would send"),
        ("nightly", "would send"),
        ("big", "skipped"),
        ("answer", "would answer"),
    ]
    assert rows[1]["preview"]["json"] == {"total": 12.5, "note": "Ana Sousa paid"}
    assert rows[1]["fields"]["path"] == "/customers/17/orders"
    assert (rows[1]["order_key"], rows[1]["connector"], rows[1]["kind"]) == ("ana@example.com", "http", "step")
    assert [(row["item"], row["items"]) for row in rows[2:6]] == [(0, 3), (1, 3), (2, 3), (None, None)]
    assert rows[6]["batch"] == "sent with others, at most 500, at 02:00 Europe/London"
    answer = {key: rows[8][key] for key in ("kind", "http_status", "content_type", "text", "body", "late")}
    assert answer == {
        "kind": "answer",
        "http_status": 200,
        "content_type": "application/json",
        "text": '{"customer":17}',
        "body": {"customer": 17},
        "late": None,
    }
    assert "s3cret" not in json.dumps(rows)


def test_a_recipe_with_mistakes_says_what_they_are(run: Run, orders: Path) -> None:
    recipe = orders / "orders.yaml"
    recipe.write_text(recipe.read_text().replace("to: sits", "to: sitz"))
    done = tried(run)
    assert done.code == 1
    assert "did you mean `sits`?" in done.err


def test_without_an_event_and_without_a_test_it_says_what_to_give(run: Run, orders: Path) -> None:
    recipe = orders / "orders.yaml"
    recipe.write_text(recipe.read_text().partition("tests:")[0])
    done = tried(run)
    assert done.code == 2
    assert "say which event: --event FILE or --event evt_" in done.err


def test_an_event_that_is_nowhere_says_so(run: Run, orders: Path) -> None:
    done = tried(run, "--event", "nothing")
    assert (done.code, "nothing: no such file" in done.err) == (2, True)
    done = tried(run, "--event", "evt_0000000000")
    assert (done.code, "relay up" in done.err) == (3, True)


def test_a_header_may_be_given(run: Run, orders: Path) -> None:
    recipe = orders / "orders.yaml"
    recipe.write_text(recipe.read_text().replace("Name: $name, Mail", 'Name: "{{ $headers.x_id }}", Mail'))
    assert "7     ana@example.com" in tried(run, "--step", "row", "-H", "X_Id: 7").out


def test_many_items_are_counted_and_not_all_shown(run: Run, orders: Path, tmp_path: Path) -> None:
    lines = [{"sku": str(number), "qty": number % 3} for number in range(1, 1001)]
    done = tried(run, "--event", other(tmp_path, total=1, lines=lines), "--step", "lines")
    assert "lines → api (http)  1,000 items\n" in done.out
    assert "item 20 of 1000" in done.out
    assert "item 21 of 1000" not in done.out
    assert done.out.endswith("… and 980 more items: 653 sent, 327 skipped; --json shows them all\n")


# --- against a running relay ---


@pytest.fixture
def chats(tmp_path: Path) -> None:
    workspace(tmp_path, "http://127.0.0.1:9")


@pytest.mark.usefixtures("chats")
def test_a_secret_is_not_shown(run: Run) -> None:
    done = run("try", "chats", "--event", "recipes/samples/chat.json")
    assert "authorization: ***" in done.out
    assert "t0ken-of-the-sink" not in done.out


def test_what_is_shown_of_a_caught_event_is_what_was_sent(running: Running) -> None:
    event = json.loads(running.run("send", "chat", "recipes/samples/chat.json", "--json").out)["id"]

    def ended() -> list[dict[str, Any]]:
        rows = running.run("deliveries", "list", "--event", event, "--json").out.splitlines()
        found = [json.loads(running.run("deliveries", "show", json.loads(row)["id"], "--json").out) for row in rows]
        return found if {one["status"] for one in found} == {"delivered", "dead"} else []

    deliveries = eventually(ended, pause=0.2)
    done = running.run("try", "chats", "--event", event, "--json")
    assert done.code == 0, done
    shown = {row["step"]: row["preview"] for row in map(json.loads, done.out.splitlines())}
    assert {one["step"]: one["attempts"][0]["sent"] for one in deliveries} == shown
    done = running.run("try", "chats", "--event", event)
    assert f"event   {event} of chat, received 20" in done.out


def test_a_caught_event_that_nobody_knows_exits_with_1(running: Running) -> None:
    done = running.run("try", "chats", "--event", "evt_nothing")
    assert (done.code, done.err) == (1, "There is no event evt_nothing.\n")


# --- what a connector may show ---


def lines(preview: dict[str, Any], fields: dict[str, Any] | None = None, width: int = 80) -> list[str]:
    return [line.plain for line in previews.shown(preview, fields or {}, width)]


def test_a_row_that_is_too_wide_stands_in_lines_of_its_own() -> None:
    row = {"Name": "Ana", "A comment": "x" * 60, "空": "é"}
    assert lines({"write": "a.csv", "columns": list(row), "rows": [row, {"Name": "Bo"}]}, width=60) == [
        "write        a.csv",
        "",
        "Name       Ana",
        f"A comment  {'x' * 60}",
        "空         é",
        "",
        "Name       Bo",
        "A comment  ",
        "空         ",
    ]


def test_a_line_break_in_a_cell_does_not_tear_the_table() -> None:
    assert lines({"rows": [{"a": "x\r\ny\nz", "b": 1}, {"a": None, "b": True}]})[1:] == [
        "a      b",
        "x⏎y⏎z  1",
        "       true",
    ]


def test_many_rows_and_long_texts_are_cut() -> None:
    assert lines({"rows": [{"a": number} for number in range(50)]})[-1] == "… and 30 more rows"
    assert lines({"text": "\n".join("abc" for _ in range(100))})[-1] == "… and 40 more lines"
    assert lines({"text": "x" * 5000})[-1].endswith("… (5,000 characters)")


def test_xml_is_shown_as_elements_and_a_file_of_it_as_it_is() -> None:
    request = {"method": "PUT", "url": "https://a/b", "headers": {}, "xml": {"a": {"@id": 1, "b": ["x", "y"]}}}
    assert lines(request) == ["PUT https://a/b", "", '<a id="1">', "  <b>x</b>", "  <b>y</b>", "</a>"]
    assert lines({"write": "a.xml", "xml": "<a><b/></a>\n"}) == ["write        a.xml", "", "<a><b/></a>"]


def test_what_another_connector_shows_is_readable_too() -> None:
    assert lines({"channel": "C1", "text": "a\nb", "blocks": [{"type": "x"}], "note": "p\nq", "none": None}) == [
        "channel      C1",
        "blocks:",
        '  [{"type": "x"}]',
        "note:",
        "  p",
        "  q",
        "none         ",
        "",
        "a",
        "b",
    ]


def test_half_a_character_of_an_event_can_be_shown() -> None:
    assert lines({"text": "\ud800"})[-1] == "?"
