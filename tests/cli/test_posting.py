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
    "path token": ('{path_token: ["${NEW}", "${OLD}"]}', 'curl "http://127.0.0.1:8080/in/chat/$NEW" '),
    "one of several": (
        '{any: [{hmac: {header: S, secret: "${SECRET}"}}, {bearer: "${TOKEN}"}]}',
        'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/in/chat ',
    ),
    "from an address": ("{ip_allow: [127.0.0.1]}", "curl http://127.0.0.1:8080/in/chat "),
    "a header from an address": (
        '{ip_allow: [127.0.0.1], header: X-Key, equals: "${KEY}"}',
        'curl -H "X-Key: $KEY" http://127.0.0.1:8080/in/chat ',
    ),
    "in the body": ('{field: data.key, equals: "${KEY}"}', "relay send chat FILE"),
    "hashed": ('{digest: {header: S, secret: "${KEY}", signed: "{secret}{body}"}}', "relay send chat FILE"),
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


def test_a_preset_that_signs_nothing_says_where_its_secret_goes(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text('sources:\n  form: {preset: jotform, secret: "${JOTFORM}"}\n')
    found = curl(Settings.read({"recipes": tmp_path}, {}), "form")
    assert found.startswith('curl "http://127.0.0.1:8080/in/form/$JOTFORM" ')


def test_where_the_vendor_gives_a_secret_that_is_kept_curl_can_t_sign(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text('sources:\n  tasks: {preset: asana, secret: "${ASANA}"}\n')
    assert curl(Settings.read({"recipes": tmp_path}, {}), "tasks") == "relay send tasks FILE"


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("decode: form", "curl http://127.0.0.1:8080/in/chat --data 'hello=world'"),
        ("decode: xml", "curl http://127.0.0.1:8080/in/chat -H 'Content-Type: application/xml' --data '<hello>"),
        ("methods: [PUT]", "curl -X PUT http://127.0.0.1:8080/in/chat -H 'Content-Type: application/json' --data"),
        ("methods: [GET]", "curl -G http://127.0.0.1:8080/in/chat --data 'hello=world'"),
    ],
)
def test_the_example_is_what_the_source_takes(tmp_path: Path, more: str, line: str) -> None:
    (tmp_path / "relay.yaml").write_text(f"sources:\n  chat: {{verify: none, {more}}}\n")
    assert curl(Settings.read({"recipes": tmp_path}, {}), "chat").startswith(line)


def test_behind_a_proxy_it_is_the_address_that_senders_use(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text("sources:\n  chat: {verify: none}\n")
    settings = Settings.read({"recipes": tmp_path, "public_url": "https://relay.example.org/"}, {})
    assert curl(settings, "chat").startswith("curl https://relay.example.org/in/chat ")
