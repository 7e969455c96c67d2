"""The senders whose payload the operator defines, each through a real relay in every encoding, method and proof it has.

None of them publishes a payload: the names in these bodies are ours, as they would be an operator's. What is theirs is
the rest: encodings, methods, where the secret is, array and date formats, the answer that is read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

import httpx
import pytest

from relay.sources.presets.vendors.gist import TOPICS
from relay.testing import Answer, Recorded, RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

SECRET = "s3cret-0123456789"
KEY = {"X-Relay-Key": SECRET}
FORM = "application/x-www-form-urlencoded"
LIST = '$..interests | first | default([]) | list | map("split", ",") | flatten | map("trim")'

RELAY_YAML = {
    "sources": {
        "engage": {"preset": "gecko-engage", "secret": SECRET},
        "engage-labels": {"preset": "gecko-engage", "secret": SECRET},
        "workflow": {"preset": "gecko-workflow", "secret": SECRET},
        "chat": {"preset": "gecko-chat", "secret": SECRET, "event_id": "$.conversation.id"},
        "gist": {"preset": "gist", "secret": SECRET},
        "centercode": {"preset": "centercode", "secret": SECRET},
        "lead-form": {"preset": "lead-liaison", "secret": SECRET},
        "lead-json": {"preset": "lead-liaison", "secret": SECRET},
        "lead-xml": {"preset": "lead-liaison", "secret": SECRET},
        "zapier": {"preset": "zapier", "secret": SECRET},
        "pipedream": {"preset": "pipedream", "secret": SECRET},
    }
}

ENGAGE = """
recipe: Contacts to the CRM, whatever the encoding, the array format and the date format
catch: engage
pick:
  surname: $..surname | first
  born: $..born | first | default(null) | parse_date("DD/MM/YYYY") | date("YYYY-MM-DD")
  interests: LIST
  consent: $..consent | first | bool
steps:
  contact:
    to: sink
    with:
      path: /contacts/{{ $headers["x-case"] }}
      json: {surname: $surname, born: $born, interests: $interests, consent: $consent}
""".replace("LIST", LIST)

LABELS = """
recipe: Contacts under their labels, into a file
catch: engage-labels
steps:
  row:
    to: drop
    do: csv
    with:
      path: contacts.csv
      row:
        STU_CODE: $["STU.CODE"]
        STU_SURN: $["Family name"]
        Course: $["What will you study?"] | list | join("; ")
        Born: $["Date of birth"] | parse_date("MM/DD/YYYY HH:mm") | date("DD/MM/YYYY")
"""

WORKFLOW = """
recipe: Form responses
catch: workflow
steps:
  response:
    to: sink
    with:
      path: /responses/{{ $headers["x-case"] }}
      json:
        name: $..full_name | first
        phone: $..phone | first | default(null)
        why: $..["why_here"] | first | default(null)
"""

CHAT = """
recipe: Closed conversations
catch: chat
steps:
  row:
    to: drop
    do: csv
    with:
      path: chats.csv
      row:
        Id: $.conversation.id
        Name: $.contact.name
        Transcript: $.transcript | pluck("text") | join(" / ")
"""

GIST_ALL = """
recipe: Everything of Gist
catch: gist
steps:
  note: {to: sink, with: {path: /gist, json: {topic: $event.type, id: $.id, via: '$headers["x-case"]?'}}}
"""

GIST_SOME = """
recipe: Conversations and new contacts of Gist
catch: gist
types: [contact.created, conversation.*]
steps:
  note: {to: sink, with: {path: /gist-some, json: {topic: $event.type, id: $.id}}}
"""

CENTERCODE = """
recipe: A tester's account, looked up and answered
catch: centercode
pick:
  user: $.user
steps:
  lookup:
    to: sink
    with: {path: /lookup, json: {user: $user, comment: $.comment?}}
    save: {approved: $.approved, visits: $.visits, seen: $.seen, level: $.level}
