"""Dry runs: what each step would send, what the sender would be answered, and why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relay.clock import stopped_at
from relay.connector import connector_class, connector_names
from relay.errors import ConfigError
from relay.model import delivery_id
from relay.recipes import SenderAnswer, Trial, accounts, parse_recipe, sample_event, try_event
from relay.recipes.trying.samples import SAMPLE_MOMENT_MS, changed

RECIPE = """\
recipe: Low ratings
catch: chat
when: $.rating < 3
pick:
  name: $.contact.name | trim
steps:
  sheet: {to: desk, do: note, with: {title: $name, row: {Name: $name, Rating: $.rating}}, save: {id: $.id}}
  call: {to: desk, do: call, with: {number: "{{ $sheet.id }}"}}
  rare: {to: desk, do: note, when: $.rating < 1, with: {title: never}}
"""
BODY = {"rating": 1, "contact": {"name": "Ana"}, "lines": [{"qty": 1}, {"qty": 2}]}


@pytest.fixture
def low(folder: Any) -> Any:
    folder.recipe(RECIPE)
    folder.sample(BODY)
    return folder


def test_trying_shows_each_outgoing_call_and_what_waits_for_a_reply(low: Any) -> None:
    workspace = low.load()
    recipe = workspace.recipes["low"]
    event = sample_event("chat", low.path / "samples/chat.json")

    sheet, call, rare = try_event(recipe, workspace, event)

    assert (sheet.connection, sheet.connector, sheet.do) == ("desk", "desk", "note")
    assert sheet.preview is not None
    assert sheet.preview["token"] == "***"
    assert sheet.fields == {"title": "Ana", "row": {"Name": "Ana", "Rating": 1}}
    assert call.waits == "waits for the reply of sheet; give one with --reply sheet=FILE"
    assert rare.skipped == "when $.rating < 1: $.rating is 1"

    answered = try_event(recipe, workspace, event, {"sheet": {"id": 9}})
    assert answered.steps[1].preview == {"number": "9"}


def test_trying_names_what_cannot_be_made(low: Any) -> None:
    workspace = low.load()
    recipe = workspace.recipes["low"]
    low.sample({"rating": 1, "contact": {"name": "impossible"}})
    event = sample_event("chat", low.path / "samples/chat.json")
    assert try_event(recipe, workspace, event).steps[0].error == (
        f"{low.path}/low.yaml:7:15: the desk takes no such title"
    )
    low.write("samples/broken.json", "{")
    broken = try_event(recipe, workspace, sample_event("chat", low.path / "samples/broken.json"))
    assert all("the body can't be decoded" in (one.error or "") for one in broken)


def test_a_sample_for_a_source_that_splits_is_one_of_the_items(low: Any) -> None:
    low.write(
        "relay.yaml", (low.path / "relay.yaml").read_text().replace("{verify:", "{split: '$.events[*]', verify:", 1)
    )
    workspace = low.load()
    recipe = workspace.recipes["low"]
    assert try_event(recipe, workspace, sample_event("chat", low.path / "samples/chat.json")).steps[0].error is None
    low.sample({"events": [BODY, BODY]})
    whole = try_event(recipe, workspace, sample_event("chat", low.path / "samples/chat.json"))
    assert "splits this body into events of their own, 2 here: a sample is one of them" in str(whole.steps[0].error)


def test_a_rendered_value_of_the_wrong_kind_is_an_error_of_the_step(low: Any) -> None:
    low.sample({"rating": 1, "contact": {"name": "Ana"}})
    low.recipe(RECIPE.replace("title: $name", "title: $.rating"))
    workspace = low.load()
    first = try_event(workspace.recipes["low"], workspace, sample_event("chat", low.path / "samples/chat.json")).steps[
        0
    ]
    assert first.error is not None
    assert "title" in first.error


def test_a_held_connection_says_why_and_is_tried_all_the_same(low: Any) -> None:
    workspace = low.load(env={})
    event = sample_event("chat", low.path / "samples/chat.json")
    first = try_event(workspace.recipes["low"], workspace, event).steps[0]
    assert first.preview is not None
    assert first.held is not None
    assert "${DESK_TOKEN} isn't set" in first.held


def test_a_stored_version_renders_as_the_one_on_disk(low: Any) -> None:
    workspace = low.load()
    stored = parse_recipe("low", RECIPE)
    event = sample_event("chat", low.path / "samples/chat.json")
    assert [one.fields for one in try_event(stored, workspace, event)] == [
        one.fields for one in try_event(workspace.recipes["low"], workspace, event)
    ]


def test_the_type_of_an_event_is_what_its_source_says(low: Any) -> None:
    low.write(
        "relay.yaml",
        "sources:\n  chat: {verify: none, event_type: $.kind}\nconnections:\n  desk: {connector: desk, team: x}\n",
    )
    low.recipe("recipe: r\ncatch: chat\nsteps: {a: {to: desk, do: note, with: {title: $event.type}}}\n")
    low.sample({"kind": "closed"})
    workspace = low.load()
    event = sample_event("chat", low.path / "samples/chat.json")
    assert try_event(workspace.recipes["low"], workspace, event).steps[0].fields == {"title": "closed"}


@pytest.mark.parametrize(
    ("where", "value", "result"),
    [
        ("$.rating", 5, {**BODY, "rating": 5}),
        ("$.new", 1, {**BODY, "new": 1}),
        ("$.lines[0].qty", 9, {**BODY, "lines": [{"qty": 9}, {"qty": 2}]}),
        ("$.lines[*].qty", 0, {**BODY, "lines": [{"qty": 0}, {"qty": 0}]}),
        ("$", [1], [1]),
    ],
)
def test_a_change_sets_what_is_at_a_path(where: str, value: Any, result: Any) -> None:
    assert changed(json.loads(json.dumps(BODY)), where, value) == result


@pytest.mark.parametrize("where", ["$.contct.name", "$.lines[9].qty", "$.rating.x", "$.none[*]", "$.lines.x"])
def test_a_change_at_a_path_that_is_not_there_is_refused(where: str) -> None:
    with pytest.raises(ConfigError):
        changed(json.loads(json.dumps(BODY)), where, 1)


@pytest.mark.parametrize(
    ("name", "text", "content_type"),
    [
        ("a.json", "{}", "application/json"),
        ("a.xml", "<a/>", "application/xml"),
        ("a.txt", "hi", "text/plain; charset=utf-8"),
        ("a.form", "a=1", "application/x-www-form-urlencoded"),
    ],
)
def test_a_sample_has_the_content_type_of_its_ending(tmp_path: Path, name: str, text: str, content_type: str) -> None:
    (tmp_path / name).write_text(text)
    event = sample_event("chat", tmp_path / name, headers={"X-Id": "1"}, query={"a": "b"})
    assert event.content_type == content_type
    assert event.headers["x-id"] == "1"
    assert event.query == (("a", "b"),)


def test_a_form_can_be_changed_and_xml_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.form").write_text("a=1&b[c]=2")
    event = sample_event("chat", tmp_path / "a.form", {"$.b.c": "x y", "$.d": ["p", "q"]})
    assert event.body == b"a=1&b%5Bc%5D=x+y&d%5B0%5D=p&d%5B1%5D=q"
    (tmp_path / "a.xml").write_text("<a>1</a>")
    with pytest.raises(ConfigError, match="only JSON and form samples can be changed"):
        sample_event("chat", tmp_path / "a.xml", {"$.a": "2"})
    with pytest.raises(ConfigError, match="a sample's name ends in"):
        sample_event("chat", tmp_path / "a.pdf")
    (tmp_path / "a.pdf").write_text("{}")
    assert sample_event("chat", tmp_path / "a.pdf", headers={"Content-Type": "application/json"}).body == b"{}"


# --- the whole language ---


ORDER = {
    "kind": "order.paid",
    "id": 7,
    "mail": "ana@example.com",
    "lines": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 0}, {"sku": "C", "qty": 3}],
}
RELAY_YAML = """\
sources:
  shop: {verify: none, event_type: $.kind}
