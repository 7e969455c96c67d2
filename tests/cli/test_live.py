"""`relay try --live`: destinations that can only check are asked, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay.testing import RecordingServer
from tests.cli.conftest import Run
from tests.connectors.fake_azure_devops import FakeAzureDevOps
from tests.connectors.fake_ga4 import MEASUREMENT_ID, SECRET, FakeGa4

RELAY_YAML = """\
sources:
  shop: {{verify: none}}
connections:
  analytics:
    {{connector: ga4, base_url: "{ga4}", measurement_id: {id}, api_secret: "${{GA4_SECRET}}", allow_private: true}}
  boards:
    connector: azure_devops
    base_url: "{azure}"
    organization: contoso
    project: Fabrikam Fiber
    pat: ${{AZURE_PAT}}
    allow_private: true
  api: {{connector: http, base_url: "{other}", allow_private: true}}
"""
RECIPE = """\
recipe: Orders to everybody
catch: shop
steps:
  seen:
    to: analytics
    do: event
    with: {client_id: $.client, name: order, params: {total: $.total}, timestamp_micros: $.micros}
  lines:
    to: boards
    foreach: $.lines
    with: {type: Bug, title: $item.sku, fields: {System.AreaPath: Fabrikam}}
  told:
    to: api
    with: {json: {total: $.total}}
"""


@pytest.fixture
def ga4() -> FakeGa4:
    return FakeGa4()


@pytest.fixture
def boards() -> FakeAzureDevOps:
    return FakeAzureDevOps()


class Shop:
    """The workspace and the three destinations of its recipe."""

    def __init__(self, folder: Path, ga4: FakeGa4, boards: FakeAzureDevOps) -> None:
        self.folder = folder
        self.analytics = RecordingServer(default=ga4)
        self.boards = RecordingServer(default=boards.answer)
        self.other = RecordingServer()

    def __enter__(self) -> Shop:
        servers = [server.__enter__() for server in (self.analytics, self.boards, self.other)]
        recipes = self.folder / "recipes"
        recipes.mkdir(exist_ok=True)
        urls = dict(zip(("ga4", "azure", "other"), (server.url for server in servers), strict=True))
        (recipes / "relay.yaml").write_text(RELAY_YAML.format(id=MEASUREMENT_ID, **urls))
        (recipes / "orders.yaml").write_text(RECIPE)
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.analytics, self.boards, self.other):
            server.__exit__(None, None, None)

    def event(self, lines: int = 1, sku: str = "A", **more: object) -> str:
        path = self.folder / "order.json"
        body = {"client": "1.2", "total": 5, "micros": None, "lines": [{"sku": sku}] * lines, **more}
        path.write_text(json.dumps(body))
        return str(path)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GA4_SECRET", SECRET)
    monkeypatch.setenv("AZURE_PAT", "s3cret-p/at")


@pytest.mark.usefixtures("secrets")
def test_what_can_check_is_asked_and_does_nothing(
    run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps
) -> None:
    with Shop(tmp_path, ga4, boards) as shop:
        done = run("try", "orders", "--event", shop.event(), "--live")
        assert [request.path for request in shop.analytics.requests] == ["/debug/mp/collect"]
        assert [dict(request.query)["validateOnly"] for request in shop.boards.requests] == ["true"]
        assert shop.other.requests == []
    assert done.code == 0, done
    assert done.out.count("the destination says: nothing is wrong with it") == 2
    assert "not asked: http has no call that only checks" in done.out
    assert (ga4.kept, boards.items) == ([], [])
    assert SECRET not in done.out + done.err


@pytest.mark.usefixtures("secrets")
def test_what_it_finds_wrong_is_told_to_people_and_to_scripts(
    run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps
) -> None:
    with Shop(tmp_path, ga4, boards) as shop:
        event = shop.event(micros=1_000_000)
        done = run("try", "orders", "--event", event, "--live", "--step", "seen")
        rows = [
            json.loads(line) for line in run("try", "orders", "--event", event, "--live", "--json").out.splitlines()
        ]
    assert done.code == 1
    assert "the destination says: timestamp_micros: VALUE_INVALID" in done.out
    assert "boards" not in done.out
    found = {row["name"]: (row["found"], row["unasked"]) for row in rows}
    assert found["lines"] == ([], None)
    assert found["told"] == (None, "http has no call that only checks")
    assert "too old" in found["seen"][0][0]


def test_without_its_secret_a_destination_is_not_asked_and_the_secret_is_named(
    run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps
) -> None:
    with Shop(tmp_path, ga4, boards) as shop:
        done = run("try", "orders", "--event", shop.event(), "--live")
        assert shop.analytics.requests == shop.boards.requests == []
    assert done.code == 0, done
    assert "not asked:" in done.out
    assert "GA4_SECRET" in done.out


def test_a_wrong_secret_is_an_error_and_no_approval(
    run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_PAT", "wrong")
    with Shop(tmp_path, ga4, boards) as shop:
        done = run("try", "orders", "--event", shop.event(), "--live", "--step", "lines")
    assert done.code == 1
    assert "couldn't check it" in done.out
    assert "token isn't taken" in done.out


@pytest.mark.usefixtures("secrets")
def test_a_long_list_does_not_become_as_many_requests(
    run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps
) -> None:
    with Shop(tmp_path, ga4, boards) as shop:
        done = run("try", "orders", "--event", shop.event(lines=30), "--live", "--json")
        assert len(shop.boards.requests) == 20
    told = [row["unasked"] for row in map(json.loads, done.out.splitlines()) if row["name"] == "lines"]
    assert told == [None] * 20 + ["only the first 20 items are asked about"] * 10


@pytest.mark.usefixtures("secrets")
def test_without_the_option_nobody_is_asked(run: Run, tmp_path: Path, ga4: FakeGa4, boards: FakeAzureDevOps) -> None:
    with Shop(tmp_path, ga4, boards) as shop:
        done = run("try", "orders", "--event", shop.event())
        assert shop.analytics.requests == shop.boards.requests == shop.other.requests == []
    assert done.code == 0, done
    assert "destination says" not in done.out
