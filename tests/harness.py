"""A whole relay for tests: `relay up` as a user would start it, in a workspace of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml


@dataclass
class Relay:
    """A running relay."""

    folder: Path
    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.folder)

    @property
    def outbox(self) -> Path:
        return self.folder / "data" / "outbox"

    def cli(self, *words: str, code: int = 0, text: str | None = None) -> str:
        """Run a command as a user would; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "relay", *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            input=text,
            timeout=60,
        )
        assert done.returncode == code, f"relay {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli(*words, "--json").splitlines()]

    def children(self) -> dict[str, psutil.Process]:
        """The supervised processes by name: web, worker, valkey."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if "worker" in words:
                found["worker"] = child
            elif "web" in words:
                found["web"] = child
            elif words and "valkey" in words[0]:
                found["valkey"] = child
        return found

    def log(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == event]

    def stop(self, seconds: float = 30) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def environment(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return inherited | {
        "RELAY_RECIPES": str(folder / "recipes"),
        "RELAY_DATA": str(folder / "data"),
        "RELAY_LOG": "json",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }


def write_workspace(folder: Path, relay_yaml: Mapping[str, Any], recipes: Mapping[str, Any]) -> None:
    recipes_dir = folder / "recipes"
    recipes_dir.mkdir(parents=True, exist_ok=True)
    (recipes_dir / "relay.yaml").write_text(yaml.safe_dump(dict(relay_yaml), sort_keys=False))
    for name, recipe in recipes.items():
        text = recipe if isinstance(recipe, str) else yaml.safe_dump(dict(recipe), sort_keys=False)
        (recipes_dir / f"{name}.yaml").write_text(text)


@contextlib.contextmanager
def relay_up(folder: Path, *words: str, env: Mapping[str, str] | None = None, ready: bool = True) -> Iterator[Relay]:
    """`relay up` on a free port. Everything it started has ended when this ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "up", "--port", "0", *words],
        env=environment(folder) | dict(env or {}),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    relay = Relay(folder, process)
    reader = threading.Thread(target=_read, args=(relay,), daemon=True)
    reader.start()
    try:
        if ready:
            eventually(lambda: relay.log("relay.ready") or process.poll() is not None, 30)
            assert relay.log("relay.ready"), f"it ended: {relay.lines}"
            relay.url = relay.log("relay.ready")[0]["url"]
        yield relay
    finally:
        family = []
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(40)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        if process.poll() is None:
            process.kill()
        process.wait(10)
        reader.join(10)
        if process.stdout is not None:
            process.stdout.close()


def _read(relay: Relay) -> None:
    assert relay.process.stdout is not None
    with contextlib.suppress(ValueError):
        for line in relay.process.stdout:
            try:
                relay.lines.append(json.loads(line))
            except json.JSONDecodeError:
                relay.lines.append({"event": "text", "text": line.rstrip("\n")})


def eventually(true: Callable[[], Any], seconds: float = 20, pause: float = 0.02) -> Any:
    """Wait until something is so; what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = true()
        if value:
            return value
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(pause)
