"""What a recipe says beside its picks: types, foreach, batch, order_by, respond. Read, refused, planned."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigError, RecipeError
from relay.model import Event
from relay.recipes import Batch, EventView, Plan, Recipe, Scope, parse_recipe

LONDON = ZoneInfo("Europe/London")

RECIPE = """\
recipe: A
catch: chat
{top}
steps:
  one:
    to: sink
    {step}
    with: {{a: {value}}}
    save: {{id: $.id}}
  two:
    to: sink
    after: one
{bottom}
"""


def recipe(top: str = "", step: str = "", value: str = "1", bottom: str = "") -> Recipe:
    return parse_recipe("r", RECIPE.format(top=top, step=step, value=value, bottom=bottom))


def view(body: Any, kind: str = "") -> EventView:
    return EventView(Event("evt_1", "chat", "POST", "/in/chat", (), {}, b"", 0, type=kind), body)


def plan(recipe: Recipe, body: Any, kind: str = "") -> Plan:
    return recipe.plan(view(body, kind))


# -- mistakes


@pytest.mark.parametrize(
    ("parts", "place", "message"),
    [
        ({"step": "foreach: items"}, "7:14", "`foreach` is an expression, such as $.items or $.items[*]"),
        ({"value": "$item"}, "8:15", "`$item` stands only in a step that has `foreach:`"),
        ({"value": "$batch.time"}, "8:15", "`$batch` stands only in a step that has `batch:`"),
        ({"step": "batch: {every: 1h}", "value": "$batch.tine"}, "8:15", "unknown part of $batch `tine`: did you mean"),
        ({"step": "batch: {max: 5}"}, "7:12", "a batch is closed either `every: 1h` or `at"),
        ({"step": 'batch: {every: 1h, at: "02:00"}'}, "7:24", "write one of them"),
        ({"step": "batch: {every: 0s}"}, "7:20", "a duration is longer than nothing"),
        ({"step": "batch: {every: 30d}"}, "7:20", "`every` is from 100ms to 7d"),
        ({"step": "batch: {at: 2am}"}, "7:17", 'a time of day is written as "02:00" or "14:30"'),
        ({"step": "batch: {at: [02:00, 25:00]}"}, "7:25", "a time of day"),
        ({"step": "batch: {every: 1h, max: 0}"}, "7:29", "`max` is a whole number from 1 to 10000"),
        ({"step": "batch: {every: 1h, size: 5}"}, "7:24", "unknown key `size`"),
        ({"step": "order_by: $.a\n    batch: {every: 1h}"}, "7:5", "exclude each other"),
        ({"top": "types: []"}, "3:8", "name at least one type"),
        ({"top": "types: [a, b*c]"}, "3:12", "`*` ends it"),
        ({"bottom": "respond: {body: $nobody.id}"}, "13:17", "`$nobody` is not known here"),
        ({"bottom": "respond: {as: yaml, body: 1}"}, "13:15", "`as` is one of `json`, `xml`, `form`, `text`"),
        ({"bottom": "respond: {as: form, body: [1]}"}, "13:27", "a body `as: form` is written as `name: value`"),
        ({"bottom": "respond: {as: text, body: {a: 1}}"}, "13:27", "a body `as: text` is one text"),
        ({"bottom": "respond: {wait: 5m}"}, "13:17", "a sender is kept waiting for at most 1m"),
        ({"bottom": "respond: {status: 410}"}, "13:19", "410 makes senders switch their webhook off"),
        ({"bottom": "respond: {headers: {Content-Length: 1}}"}, "13:21", "comes from `as`"),
        ({"bottom": "respond: {status: 204, body: {id: $one.id}}"}, "13:30", "the status 204 has no body"),
        ({"bottom": "respond: {late: {status: 304, body: x}}"}, "13:37", "the status 304 has no body"),
        ({"bottom": "respond: {late: {body: $one.id}}"}, "13:24", "`late` is answered"),
        ({"bottom": "respond: {body: $one.nmae}"}, "13:17", "the step `one` saves no `nmae`"),
        ({"step": "batch: {every: 1h}", "bottom": "respond: {body: $one.id}"}, "13:10", "can't wait for `one`"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_its_sentence(parts: dict[str, str], place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe(**parts)
    assert caught.value.place is not None
    assert (f"{caught.value.place.line}:{caught.value.place.column}", message in caught.value.message) == (
        place,
        True,
    ), caught.value


@pytest.mark.parametrize("key", ["foreach", "order_by"])
def test_what_is_worked_out_when_the_event_is_routed_can_not_use_what_is_saved(key: str) -> None:
    text = RECIPE.format(top="", step="", value="1", bottom=f"    {key}: $one.id\n")
    with pytest.raises(ConfigError, match=f"`{key}` is worked out before any step runs: it can't use what `one` saves"):
        parse_recipe("r", text)


# -- types


def test_types_are_words_and_a_star_ends_one() -> None:
    wants = recipe(top="types: [contact.created, 'chat.*']").wants
    assert [wants(kind) for kind in ("contact.created", "contact.created2", "chat.", "chat.closed", "")] == [
        True, False, True, True, False,
    ]  # fmt: skip
    assert recipe().wants("")
    planned = plan(recipe(top="types: a"), {}, "b")
    assert planned.unasked
    assert planned.skipped == "the event is of type b, and the recipe wants a"


# -- foreach


def test_items_are_planned_each_with_its_condition_and_its_place_in_the_order() -> None:
    here = recipe(step="foreach: $.lines\n    when: $item.n > 1\n    order_by: $item.k", value="$item.n + $index")
    steps = plan(here, {"lines": [{"n": 1, "k": "x"}, {"n": 2, "k": "y"}, {"n": 3, "k": None}]}).steps
    assert [(one.step, one.item, one.skipped is None, one.order_key) for one in steps] == [
        ("one", "0", False, None),
        ("one", "1", True, "y"),
        ("one", "2", True, None),
        ("two", "", True, None),
    ]
    event = view({"lines": [{"n": 1, "k": "x"}, {"n": 2, "k": "y"}]})
    step = here.steps["one"]
    scope = Scope(event, here.picked(event), within=here.within(step, event, "1"))
    assert step.render(scope) == {"a": 3}


@pytest.mark.parametrize(("lines", "number"), [([1, 2], 2), ([], 0), (None, 0), ({"n": 1}, 1), ("x", 1), (0, 1)])
def test_a_list_gives_its_items_nothing_gives_none_and_one_value_is_one_item(lines: Any, number: int) -> None:
    here = recipe(step="foreach: $.lines?")
    made = [one for one in plan(here, {"lines": lines}).steps if one.step == "one"]
    if number:
        assert [one.item for one in made] == [str(index) for index in range(number)]
    else:
        assert [one.skipped for one in made] == ["foreach $.lines? gives no items"]


def test_what_needs_the_saved_values_of_no_items_is_skipped_with_them() -> None:
    here = parse_recipe(
        "r", RECIPE.format(top="", step="foreach: $.lines", value="1", bottom="    with: {a: $one.id}\n")
    )
    assert [one.skipped for one in plan(here, {"lines": []}).steps] == [
        "foreach $.lines gives no items",
        "it uses what one saves, and one was skipped",
    ]


def test_more_items_than_can_be_written_at_once_are_refused() -> None:
    with pytest.raises(RecipeError, match="gives 10001 items, and at most 10000 are sent"):
        plan(recipe(step="foreach: $.lines"), {"lines": [1] * 10_001})


def test_a_delivery_of_another_shape_of_its_step_is_refused_in_words() -> None:
    event = view({"lines": [1]})
    here = recipe(step="foreach: $.lines")
    with pytest.raises(RecipeError, match="the step one runs once per item: replay the event"):
        here.within(here.steps["one"], event, "")
    with pytest.raises(RecipeError, match="gives 1 items now, and this was item 3"):
        here.within(here.steps["one"], event, "2")
    with pytest.raises(RecipeError, match="doesn't run once per item any more"):
        here.within(here.steps["two"], event, "0")


def test_an_order_is_of_one_value() -> None:
    with pytest.raises(RecipeError, match=r"order_by \$.a is a list; it takes one value"):
        plan(recipe(step="order_by: $.a"), {"a": [1]})
    assert [one.order_key for one in plan(recipe(step="order_by: $.a"), {"a": 7}).steps] == ["7", None]


# -- batch


def at(*times: str) -> Batch:
    return Batch(None, tuple(time.fromisoformat(one) for one in times), 10)


def london(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("batch", "opened", "closes"),
    [
        (at("02:00"), "2026-01-10T01:59:59", "2026-01-10T02:00"),
        (at("02:00"), "2026-01-10T02:00", "2026-01-11T02:00"),
        (at("02:00", "14:30"), "2026-01-10T02:00", "2026-01-10T14:30"),
        (at("02:00"), "2026-12-31T23:00", "2027-01-01T02:00"),
        (at("01:30"), "2026-03-28T12:00", "2026-03-30T01:30"),  # 01:30 isn't there on the 29th
        (at("01:30"), "2026-10-24T12:00", "2026-10-25T01:30"),  # twice on the 25th: the first
    ],
)
def test_a_time_of_day_is_the_next_one_in_the_recipes_time_zone(batch: Batch, opened: str, closes: str) -> None:
    assert batch.closes(london(opened), LONDON) == london(closes).astimezone(UTC)


def test_every_counts_from_the_first_row() -> None:
    opened = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert Batch(timedelta(hours=1), (), 10).closes(opened, LONDON) == opened + timedelta(hours=1)


@given(
    st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.lists(st.times(), min_size=1, max_size=4),
    st.sampled_from(["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_a_batch_is_always_closed_within_three_days_and_never_before_it_was_opened(
    opened: datetime, times: list[time], zone: str
) -> None:
    closes = Batch(None, tuple(one.replace(microsecond=0) for one in times), 10).closes(opened, ZoneInfo(zone))
    assert opened < closes <= opened + timedelta(days=3)
    local = closes.astimezone(ZoneInfo(zone))
    assert local.time().replace(fold=0) in {one.replace(microsecond=0) for one in times}


# -- respond


def answer(form: str, body: str, saved: Any = 5, more: str = "") -> tuple[int, str, bytes]:
    here = recipe(bottom=f"respond: {{as: {form}, body: {body}{more}}}")
    assert here.respond is not None
    made = here.respond.answer(Scope(view({"name": "Ana & Co"}), {}, saved={"one": {"id": saved}}))
    return made.status, made.content_type, made.body


@pytest.mark.parametrize(
    ("form", "body", "kind", "written"),
    [
        ("json", "{id: $one.id, at: '$.at?'}", "application/json", b'{"id":5}'),
        ("json", "$one.id", "application/json", b"5"),
        ("form", "{id: $one.id, name: $.name, tags: [a, b]}", "application/x-www-form-urlencoded",
         b"id=5&name=Ana+%26+Co&tags=a&tags=b"),
        ("text", '"{{ $.name }}: {{ $one.id }}"', "text/plain; charset=utf-8", b"Ana & Co: 5"),
    ],
)  # fmt: skip
def test_an_answer_is_written_as_it_is_asked_for(form: str, body: str, kind: str, written: bytes) -> None:
    assert answer(form, body) == (200, kind, written)


def test_an_answer_in_xml_has_one_root() -> None:
    status, kind, body = answer("xml", "{id: $one.id, name: $.name}", more=", root: reply, status: 201")
    assert (status, kind) == (201, "application/xml; charset=utf-8")
    text = body.decode().partition("?>")[2].strip() or body.decode()
    assert text == "<reply><id>5</id><name>Ana &amp; Co</name></reply>"


def test_nulls_stay_in_an_answer_that_keeps_empty() -> None:
    assert answer("json", "{id: $one.id, at: '$.at?'}", more=", keep_empty: true")[2] == b'{"id":5,"at":null}'


def test_the_late_answer_and_what_an_answer_waits_for() -> None:
    here = recipe(bottom="respond: {body: {id: $one.id, n: $.n?}, late: {status: 503, body: {state: $.state}}}")
    respond = here.respond
    assert respond is not None
    assert (respond.uses, respond.hard, respond.wait) == (("one",), {"one"}, timedelta(seconds=8))
    late = respond.late(Scope(view({"state": "busy"})))
    assert (late.status, late.body) == (503, b'{"state":"busy"}')
    soft = recipe(bottom="respond: {body: {id: $one.id?}}").respond
    assert soft is not None
    assert (soft.uses, soft.hard) == (("one",), frozenset())


def test_a_header_of_an_answer_holds_no_line_break() -> None:
    here = recipe(bottom='respond: {headers: {X-Name: "{{ $.name }}"}}')
    assert here.respond is not None
    with pytest.raises(RecipeError, match="line break"):
        here.respond.answer(Scope(view({"name": "a\r\nSet-Cookie: b"})))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Łukasz", r"X-Name would hold `Ł`, and a header holds Western European letters only; .* `| url_encode`"),
        ("a\ud800", "X-Name would hold `U\\+D800`"),
        ("a\x7f", "X-Name would hold a line break or another control character"),
    ],
)
def test_a_header_of_an_answer_holds_what_can_be_sent(name: str, why: str) -> None:
    made = recipe(bottom='respond: {headers: {X-Name: "$.name"}}').respond
    assert made is not None
    with pytest.raises(RecipeError, match=why) as caught:
        made.answer(Scope(view({"name": name})))
    assert caught.value.place == made.place
    encoded = recipe(bottom="respond: {headers: {X-Name: $.name | url_encode}}").respond
    assert encoded is not None
    encoded.answer(Scope(view({"name": "Łukasz"}))).headers["X-Name"].encode("ascii")
    assert made.answer(Scope(view({"name": "José"}))).headers == {"X-Name": "José"}


@pytest.mark.parametrize("status", [204, 205, 304])
def test_an_answer_whose_status_has_no_body_has_none(status: int) -> None:
    made = recipe(bottom=f"respond: {{status: {status}, late: {{status: {status}}}}}").respond
    assert made is not None
    scope = Scope(view({}))
    assert (made.answer(scope).status, made.answer(scope).body) == (status, b"")
    assert (made.late(scope).status, made.late(scope).body) == (status, b""), "not the default one either"
