"""docs/recipes.md tells the truth: its recipe loads and its tests pass, and every key has its row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from relay.connector import registry
from relay.recipes import accounts, parse, parse_step, run_tests

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def block(start: str) -> str:
    (found,) = [one for one in BLOCKS if one.startswith(start)]
    return found


def test_the_first_recipe_loads_and_its_tests_pass(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "connector_class", registry.connector_class)
    folder.write("relay.yaml", block("sources:"))
    folder.recipe(block("recipe:"))
    folder.sample(
        {
            "conversation": {"rating": 1, "closed_at": "2026-04-03T09:15:00Z"},
            "contact": {"name": "Ana Silva ", "email": "Ana@Example.com"},
        },
        "samples/gecko-chat.json",
    )

    workspace = folder.load({})

    assert folder.lines(workspace) == []
    assert [(one.name, one.diff) for one in run_tests(workspace)] == [
        ("a low rating becomes a ticket", ""),
        ("a good rating goes nowhere", ""),
    ]


@pytest.mark.parametrize("start", ["pick:", "steps:"])
def test_the_other_examples_can_be_read(start: str) -> None:
    extra = "steps: {a: {to: x}}\n" if start == "pick:" else "pick: {email: $.email}\n"
    parse.parse_recipe("r", f"recipe: r\ncatch: c\n{extra}{block(start)}")


@pytest.mark.parametrize("key", [*parse.KEYS, *parse_step.KEYS, *parse.TEST_KEYS])
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"^\|.*`{key}`.*\|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("key", [*parse.LATER_KEYS, *parse_step.LATER_KEYS])
def test_every_key_that_is_not_built_yet_is_named(key: str) -> None:
    assert f"`{key}`" in PAGE[PAGE.index("## Not yet") :]
