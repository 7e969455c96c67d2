"""What admins get wrong in recipes and in relay.yaml: each is told in a sentence, at its line and column.

The table with the messages, word for word, is mistakes.txt beside this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError, RecipeError
from relay.recipes import parse_recipe
from relay.recipes.codes import CODES
from tests.recipes.conftest import RELAY_YAML

GOOD = """\
recipe: Low ratings
catch: chat
when: $.rating < 3
pick:
  name: $.contact.name
steps:
  note:
    to: desk
    do: note
    with: {title: $name}
tests: []
"""


@dataclass
class Mistake:
    """`old` is replaced by `new`; without it, `new` is the file. `told` is every error, in order."""

    name: str
    where: str
    old: str | None = None
    new: str = ""
    told: list[str] = field(default_factory=list)

    def made_in(self, good: str) -> str:
        if self.old is None:
            return self.new
        assert self.old in good, "the good file has no such words"
        return good.replace(self.old, self.new, 1)


def table() -> Iterator[Mistake]:
    text = (Path(__file__).parent / "mistakes.txt").read_text()
    for part in text.split("#### ")[1:]:
        for block in part.split("\n== ")[1:]:
            name, *lines = block.strip().split("\n")
            old = [line[2:] for line in lines if line[:2] == "- " or line == "-"]
            new = [line[2:] for line in lines if line[:2] == "+ " or line == "+"]
            yield Mistake(
                name,
                part.partition("\n")[0],
                unescaped("\n".join(old)) if old else None,
                unescaped("\n".join(new)),
                [line for line in lines if line[:1] not in ("-", "+", "#") and line],
            )


def unescaped(text: str) -> str:
    """Signs that can't be seen are written by their number."""
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)


TABLE = list(table())
IN_RECIPES = [one for one in TABLE if one.where != "relay.yaml"]
IN_RELAY_YAML = [one for one in TABLE if one.where == "relay.yaml"]

#: What an event makes of a recipe that is right: the recipe's pick, the event's body, and what the letter says.
ON_AN_EVENT = [
    (
        "a key that the event doesn't have",
        "$.contact.nmae",
        {"contact": {"name": "Ana", "email": "a@example.com"}},
        "low.yaml:5:9: $.contact.nmae: no `nmae` in $.contact; did you mean `name`? there are `name`, `email`",
    ),
    (
        "a key of something else",
        "$.contact.name",
        {"visitor": {}, "rating": 1},
        "low.yaml:5:9: $.contact.name: no `contact` in the body; there are `visitor`, `rating`",
    ),
    (
        "a key of each item of a list",
        "$.contact.name",
        {"contact": [{"name": "Ana"}]},
        "low.yaml:5:9: $.contact.name: $.contact is a list, so `name` is in its items: [0] is the first, [*] is all",
    ),
    (
        "a key of a text",
        "$.contact.name",
        {"contact": "Ana"},
        "low.yaml:5:9: $.contact.name: $.contact is text, so it has no `name`",
    ),
    (
        "an item that a list doesn't have",
        "$.lines[3]",
        {"lines": [1, 2]},
        "low.yaml:5:9: $.lines[3]: no item 3 in $.lines, which has 2; the first is [0]",
    ),
    (
        "a date that could be two",
        '$.closed | date("YYYY")',
        {"closed": "03/04/2026"},
        (
            'low.yaml:5:20: date: "03/04/2026" is not an ISO 8601 date or a unix time, and no other form is '
            'guessed at; read it with parse_date, as in parse_date("DD/MM/YYYY")'
        ),
    ),
]


@pytest.mark.parametrize("mistake", IN_RECIPES, ids=lambda one: one.name)
def test_a_mistake_is_told_at_its_place(folder: Any, mistake: Mistake) -> None:
    folder.recipe(mistake.made_in(GOOD))

    workspace = folder.load()

    assert folder.lines(workspace) == mistake.told
    assert "low" in workspace.broken
    assert "low" not in workspace.recipes
    assert {problem.code for problem in workspace.problems} <= CODES.keys()


@pytest.mark.parametrize("mistake", IN_RELAY_YAML, ids=lambda one: one.name)
def test_a_mistake_in_relay_yaml_is_told_at_its_place(folder: Any, mistake: Mistake) -> None:
    folder.write("relay.yaml", mistake.made_in(RELAY_YAML))
    try:
        lines = folder.lines(folder.load())
    except ConfigError as error:
        lines = [str(error).removeprefix(f"{folder.path}/")]
    assert lines == mistake.told


