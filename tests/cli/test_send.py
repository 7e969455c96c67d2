"""`relay send` against a real relay: what it sends is taken, for every way to prove a sender and every preset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.sources.presets import PRESETS
from relay.sources.words import REFERENCE, example, example_verify, ways
from tests.cli.conftest import Done, Run
from tests.cli.test_sources import PUBLIC_KEY, SECRET
from tests.harness import Relay, relay_up, write_workspace

ECDSA = {name for name, one in PRESETS.items() if all(way.kind == "ecdsa" for way in ways(example_verify(one)))}
KEPT = {name for name, one in PRESETS.items() if one.kept is not None}

WAYS: dict[str, Any] = {
    "none": "none",
    "header": {"header": "X-Key", "equals": SECRET},
    "query": {"query": "key", "equals": "k&= s"},
    "token": {"token": SECRET},
    "path-token": {"path_token": SECRET},
    "field": {"field": "contact.key", "equals": SECRET},
    "bearer": {"bearer": SECRET},
    "basic": {"basic": {"username": "u", "password": "Zoë"}},
    "signed": {"hmac": {"header": "S", "secret": SECRET}},
    "address": {"hmac": {"header": "S", "secret": SECRET, "signed": "{method}{url}{path}{body}"}},
    "hashed": {"digest": {"header": "S", "secret": SECRET, "signed": "{secret}{method}{url}{body}"}},
    "several": {"any": [{"query": "key", "equals": SECRET}, {"bearer": SECRET}]},
    "at-home": {"ip_allow": ["127.0.0.0/8", "::1"], "bearer": SECRET},
}

#: What some vendors put their proof into has to be there already.
BODY = {"contact": {"name": "Zoë"}, "value": [{"clientState": ""}]}


def filled(value: Any, name: str) -> Any:
    text = REFERENCE.sub(PUBLIC_KEY if name in ECDSA else SECRET, json.dumps(value))
    return json.loads(text)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("senders")
    sources = {f"way-{name}": {"verify": verify} for name, verify in WAYS.items()}
    sources |= {name: filled(example(preset), name) for name, preset in PRESETS.items()}
    sources["put-only"] = {"verify": "none", "methods": ["PUT", "PATCH"]}
    write_workspace(folder, {"sources": sources}, {})
    for name, body in {
        "body.json": json.dumps(BODY, ensure_ascii=False).encode(),
        "body.form": b"name=Zo%C3%AB&contact[key]=&tag=a&tag=b\n",
        "body.xml": b"<a>1</a>",
        "body.multipart": b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--xyz--\r\n',
        "plain": b'{"a": 1}',
        "plain-form": b"a=1",
    }.items():
        (folder / name).write_bytes(body)
    with relay_up(folder) as relay:
        yield relay


@pytest.fixture
def send(relay: Relay, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in relay.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RELAY_PORT", relay.url.rpartition(":")[2])
    monkeypatch.chdir(relay.folder)

    def command(*words: str) -> Done:
        return run("send", *words)

    return command


def caught(run: Run, done: Done) -> dict[str, Any]:
    """The event that a send made, as the relay shows it."""
    event = json.loads(done.out.partition(" ")[2])["id"]
    found: dict[str, Any] = json.loads(run("events", "show", event, "--json").out)
    return found


@pytest.mark.parametrize("file", ["body.json", "body.form"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_prove_a_sender_is_taken(send: Run, way: str, file: str) -> None:
    done = send(f"way-{way}", file, "--query", "campaign=open day", "--query", "campaign=&more")
    assert (done.code, done.out[:4]) == (0, "202 "), done


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - ECDSA - KEPT))
def test_what_is_sent_as_a_vendor_would_is_taken(send: Run, name: str) -> None:
    form = PRESETS[name].sends.startswith("a form")
    done = send(name, "body.form" if form else "body.json")
    assert (done.code, done.out[:1]) == (0, "2"), done


@pytest.mark.parametrize("name", sorted(ECDSA))
def test_where_only_the_vendor_can_sign_it_says_so(send: Run, name: str) -> None:
    done = send(name, "body.json")
    assert done.code == 2
    assert "private key" in done.err


def test_a_signed_address_is_the_public_one_wherever_it_is_sent_to(
    send: Run, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay has no RELAY_PUBLIC_URL here, so what is signed for another address is refused."""
    assert send("way-address", "body.json", "--url", relay.url).code == 0
    monkeypatch.setenv("RELAY_PUBLIC_URL", "https://relay.example.org")
    done = send("way-address", "body.json", "--url", relay.url)
    assert (done.code, done.out[:4]) == (1, "401 ")


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("body.json", "application/json"),
        ("body.form", "application/x-www-form-urlencoded"),
        ("body.xml", "application/xml"),
        ("body.multipart", 'multipart/form-data; boundary="xyz"'),
        ("plain", "application/json"),
        ("plain-form", "application/x-www-form-urlencoded"),
    ],
)
def test_the_content_type_is_what_the_file_is(send: Run, run: Run, file: str, content_type: str) -> None:
    event = caught(run, send("way-none", file))
    assert event["headers"]["content-type"] == content_type


