"""The cookbook as somebody would begin with it: written by `relay init --cookbook`, its samples posted to a real relay.

Each sample comes as its sender signs it; what goes out is judged by the strict fakes of the connectors' own tests. The
three recipes that hand a file over by SFTP wait for their hour, and the one for PostgreSQL needs a server: they are not
here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import httpx
import pytest

from relay import starter
from relay.recipes import Recipe, Workspace, load_workspace, sample_event
from relay.recipes.yaml_tree import plain
from relay.sources.client import sign
from tests.harness import Relay, eventually, relay_up
from tests.recipes.cookbook.destinations import SECRET, Destinations, destinations
from tests.recipes.cookbook.page import RECIPES, text_of

SECRETS = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", text_of("relay")), SECRET)
LIVE = [name for name in RECIPES if not re.search(r"batch:|to: database", text_of(name))]

#: Posted again, a chat would be a duplicate: each recipe's has a number of its own.
OWN_NUMBER = {"gecko-chat": "$.conversation.id"}


@pytest.fixture(autouse=True)
def _only_the_desk_is_installed() -> None:
    """The connectors here are the real ones, not that of conftest.py."""


@dataclass
class Kitchen:
    relay: Relay
    workspace: Workspace
    destinations: Destinations

    def post(self, recipe: Recipe) -> tuple[str, httpx.Response]:
        """The event of the recipe's first test, as its sender signs it: its id, and what it was answered."""
        test = recipe.tests[0]
        change = dict(test.change)
        if recipe.catch in OWN_NUMBER:
            change[OWN_NUMBER[recipe.catch]] = f"c-{recipe.id}"
        file = self.workspace.folder / test.event
        event = sample_event(recipe.catch, file, change, headers=test.headers, query=test.query)
        config = self.workspace.sources[recipe.catch].config
        assert config is not None
        path = f"/in/{recipe.catch}"
        url = f"{self.relay.url}{path}"
        signed = sign(config, event.body, int(time.time() * 1000), path=path, url=url, headers=event.headers)
        seen = len(self.relay.log("event.caught"))
        self.destinations.answers = self.replies(recipe)
        answer = httpx.post(
            f"{url}/{signed.token}" if signed.token else url,
            params=[*event.query, *signed.query],
            headers={**event.headers, **signed.headers},
            content=event.body,
            timeout=20,
        )
        assert answer.status_code in (200, 202), f"{recipe.id}: {answer.status_code} {answer.text}"
        return eventually(lambda: self.relay.log("event.caught")[seen:])[0]["event_id"], answer

    def delivered(self, recipe: Recipe, event_id: str) -> set[str]:
        """The recipe's steps of which something was delivered for this event."""
        return {
            one["step"]
            for one in self.relay.log("delivery.attempted")
            if (one["recipe"], one["event_id"], one["verdict"]) == (recipe.id, event_id, "delivered")
        }

    def replies(self, recipe: Recipe) -> dict[str, list[Any]]:
        """By connection. A step with `foreach` has a reply for each item, and none for an item that is skipped."""
        found: dict[str, list[Any]] = {}
        for step, reply in recipe.tests[0].replies.items():
            each = [one for one in reply if one] if isinstance(reply, list) else [reply]
            found.setdefault(recipe.steps[step].to, []).extend(each)
        return found


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kitchen]:
    folder = tmp_path / "recipes"
    starter.write_cookbook(folder)
    with destinations(folder, monkeypatch) as there, relay_up(tmp_path, env=SECRETS) as relay:
        yield Kitchen(relay, load_workspace(folder, SECRETS), there)


def test_each_sample_that_is_posted_is_delivered_and_answered_as_its_recipe_says(kitchen: Kitchen) -> None:
    posted = {}
    for name in LIVE:
        recipe = kitchen.workspace.recipes[name]
        test = recipe.tests[0]
        event_id, answer = kitchen.post(recipe)
        assert test.expect is not None
        wanted = {step for step, what in plain(test.expect).items() if what != "skipped"}
        eventually(lambda r=recipe, e=event_id, w=wanted: w <= kitchen.delivered(r, e))  # type: ignore[misc]
        if test.answer is not None:
            assert answered(answer) == {key: as_sent(value) for key, value in plain(test.answer).items()}
        posted[event_id] = name

    rows = kitchen.relay.rows("deliveries", "list", "--limit", "1000")
    mine = [one for one in rows if posted.get(one["event"]) == one["recipe"]]
    assert {one["recipe"] for one in mine} == set(LIVE)
    assert {one["status"] for one in mine} <= {"delivered", "skipped"}
    for name in LIVE:
        assert {one["step"] for one in mine if one["recipe"] == name} == set(kitchen.workspace.recipes[name].steps)
    assert kitchen.destinations.refused() == []
    called = {name for name, _, _ in kitchen.destinations.requests}
    elsewhere = {"file", "sftp", "smtp", "postgres", "s3"}
    assert called == {name for name, one in kitchen.workspace.connections.items() if one.connector not in elsewhere}
    assert [mail.recipients for mail in kitchen.destinations.mail.mails] == [["duty-officer@example.ac.uk"]]
    assert {one.path for name, one, _ in kitchen.destinations.requests if name == "zap"} == {f"/{SECRET}"}
    # Google Analytics says yes to anything, and keeps what is right.
    assert [event["name"] for event in kitchen.destinations.analytics.kept] == ["generate_lead"]
    sheets = {tab.title: tab.rows for tab in kitchen.destinations.google.tabs}
    assert sheets["Low ratings"][0] == ["Closed", "Name", "Email", "Rating", "Comment", "Relay"]
    assert [row[1] for row in sheets["Low ratings"][1:]] == ["Ana Sousa"]
    assert [row[2] for row in sheets["Parcels"]] == ["Status", "Delivered"]


def answered(answer: httpx.Response) -> dict[str, Any]:
    """A flat answer in any of the encodings, as texts."""
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "application/json":
        return {key: as_sent(value) for key, value in answer.json().items()}
    if kind == "application/xml":
        root = ET.fromstring(answer.text)
        return {child.tag: as_sent(nested(child) or child.text or "") for child in root}
    return {key: values[0] for key, values in parse_qs(answer.text).items()}


def nested(element: ET.Element) -> dict[str, str]:
    return {child.tag: child.text or "" for child in element}


def as_sent(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
