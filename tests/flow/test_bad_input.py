"""Bad input never loses data, and tells a stranger nothing."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from relay.testing import RecordingServer
from tests.flow.test_kills import workspace
from tests.harness import eventually, relay_up, write_workspace

KEY = {"X-Key": "k", "Content-Type": "application/json"}


def raw(url: str, request: bytes) -> bytes:
    """What comes back to bytes sent as they are."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 10) as connection:
        connection.sendall(request)
        connection.settimeout(10)
        return connection.recv(4096)


def test_strangers_learn_nothing_and_large_bodies_are_refused_whether_declared_or_chunked(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        text = (tmp_path / "recipes" / "relay.yaml").read_text()
        (tmp_path / "recipes" / "relay.yaml").write_text(
            text.replace("event_id: $.id", "event_id: $.id\n    max_body: 1KB\n    methods: [POST, PUT]")
        )
        with relay_up(tmp_path) as relay:
            unknown = httpx.post(f"{relay.url}/in/nobody", json={}, headers=KEY)
            assert (unknown.status_code, unknown.json()) == (404, {"error": "not found"})
            bad = httpx.post(f"{relay.url}/in/chat", json={"id": "x"}, headers={"X-Key": "wrong"})
            assert (bad.status_code, bad.json()) == (401, {"error": "unauthorized"})
            none = httpx.post(f"{relay.url}/in/chat", json={"id": "x"})
            assert none.status_code == 401
            # Verified before it is deduplicated: a stranger's repeat of a known id is not "duplicate".
            assert httpx.post(f"{relay.url}/in/chat", json={"id": "x"}, headers=KEY).status_code == 202
            assert httpx.post(f"{relay.url}/in/chat", json={"id": "x"}).status_code == 401
            method = httpx.delete(f"{relay.url}/in/chat", headers=KEY)
            assert (method.status_code, method.headers["allow"]) == (405, "POST, PUT")

            declared = httpx.post(f"{relay.url}/in/chat", content=b"x" * 2000, headers=KEY)
            assert declared.status_code == 413
            head = b"POST /in/chat HTTP/1.1\r\nHost: x\r\nX-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n"
            assert b" 413 " in raw(relay.url, head + b"320\r\n" + b"x" * 800 + b"\r\n320\r\n" + b"x" * 800 + b"\r\n")
            assert [row["status"] for row in relay.rows("events", "list")] == ["routed"]
            reasons = {line["status"]: line["reason"] for line in relay.log("event.refused")}
            assert reasons.keys() == {401, 404, 405, 413}
            assert not any("wrong" in str(line) for line in relay.lines), "never the secret that was tried"


def test_a_body_that_cannot_be_decoded_is_kept_edited_and_delivered(tmp_path: Path) -> None:
    broken = b'{"id": "c1", "text": "she said "hello""}'
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            answer = httpx.post(f"{relay.url}/in/chat", content=broken, headers=KEY)
            assert answer.status_code == 202
            letter = eventually(lambda: relay.rows("dead", "list"))[0]
            assert letter["cause"] == "undecodable body"
            assert "line 1" in letter["summary"]
            event = answer.json()["id"]
            assert relay.cli("events", "show", event, "--body") == broken.decode()
            assert relay.rows("events", "show", event)[0]["headers"]["x-key"] == "***"

            mended = '{"id": "c1", "text": "she said hello"}'
            relay.cli("dead", "edit", letter["id"], "--file", "-", "--replay", text=mended)
            eventually(lambda: sink.requests)
            assert sink.requests[0].json() == {"id": "c1"}
            eventually(lambda: not relay.rows("dead", "list"))
            assert relay.cli("events", "show", event, "--body") == broken.decode()


def test_a_packed_body_is_kept_as_it_came_and_edited_and_sampled_as_what_is_in_it(tmp_path: Path) -> None:
    headers = KEY | {"Content-Encoding": "gzip"}
    broken = gzip.compress(b'{"id": "c1", "text": "she said "hello""}')
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            good = httpx.post(f"{relay.url}/in/chat", content=gzip.compress(b'{"id": "c0"}'), headers=headers)
            # Its event_id is in what is packed.
            again = httpx.post(f"{relay.url}/in/chat", content=gzip.compress(b'{"id": "c0"}', 1), headers=headers)
            assert again.json() == {"id": good.json()["id"], "status": "duplicate"}
            eventually(lambda: [request.json() for request in sink.requests] == [{"id": "c0"}])
            relay.cli("capture", "chat", "--event", good.json()["id"], "--as", "packed.json", "--yes")
            assert json.loads((tmp_path / "recipes" / "samples" / "packed.json").read_text()) == {"id": "c0"}

            assert httpx.post(f"{relay.url}/in/chat", content=broken, headers=headers).status_code == 202
            letter = eventually(lambda: relay.rows("dead", "list"))[0]
            assert "line 1" in letter["summary"]
            editor = {"EDITOR": """sed -i.bak 's/"hello"/hello/'"""}
            done = subprocess.run(
                [sys.executable, "-m", "relay", "dead", "edit", letter["id"], "--replay"],
                env=relay.environment | editor,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            eventually(lambda: [request.json() for request in sink.requests] == [{"id": "c0"}, {"id": "c1"}])


def test_a_pick_that_cannot_be_made_is_a_dead_letter_that_names_the_keys_there_are(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            httpx.post(f"{relay.url}/in/chat", json={"identity": 7, "text": "hi"}, headers=KEY)
            letter = eventually(lambda: relay.rows("dead", "list"))[0]
            assert "forward.yaml:" in letter["summary"]
            assert "identity" in letter["summary"]
            assert sink.requests == []
            relay.cli("dead", "edit", letter["id"], "--file", "-", "--replay", text='{"id": 7}')
            eventually(lambda: sink.requests)
            assert sink.requests[0].json() == {"id": 7}


def test_a_broken_recipe_disables_itself_alone_and_its_events_wait_until_it_is_mended(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        good = (tmp_path / "recipes" / "forward.yaml").read_text()
        (tmp_path / "recipes" / "second.yaml").write_text(good.replace("pick:", "pikc:"))
        with relay_up(tmp_path) as relay:
            report = httpx.get(f"{relay.url}/readyz").json()
            assert report["recipes"][0]["name"] == "second"
            assert "pikc" in relay.log("recipe.broken")[0]["why"]
            for number in range(3):
                httpx.post(f"{relay.url}/in/chat", json={"id": f"b{number}"}, headers=KEY)
            eventually(lambda: len(sink.requests) == 3)
            waiting = relay.rows("deliveries", "list", "--recipe", "second")
            assert [row["status"] for row in waiting] == ["waiting"] * 3
            assert "pikc" in relay.cli("check", code=1)
        (tmp_path / "recipes" / "second.yaml").write_text(good)
        with relay_up(tmp_path) as relay:
            eventually(lambda: len(sink.requests) == 6)
            eventually(lambda: not relay.rows("deliveries", "list", "--status", "waiting"))


def test_an_unset_secret_makes_its_source_refuse_and_its_connection_hold_and_the_rest_works(tmp_path: Path) -> None:
    with RecordingServer() as sink:
        write_workspace(
            tmp_path,
            {
                "sources": {
                    "chat": {"verify": {"header": "X-Key", "equals": "k"}},
                    "other": {"verify": {"header": "X-Key", "equals": "${OTHER_KEY}"}},
                },
                "connections": {
                    "sink": {"connector": "http", "base_url": sink.url, "allow_private": True},
                    "crm": {
                        "connector": "http",
                        "base_url": sink.url,
                        "allow_private": True,
                        "auth": {"bearer": "${CRM_TOKEN}"},
                    },
                },
            },
            {
                "both": {
                    "recipe": "To both",
                    "catch": "chat",
                    "steps": {
                        "a": {"to": "sink", "with": {"path": "/a", "json": {"id": "$.id"}}},
                        "b": {"to": "crm", "with": {"path": "/b", "json": {"id": "$.id"}}},
                    },
                }
            },
        )
        with relay_up(tmp_path) as relay:
            refused = httpx.post(f"{relay.url}/in/other", json={}, headers=KEY)
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert "OTHER_KEY" not in refused.text
            assert httpx.post(f"{relay.url}/in/chat", json={"id": 1}, headers=KEY).status_code == 202
            eventually(lambda: [request.path for request in sink.requests] == ["/a"])
            report = httpx.get(f"{relay.url}/readyz").json()
            assert "OTHER_KEY" in report["sources"][0]["reason"]
            assert "CRM_TOKEN" in report["lanes"][0]["reason"]
            lane = relay.rows("lanes", "list", "--status", "incomplete")[0]
            assert (lane["name"], lane["waiting"]) == ("crm", 1)
        with relay_up(tmp_path, env={"CRM_TOKEN": "s3cret"}) as relay:
            eventually(lambda: [request.path for request in sink.requests] == ["/a", "/b"])
            assert sink.requests[1].headers["authorization"] == "Bearer s3cret"
            shown = relay.cli("deliveries", "list", "--json") + str(relay.lines)
            delivery = relay.rows("deliveries", "list", "--connection", "crm")[0]
            shown += relay.cli("deliveries", "show", delivery["id"])
            assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"id=f1&data[merges][EMAIL]=a%40b.c&tag=x&tag=y"),
        ("application/xml", b"<chat><id>f1</id></chat>"),
        ("text/plain", b"f1"),
        ("multipart/form-data; boundary=B", b'--B\r\nContent-Disposition: form-data; name="id"\r\n\r\nf1\r\n--B--\r\n'),
    ],
)
def test_every_encoding_goes_through(tmp_path: Path, content_type: str, body: bytes) -> None:
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        recipe = tmp_path / "recipes" / "forward.yaml"
        path = {"application/xml": "$.chat.id", "text/plain": "$"}.get(content_type, "$.id")
        recipe.write_text(recipe.read_text().replace("id: $.id", f"id: {path}", 1))
        with relay_up(tmp_path) as relay:
            headers = {"X-Key": "k", "Content-Type": content_type}
            assert httpx.post(f"{relay.url}/in/chat", content=body, headers=headers).status_code == 202
            eventually(lambda: sink.requests)
            assert sink.requests[0].json() == {"id": "f1"}


def test_numbers_beyond_64_bits_and_text_that_is_no_unicode_go_through_exactly(tmp_path: Path) -> None:
    big = 123456789012345678901234567890
    with RecordingServer() as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            httpx.post(f"{relay.url}/in/chat", content=b'{"id": %d}' % big, headers=KEY)
            httpx.post(f"{relay.url}/in/chat", content=b'{"id": "\\ud800 alone"}', headers=KEY)
            eventually(lambda: len(relay.rows("deliveries", "list", "--status", "delivered")) == 2)
            bodies = {request.body for request in sink.requests}
            assert bodies == {b'{"id":%d}' % big, b'{"id":"\xef\xbf\xbd alone"}'}
            assert len(sink.requests) == 2, "recorded at the first attempt"
