"""The line that `relay capture` shows can be typed as it is, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.cli.posting import curl
from relay.settings import Settings

HOW = {
    "header": (
        '{header: X-Key, equals: "${CHAT_KEY}"}',
        'curl -H "X-Key: $CHAT_KEY" http://127.0.0.1:8080/in/chat ',
    ),
    "header from a file": (
        '{header: X-Key, equals: "${file:secrets/chat key}"}',
        "curl -H \"X-Key: $(cat 'FOLDER/secrets/chat key')\" http://127.0.0.1:8080/in/chat ",
    ),
    "the first of two": (
        '{header: X-Key, equals: ["${NEW}", "${OLD}"]}',
        'curl -H "X-Key: $NEW" http://127.0.0.1:8080/in/chat ',
    ),
    "in clear": (
        "{header: X-Key, equals: s3cret}",
        'curl -H "X-Key: THE-SECRET-OF-relay.yaml" http://127.0.0.1:8080/in/chat ',
    ),
    "bearer": (
        '{bearer: "${TOKEN}"}',
        'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/in/chat ',
    ),
    "basic": (
        '{basic: {username: gecko, password: "${PASSWORD}"}}',
        'curl -u "gecko:$PASSWORD" http://127.0.0.1:8080/in/chat ',
    ),
    "query": ('{query: key, equals: "${KEY}"}', 'curl "http://127.0.0.1:8080/in/chat?key=$KEY" '),
    "token": ('{token: "${TOKEN}"}', 'curl "http://127.0.0.1:8080/in/chat/$TOKEN" '),
    "none": ("none", "curl http://127.0.0.1:8080/in/chat "),
    "signed": ('{hmac: {header: X-Signature, secret: "${SECRET}"}}', "relay send chat FILE"),
}


@pytest.mark.parametrize(("verify", "line"), HOW.values(), ids=HOW)
def test_the_secret_is_read_where_relay_yaml_reads_it(tmp_path: Path, verify: str, line: str) -> None:
    (tmp_path / "relay.yaml").write_text(f"sources:\n  chat:\n    verify: {verify}\n")
    found = curl(Settings.read({"recipes": tmp_path}, {}), "chat")
    assert found.startswith(line.replace("FOLDER", str(tmp_path)))
    assert "s3cret" not in found


def test_a_preset_signs_by_itself(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text('sources:\n  git: {preset: github, secret: "${GITHUB}"}\n')
    assert curl(Settings.read({"recipes": tmp_path}, {}), "git") == "relay send git FILE"


def test_behind_a_proxy_it_is_the_address_that_senders_use(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text("sources:\n  chat: {verify: none}\n")
    settings = Settings.read({"recipes": tmp_path, "public_url": "https://relay.example.org/"}, {})
    assert curl(settings, "chat").startswith("curl https://relay.example.org/in/chat ")
