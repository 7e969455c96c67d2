"""docs/cookbook.md tells the truth: each recipe on it works with the lines beside it, and no event can break it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relay import starter
from relay.cli import app
from relay.connections import Connections
from relay.connector import Context
from relay.errors import BodyError
from relay.recipes import (
    EventView,
    Recipe,
    Workspace,
    load_workspace,
    parse,
    parse_step,
    respond,
    run_tests,
    sample_event,
    view_of,
)
from relay.recipes.yaml_tree import plain
from relay.sources.decode import decode_event
from tests.connectors.fake_google_account import FakeAccount
from tests.recipes.cookbook.bodies import LARGE, REPLIES, VALUES, mutations
from tests.recipes.cookbook.dry_run import ends
from tests.recipes.cookbook.page import COOKBOOK, PAGE, RECIPES, ROOT, jobs, quoted, quotes, text_of

SHIPPED = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml") if path.name != "relay.yaml")


@pytest.fixture(autouse=True)
def _only_the_desk_is_installed() -> None:
    """The connectors here are the real ones, not that of conftest.py."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that relay.yaml takes files from."""
    folder = tmp_path_factory.mktemp("files") / "secrets"
    folder.mkdir()
    (folder / "sits_key").write_text(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode())
    (folder / "google.json").write_text(FakeAccount.key_file("https://oauth2.googleapis.com"))
    return folder


# -- the page


def test_the_page_quotes_the_files() -> None:
    """To write it anew: `python -m tests.recipes.cookbook.page`."""
    page = PAGE.read_text()
    assert page == quoted(page)


def test_the_page_has_every_recipe_once_and_in_the_order_of_its_list() -> None:
    page = PAGE.read_text()
    assert sorted(re.findall(r"<!-- recipe: ([\w-]+) -->", page)) == RECIPES
    titles = [section.splitlines()[0].removeprefix("## ") for section in jobs().values()]
    assert [title.partition(". ")[0] for title in titles] == [str(number) for number in range(1, len(RECIPES) + 1)]
    assert re.findall(r"^\d+\. \[(.*?)\]\(#", page, re.MULTILINE) == [title.partition(". ")[2] for title in titles]


@pytest.mark.parametrize("name", RECIPES)
def test_each_job_says_what_a_reader_asks_and_links_its_samples(name: str) -> None:
    job = jobs()[name]
    for question in ("**Line by line.**", "**For your own case.**", "**When it goes wrong.**"):
        assert question in job
    assert set(re.findall(r"samples/[\w.-]+", text_of(name))) == set(
        re.findall(r"\(../recipes/cookbook/(samples/.*?)\)", job)
    )


#: Where a connector looks at the secret's form.
FORMS = {
    "SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/example",
    "TEAMS_WEBHOOK": "https://example.com/workflows/1/triggers/manual/paths/invoke?sig=example",
    "PARTNER_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "LOB_KEY": "test_example",
}


def environment(text: str) -> dict[str, str]:
    return {name: FORMS.get(name, "example") for name in re.findall(r"\$\{([A-Z_]+)\}", text)}


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_works_with_the_lines_that_stand_beside_it(name: str, tmp_path: Path, secrets: Path) -> None:
    job = jobs()[name]
    files = quotes(job)
    (tmp_path / "relay.yaml").write_text(files["relay"])
    (tmp_path / f"{name}.yaml").write_text(files["recipe"])
    shutil.copytree(COOKBOOK / "samples", tmp_path / "samples")
    shutil.copytree(secrets, tmp_path / "secrets")
    for table in re.findall(r"\(../recipes/cookbook/(tables/.*?)\)", job):
        (tmp_path / "tables").mkdir(exist_ok=True)
        shutil.copy(COOKBOOK / table, tmp_path / table)

    workspace = load_workspace(tmp_path, environment(files["relay"]))

    assert [str(problem) for problem in workspace.problems] == []
    assert [connection.held for connection in workspace.connections.values() if connection.held] == []
    results = run_tests(workspace)
    assert [(one.name, one.diff) for one in results if not one.passed] == []
    assert len(results) >= 2
    expected = [plain(test.expect) for test in workspace.recipes[name].tests if test.expect is not None]
    assert any(isinstance(one, dict) and any(sent != "skipped" for sent in one.values()) for one in expected)