respond:
  wait: 8s
  as: json
  body:
    Approved: $lookup.approved | bool
    LastSeen: $lookup.seen | date("YYYY-MM-DDTHH:mm:ssZ")
    Visits: $lookup.visits | int
    Level: $lookup.level
"""

LEAD = """
recipe: A lead, looked up and answered
catch: lead-%(form)s
steps:
  lookup:
    to: sink
    with:
      path: /lead/%(form)s/{{ $headers["x-case"] }}
      json: {name: $..name | first, email: $..email | first}
    save: {owner: $.owner, score: $.score}
respond:
  as: %(form)s
  body: {owner: $lookup.owner, score: $lookup.score}
"""

ANYTHING = """
recipe: What a %(source)s step sends
catch: %(source)s
steps:
  post:
    to: sink
    with:
      path: /%(source)s/{{ $headers["x-case"] }}
      json: {name: $..name | first, tags: $..tags | first | list}
"""


def answered(request: Recorded) -> Answer:
    """What the systems behind the steps answer."""
    if request.path == "/lookup":
        # As many systems do, it answers everything as text: the recipe makes types of it.
        return Answer(body={"approved": "yes", "visits": "42", "seen": "2026-04-03T09:15:00Z", "level": "Gold"})
    if request.path.startswith("/lead/"):
        return Answer(body={"owner": "Zoë & Söhne <Ltd>", "score": 7})
    return Answer(body={})


class Bench:
    """A relay that all senders share, and what it sent on."""

    def __init__(self, relay: Relay, sink: RecordingServer) -> None:
        self.relay = relay
        self.sink = sink

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.relay.url}/in/{path}", timeout=30, **more)

    def got(self, path: str, count: int = 1) -> list[Any]:
        """The bodies that came to a path, once so many have."""

        def found() -> list[Any]:
            return [json.loads(one.body) for one in self.sink.requests if one.path == path]

        eventually(lambda: len(found()) >= count)
        return found()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("senders")
    with RecordingServer(answered) as sink:
        connections = {
            "sink": {"connector": "http", "base_url": sink.url, "allow_private": True},
            "drop": {"connector": "file", "folder": "outbox"},
        }
        recipes = {
            "engage": ENGAGE,
            "labels": LABELS,
            "workflow": WORKFLOW,
            "chat": CHAT,
            "gist-all": GIST_ALL,
            "gist-some": GIST_SOME,
            "centercode": CENTERCODE,
            **{f"lead-{form}": LEAD % {"form": form} for form in ("form", "json", "xml")},
            **{source: ANYTHING % {"source": source} for source in ("zapier", "pipedream")},
        }
        write_workspace(folder, RELAY_YAML | {"connections": connections}, recipes)
        with relay_up(folder) as relay:
            assert not relay.log("recipe.broken"), relay.log("recipe.broken")
            yield Bench(relay, sink)


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# -- Gecko Engage


ENGAGE_BODIES: dict[str, tuple[str, bytes]] = {
    "json": (
        "application/json",
        '{"surname": "Brontë", "born": "21/04/1816", "interests": ["Art", "Law"], "consent": true}'.encode(),
    ),
    "json-commas": (
        "application/json",
        '{"surname": "Brontë", "born": "21/04/1816", "interests": "Art, Law", "consent": "true"}'.encode(),
    ),
    "xml": (
        "application/xml",
        '<?xml version="1.0" encoding="UTF-8"?><contacts><contact><surname>Brontë</surname><born>21/04/1816</born>'
        "<interests>Art</interests><interests>Law</interests><consent>Yes</consent></contact></contacts>".encode(),
    ),
    "xml-commas": (
        "text/xml; charset=utf-8",
        "<student><surname>Brontë</surname><born>21/04/1816</born><interests>Art,Law</interests>"
        "<consent>1</consent></student>".encode(),
    ),
    "form": (FORM, b"surname=Bront%C3%AB&born=21%2F04%2F1816&interests[]=Art&interests[]=Law&consent=1"),
    "form-indexed": (
        FORM,
        b"surname=Bront%C3%AB&born=21%2F04%2F1816&interests%5B0%5D=Art&interests%5B1%5D=Law&consent=true",
    ),
    "form-array": (
        FORM,
        (
            b"data[surname]=Bront%C3%AB&data[born]=21%2F04%2F1816&data[interests][]=Art&data[interests][]=Law"
            b"&data[consent]=Yes"
        ),
    ),
    "form-commas": (FORM, b"surname=Bront%C3%AB&born=21%2F04%2F1816&interests=Art%2C+Law&consent=on"),
}


@pytest.mark.parametrize("case", ENGAGE_BODIES)
@pytest.mark.parametrize("auth", ["header", "query"])
def test_one_recipe_makes_the_same_of_every_encoding_and_array_format_of_gecko_engage(
    bench: Bench, case: str, auth: str
) -> None:
    kind, body = ENGAGE_BODIES[case]
    headers = {"Content-Type": kind, "X-Case": f"{case}-{auth}"} | (KEY if auth == "header" else {})
    answer = bench.send("POST", "engage", content=body, headers=headers, params=KEY if auth == "query" else None)
    assert answer.status_code == 202, answer.text
    assert bench.got(f"/contacts/{case}-{auth}") == [
        {"surname": "Brontë", "born": "1816-04-21", "interests": ["Art", "Law"], "consent": True}
    ]


@pytest.mark.parametrize(
    ("case", "kind", "body"),
    [
        ("empty-json", "application/json", b'{"surname": "B", "born": "", "interests": [], "consent": false}'),
        ("absent-json", "application/json", b'{"surname": "B", "consent": false}'),
        ("empty-xml", "application/xml", b"<c><surname>B</surname><born/><interests/><consent>no</consent></c>"),
        ("empty-form", FORM, b"surname=B&born=&interests=&consent=0"),
    ],
)
def test_empty_values_of_gecko_engage_are_alike(bench: Bench, case: str, kind: str, body: bytes) -> None:
    bench.send("POST", "engage", content=body, headers={**KEY, "Content-Type": kind, "X-Case": case})
    assert bench.got(f"/contacts/{case}") == [{"surname": "B", "interests": [], "consent": False}]


def test_keys_that_are_labels_and_another_date_format_reach_a_file(bench: Bench) -> None:
    values = {"STU.CODE": "0042", "Family name": "Brontë", "Date of birth": "04/21/1816 09:30"}
    as_json = {**values, "What will you study?": ["Art", "Law"]}
    as_form = [*values.items(), ("What will you study?[]", "Art"), ("What will you study?[]", "Law")]
    assert bench.send("POST", "engage-labels", json=as_json, headers=KEY).status_code == 202
    form = bench.send("POST", "engage-labels", content=urlencode(as_form), headers={"Content-Type": FORM}, params=KEY)
    assert form.status_code == 202
    found = eventually(lambda: found if len(found := rows(bench.relay.outbox / "contacts.csv")) == 2 else None)
    row = {"STU_CODE": "0042", "STU_SURN": "Brontë", "Course": "Art; Law", "Born": "21/04/1816"}
    assert found == [row, row]


@pytest.mark.parametrize("case", ["json-left-out", "json-empty", "xml-left-out", "xml-empty"])
def test_workflow_webhooks_prove_themselves_by_http_basic_and_may_leave_out_what_is_empty(
    bench: Bench, case: str
) -> None:
    bodies = {
        "json-left-out": b'{"full_name": "Ana Silva"}',
        "json-empty": b'{"full_name": "Ana Silva", "phone": "", "why_here": null}',
        "xml-left-out": b"<response><full_name>Ana Silva</full_name></response>",
        "xml-empty": b"<response><full_name>Ana Silva</full_name><phone></phone><why_here/></response>",
    }
    headers = {"Content-Type": f"application/{case.partition('-')[0]}", "X-Case": case}
    answer = bench.send("POST", "workflow", content=bodies[case], headers=headers, auth=("relay", SECRET))
    assert answer.status_code == 202
    assert bench.got(f"/responses/{case}") == [{"name": "Ana Silva"}]
    for wrong in (("relay", "wrong"), ("admin", SECRET)):
        refused = bench.send("POST", "workflow", content=bodies[case], headers=headers, auth=wrong)
        assert refused.status_code == 401


def test_a_closed_conversation_of_gecko_chat_becomes_one_row_even_if_it_is_sent_twice(bench: Bench) -> None:
    def closed(number: int) -> dict[str, Any]:
        return {
            "conversation": {"id": number, "closed_at": "2026-04-03T09:15:00Z"},
            "contact": {"name": "Ana Silva"},
            "transcript": [{"from": "visitor", "text": "Hello"}, {"from": "agent", "text": "Bye, Zoë"}],
        }

    assert bench.send("POST", "chat", json=closed(1), headers=KEY).status_code == 202
    again = bench.send("POST", "chat", json=closed(1), params=KEY)
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    assert bench.send("POST", "chat", json=closed(2), params=KEY).status_code == 202
    assert bench.send("POST", "chat", json=closed(3)).status_code == 401
    found = eventually(lambda: found if len(found := rows(bench.relay.outbox / "chats.csv")) == 2 else None)
    assert sorted(row["Id"] for row in found) == ["1", "2"]
    assert {(row["Name"], row["Transcript"]) for row in found} == {("Ana Silva", "Hello / Bye, Zoë")}


# -- Gist


def test_every_topic_of_gist_is_told_and_a_recipe_takes_those_it_names(bench: Bench) -> None:
    for number, topic in enumerate(TOPICS.values()):
        headers = {**KEY, "X-Gist-Topic": topic}
        assert bench.send("POST", "gist", json={"id": number}, headers=headers).status_code == 202
    told = eventually(
        lambda: found if len(found := [one for one in bench.got("/gist") if "via" not in one]) == 27 else []
    )
    assert {one["topic"]: one["id"] for one in told} == {topic: n for n, topic in enumerate(TOPICS.values())}
    some = bench.got("/gist-some", 9)
    assert {one["topic"] for one in some} == {
        "contact.created",
        *(name for name in TOPICS.values() if name.startswith("conversation.")),
    }


@pytest.mark.parametrize(
    ("case", "method", "more"),
    [
        ("get", "GET", {"params": {"id": "7", "X-Gist-Topic": "lead.created"}}),
        ("put", "PUT", {"json": {"id": "7"}, "headers": {"X-Gist-Topic": "lead.created"}}),
        ("patch", "PATCH", {"json": {"id": "7"}, "params": {"X-Gist-Topic": "lead.created"}}),
        ("delete", "DELETE", {"params": {"id": "7"}, "headers": {"X-Gist-Topic": "lead.created"}}),
        ("body", "POST", {"json": {"id": "7", "X-Gist-Topic": "lead.created"}}),
    ],
)
def test_gist_may_use_any_method_and_any_place_for_the_topic(
    bench: Bench, case: str, method: str, more: dict[str, Any]
) -> None:
    headers = {**KEY, "X-Case": case, **more.pop("headers", {})}
    assert bench.send(method, "gist", headers=headers, **more).status_code == 202
    found = eventually(lambda: [one for one in bench.got("/gist") if one.get("via") == case])
    assert found == [{"topic": "lead.created", "id": "7", "via": case}]


GIST = """
recipe: A contact of Gist, %(name)s
catch: gist
types: [contact.created]
steps:
  note: {to: %(to)s, with: {path: /%(name)s, json: {id: $.id}}}
