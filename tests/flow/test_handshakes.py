"""The questions vendors ask before they send events, each as its vendor asks it, through a real relay's port."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from relay.sources.presets import PRESETS
from tests.harness import Relay, eventually, relay_up, write_workspace

#: As it would be behind a proxy: some vendors sign it.
PUBLIC_URL = "https://hooks.example.org"

NOSNIFF = {"x-content-type-options": "nosniff"}


def made_up(what: str) -> str:
    """A secret of the test's own: found anywhere it must not be, it says what it is."""
    return f"{what}-{secrets.token_hex(12)}"


SECRETS = {
    name: made_up(name)
    for name in (
        "slack", "zoom", "meta", "meta-token", "dropbox", "graph", "trello", "mailchimp", "mandrill", "xero", "okta",
        "asana", "notion", "smartsheet", "intercom",
    )
}  # fmt: skip

SOURCES: dict[str, dict[str, Any]] = {
    "slack": {"preset": "slack", "secret": SECRETS["slack"]},
    "zoom": {"preset": "zoom", "secret": SECRETS["zoom"]},
    "meta": {"preset": "meta", "secret": SECRETS["meta"], "verify_token": SECRETS["meta-token"]},
    "dropbox": {"preset": "dropbox", "secret": SECRETS["dropbox"]},
    "graph": {"preset": "microsoft-graph", "secret": SECRETS["graph"]},
    "trello": {"preset": "trello", "secret": SECRETS["trello"]},
    "mailchimp": {"preset": "mailchimp", "secret": SECRETS["mailchimp"]},
    # As Mailchimp itself suggests it.
    "mailchimp-key": {"preset": "mailchimp", "verify": {"query": "key", "equals": SECRETS["mailchimp"]}},
    "mailchimp-signed": {"preset": "mailchimp-signed", "secret": SECRETS["mailchimp"]},
    "mandrill": {"preset": "mandrill", "secret": SECRETS["mandrill"]},
    "xero": {"preset": "xero", "secret": SECRETS["xero"]},
    "okta": {"preset": "okta", "secret": SECRETS["okta"]},
    "asana": {"preset": "asana", "secret": SECRETS["asana"]},
    "notion": {"preset": "notion", "secret": SECRETS["notion"]},
    "intercom": {"preset": "intercom", "secret": SECRETS["intercom"]},
    "smartsheet": {"preset": "smartsheet", "secret": SECRETS["smartsheet"]},
}

RECIPE = """
recipe: What {name} says
catch: {name}
steps:
  row:
    to: files
    do: csv
    with: {{path: "{name}.csv", row: {{type: $event.type}}}}
"""


@dataclass(frozen=True)
class Question:
    """What a vendor asks, and what it has to hear.

    at      what stands behind /in/
    answer  the body; None where only the rest counts
    heard   headers that the answer must have
    """

    method: str
    at: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 200
    answer: bytes | dict[str, Any] | None = b""
    heard: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.at.partition("?")[0].partition("/")[0]

    def ask(self, relay: Relay) -> httpx.Response:
        """As it is written: httpx would escape some of the address anew."""
        request = httpx.Request(self.method, f"{relay.url}/in/", headers=dict(self.headers), content=self.body)
        request.url = request.url.copy_with(raw_path=f"/in/{self.at}".encode())
        with httpx.Client(timeout=10) as client:
            return client.send(request)


def sha256(secret: str, message: bytes) -> bytes:
    return hmac.digest(secret.encode(), message, "sha256")