connections:
  api: {connector: http, base_url: "https://api.example.com", auth: {bearer: "${API_TOKEN}"}}
  drop: {connector: file, folder: outbox}
"""


@pytest.fixture
def shop(folder: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workspace with the connectors that a user has."""
    monkeypatch.setattr(accounts, "connector_class", connector_class)
    monkeypatch.setattr(accounts, "connector_names", connector_names)
    folder.write("relay.yaml", RELAY_YAML)
    folder.sample(ORDER, "order.json")
    return folder


def tried(shop: Any, steps: str, replies: Any = None, *, top: str = "", bottom: str = "", body: Any = None) -> Trial:
    """What comes of `steps:`, which are written as YAML."""
    shop.recipe(f"recipe: R\ncatch: shop\n{top}\nsteps:\n{steps}\n{bottom}\n", "r")
    if body is not None:
        shop.sample(body, "order.json")
    workspace = shop.load({"API_TOKEN": "s3cret"})
    assert not workspace.broken, workspace.broken
    event = sample_event("shop", shop.path / "order.json")
    return try_event(workspace.recipes["r"], workspace, event, replies)


LINES = """\
  lines:
    to: api
    foreach: $.lines[*]
    when: $item.qty > 0
    with: {path: "/lines/{{ $item.sku }}", json: {number: $index, qty: $item.qty}}
    save: {id: $.id}
"""
TOTAL = "  total: {to: api, with: {path: /total, json: {ids: $lines.id}}}\n"