"""

GIST_ANSWERED = """
recipe: A lead of Gist, answered
catch: asked
steps:
  note: {to: away, with: {path: /gone, json: {id: $.id}}, save: {id: $.id}}
respond: {wait: 2s, body: {id: $note.id}}
"""


def test_gist_never_hears_410_and_whatever_holds_a_recipe_up_it_hears_2xx(tmp_path: Path) -> None:
    """410 switches its webhook off; any other 4xx or 5xx makes it try again after 5 minutes, 1 hour and 3 hours."""
    heard: dict[str, int] = {}
    with RecordingServer(Answer(body={"id": 1})) as sink, RecordingServer(Answer(410)) as away:
        write_workspace(
            tmp_path,
            {
                "sources": {
                    "gist": {"preset": "gist", "secret": SECRET, "event_id": "$.id", "max_body": "2KB"},
                    "asked": {"preset": "gist", "secret": SECRET},
                    "unset": {"preset": "gist", "secret": "${GIST_KEY}"},
                },
                "connections": {
                    "sink": {"connector": "http", "base_url": sink.url, "allow_private": True},
                    "away": {"connector": "http", "base_url": away.url, "allow_private": True},
                },
            },
            {
                "good": GIST % {"name": "good", "to": "sink"},
                "broken": (GIST % {"name": "broken", "to": "sink"}).replace("types:", "tpyes:"),
                "gone": GIST % {"name": "gone", "to": "away"},
                "answered": GIST_ANSWERED,
            },
        )
        with relay_up(tmp_path) as relay:

            def send(why: str, source: str = "gist", method: str = "POST", key: str = SECRET, **more: Any) -> int:
                headers = {"X-Relay-Key": key, "X-Gist-Topic": "contact.created"}
                more = more or {"json": {"id": why}}
                answer = httpx.request(method, f"{relay.url}/in/{source}", headers=headers, timeout=20, **more)
                heard[why] = answer.status_code
                return answer.status_code

            assert send("accepted") == 202
            assert send("duplicate", json={"id": "accepted"}) == 200
            assert send("refused", key="wrong") == 401
            assert send("unknown source", source="nobody") == 404
            assert send("unavailable source", source="unset") == 503
            assert send("method", method="OPTIONS") == 405
            assert send("too long", json={"id": "x" * 3000}) == 413
            assert send("undecodable", content=b'{"id": "she said "hi""}') == 202
            assert send("another topic's shape", json=[1, 2]) == 202
            eventually(lambda: relay.log("recipe.broken"))
            assert send("recipe is broken") == 202

            # Its destination is gone for good: the lane is switched off, which is nothing to Gist.
            assert send("destination answers 410") == 202
            assert eventually(lambda: away.requests)
            assert send("respond of a destination that is gone", source="asked") == 202

            relay.cli("lanes", "pause", "sink")
            before = len(sink.requests)
            assert send("lane is paused") == 202

            (tmp_path / "recipes" / "good.yaml").unlink()
            eventually(lambda: len({line["process"] for line in relay.log("workspace.reloaded")}) >= 2)
            assert send("recipe is deleted") == 202
            assert len(sink.requests) == before

            relay.children()["valkey"].kill()
            while_down = {send(f"store is down {number}") for number in range(5)}
            # It may be back already.
            assert while_down <= {202, 503}
            assert eventually(lambda: send("store is back") in (200, 202))
    assert 410 not in heard.values(), heard


# -- Centercode


CENTERCODE_ANSWER = {"Approved": True, "LastSeen": "2026-04-03T09:15:00+00:00", "Visits": 42, "Level": "Gold"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("encoding", ["json", "form", "query"])
def test_centercode_gets_its_return_values_typed_for_every_method_and_body(
    bench: Bench, method: str, encoding: str
) -> None:
    user = f"{method}-{encoding}"
    sent: dict[str, Any] = {
        "json": {"json": {"user": user, "comment": "5 < 6 & more"}},
        "form": {"data": {"user": user, "comment": "5 < 6 & more"}},
        "query": {"params": {"user": user, "comment": "5 < 6 & more"}},
    }
    answer = bench.send(method, "centercode", headers=KEY, **sent[encoding])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == CENTERCODE_ANSWER
    # == takes True for 1: Boolean, Date and Time, Integer and String are told apart by their types.
    assert [type(value) for value in answer.json().values()] == [bool, str, int, str]
    assert {"user": user, "comment": "5 < 6 & more"} in bench.got("/lookup")


@pytest.mark.parametrize(
    ("case", "body", "mended"),
    [
        (
            "quote",
            b'{"user": "quote", "comment": "It said "no" twice"}',
            b'{"user": "quote", "comment": "It said \\"no\\" twice"}',
        ),
        (
            "line-break",
            b'{"user": "line-break", "comment": "first\nsecond"}',
            b'{"user": "line-break", "comment": "first\\nsecond"}',
        ),
        (
            "backslash",
            b'{"user": "backslash", "comment": "C:\\users"}',
            b'{"user": "backslash", "comment": "C:\\\\users"}',
        ),
    ],
    ids=["quote", "line-break", "backslash"],
)
def test_json_that_a_dynamic_tag_broke_is_kept_mended_and_delivered(
    bench: Bench, case: str, body: bytes, mended: bytes
) -> None:
    answer = bench.send("POST", "centercode", content=body, headers={**KEY, "Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    event = answer.json()["id"]
    (letter,) = eventually(lambda: [row for row in bench.relay.rows("dead", "list") if row["event"] == event])
    assert letter["cause"] == "undecodable body"
    assert bench.relay.cli("events", "show", event, "--body") == body.decode()
    bench.relay.cli("dead", "edit", letter["id"], "--file", "-", "--replay", text=mended.decode())
    wanted = json.loads(mended)
    eventually(lambda: wanted in bench.got("/lookup"))


# -- Lead Liaison


LEAD_BODIES: dict[str, tuple[str, bytes]] = {
    "FORM/URL": (FORM, b"name=Zo%C3%AB+Smith&email=zoe%2Bcrm%40example.com"),
    "JSON": ("application/json", '{"name": "Zoë Smith", "email": "zoe+crm@example.com"}'.encode()),
    "XML": (
        "application/xml",
        "<lead><name>Zoë Smith</name><email>zoe+crm@example.com</email></lead>".encode(),
    ),
}


def as_mapping(answer: httpx.Response) -> dict[str, str]:
    """As Lead Liaison's Response Mapping reads it: names and values."""
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == FORM:
        return dict(parse_qsl(answer.text, strict_parsing=True))
    if kind == "application/json":
        return {name: str(value) for name, value in answer.json().items()}
    assert kind == "application/xml"
    return {element.tag: element.text or "" for element in ET.fromstring(answer.content)}


