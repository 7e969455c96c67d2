"""Saving a file of a running relay's workspace: what is valid is in force in every process, what isn't changes nothing.

Real processes: a web process and two workers, each of which watches the folder by itself.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from relay.recipes import version_of
from relay.testing import Answer, RecordingServer
from tests.flow.test_kills import post_all
from tests.flow.test_races import post, workers
from tests.harness import Relay, eventually, relay_up, write_workspace

PROCESSES = 3
IN_FORCE_SECONDS = 2.0
KEY = {"verify": {"header": "X-Key", "equals": "k"}}

#: Both values of what is sent say by which version it was rendered; so do the two steps of an event.
RECIPE = """\
recipe: Forward
catch: chat
pick:
  id: $.id
  mark: $.id | replace($.id, "v1")
steps:
  one: {to: sink, with: {path: /one, json: {id: $id, first: v1, mark: $mark}}}
  two: {to: sink, with: {path: /two, json: {id: $id, first: v1, mark: $mark}}}
"""


def recipe(version: str) -> str:
    return RECIPE.replace("v1", version)


def relay_yaml(sink: RecordingServer, **more: Any) -> dict[str, Any]:
    connection = {"connector": "http", "base_url": sink.url, "allow_private": True}
    return {"sources": {"chat": KEY}, "connections": {"sink": connection}} | more


class Bench:
    """A relay with two workers, and its folder."""

    def __init__(self, relay: Relay, sink: RecordingServer) -> None:
        self.relay = relay
        self.sink = sink
        self.folder = relay.folder / "recipes"

    def save(self, name: str, text: str | dict[str, Any]) -> float:
        """How a person saves: the file is written where it is. When it was, by the monotonic clock."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
        return time.monotonic()

    def logged(self, event: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        lines = [line for line in self.relay.lines[since:] if line.get("event") == event]
        return [line for line in lines if all(line.get(name) == value for name, value in fields.items())]

    def everywhere(self, event: str, since: int, **fields: Any) -> bool:
        """Whether each process has logged it."""
        return len({line["process"] for line in self.logged(event, since, **fields)}) == PROCESSES

    def saved(self, name: str, text: str | dict[str, Any], event: str = "workspace.reloaded", **fields: Any) -> float:
        """Save, and wait until every process says what it made of it. How long that took."""
        since = len(self.relay.lines)
        began = self.save(name, text)
        eventually(lambda: self.everywhere(event, since, **fields), 10)
        return time.monotonic() - began

    def refused(self, name: str, text: str | dict[str, Any]) -> list[dict[str, Any]]:
        since = len(self.relay.lines)
        self.saved(name, text, "workspace.refused")
        return self.logged("workspace.refused", since)

    def post(self, id_: str) -> None:
        answer = post(self.relay, id_)
        assert answer.status_code == 202, answer.text

    def arrived(self, path: str = "/one") -> dict[str, dict[str, Any]]:
        return {request.json()["id"]: request.json() for request in list(self.sink.requests) if request.path == path}

    def lanes(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.relay.rows("lanes", "list")}

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = httpx.get(f"{self.relay.url}/readyz").json()
        return report

    def processes(self) -> list[psutil.Process]:
        return [*workers(self.relay), self.relay.children()["web"]]

    def reset(self) -> None:
        """As it was at the start."""
        write_workspace(self.relay.folder, relay_yaml(self.sink), {"forward": recipe("v1")})
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name not in ("relay.yaml", "forward.yaml"):
                path.unlink()
        since = len(self.relay.lines)
        for process in self.processes():
            process.send_signal(signal.SIGHUP)
        eventually(lambda: self.everywhere("workspace.reloaded", since))
        self.sink.requests.clear()


@contextmanager
def running(folder: Path, sink: RecordingServer) -> Iterator[Bench]:
    with relay_up(folder, "--workers", "2") as relay:
        eventually(lambda: len(relay.log("worker.ready")) == 2)
        yield Bench(relay, sink)


@pytest.fixture
def sink() -> Iterator[RecordingServer]:
    with RecordingServer(Answer(body={})) as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("relay")
    with RecordingServer(Answer(body={})) as sink:
        write_workspace(folder, relay_yaml(sink), {"forward": recipe("v1")})
        with running(folder, sink) as bench:
            yield bench


@pytest.fixture
def bench(shared: Bench) -> Bench:
    shared.reset()
    return shared


# -- a valid save


def test_a_save_is_in_force_in_the_web_process_and_both_workers_within_two_seconds(bench: Bench) -> None:
    took = []
    for number in range(2, 6):
        # Longer, shorter, longer: a file that got shorter is looked at for longer.
        text = recipe(f"v{number}") + ("# a line more\n" if number % 2 else "")
        took.append(bench.saved("forward.yaml", text, recipes_changed=["forward"]))
        ids = {f"{number}-{index}" for index in range(20)}
        for id_ in ids:
            bench.post(id_)
        eventually(lambda ids=ids: ids <= bench.arrived("/two").keys())
        assert {bench.arrived()[id_]["mark"] for id_ in ids} == {f"v{number}"}
        time.sleep(0.15 * number)
    print("in force everywhere after", [round(seconds, 2) for seconds in took], "s")
    assert max(took) < IN_FORCE_SECONDS


def test_a_source_that_is_added_catches_and_one_that_is_taken_away_does_not(bench: Bench) -> None:
    def answers(source: str) -> int:
        return httpx.post(f"{bench.relay.url}/in/{source}", json={"id": "x"}, headers={"X-Key": "k"}).status_code

    assert answers("form") == 404
    bench.relay.cli("schema", "--write")

    def completed() -> str:
        """What an editor offers for `catch`."""
        return json.dumps(json.loads((bench.folder / ".schema" / "recipe.json").read_text())["properties"]["catch"])

    assert '"form"' not in completed()
    root = relay_yaml(bench.sink)
    root["sources"]["form"] = {"verify": {"header": "X-Key", "equals": "k"}}
    took = bench.saved("relay.yaml", root, sources=["form"])
    assert took < IN_FORCE_SECONDS
    assert answers("form") == 202
    eventually(lambda: '"form"' in completed())
    bench.saved("form.yaml", recipe("f1").replace("catch: chat", "catch: form"), recipes_added=["form"])
    assert answers("form") == 202
    eventually(lambda: "x" in bench.arrived())
    assert bench.arrived()["x"]["first"] == "f1"
    bench.saved("relay.yaml", relay_yaml(bench.sink), sources=["form"])
    assert answers("form") == 404


def test_a_recipe_that_is_deleted_is_out_of_force(bench: Bench) -> None:
    bench.saved("other.yaml", recipe("o1").replace("/one", "/other").replace("/two", "/other"), recipes_added=["other"])
    since = len(bench.relay.lines)
    (bench.folder / "forward.yaml").unlink()
    began = time.monotonic()
    eventually(lambda: bench.everywhere("workspace.reloaded", since, recipes_removed=["forward"]))
    assert time.monotonic() - began < IN_FORCE_SECONDS
    bench.post("late")
    eventually(lambda: "late" in bench.arrived("/other"))
    assert bench.arrived() == {}


def test_limits_of_a_lane_are_those_of_the_newest_relay_yaml(bench: Bench) -> None:
    root = relay_yaml(bench.sink)
    root["connections"]["sink"]["limit"] = {"concurrency": 3, "rate": "600/min"}
    bench.saved("relay.yaml", root, connections=["sink"])
    lane = bench.lanes()["sink"]
    assert (lane["concurrency"], lane["rate"]) == (3, "600/60s"), lane


def test_a_request_under_way_ends_at_the_entrance_by_which_it_came(bench: Bench) -> None:
    """Half of its body is there when its source is taken out of relay.yaml."""
    address = httpx.URL(bench.relay.url)
    body = b'{"id": "slow"}'
    head = f"POST /in/chat HTTP/1.1\r\nHost: x\r\nX-Key: k\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((address.host, address.port or 80), 10) as connection:
        connection.sendall(head.encode() + body[:5])
        bench.saved("relay.yaml", relay_yaml(bench.sink, sources={"form": KEY}), sources=["chat", "form"])
        connection.sendall(body[5:])
        answer = connection.recv(10_000).decode()
    assert answer.startswith("HTTP/1.1 202"), answer
    # The recipe is refused now, for its source is gone; and it is in force as it was.
    eventually(lambda: "slow" in bench.arrived())


@pytest.mark.parametrize("process", ["web", "worker"])
def test_sighup_has_it_looked_at_once(bench: Bench, process: str) -> None:
    child = bench.relay.children()[process]
    for name in ("nothing has changed", "something has"):
        since = len(bench.relay.lines)
        if name == "something has":
            bench.save("forward.yaml", recipe("v2"))
        began = time.monotonic()
        child.send_signal(signal.SIGHUP)
        eventually(lambda since=since: bench.logged("workspace.reloaded", since), 2)
        took = time.monotonic() - began
        (line, *_) = bench.logged("workspace.reloaded", since)
        assert line["process"].endswith(f":{child.pid}")
        assert ("recipes_changed" in line) is (name == "something has")
        assert took < 0.4
        print(f"{name}: {took * 1000:.0f} ms after SIGHUP")
        if name == "something has":
            eventually(lambda since=since: bench.everywhere("workspace.reloaded", since, recipes_changed=["forward"]))


# -- an invalid one


def test_an_invalid_save_changes_nothing_while_five_hundred_events_flow(bench: Bench) -> None:
    accepted: set[str] = set()
    flow = threading.Thread(target=lambda: asyncio.run(post_all(bench.relay, 500, 16, accepted)))
    since = len(bench.relay.lines)
    flow.start()
    lines = bench.refused("forward.yaml", recipe("v2").replace("to: sink", "to: snik"))
    assert bench.report()["status"] == "ready"
    bench.refused("relay.yaml", "sources: [\n")
    bench.refused("forward.yaml", "recipe: [\n")
    flow.join(60)
    assert len(accepted) == 500
    eventually(lambda: bench.arrived().keys() == bench.arrived("/two").keys() == accepted, 60)
    assert {(one["first"], one["mark"]) for one in bench.arrived().values()} == {("v1", "v1")}
    assert {(one["first"], one["mark"]) for one in bench.arrived("/two").values()} == {("v1", "v1")}

    place = {(Path(line["file"]).name, line["line"], line["column"]) for line in lines}
    assert place == {("forward.yaml", 7, 13)}
    assert {line["in_force"] for line in lines} == {version_of(recipe("v1"))}
    assert "unknown connection `snik`: did you mean `sink`?" in lines[0]["message"]
    report = {Path(one["name"]).name: one for one in bench.report()["refused"]}
    assert report.keys() == {"forward.yaml", "relay.yaml"}
    assert report["forward.yaml"]["in_force"] == version_of(recipe("v1"))
    assert "relay.yaml:1:10" in report["relay.yaml"]["reason"]
    # Once for each change in each process, not at every look.
    time.sleep(2)
    times = Counter(
        (Path(line["file"]).name, line["message"], line["process"]) for line in bench.logged("workspace.refused", since)
    )
    assert set(times.values()) == {1}
    assert bench.logged("workspace.reloaded", since) == []
    found = [row for row in map(str, bench.relay.cli("doctor", code=1).splitlines()) if "still in force" in row]
    assert len(found) == 2


def test_a_save_that_mends_it_is_in_force(bench: Bench) -> None:
    bench.refused("forward.yaml", "recipe: [\n")
    bench.saved("forward.yaml", recipe("v2"), recipes_changed=["forward"])
    bench.post("mended")
    eventually(lambda: "mended" in bench.arrived())
    assert bench.arrived()["mended"]["first"] == "v2"
    assert bench.report()["refused"] == []


def test_a_new_recipe_that_is_invalid_has_its_events_wait_until_it_is_mended(bench: Bench) -> None:
    """In both workers: one that still has the broken one may not stop the lane that the other has let go."""
    for round_ in range(3):
        name = f"new{round_}"
        text = recipe(name).replace("/one", f"/{name}").replace("/two", f"/{name}")
        (line, *_) = bench.refused(f"{name}.yaml", text.replace("to: sink", "to: snik"))
        assert line["in_force"] == ""
        eventually(lambda name=name: bench.lanes().get(f"recipe:{name}", {}).get("status") == "broken")
        for index in range(20):
            bench.post(f"{round_}-{index}")
        eventually(lambda round_=round_: sum(id_.startswith(f"{round_}-") for id_ in bench.arrived()) == 20)
        assert bench.arrived(f"/{name}") == {}
        bench.saved(f"{name}.yaml", text, recipes_changed=[name])
        eventually(lambda name=name: len(bench.arrived(f"/{name}")) == 20)
        assert bench.lanes()[f"recipe:{name}"]["status"] == "running"


def test_after_a_restart_with_invalid_files_what_was_in_force_last_still_is(
    tmp_path: Path, sink: RecordingServer
) -> None:
    write_workspace(tmp_path, relay_yaml(sink), {"forward": recipe("v1")})
    with running(tmp_path, sink) as bench:
        bench.saved("forward.yaml", recipe("v2"), recipes_changed=["forward"])
        bench.refused("forward.yaml", recipe("v3") + "more: 1\n")
        bench.refused("relay.yaml", "sources: [\n")
        # One worker is killed and started anew; the other has it in memory. They agree.
        workers(bench.relay)[0].kill()
        eventually(lambda: len(bench.relay.log("worker.ready")) == 3)
        for index in range(30):
            bench.post(f"a{index}")
        eventually(lambda: len(bench.arrived()) == 30)
        bench.relay.children()["web"].kill()
        eventually(lambda: len(bench.relay.log("web.ready")) == 2)
        eventually(lambda: post(bench.relay, "b").status_code == 202)
        eventually(lambda: len(bench.arrived()) == 31)
    with running(tmp_path, sink) as bench:
        for index in range(30):
            bench.post(f"c{index}")
        eventually(lambda: len(bench.arrived()) == 61)
        assert {one["first"] for one in bench.arrived().values()} == {"v2"}
        eventually(lambda: bench.everywhere("workspace.refused", 0, in_force=version_of(recipe("v2"))))
        assert bench.everywhere("workspace.refused", 0, line=1, column=10)
        bench.saved("forward.yaml", recipe("v4"), recipes_changed=["forward"])
        bench.post("d")
        eventually(lambda: "d" in bench.arrived())
        assert bench.arrived()["d"]["first"] == "v4"


def test_a_folder_that_is_gone_takes_nothing_out_of_force(tmp_path: Path, sink: RecordingServer) -> None:
    """A drive that is away, while the relay runs and when it starts again."""
    write_workspace(tmp_path, relay_yaml(sink), {"forward": recipe("v1")})
    away = tmp_path / "away"
    with running(tmp_path, sink) as bench:
        bench.post("before")
        since = len(bench.relay.lines)
        bench.folder.rename(away)
        eventually(lambda: bench.everywhere("workspace.refused", since))
        bench.folder.mkdir()
        time.sleep(2)
        bench.post("while")
        eventually(lambda: bench.arrived().keys() == {"before", "while"})
    with running(tmp_path, sink) as bench:
        assert list(bench.folder.iterdir()) == [], "no example is written into it"
        bench.post("after a start")
        eventually(lambda: "after a start" in bench.arrived())
        since = len(bench.relay.lines)
        bench.folder.rmdir()
        (away / "forward.yaml").write_text(recipe("v2"))
        away.rename(bench.folder)
        eventually(lambda: bench.everywhere("workspace.reloaded", since, recipes_changed=["forward"]))
        history = bench.relay.rows("recipes", "history", "forward")
        assert [row["status"] for row in history] == ["in force", "earlier"], "it never was out of force"


# -- under load


def test_saves_under_load_lose_nothing_and_each_event_is_delivered_by_one_version(bench: Bench) -> None:
    accepted: set[str] = set()
    ended = threading.Event()

    def sender(number: int) -> None:
        with httpx.Client(headers={"X-Key": "k"}, timeout=20) as client:
            sent = 0
            while not ended.is_set():
                sent += 1
                answer = client.post(f"{bench.relay.url}/in/chat", json={"id": f"{number}-{sent}"})
                assert answer.status_code == 202
                accepted.add(f"{number}-{sent}")

    with ThreadPoolExecutor(6) as pool:
        senders = [pool.submit(sender, number) for number in range(6)]
        for save in range(2, 8):
            time.sleep(0.9)
            bench.save("forward.yaml", recipe(f"v{save}"))
            root = relay_yaml(bench.sink)
            root["connections"]["sink"]["limit"] = {"concurrency": 10 + save}
            bench.save("relay.yaml", root)
        time.sleep(2)
        ended.set()
        for one in senders:
            one.result()
    eventually(lambda: bench.arrived().keys() == bench.arrived("/two").keys() == accepted, 60, pause=0.2)
    first, second = bench.arrived("/one"), bench.arrived("/two")
    for id_ in accepted:
        assert first[id_]["first"] == first[id_]["mark"] == second[id_]["first"] == second[id_]["mark"]
    seen = Counter(each["first"] for each in first.values())
    print(f"{len(accepted)} events while it was saved six times, by version: {dict(seen)}")
    assert len(seen) >= 4
    rows = bench.relay.rows("deliveries", "list", "--limit", str(2 * len(accepted)))
    assert {row["status"] for row in rows} == {"delivered"}
    assert bench.relay.rows("dead", "list") == []


def test_what_waits_for_its_destination_is_made_by_the_version_it_was_routed_with(bench: Bench) -> None:
    """However much of its surroundings is gone: the retry policy it names, a row of the table it looks into."""
    root = relay_yaml(bench.sink)
    root["retries"] = {"soon": {"times": 100, "first": "500ms", "factor": 1}}
    bench.saved("relay.yaml", root, retries=["soon"])
    bench.saved("tables/marks.csv", "key,mark\nm,v1\n", tables=["marks"])
    text = recipe("v1").replace("{to: sink", "{to: sink, retry: soon")
    text = text.replace('replace($.id, "v1")', 'replace($.id, "m") | lookup("marks", "mark")')
    bench.saved("forward.yaml", text, recipes_changed=["forward"])
    bench.sink.default = Answer(503)
    try:
        bench.post("early")
        eventually(lambda: len(bench.sink.requests) >= 2)
        # A failure meanwhile would be retried by the usual policy, minutes later.
        bench.relay.cli("lanes", "pause", "sink")
        bench.saved("forward.yaml", recipe("v2"), recipes_changed=["forward"])
        bench.saved("tables/marks.csv", "key,mark\nm,later\n", tables=["marks"])
        bench.saved("relay.yaml", relay_yaml(bench.sink), retries=["soon"])
        bench.post("late")
    finally:
        bench.sink.default = Answer(body={})
        bench.sink.requests.clear()
        bench.relay.cli("lanes", "resume", "sink")
    # The first by its old version; of a table, as of a connection, there is only the newest.
    eventually(lambda: all({"early", "late"} <= bench.arrived(path).keys() for path in ("/one", "/two")), 30)
    assert (bench.arrived()["early"]["first"], bench.arrived()["early"]["mark"]) == ("v1", "later")
    assert (bench.arrived()["late"]["first"], bench.arrived()["late"]["mark"]) == ("v2", "v2")
    assert bench.relay.rows("dead", "list") == []


# -- connections


def test_a_connection_that_is_deleted_holds_its_work_until_it_is_back_and_no_other(bench: Bench) -> None:
    root = relay_yaml(bench.sink)
    root["connections"]["other"] = dict(root["connections"]["sink"])
    bench.saved("relay.yaml", root, connections=["other"])
    both = recipe("v2").replace("two: {to: sink", "two: {to: other")
    bench.saved("forward.yaml", both, recipes_changed=["forward"])
    bench.post("before")
    eventually(lambda: "before" in bench.arrived("/two"))
    since = len(bench.relay.lines)
    bench.saved("relay.yaml", relay_yaml(bench.sink), connections=["other"])
    (line, *_) = eventually(lambda: bench.logged("workspace.refused", since))
    assert "unknown connection `other`" in line["message"]
    for index in range(10):
        bench.post(f"while{index}")
    eventually(lambda: len(bench.arrived()) == 11)
    eventually(lambda: bench.lanes()["other"]["status"] == "incomplete")
    assert len(bench.arrived("/two")) == 1
    assert "no connection other any more" in bench.lanes()["other"]["reason"]
    bench.saved("relay.yaml", root, connections=["other"])
    eventually(lambda: len(bench.arrived("/two")) == 11)
    assert bench.lanes()["other"]["status"] == "running"
    assert bench.relay.rows("dead", "list") == []


def test_a_lane_held_for_bad_credentials_goes_on_when_the_secret_has_been_changed(
    tmp_path: Path, sink: RecordingServer
) -> None:
    """Whichever worker sees the new secret first: what the other still tries with the old one holds nothing."""
    secret = tmp_path / "recipes" / "secrets" / "sink"
    secret.parent.mkdir(parents=True)
    secret.write_text("right0\n")
    root = relay_yaml(sink)
    root["connections"]["sink"]["auth"] = {"bearer": "${file:secrets/sink}"}
    write_workspace(tmp_path, root, {"forward": recipe("v1")})
    right = ["right0"]

    def answer(request: Any) -> Answer:
        return Answer(body={}) if request.headers.get("authorization") == f"Bearer {right[0]}" else Answer(401)

    sink.default = answer
    with running(tmp_path, sink) as bench:
        bench.post("first")
        eventually(lambda: "first" in bench.arrived("/two"))
        for round_ in range(1, 4):
            right[0] = f"right{round_}"
            sink.requests.clear()
            for index in range(10):
                bench.post(f"{round_}-{index}")
            eventually(lambda: bench.lanes()["sink"]["status"] == "held")
            took = bench.saved("secrets/sink", f"{right[0]}\n", connections=["sink"])
            assert took < IN_FORCE_SECONDS
            eventually(lambda: bench.lanes()["sink"]["status"] == "running" and not bench.lanes()["sink"]["waiting"])
            rows = bench.relay.rows("deliveries", "list", "--limit", "1000")
            assert {row["status"] for row in rows} == {"delivered"}


def test_a_secret_that_comes_lets_its_connection_and_its_source_go(tmp_path: Path, sink: RecordingServer) -> None:
    root = relay_yaml(sink)
    root["connections"]["sink"]["auth"] = {"bearer": "${file:secrets/sink}"}
    root["sources"]["late"] = {"verify": {"bearer": "${file:secrets/late}"}}
    write_workspace(tmp_path, root, {"forward": recipe("v1")})

    def late() -> int:
        headers = {"Authorization": "Bearer s3cret"}
        return httpx.post(f"{bench.relay.url}/in/late", json={"id": "x"}, headers=headers).status_code

    with running(tmp_path, sink) as bench:
        bench.post("waits")
        assert bench.lanes()["sink"]["status"] == "incomplete"
        assert late() == 503
        bench.saved("secrets/sink", "s3cret\n", connections=["sink"])
        eventually(lambda: "waits" in bench.arrived("/two"))
        bench.saved("secrets/late", "s3cret\n", sources=["late"])
        assert late() == 202
        since = len(bench.relay.lines)
        (bench.folder / "secrets" / "late").unlink()
        eventually(lambda: bench.everywhere("workspace.reloaded", since, sources=["late"]))
        assert late() == 503, "never 401: the sender is not wrong"


# -- the cost


def test_a_relay_that_nobody_changes_burns_next_to_nothing_by_looking(bench: Bench) -> None:
    children = bench.processes()
    time.sleep(3)

    def used() -> float:
        return sum(sum(child.cpu_times()[:2]) for child in children)

    before = used()
    time.sleep(5)
    share = (used() - before) / 5
    print(f"three idle processes use {share:.2%} of a processor")
    assert share < 0.05
