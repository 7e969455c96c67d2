"""Whatever comes in: what is drafted from it has no mistake and no warning, and its own test passes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relay.model import JSON
from relay.recipes import load_workspace, run_tests, sample_event
from relay.recipes.drafting.draft import Order, draft

RELAY_YAML = {
    "sources": {"chat": {"verify": {"bearer": "${TOKEN}"}, "event_type": '$headers["x-event"]'}},
    "connections": {
        "drop": {"connector": "file", "folder": "outbox"},
        "crm": {"connector": "http", "base_url": "https://api.example.com"},
        "sits": {
            "connector": "sftp",
            "host": "sftp.example.com",
            "username": "u",
            "password": "${TOKEN}",
            "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPs0qCV3tdXbaHJeRzPOiR9LMNSlBQHYsUBMgVv4wGm",
        },
    },
}
SAMPLE = "samples/chat.json"


@pytest.fixture(autouse=True)
def _only_the_desk_is_installed() -> None:
    """Here it is the connectors that come with Relay."""


class Drafts:
    """A workspace with a sample, and the recipe that is drafted from it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOKEN", "t")
        self.folder = folder
        (folder / "samples").mkdir()
        (folder / "relay.yaml").write_text(yaml.safe_dump(RELAY_YAML))

    def of(
        self, body: JSON, to: str = "drop", others: Sequence[JSON] = (), headers: Mapping[str, str] | None = None
    ) -> str:
        """The draft, written; it is checked and its test is run."""
        (self.folder / SAMPLE).write_bytes(json.dumps(body).encode())
        (self.folder / "new.yaml").unlink(missing_ok=True)
        workspace = load_workspace(self.folder)
        event = sample_event("chat", self.folder / SAMPLE, headers=headers)
        beside = {"headers": dict(headers or {})}
        text = draft(workspace, Order("new", SAMPLE, event, to, others, beside))
        self.check(text)
        return text

    def check(self, text: str) -> None:
        (self.folder / "new.yaml").write_text(text, encoding="utf-8")
        checked = load_workspace(self.folder)
        assert [str(problem) for problem in checked.problems if problem.recipe == "new"] == [], text
        assert [result.diff for result in run_tests(checked, {"new"})] == [""], text


@pytest.fixture
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drafts:
    return Drafts(tmp_path, monkeypatch)


def picked(text: str) -> dict[str, str]:
    """name → expression, as YAML reads them."""
    return dict(yaml.safe_load(text).get("pick") or {})


NASTY = st.sampled_from(
    [
        *(
            "$",
            "$$",
            "{{",
            "}}",
            "{{ x }}",
            "{{{",
            "${HOME}",
            "a b",
            "a.b",
            '"',
            "'",
            "\\",
            "\\n",
            "1st",
            "",
            "item",
            "event",
        ),
        *(
            "headers",
            "#",
            "@id",
            "#text",
            "- x",
            "a: b",
            " #c",
            "\n",
            "\t",
            "\u2028",
            "\u0085",
            "\ufeff",
            "İ",
            "ß",
            "null",
        ),
        *(
            "true",
            "~",
            "|",
            "&a",
            "*b",
            "!c",
            "%d",
            "`e",
            "?",
            "[",
            "]",
            "}",
            ",",
            ":",
            "__class__",
            "😀",
            "ключ",
            "名前",
            "٣",
        ),
        *(
            "not",
            "drop",
            "crm",
            "chat",
            "name",
            "email",
            "phone",
            "date",
            "id",
            "x" * 400,
            "password",
            "token",
            "\x00",
            "\x7f",
        ),
        *("contact", "messages", "first_name", "country", "timezone", "created_at", "dob", "address", "state", "type"),
    ]
)
KEYS = NASTY | st.text(max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18, max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | NASTY
    | st.sampled_from(
        [
            *(
                "ana@example.com",
                " Ana Sousa ",
                "+44 20 7946 0958",
                "020 7946 0958",
                "03/04/2026",
                "13/04/1998",
                "4/13/98",
            ),
            *(
                "2026-04-03",
                "2026-04-03T10:15:00Z",
                "2026-13-45",
                "1775207700",
                "3 Apr 2026",
                "Europe/London",
                "GB",
                "false",
            ),
            *(
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
                "https://u:passw0rd@x.org/",
            ),
            *("$.a", "$name", "x {{ y }}", "a\nb", "=cmd()", "yes", "0123", "1e5", "0x1F", "-", "---", "{a: b}"),
        ]
    )
    | st.sampled_from([1775207700, 1775207700123, 0, -1, 1.0, 1e300])
)
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