def test_foreach_gives_a_result_per_item(shop: Any) -> None:
    first, second, third = tried(shop, LINES)
    assert [(one.item, one.items) for one in (first, second, third)] == [(0, 3), (1, 3), (2, 3)]
    assert first.preview is not None
    assert first.preview["url"] == "https://api.example.com/lines/A"
    assert first.preview["json"] == {"number": 0, "qty": 1}
    assert first.preview["headers"]["authorization"] == "***"
    assert second.skipped == "when $item.qty > 0: $item.qty is 0"
    assert third.fields == {"path": "/lines/C", "json": {"number": 2, "qty": 3}}


def test_each_item_has_the_idempotency_key_that_its_delivery_would_have(shop: Any) -> None:
    keys = [one.preview["headers"]["idempotency-key"] for one in tried(shop, LINES) if one.preview]
    assert keys == [delivery_id("evt_" + "0" * 26, "r", "lines", item) for item in ("0", "2")]


@pytest.mark.parametrize(
    ("replies", "ids"),
    [({"id": 5}, [5, 5]), ([{"id": 1}, {"id": 2}, {"id": 3}], [1, 3]), ([[1], {}, [3]], None)],
)
def test_what_foreach_saves_is_a_list_of_what_its_items_saved(shop: Any, replies: Any, ids: Any) -> None:
    save = LINES if ids else LINES.replace("$.id", "'$[0]'")
    total = tried(shop, save + TOTAL, {"lines": replies}).steps[-1]
    assert total.fields is not None
    assert total.fields["json"] == {"ids": ids or [1, 3]}


def test_replies_for_another_number_of_items_are_refused(shop: Any) -> None:
    with pytest.raises(ConfigError, match="`lines` has 3 items, and there are replies for 2"):
        tried(shop, LINES, {"lines": [{"id": 1}, {"id": 2}]})


def test_who_uses_what_items_save_waits_for_their_replies(shop: Any) -> None:
    assert tried(shop, LINES + TOTAL).steps[-1].waits == (
        "waits for the reply of lines; give one with --reply lines=FILE"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "why"),
    [([], "foreach $.lines[*] gives no items"), ([{"sku": "A", "qty": 0}], "when $item.qty > 0: $item.qty is 0")],
)
def test_foreach_of_nothing_says_why_and_skips_who_needs_it(shop: Any, lines: Any, why: str) -> None:
    first, total = tried(shop, LINES + TOTAL, {"lines": []} if not lines else None, body={**ORDER, "lines": lines})
    assert (first.item, first.skipped) == ((None if not lines else 0), why)
    assert total.skipped == "it uses what lines saves, and lines was skipped"
    optional = tried(shop, LINES + TOTAL.replace("$lines.id", "$lines.id?")).steps[-1]
    assert optional.fields == {"path": "/total", "json": {}}


BATCH = """\
  rows:
    to: drop
    do: csv
    batch: {%s}
    with: {path: 'rows_{{ $batch.time | date("YYYYMMDD") }}.csv', row: {Id: $.id, Of: $batch.count}}
"""


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ("every: 1h, max: 500", "sent with others, at most 500, at the latest 1h after the first row"),
        ("every: 90s", "sent with others, at most 1,000, at the latest 90s after the first row"),
        ('at: "02:00"', "sent with others, at most 1,000, at 02:00 Europe/London"),
        ('at: ["14:30", "02:00:30"]', "sent with others, at most 1,000, at 02:00:30 and 14:30 Europe/London"),
    ],
)
def test_a_row_of_a_batch_is_shown_as_if_alone_and_told_when_it_goes(shop: Any, batch: str, words: str) -> None:
    with stopped_at(SAMPLE_MOMENT_MS):
        (row,) = tried(shop, BATCH % batch, top="timezone: Europe/London")
    assert row.batch == words
    assert row.fields == {"path": "rows_20260101.csv", "row": {"Id": 7, "Of": 1}}
    assert row.preview is not None
    assert row.preview["rows"] == [{"Id": 7, "Of": 1}], "merged as the batch would be"
    assert row.preview["append to"] == "rows_20260101.csv"


def test_an_event_of_another_type_is_skipped_with_the_reason(shop: Any) -> None:
    trial = tried(shop, TOTAL.replace("$lines.id", "1"), top="types: [order.created, refund.*]")
    reason = "the event is of type order.paid, and the recipe wants order.created, refund.*"
    assert (trial.skipped, [one.skipped for one in trial]) == (reason, [reason])
    assert tried(shop, TOTAL.replace("$lines.id", "1"), top="types: order.*").skipped is None