@pytest.mark.parametrize("reply", ["form", "json", "xml"])
@pytest.mark.parametrize("request_type", ["GET", "FORM/URL", "JSON", "XML"])
def test_lead_liaison_sends_its_template_and_maps_the_reply_in_every_format(
    bench: Bench, reply: str, request_type: str
) -> None:
    case = request_type.replace("/", "-")
    headers = {"X-Case": case}
    if request_type == "GET":
        # The template is put behind the address as it is.
        target = f"lead-{reply}/{SECRET}?name=Zo%C3%AB+Smith&email=zoe%2Bcrm%40example.com"
        answer = bench.send("GET", target, headers=headers)
    else:
        kind, body = LEAD_BODIES[request_type]
        answer = bench.send("POST", f"lead-{reply}/{SECRET}", content=body, headers={**headers, "Content-Type": kind})
    assert answer.status_code == 200, answer.text
    assert as_mapping(answer) == {"owner": "Zoë & Söhne <Ltd>", "score": "7"}
    assert bench.got(f"/lead/{reply}/{case}") == [{"name": "Zoë Smith", "email": "zoe+crm@example.com"}]


def test_lead_liaisons_secret_may_also_be_a_parameter_and_a_wrong_one_is_refused(bench: Bench) -> None:
    query = "name=Zo%C3%AB+Smith&email=z%40example.com"
    headers = {"X-Case": "key"}
    assert bench.send("GET", f"lead-json?key={SECRET}&{query}", headers=headers).status_code == 200
    assert bench.got("/lead/json/key") == [{"name": "Zoë Smith", "email": "z@example.com"}]
    for target in (f"lead-json?key=wrong&{query}", f"lead-json/wrong?{query}", f"lead-json?{query}"):
        assert bench.send("GET", target, headers=headers).status_code == 401
    assert bench.send("PUT", f"lead-json/{SECRET}", headers=headers).status_code == 405


