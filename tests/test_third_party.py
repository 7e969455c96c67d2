"""A connector in a package of somebody else's: installed beside Relay, found, checked, tried, tested, and delivering.

The package is the one that docs/your-own-connector.md builds step by step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from relay.testing import Answer, Recorded, RecordingServer
from tests.harness import environment, eventually, relay_up

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tests" / "third_party" / "relay-ntfy"
PAGE = ROOT / "docs" / "your-own-connector.md"
TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"


@dataclass(frozen=True)
class Installed:
    """source: a copy of the package's folder. path: what PYTHONPATH is, so that the package counts as installed."""

    source: Path
    path: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = environment(self.source) | {"PYTHONPATH": self.path, "NTFY_TOKEN": TOKEN}
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=self.source, env=env, capture_output=True, text=True, timeout=100)

    def relay(self, *words: str) -> str:
        done = self.run("relay", *words)
        assert done.returncode == 0, f"relay {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """By pip, into a folder of its own, with nothing from an index."""
    folder = tmp_path_factory.mktemp("third-party")
    source = shutil.copytree(PACKAGE, folder / "relay-ntfy", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*pip, *offline, "--target", str(folder / "site"), str(source)],
        env={**os.environ, "PIP_NO_INPUT": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return Installed(source, os.pathsep.join([str(folder / "site"), str(ROOT)]))


def test_it_is_found(installed: Installed) -> None:
    assert re.search(r"^ntfy\s+ntfy: notifications.*publish$", installed.relay("connectors"), re.MULTILINE)
    page = installed.relay("connectors", "ntfy")
    assert "| `token` | secret | required | An access token" in page
    assert "Create a new token." in page


def test_its_workspace_is_checked_by_its_declaration(installed: Installed) -> None:
    done = installed.run("relay", "check", "recipes")
    assert (done.returncode, "0 errors" in done.stdout + done.stderr) == (0, True)
    assert "1 passed, 0 failed" in installed.relay("test", "recipes")
    recipe = installed.source / "recipes" / "failed-payments.yaml"
    right = recipe.read_text()
    recipe.write_text(right.replace("priority: 4\n", "prioritty: 4\n"))
    done = installed.run("relay", "check", "recipes")
    recipe.write_text(right)
    assert done.returncode == 1
    assert "did you mean `priority`?" in done.stdout + done.stderr


def test_a_delivery_can_be_tried_without_sending_it(installed: Installed) -> None:
    shown = installed.relay("try", "failed-payments")
    assert "POST https://ntfy.sh/" in shown
    assert "Order 17 of Ana" in shown
    assert TOKEN not in shown


def test_its_own_tests_pass(installed: Installed) -> None:
    done = installed.run("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b3\d passed", done.stdout)


def test_it_delivers(installed: Installed, tmp_path: Path) -> None:
    def ntfy(request: Recorded) -> Answer:
        right = request.headers["authorization"] == f"Bearer {TOKEN}"
        return Answer(200, {"id": "x", **request.json()}) if right else Answer(401)

    shutil.copytree(installed.source / "recipes", tmp_path / "recipes")
    file = tmp_path / "recipes" / "relay.yaml"
    workspace = yaml.safe_load(file.read_text())
    with RecordingServer(ntfy) as server:
        workspace["connections"]["phones"] |= {"base_url": server.url, "allow_private": True}
        file.write_text(yaml.safe_dump(workspace))
        env = {"PYTHONPATH": installed.path, "NTFY_TOKEN": TOKEN}
        with relay_up(tmp_path, env=env) as relay:
            payment = json.loads((tmp_path / "recipes" / "samples" / "payment.json").read_text())
            assert httpx.post(f"{relay.url}/in/shop", json=payment).status_code in (200, 202)
            eventually(lambda: server.requests)
            assert eventually(lambda: relay.log("delivery.attempted"))[0]["connection"] == "phones"
    (request,) = server.requests
    assert request.json() == {
        "topic": "support-alerts-x7",
        "title": "Payment failed",
        "message": "Order 17 of Ana",
        "priority": 4,
        "tags": ["warning"],
    }


# The page


def blocks() -> Iterator[tuple[str, str]]:
    """Each file of the page: `**path**` on a line of its own, and the block of code below it."""
    found = re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    yield from found


def test_the_pages_files_are_the_packages() -> None:
    """In their order: a file that is shown in several pieces is their sum, with an empty line or two in between."""
    shown: dict[str, list[str]] = {}
    for name, text in blocks():
        shown.setdefault(name, []).append(text)
    files = sorted(
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in str(path)
    )
    assert sorted(shown) == files
    for name, pieces in shown.items():
        rest = (PACKAGE / name).read_text()
        for piece in pieces:
            assert rest.lstrip("\n").startswith(piece), f"{name}: the page and the package differ at\n{piece[:200]}"
            rest = rest.lstrip("\n")[len(piece) :]
        assert rest.strip() == "", f"{name}: the page leaves out\n{rest[:200]}"


def test_the_package_uses_only_what_is_public() -> None:
    code = (PACKAGE / "relay_ntfy.py").read_text() + (PACKAGE / "tests" / "test_ntfy.py").read_text()
    modules = set(re.findall(r"^from (relay(?:\.\w+)*) import", code, re.MULTILINE))
    assert modules <= {"relay.connector", "relay.errors", "relay.http", "relay.model", "relay.testing"}
    assert "connectors." not in code


def test_the_extra_that_its_tests_need_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("optional-dependencies", {})
    assert {re.split(r"[><=]", name)[0] for name in extras.get("testing", [])} >= {"pytest", "pytest-asyncio"}
