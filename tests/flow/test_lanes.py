"""Lanes in operators' hands: breakers, limits, drains, credentials and turns, on a real relay."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from relay.cli.common import with_operators
from relay.cli.lanes import row
from relay.settings import Settings
from relay.store import Filter, Operators
from relay.testing import Answer, Recorded, RecordingServer
from tests.flow.test_failures import post, refused
from tests.flow.test_kills import workspace
from tests.harness import Relay, eventually, relay_up

T = TypeVar("T")

BREAKER = {"attempts": 6, "pause": "1s", "longest": "4s"}
QUICK = {"times": 20, "first": "300ms", "factor": 1, "max": "300ms"}


def settings(folder: Path, **connection: Any) -> None:
    """Save these settings of the connection `sink`."""
    path = folder / "recipes" / "relay.yaml"
    root = yaml.safe_load(path.read_text())
    root["connections"]["sink"] |= connection
    path.write_text(yaml.safe_dump(root, sort_keys=False))


def quick(folder: Path, **more: Any) -> None:
    path = folder / "recipes" / "forward.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["steps"]["post"] |= {"retry": QUICK} | more
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def post_many(relay: Relay, ids: Iterable[str], **more: str) -> None:
    with httpx.Client(headers={"X-Key": "k"}) as client:
        for id_ in ids:
            assert client.post(f"{relay.url}/in/chat", json={"id": id_} | more).status_code == 202


def asked(relay: Relay, question: Callable[[Operators], Awaitable[T]]) -> T:
    """What the store says; a process for each look would take most of a test's time."""
    return with_operators(Settings.read({"data": relay.folder / "data"}), question)


def lane(relay: Relay, name: str = "sink") -> dict[str, Any]:
    """As `relay lanes list --json` shows it."""
    return next(row(found) for found in asked(relay, lambda operators: operators.lanes()) if found.name == name)


def delivered(relay: Relay, number: int) -> None:
    async def count(operators: Operators) -> int:
        return (await operators.counters()).get("delivered:sink", 0)

    eventually(lambda: asked(relay, count) == number, 30, pause=0.1)


@pytest.mark.timeout(120)
def test_a_breaker_opens_probes_with_one_and_lets_all_through_when_the_destination_is_well(tmp_path: Path) -> None:
    with RecordingServer(Answer(503)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, breaker={"attempts": 6, "pause": "300ms"})
        quick(tmp_path)
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"b{number}" for number in range(40)))
            openings = eventually(lambda: relay.log("lane.breaker_opened")[3:] and relay.log("lane.breaker_opened"))
            assert [line["times"] for line in openings[:4]] == [1, 2, 3, 4]
            assert "503" in openings[0]["reason"]
            shown = lane(relay)
            assert (shown["status"], shown["waiting"] + shown["in_flight"]) == ("breaker", 40)
            assert "503" in shown["reason"]
            assert shown["since"] < shown["next_at"]
            assert relay.rows("lanes", "list", "--status", "breaker")[0]["name"] == "sink"
            # Sixteen may have been out before anything was known; after them one for each time that it opened again.
            tried = len(relay.log("delivery.attempted"))
            assert tried <= 6 + 16 + len(relay.log("lane.breaker_opened"))
            sink.default = Answer(body={})
            delivered(relay, 40)
            assert relay.log("lane.breaker_closed")
            assert relay.rows("dead", "list") == []
            rows = relay.rows("deliveries", "list", "--limit", "100")
            assert sum(row["attempts"] - 1 for row in rows) < 40, "what waits uses up no attempt"

            settings(tmp_path, breaker={"attempts": 6, "pause": "1h", "longest": "2h"})
            eventually(lambda: len(relay.log("workspace.reloaded")) >= 2)
            opened, sink.default = len(relay.log("lane.breaker_opened")), Answer(503)
            post_many(relay, (f"c{number}" for number in range(10)))
            eventually(lambda: len(relay.log("lane.breaker_opened")) > opened)
            eventually(lambda: lane(relay)["in_flight"] == 0)
            sink.default = Answer(body={})
            assert "1 resumed" in relay.cli("lanes", "resume", "sink")
            delivered(relay, 50)
            assert lane(relay)["status"] == "running"


@pytest.mark.timeout(120)
def test_a_few_refused_deliveries_open_no_breaker_and_off_is_off(tmp_path: Path) -> None:
    with RecordingServer(Answer(422)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, breaker=BREAKER)
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"r{number}" for number in range(20)))
            eventually(lambda: len(relay.rows("dead", "list")) == 20)
            assert lane(relay)["status"] == "running"

            settings(tmp_path, breaker="off")
            eventually(lambda: relay.log("workspace.reloaded")[1:])
            sink.default = Answer(503)
            post_many(relay, (f"o{number}" for number in range(20)))
            eventually(lambda: len(sink.requests) == 40)
            assert relay.log("lane.breaker_opened") == []


