"""Machines for tests: each a namespace of processes and of the network, with a name of its own, all at one bridge.

What runs in one sees nothing of the others but what comes over the wire. Needs root, and a kernel that allows it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.harness import eventually


@dataclass
class Host:
    """A machine. `init` is its first process, seen from outside: when it ends, all of the machine's do."""

    name: str
    address: str
    holder: subprocess.Popen[bytes]
    init: int
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, words: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program on it. What is returned is its keeper, which ends with it; `kill` reaches the program."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                ["nsenter", f"--target={self.init}", "--net", "--pid", "--uts", "--mount", "--", *words],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.started.append(process)
        return process

    def die(self) -> None:
        """Power off: nothing says goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self.holder.wait(10)


def signal_program(keeper: subprocess.Popen[bytes], number: int) -> None:
    """To the program behind a keeper of Host.start."""
    for program in psutil.Process(keeper.pid).children():
        program.send_signal(number)
    if number == signal.SIGCONT:
        keeper.send_signal(number)  # nsenter stops with what it started


@dataclass
class Network:
    switch: Host
    hosts: dict[str, Host]

    def cut(self, name: str) -> None:
        """Pull a machine's cable."""
        _in(self.switch, "ip", "link", "set", name, "down")

    def heal(self, name: str) -> None:
        _in(self.switch, "ip", "link", "set", name, "up")


@contextlib.contextmanager
def network(*names: str) -> Iterator[Network]:
    """Machines at 10.77.0.1, 10.77.0.2 …. Skips where the kernel or the user's rights don't allow them."""
    for program, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            _cannot(f"no {program} here: apt-get install {package}")
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces: run this test as root")
    with contextlib.ExitStack() as all_:
        switch = _boot(all_, "switch", "")
        made = Network(switch, {})
        _in(switch, "ip", "link", "add", "bridge", "type", "bridge")
        _in(switch, "ip", "link", "set", "bridge", "up")
        for number, name in enumerate(names, 1):
            host = _boot(all_, name, f"10.77.0.{number}")
            _in(switch, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.init))
            _in(switch, "ip", "link", "set", name, "master", "bridge", "up")
            _in(host, "ip", "link", "set", "lo", "up")
            _in(host, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            _in(host, "ip", "link", "set", "eth0", "up")
            made.hosts[name] = host
        yield made


def _boot(all_: contextlib.ExitStack, name: str, address: str) -> Host:
    words = ["unshare", "--net", "--pid", "--uts", "--mount", "--fork", "--kill-child", "--mount-proc"]
    holder = subprocess.Popen(
        [*words, "sh", "-c", f"hostname {name} && echo up && exec sleep infinity"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stderr is not None
    if holder.stdout.readline() != b"up\n":
        why = holder.stderr.read().decode().strip()
        holder.wait(10)
        pytest.skip(f"the kernel refuses namespaces here ({why}): run on a machine, or in a privileged container")
    (init,) = psutil.Process(holder.pid).children()
    host = Host(name, address, holder, init.pid)

    def end() -> None:
        host.die()
        for keeper in host.started:
            keeper.send_signal(signal.SIGCONT)
            keeper.wait(10)
        for stream in (holder.stdout, holder.stderr):
            if stream is not None:
                stream.close()

    all_.callback(end)
    return host


def _in(host: Host, *words: str) -> None:
    subprocess.run(["nsenter", f"--target={host.init}", "--net", *words], check=True, timeout=10)


def _cannot(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def wait_for_line(log: Path, line: str, seconds: float = 30) -> None:
    eventually(lambda: log.exists() and line in log.read_text(), seconds, pause=0.05)
