"""docs/recipes.md tells the truth: its recipe loads and its tests pass, and every key has its row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from relay.connector import registry
from relay.recipes import accounts, parse, parse_step, respond, run_tests

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def block(start: str) -> str:
    return next(one for one in BLOCKS if one.startswith(start))


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


#: What the fragments of the page leave out.
SAVES = "a: {to: x, save: {id: $.id}}"
PICKS = "pick: {name: $.name, email: $.email, number: $.number}"


def completed(fragment: str) -> str:
    """A fragment of the page as a whole recipe."""
    if fragment.startswith("  "):
        fragment = f"steps:\n{fragment}"
    parts = {"recipe": "recipe: r", "catch": "catch: c", "pick": PICKS, "steps": f"steps: {{{SAVES}}}"}
    missing = [line for key, line in parts.items() if not re.search(rf"^{key}:", fragment, re.MULTILINE)]
    return "\n".join(missing) + "\n" + fragment


FRAGMENTS = [one for one in BLOCKS if not one.startswith(("recipe:", "sources:", "text:", "jobs:"))]


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=[one.strip().split("\n")[0] for one in FRAGMENTS])
def test_the_other_examples_can_be_read(fragment: str) -> None:
    parse.parse_recipe("r", completed(fragment))


@pytest.mark.parametrize(
    "key", [*parse.KEYS, *parse_step.KEYS, *parse.TEST_KEYS, *respond.KEYS, *respond.LATE_KEYS, "every", "at", "max"]
)
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"^\|.*`{key}`.*\|", PAGE, re.MULTILINE)