def test_where_the_name_says_nothing_it_is_what_the_vendor_sends(send: Run, run: Run) -> None:
    event = caught(run, send("gecko-chat", "plain-form", "--query", "X-Relay-Key=" + SECRET))
    assert event["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize("flag", [["--content-type", "text/csv"], ["-H", "content-type: text/csv"]], ids=" ".join)
def test_a_content_type_that_is_said_goes_before_the_file_s(send: Run, run: Run, flag: list[str]) -> None:
    assert caught(run, send("way-none", "body.json", *flag))["headers"]["content-type"] == "text/csv"


def test_a_get_has_the_form_in_its_address(send: Run, run: Run) -> None:
    event = caught(run, send("way-query", "body.form", "-X", "get", "--query", "more=1 2"))
    assert event["method"] == "GET"
    assert event["body"] == ""
    assert [pair for pair in event["query"] if pair[0] != "key"] == [
        ["name", "Zoë"],
        ["contact[key]", "***"],  # by its name, a secret
        ["tag", "a"],
        ["tag", "b"],
        ["more", "1 2"],
    ]


def test_the_method_is_one_that_the_source_takes(send: Run, run: Run) -> None:
    assert caught(run, send("put-only", "body.json"))["method"] == "PUT"
    assert send("put-only", "body.json", "-X", "POST").out.startswith("405 ")


def test_headers_make_the_event_s_type_and_id(send: Run, run: Run) -> None:
    words = ("github", "body.json", "-H", "X-GitHub-Event: push", "-H", "X-GitHub-Delivery: 1-2-3")
    event = caught(run, send(*words))
    assert (event["headers"]["x-github-event"], event["key"]) == ("push", "1-2-3")
    assert '"duplicate"' in send(*words).out


@pytest.mark.parametrize("words", [["-H", "nothing"], ["--query", "nothing"], ["-H", ": v"]], ids=" ".join)
def test_what_is_no_pair_is_wrong_usage(send: Run, words: list[str]) -> None:
    done = send("way-none", "body.json", *words)
    assert done.code == 2
    assert words[0] in done.err.replace("--header", "-H")


def test_a_multipart_file_without_a_boundary_is_told(send: Run, relay: Relay) -> None:
    (relay.folder / "broken.multipart").write_text("a=1")
    done = send("way-none", "broken.multipart")
    assert done.code == 2
    assert "broken.multipart" in done.err


HANDSHAKES = {"asana": ["-H", "X-Hook-Secret: given-by-the-vendor"], "notion": []}


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_secret_that_came_with_a_handshake_signs_from_then_on(send: Run, relay: Relay, name: str) -> None:
    (relay.folder / "shake.json").write_text(
        '{"verification_token": "given-by-the-vendor"}' if not HANDSHAKES[name] else "{}"
    )
    done = send(name, "body.json")
    assert (done.code, done.out[:4]) == (1, "401 "), done
    assert "has given no secret" in done.err
    assert send(name, "shake.json", *HANDSHAKES[name]).code == 0
    done = send(name, "body.json")
    assert (done.code, done.err) == (0, ""), done


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_kept_secret_can_t_be_had_without_the_store(
    send: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    done = send(name, "body.json", "--data", str(tmp_path / "elsewhere"))
    assert done.code == 3
    assert "is `relay up` running?" in done.err