def deep(depth: int) -> JSON:
    value: JSON = "bottom"
    for level in range(depth):
        value = {f"level {level}": value, "also": [value] if level < 3 else 1}
    return value


@given(body=BODIES | st.dictionaries(KEYS, BODIES, max_size=8), to=st.sampled_from(["drop", "crm", "sits"]))
@example(body={}, to="drop")
@example(body=[], to="crm")
@example(body=None, to="drop")
@example(body=deep(100), to="crm")
@example(body={f"key {number}": number for number in range(3000)}, to="drop")
@example(body={"text": "x" * 200_000, "tags": ["a"] * 20_000}, to="crm")
@example(body=[{"id": number} for number in range(10_001)], to="drop")
@example(body={"a": [[1, [2, {"b": None}]], []], "A": {"a": {}}, "a ": None}, to="drop")
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_the_body_is_the_draft_has_no_problem_and_its_test_passes(drafts: Drafts, body: JSON, to: str) -> None:
    drafts.of(body, to)


@given(body=st.dictionaries(KEYS, BODIES, max_size=8))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_the_draft_offers_in_comments_can_be_taken_as_it_is(drafts: Drafts, body: JSON) -> None:
    text = drafts.of(body)
    (drafts.folder / "new.yaml").write_text("\n".join(uncommented(text)) + "\n", encoding="utf-8")
    errors = [str(problem) for problem in load_workspace(drafts.folder).errors]
    assert errors == [], text


def uncommented(text: str) -> Iterator[str]:
    """With every suggestion taken up: picks, a condition, steps for the items of lists."""
    for line in text.splitlines():
        found = re.match(r"( *)# (?!Drafted|\$ is|In the event|Also there|… and|One delivery|↓)(.*)", line)
        yield found[1] + found[2] if found else line


CHAT: dict[str, Any] = {
    "conversation": {"id": "c-1", "state": "closed", "closed_at": "2026-04-03T10:15:07Z", "rating": 5},
    "contact": {"name": " Ana Sousa ", "email": "Ana@Example.com", "phone": "+44 20 7946 0958"},
    "agent": {"name": "Ravi Patel"},
    "messages": [{"at": "2026-04-03T09:58:11Z", "text": "Hello"}, {"at": "2026-04-03T10:02:03Z", "text": "Bye"}],
}


def test_people_dates_and_ids_are_found_under_likely_names_with_their_filters(drafts: Drafts) -> None:
    assert picked(drafts.of(CHAT)) == {
        "conversation_id": "$.conversation.id",
        "conversation_state": "$.conversation.state",
        "closed_at": '$.conversation.closed_at | date("YYYY-MM-DD HH:mm")',
        "rating": "$.conversation.rating",
        "name": "$.contact.name | trim",
        "email": "$.contact.email | lower",
        "phone": '$.contact.phone | phone("GB")',
        "agent_name": "$.agent.name | trim",
    }


def test_a_list_is_offered_as_a_step_for_each_of_its_items(drafts: Drafts) -> None:
    text = drafts.of(CHAT)
    assert "  # One delivery for each of $.messages (2 in this event):\n  # messages:\n" in text
    assert "  #   foreach: $.messages\n" in text


def test_a_body_that_is_a_list_is_sent_item_by_item(drafts: Drafts) -> None:
    step = yaml.safe_load(drafts.of([{"id": 1, "email": "A@b.co"}, {"id": 2}]))["steps"]["drop"]
    assert step["foreach"] == "$"
    assert step["with"]["row"] == {"Id": "$item.id", "Email": "$item.email? | lower"}


def test_what_other_events_lack_may_be_absent(drafts: Drafts) -> None:
    others = [{"contact": {"name": "Ben"}}, {"contact": {"name": None, "phone": ""}}]
    found = picked(drafts.of({"contact": {"name": "Ana", "phone": "+44 20 7946 0958"}}, others=others))
    assert found == {"name": "$.contact.name? | trim", "phone": '$.contact.phone? | phone("GB")'}


def test_a_filter_that_another_event_would_fail_on_is_left_out(drafts: Drafts) -> None:
    body = {"phone": "+44 20 7946 0958", "at": "2026-04-03"}
    found = picked(drafts.of(body, others=[{"phone": "ask me", "at": "soon"}]))
    assert found == {"phone": "$.phone", "at": "$.at"}


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"phone": "+1 650 253 0000"}, '$.phone | phone("US")'),
        ({"phone": "020 7946 0958"}, "$.phone"),
        ({"phone": "020 7946 0958", "country": "United Kingdom"}, '$.phone | phone("GB")'),
        ({"phone": "030 23125 000", "time_zone": "Europe/Berlin"}, '$.phone | phone("DE")'),
        ({"phone": "020 7946 0958", "billing": {"country": "US"}, "shipping": {"country": "GB"}}, "$.phone"),
    ],
)
def test_the_region_of_a_phone_number_is_taken_from_what_is_said_and_never_guessed(
    drafts: Drafts, body: JSON, expression: str
) -> None:
    assert picked(drafts.of(body))["phone"] == expression