# -- Zapier and Pipedream


HERE = {"name": "Zoë", "tags": ["a", "b"]}
AUTHS: dict[str, dict[str, Any]] = {"header": {"headers": KEY}, "basic": {"auth": ("relay", SECRET)}}

ZAPS: dict[str, tuple[str, dict[str, Any]]] = {
    "post-json": ("POST", {"json": HERE}),
    "put-json": ("PUT", {"json": HERE}),
    "post-form": ("POST", {"data": {"name": "Zoë", "tags": ["a", "b"]}}),
    "post-file": ("POST", {"data": {"name": "Zoë", "tags": ["a", "b"]}, "files": {"file": ("a.txt", b"hello")}}),
    "post-xml": (
        "POST",
        {
            "content": "<zap><name>Zoë</name><tags>a</tags><tags>b</tags></zap>".encode(),
            "headers": {"Content-Type": "application/xml"},
        },
    ),
    "raw-untyped": ("POST", {"content": json.dumps(HERE).encode()}),
    "raw-text": ("POST", {"content": json.dumps(HERE).encode(), "headers": {"Content-Type": "text/plain"}}),
    "get": ("GET", {"params": {"name": "Zoë", "tags": ["a", "b"]}}),
    "custom-patch": ("PATCH", {"json": HERE}),
    "custom-delete": ("DELETE", {"json": HERE}),
}

