"""Help: each command says in a sentence what it does, and shows a line that works."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.grammar import commands, parse

COMMANDS = sorted(commands())


def examples(command: Any) -> list[str]:
    """The lines of its help that are in bold: what a user may type."""
    return [text for text in re.findall(r"\[bold\](.*?)\[/\]", command.help or "") if text.startswith("relay ")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_each_command_shows_an_example_that_can_be_parsed(words: tuple[str, ...]) -> None:
    lines = examples(commands()[words])
    assert lines, f"relay {' '.join(words)} --help shows no example"
    assert {parse(line) for line in lines} == {words}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_and_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    command = commands()[words]
    assert command.help.split("\n", 1)[0].rstrip().endswith(".")
    silent = [p.name for p in command.params if not getattr(p, "hidden", False) and not getattr(p, "help", None)]
    assert silent == [], "options without help"


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[-1] == "list"], ids=" ".join)
def test_every_list_is_for_scripts_too(words: tuple[str, ...]) -> None:
    options = {option for param in commands()[words].params for option in param.opts}
    assert "--json" in options
    if words != ("recipes", "list"):
        assert {"--limit", "--since"} <= options


@pytest.mark.parametrize(
    "words",
    [("dead", "replay"), ("dead", "discard"), ("events", "replay"), ("lanes", "pause"), ("lanes", "resume")],
    ids=" ".join,
)
def test_what_changes_many_things_can_be_asked_first(words: tuple[str, ...]) -> None:
    options = {option for param in commands()[words].params for option in param.opts}
    assert {"--all", "--yes", "--dry-run"} <= options


def test_the_help_lists_every_group_and_costs_no_relay(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    for group in {words[0] for words in COMMANDS}:
        assert group in done.out


def test_the_short_flag_for_help_works_everywhere(run: Run) -> None:
    assert run("-h").code == 0
    assert "relay dead replay" in run("dead", "replay", "-h").out
