"""The senders whose payload, and whose proof, the operator defines: what is declared for them works as it says."""

from __future__ import annotations

import base64
import json
import re
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlencode

import pytest

from relay.errors import Place, RefusedError
from relay.model import JSON, Event
from relay.recipes.expression import compile_expression
from relay.recipes.names import Names
from relay.recipes.scope import EventView, Scope
from relay.sources.config import ALL_METHODS, SourceConfig
from relay.sources.decode import decode
from relay.sources.inbound import Inbound
from relay.sources.presets import PRESETS
from relay.sources.presets.vendors.gist import TOPICS
from relay.sources.verify import Verifier

NAMES = (
    "gecko-engage", "gecko-workflow", "gecko-chat", "gist", "centercode", "lead-liaison", "zapier", "pipedream",
)  # fmt: skip
SECRET = "s3cret-0123456789"
NOW_MS = 1_772_619_667_000


def source(preset: str, secret: Any = SECRET) -> SourceConfig:
    return SourceConfig.model_validate({"preset": preset, "secret": secret})


def basic(password: str, user: str = "relay") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def evaluated(
    expression: str, body: JSON, headers: dict[str, str] | None = None, query: tuple[tuple[str, str], ...] = ()
) -> object:
    names = Names(built_in=frozenset({"headers", "query", "event"}))
    event = Event("evt_1", "s", "POST", "/in/s", query, headers or {}, b"", 0)
    return compile_expression(expression, Place("relay.yaml"), names).evaluate(Scope(EventView(event, body)))


# -- declared in full


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_declared_and_says_that_the_operator_defines_it(name: str) -> None:
    preset = PRESETS[name]
    assert preset.page.startswith("https://")
    assert preset.proof.startswith("operator-defined: ")
    assert preset.asks_for
    assert preset.sends
    assert preset.retries
    assert preset.handshake is None
    steps = " ".join(preset.setup)
    assert "{url}" in steps
    assert "{secret}" in steps or "Its last part is the secret" in steps


@pytest.mark.parametrize("name", NAMES)
def test_no_step_of_a_setup_holds_a_brace_but_for_what_is_filled_in(name: str) -> None:
    for step in PRESETS[name].setup:
        assert not re.search(r"[{}]", step.replace("{url}", "").replace("{secret}", "")), step


@pytest.mark.parametrize("name", NAMES)
def test_every_expression_that_a_setup_shows_can_be_read(name: str) -> None:
    shown = [text for step in PRESETS[name].setup for text in re.findall(r"`(\$[^`]*)`", step)]
    for text in shown:
        # `$x` stands for whatever the reader has picked.
        compile_expression(re.sub(r"\$x\b", "$.x", text), Place("setup"))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_one_line_of_relay_yaml(name: str) -> None:
    config = source(name)
    assert not config.unverified
    assert set(config.secrets) == {SECRET}


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("gecko-engage", ("POST",)),
        ("gecko-workflow", ("POST",)),
        ("gecko-chat", ("POST",)),
        ("lead-liaison", ("GET", "POST")),
        ("gist", ALL_METHODS),
        ("centercode", ALL_METHODS),
        ("zapier", ALL_METHODS),
        ("pipedream", ALL_METHODS),
    ],
)
def test_the_methods_are_those_the_vendor_can_use(name: str, methods: tuple[str, ...]) -> None:
    assert source(name).methods == methods


# -- proven


HEADER = {"headers": {"x-relay-key": SECRET}}
QUERY = {"query": (("X-Relay-Key", SECRET),)}
BASIC = {"headers": basic(SECRET)}
TOKEN = {"token": SECRET}
KEY = {"query": (("key", SECRET),)}