@pytest.mark.timeout(120)
def test_retry_after_holds_the_lane_as_long_as_the_destination_asks(tmp_path: Path) -> None:
    came: list[float] = []

    def once(_: Recorded) -> Answer:
        came.append(time.monotonic())
        return Answer(429, headers={"Retry-After": "3"}) if len(came) == 1 else Answer(body={})

    with RecordingServer(once) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, limit={"concurrency": 1})
        quick(tmp_path)
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"a{number}" for number in range(10)))
            shown = eventually(lambda: (found := lane(relay))["reason"] and found)
            assert shown["status"] == "running"
            assert "429" in shown["reason"]
            delivered(relay, 10)
            assert came[1] - came[0] >= 2.9
            assert relay.log("lane.breaker_opened") == []


@pytest.mark.timeout(120)
def test_limits_change_at_once_by_the_file_and_by_hand_and_back(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.3)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, limit={"concurrency": 1})
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"l{number}" for number in range(40)))
            eventually(lambda: lane(relay)["in_flight"] == 1)
            settings(tmp_path, limit={"concurrency": 5})
            eventually(lambda: lane(relay)["in_flight"] == 5)
            assert "1 limited" in relay.cli("lanes", "limit", "sink", "--concurrency", "2", "--rate", "1/h")
            shown = eventually(lambda: (row := lane(relay))["in_flight"] <= 2 and row)
            assert (shown["concurrency"], shown["rate"]) == (2, "1/3600s")
            assert "limited by hand" in shown["reason"]
            # A file that is saved changes nothing while somebody has set it by hand.
            settings(tmp_path, limit={"concurrency": 7})
            eventually(lambda: relay.log("workspace.reloaded")[3:])
            assert lane(relay)["concurrency"] == 2
            eventually(lambda: lane(relay)["in_flight"] == 0)
            sent = len(sink.requests)
            assert sent < 40
            assert "1 reset" in relay.cli("lanes", "limit", "sink", "--reset")
            assert (lane(relay)["concurrency"], lane(relay)["rate"]) == (7, None)
            delivered(relay, 40)
            assert "only these have limits" in refused(relay, "lanes", "limit", "in:chat", "--rate", "1/s")
            assert "--reset alone" in refused(relay, "lanes", "limit", "sink")


@pytest.mark.timeout(120)
def test_a_lane_that_was_gone_stays_off_over_a_restart_and_goes_on_with_one_when_the_address_is_saved(
    tmp_path: Path,
) -> None:
    with RecordingServer(Answer(410)) as old, RecordingServer(Answer(body={}, delay_seconds=0.2)) as new:
        workspace(tmp_path, old)
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"g{number}" for number in range(12)))
            eventually(lambda: lane(relay)["status"] == "off" and lane(relay)["waiting"] == 12)
            tried = len(old.requests)
            relay.stop()
        with relay_up(tmp_path) as relay:
            post(relay, "chat", {"id": "late"})
            eventually(lambda: lane(relay)["waiting"] == 13)
            assert lane(relay)["status"] == "off"
            # A limit mends nothing.
            settings(tmp_path, limit={"concurrency": 4})
            eventually(lambda: len(relay.log("workspace.reloaded")) >= 2)
            assert lane(relay)["status"] == "off"
            assert len(old.requests) == tried
            settings(tmp_path, base_url=new.url)
            delivered(relay, 13)
            assert len(old.requests) == tried


@pytest.mark.timeout(120)
def test_credentials_that_are_mended_in_the_file_release_the_lane_also_after_a_restart(tmp_path: Path) -> None:
    with RecordingServer(Answer(401)) as sink:
        workspace(tmp_path, sink)
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"c{number}" for number in range(10)))
            eventually(lambda: lane(relay)["status"] == "held" and lane(relay)["waiting"] == 10)
            relay.stop()
        tried = len(sink.requests)
        with relay_up(tmp_path) as relay:
            assert lane(relay)["status"] == "held"
            # Still wrong: one finds out, not all of them.
            settings(tmp_path, auth={"bearer": "wrong"})
            eventually(lambda: len(sink.requests) > tried)
            eventually(lambda: lane(relay)["status"] == "held" and lane(relay)["in_flight"] == 0)
            assert len(sink.requests) == tried + 1
            sink.default = Answer(body={})
            settings(tmp_path, auth={"bearer": "right"})
            delivered(relay, 10)
            assert lane(relay)["status"] == "running"


