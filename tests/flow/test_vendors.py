"""Payloads that nobody here wrote, signed as their sender signs, all the way to real destinations."""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest

from relay.testing import RecordingServer
from tests.harness import eventually, relay_up, write_workspace
from tests.servers import openssh_server

SAMPLES = Path(__file__).parent.parent / "samples" / "github"
SECRET = "It's a Secret to Everybody"


def signed(body: bytes, event: str, delivery: str) -> dict[str, str]:
    """As docs.github.com describes it: HMAC-SHA256 over the raw body, in hex."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={digest}",
        "User-Agent": "GitHub-Hookshot/044aadd",
    }


def recipe(event: str, title: str, url: str) -> dict[str, object]:
    return {
        "recipe": f"GitHub {event}",
        "catch": "github",
        "when": f'$event.type == "{event}"',
        "pick": {"action": "$.action", "title": title, "url": url, "repo": "$.repository.full_name"},
        "steps": {
            "row": {
                "to": "drop",
                "do": "csv",
                "with": {"path": "github.csv", "row": {"Event": "$event.type", "Action": "$action", "Title": "$title"}},
            },
            "post": {
                "to": "crm",
                "with": {"path": "/events", "json": {"text": "{{ $repo }}: {{ $title }}", "url": "$url"}},
            },
            "file": {
                "to": "sits",
                "do": "csv",
                "with": {
                    "path": "incoming/{{ $event.type }}.csv",
                    "row": {"REPO": "$repo", "TITLE": "$title", "URL": "$url"},
                    "format": {"delimiter": ";", "line_end": "crlf"},
                },
            },
        },
    }


@pytest.mark.timeout(120)
def test_three_of_githubs_payloads_reach_csv_http_and_sftp(tmp_path: Path) -> None:
    with openssh_server(tmp_path / "ssh") as sftp, RecordingServer() as sink:
        write_workspace(
            tmp_path,
            {
                "sources": {"github": {"preset": "github", "secret": "${GITHUB_SECRET}"}},
                "connections": {
                    "drop": {"connector": "file", "folder": "outbox"},
                    "crm": {"connector": "http", "base_url": sink.url, "allow_private": True},
                    "sits": {**sftp.config, "create_folders": True},
                },
            },
            {
                "issues": recipe("issues", "$.issue.title", "$.issue.html_url"),
                "pulls": recipe("pull_request", "$.pull_request.title", "$.pull_request.html_url"),
                "releases": recipe("release", "$.release.tag_name", "$.release.html_url"),
            },
        )
        payloads = {path.stem: path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))}
        assert list(payloads) == ["issues", "pull_request", "release"]
        with relay_up(tmp_path, env={"GITHUB_SECRET": SECRET}) as relay:
            for event, body in payloads.items():
                headers = signed(body, event, f"guid-{event}")
                answer = httpx.post(f"{relay.url}/in/github", content=body, headers=headers)
                assert answer.status_code == 202, answer.text
                # GitHub's "redeliver" sends the same delivery id.
                assert httpx.post(f"{relay.url}/in/github", content=body, headers=headers).status_code == 200
                changed = body.replace(b"a", b"b", 1)
                refused = httpx.post(f"{relay.url}/in/github", content=changed, headers=headers)
                assert (refused.status_code, refused.json()) == (401, {"error": "unauthorized"})
            eventually(lambda: len([d for d in relay.rows("deliveries", "list") if d["status"] == "delivered"]) == 9)
            deliveries = relay.rows("deliveries", "list")
            assert [d for d in deliveries if d["status"] not in ("delivered", "skipped")] == []
            assert relay.stop() == 0

        titles = {
            "issues": json.loads(payloads["issues"])["issue"]["title"],
            "pull_request": json.loads(payloads["pull_request"])["pull_request"]["title"],
            "release": json.loads(payloads["release"])["release"]["tag_name"],
        }
        with (tmp_path / "data" / "outbox" / "github.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["Event"]: row["Title"] for row in rows} == titles
        assert len(rows) == 3
        posted = sorted(request.json()["text"] for request in sink.requests)
        assert posted == sorted(f"Codertocat/Hello-World: {title}" for title in titles.values())
        keys = [request.headers["idempotency-key"] for request in sink.requests]
        assert len(set(keys)) == 3
        files = sorted((sftp.root / "incoming").iterdir())
        assert len(files) == 3
        texts = {file.name.rpartition("_")[0]: file.read_bytes().decode() for file in files}
        assert texts == {
            event: f"REPO;TITLE;URL\r\nCodertocat/Hello-World;{title};{url(payloads[event])}\r\n"
            for event, title in titles.items()
        }


def url(body: bytes) -> str:
    payload = json.loads(body)
    return str(next(payload[name]["html_url"] for name in ("issue", "pull_request", "release") if name in payload))