def test_the_key_that_keeps_deliveries_in_order_is_shown(shop: Any) -> None:
    (one,) = tried(shop, "  a: {to: api, order_by: $.mail, with: {path: /a}}\n")
    assert one.order_key == "ana@example.com"


def test_what_cannot_be_sent_holds_up_who_waits_for_it(shop: Any) -> None:
    bad, after, other = tried(
        shop,
        "  bad: {to: api, with: {path: /../x}}\n"
        "  after: {to: api, after: bad, with: {path: /a}}\n"
        "  other: {to: api, with: {path: /a}}\n",
    )
    assert bad.error is not None
    assert "climbs out of its folder" in bad.error
    assert after.waits == "waits for bad, which can't be delivered"
    assert other.preview is not None


def test_what_is_ignored_when_it_fails_holds_up_nobody(shop: Any) -> None:
    steps = "  bad: {to: api, on_fail: ignore, with: {path: /../x}, save: {id: $.id}}\n"
    after = "  after: {to: api, after: bad, with: {path: /a}}\n"
    needs = "  needs: {to: api, with: {path: '/a/{{ $bad.id }}'}}\n"
    results = tried(shop, steps + after + needs).steps
    assert results[1].preview is not None
    assert results[2].skipped == "it uses what bad saves, and bad was skipped"


def test_a_reply_that_cannot_be_saved_is_an_error_after_what_was_sent(shop: Any) -> None:
    one = tried(shop, LINES.replace("    when: $item.qty > 0\n", ""), {"lines": {"nr": 1}}).steps[0]
    assert one.preview is not None
    assert one.error is not None
    assert "no `id` in" in one.error


# --- the answer to the sender ---

LOOKUP = "  lookup: {to: api, with: {path: /c}, save: {balance: $.balance}}\n"
RESPOND = """\
respond:
  as: %s
  status: 201
  headers: {X-Order: $.id}
  body: {balance: $lookup.balance}
  late: {status: 202, body: {order: $.id}}
"""


def answered(trial: Trial) -> tuple[int, bytes, str | None]:
    assert trial.answer is not None
    assert trial.answer.sent is not None
    return trial.answer.sent.status, trial.answer.sent.body, trial.answer.late


@pytest.mark.parametrize(
    ("form", "kind", "body"),
    [
        ("json", "application/json", b'{"balance":12.5}'),
        ("xml", "application/xml; charset=utf-8", b"<response><balance>12.5</balance></response>"),
        ("form", "application/x-www-form-urlencoded", b"balance=12.5"),
    ],
)
def test_the_answer_is_made_of_what_the_replies_save(shop: Any, form: str, kind: str, body: bytes) -> None:
    trial = tried(shop, LOOKUP, {"lookup": {"balance": 12.5}}, bottom=RESPOND % form)
    assert trial.answer is not None
    assert trial.answer.sent == SenderAnswer(201, kind, body, {"X-Order": "7"})
    assert (trial.answer.body, trial.answer.late) == ({"balance": 12.5}, None)


def test_the_answer_is_late_where_a_step_it_uses_has_no_reply_was_skipped_or_fails(shop: Any) -> None:
    bottom = RESPOND % "json"
    late = (202, b'{"order":7}')
    status, body, why = answered(tried(shop, LOOKUP, bottom=bottom))
    assert ((status, body), why) == (late, "no reply of lookup is given; give one with --reply lookup=FILE")
    skipped = LOOKUP.replace("to: api,", "to: api, when: $.id > 9,")
    status, body, why = answered(tried(shop, skipped, bottom=bottom))
    assert ((status, body), why) == (late, "lookup was skipped: when $.id > 9: $.id is 7")
    status, body, why = answered(tried(shop, LOOKUP.replace("/c", "/../c"), bottom=bottom))
    assert ((status, body), why) == (late, "lookup can't be delivered")
    # What it can do without is null.
    optional = bottom.replace("$lookup.balance", "$lookup.balance?")
    assert answered(tried(shop, skipped, bottom=optional)) == (201, b"{}", None)


def test_an_answer_that_cannot_be_made_is_an_error_and_late(shop: Any) -> None:
    trial = tried(
        shop, LOOKUP, {"lookup": {"balance": 1}}, bottom=(RESPOND % "json").replace("X-Order: $.id", "X: $.x")
    )
    assert trial.answer is not None
    assert trial.answer.error is not None
    assert "no `x` in the body" in trial.answer.error
    assert answered(trial)[:2] == (202, b'{"order":7}')


def test_there_is_no_answer_to_an_event_that_is_not_wanted(shop: Any) -> None:
    trial = tried(shop, LOOKUP, top="when: $.id > 9", bottom=RESPOND % "json")
    assert trial.answer is not None
    assert (trial.answer.sent, trial.answer.skipped) == (None, "when $.id > 9: $.id is 7")