async def all_due(operators: Operators) -> int:
    found = [delivery.id async for delivery in operators.list_deliveries(Filter(status="retrying"))]
    return await operators.store.run(operators.store.lanes.change("due", "sink", found))


@pytest.mark.timeout(120)
def test_new_events_take_turns_with_retries_that_are_due_all_at_once(tmp_path: Path) -> None:
    with RecordingServer(Answer(503)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, breaker="off", limit={"concurrency": 2})
        quick(tmp_path, retry={"times": 3, "first": "1h", "factor": 1, "max": "1h"})
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"old{number}" for number in range(40)))
            eventually(lambda: len(sink.requests) == 40)
            eventually(lambda: lane(relay)["in_flight"] == 0)
            relay.cli("lanes", "pause", "sink")
            asked(relay, all_due)
            assert lane(relay)["due"] == 40
            post_many(relay, (f"new{number}" for number in range(15)))
            eventually(lambda: lane(relay)["due"] == 55)
            sink.default = Answer(body={})
            sink.requests.clear()
            relay.cli("lanes", "resume", "sink")
            eventually(lambda: len(sink.requests) == 55)
            came = [json.loads(request.body)["id"][:3] for request in sink.requests]
            # Exactly in turns as long as both wait; two are under way at once.
            assert 13 <= came[:30].count("new") <= 15
            assert 6 <= came[:16].count("new") <= 10


@pytest.mark.timeout(120)
def test_order_is_kept_through_a_breaker_pauses_and_limits(tmp_path: Path) -> None:
    with RecordingServer(Answer(503)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, breaker=BREAKER | {"attempts": 2})
        recipe = tmp_path / "recipes" / "forward.yaml"
        text = yaml.safe_load(recipe.read_text())
        text["pick"]["key"] = "$.key"
        text["steps"]["post"] |= {"order_by": "$key"}
        text["steps"]["post"]["with"]["json"]["key"] = "$key"
        recipe.write_text(yaml.safe_dump(text, sort_keys=False))
        quick(tmp_path)
        with relay_up(tmp_path) as relay:
            for number in range(60):
                post(relay, "chat", {"id": f"{number:02}", "key": f"k{number % 3}"})
            eventually(lambda: relay.log("lane.breaker_opened"))
            relay.cli("lanes", "pause", "sink")
            sink.default = Answer(body={})
            eventually(lambda: lane(relay)["in_flight"] == 0)
            sink.requests.clear()
            relay.cli("lanes", "limit", "sink", "--concurrency", "2")
            relay.cli("lanes", "resume", "sink")
            eventually(lambda: len(sink.requests) > 5)
            relay.cli("lanes", "limit", "sink", "--reset")
            delivered(relay, 60)
            for key in ("k0", "k1", "k2"):
                came = [r.json()["id"] for r in sink.requests if r.json()["key"] == key]
                assert came == sorted(came)
                assert len(came) == 20


@pytest.mark.timeout(120)
def test_a_drain_waits_for_what_is_under_way_or_finishes_what_waits_and_says_when_it_could_not(tmp_path: Path) -> None:
    with RecordingServer(Answer(body={}, delay_seconds=0.5)) as sink:
        workspace(tmp_path, sink)
        settings(tmp_path, limit={"concurrency": 4})
        with relay_up(tmp_path) as relay:
            post_many(relay, (f"d{number}" for number in range(60)))
            eventually(lambda: lane(relay)["in_flight"] == 4)
            assert "1 drained" in relay.cli("lanes", "drain", "sink", "--wait", "20s")
            shown, sent = lane(relay), len(sink.requests)
            assert (shown["status"], shown["in_flight"], shown["waiting"]) == ("paused", 0, 60 - sent)
            assert shown["waiting"] > 0
            post(relay, "chat", {"id": "meanwhile"})
            relay.cli("lanes", "limit", "sink", "--concurrency", "40")
            relay.cli("lanes", "resume", "sink")
            assert "1 drained" in relay.cli("lanes", "drain", "--all", "--finish", "--wait", "20s", "--yes")
            assert len(sink.requests) == 61
            shown = lane(relay)
            assert (shown["status"], shown["waiting"], shown["in_flight"]) == ("paused", 0, 0)

            sink.default = Answer(body={}, delay_seconds=5)
            relay.cli("lanes", "resume", "sink")
            post(relay, "chat", {"id": "slow"})
            eventually(lambda: lane(relay)["in_flight"] == 1)
            relay.cli("lanes", "drain", "sink", "--wait", "300ms", code=1)
            assert lane(relay)["status"] == "paused"
