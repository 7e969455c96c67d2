"""Every payload that octokit has collected from GitHub, as JSON and as a form: none lost, none altered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import zstandard

from relay import embedded
from relay.recipes import load_workspace
from relay.sources.decode import decode_event
from relay.store import Store, StoredEvent
from relay.testing import Recorded, RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

SAMPLES = Path(__file__).parent.parent / "samples" / "github"
SECRET = "It's a Secret to Everybody"
CONNECTIONS = 4
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

RECIPE = """
recipe: Everything GitHub says
catch: github
steps:
  whole:
    to: sink
    with:
      path: "/{{ $event.type }}"
      headers: {X-Of: '$headers["x-github-delivery"]'}
      json: $
"""


@dataclass(frozen=True)
class Sent:
    """One request, and the payload it carries as a text of JSON."""

    guid: str
    event: str
    content_type: str
    body: bytes
    payload: str

    @property
    def headers(self) -> dict[str, str]:
        """As docs.github.com describes them; the signature is over the raw body, whatever its type."""
        digest = hmac.new(SECRET.encode(), self.body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": self.content_type,
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.guid,
            "X-Hub-Signature-256": f"sha256={digest}",
            "User-Agent": "GitHub-Hookshot/044aadd",
        }


def examples() -> str:
    """The package's own file."""
    packed = (SAMPLES / "webhooks-examples.json.zst").read_bytes()
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed).decode()


def requests_of(text: str) -> list[Sent]:
    requests = []
    for event in json.loads(text):
        for payload in event["examples"]:
            compact = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
            form = urlencode({"payload": compact}).encode()
            for content_type, body in ((JSON_TYPE, compact.encode()), (FORM_TYPE, form)):
                requests.append(Sent(f"guid-{len(requests):04}", event["name"], content_type, body, compact))
    return requests


def exact(text: str | bytes) -> Any:
    """JSON that is equal only where everything is: 1 is neither 1.0 nor true, each digit and the keys' order count."""
    return json.loads(
        text,
        parse_int=lambda digits: ("integer", int(digits)),
        parse_float=lambda digits: ("fraction", Decimal(digits)),
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


async def post_all(relay: Relay, requests: Iterable[Sent]) -> dict[str, httpx.Response]:
    """Over a few connections at once; the answers by the requests' guids."""
    waiting, answers = iter(requests), {}

    async def connection(client: httpx.AsyncClient) -> None:
        for sent in waiting:
            url = f"{relay.url}/in/github"
            answers[sent.guid] = await client.post(url, content=sent.body, headers=sent.headers)

    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        await asyncio.gather(*(connection(client) for _ in range(CONNECTIONS)))
    return answers


async def stored_events(relay: Relay, ids: list[str]) -> list[StoredEvent | None]:
    store = Store(embedded.url(relay.folder / "data"))
    try:
        return await store.events(ids)
    finally:
        await store.aclose()


def test_the_examples_are_octokits_unchanged() -> None:
    text = examples()
    assert hashlib.sha256(text.encode()).hexdigest() in (SAMPLES / "README.md").read_text()
    events = json.loads(text)
    assert sum(len(event["examples"]) for event in events) == 329
    # What is sent are these payloads, to the last digit.
    originals = [
        payload for _, pairs in exact(text) for name, values in pairs if name == "examples" for payload in values
    ]
    requests = requests_of(text)
    assert [exact(sent.payload) for sent in requests[::2]] == originals
    assert Counter(sent.content_type for sent in requests) == {JSON_TYPE: 329, FORM_TYPE: 329}


@pytest.mark.timeout(180)
def test_all_of_githubs_payloads_in_both_encodings_are_kept_and_delivered_unaltered(tmp_path: Path) -> None:
    requests = requests_of(examples())
    assert len(requests) == 658
    with RecordingServer() as sink:
        write_workspace(
            tmp_path,
            {
                "sources": {"github": {"preset": "github", "secret": "${GITHUB_SECRET}"}},
                "connections": {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}},
            },
            {"everything": RECIPE},
        )
        with relay_up(tmp_path, env={"GITHUB_SECRET": SECRET}) as relay:
            answers = asyncio.run(post_all(relay, requests))
            assert Counter(answer.status_code for answer in answers.values()) == {202: 658}
            ids = {guid: answer.json()["id"] for guid, answer in answers.items()}
            assert len(set(ids.values())) == 658

            repeats = asyncio.run(post_all(relay, requests[::10]))
            assert len(repeats) == 66
            for guid, answer in repeats.items():
                assert (answer.status_code, answer.json()) == (200, {"id": ids[guid], "status": "duplicate"})

            eventually(lambda: len(sink.requests) >= 658, 60)
            delivered = eventually(lambda: all_delivered(relay, 658), 30)
            assert Counter(row["event"] for row in delivered) == Counter(ids.values())

            stored = asyncio.run(stored_events(relay, [ids[sent.guid] for sent in requests]))
            shown = {sent.guid: relay.cli("events", "show", ids[sent.guid], "--body") for sent in requests[:2]}
            assert relay.rows("dead", "list") == []
            assert relay.stop() == 0

    check_kept(requests, stored, tmp_path)
    assert shown == {sent.guid: sent.body.decode() for sent in requests[:2]}
    check_arrived(requests, sink.requests)
    assert SECRET not in str(relay.lines)


def all_delivered(relay: Relay, number: int) -> list[dict[str, Any]]:
    """Every delivery there is, once so many have ended, and well."""
    rows = relay.rows("deliveries", "list", "--limit", str(number * 2))
    assert {row["status"] for row in rows} <= {"waiting", "delivered"}, rows
    return rows if [row["status"] for row in rows] == ["delivered"] * number else []


def check_kept(requests: list[Sent], stored: list[StoredEvent | None], folder: Path) -> None:
    config = load_workspace(folder / "recipes", {"GITHUB_SECRET": SECRET}).sources["github"].config
    assert len(stored) == len(requests)
    for sent, kept in zip(requests, stored, strict=True):
        assert kept is not None
        assert kept.event.body == sent.body
        assert (kept.event.type, kept.event.key, kept.status) == (sent.event, sent.guid, "routed")
        data = decode_event(kept.event, config)
        assert exact(json.dumps(data)) == exact(sent.payload)


def check_arrived(requests: list[Sent], recorded: list[Recorded]) -> None:
    arrived = {request.headers["x-of"]: request for request in recorded}
    assert len(recorded) == len(arrived) == len(requests)
    assert len({request.headers["idempotency-key"] for request in recorded}) == len(requests)
    for sent in requests:
        request = arrived[sent.guid]
        assert request.path == f"/{sent.event}"
        assert exact(request.body) == exact(sent.payload)
