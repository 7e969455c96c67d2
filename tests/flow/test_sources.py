"""What a source can say, through a real relay's port: split, two secrets, limits, proxies, and what was refused."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from relay.testing import RecordingServer
from tests.harness import Relay, eventually, relay_up, write_workspace

NEW, OLD = "the-new-secret-93f1", "the-old-secret-4c1d"

SOURCES: dict[str, Any] = {
    "batch": {
        "verify": {"header": "X-Key", "equals": "k"},
        "split": "$.events[*]",
        "event_id": "$.id",
        "event_type": "$.kind",
    },
    "plain": {"verify": {"header": "X-Key", "equals": "k"}, "event_time": "$.at?"},
    "turning": {"verify": {"header": "X-Key", "equals": [NEW, OLD]}},
    # The id of a whole request, and not of its items.
    "whole-id": {"verify": {"header": "X-Key", "equals": "k"}, "split": "$[*]", "event_id": '$headers["x-request"]'},
    "in-body": {"verify": {"field": "key", "equals": "k"}, "max_body": "10MB"},
    "slow": {"verify": {"header": "X-Key", "equals": "k"}, "limit": {"rate": "3/min"}},
    "crowd": {"verify": {"header": "X-Key", "equals": "k"}, "limit": {"per_address": "2/min"}},
    "office": {"verify": {"header": "X-Key", "equals": "k", "ip_allow": ["203.0.113.0/24"]}},
    "signed": {"verify": {"hmac": {"header": "X-Sig", "secret": "s", "signed": "{url}{body}"}}},
}  # fmt: skip


def forwarding(source: str) -> dict[str, Any]:
    fields = {"data": "$", "type": "$event.type", "sent": "$event.sent_at", "kind": '$headers["content-type"]'}
    return {
        "recipe": source,
        "catch": source,
        "steps": {"post": {"to": "sink", "with": {"path": f"/{source}", "json": fields}}},
    }


@pytest.fixture(scope="module")
def sink() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        yield server


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, sink: RecordingServer) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("sources")
    connections = {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}}
    write_workspace(
        folder, {"sources": SOURCES, "connections": connections}, {name: forwarding(name) for name in SOURCES}
    )
    with relay_up(folder, env={"RELAY_TRUSTED_PROXIES": "127.0.0.1"}) as running:
        yield running
        assert running.stop() == 0


def post(relay: Relay, source: str, body: Any = None, key: str = "k", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
    sent = {"Content-Type": "application/json", "X-Key": key} | {n.replace("_", "-"): v for n, v in headers.items()}
    return httpx.post(f"{relay.url}/in/{source}", content=content, headers=sent)


def arrived(sink: RecordingServer, source: str) -> list[Any]:
    return [request.json() for request in sink.requests if request.path == f"/{source}"]


def arrived_ids(sink: RecordingServer) -> list[str]:
    """Of the parts; what could not be split is delivered as it is."""
    return [one["data"]["id"] for one in arrived(sink, "batch") if (one.get("data") or {}).get("id") not in (None, "x")]


def part(number: int | str, **more: Any) -> dict[str, Any]:
    return {"id": number, "kind": "k.changed", **more}


def test_each_item_of_a_body_is_an_event_with_its_own_id_and_a_repeat_is_none(
    relay: Relay, sink: RecordingServer
) -> None:
    items = [part("a", big=2**70, money=0.1), part("b", text="Zoë 🎓"), part("c", deep={"x": [None, True, 1.0]})]
    first = post(relay, "batch", {"portal": 1, "events": items})
    assert first.status_code == 202
    told = first.json()
    assert (told["status"], told["id"], len(told["ids"]), told["duplicates"]) == ("accepted", told["ids"][0], 3, 0)
    again = post(relay, "batch", {"events": items})
    assert (again.status_code, again.json()["status"], again.json()["ids"]) == (200, "duplicate", told["ids"])
    overlap = post(relay, "batch", {"events": [items[2], part("d")]})
    assert (overlap.status_code, overlap.json()["duplicates"], overlap.json()["ids"][0]) == (202, 1, told["ids"][2])
    eventually(lambda: len(arrived(sink, "batch")) == 4)
    got = {one["data"]["id"]: one for one in arrived(sink, "batch")}
    assert [got[item["id"]]["data"] for item in items] == items
    assert {one["type"] for one in got.values()} == {"k.changed"}
    assert json.loads(relay.cli("events", "show", told["ids"][0], "--body")) == items[0]
    (row,) = [row for row in relay.rows("events", "list", "--source", "batch") if row["id"] == told["ids"][1]]
    assert (row["type"], row["content_type"]) == ("k.changed", "application/json")


def test_the_id_of_a_request_is_not_the_id_of_each_of_its_items(relay: Relay) -> None:
    first = post(relay, "whole-id", [1, 2, 3], X_Request="r1").json()
    assert (len(set(first["ids"])), first["duplicates"]) == (3, 0)
    again = post(relay, "whole-id", [1, 2, 3], X_Request="r1")
    assert (again.status_code, again.json()["ids"]) == (200, first["ids"])
    assert post(relay, "whole-id", [1, 2, 3], X_Request="r2").json()["duplicates"] == 0


def test_long_ids_that_differ_at_their_end_are_not_the_same(relay: Relay) -> None:
    ids = ["u" * 600 + "1", "u" * 600 + "2", "u" * 600 + "1"]
    told = post(relay, "batch", {"events": [part(id_) for id_ in ids]}).json()
    assert (len(set(told["ids"])), told["duplicates"]) == (2, 1)


def test_strangers_long_bodies_at_one_source_hold_up_no_other(relay: Relay) -> None:
    """Each takes a second to look through; what others send has to get by."""
    strange = gzip.compress(b'{"a":[' + b"{}," * 300_000 + b"{}]}")

    async def flood() -> tuple[Counter[int], list[int], float]:
        async with aiohttp.ClientSession() as session:

            async def stranger() -> int:
                headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
                async with session.post(f"{relay.url}/in/in-body", data=strange, headers=headers) as answer:
                    return answer.status

            async def known() -> int:
                headers = {"X-Key": "k", "Content-Type": "application/json", "Content-Encoding": "gzip"}
                async with session.post(f"{relay.url}/in/plain", data=gzip.compress(b"{}"), headers=headers) as answer:
                    return answer.status

            strangers = [asyncio.create_task(stranger()) for _ in range(30)]
            await asyncio.sleep(0.05)
            started = time.monotonic()
            others = [await known() for _ in range(5)]
            took = time.monotonic() - started
            return Counter(await asyncio.gather(*strangers)), others, took

    strangers, others, took = asyncio.run(flood())
    assert others == [202] * 5
    assert set(strangers) <= {401, 503}
    # Not a measure of speed: with one queue for all it took more than ten times as long.
    assert took < 10


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(json.dumps({"events": [part("gz1"), part("gz2")]}).encode()), {"Content_Encoding": "gzip"}),
        (
            json.dumps({"events": [part("cs1"), part("cs2")]}).encode("utf-16"),
            {"Content_Type": "application/json; charset=utf-16"},
        ),
    ],
    ids=["gzip", "utf-16"],
)  # fmt: skip
def test_a_packed_body_is_split_as_well(
    relay: Relay, sink: RecordingServer, body: bytes, headers: dict[str, str]
) -> None:
    ids = post(relay, "batch", body, **headers).json()["ids"]
    assert len(ids) == 2
    rows = {row["id"]: row for row in relay.rows("events", "list", "--source", "batch")}
    assert {rows[id_]["content_type"] for id_ in ids} == {"application/json"}
    eventually(lambda: {row["status"] for row in relay.rows("deliveries", "list", "--event", ids[1])} == {"delivered"})


def test_what_cannot_be_split_stays_one_event_and_is_not_lost(relay: Relay) -> None:
    for body in (
        b'{"events": [1, ',
        b'{"events": {"id": "x"}}',
        b'{"events": []}',
        b"[]",
        b"null",
        b'{"events": [' + b"1," * 20_000 + b"1]}",
    ):
        answer = post(relay, "batch", body)
        assert (answer.status_code, set(answer.json())) == (202, {"id", "status"})
        assert relay.cli("events", "show", answer.json()["id"], "--body").rstrip("\n") == body.decode()


def test_more_parts_than_one_act_writes_are_all_there_when_the_answer_comes(
    relay: Relay, sink: RecordingServer
) -> None:
    answer = post(relay, "batch", {"events": [part(f"many{n}") for n in range(1_203)]})
    assert (answer.status_code, len(set(answer.json()["ids"]))) == (202, 1_203)
    # Before any of them is delivered, perhaps: on disk is what the answer promises.
    assert len(relay.rows("events", "list", "--source", "batch", "--limit", "5000")) >= 1_203
    eventually(lambda: sum(1 for id_ in arrived_ids(sink) if id_.startswith("many")) == 1_203, 40)


def test_which_of_two_secrets_matched_is_counted_and_neither_is_shown(relay: Relay) -> None:
    for key in (NEW, OLD, NEW, "neither"):
        assert post(relay, "turning", key=key).status_code == (401 if key == "neither" else 202)
    rows = relay.rows("sources", "secrets", "turning")
    assert [(row["times"], row["status"]) for row in rows] == [(2, "1 of 2 in relay.yaml"), (1, "2 of 2 in relay.yaml")]
    assert all(row["last_used_at"] for row in rows)
    text = relay.cli("sources", "secrets", "turning")
    assert NEW not in text
    assert OLD not in text


def test_more_than_the_limit_are_told_when_to_come_again(relay: Relay) -> None:
    # Strangers use up nobody's share.
    for _ in range(5):
        assert post(relay, "slow", key="wrong").status_code == 401
    answers = [post(relay, "slow") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert post(relay, "plain").status_code == 202, "another source has its own"


def test_each_address_has_its_own_limit_as_a_trusted_proxy_names_it(relay: Relay) -> None:
    def ask(forwarded: str) -> int:
        return post(relay, "crowd", X_Forwarded_For=forwarded).status_code

    assert [ask("198.51.100.1") for _ in range(3)] == [202, 202, 429]
    assert ask("198.51.100.2") == 202
    # What stands before the last stranger's address anybody could have written.
    assert ask("198.51.100.3, 198.51.100.1") == 429
    assert ask("nonsense, 198.51.100.1, 127.0.0.1") == 429
    # Of IPv6, a network is one sender.
    assert [ask(f"2001:db8:1:2::{n}") for n in (1, 2, 3)] == [202, 202, 429]
    assert ask("2001:db8:1:3::1") == 202


def test_an_address_that_is_not_allowed_is_refused_whatever_it_knows(relay: Relay) -> None:
    assert post(relay, "office", X_Forwarded_For="203.0.113.9").status_code == 202
    assert post(relay, "office", X_Forwarded_For="203.0.114.9").status_code == 401
    assert post(relay, "office").status_code == 401
    assert post(relay, "office", key="x", X_Forwarded_For="203.0.113.9").status_code == 401


def test_a_signed_address_is_the_one_that_the_trusted_proxy_was_called_by(relay: Relay) -> None:
    body = b'{"a": 1}'

    def ask(signed: str, **headers: str) -> int:
        digest = hmac.new(b"s", signed.encode() + body, hashlib.sha256).hexdigest()
        return post(relay, "signed", body, X_Sig=digest, **headers).status_code

    public = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "hooks.example.org"}
    assert ask("https://hooks.example.org/in/signed", **public) == 202
    assert ask(f"{relay.url}/in/signed", **public) == 401
    assert ask(f"{relay.url}/in/signed") == 202


def test_the_senders_time_is_there_in_one_spelling(relay: Relay, sink: RecordingServer) -> None:
    moments = [
        1772619667,
        1772619667000,
        "1772619667",
        "2026-03-04T11:21:07+01:00",
        "2026-03-04 10:21:07",
        "soon",
        None,
    ]
    for moment in moments:
        assert post(relay, "plain", {"at": moment, "t": str(moment)}).status_code == 202
    eventually(lambda: len([one for one in arrived(sink, "plain") if one["data"].get("t")]) == len(moments))
    sent = {one["data"]["t"]: one.get("sent") for one in arrived(sink, "plain") if one["data"].get("t")}
    assert [sent[str(moment)] for moment in moments] == ["2026-03-04T10:21:07.000Z"] * 5 + [None, None]


def test_what_was_refused_is_listed_with_its_reason_and_without_secrets(relay: Relay) -> None:
    wrong = "not-the-secret-777"
    assert post(relay, "turning", key=wrong, X_Note=f"{OLD} and more", X_Api_Token="t-123").status_code == 401
    assert httpx.post(f"{relay.url}/in/nobody", content=b"x", headers={"X-Key": wrong}).status_code == 404
    rows = eventually(lambda: relay.rows("sources", "rejected", "nobody"))
    assert (rows[0]["status"], rows[0]["headers"]) == (404, {})
    (row, *_) = relay.rows("sources", "rejected", "turning")
    assert row["reason"] == "the header x-key doesn't equal any of the 2 secrets"
    assert (row["method"], row["headers"]["x-key"], row["headers"]["x-api-token"]) == ("POST", "***", "***")
    assert row["headers"]["x-note"] == "*** and more"
    everything = relay.cli("sources", "rejected", "--json") + relay.cli("sources", "rejected")
    assert not [secret for secret in (wrong, OLD, NEW, "t-123") if secret in everything]
    assert httpx.post(f"{relay.url}/in/%1b%5b31mRED%0a").status_code == 404
    eventually(lambda: "RED" in relay.cli("sources", "rejected"))
    assert "\x1b" not in relay.cli("sources", "rejected")
    assert "\\x1b[31mRED\\n" in relay.cli("sources", "rejected")
    metrics = httpx.get(f"{relay.url}/metrics").text
    assert 'relay_events_total{source="nobody"' not in metrics
    assert 'what="refused"' in metrics


def test_a_flood_of_refused_requests_is_counted_and_not_kept(relay: Relay) -> None:
    async def flood() -> Counter[int]:
        async with aiohttp.ClientSession() as session:

            async def one() -> int:
                async with session.post(f"{relay.url}/in/plain", data=b"{}", headers={"X-Key": "wrong"}) as answer:
                    return answer.status

            return Counter(await asyncio.gather(*(one() for _ in range(600))))

    before = len(relay.rows("sources", "rejected", "plain", "--limit", "5000"))
    assert asyncio.run(flood()) == {401: 600}

    def told() -> int:
        rows = relay.rows("sources", "rejected", "plain", "--limit", "5000")
        assert len(rows) - before <= 100
        return len(rows) - before + sum(row["more"] for row in rows)

    eventually(lambda: told() == 600)


def test_a_store_that_hangs_keeps_no_sender_waiting_for_ever(tmp_path: Path) -> None:
    write_workspace(tmp_path, {"sources": {"zoom": {"preset": "zoom", "verify": {"bearer": "k"}}}}, {})
    with relay_up(tmp_path) as relay:

        def ask() -> httpx.Response:
            return httpx.post(f"{relay.url}/in/zoom", content=b"{}", headers={"Authorization": "Bearer k"}, timeout=20)

        assert ask().status_code == 200
        store = relay.children()["valkey"]
        store.suspend()
        try:
            answer = ask()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        finally:
            store.resume()
        assert eventually(lambda: ask().status_code == 200)
        assert relay.stop() == 0


def test_a_name_that_a_broken_relay_yaml_may_have_is_not_told_that_it_is_gone(tmp_path: Path) -> None:
    """Typeform switches a webhook off at its first 404."""
    right = {"sources": {"a": {"verify": {"bearer": "k"}}}}
    write_workspace(tmp_path, right | {"sourcez": {}}, {})
    with relay_up(tmp_path) as relay:
        answer = httpx.post(f"{relay.url}/in/typeform", content=b"{}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        write_workspace(tmp_path, right, {})
        eventually(lambda: httpx.post(f"{relay.url}/in/typeform", content=b"{}").status_code == 404)
        relay.stop()


@pytest.mark.timeout(120)
def test_parts_of_bodies_arrive_once_whatever_is_killed(tmp_path: Path) -> None:
    """A sender repeats a body until it has its 2xx; the store and the web process are killed meanwhile."""
    bodies = [[part(f"{body}-{n}") for n in range(40)] for body in range(60)]
    with RecordingServer() as sink:
        connections = {"sink": {"connector": "http", "base_url": sink.url, "allow_private": True}}
        write_workspace(
            tmp_path, {"sources": {"batch": SOURCES["batch"]}, "connections": connections}, {"b": forwarding("batch")}
        )
        with relay_up(tmp_path) as relay:

            async def send(session: aiohttp.ClientSession, waiting: list[list[dict[str, Any]]]) -> None:
                while waiting:
                    events = waiting.pop()
                    for _ in range(400):
                        try:
                            url, headers = f"{relay.url}/in/batch", {"X-Key": "k"}
                            async with session.post(url, json={"events": events}, headers=headers) as answer:
                                if answer.status in (200, 202):
                                    assert len((await answer.json())["ids"]) == 40
                                    break
                                assert answer.status == 503, await answer.text()
                        except aiohttp.ClientError:
                            pass
                        await asyncio.sleep(0.05)
                    else:
                        raise AssertionError("never accepted")

            async def kill(waiting: list[list[dict[str, Any]]]) -> None:
                for name, left in (("valkey", 45), ("web", 30), ("valkey", 15)):
                    while len(waiting) > left:
                        await asyncio.sleep(0.002)
                    relay.children()[name].kill()

            async def run() -> None:
                waiting = list(bodies)
                async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
                    await asyncio.gather(*(send(session, waiting) for _ in range(4)), kill(waiting))

            started = time.monotonic()
            asyncio.run(run())
            expected = {item["id"] for body in bodies for item in body}
            eventually(lambda: set(arrived_ids(sink)) == expected, 60)
            assert time.monotonic() - started < 100
            # An id that is in two events would be a part that was accepted twice.
            events = relay.rows("events", "list", "--limit", "5000")
            assert len(events) == len(expected)
            relay.stop()