WAYS: dict[str, tuple[dict[str, Any], ...]] = {
    "gecko-engage": (HEADER, QUERY),
    "gecko-workflow": (BASIC,),
    "gecko-chat": (HEADER, QUERY),
    "gist": (HEADER,),
    "centercode": (HEADER,),
    "lead-liaison": (TOKEN, KEY),
    "zapier": (HEADER, BASIC),
    "pipedream": (HEADER, BASIC),
}


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in WAYS.items() for way in ways])
def test_each_way_to_send_the_secret_is_believed(name: str, way: dict[str, Any]) -> None:
    Verifier(source(name)).verify(Inbound("POST", **way), NOW_MS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"headers": {"x-relay-key": SECRET + "0"}},
        {"headers": {"x-relay-key": ""}},
        {"query": (("X-Relay-Key", SECRET[:-1]), ("key", SECRET.upper()))},
        {"headers": basic("wrong")},
        {"headers": basic(SECRET, "admin")},
        {"token": SECRET + "/"},
        {"body": f'{{"X-Relay-Key": "{SECRET}"}}'.encode()},
    ],
)
def test_a_missing_or_a_wrong_secret_is_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as error:
        Verifier(source(name)).verify(Inbound("POST", **wrong), NOW_MS)
    assert error.value.status == 401
    assert SECRET not in f"{error.value.reason} {error.value.detail}"


@pytest.mark.parametrize("name", NAMES)
def test_a_way_of_another_vendor_is_refused(name: str) -> None:
    for way in (HEADER, QUERY, BASIC, TOKEN, KEY):
        if way not in WAYS[name]:
            with pytest.raises(RefusedError):
                Verifier(source(name)).verify(Inbound("POST", **way), NOW_MS)


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in WAYS.items() for way in ways])
def test_an_old_secret_is_believed_while_it_is_being_changed(name: str, way: dict[str, Any]) -> None:
    verifier = Verifier(source(name, ["the-new-one-0123", SECRET]))
    assert verifier.verify(Inbound("POST", **way), NOW_MS).endswith("2 of 2")


# -- Gist's topics


def test_gist_has_its_27_topics_each_under_a_name_of_its_own() -> None:
    assert len(TOPICS) == 27
    assert PRESETS["gist"].types == tuple(TOPICS.values())
    assert len(set(TOPICS.values())) == 27
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in TOPICS.values())
    steps = " ".join(PRESETS["gist"].setup)
    assert all(f"{theirs} = {ours}" in steps for theirs, ours in TOPICS.items())


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("user.*", 2), ("lead.*", 3), ("contact.*", 9), ("conversation.*", 8), ("campaign.*", 2), ("meeting.*", 3)],
)
def test_gists_topics_can_be_named_by_what_they_are_about(pattern: str, count: int) -> None:
    assert sum(fnmatchcase(name, pattern) for name in TOPICS.values()) == count


@pytest.mark.parametrize(
    ("body", "headers", "query", "expected"),
    [
        ({}, {"x-gist-topic": "contact.created"}, (), "contact.created"),
        ({}, {}, (("X-Gist-Topic", "contact.tagged"),), "contact.tagged"),
        ({"X-Gist-Topic": "lead.created"}, {}, (), "lead.created"),
        ({"X-Gist-Topic": "c"}, {"x-gist-topic": "a"}, (("X-Gist-Topic", "b"),), "a"),
        ({"X-Gist-Topic": "c"}, {}, (("X-Gist-Topic", "b"),), "b"),
        ({"X-Gist-Topic": "c"}, {"x-gist-topic": ""}, (), "c"),
        ({"id": 1}, {}, (), None),
        ([{"id": 1}], {}, (), None),
        ("text", {}, (), None),
        (None, {}, (), None),
    ],
)
def test_gists_topic_is_read_from_header_address_or_body(
    body: JSON, headers: dict[str, str], query: tuple[tuple[str, str], ...], expected: str | None
) -> None:
    expression = source("gist").event_type
    assert expression is not None
    assert evaluated(expression, body, headers, query) == expected


# -- Gecko's array and date formats: the expressions that its setup gives


LIST = '$.interests? | default([]) | list | map("split", ",") | flatten | map("trim")'


