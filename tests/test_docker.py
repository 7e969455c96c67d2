"""No container engine runs here; what the files of docker/ and docs/deploy.md name has to exist in the relay."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
UNIT = ROOT / "docker" / "relay.service"
DEPLOY = ROOT / "docs" / "deploy.md"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's (instruction, rest) with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def instruction(name: str) -> str:
    """The last of that name: the one that holds."""
    return [rest for found, rest in instructions() if found == name][-1]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def unit() -> dict[str, str]:
    """The unit's settings; systemd's own lists, which may repeat a key, aren't used in it."""
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    keys = [line.partition("=")[0] for line in lines]
    assert len(keys) == len(set(keys))
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def split_at(word: str, words: list[str]) -> tuple[list[str], list[str]]:
    """What is before and after the last one: the image's name, behind the options."""
    place = len(words) - 1 - words[::-1].index(word)
    return words[:place], words[place + 1 :]


def relay_commands() -> Iterator[tuple[str, list[str]]]:
    """(where, the words after `relay`) of everything that starts the relay."""
    assert json.loads(instruction("ENTRYPOINT")) == ["relay"]
    yield "Dockerfile", json.loads(instruction("CMD"))
    for name, service in compose()["services"].items():
        if service["image"] == "relay":
            yield f"compose.yaml, {name}", service["command"]
    binary, *words = shlex.split(unit()["ExecStart"])
    assert Path(binary).name == "relay"
    yield "relay.service", words
    for line in DEPLOY.read_text().replace("\\\n", " ").splitlines():
        if line.startswith("    ") and "/bin/relay " in line:
            yield "deploy.md", shlex.split(line.partition("/bin/relay ")[2])
        elif line.startswith("    docker run"):
            _, words = split_at("relay", shlex.split(line))
            if words:
                yield "deploy.md, docker run", words
    for command in re.findall(r"`relay ([a-z][^`]*)`", DEPLOY.read_text()):
        yield "deploy.md", shlex.split(command)


def test_each_command_and_flag_is_one_of_the_relay() -> None:
    import typer

    from relay.cli import app

    root = typer.main.get_command(app)
    for where, (command, *words) in relay_commands():
        found = getattr(root, "commands", {}).get(command)
        assert found is not None, f"{where}: there is no `relay {command}`"
        flags = {flag for parameter in found.params for flag in parameter.opts}
        for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert flag in flags, f"{where}: `relay {command}` has no {flag}"


def test_each_variable_is_a_setting() -> None:
    from relay.settings import Settings

    named = {
        name
        for path in (DOCKERFILE, COMPOSE, UNIT, DEPLOY)
        for name in re.findall(r"\bRELAY_[A-Z_]*[A-Z]\b", path.read_text())
    }
    assert {"RELAY_RECIPES", "RELAY_DATA", "RELAY_HOST", "RELAY_PORT", "RELAY_REDIS_URL"} <= named
    assert named <= Settings.environment_names()


def copied() -> list[str]:
    return [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]


def test_each_path_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    ignore = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    sent = {line[1:] for line in ignore if line.startswith("!")}
    assert sent == set(copied())
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not any(fnmatch(source, pattern) for pattern in ignore[2:] if not pattern.startswith(("!", "#")))


def test_the_image_copies_whatever_the_wheel_is_built_from() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *(path.partition("/")[0] for path in wheel["force-include"]),
    }
    assert needed <= set(copied())


def test_the_image_runs_as_an_ordinary_user_on_the_python_that_is_supported() -> None:
    assert instruction("USER") == "relay"
    assert "--uid 10001" in DOCKERFILE.read_text()
    assert {rest.split()[0] for name, rest in instructions() if name == "FROM"} == {"python:3.12-slim"}
    assert "--constraint constraints.txt" in DOCKERFILE.read_text()


def test_the_image_asks_its_own_health_on_the_port_it_exposes() -> None:
    check = instruction("HEALTHCHECK")
    words = json.loads(check[check.index("[") :])
    assert words[:2] == ["python", "-c"]
    compile(words[2], "HEALTHCHECK", "exec")
    assert f"or {instruction('EXPOSE')}" in words[2]
    assert "/healthz" in words[2]


def test_valkey_syncs_each_write_and_evicts_nothing() -> None:
    words = compose()["services"]["valkey"]["command"]
    settings = dict(zip(words[1::2], words[2::2], strict=True))
    assert settings["--appendonly"] == "yes"
    assert settings["--appendfsync"] == "always"
    assert settings["--maxmemory-policy"] == "noeviction"


def test_each_service_has_what_it_refers_to() -> None:
    found = compose()
    assert found["services"].keys() == {"web", "worker", "valkey"}
    for service in found["services"].values():
        assert set(service["networks"]) <= found["networks"].keys()
        assert set(service.get("secrets", ())) <= found["secrets"].keys()
        volumes = {volume.partition(":")[0] for volume in service["volumes"]}
        assert {volume for volume in volumes if "/" not in volume} <= found["volumes"].keys()
    for name in ("web", "worker"):
        service = found["services"][name]
        assert service["depends_on"] == {"valkey": {"condition": "service_healthy"}}
        assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        assert service["environment"]["RELAY_REDIS_URL"].startswith("redis://valkey:")
    assert found["services"]["web"]["environment"]["RELAY_HOST"] == "0.0.0.0"
    assert found["networks"]["store"]["internal"] is True
    assert "ports" not in found["services"]["valkey"]


@pytest.mark.parametrize("seconds", [30])
def test_everybody_waits_longer_for_the_end_than_work_under_way_may_take(seconds: int) -> None:
    from relay.settings import Settings

    assert Settings().drain.total_seconds() == seconds
    for name in ("web", "worker"):
        assert int(compose()["services"][name]["stop_grace_period"].removesuffix("s")) > seconds
    assert int(unit()["TimeoutStopSec"]) > seconds


def test_the_service_is_shut_in_and_can_write_its_state_only() -> None:
    settings = unit()
    assert settings["User"] == "relay"
    assert settings["ProtectSystem"] == "strict"
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["CapabilityBoundingSet"] == ""
    assert "ReadWritePaths" not in settings
    assert f"--data /var/lib/{settings['StateDirectory']}" in settings["ExecStart"]
    assert settings["KillMode"] == "mixed"
    assert settings["Restart"] == "always"