def sha1_base64(secret: str, message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha1")).decode()


JSON = {"Content-Type": "application/json"}


def slack(body: Mapping[str, Any], secret: str = SECRETS["slack"]) -> dict[str, Any]:
    """api.slack.com, "Verifying requests from Slack"."""
    raw, at = json.dumps(body).encode(), str(int(time.time()))
    signature = "v0=" + sha256(secret, f"v0:{at}:".encode() + raw).hex()
    return {"body": raw, "headers": JSON | {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature}}


def zoom(body: Mapping[str, Any], secret: str = SECRETS["zoom"]) -> dict[str, Any]:
    """developers.zoom.us, "Using webhooks"."""
    raw, at = json.dumps(body).encode(), str(int(time.time()))
    signature = "v0=" + sha256(secret, f"v0:{at}:".encode() + raw).hex()
    return {"body": raw, "headers": JSON | {"x-zm-request-timestamp": at, "x-zm-signature": signature}}


def xero(body: Mapping[str, Any], secret: str = SECRETS["xero"]) -> dict[str, Any]:
    """developer.xero.com, "Configuring your server"."""
    raw = json.dumps(body).encode()
    return {"body": raw, "headers": JSON | {"x-xero-signature": base64.b64encode(sha256(secret, raw)).decode()}}


def signed_hex(header: str, secret: str, body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    raw = json.dumps(body).encode()
    return {"body": raw, "headers": JSON | {header: prefix + sha256(secret, raw).hex()}}


def questions() -> list[Question]:
    """Of all vendors whose answer does not depend on what they said before."""
    challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    plain = "qgg8vlvZRS6UYooatFL8Aw"
    token = "Validation: Testing client application reachability for subscription Request-Id: a+b/c%"
    intent = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}
    hub = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": SECRETS["meta-token"]}
    validator = {"User-Agent": "MailChimp.com WebHook Validator"}
    mailchimps = (f"mailchimp/{SECRETS['mailchimp']}", f"mailchimp-key?key={SECRETS['mailchimp']}", "mailchimp-signed")
    hook = "c6e09c4a-4b2b-4a52-8a6c-5b4fe2d0e1f3"
    text = {"content-type": "text/plain"}
    return [
        Question(
            "POST",
            "slack",
            **slack({"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": challenge, "type": "url_verification"}),
            answer={"challenge": challenge},
        ),
        Question(
            "POST",
            "zoom",
            **zoom({"payload": {"plainToken": plain}, "event_ts": 1654503849680, "event": "endpoint.url_validation"}),
            answer={"plainToken": plain, "encryptedToken": sha256(SECRETS["zoom"], plain.encode()).hex()},
        ),
        Question("GET", "meta?" + urlencode(hub), answer=b"1158201444", heard=text | NOSNIFF),
        Question("GET", "dropbox?challenge=abc123", answer=b"abc123", heard=text | NOSNIFF),
        Question(
            "POST",
            "graph?validationToken=" + quote(token, safe=""),
            headers={"Content-Type": "text/plain; charset=utf-8"},
            answer=token.encode(),
            heard=text | NOSNIFF,
        ),
        Question("HEAD", "trello"),
        *(Question(method, at, validator) for method in ("GET", "HEAD") for at in mailchimps),
        Question("HEAD", "mandrill"),
        Question("HEAD", "intercom"),
        Question("POST", "xero", **xero(intent)),
        Question(
            "GET",
            "okta",
            headers={
                "User-Agent": "Okta-Integrations",
                "Accept": "application/json",
                "X-Okta-Request-Id": "XOZfPkReFFZ10KWyGkzAMwAAADA",
                "X-Okta-Verification-Challenge": "Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg",
                "Authorization": SECRETS["okta"],
            },
            answer={"verification": "Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg"},
            heard={"content-type": "application/json"},
        ),
        Question(
            "POST",
            "smartsheet",
            JSON | {"Smartsheet-Hook-Challenge": hook},
            json.dumps({"challenge": hook, "webhookId": 7327123213123}).encode(),
            heard={"Smartsheet-Hook-Response": hook},
        ),
    ]


def refused_questions() -> list[Question]:
    """Asked by somebody who is not the vendor, or by a vendor that makes sure of us."""
    hub = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "guessed"}
    asked = {"type": "url_verification", "challenge": "x"}
    validation = {"event": "endpoint.url_validation", "payload": {"plainToken": "sign this for me"}}
    intent = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}
    return [
        Question("POST", "slack", **slack(asked, "another"), status=401, answer=None),
        Question("POST", "zoom", **zoom(validation, "another"), status=401, answer=None),
        Question("GET", "meta?" + urlencode(hub), status=403, answer=None),
        Question("POST", "xero", **xero(intent, "another"), status=401, answer=None),
        Question("GET", "mailchimp/guessed", status=401, answer=None),
        Question("HEAD", "mailchimp-key?key=guessed", status=401, answer=None),
        Question("GET", "okta", headers={"X-Okta-Verification-Challenge": "x"}, status=401, answer=None),
        Question("POST", "asana/guessed", headers={"X-Hook-Secret": "mine"}, status=401, answer=None),
        Question("POST", "notion/guessed", JSON, b'{"verification_token": "mine"}', status=401, answer=None),
    ]