@pytest.mark.parametrize(
    ("value", "filters"),
    [
        ("2026-04-03", ' | date("YYYY-MM-DD")'),
        ("2026-04-03T10:15:00+01:00", ' | date("YYYY-MM-DD HH:mm")'),
        (1775207700, ' | date("YYYY-MM-DD HH:mm")'),
        ("13/04/1998", ' | parse_date("DD/MM/YYYY") | date("YYYY-MM-DD")'),
        ("4/13/98 2:05 PM", ' | parse_date("M/D/YY h:mm A") | date("YYYY-MM-DD HH:mm")'),
        ("3 Apr 2026", ' | parse_date("D MMM YYYY") | date("YYYY-MM-DD")'),
        ("03/04/2026", ""),
        ("03.04.26", ""),
        (17, ""),
        ("99/99/2026", ""),
    ],
)
def test_a_date_is_read_only_where_it_can_be_read_in_one_way(drafts: Drafts, value: JSON, filters: str) -> None:
    assert picked(drafts.of({"closed_at": value}))["closed_at"] == f"$.closed_at{filters}"


def test_a_date_that_could_be_either_way_round_is_asked_for(drafts: Drafts) -> None:
    text = drafts.of({"born": "03/04/1998"})
    assert (
        'born: $.born  # the day or the month first? if the day: | parse_date("DD/MM/YYYY") | date("YYYY-MM-DD")'
        in text
    )


def test_the_months_of_other_events_tell_which_way_round_a_date_is(drafts: Drafts) -> None:
    found = picked(drafts.of({"born": "03/04/1998"}, others=[{"born": "25/12/2001"}]))
    assert found == {"born": '$.born | parse_date("DD/MM/YYYY") | date("YYYY-MM-DD")'}


def test_an_event_type_in_a_header_is_wanted_and_said_in_the_test(drafts: Drafts) -> None:
    text = drafts.of({"id": 7}, headers={"x-event": "contact.created"})
    recipe = yaml.safe_load(text)
    assert recipe["types"] == ["contact.created"]
    assert recipe["tests"][0]["headers"] == {"x-event": "contact.created"}


@pytest.mark.parametrize(
    "kind", ["a*", "[x]", "?", " ", "a b", "null", "push: #1", "x" * 300, "x", "{{ x }}", "$.a", "*"]
)
def test_whatever_an_event_type_is_the_draft_works(drafts: Drafts, kind: str) -> None:
    drafts.of({"id": 7}, headers={"x-event": kind})
    drafts.of([{"id": 7, **dict.fromkeys("abcdefghijklmnop", 1)}], headers={"x-event": kind})


def test_of_a_list_of_events_nothing_is_offered_that_could_not_stand_there(drafts: Drafts) -> None:
    text = drafts.of([dict.fromkeys("abcdefghijklmnop", 1)])
    assert "pick" not in text


def test_a_secret_is_neither_picked_nor_expected(drafts: Drafts) -> None:
    text = drafts.of({"id": 7, "password": "hunter2", "link": "https://u:passw0rd@x.org/"})
    assert "hunter2" not in text
    assert "passw0rd" not in text
    assert "password" not in picked(text)


def test_the_step_says_what_its_action_needs(drafts: Drafts) -> None:
    with_ = yaml.safe_load(drafts.of(CHAT, "crm"))["steps"]["crm"]["with"]
    assert with_["path"] == "/contacts"
    assert with_["json"]["email"] == "$email"


def test_the_time_zone_is_that_of_the_other_recipes(drafts: Drafts) -> None:
    (drafts.folder / "old.yaml").write_text(
        "recipe: Old\ncatch: chat\ntimezone: Europe/Lisbon\nsteps: {a: {to: crm, with: {path: /x}}}\ntests: []\n"
    )
    assert "\ntimezone: Europe/Lisbon\n" in drafts.of(CHAT)


def test_a_connection_without_a_connector_is_told_by_its_name(drafts: Drafts) -> None:
    text = (drafts.folder / "relay.yaml").read_text().replace("connector: http", "connector: htp")
    (drafts.folder / "relay.yaml").write_text(text)
    with pytest.raises(Exception, match=r"no step can be drafted for `crm`: .*unknown connector `htp`"):
        drafts.of(CHAT, "crm")