def test_check_and_test_find_nothing_wrong_with_the_cookbook(cookbook: Kitchen) -> None:
    """As a reader would call them."""
    folder, env = str(cookbook.workspace.folder), environment(text_of("relay"))
    checked = CliRunner().invoke(app, ["check", "--strict", folder], env=env)
    assert (checked.exit_code, checked.stdout) == (0, "")
    tested = CliRunner().invoke(app, ["test", folder], env=env)
    assert (tested.exit_code, "0 failed" in tested.stdout) == (0, True)


@pytest.mark.parametrize(
    "key", [*parse.KEYS, *parse.TEST_KEYS, *parse_step.KEYS, *respond.KEYS, "every", "at", "max", "jitter", "event_id"]
)
def test_every_key_of_the_language_is_used(key: str) -> None:
    every = "\n".join(map(text_of, [*RECIPES, "relay"]))
    assert re.search(rf"(?:^|[ {{-]){key}:", every, re.MULTILINE)


@pytest.mark.parametrize(
    "part",
    [
        *("$item.", "$index", "$headers[", "$query.", "$event.", "$delivery.", "$batch.time", "$batch.count"),
        *("as: json", "as: xml", "as: form", "on_unknown: hold", "on_fail: ignore", "encoding: cp1252", "tables:"),
        *("| parse_date(", "| to_timezone(", "| phone(", "| currency(", "| lookup(", "| hash", "| list"),
    ],
)
def test_what_people_look_for_is_there(part: str) -> None:
    assert part in "\n".join(map(text_of, RECIPES))


# -- any event


@dataclass(frozen=True)
class Kitchen:
    """A workspace with its connectors."""

    workspace: Workspace
    connections: Connections

    def first_of(self, name: str) -> tuple[Recipe, EventView]:
        """A recipe and the event of its first test, which it wants."""
        recipe = self.workspace.recipes[name]
        test = recipe.tests[0]
        file = self.workspace.folder / test.event
        event = sample_event(recipe.catch, file, test.change, headers=test.headers, query=test.query)
        return recipe, view_of(self.workspace, event)

    def any_json(self, name: str, data: st.DataObject) -> None:
        recipe, sample = self.first_of(name)
        text = json.dumps(data.draw(VALUES | LARGE)).encode()
        event = replace(sample.event, body=text, headers={**sample.event.headers, "content-type": "application/json"})
        try:
            body = decode_event(event, self.workspace.sources[event.source].config)
        except BodyError:
            return
        # Of the sample's type, without which most recipes wouldn't look at it.
        ends(recipe, EventView(event, body), self.connections, dict.fromkeys(recipe.steps, data.draw(REPLIES)))

    def any_mutation(self, name: str, data: st.DataObject) -> None:
        recipe, sample = self.first_of(name)
        view = EventView(sample.event, data.draw(mutations(sample.body)))
        ends(recipe, view, self.connections, dict.fromkeys(recipe.steps, data.draw(REPLIES)))


def kitchen(folder: Path, env: Mapping[str, str]) -> Kitchen:
    workspace = load_workspace(folder, env)
    assert workspace.problems == []
    return Kitchen(workspace, Connections(workspace, Context(folder.parent / "data")))


@pytest.fixture(scope="module")
def cookbook(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Kitchen:
    folder = shutil.copytree(COOKBOOK, tmp_path_factory.mktemp("cookbook") / "recipes")
    shutil.copytree(secrets, folder / "secrets", dirs_exist_ok=True)
    return kitchen(folder, environment(text_of("relay")))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Kitchen:
    folder = tmp_path_factory.mktemp("shipped") / "recipes"
    starter.write(folder)
    starter.ensure_key(folder)
    return kitchen(folder, {})


@pytest.mark.parametrize("name", RECIPES)
def test_the_sample_itself_is_delivered(name: str, cookbook: Kitchen) -> None:
    recipe, view = cookbook.first_of(name)
    found = ends(recipe, view, cookbook.connections, recipe.tests[0].replies)
    assert found["delivered"]
    assert not found["dead"]


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_json_is_delivered_skipped_or_refused_in_words(name: str, data: st.DataObject, cookbook: Kitchen) -> None:
    cookbook.any_json(name, data)


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_change_to_the_sample_is_delivered_skipped_or_refused_in_words(
    name: str, data: st.DataObject, cookbook: Kitchen
) -> None:
    cookbook.any_mutation(name, data)


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_the_shipped_recipes_take_any_event_too(name: str, data: st.DataObject, shipped: Kitchen) -> None:
    shipped.any_json(name, data)
    shipped.any_mutation(name, data)