#: Bodies and content types as npm @pipedream/platform 3.4.0 (axios 1.21.1) sent them.
PIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "object": (
        "POST",
        {"content": '{"name":"Zoë","tags":["a","b"]}'.encode(), "headers": {"Content-Type": "application/json"}},
    ),
    "form-object": (
        "POST",
        {"content": b"name=Zo%C3%AB&tags%5B%5D=a&tags%5B%5D=b", "headers": {"Content-Type": FORM}},
    ),
    "form-params": (
        "POST",
        {
            "content": b"name=Zo%C3%AB&tags=a&tags=b",
            "headers": {"Content-Type": f"{FORM};charset=utf-8"},
        },
    ),
    "text-typed": (
        "PUT",
        {"content": '{"name": "Zoë", "tags": ["a", "b"]}'.encode(), "headers": {"Content-Type": "application/json"}},
    ),
    "params": ("GET", {"params": [("name", "Zoë"), ("tags[]", "a"), ("tags[]", "b")]}),
}

STEPS = [("zapier", case, *sent) for case, sent in ZAPS.items()]
STEPS += [("pipedream", case, *sent) for case, sent in PIPES.items()]


@pytest.mark.parametrize(("source", "case", "method", "sent"), STEPS, ids=[f"{step[0]}-{step[1]}" for step in STEPS])
@pytest.mark.parametrize("auth", AUTHS)
def test_what_a_zap_or_a_pipedream_step_sends_is_the_same_however_it_is_sent(
    bench: Bench, source: str, case: str, method: str, sent: dict[str, Any], auth: str
) -> None:
    proof = AUTHS[auth]
    headers = {"X-Case": f"{case}-{auth}", **sent.get("headers", {}), **proof.get("headers", {})}
    answer = bench.send(method, source, **{**sent, "headers": headers}, auth=proof.get("auth"))
    assert answer.status_code == 202, answer.text
    assert bench.got(f"/{source}/{case}-{auth}") == [HERE]
    without = bench.send(method, source, **sent)
    assert without.status_code == 401
