"""The drawing shows what the workspace says, all of it and nothing else, whatever it is called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.recipes import load_workspace
from relay.recipes.drawing.diagram import Drawing, DrawnRecipe, DrawnStep, drawing_of
from relay.recipes.drawing.layout import Box, Layout, fitted, placed, width_of, wrapped
from relay.recipes.drawing.mermaid import edges, mermaid
from relay.recipes.drawing.svg import svg

SVG = "{http://www.w3.org/2000/svg}"

RELAY_YAML: dict[str, Any] = {
    "sources": {name: {"verify": "none"} for name in ("chat", "shop", "idle-source")},
    "connections": {name: {"connector": "desk", "team": "t"} for name in ("sheet", "crm", "pager", "idle-desk")},
    "alerts": [{"on": "dead_letter", "to": "pager", "with": {"title": "t"}}],
}
CHATS = """\
recipe: Chats to the sheet and to the CRM
catch: chat
types: [chat.closed]
when: $.rating < 3
steps:
  row: {to: sheet, do: note, with: {title: t}, save: {id: $.id}}
  each: {to: crm, do: note, foreach: "$.messages", with: {title: $item.text}}
  last: {to: crm, do: call, after: [each], when: $.a == 1, with: {number: $row.id}}
tests: []
"""


@pytest.fixture
def workspace(folder: Any) -> Any:
    folder.write("relay.yaml", yaml.safe_dump(RELAY_YAML))
    folder.recipe(CHATS, "chats")
    folder.recipe(
        "recipe: Orders\ncatch: shop\nsteps: {a: {to: crm, do: note, with: {title: t}}}\ntests: []\n", "orders"
    )
    folder.recipe("recipe: Broken\ncatch: shop\nsteps: {a: {to: crn, with: {}}}\n", "bad")
    return folder.load()


def test_the_drawing_has_every_recipe_with_what_is_special_of_it(workspace: Any) -> None:
    drawing = drawing_of(workspace)
    assert [one.id for one in drawing.recipes] == ["chats", "bad", "orders"], "by source, in relay.yaml's order"
    chats, bad, _ = drawing.recipes
    assert chats.marks == ("types: chat.closed", "when $.rating < 3")
    assert [(step.name, step.connection, step.action, step.marks) for step in chats.steps] == [
        ("row", "sheet", "note", ()),
        ("each", "crm", "note", ("each of $.messages",)),
        ("last", "crm", "call", ("when $.a == 1",)),
    ]
    assert chats.steps[2].needs == {"each": "after", "row": "uses"}
    assert bad.source == "shop"
    assert bad.broken is not None
    assert "unknown connection `crn`" in bad.broken
    assert str(workspace.folder) not in bad.broken, "where the file lies is nothing for a handbook"


def test_what_nobody_uses_is_drawn_apart_and_what_alerts_use_is_not(workspace: Any) -> None:
    drawing = drawing_of(workspace)
    assert drawing.sources == ("chat", "shop")
    assert drawing.idle_sources == ("idle-source",)
    assert drawing.connections == {"sheet": "desk", "crm": "desk", "pager": "desk, alerts"}
    assert drawing.idle_connections == {"idle-desk": "desk"}


def test_of_some_recipes_it_shows_what_they_touch(workspace: Any) -> None:
    drawing = drawing_of(workspace, {"orders"})
    assert [one.id for one in drawing.recipes] == ["orders"]
    assert (drawing.sources, list(drawing.connections)) == (("shop",), ["crm"])
    assert (drawing.idle_sources, drawing.idle_connections) == ((), {})


def test_the_mermaid_has_a_line_for_each_thing_that_leads_to_another(workspace: Any) -> None:
    text = mermaid(drawing_of(workspace))
    assert text.startswith("flowchart LR\n")
    nodes = dict(re.findall(r'^  +(\w+)[\[(]+"<b>([^<]*)</b>', text, re.MULTILINE))
    lines = {(nodes[a], how, nodes[b]) for a, how, b in re.findall(r"^  (\w+) (-\S*.*->) (\w+)$", text, re.MULTILINE)}
    assert lines == {
        ("chat", "-->", "chats"),
        ("chats", "-->", "row"),
        ("chats", "-->", "each"),
        ("row", "-. uses .->", "last"),
        ("each", "-. after .->", "last"),
        ("row", "-->", "sheet"),
        ("each", "-->", "crm"),
        ("last", "-->", "crm"),
        ("shop", "-.->", "bad"),
        ("shop", "-->", "orders"),
        ("orders", "-->", "a"),
        ("a", "-->", "crm"),
    }
    assert 'r2["<b>bad</b><br>broken<br>' in text
    assert edges(drawing_of(workspace)) >= len(lines)


def test_the_svg_is_titled_described_and_needs_nothing_else(workspace: Any) -> None:
    text = svg(drawing_of(workspace))
    root = ET.fromstring(text)
    labels = str(root.get("aria-labelledby")).split()
    assert root.get("role") == "img"
    assert [element.get("id") for element in (root.find(f"{SVG}title"), root.find(f"{SVG}desc"))] == labels
    assert "No recipe catches idle-source." in str(root.findtext(f"{SVG}desc"))
    assert "prefers-color-scheme:dark" in text
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "path")
    }
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|href", text)


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_the_svg_says_what_the_drawing_says(workspace: Any) -> None:
    shown = texts(ET.fromstring(svg(drawing_of(workspace))))
    for wanted in (
        "chat",
        "chats",
        "Chats to the sheet and to the CRM",
        "row",
        "note → sheet",
        "each of $.messages",
        "bad (broken)",
    ):
        assert wanted in shown
    assert shown.index("NOT IN USE") < shown.index("idle-source")
    assert "no recipe catches it" in shown
    assert "desk: nothing is sent to it" in shown


def test_an_empty_workspace_can_be_drawn() -> None:
    drawing = Drawing((), (), {})
    assert ET.fromstring(svg(drawing)).find(f"{SVG}title") is not None
    assert mermaid(drawing).startswith("flowchart LR\n")


NAMES = st.sampled_from(
    [
        '"',
        "<b>",
        "</text>",
        "&amp;",
        "#35;",
        "`x`",
        "%%",
        "end",
        "]",
        ")",
        "subgraph",
        "style: #x;",
        "日本語",
        "😀",
        "\x00",
        "W" * 90,
    ]
) | st.text(min_size=1, max_size=30)


@st.composite
def drawings(draw: st.DrawFn, most: int = 14) -> Drawing:
    sources = tuple(draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)))
    connections = tuple(draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)))
    recipes = []
    for number in range(draw(st.integers(0, most))):
        names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
        steps = []
        for place, name in enumerate(names):
            needs = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
            marks = tuple(draw(st.lists(NAMES, max_size=2)))
            how = {need: draw(st.sampled_from(["after", "uses"])) for need in needs}
            steps.append(DrawnStep(name, draw(st.sampled_from(connections)), draw(NAMES), marks, how))
        broken = draw(st.none() | NAMES)
        source = draw(st.sampled_from(sources)) if broken is None else draw(st.sampled_from([*sources, None]))
        recipes.append(
            DrawnRecipe(f"r{number}", draw(NAMES), source, (draw(NAMES),), () if broken else tuple(steps), broken)
        )
    recipes.sort(key=lambda one: sources.index(one.source) if one.source in sources else 99)
    used = {step.connection for one in recipes for step in one.steps}
    return Drawing(
        tuple(recipes),
        tuple(name for name in sources if any(one.source == name for one in recipes)),
        {name: "http" for name in connections if name in used},
        tuple(draw(st.lists(NAMES, max_size=9))),
        dict.fromkeys(draw(st.lists(NAMES, max_size=9)), "file"),
    )


def boxes(layout: Layout) -> list[Box]:
    found = [*layout.idle_sources.values(), *layout.idle_connections.values()]
    for section in layout.sections:
        found += [*section.sources.values(), *section.connections.values()]
        for one in section.recipes:
            found += [one.box, *(box for _, box in one.steps)]
    return found


def overlap(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@given(drawings())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_box_lies_on_another_or_outside_and_no_text_outside_its_box(drawing: Drawing) -> None:
    layout = placed(drawing)
    every = boxes(layout)
    for place, box in enumerate(every):
        assert box.x >= 0
        assert box.right <= layout.width
        assert box.y >= 0
        assert box.bottom <= layout.height
        assert not any(overlap(box, other) for other in every[place + 1 :])
    for inner in ET.fromstring(svg(drawing)).iter(f"{SVG}svg"):
        if inner.get("x") is None:
            continue  # the whole
        for text in inner.iter(f"{SVG}text"):
            start, size = float(text.get("x", 0)), float(text.get("font-size", 0))
            bold = "b" in str(text.get("class")).split()
            assert start + width_of(text.text or "", size, bold=bold) <= float(inner.get("width", 0))
            assert float(text.get("y", 0)) + 4 <= float(inner.get("height", 0))


@given(drawings())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_brackets_of_what_waits_for_what_never_lie_on_each_other(drawing: Drawing) -> None:
    for section in placed(drawing).sections:
        for one in section.recipes:
            spans = [(bracket.x, *sorted((bracket.start.middle, bracket.end.middle))) for bracket in one.brackets]
            assert all(one.box.right < x < one.steps[0][1].x for x, _, _ in spans)
            for place, (x, low, high) in enumerate(spans):
                for other_x, other_low, other_high in spans[place + 1 :]:
                    assert x != other_x or high <= other_low or other_high <= low


@given(drawings())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_name_can_break_out_of_its_label(drawing: Drawing) -> None:
    for line in mermaid(drawing).splitlines():
        label = r'"(?:<b>|<br>|</b>|#\d+;|[^"#<>&`\\%;])*"'
        node = rf"(?:\w+[\[(]+{label}[\])]+(?::::\w+)?|subgraph idle\[{label}\])"
        edge = r"\w+ (?:-->|-\.->|-\. (?:after|uses) \.->) \w+"
        assert re.fullmatch(rf"flowchart LR|  end| +(?:{node}|{edge}|classDef .*)", line), line
    assert not re.search(r"<(?!/?(?:svg|title|desc|style|rect|text|path)\b)", svg(drawing))


def test_a_large_workspace_is_drawn_in_sections_with_the_connections_each_needs() -> None:
    steps = (DrawnStep("a", "crm", ""), DrawnStep("b", "sheet", ""))
    recipes = [DrawnRecipe(f"r{n:02}", "", "chat" if n < 40 else "shop", (), steps[: 1 + n % 2]) for n in range(60)]
    drawing = Drawing(tuple(recipes), ("chat", "shop"), {"crm": "http", "sheet": "http"})
    layout = placed(drawing)
    assert [len(section.recipes) for section in layout.sections] == [10, 10, 10, 10, 10, 10]
    assert [list(section.sources) for section in layout.sections] == [["chat"]] * 4 + [["shop"]] * 2
    for section in layout.sections:
        assert set(section.connections) == {"crm", "sheet"}
        assert section.bottom - section.top < 1000, "a section is seen at a glance"


@given(text=st.text(), width=st.floats(20, 400), bold=st.booleans())
def test_text_is_cut_to_its_width(text: str, width: float, bold: bool) -> None:
    assert width_of(fitted(text, width, 13, bold=bold), 13, bold=bold) <= max(width, width_of("…", 13, bold=bold))
    assert all(width_of(line, 13) <= max(width, width_of("…", 13)) for line in wrapped(text, width, 13, 3))
    assert len(wrapped(text, width, 13, 3)) <= 3


def test_the_starter_can_be_drawn_as_it_is() -> None:
    shipped = load_workspace(Path(__file__).parents[2] / "recipes", {})
    assert "closed-chats" in mermaid(drawing_of(shipped))
