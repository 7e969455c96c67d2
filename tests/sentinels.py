"""A relay on three machines: on each a Valkey, a Sentinel, a web process, a worker and a sender; one is the primary.

`python -m tests.sentinels --fault kill|cut|die --replicas 0|1|2 --runs 3` says as JSON what each run lost, and how long
senders and deliveries waited.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay import embedded
from tests.harness import environment, eventually, write_workspace
from tests.hosts import Host, Network, network, signal_program, wait_for_line

ROOT = Path(__file__).parent.parent

STORE_PASSWORD = "of the/store"
SENTINEL_PASSWORD = "of-the-sentinels"

NAMES = ("one", "two", "three")


@dataclass
class Cluster:
    folder: Path
    net: Network
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        hosts = ",".join(f"{host.address}:26379" for host in map(self.net.hosts.__getitem__, NAMES))
        return f"sentinel://:of%20the%2Fstore@{hosts}/mymaster?db=0"

    @property
    def environment(self) -> dict[str, str]:
        more = {"RELAY_REDIS_URL": self.url, "RELAY_SENTINEL_PASSWORD": SENTINEL_PASSWORD, "RELAY_HOST": "0.0.0.0"}
        return environment(self.folder) | more

    def ask(self, name: str, *words: str, sentinel: bool = False) -> Any:
        """A command to the Valkey or the Sentinel of a machine, from that machine."""
        port, password = (26379, SENTINEL_PASSWORD) if sentinel else (6379, STORE_PASSWORD)
        code = (
            "import json,redis,sys;c=redis.Redis(port=int(sys.argv[1]),password=sys.argv[2],decode_responses=True,"
            "socket_timeout=5);print(json.dumps(c.execute_command(*sys.argv[3:]),default=str))"
        )
        host = self.net.hosts[name]
        done = subprocess.run(
            ["nsenter", f"--target={host.init}", "--net", sys.executable, "-c", code, str(port), password, *words],
            capture_output=True,
            timeout=20,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def role(self, name: str) -> str:
        reply = self.ask(name, "ROLE")
        return reply[0] if reply else ""

    def primary(self, of: str) -> str:
        """The machine that the Sentinel of another one takes for the primary."""
        reply = self.ask(of, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster", sentinel=True)
        found = [name for name, host in self.net.hosts.items() if reply and host.address == reply[0]]
        return found[0] if found else ""

    def start(self, name: str, what: str, *words: str, env: dict[str, str] | None = None) -> Path:
        log = self.folder / f"{what}-{name}.log"
        self.processes[f"{what} {name}"] = self.net.hosts[name].start(words, log, env)
        return log

    def kill(self, what: str, name: str) -> None:
        signal_program(self.processes[f"{what} {name}"], signal.SIGKILL)
        self.processes[f"{what} {name}"].wait(10)

    def start_relay(self, name: str, **settings: str) -> None:
        env = self.environment | settings
        for what in ("web", "worker"):
            self.start(name, what, sys.executable, "-m", "relay", what, env=env)

    def wait_for_relay(self, name: str) -> None:
        for what in ("web", "worker"):
            wait_for_line(self.folder / f"{what}-{name}.log", f"{what}.ready")

    def start_sender(self, name: str, rate: float) -> None:
        to, ledger = "http://127.0.0.1:8080/in/chat", str(self.ledger(name))
        words = ("send", ledger, "--to", to, "--name", name, "--rate", str(rate))
        self.start(name, "sender", sys.executable, "-m", "tests.ledgers", *words, env=self.environment)

    def stop_sender(self, name: str) -> None:
        signal_program(self.processes[f"sender {name}"], signal.SIGTERM)

    def ledger(self, name: str) -> Path:
        return self.folder / f"ledger-{name}.jsonl"

    def sent(self, name: str) -> list[dict[str, Any]]:
        return _lines(self.ledger(name))

    def accepted(self) -> dict[str, float]:
        """The ids that were answered with a 2xx, and when."""
        rows = [row for name in NAMES for row in self.sent(name)]
        return {row["id"]: row["at"] for row in rows if row.get("status") in (200, 202)}

    def arrived(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in _lines(self.folder / "sink.jsonl"):
            found.setdefault(row["id"], []).append(row)
        return found


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    # A machine that died may have left half a line.
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


@contextlib.contextmanager
def cluster(folder: Path, *, down_after_ms: int = 1000, valkey: dict[str, str] | None = None) -> Iterator[Cluster]:
    """The store on three machines, `one` the primary, and a sink on a fourth. No relay yet."""
    with network(*NAMES, "outside") as net:
        made = Cluster(folder, net)
        first = net.hosts["one"]
        for name in NAMES:
            _start_valkey(made, net.hosts[name], "" if name == "one" else first.address, valkey or {})
        eventually(lambda: len((made.ask("one", "ROLE") or ["", 0, []])[2]) == 2, 30, pause=0.2)
        for name in NAMES:
            _start_sentinel(made, net.hosts[name], first.address, down_after_ms)

        def all_know_each_other() -> bool:
            reply = made.ask("one", "SENTINEL", "MASTER", "mymaster", sentinel=True) or {}
            known = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
            return (str(known.get("num-slaves")), str(known.get("num-other-sentinels"))) == ("2", "2")

        eventually(all_know_each_other, 30, pause=0.2)
        write_workspace(
            folder,
            {
                "sources": {"chat": {"verify": {"header": "X-Key", "equals": "k"}, "event_id": "$.id"}},
                "connections": {
                    "sink": {
                        "connector": "http",
                        "base_url": f"http://{net.hosts['outside'].address}:9000",
                        "allow_private": True,
                    }
                },
            },
            {
                "forward": {
                    "recipe": "Forward",
                    "catch": "chat",
                    "pick": {"id": "$.id"},
                    "steps": {"post": {"to": "sink", "with": {"path": "/events", "json": {"id": "$id"}}}},
                }
            },
        )
        words = ("sink", str(folder / "sink.jsonl"), "--address", net.hosts["outside"].address)
        made.start("outside", "sink", sys.executable, "-m", "tests.ledgers", *words, env=made.environment)
        yield made


def _start_valkey(made: Cluster, host: Host, primary: str, more: dict[str, str]) -> None:
    data = made.folder / f"valkey-{host.name}"
    data.mkdir(exist_ok=True)
    settings = {
        "port": "6379",
        "bind": "0.0.0.0",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "requirepass": STORE_PASSWORD,
        "masterauth": STORE_PASSWORD,
        "repl-diskless-sync-delay": "0",
    } | more
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    replica = ["--replicaof", f"{primary} 6379"] if primary else []
    made.start(host.name, "valkey", str(embedded.binary()), *words, *replica)


def _start_sentinel(made: Cluster, host: Host, primary: str, down_after_ms: int) -> None:
    config = made.folder / f"sentinel-{host.name}.conf"
    config.write_text(
        f"port 26379\nbind 0.0.0.0\ndir {made.folder}\nrequirepass {SENTINEL_PASSWORD}\n"
        f"sentinel sentinel-pass {SENTINEL_PASSWORD}\n"
        f"sentinel monitor mymaster {primary} 6379 2\n"
        f'sentinel auth-pass mymaster "{STORE_PASSWORD}"\n'
        f"sentinel down-after-milliseconds mymaster {down_after_ms}\n"
        "sentinel failover-timeout mymaster 4000\n"
    )
    made.start(host.name, "sentinel", str(embedded.binary()), str(config), "--sentinel")


def outage(rows: list[dict[str, Any]], since: float) -> float:
    """The longest time from then on in which a sender had no 2xx, in seconds."""
    times = [since, *sorted(row["at"] for row in rows if row.get("status") in (200, 202) and row["at"] >= since)]
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


def run(fault: str, replicas: int, *, rate: float, keeps: str, valkey: dict[str, str]) -> dict[str, Any]:
    """One fault under load; what was lost."""
    settings = {"RELAY_REPLICAS": str(replicas), "RELAY_REPLICA_KEEPS": keeps}
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), down_after_ms=5000, valkey=valkey) as made:
        for name in ("one", "two"):
            made.start_relay(name, **settings)
        for name in ("one", "two"):
            made.wait_for_relay(name)
        for name in ("one", "two"):
            made.start_sender(name, rate / 2)
        time.sleep(4)
        began = time.time()
        if fault == "kill":
            made.kill("valkey", "one")
        elif fault == "hang":
            signal_program(made.processes["valkey one"], signal.SIGSTOP)
        else:
            made.net.cut("one")
            if fault == "die":
                made.net.hosts["one"].die()
        eventually(lambda: made.primary("two") in ("two", "three"), 60, pause=0.1)
        promoted = time.time() - began
        time.sleep(10)
        if fault == "cut":
            made.net.heal("one")
            eventually(lambda: made.role("one") == "slave", 60, pause=0.2)
        if fault == "hang":
            signal_program(made.processes["valkey one"], signal.SIGCONT)
        time.sleep(8)
        alive = ("two",) if fault == "die" else ("one", "two")
        for name in alive:
            made.stop_sender(name)
        eventually(lambda: all(made.sent(name)[-1:] == [{"end": True}] for name in alive), 60, pause=0.2)
        accepted = made.accepted()
        deadline, missing = time.monotonic() + 60, set(accepted)
        while missing and time.monotonic() < deadline:
            time.sleep(1)
            missing = accepted.keys() - made.arrived().keys()
        arrived = made.arrived()
        deliveries = sorted(row["at"] for rows in arrived.values() for row in rows if row["at"] > began - 1)
        return {
            "fault": fault,
            "replicas": replicas,
            "keeps": keeps,
            "accepted": len(accepted),
            "lost": len(missing),
            "lost_after_the_fault_s": [round(at - began, 2) for at in sorted(accepted[id_] for id_ in missing)][::100],
            "twice": sum(len(rows) > 1 for rows in arrived.values()),
            "two_keys": sum(len({row["key"] for row in rows}) > 1 for rows in arrived.values()),
            "promoted_after_s": round(promoted, 1),
            "senders_without_2xx_s": {name: round(outage(made.sent(name), began - 0.5), 1) for name in alive},
            "longest_without_delivery_s": round(
                max((b - a for a, b in itertools.pairwise(deliveries)), default=0.0), 1
            ),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", choices=["kill", "hang", "cut", "die"], default="kill")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--keeps", choices=["memory", "disk"], default="memory")
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--valkey", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    words = parser.parse_args()
    for _ in range(words.runs):
        done = run(words.fault, words.replicas, rate=words.rate, keeps=words.keeps, valkey=dict(words.valkey))
        print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