def test_every_preset_that_is_asked_something_is_tried_here() -> None:
    asked = {name for name, preset in PRESETS.items() if preset.greeting or preset.handshake or preset.kept}
    assert asked == {source["preset"] for source in SOURCES.values()}


def strangers() -> list[Question]:
    """Events that nobody signed; the words of a question beside them open no door."""
    event = b'{"made": "up"}'
    asking = ("meta?hub.mode=subscribe&hub.challenge=1", "dropbox?challenge=1", "okta?verification=1")
    places = [*(name for name in SOURCES if name not in ("meta", "dropbox", "okta")), *asking]
    return [Question("POST", place, JSON, event, status=401, answer=None) for place in places]


def check(relay: Relay, question: Question) -> None:
    heard = question.ask(relay)
    about = f"{question.method} {question.at}: {heard.status_code} {heard.text}"
    assert heard.status_code == question.status, about
    if isinstance(question.answer, dict):
        assert heard.json() == question.answer, about
    elif question.answer is not None:
        assert heard.content == question.answer, about
    for name, value in question.heard.items():
        assert heard.headers.get(name, "").partition(";")[0] == value, f"{about} {heard.headers}"
    assert "set-cookie" not in heard.headers


#: Many commands in one process: the imports take most of the time of each.
MANY = """
import json, sys
from relay.cli import main

for words in json.load(sys.stdin):
    sys.argv = ["relay", *words]
    try:
        ended = main()
    except SystemExit as error:
        ended = error.code
    assert not ended, words
"""


def shown(relay: Relay) -> str:
    """All that operators are shown unasked, and the log."""
    handshakes = relay.rows("events", "list", "--status", "handshake", "--limit", "100")
    words = [["events", "list"], ["sources", "list"], ["sources", "rejected"]]
    words += [["events", "show", row["id"]] for row in handshakes]
    words += [["sources", "show", row["name"]] for row in relay.rows("sources", "list")]
    words += [[*command, "--json"] for command in words]
    texts = subprocess.run(
        [sys.executable, "-c", MANY],
        input=json.dumps(words),
        env=relay.environment | {"COLUMNS": "400"},
        cwd=relay.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert texts.returncode == 0, texts.stderr
    pages = [httpx.get(f"{relay.url}/{page}").text for page in ("readyz", "metrics")]
    return "\n".join([texts.stdout, texts.stderr, *pages, *map(str, relay.lines)])


def handshakes_of(relay: Relay) -> list[tuple[str, str]]:
    rows = relay.rows("events", "list", "--status", "handshake", "--limit", "100")
    return sorted((row["source"], row["method"]) for row in rows)


def up(folder: Path, *names: str) -> Any:
    """A relay with these sources, all of them where none is named."""
    sources = {name: SOURCES[name] for name in names or SOURCES}
    write_workspace(
        folder,
        {"sources": sources, "connections": {"files": {"connector": "file"}}},
        {name: RECIPE.format(name=name) for name in sources},
    )
    return relay_up(folder, env={"RELAY_PUBLIC_URL": PUBLIC_URL})


@pytest.mark.timeout(120)
def test_each_vendor_is_answered_as_it_wants_and_no_question_becomes_an_event(tmp_path: Path) -> None:
    asked = questions()
    with up(tmp_path) as relay:
        for question in [*asked, *refused_questions(), *strangers()]:
            check(relay, question)

        expected = sorted((question.source, question.method) for question in asked)
        eventually(lambda: handshakes_of(relay) == expected)
        logged = sorted((line["source"], line["method"]) for line in relay.log("source.handshake"))
        assert logged == expected
        assert events_of(relay) == []
        metrics = httpx.get(f"{relay.url}/metrics").text
        assert 'what="caught"' not in metrics
        # There is nothing in them for a recipe, whatever is replayed.
        relay.cli("events", "replay", "--all", "--yes")
        time.sleep(1)
        assert handshakes_of(relay) == expected
        assert relay.rows("deliveries", "list") == []
        text = shown(relay)
        assert [name for name, secret in SECRETS.items() if secret in text] == []
        assert "1654503849680" in text, "a handshake can be looked at"
        assert relay.stop() == 0


def test_xeros_refusal_has_no_body(tmp_path: Path) -> None:
    """developer.xero.com, of events and of the intent to receive alike: "There is no body in the response"."""
    intent = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "S0m3r4Nd0mt3xt"}
    with up(tmp_path, "xero") as relay:
        check(relay, Question("POST", "xero", **xero(intent)))
        check(relay, Question("POST", "xero", **xero(intent, "another"), status=401))