def test_the_setup_of_gecko_engage_shows_the_expressions_that_are_tried_here() -> None:
    steps = " ".join(PRESETS["gecko-engage"].setup)
    assert f"`{LIST}`" in steps
    assert "`$.interests? | default([]) | list`" in steps
    assert '`$.born? | default(null) | parse_date("DD/MM/YYYY")`' in steps


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"interests": ["Art", "Law"]}', ["Art", "Law"]),
        ("application/json", b'{"interests": "Art, Law"}', ["Art", "Law"]),
        ("application/json", b'{"interests": "Art"}', ["Art"]),
        ("application/json", b'{"interests": ""}', []),
        ("application/json", b'{"interests": []}', []),
        ("application/json", b'{"interests": null}', []),
        ("application/json", b"{}", []),
        ("application/x-www-form-urlencoded", b"interests[]=Art&interests[]=Law", ["Art", "Law"]),
        ("application/x-www-form-urlencoded", b"interests%5B0%5D=Art&interests%5B1%5D=Law", ["Art", "Law"]),
        ("application/x-www-form-urlencoded", b"interests=Art&interests=Law", ["Art", "Law"]),
        ("application/x-www-form-urlencoded", b"interests=Art%2C+Law", ["Art", "Law"]),
        ("application/x-www-form-urlencoded", b"interests[]=Art", ["Art"]),
        ("application/x-www-form-urlencoded", b"interests=", []),
        ("application/xml", b"<c><interests>Art</interests><interests>Law</interests></c>", ["Art", "Law"]),
        ("application/xml", b"<c><interests>Art, Law</interests></c>", ["Art", "Law"]),
        ("application/xml", b"<c><interests>Art</interests></c>", ["Art"]),
        ("application/xml", b"<c><interests/></c>", []),
        ("application/xml", b"<c><name>Zoe</name></c>", []),
    ],
)
def test_a_list_is_the_same_in_every_encoding_and_array_format(
    content_type: str, body: bytes, expected: list[str]
) -> None:
    data = decode(body, content_type)
    path = "$.c" if content_type == "application/xml" else "$"
    assert evaluated(LIST.replace("$.", f"{path}.", 1), data) == expected


def test_an_entry_with_a_comma_stays_whole_in_the_default_array_format() -> None:
    assert evaluated("$.interests? | default([]) | list", {"interests": ["Art, History of", "Law"]}) == [
        "Art, History of",
        "Law",
    ]


@pytest.mark.parametrize(
    ("date_format", "written"),
    [
        ("DD/MM/YYYY", "03/04/1998"),
        ("MM/DD/YYYY", "04/03/1998"),
        ("YYYY-MM-DD", "1998-04-03"),
        ("YYYY-MM-DD HH:mm:ss", "1998-04-03 00:00:00"),
        ("DD-MMM-YY", "03-Apr-98"),
        ("D MMMM YYYY", "3 April 1998"),
        ("YYYYMMDD", "19980403"),
    ],
)
def test_a_date_is_the_same_in_every_format(date_format: str, written: str) -> None:
    expression = f'$.born? | default(null) | parse_date("{date_format}") | date("YYYY-MM-DD")'
    assert evaluated(expression, {"born": written}) == "1998-04-03"
    assert evaluated(expression, {"born": ""}) is None
    assert evaluated(expression, {}) is None


@pytest.mark.parametrize("label", ["First name", "What will you study?", "STU.SURN", "ext:12-3", "Überblick", "a[b"])
def test_a_key_that_is_a_label_is_read_as_it_stands(label: str) -> None:
    expression = f'$["{label}"]'
    assert evaluated(expression, decode(json.dumps({label: "x"}).encode(), "application/json")) == "x"
    form = urlencode({label: "x"}).encode()
    assert evaluated(expression, decode(form, "application/x-www-form-urlencoded")) == "x"


@pytest.mark.parametrize("body", [{"phone": ""}, {}, {"phone": None}])
def test_an_empty_field_of_a_workflow_is_alike_whether_it_is_sent_or_left_out(body: JSON) -> None:
    assert evaluated("$.phone? | default(null)", body) is None
