"""The cells of a row stay, empty or not: its columns must not depend on the event."""

from __future__ import annotations

from relay.model import Event
from relay.recipes import EventView, Scope, parse_recipe

RECIPE = """
recipe: Rows
catch: chat
steps:
  a:
    to: drop
    do: csv
    with:
      path: $.path?
      row: {Name: $.name?, Phone: $.phone?}
      format: {header: $.header?}
"""


def test_a_row_keeps_its_empty_cells_and_other_fields_that_are_null_are_left_out() -> None:
    recipe = parse_recipe("rows", RECIPE)
    event = Event("evt_1", "chat", "POST", "/in/chat", (), {}, b"", 0)
    assert recipe.steps["a"].render(Scope(EventView(event, {"name": "Ana"}))) == {
        "row": {"Name": "Ana", "Phone": None},
        "format": {},
    }