@pytest.mark.parametrize(("mistake", "pick", "body", "told"), ON_AN_EVENT, ids=[one[0] for one in ON_AN_EVENT])
def test_what_an_event_lacks_is_told_with_what_is_there(
    view: Any, mistake: str, pick: str, body: Any, told: str
) -> None:
    recipe = parse_recipe("low", GOOD.replace("when: $.rating < 3", "when: true").replace("$.contact.name", pick))
    with pytest.raises(RecipeError) as caught:
        recipe.plan(view(body))
    assert str(caught.value) == told


def test_the_recipe_that_the_mistakes_are_made_in_has_none(folder: Any) -> None:
    folder.recipe(GOOD)
    workspace = folder.load()
    assert folder.lines(workspace) == []
    assert folder.lines(workspace, "warning") == []


def test_the_table_is_read_whole() -> None:
    assert len(IN_RECIPES) > 120
    assert len(IN_RELAY_YAML) > 20
    assert [one.name for one in TABLE if not one.told] == []
    assert len({(one.where, one.name) for one in TABLE}) == len(TABLE)


def test_no_message_is_a_programs() -> None:
    """No quotes of Python's, no word of the parser's or of the validator's."""
    for mistake in TABLE:
        for line in mistake.told:
            assert not any(
                word in line for word in ("Input should", "found character", "while ", "Traceback", "NoneType")
            )
            assert len(line) < 260, line


def test_a_circle_of_steps_is_named(folder: Any) -> None:
    folder.recipe(
        "recipe: r\ncatch: chat\nsteps:\n"
        "  a: {to: desk, do: note, with: {title: $c.id}, save: {id: $.id}}\n"
        "  b: {to: desk, do: note, with: {title: $a.id}, save: {id: $.id}}\n"
        "  c: {to: desk, do: note, with: {title: x}, after: b, save: {id: $.id}}\n"
    )
    assert folder.lines(folder.load()) == [
        "low.yaml:4:3: these steps wait for each other in a circle: a → c → b → a",
    ]


def test_every_mistake_of_a_file_is_told_at_once(folder: Any) -> None:
    folder.recipe(GOOD.replace("chat", "caht").replace("desk", "dsk").replace("$.contact", "$contact"))
    assert [line.split(": ")[0] for line in folder.lines(folder.load())] == [
        "low.yaml:2:8",
        "low.yaml:5:9",
        "low.yaml:8:9",
    ]


def test_places_inside_a_block_of_text_are_lines_of_the_file(folder: Any) -> None:
    folder.recipe(
        GOOD.replace("{title: $name}", "\n      title: |\n        Dear {{ $name }},\n        good {{ $bye }}!")
    )
    assert folder.lines(folder.load())[0].startswith("low.yaml:13:17: `$bye` is not known here")


def test_lines_that_end_as_windows_ends_them_are_counted_alike(folder: Any) -> None:
    text = GOOD.replace("$.contact.name", "$.contact.name | uper").replace(
        "{title: $name}", "\n      title: >\n        a\n        {{ $x }}"
    )
    folder.recipe(text)
    places = [line.split(": ")[0] for line in folder.lines(folder.load())]
    (folder.path / "low.yaml").write_bytes(text.replace("\n", "\r\n").encode())
    assert [line.split(": ")[0] for line in folder.lines(folder.load())] == places
    assert places == ["low.yaml:5:26", "low.yaml:13:12"]


def test_a_file_with_a_byte_order_mark_is_read_as_if_it_had_none(folder: Any) -> None:
    (folder.path / "low.yaml").write_bytes(GOOD.replace("catch: chat", "catch: caht").encode("utf-8-sig"))
    assert folder.lines(folder.load()) == ["low.yaml:2:8: unknown source `caht`: did you mean `chat`?"]


def test_a_file_of_another_encoding_is_told_so(folder: Any) -> None:
    (folder.path / "low.yaml").write_bytes(GOOD.encode("utf-16"))
    assert folder.lines(folder.load()) == ["low.yaml:1:1: the file isn't UTF-8: save it with that encoding"]