def events_of(relay: Relay) -> list[str]:
    """The sources of all that was caught: what is listed as a handshake was not."""
    return sorted(row["source"] for row in relay.rows("events", "list") if row["status"] != "handshake")


@pytest.mark.timeout(120)
def test_asanas_secret_is_kept_over_a_restart_and_signs_its_events(tmp_path: Path) -> None:
    at = f"asana/{SECRETS['asana']}"
    first, second = made_up("first-hook"), made_up("second-hook")
    event = {"events": [{"action": "changed", "resource": {"gid": "1337", "resource_type": "task"}}]}

    def sent(secret: str, status: int = 200) -> Question:
        answer = b"" if status == 200 else None
        return Question("POST", at, **signed_hex("X-Hook-Signature", secret, event), status=status, answer=answer)

    def greets(secret: str) -> Question:
        return Question("POST", at, headers={"X-Hook-Secret": secret}, heard={"X-Hook-Secret": secret})

    with up(tmp_path, "asana") as relay:
        check(relay, sent(first, status=401))
        check(relay, greets(first))
        check(relay, sent(second, status=401))
        assert events_of(relay) == []
        assert relay.stop() == 0
    with up(tmp_path, "asana") as relay:
        # Kept before it was answered, so that it outlives a relay that ends just then.
        check(relay, sent(first))
        check(relay, sent(second, status=401))
        # Of two webhooks each has its own secret.
        check(relay, greets(second))
        check(relay, sent(second))
        check(relay, sent(first))
        bare = {name: value for name, value in sent(first).headers.items() if name != "X-Hook-Signature"}
        check(relay, Question("POST", at, bare, sent(first).body, status=401, answer=None))
        # The secret alone, without the token of the address, opens nothing.
        check(relay, Question("POST", "asana/guessed", sent(first).headers, sent(first).body, 401, None))
        # Each eight hours: a webhook whose heartbeats aren't answered is deleted.
        check(relay, Question("POST", at, **signed_hex("X-Hook-Signature", first, {"events": []})))

        eventually(lambda: handshakes_of(relay) == [("asana", "POST")] * 3)
        assert events_of(relay) == ["asana"] * 3
        text = shown(relay)
        assert [secret for secret in (first, second, *SECRETS.values()) if secret in text] == []

        # A webhook that was taken away at Asana.
        kept = {
            row["secret"]: row["name"]
            for row in relay.rows("sources", "secrets", "asana", "--reveal")
            if "secret" in row
        }
        assert kept.keys() == {first, second}
        relay.cli("sources", "secrets", "asana", "--forget", kept[first], "--yes")
        check(relay, sent(first, status=401))
        check(relay, sent(second))
        assert relay.stop() == 0


@pytest.mark.timeout(120)
def test_notions_token_is_kept_shown_to_the_operator_who_asks_and_signs_its_events(tmp_path: Path) -> None:
    at = f"notion/{SECRETS['notion']}"
    token = made_up("secret_notion")
    event = {"id": "367cba44-b6f3-4c92-81e7-6a2e9659efd4", "type": "page.created", "entity": {"type": "page"}}

    def sent(secret: str, status: int = 202) -> Question:
        signed = signed_hex("X-Notion-Signature", secret, event, "sha256=")
        return Question("POST", at, **signed, status=status, answer=None)

    with up(tmp_path, "notion") as relay:
        check(relay, sent(token, status=401))
        body = json.dumps({"verification_token": token}).encode()
        check(relay, Question("POST", at, JSON, body, answer=None))
        # The operator pastes it into Notion's settings.
        assert token in relay.cli("sources", "secrets", "notion", "--reveal")
        assert token not in relay.cli("sources", "secrets", "notion")
        check(relay, sent(token))
        check(relay, sent(made_up("another"), status=401))
        eventually(lambda: handshakes_of(relay) == [("notion", "POST")])
        assert events_of(relay) == ["notion"]
        text = shown(relay)
        assert [secret for secret in (token, *SECRETS.values()) if secret in text] == []
        assert relay.stop() == 0
