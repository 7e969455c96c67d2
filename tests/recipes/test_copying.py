"""A copy of a recipe differs where it was asked to, and nowhere else."""

from __future__ import annotations

import pytest

from relay.errors import ConfigError
from relay.recipes.drafting.copying import copied

TEXT = """\
# What this is for   (keep me)
recipe:   "Low ratings"   # the title
catch: chat  # the source
steps:

  row: {to: drop, do: csv,   with: {path: drop.csv}}
  ticket:
    to: 'crm'    # Ana asked for this
    with: {path: /crm, json: {to: crm}}
  again: {to: crm}
"""


def test_the_title_alone_is_changed_where_nothing_else_is_asked_for() -> None:
    assert copied(TEXT, "x.yaml", "High ratings") == TEXT.replace('"Low ratings"', "High ratings")


def test_source_and_connections_are_replaced_where_they_are_meant_and_nowhere_else() -> None:
    expected = (
        TEXT.replace('"Low ratings"', "High ratings")
        .replace("catch: chat ", "catch: shop ")
        .replace("to: 'crm'", "to: desk")
        .replace("again: {to: crm}", "again: {to: desk}")
    )
    assert copied(TEXT, "x.yaml", "High ratings", "shop", {"crm": "desk"}) == expected


def test_two_connections_can_change_places() -> None:
    text = copied(TEXT, "x.yaml", "T", None, {"crm": "drop", "drop": "crm"})
    assert "row: {to: crm, do: csv" in text
    assert "again: {to: drop}" in text


@pytest.mark.parametrize("title", ["|\n  Low\n  ratings\n", ">-\n  Low\n  ratings\n", "Low\n  ratings\n", "'it''s'\n"])
def test_a_title_over_several_lines_is_replaced_whole(title: str) -> None:
    text = f"recipe: {title}catch: chat\nsteps: {{}}\n"
    assert copied(text, "x.yaml", "a: b # c") == 'recipe: "a: b # c"\ncatch: chat\nsteps: {}\n'


def test_a_file_with_windows_line_ends_keeps_them() -> None:
    text = TEXT.replace("\n", "\r\n")
    assert copied(text, "x.yaml", "T", "shop").count("\r\n") == text.count("\r\n")


def test_a_connection_that_nothing_is_sent_to_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"--to crn=x: .*did you mean `crm`\? there are `drop`, `crm`"):
        copied(TEXT, "x.yaml", "T", None, {"crn": "x"})


@pytest.mark.parametrize("text", ["- a\n", "catch: x\n", "recipe: [\n", ""])
def test_what_is_no_recipe_is_not_copied(text: str) -> None:
    with pytest.raises(ConfigError):
        copied(text, "x.yaml", "T")
